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
	Way      int // by which of the speaker's ways it comes

	// Link is the ordered transport that it comes by, zero for a datagram;
	// Repeated is the T bit.
	Link        uint64
	Repeated    bool
	Order       uint32
	OriginState uint32
	// State is the Origin-State-Id that a connection shows when it is opened, of
	// NodeUp; zero if it shows none.
	State uint32

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

// word begins a word of a voice with what all of them have.
func (w *world) word(v *voice, kind binding.Kind) *Word {
	word := &Word{
		Kind: kind, Source: v.source, Owner: v.owner, Node: v.name, Observed: v.observed(), Octets: v.octets(),
		OriginState: v.originState, Way: w.way(v),
		truth: truth{at: w.now, stamped: w.now, voice: v, restart: never},
	}
	if v.originState != 0 {
		word.restart = v.lastState
	}
	if v.alias != "" {
		switch w.r.IntN(4) {
		case 0:
			word.Node = v.alias
		case 1, 2:
			word.Also = v.alias
		}
	}
	if v.clock != nil {
		word.epoch = v.clock.present
		if v.slip != 0 {
			word.epoch = v.clock.slip(w.now, v.slip)
			v.slip, v.settled = 0, 0
		}
		word.Stamp = v.clock.stamp(w.now, word.epoch, v.manner.rounded)
	}
	word.Delayed = v.manner.delays
	return word
}

// nodeWord is a word about a node.
func (w *world) nodeWord(v *voice, kind binding.Kind) *Word {
	word := w.word(v, kind)
	if kind == binding.NodeRestart {
		word.restart = w.now
		if v.wire == nil { // its identifiers begin anew, so two in one second are the same octets
			word.Octets = uint64(v.id)<<32 | 1<<31 | uint64(word.Stamp.Unix())&(1<<31-1)
		}
	}
	if kind == binding.NodeUp || kind == binding.NodeDown { // the edge says so
		word.Stamp, word.OriginState, word.restart = time.Time{}, 0, never
		if kind == binding.NodeUp {
			if word.State = w.shown(v); word.State != 0 {
				word.restart = v.lastState
			}
		}
	}
	return word
}

// sessionWord is what a source says of a session now.
func (w *world) sessionWord(l *leg, kind binding.Kind) *Word {
	v, s, r := l.voice, l.stay, w.r
	m := &v.manner
	word := w.word(v, kind)
	word.Session, word.APN, word.leg, word.sim = l.session, s.domain.apn, l, s.sim
	if v.source == binding.SourceGx {
		l.order++
		word.Order = l.order
	}
	if m.ages {
		word.Age, word.Aged = (w.now - s.begin).duration().Truncate(time.Second), true
	}
	if l.said++; r.Float64() >= m.nameless {
		if m.imsi {
			word.IMSI = s.sim.imsi
		}
		if m.number {
			word.MSISDN = s.sim.number()
		}
	}
	switch kind {
	case binding.SessionStart:
		if r.Float64() >= m.bareStart {
			word.Addrs, word.Complete = s.held(), m.complete
		}
	case binding.SessionUpdate:
		if r.Float64() >= m.bare {
			word.Addrs, word.Complete = s.held(), m.complete
		}
	case binding.SessionStop:
		if m.stopAddrs {
			word.Addrs = s.held()
		}
	}
	if w.p.Words.Contexts > 0 && v.source == binding.SourceRADIUS {
		word.Contexts, word.Last = s.bearer, kind == binding.SessionStop
	}
	w.fit(word)
	w.mark(word)
	return word
}

// firstContext is a bearer context by its NSAPI, as bits.
const firstContext = 1 << 5

// contextWord tells of a bearer context beside the session's first one: that it
// was added, or that it was taken away.
func (w *world) contextWord(l *leg) *Word {
	kind := binding.SessionUpdate
	if l.second {
		kind = binding.SessionStop
	}
	word := w.sessionWord(l, kind)
	word.Contexts, word.Last = l.stay.bearer<<1, false
	l.second = !l.second
	return word
}

// mark remembers who spoke of which plot.
func (w *world) mark(word *Word) {
	for _, c := range word.leg.stay.claims {
		c.plot.voices |= 1 << word.voice.id
	}
}

// lostNews is what a capture says that knows that it missed something.
func (w *world) lostNews(source binding.Source) *Word {
	return &Word{
		Kind: binding.NewsLost, Source: source, Observed: true,
		truth: truth{at: w.now, stamped: w.now, restart: never},
	}
}
