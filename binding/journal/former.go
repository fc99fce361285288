package journal

import "github.com/simbind/simbind/binding"

// Rows of sessions and nodes as they were before there were bounds (format 1).
// They are read, and written anew when they change.

// The flags of such a session row.
const (
	formerEnded = 1 << iota
	formerContexts
	formerFollowed // Via and Doubt follow
	formerTold     // each hold has Told
	formerDirectory
)

// formerShared in a hold: other sessions claim the address too.
const formerShared = -1

func decodeFormerSession(value []byte, r *binding.SessionRow, holds []binding.HoldRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	flags := in.byte()
	if flags&^(formerEnded|formerContexts|formerFollowed|formerTold|formerDirectory) != 0 {
		return errMalformed
	}
	r.Ended, r.Directory = flags&formerEnded != 0, flags&formerDirectory != 0
	r.Node = uint16(in.uint(16))
	r.Former = &binding.FormerTimes{Epoch: uint32(in.uint(32))}
	r.Former.Start = in.int()
	r.Former.Last = r.Former.Start + in.int()
	r.Seen = r.Former.Last + in.int()
	r.Lease = uint32(in.uint(32))
	if flags&formerContexts != 0 {
		r.Contexts = uint16(in.uint(16))
	}
	if flags&formerFollowed != 0 {
		r.Via, r.Doubt = uint16(in.uint(16)), in.reason()
	}
	in.subject(r)
	r.Holds = in.holds(holds, func(h *binding.HoldRow) {
		h.Since = r.Former.Start + in.int()
		h.Version = in.uint(64)
		ending := in.int()
		h.Shared, h.Ending = ending == formerShared, ending > 0
		if flags&formerTold != 0 {
			h.Told = in.reason()
		}
	})
	return in.close()
}

// Flags beside the source of such a node row.
const (
	formerObserved = 0x80 // it is only overheard
	formerDoubted  = 0x40 // Down and Trust follow
	formerForgot   = 0x20 // the time of a forgotten stop follows
)

func decodeFormerNode(value []byte, r *binding.NodeRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	source := in.byte()
	r.Source, r.Observed = binding.Source(source&^(formerObserved|formerDoubted|formerForgot)), source&formerObserved != 0
	r.Former = true
	in.uint(32) // its epoch: one more than its restarts
	r.Restart = in.int()
	r.Restarts = in.uint(64)
	if source&formerDoubted != 0 {
		r.Down, r.Trust = in.int(), in.int()
	}
	if source&formerForgot != 0 {
		in.int()
	}
	r.Name = in.string()
	return in.close()
}
