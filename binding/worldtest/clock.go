package worldtest

import (
	"math/rand/v2"
	"time"
)

// A clock is a node's own: ours plus an offset that may be anything, wander a
// little and be set again. An epoch is the time between two settings; a single
// bad stamp is an epoch of its own.
type clock struct {
	id      int
	offsets []tick // of each epoch
	since   []tick // its true beginning
	single  []bool // it is one bad stamp
	present int    // the epoch now

	steady bool // it is never set
	wander tick // how far it goes to each side
	period tick
}

func newClock(id int, offset, wander tick) *clock {
	return &clock{
		id: id, offsets: []tick{offset}, since: []tick{never}, single: []bool{false},
		wander: wander, period: 40 * minute,
	}
}

// set moves the clock by some time.
func (c *clock) set(now, by tick) {
	c.begin(now, c.offsets[c.present]+by, false)
	c.present = len(c.offsets) - 1
}

// slip makes an epoch for one bad stamp, and a new one after it.
func (c *clock) slip(now, by tick) (epoch int) {
	was := c.offsets[c.present]
	c.begin(now, was+by, true)
	epoch = len(c.offsets) - 1
	c.begin(now+1, was, false)
	c.present = epoch + 1
	return epoch
}

func (c *clock) begin(now, offset tick, single bool) {
	c.offsets = append(c.offsets, offset)
	c.since = append(c.since, now)
	c.single = append(c.single, single)
}

// reads is what the clock shows at a true time, in milliseconds.
func (c *clock) reads(at tick, epoch int) tick {
	t := at + c.offsets[epoch]
	if c.wander > 0 { // a triangle between -wander and +wander
		phase := at % c.period
		t += 4*c.wander*min(phase, c.period-phase)/c.period - c.wander
	}
	return t
}

// stamp is what a node writes into a message.
func (c *clock) stamp(at tick, epoch int, rounded bool) time.Time {
	t := c.reads(at, epoch).time()
	if rounded {
		return t.Round(time.Second)
	}
	return t.Truncate(time.Second)
}

// disturbed is when the clock was last set, never if it was not.
func (c *clock) disturbed() tick { return c.since[len(c.since)-1] }

// stride draws by how much a clock is set: from a second to a day, small steps
// as likely as great ones, forward or back.
func stride(r *rand.Rand) tick {
	scales := [...]tick{second, 2 * second, 10 * second, minute, 5 * minute, hour, 24 * hour}
	i := r.IntN(len(scales))
	by := scales[i]
	if r.IntN(2) == 0 {
		by = second + tick(r.Int64N(int64(by)))
	}
	if r.IntN(2) == 0 {
		return -by
	}
	return by
}
