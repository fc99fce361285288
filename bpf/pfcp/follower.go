package pfcp

import (
	"math"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/sender"
	"github.com/simbind/simbind/bpf/silence"
	"github.com/simbind/simbind/bpf/wire"
)

// Options bound a Follower. Zero values are replaced by the usual ones.
type Options struct {
	Sessions int           // that are remembered: 1 000 000
	Requests int           // that wait for their response: 65 536
	Wait     time.Duration // how long they wait, retransmissions included: 30 s
	// Link is the number of the capture; see [binding.Event].
	Link uint64
	// Groups are control plane functions that stand for each other, or addresses
	// of one.
	Groups sender.Groups
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
	sessions *pairing.Sessions[session]
	requests *pairing.Table[requestKey, request]
	early    pairing.Early[requestKey]
	peers    map[netip.Addr]*peer
	nodes    map[node]*silence.Pulse[node]
	watch    *silence.Watch[node]
	groups   sender.Groups
	outbox   pairing.Outbox[session]
	link     uint64
	now      time.Time
	counts   Counts
}

// An entry is a remembered session.
type entry = pairing.Session[session]

// A session is what must be known of one to recognise its end.
type session struct {
	owner  string     // who asked for it; see node
	cp, up netip.Addr // the addresses of the two functions
	taken  bool       // cp is not who began it: a member of the set took it over
	began  int64      // unix ms; zero if the journal kept it
	told   bool       // an event said that it is there
	spoke  time.Time  // of its last event
	who    binding.Subscriber
	held   []held
	sets   []uint64
}

// A requestKey joins a response with its request.
type requestKey struct {
	asker netip.AddrPort
	asked netip.Addr
	kind  uint8 // of the request
	seq   uint32
}

// A request waits for its response.
type request struct {
	key      requestKey
	at       time.Time
	digest   uint64 // a repetition is equal, octet for octet
	answered bool
	m        *message
	of       *entry // the session that it names
}

// New makes a Follower whose events go to emit.
func New(emit func(binding.Event), o Options) *Follower {
	o = o.withDefaults()
	f := &Follower{link: o.Link, groups: o.Groups, peers: map[netip.Addr]*peer{}, nodes: map[node]*silence.Pulse[node]{}}
	f.watch = silence.New(maxPeers, o.Silence, f.heardOrNot)
	f.outbox = pairing.NewOutbox(emit, o.Room, f.stopped)
	f.sessions = pairing.NewSessions(o.Sessions, f.evict)
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
	f.watch.Advance(p.Time)
	f.outbox.Drain(endingsAtOnce)
	b := p.Payload
	for range maxMessages {
		h, body, rest, err := next(b)
		var m message
		if err == nil {
			m, err = newMessage(h, body)
		}
		switch {
		case err != nil && p.Cut:
			f.counts.Cut++
			return
		case err != nil:
			f.counts.Malformed++
			return
		}
		f.counts.Messages++
		if m.badDigits {
			f.counts.BadIdentity++
		}
		f.follow(p, &m, hash(b[:len(b)-len(rest)]))
		if b = rest; len(b) < 8 {
			return // padding, if anything
		}
	}
}

// follow takes one message in.
func (f *Follower) follow(p *wire.Packet, m *message, digest uint64) {
	f.heard(p.Src.Addr(), m)
	switch m.kind {
	case associationRequest, releaseRequest, setDeletionRequest, establishmentRequest, modificationRequest, deletionRequest:
		if r := f.ask(p, m, digest); r != nil {
			f.early.Asked(r.key)
		}
	case associationResponse, releaseResponse, setDeletionResponse, establishmentResponse, modificationResponse, deletionResponse:
		f.answer(p, m)
	case reportRequest:
		if s := f.sessions.Find(p.Dst.Addr(), m.seid, 0); s != nil && m.deletedUP {
			f.end(s, f.now)
		}
	}
}

// ask remembers a request and the session that it names. It returns nil for a
// repetition.
func (f *Follower) ask(p *wire.Packet, m *message, digest uint64) *request {
	key := requestKey{asker: p.Src, asked: p.Dst.Addr(), kind: m.kind, seq: m.seq}
	if had := f.requests.Get(key); had != nil && had.digest == digest {
		f.counts.Repeated++
		return nil
	}
	r := f.requests.Put(p.Time, key, request{key: key, at: p.Time, digest: digest, m: m})
	if m.kind != modificationRequest && m.kind != deletionRequest {
		return r
	}
	if r.of = f.sessions.Find(p.Dst.Addr(), m.seid, 0); r.of == nil {
		f.counts.Unresolved++
	}
	return r
}

// answer finds the request of a response and does what it asked for, unless it
// was answered before. A request that was not seen may come in a moment.
func (f *Follower) answer(p *wire.Packet, m *message) {
	key := requestKey{asker: p.Dst, asked: p.Src.Addr(), kind: m.kind - 1, seq: m.seq}
	switch r := f.requests.Get(key); {
	case r == nil:
		ends := wire.Packet{Time: p.Time, Src: p.Src, Dst: p.Dst, Proto: p.Proto} // its payload is read
		f.early.Put(p.Time, key, func() { f.answer(&ends, m) })
	case r.answered:
		f.counts.Repeated++
	default:
		r.answered = true
		f.answered(p, r, m)
	}
}

// answered does what a request asked for, if it was accepted.
func (f *Follower) answered(p *wire.Packet, r *request, m *message) {
	gone := r.m.kind == deletionRequest && m.cause == causeNoContext
	if !accepted(m.cause) && !gone {
		f.counts.Rejected++
		return
	}
	switch r.m.kind {
	case establishmentRequest:
		f.established(p, r.m, m)
	case modificationRequest:
		f.modified(r, m)
	case associationRequest:
		f.named(r.key.asker.Addr(), r.m.node)
		f.named(r.key.asked, m.node)
		f.finish(r, f.now)
	default:
		f.finish(r, f.now)
	}
}

// finish does what a request that ends sessions asked for, at that time: not to
// those that began since it was sent.
func (f *Follower) finish(r *request, at time.Time) {
	asker, asked := r.key.asker.Addr(), r.key.asked
	pick := func(s *entry) bool { return f.between(asker, asked, s) }
	switch r.m.kind {
	case deletionRequest:
		if r.of != nil {
			f.end(r.of, at)
		}
		return
	case setDeletionRequest:
		pick = func(s *entry) bool {
			if len(r.m.sets) == 0 {
				return s.Data.up == asker || f.by(asker, s)
			}
			return shares(s.Data.sets, r.m.sets)
		}
	case associationRequest:
		if r.m.retention {
			return
		}
	}
	f.endAll(at, func(s *entry) bool { return s.Data.began < r.at.UnixMilli() && pick(s) })
}

// unanswered is told of requests that are given up. A deletion counts as
// answered when it was sent: nobody speaks of the session any more, so it can no
// longer be vouched for.
func (f *Follower) unanswered(_ requestKey, r *request) {
	if r.answered {
		return
	}
	f.counts.Unanswered++
	if r.m.kind == deletionRequest || r.m.kind == setDeletionRequest {
		f.finish(r, r.at)
	}
}

// Advance lets time pass.
func (f *Follower) Advance(now time.Time) {
	f.now = now
	f.requests.Expire(now)
	f.early.Expire(now)
	f.watch.Advance(now)
	f.outbox.Drain(math.MaxInt)
}

// event makes an event of a session.
func (f *Follower) event(kind binding.Kind, s *entry, at time.Time) binding.Event {
	ev := nodeOf(s).event(kind, at)
	ev.Session, ev.Link = s.ID, f.link
	return ev
}

// stopped makes the event of an end, unless the session was never told.
func (f *Follower) stopped(s *entry, at time.Time) (ev binding.Event, ok bool) {
	if !s.Data.told {
		return ev, false
	}
	f.counts.Events++
	return f.event(binding.SessionStop, s, at), true
}

// tell hands an event on.
func (f *Follower) tell(ev binding.Event) {
	f.counts.Events++
	ev.Link = f.link
	f.outbox.Tell(ev)
}

// end forgets a session that ended at a time, and tells so.
func (f *Follower) end(s *entry, at time.Time) {
	if s.Live() {
		f.sessions.Remove(s)
		f.tellEnd(s, at)
	}
}

// tellEnd tells of a session that was forgotten.
func (f *Follower) tellEnd(s *entry, at time.Time) {
	if ev, ok := f.stopped(s, at); ok {
		f.outbox.Tell(ev)
	}
}

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
func (f *Follower) endAll(at time.Time, pick func(*entry) bool) {
	f.sessions.All(func(s *entry) {
		if pick(s) {
			f.sessions.Remove(s)
			f.outbox.End(s, at)
		}
	})
	f.outbox.Drain(endingsAtOnce)
}

func shares(a, b []uint64) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}
