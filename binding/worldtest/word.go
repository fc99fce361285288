package worldtest

import (
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
)

// A Word is one message of a gateway in the form of no protocol: an event can
// be made of it, and so can a packet.
type Word struct {
	Kind     binding.Kind
	Source   binding.Source
	Owner    string
	Node     string
	Also     string
	Session  string
	Observed bool

	// Link is the ordered transport that it comes by, zero for a datagram;
	// Repeated is the T bit.
	Link        uint64
	Repeated    bool
	Order       uint32
	OriginState uint32

	// Stamp is the node's own time in whole seconds, zero if it tells none.
	Stamp   time.Time
	Delay   time.Duration
	Delayed bool
	Age     time.Duration
	Aged    bool

	IMSI     binding.IMSI
	MSISDN   binding.MSISDN
	APN      string
	Addrs    []binding.Address
	Complete bool
	Gone     []binding.Address
	Contexts uint16
	Last     bool

	// Octets is the same for words that are the same octets on the wire.
	Octets uint64

	truth
}

// truth is what a Word does not tell the subject.
type truth struct {
	at      tick   // when what it says was so
	stamped tick   // the true time of its stamp: at, or when it was sent
	epoch   int    // of the clock that stamped it
	leg     *leg   // nil for words of a node
	voice   *voice // nil for a directory's
	sim     *sim   // whose session, or whom a directory names
	restart tick   // of a word that tells of a restart, when that was; else never
}

// Event is the word as a binding event that arrived at a moment of our clock.
func (w *Word) Event(arrived time.Time) binding.Event {
	return binding.Event{
		Kind: w.Kind, Source: w.Source, Owner: w.Owner, Node: w.Node, Also: w.Also, Session: w.Session,
		Observed: w.Observed, Arrived: arrived, Time: w.Stamp, Delay: w.Delay, Delayed: w.Delayed,
		Age: w.Age, Aged: w.Aged, Link: w.Link, Repeated: w.Repeated, Order: w.Order, OriginState: w.OriginState,
		IMSI: w.IMSI, MSISDN: w.MSISDN, APN: w.APN,
		Addrs: slices.Clone(w.Addrs), Complete: w.Complete, Gone: slices.Clone(w.Gone),
		Contexts: w.Contexts, Last: w.Last,
	}
}

// living reports whether the word says that its session goes on.
func (w *Word) living() bool {
	return w.Kind == binding.SessionStart || w.Kind == binding.SessionUpdate
}

// ends reports whether the word says that its session is over.
func (w *Word) ends() bool {
	return w.Kind == binding.SessionStop && (w.Contexts == 0 || w.Last)
}
