package clock

// formers is how many former epochs are kept. Where more than that may still
// matter, no stamp counts until the oldest cannot.
const formers = 8

// A former epoch is one that the clock was taken out of, and of which words may
// still be on their way, or which is the true one after all.
type former struct {
	epoch
	settled bool
	sag     uint16 // ms that the clock may have run ahead of least unseen
	until   uint32 // unix s until when it matters; open: not known yet; 0: none
}

// anySag is the greatest sag and means any.
const anySag = 1<<16 - 1

// drift is sag in ms.
func (f *former) drift() int64 {
	if f.sag == anySag {
		return 1 << 40
	}
	return int64(f.sag)
}

// place finds the epoch that a stamp is of and learns from it. d is how far the
// arrival is above the stamp. It reports whether the present epoch explains d,
// so whether the stamp may mean anything.
func (c *Clock) place(arrived, d, delay int64, l *Limits) bool {
	c.expire(arrived)
	if !c.begun {
		c.begun, c.first, c.changed = true, !c.met, true
		c.least = d
		if c.first {
			c.slot = c.take(arrived, uint64(d), false)
		}
	}
	// A delay that is in the stamp already makes d greater, and it is told by the
	// node: such words show no offset. What they contradict is settled anew.
	reach := l.MaxDelay + tolerance + delay
	fits := d >= c.least-tolerance && d <= c.least+reach
	if delay > 0 {
		if !fits {
			c.n = 0
		}
		return fits
	}
	c.recent.add(arrived)
	if fits {
		c.fit(arrived, d, l)
		return true
	}
	if home := c.home(d, reach); home >= 0 {
		return c.stray(arrived, d, home, l)
	}
	if c.n < enough && d < c.least && d >= c.least-reach {
		// It converges: the words before were late, or it was set ahead.
		c.least, c.n, c.back.count, c.changed = d, 1, 0, true
		return true
	}
	c.leave(epoch{least: d}, 1)
	return false
}

// fit learns from a word that the present epoch explains.
func (c *Clock) fit(arrived, d int64, l *Limits) {
	if d < c.least {
		c.least, c.changed = d, true
	}
	above := c.above(d)
	switch {
	case c.n >= enough:
		c.watch(arrived, d, l)
	case above < 0 || d < c.former[above].least:
		if c.n++; c.n == enough {
			c.settle(arrived, l)
		}
	}
	c.turn(arrived, d, above, l)
}

// stray notes a word that only a former epoch explains. It was sent before the
// clock was set, or the word that made the present epoch was wrong.
func (c *Clock) stray(arrived, d int64, home int, l *Limits) bool {
	f := &c.former[home]
	if d < f.least {
		f.least, c.changed = d, true
	}
	if f.until != open {
		f.until, c.changed = open, true
	}
	c.n = 0
	return c.turn(arrived, d, home, l)
}

// home is the former epoch that explains d best, -1 if there is none.
func (c *Clock) home(d, reach int64) int {
	home := -1
	for i := range c.former {
		f := &c.former[i]
		if f.until != 0 && d >= f.least-tolerance && d <= f.least+reach && (home < 0 || f.least > c.former[home].least) {
			home = i
		}
	}
	return home
}

// above is the greatest former offset above the present one that explains d,
// which the present one explains too; -1 if there is none.
func (c *Clock) above(d int64) int {
	above := -1
	for i := range c.former {
		f := &c.former[i]
		if f.until != 0 && f.least > c.least+tolerance && d >= f.least-tolerance &&
			(above < 0 || f.least > c.former[above].least) {
			above = i
		}
	}
	return above
}

// A returning former epoch explains every word for a while.
type returning struct {
	least int64
	count uint8
	home  int8
}

// turn counts the words in a row that the former epoch explains. After enough
// of them one was on time: it is the present epoch again, or, if none came near
// it, one that lies above it is. It reports whether that happened.
func (c *Clock) turn(arrived, d int64, home int, l *Limits) bool {
	b := &c.back
	if home < 0 {
		b.count = 0
		return false
	}
	if b.count == 0 || int(b.home) != home {
		b.home, b.count, b.least = int8(home), 0, d
	}
	b.count++
	b.least = min(b.least, d)
	if b.count < enough {
		return false
	}
	next := epoch{least: b.least}
	if f := &c.former[home]; b.least <= f.least+tolerance {
		next = epoch{least: min(f.least, b.least), slot: f.slot}
		f.until = 0
	}
	c.leave(next, enough)
	c.settle(arrived, l)
	return true
}

// leave makes next the present epoch and the present one a former.
func (c *Clock) leave(next epoch, n uint8) {
	f := former{epoch: c.epoch, settled: c.n >= enough, sag: c.recent.sag(), until: open}
	if c.stale {
		f.sag = anySag
	}
	c.epoch, c.n, c.first, c.stale, c.changed = next, n, false, false, true
	c.back.count, c.window.count = 0, 0
	free, oldest := -1, 0
	for i := range c.former {
		o := &c.former[i]
		switch {
		case o.until == 0:
			free = i
		case (o.slot == 0 || f.slot == 0) && o.least-f.least <= tolerance && f.least-o.least <= tolerance:
			o.least, o.slot, o.until = min(o.least, f.least), o.slot|f.slot, open
			o.sag, o.settled = max(o.sag, f.sag), o.settled || f.settled
			return
		case o.until < c.former[oldest].until:
			oldest = i
		}
	}
	if free < 0 {
		c.blind = max(c.blind, c.former[oldest].until)
		free = oldest
	}
	c.former[free] = f
}

// settle is called when enough words in a row are explained by the present
// epoch. One of them was on time, so no other epoch was there then, and nothing
// of it comes after MaxDelay from now.
func (c *Clock) settle(arrived int64, l *Limits) {
	c.n, c.first, c.stale, c.window.count, c.changed = enough, false, false, 0, true
	if c.slot == 0 {
		c.slot = c.take(arrived, uint64(c.least), false)
	}
	until := uint32((arrived+l.MaxDelay)/1000 + 1)
	for i := range c.former {
		if f := &c.former[i]; f.until == open {
			f.until = until
			f.sag = max(f.sag, c.recent.sag())
		}
	}
	if c.blind == open {
		c.blind = until
	}
}

// expire drops what cannot matter any more.
func (c *Clock) expire(arrived int64) {
	now := uint32(arrived / 1000)
	for i := range c.former {
		if c.former[i].until < now {
			c.former[i] = former{}
		}
	}
	if c.blind < now {
		c.blind = 0
	}
}

// A window is a time of MaxDelay and crowd words in which none came near the
// offset.
type window struct {
	since int64
	least int64
	count uint8
}

// watch sees that the clock was set back by less than MaxDelay, or drifted:
// until then every word looks late.
func (c *Clock) watch(arrived, d int64, l *Limits) {
	w := &c.window
	if d <= c.least+tolerance {
		w.count = 0
		return
	}
	if w.count == 0 {
		w.since, w.least = arrived, d
	}
	w.count = min(w.count+1, crowd)
	w.least = min(w.least, d)
	if w.count == crowd && arrived-w.since >= l.MaxDelay {
		c.leave(epoch{least: w.least}, 0)
	}
}

// recent holds the arrivals of the last words that showed an offset, in 16 ms:
// the one that is judged and enough before it.
type recent struct {
	at   [enough + 1]uint32
	next uint8
	full bool
}

func (r *recent) add(arrived int64) {
	at := uint32(arrived >> 4)
	if !r.full {
		for i := range r.at {
			r.at[i] = at
		}
		r.full = true
	}
	r.at[r.next] = at
	r.next = (r.next + 1) % uint8(len(r.at))
}

// gap is the longest that a word on time can be back, in ms, before the word
// that arrives now is added.
func (r *recent) gap(arrived, heard int64) int64 {
	if !r.full {
		return 0
	}
	oldest := r.at[(r.next+1)%uint8(len(r.at))]
	return max(int64(uint32(arrived>>4)-oldest)<<4+16, arrived-heard)
}

// sag is how far the clock may have run ahead since the last word on time
// before the one that was added.
func (r *recent) sag() uint16 {
	last := r.at[(r.next+enough)%uint8(len(r.at))]
	return uint16(min(slip(int64(last-r.at[r.next])<<4+2*tolerance), anySag))
}
