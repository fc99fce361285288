package worldtest

// A guard holds the channel to what is assumed of it: a late message that
// would break an assumption is lost instead. A history from which messages
// were taken is possible if the guard would let it pass.
//
//   - Nothing is heard later than maxDelay, blindDelay or flight allow; the
//     channel sees to that itself.
//   - In each epoch of a clock one of the first eight messages heard was on
//     time; so was one of any eight, and one within the last minute before a
//     late one.
//   - After a clock was set forward, a message on time is heard before one as
//     late as the step, or by so little less that nobody sees the rest.
//   - A clock was not set back shortly before it is first heard.
//   - A node of two names is first heard by both at once.
type guard struct {
	clocks []hearing
	named  []bool // by voice: both names came in one message
}

// A hearing is what was heard of a clock.
type hearing struct {
	heard  bool
	newest int // epoch
	epochs []epochHeard
	late   int  // in a row
	onTime tick // when the last message on time was heard
}

type epochHeard struct {
	n      int
	onTime bool
}

func (g *guard) reset(clocks, voices int) {
	g.clocks = append(g.clocks[:0], make([]hearing, clocks)...)
	g.named = append(g.named[:0], make([]bool, voices)...)
}

// pass reports whether a word may be heard now, and remembers it if so.
func (g *guard) pass(w *Word, now tick) bool {
	v := w.voice
	if v == nil {
		return true
	}
	if v.alias != "" && !g.named[v.id] {
		if w.Also == "" {
			return false
		}
		g.named[v.id] = true
	}
	if v.clock == nil || w.Stamp.IsZero() {
		return true
	}
	h := &g.clocks[v.clock.id]
	for len(h.epochs) <= w.epoch {
		h.epochs = append(h.epochs, epochHeard{})
	}
	late := now-w.stamped >= onTime
	if !h.allows(v.clock, w, now, late) {
		return false
	}
	h.heard = true
	h.newest = max(h.newest, w.epoch)
	e := &h.epochs[w.epoch]
	e.n++
	if late {
		h.late++
		return true
	}
	e.onTime = true
	h.late, h.onTime = 0, now
	return true
}

// seen is the least step that stamps of whole seconds show.
const seen = second + 2*onTime

func (h *hearing) allows(c *clock, w *Word, now tick, late bool) bool {
	e := h.epochs[w.epoch]
	if !h.heard {
		for i := 1; i < len(c.offsets); i++ {
			if c.since[i] <= now && c.since[i] > now-maxDelay && c.offsets[i] < c.offsets[i-1] {
				return false
			}
		}
	}
	if w.epoch > h.newest {
		if old := h.epochs[h.newest]; old.n > 0 && !old.onTime {
			return false
		}
	}
	if !late {
		return true
	}
	if h.late >= 7 || h.heard && e.onTime && now-h.onTime > minute {
		return false
	}
	if e.onTime {
		return true
	}
	if w.epoch < h.newest || c.single[w.epoch] || e.n >= 7 {
		return false
	}
	for i, offset := range c.offsets[:w.epoch] {
		if forward := c.offsets[w.epoch] - offset; forward > 0 && now-w.stamped >= forward-seen &&
			(i == w.epoch-1 || c.since[i+1] > now-2*maxDelay) {
			return false
		}
	}
	return true
}
