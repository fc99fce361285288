package journal

import (
	"encoding/binary"
	"time"

	"github.com/simbind/simbind/binding"
)

// groupMax is how many changes one outbox entry holds at most. Entries of one
// batch start at Changes[0].Seq, +groupMax, +2·groupMax…
const groupMax = 256

// The flags of a change: which of its strings repeat those of the change before
// it in the group, and whether it has an address.
const (
	sameDomain = 1 << iota
	sameAPN
	sameNode
	sameWhy
	withAddr
	withState // another one than is usual for its kind
	changeFlags
)

// usual is the state that most changes of a kind have.
func usual(kind binding.ChangeKind) (binding.State, binding.Reason) {
	switch kind {
	case binding.Released:
		return binding.StateReleased, binding.ReasonEnded
	case binding.Conflict:
		return binding.StateAmbiguous, binding.ReasonConflict
	case binding.SIMChange:
		return binding.StateReleased, binding.ReasonBound
	}
	return binding.StateBound, binding.ReasonBound
}

// appendGroup encodes changes that follow each other in number; the number of
// the first is in the key.
func appendGroup(b []byte, changes []binding.Change) []byte {
	b = append(b, format)
	b = binary.AppendUvarint(b, uint64(len(changes)))
	var before binding.Change
	var at int64
	for i := range changes {
		c := &changes[i]
		b = append(b, byte(c.Kind), repeats(&before, c))
		now := c.At.UnixMilli()
		b = binary.AppendVarint(b, now-at)
		b = binary.AppendVarint(b, c.EventTime.UnixMilli()-now)
		b = appendStrings(b, &before, c)
		if c.Addr.Prefix.IsValid() {
			b = appendAddress(b, &c.Addr)
		}
		b = appendSubscriber(b, &c.Now)
		b = appendSubscriber(b, &c.Was)
		b = append(b, byte(c.RAT), byte(c.Sources))
		if state, reason := usual(c.Kind); c.State != state || c.Reason != reason {
			b = append(b, byte(c.State), byte(c.Reason))
		}
		before.Domain, before.APN, before.Node, before.Why = c.Domain, c.APN, c.Node, c.Why
		at = now
	}
	return b
}

func repeats(before, c *binding.Change) byte {
	var flags byte
	if c.Domain == before.Domain {
		flags |= sameDomain
	}
	if c.APN == before.APN {
		flags |= sameAPN
	}
	if c.Node == before.Node {
		flags |= sameNode
	}
	if c.Why == before.Why {
		flags |= sameWhy
	}
	if c.Addr.Prefix.IsValid() {
		flags |= withAddr
	}
	if state, reason := usual(c.Kind); c.State != state || c.Reason != reason {
		flags |= withState
	}
	return flags
}

func appendStrings(b []byte, before, c *binding.Change) []byte {
	if c.Domain != before.Domain {
		b = appendString(b, c.Domain)
	}
	if c.APN != before.APN {
		b = appendString(b, c.APN)
	}
	if c.Node != before.Node {
		b = appendString(b, c.Node)
	}
	if c.Why != before.Why {
		b = appendString(b, c.Why)
	}
	return b
}

// decodeCount reads how many changes a group holds: 1 to groupMax.
func decodeCount(value []byte) (uint64, input, error) {
	in, err := openValue(value)
	if err != nil {
		return 0, in, err
	}
	n := in.uint(16)
	if in.bad || n == 0 || n > groupMax {
		return 0, in, errMalformed
	}
	return n, in, nil
}

// decodeGroup appends to list the changes numbered after+1 to upto of the group
// that starts at first, at most limit of them.
func decodeGroup(list []binding.Change, first uint64, value []byte, after, upto uint64, limit int) ([]binding.Change, error) {
	n, in, err := decodeCount(value)
	if err != nil {
		return list, err
	}
	start := len(list)
	var c binding.Change
	var at int64
	for i := range n {
		in.change(&c, &at)
		if in.bad {
			return list[:start], errMalformed
		}
		c.Seq = first + i
		if c.Seq > after && c.Seq <= upto && len(list)-start < limit {
			list = append(list, c)
		}
	}
	if err := in.close(); err != nil {
		return list[:start], err
	}
	return list, nil
}

// change reads the change that follows c, whose time of decision was at.
func (in *input) change(c *binding.Change, at *int64) {
	c.Kind = binding.ChangeKind(in.byte())
	flags := in.byte()
	if flags >= changeFlags {
		in.fail()
		return
	}
	*at += in.int()
	c.At = time.UnixMilli(*at).UTC()
	c.EventTime = time.UnixMilli(*at + in.int()).UTC()
	if flags&sameDomain == 0 {
		c.Domain = in.string()
	}
	if flags&sameAPN == 0 {
		c.APN = in.string()
	}
	if flags&sameNode == 0 {
		c.Node = in.string()
	}
	if flags&sameWhy == 0 {
		c.Why = in.string()
	}
	c.Addr = binding.Address{}
	if flags&withAddr != 0 {
		in.address(&c.Addr)
	}
	in.subscriber(&c.Now)
	in.subscriber(&c.Was)
	c.RAT = binding.RAT(in.byte())
	c.Sources = binding.SourceSet(in.byte())
	if c.State, c.Reason = usual(c.Kind); flags&withState != 0 {
		c.State, c.Reason = binding.State(in.byte()), binding.Reason(in.byte())
		if !c.State.Valid() || !c.Reason.Valid() {
			in.fail()
		}
	}
}
