package clock

// A State is what of a Clock must survive a crash, of fixed size. It goes into
// the commit of the word that changed it.
type State struct {
	// Offset is the least that an arrival was above its stamp in the present
	// epoch, in ms; Slot is that epoch's, zero for none.
	Offset int64
	Slot   uint8
	// Told and Begun are what the node has told so far.
	Told  uint8
	Begun bool
	// Blind is until when, in unix s, stamps do not count.
	Blind uint32
	// Used says by bit which slots ever had a meaning.
	Used uint16
	// Former are the epochs before the present one.
	Former [formers]FormerState
	// Slots are the meanings of slots 1 to 15.
	Slots [slots]SlotState
}

// A FormerState is one former epoch of a [State].
type FormerState struct {
	// Offset and Slot are as those of the present epoch.
	Offset int64
	// Until is until when, in unix s, the epoch matters; zero for none.
	Until uint32
	Slot  uint8
}

// A SlotState is the meaning of one slot of a [State].
type SlotState struct {
	// Since is as [Clock.SlotSince] has it, Base the shift of its node times.
	Since, Base int64
}

// Keep is the state to be stored. [Clock.Changed] is false from then on.
func (c *Clock) Keep() State {
	c.changed = false
	s := State{
		Offset: c.least, Slot: c.slot, Told: c.told, Begun: c.begun,
		Blind: c.blind, Used: c.used,
	}
	for i, f := range c.former {
		s.Former[i] = FormerState{Offset: f.least, Until: f.until, Slot: f.slot}
	}
	for i, t := range c.slots {
		s.Slots[i].Since = t.since
		if c.links&(1<<i) == 0 {
			s.Slots[i].Base = int64(t.mark)
		}
	}
	return s
}

// Changed reports whether Keep would say anything else than when it was last
// called, or, if it never was, than of a node that was never heard.
func (c *Clock) Changed() bool { return c.changed }

// Restore is the Clock of a state that was kept. What counts and what waits in
// a window begins anew, so stamps say nothing until enough words were heard;
// but it is not first contact. A link is a new one.
func Restore(s State) Clock {
	c := Clock{
		epoch: epoch{least: s.Offset, slot: s.Slot}, met: true, stale: true,
		begun: s.Begun, told: s.Told, blind: s.Blind, used: s.Used,
	}
	for i, f := range s.Former {
		c.former[i] = former{least: f.Offset, slot: f.Slot, until: f.Until}
		if f.Until == open {
			// How far it drifted while nobody listened is not known.
			c.changed = c.changed || c.blind != open
			c.blind = open
		}
	}
	for i, t := range s.Slots {
		c.slots[i] = slot{since: t.Since, mark: uint64(t.Base)}
	}
	return c
}
