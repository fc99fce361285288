package clock

// Limits are how late a word may come, in ms.
type Limits struct {
	// MaxDelay is how long after it happened anything may be heard.
	MaxDelay int64
	// Blind is the same for a node that tells no time. A client may have its own
	// ([Word.Blind]).
	Blind int64
	// Flight is the same for an ordered transport, of what is not repeated.
	Flight int64
}

// Defaults are five minutes, thirty seconds and 300 ms.
func Defaults() Limits {
	return Limits{MaxDelay: 5 * 60 * 1000, Blind: 30 * 1000, Flight: 300}
}

// A Word is what one message tells of its time.
type Word struct {
	// Arrived is its arrival by our clock, in unix ms.
	Arrived int64
	// Stamp is the node's own time of the event or of the sending, in unix ms
	// but whole seconds. Stamped says that there is one.
	Stamp   int64
	Stamped bool
	// Delay is for how long the node has been trying to send it, in ms but whole
	// seconds. Delayed says that the node tells so, if only zero.
	Delay   int64
	Delayed bool
	// Link is the ordered transport that it came by, by a number that is never
	// used again; zero is a datagram. A link's words are given in their order,
	// and a stamp on one is not read.
	Link uint64
	// Repeated says that what came by a link may have been sent before (T bit).
	Repeated bool
	// Blind stands for [Limits.Blind] unless it is zero.
	Blind int64
}

// All that is measured is measured in ms.
const (
	resolution = 1000                // of stamps and delays
	onTime     = 100                 // a word on its way for less is on time (A4)
	tolerance  = resolution + onTime // by which an offset is known at best
	enough     = 8                   // words in a row of which one is on time (A4)
)

// slip is how far a clock that keeps its rate as A3 says, to 1.1 s in five
// minutes, gets away in ms.
func slip(ms int64) int64 { return ms*11/3000 + 1 }

// A Clock is what is known of one node's clock. The zero Clock is that of a
// node that was never heard. It is used by one goroutine at a time.
type Clock struct {
	heard int64 // the latest arrival so far
	epoch       // the present one

	begun   bool // there is a present epoch
	met     bool // known from before: this is not first contact
	first   bool // first contact, until the first epoch settles or is left
	stale   bool // the present epoch has not settled since it was restored
	changed bool
	told    uint8 // which kinds of time it has told

	window window
	back   returning
	recent recent
	former [formers]former
	blind  uint32 // unix s until when a former epoch that found no room matters

	used  uint16 // by bit: slots that ever had a meaning
	links uint16 // by bit: slots that are links of this run
	slots [slots]slot
}

// An epoch is a time in which the clock was not set, as far as we saw.
type epoch struct {
	least int64 // the least that an arrival was above its stamp: the offset
	slot  uint8 // of its node time; zero: it has none yet
	n     uint8 // words in a row that showed it, up to enough: it is settled
}

// The kinds of time that a node may have told.
const (
	toldStamp = 1 << iota
	toldDelay
	toldLink
)

// Hear takes the next word of the node and returns the bounds of the moment at
// which what it says happened. late is how much earlier than its arrival that
// was as far as the clock tells, at least zero: a lease runs from then.
func (c *Clock) Hear(w Word, l *Limits) (lo, hi Bound, late int64) {
	delay := int64(0)
	if w.Delayed {
		delay = max(w.Delay, 0)
		c.tell(toldDelay)
	}
	lo.Our = w.Arrived - l.MaxDelay
	hi.Our = w.Arrived - max(delay-resolution, 0)
	if delay > l.MaxDelay {
		lo.Our -= delay // it says itself that it is older than anything should be
	}
	late = delay
	switch {
	case w.Link != 0:
		c.tell(toldLink)
		c.byLink(&w, delay, l, &lo, &hi)
	case w.Stamped:
		c.tell(toldStamp)
		late = c.byStamp(&w, delay, l, &lo, &hi)
	case c.told&toldStamp != 0:
		// It does not tell what it could: that may be as late as anything.
	case w.Delayed:
		lo.Our = w.Arrived - delay - resolution - tolerance
	default:
		lo.Our = w.Arrived - l.Blind
		if w.Blind != 0 {
			lo.Our = w.Arrived - w.Blind
		}
	}
	c.heard = max(c.heard, w.Arrived)
	return lo, hi, late
}

func (c *Clock) tell(kind uint8) {
	if c.told&kind == 0 {
		c.told |= kind
		c.changed = true
	}
}

// byLink gives the word its place in the order of its link. One that is sent
// again, as it says itself, happened before its place.
func (c *Clock) byLink(w *Word, delay int64, l *Limits, lo, hi *Bound) {
	hi.Epoch = c.slotOfLink(w.Link, w.Arrived)
	from, to := c.slots[hi.Epoch-1].tick(w.Arrived)
	hi.Node = to
	switch {
	case w.Repeated:
	case delay > 0:
		lo.Our = w.Arrived - delay - resolution - l.Flight
	default:
		lo.Our = w.Arrived - l.Flight
		lo.Node, lo.Epoch = from, hi.Epoch
	}
}

// byStamp reads the stamp as far as the clock is known.
func (c *Clock) byStamp(w *Word, delay int64, l *Limits, lo, hi *Bound) (late int64) {
	arrived, d := w.Arrived, w.Arrived-w.Stamp
	gap := c.recent.gap(arrived, c.heard)
	c.recent.note(arrived, gap, l)
	if !c.place(arrived, d, delay, l) {
		return delay
	}
	low, sure, alone := c.earliest(d, delay, l)
	// The two readings of a delay: it is in the stamp already, or still to be
	// taken off. It is true to a second.
	told := w.Stamp - delay
	if delay > 0 {
		told -= resolution
	}
	over := max(d-low, 0)
	if over > 2*tolerance {
		gap = max(gap, over, c.recent.ofLate())
	}
	drift := slip(gap + 2*tolerance)
	if sure {
		lo.Our = max(lo.Our, told+low-tolerance-drift)
		late = min(over, l.MaxDelay)
	}
	if alone && (sure || c.first) {
		base := c.slots[c.slot-1].base(arrived)
		hi.Epoch = c.slot
		hi.Node = hi.Our - c.least + tolerance + drift + base
		if !sure {
			// How late it is nobody knows yet, but not what its own clock showed.
			hi.Node = max(hi.Node, w.Stamp+resolution-1+base)
		}
		if delay == 0 {
			lo.Epoch = c.slot
			lo.Node = told + base
			if sure {
				lo.Node -= drift
			}
		}
	}
	return max(late, delay)
}

// earliest is the least offset, as an arrival less its stamp, that explains a
// word which the present epoch explains; whether that is known well enough to
// be used, and whether no epoch from before the present one gives less.
func (c *Clock) earliest(d, delay int64, l *Limits) (low int64, sure, alone bool) {
	low, sure, alone = c.least, c.n >= enough, true
	// Twice: a clock set back by less than MaxDelay may hide in that epoch.
	reach := 2*(l.MaxDelay+tolerance) + delay
	for i := range c.former {
		f := &c.former[i]
		if f.until == 0 || f.least >= c.least || d > f.least+reach {
			continue
		}
		alone = false
		low = min(low, f.least)
	}
	return low, sure && c.blind == 0, alone && c.blind == 0
}

// TellsNoTime reports whether nothing heard so far told any time: neither stamp
// nor delay nor ordered link. Nothing is known of the order of such a node's
// words but by [Limits.Blind].
func (c *Clock) TellsNoTime() bool { return c.told == 0 }

// Offset is how far the node's clock is ahead of ours, in ms and true to about
// a second, and whether enough words have shown it.
func (c *Clock) Offset() (ms int64, settled bool) { return -c.least, c.n >= enough }
