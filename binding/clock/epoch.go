package clock

import "math"

// formers is how many former epochs are kept. Where more than that may still
// matter, no stamp counts until the oldest cannot.
const formers = 8

// A former epoch is one that the clock was taken out of, and of which words may
// still be on their way, or which is the true one after all.
type former struct {
	least int64
	until uint32 // unix s until when it matters, and some words; open: not known yet; 0: none
	slot  uint8
	over  uint8 // words since then
}

// open is the end of a former epoch that may still be the present one.
const open = math.MaxUint32

// place finds the epoch that a stamp is of and learns from it. d is how far the
// arrival is above the stamp. It reports whether the present epoch explains d,
// so whether the stamp may mean anything.
func (c *Clock) place(arrived, d, delay int64, l *Limits) bool {
	c.expire(arrived, delay == 0)
	if !c.begun {
		c.begun, c.first, c.changed = true, !c.met, true
		c.least = d
		if c.first {
			c.slot = c.take(arrived, uint64(d), false)
		}
	}
	reach := l.MaxDelay + tolerance + delay
	fits := d >= c.least-tolerance && d <= c.least+reach
	if c.recent.above(d) {
		// It was set ahead, perhaps from where it had been set back to unseen.
		c.n, c.back.count = 0, 0
	}
	if delay > 0 {
		return fits // the delay may be in d, so d is only above the offset
	}
	c.recent.add(arrived, d)
	if fits {
		c.fit(arrived, d, l)
		return true
	}
	if home := c.home(d, reach); home >= 0 {
		return c.stray(arrived, d, home, l)
	}
	if c.first && d < c.least && d >= c.least-reach {
		c.least, c.n, c.changed = d, 1, true // the words before were late
		return true
	}
	c.leave(epoch{least: d, n: 1})
	return false
}

// fit learns from a word that the present epoch explains.
func (c *Clock) fit(arrived, d int64, l *Limits) {
	if d < c.least {
		c.least, c.changed = d, true
	}
	if c.n < enough {
		if c.n++; c.n == enough {
			c.settle(arrived, l)
		}
	} else {
		c.watch(arrived, d, l)
	}
	c.turn(arrived, d, c.higher(d), l)
}

// stray notes a word that only a former epoch explains. It was sent before the
// clock was set, or the word that made the present epoch was wrong.
func (c *Clock) stray(arrived, d int64, home int, l *Limits) bool {
	f := &c.former[home]
	if d < f.least {
		f.least, c.changed = d, true
	}
	if f.until != open {
		f.until, f.over, c.changed = open, 0, true
	}
	if f.least < c.least {
		c.n = 0
	}
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

// higher is the greatest former offset that explains d, which the present and
// lower one explains too; -1 if there is none.
func (c *Clock) higher(d int64) int {
	higher := -1
	for i := range c.former {
		f := &c.former[i]
		if f.until != 0 && f.least > c.least+tolerance && d >= f.least-tolerance &&
			(higher < 0 || f.least > c.former[higher].least) {
			higher = i
		}
	}
	return higher
}

// A returning former epoch explains every word for a while.
type returning struct {
	count uint8
	home  int8
}

// turn counts the words in a row that the former epoch explains. After enough
// of them one was on time: it is the present epoch again or, if none came near
// it, one that lies above is. It reports whether that happened.
func (c *Clock) turn(arrived, d int64, home int, l *Limits) bool {
	b := &c.back
	if home < 0 {
		b.count = 0
		return false
	}
	if int(b.home) != home {
		b.home, b.count = int8(home), 0
	}
	if b.count++; b.count < enough {
		return false
	}
	f, next := &c.former[home], epoch{least: c.recent.least(d)}
	if next.least <= f.least+tolerance {
		next = epoch{least: min(f.least, next.least), slot: f.slot}
		f.until = 0
	}
	c.leave(next)
	c.settle(arrived, l)
	return true
}

// leave makes next the present epoch and the present one a former.
func (c *Clock) leave(next epoch) {
	f := former{least: c.least, slot: c.slot, until: open}
	if c.stale {
		c.blind = open // how far it drifted while nobody listened is not known
	}
	c.epoch, c.first, c.stale, c.changed = next, false, false, true
	c.back.count, c.window.count = 0, 0
	free, oldest := -1, 0
	for i := range c.former {
		o := &c.former[i]
		switch {
		case o.until == 0:
			free = i
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
// of one comes after MaxDelay from now.
func (c *Clock) settle(arrived int64, l *Limits) {
	c.n, c.window.count = enough, 0
	c.first, c.stale = false, false
	if c.slot == 0 {
		c.slot = c.take(arrived, uint64(c.least), false)
	}
	until := uint32((arrived+l.MaxDelay)/1000 + 1)
	for i := range c.former {
		if f := &c.former[i]; f.until == open {
			f.until, c.changed = until, true
		}
	}
	if c.blind == open {
		c.blind, c.changed = until, true
	}
}

// expire drops what cannot matter any more: its time is over, and so many words
// came since that none of the last ones was of it.
func (c *Clock) expire(arrived int64, fresh bool) {
	now := uint32(arrived / 1000)
	for i := range c.former {
		f := &c.former[i]
		if f.until >= now || f.until == 0 {
			continue
		}
		if f.over >= enough {
			*f, c.changed = former{}, true
		} else if fresh {
			f.over++
		}
	}
	if c.blind != 0 && c.blind < now {
		c.blind, c.n, c.changed = 0, 0, true
	}
}

// A window is a time of MaxDelay and enough words of which none came near the
// offset.
type window struct {
	since uint32 // unix s
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
		w.since = uint32(arrived / 1000)
	}
	w.count = min(w.count+1, enough)
	if w.count == enough && arrived-int64(w.since)*1000 > l.MaxDelay+1000 {
		c.leave(epoch{least: c.recent.least(d)})
		c.settle(arrived, l)
	}
}

// recent holds the last words that showed an offset: the one that is judged and
// enough before it, so that one of these was on time. Its units are 16 ms.
type recent struct {
	at   [enough + 1]uint32
	d    [enough + 1]uint32
	next uint8
	full bool
	// longest is the longest gap since a moment, and the longest before.
	longest, before uint32
	since           uint32
}

func (r *recent) add(arrived, d int64) {
	if !r.full {
		for range r.at {
			r.put(arrived, d)
		}
		r.full, r.since = true, uint32(arrived>>4)
	}
	r.put(arrived, d)
}

func (r *recent) put(arrived, d int64) {
	r.at[r.next], r.d[r.next] = uint32(arrived>>4), uint32(d>>4)
	r.next = (r.next + 1) % uint8(len(r.at))
}

// gap is the longest, in ms, that a word on time can be back when a word
// arrives that was not added yet.
func (r *recent) gap(arrived, heard int64) int64 {
	if !r.full {
		return 0
	}
	oldest := r.at[(r.next+1)%uint8(len(r.at))]
	return max(int64(int32(uint32(arrived>>4)-oldest))<<4+16, arrived-heard, 0)
}

// note keeps the longest gap of the last MaxDelay, at least.
func (r *recent) note(arrived, gap int64, l *Limits) {
	at, units := uint32(arrived>>4), uint32(min(gap>>4+1, 1<<32-1))
	if int64(int32(at-r.since))<<4 > l.MaxDelay {
		r.since, r.before, r.longest = at, r.longest, 0
	}
	r.longest = max(r.longest, units)
}

// ofLate is the longest, in ms, that a word on time can be off the moment at
// which a late word was sent.
func (r *recent) ofLate() int64 { return int64(max(r.longest, r.before)) << 4 }

// least is the least offset of the last words, of which d is the last.
func (r *recent) least(d int64) int64 {
	least := int32(0)
	for i, v := range r.d {
		if i != int(r.next) {
			least = min(least, int32(v-uint32(d>>4)))
		}
	}
	return min(d, (d>>4+int64(least))<<4)
}

// above reports whether the last words, before one that shows d, all lie above.
func (r *recent) above(d int64) bool {
	if !r.full {
		return false
	}
	for i, v := range r.d {
		if i != int(r.next) && int32(v-uint32(d>>4)) <= tolerance>>4 {
			return false
		}
	}
	return true
}
