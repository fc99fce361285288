package clock

// slots is how many epochs have node times that can be told apart.
const slots = 15

// A slot is the meaning of the node times that are told in it.
type slot struct {
	since int64  // our ms since when it has its meaning; zero: from the start
	last  int64  // the last node time of a link; the last arrival of a wall clock
	mark  uint64 // the number of a link; the shift of a wall clock
	heard int64  // the last arrival by a link
}

// SlotSince is since when, in unix ms by our clock, that slot has its present
// meaning; zero if it never had another. A Bound told in it whose Our is less
// is of the other and must lose its node time ([Bound.Since]).
func (c *Clock) SlotSince(epoch uint8) int64 {
	if epoch == 0 || epoch > slots {
		return 0
	}
	return c.slots[epoch-1].since
}

// take gives a slot a new meaning: one that never had any, else the least
// recently used. The slots of the epochs that may come back stay.
func (c *Clock) take(arrived int64, mark uint64, link bool) uint8 {
	kept := uint16(1) << c.slot >> 1
	for i := range c.former {
		if c.former[i].until != 0 {
			kept |= 1 << c.former[i].slot >> 1
		}
	}
	at := -1
	for i := range c.slots {
		bit := uint16(1) << i
		if c.used&bit == 0 {
			at = i
			break
		}
		if kept&bit == 0 && (at < 0 || c.lastUse(i) < c.lastUse(at)) {
			at = i
		}
	}
	bit, since := uint16(1)<<at, int64(0)
	if c.used&bit != 0 {
		// All that was told in it has an Our no later than the last arrival.
		since = arrived
		if c.heard != 0 {
			since = c.heard + 1
		}
	}
	c.slots[at] = slot{since: since, mark: mark}
	c.used |= bit
	c.links &^= bit
	if link {
		c.links |= bit
	}
	c.changed = true
	return uint8(at + 1)
}

// lastUse is in ms by our clock.
func (c *Clock) lastUse(i int) int64 {
	if c.links&(1<<i) != 0 {
		return c.slots[i].last / ticksPerMS
	}
	return c.slots[i].last
}

// slotOfLink is the slot of a link, a new one if it was never heard.
func (c *Clock) slotOfLink(link uint64, arrived int64) uint8 {
	for i := range c.slots {
		if c.slots[i].mark == link && c.links&(1<<i) != 0 {
			return uint8(i + 1)
		}
	}
	return c.take(arrived, link, true)
}

// tick is the next node time of a link, as bounds. It follows our clock and never
// stands. What is told out of the order of its arrival, as an answer had to be
// awaited, has its place somewhere from its arrival on.
func (s *slot) tick(arrived int64) (from, to int64) {
	to = max(arrived*ticksPerMS, s.last+1)
	if from = to; arrived < s.heard {
		from = arrived * ticksPerMS
	}
	s.last, s.heard = to, max(s.heard, arrived)
	return from, to
}

// base is what the node times of a wall clock are shifted by.
func (s *slot) base(arrived int64) int64 {
	s.last = max(s.last, arrived)
	return int64(s.mark)
}
