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
	// Sag is how far, in ms, its clock may have run ahead of Offset.
	Sag  uint16
	Slot uint8
	// Settled says that enough words had shown it.
	Settled bool
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
		Blind: c.blind, Used: c.table.used,
	}
	for i, f := range c.former {
		s.Former[i] = FormerState{Offset: f.least, Until: f.until, Sag: f.sag, Slot: f.slot, Settled: f.settled}
	}
	for i, t := range c.table.of {
		s.Slots[i].Since = t.since
		if c.table.links&(1<<i) == 0 {
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
		begun: s.Begun, told: s.Told, blind: s.Blind, table: table{used: s.Used},
	}
	for i, f := range s.Former {
		c.former[i] = former{
			epoch: epoch{least: f.Offset, slot: f.Slot}, until: f.Until, sag: f.Sag, settled: f.Settled,
		}
		if f.Until == open {
			c.former[i].sag = anySag // for how long nobody listened is not known
		}
	}
	for i, t := range s.Slots {
		c.table.of[i] = slot{since: t.Since, mark: uint64(t.Base)}
	}
	return c
}
