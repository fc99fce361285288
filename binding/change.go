package binding

import (
	"fmt"
	"time"
)

// A ChangeKind names what changed about the binding of an address.
type ChangeKind uint8

// The kinds of changes, as they appear in NATS subjects.
const (
	Bound     ChangeKind = iota + 1 // an address has a holder
	Updated                         // same SIM, other attributes or session
	Moved                           // the address went to another SIM
	Released                        // nobody holds the address any more
	Conflict                        // living sessions name different SIMs: of nodes or sources that disagree, or of one node in unknown order
	SIMChange                       // an MSISDN has another IMSI, or an IMSI another IMEI (rule T13)
	changeKinds
)

var changeNames = [changeKinds]string{"none", "bound", "updated", "moved", "released", "conflict", "simchange"}

func (k ChangeKind) String() string {
	if k < changeKinds {
		return changeNames[k]
	}
	return fmt.Sprintf("change%d", uint8(k))
}

// ParseChangeKind is the inverse of String.
func ParseChangeKind(s string) (ChangeKind, error) {
	for i, name := range changeNames {
		if name == s && i != 0 {
			return ChangeKind(i), nil
		}
	}
	return 0, fmt.Errorf("unknown change %q", s)
}

// A Subscriber is who holds a binding, as far as is known.
type Subscriber struct {
	MSISDN MSISDN
	IMSI   IMSI
	IMEI   IMEI
}

// A Change is one published step of the truth about one address (or, for
// SIMChange, about one subscriber). Changes of a site are numbered without
// gaps.
type Change struct {
	Seq  uint64 // from 1, in order, per incarnation of the journal
	Kind ChangeKind
	// At is when the Registry decided, EventTime when the network says that it
	// happened. Both in whole milliseconds, UTC.
	At, EventTime time.Time

	Domain string
	Addr   Address // zero for SIMChange
	Now    Subscriber
	// Was is the former holder, for Moved, Released, Conflict and SIMChange.
	Was Subscriber

	APN     string
	RAT     RAT
	Node    string
	Sources SourceSet
	// State and Reason say whether the binding can be relied on: StateBound, or
	// why not. A state that changes without an event is an Updated of its own.
	State  State
	Reason Reason
	// Why says what caused it: "start", "update", "stop", "node-restart",
	// "lease", "linger", "operator", "capacity", "superseded", "state", "sim",
	// "device", "takeover" (see Registry.Restate).
	Why string
}

// A SourceSet is a set of sources, bit n for Source n.
type SourceSet uint8

// Has reports whether s is in the set.
func (set SourceSet) Has(s Source) bool { return set&(1<<s) != 0 }

// Add returns the set with s.
func (set SourceSet) Add(s Source) SourceSet { return set | 1<<s }

// List is the set in the order of the constants.
func (set SourceSet) List() []Source {
	var list []Source
	for s := range Sources {
		if set.Has(s) {
			list = append(list, s)
		}
	}
	return list
}

// Names is the set as words.
func (set SourceSet) Names() []string {
	names := []string{}
	for _, s := range set.List() {
		names = append(names, s.String())
	}
	return names
}

// A Place is an address in its domain.
type Place struct {
	Domain string
	Addr   Address
}
