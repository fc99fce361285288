package gtp

import (
	"math"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/wire"
)

// Options bound a Follower. Zero values are replaced by the usual ones.
type Options struct {
	Sessions int           // that are remembered, of each version: 1 000 000
	Requests int           // that wait for their response: 65 536
	Wait     time.Duration // how long they wait, retransmissions included: 30 s
	// Link is the number of the capture; see [binding.Event].
	Link uint64
	// Silence is how long a node without a rhythm has to be silent; see package
	// silence. Zero: it never is.
	Silence time.Duration
	// Room says whether the ends of many sessions can be told; nil: always.
	Room func() bool
}

func (o Options) withDefaults() Options {
	if o.Sessions == 0 {
		o.Sessions = 1_000_000
	}
	if o.Requests == 0 {
		o.Requests = 1 << 16
	}
	if o.Wait == 0 {
		o.Wait = 30 * time.Second
	}
	return o
}

// A Follower pairs requests with responses and knows the sessions they made.
// One goroutine at a time uses it.
type Follower struct {
	sessions [2]*pairing.Sessions[session] // of GTPv1 and GTPv2
	requests *pairing.Table[requestKey, request]
	early    pairing.Early[requestKey]
	peers    peers
	outbox   pairing.Outbox[session]
	link     uint64
	now      time.Time
	counts   Counts
}

// An entry is a remembered session.
type entry = pairing.Session[session]

// A requestKey joins a response with its request.
type requestKey struct {
	asker   netip.AddrPort
	asked   netip.Addr
	version uint8
	kind    uint8 // of the request
	seq     uint32
}

// A request waits for its response.
type request struct {
	key      requestKey
	at       time.Time
	digest   uint64 // a repetition is equal, octet for octet
	answered bool
	v1       *message1
	v2       *message2
	// of is the session that the request names; for a release of connection
	// sets, or of all that an SGW endpoint has, several.
	of []*entry
}

// New makes a Follower whose events go to emit.
func New(emit func(binding.Event), o Options) *Follower {
	o = o.withDefaults()
	f := &Follower{link: o.Link}
	f.outbox = pairing.NewOutbox(emit, o.Room, f.stopped)
	f.peers = newPeers(o.Silence, f.heardOrNot)
	for i := range f.sessions {
		f.sessions[i] = pairing.NewSessions(o.Sessions, f.evict)
	}
	f.requests = pairing.New(o.Requests, o.Wait, f.unanswered)
	f.early = pairing.NewEarly[requestKey](func() { f.counts.Unpaired++ })
	return f
}

// maxMessages bounds the messages of one packet.
const maxMessages = 256

// Packet reads the messages of one datagram.
func (f *Follower) Packet(p *wire.Packet) {
	f.now = p.Time
	f.requests.Expire(p.Time)
	f.early.Expire(p.Time)
	f.peers.watch.Advance(p.Time)
	f.outbox.Drain(endingsAtOnce)
	b := p.Payload
	for range maxMessages {
		h, body, rest, err := next(b)
		switch {
		case err != nil && p.Cut:
			f.counts.Cut++
			return
		case err != nil:
			f.counts.Malformed++
			return
		case h.version == versionOther:
			f.counts.Other++
			return
		}
		f.counts.Messages++
		f.peers.heard(p.Src.Addr(), h.kind <= echoResponse, p.Time)
		f.message(p, h, body, hash(b[:len(b)-len(rest)]))
		if b = rest; len(b) < 8 {
			return // padding, if anything
		}
	}
}

func (f *Follower) message(p *wire.Packet, h header, body []byte, digest uint64) {
	var err error
	if h.version == 2 {
		var m message2
		if m, err = newMessage2(h, body); err == nil {
			f.digits(m.badDigits)
			f.follow2(p, &m, digest)
		}
	} else if interesting1(h.kind) {
		var m message1
		if m, err = newMessage1(h, body); err == nil {
			f.digits(m.badDigits)
			f.follow1(p, &m, digest)
		}
	}
	if err != nil {
		f.counts.Malformed++
	}
}

func (f *Follower) digits(bad bool) {
	if bad {
		f.counts.BadIdentity++
	}
}

// Advance lets time pass.
func (f *Follower) Advance(now time.Time) {
	f.now = now
	f.requests.Expire(now)
	f.early.Expire(now)
	f.peers.watch.Advance(now)
	f.outbox.Drain(math.MaxInt)
}

// ask remembers a request. It returns nil for a repetition.
func (f *Follower) ask(p *wire.Packet, h header, digest uint64) *request {
	key := requestKey{asker: p.Src, asked: p.Dst.Addr(), version: h.version, kind: h.kind, seq: h.seq}
	if had := f.requests.Get(key); had != nil && had.digest == digest {
		f.counts.Repeated++
		return nil
	}
	return f.requests.Put(p.Time, key, request{key: key, at: p.Time, digest: digest})
}

// answer finds the request of a response. It returns nil if it was answered
// before, or if none was seen: should it come in a moment, again is called.
func (f *Follower) answer(p *wire.Packet, h header, kind uint8, again func(*wire.Packet)) *request {
	key := requestKey{asker: p.Dst, asked: p.Src.Addr(), version: h.version, kind: kind, seq: h.seq}
	r := f.requests.Get(key)
	switch {
	case r == nil:
		ends := wire.Packet{Time: p.Time, Src: p.Src, Dst: p.Dst, Proto: p.Proto} // its payload is read
		f.early.Put(p.Time, key, func() { again(&ends) })
		return nil
	case r.answered:
		f.counts.Repeated++
		return nil
	}
	r.answered = true
	return r
}

// unanswered is told of requests that are given up. One that ends sessions
// counts as answered when it was sent: the asker gives the session up, and
// nobody says more of it, so it can no longer be vouched for.
func (f *Follower) unanswered(_ requestKey, r *request) {
	if r.answered {
		return
	}
	f.counts.Unanswered++
	if r.ends() {
		f.finish(r, r.at)
	}
}

// event makes an event of a session.
func (f *Follower) event(kind binding.Kind, s *entry, at time.Time) binding.Event {
	return binding.Event{Kind: kind, Source: s.Data.source(), Node: s.Node, Session: s.ID, Arrived: at, Link: f.link}
}

// stopped makes the event of an end. Of GTPv1 it is that of all contexts.
func (f *Follower) stopped(s *entry, at time.Time) (binding.Event, bool) {
	f.counts.Events++
	ev := f.event(binding.SessionStop, s, at)
	ev.Last = s.Data.version == 1
	return ev, true
}

// tell hands an event on.
func (f *Follower) tell(ev binding.Event) {
	f.counts.Events++
	ev.Link = f.link
	f.outbox.Tell(ev)
}

// tellEnd tells of a session that was forgotten.
func (f *Follower) tellEnd(s *entry, at time.Time) {
	ev, _ := f.stopped(s, at)
	f.outbox.Tell(ev)
}

// end forgets a session that ended at a time, and tells so.
func (f *Follower) end(s *entry, at time.Time) {
	if !s.Live() {
		return
	}
	f.table(s).Remove(s)
	f.tellEnd(s, at)
}

func (f *Follower) table(s *entry) *pairing.Sessions[session] { return f.sessions[s.Data.version-1] }

// evict ends a session for which there is no room: its end would not be
// recognised.
func (f *Follower) evict(s *entry) {
	f.counts.Evicted++
	f.tellEnd(s, f.now)
}

// endingsAtOnce is how many ends of many are told at each packet.
const endingsAtOnce = 256

// endAll forgets the sessions for which pick is true, which ended at that time.
// They are told bit by bit.
func (f *Follower) endAll(version uint8, at time.Time, pick func(*entry) bool) {
	table := f.sessions[version-1]
	table.All(func(s *entry) {
		if pick(s) {
			table.Remove(s)
			f.outbox.End(s, at)
		}
	})
	f.outbox.Drain(endingsAtOnce)
}
