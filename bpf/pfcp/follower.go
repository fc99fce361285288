package pfcp

import (
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/wire"
)

// Options bound a Follower. Zero values are replaced by the usual ones.
type Options struct {
	Sessions int           // that are remembered: 1 000 000
	Requests int           // that wait for their response: 65 536
	Wait     time.Duration // how long they wait, retransmissions included: 30 s
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
	emit     func(binding.Event)
	sessions *pairing.Sessions[session]
	requests *pairing.Table[requestKey, request]
	early    pairing.Early[requestKey]
	peers    map[netip.Addr]*peer
	ending   []*entry // sessions that ended together, to be told one after another
	now      time.Time
	counts   Counts
}

// An entry is a remembered session.
type entry = pairing.Session[session]

// A session is what must be known of one to recognise its end.
type session struct {
	cp, up netip.Addr // the addresses of the two functions
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
	digest   uint64 // a repetition is equal, octet for octet
	answered bool
	m        *message
	of       *entry // the session that it names
}

// New makes a Follower whose events go to emit.
func New(emit func(binding.Event), o Options) *Follower {
	o = o.withDefaults()
	f := &Follower{emit: emit, peers: map[netip.Addr]*peer{}}
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
	f.tellEndings(endingsAtOnce)
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
			f.end(s)
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
	r := f.requests.Put(p.Time, key, request{key: key, digest: digest, m: m})
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
	default:
		f.finish(r)
	}
}

// finish does what a request that ends sessions asked for.
func (f *Follower) finish(r *request) {
	asker, asked := r.key.asker.Addr(), r.key.asked
	switch r.m.kind {
	case deletionRequest:
		if r.of != nil {
			f.end(r.of)
		}
	case setDeletionRequest:
		f.endAll(func(s *entry) bool {
			if len(r.m.sets) == 0 {
				return s.Data.cp == asker || s.Data.up == asker
			}
			return shares(s.Data.sets, r.m.sets)
		})
	case associationRequest:
		if !r.m.retention {
			f.endAll(func(s *entry) bool { return s.Data.between(asker, asked) })
		}
	case releaseRequest:
		f.endAll(func(s *entry) bool { return s.Data.between(asker, asked) })
	}
}

// unanswered is told of requests that are given up. A deletion counts as
// answered: nobody speaks of the session any more, so it can no longer be
// vouched for.
func (f *Follower) unanswered(_ requestKey, r *request) {
	if r.answered {
		return
	}
	f.counts.Unanswered++
	if r.m.kind == deletionRequest || r.m.kind == setDeletionRequest {
		f.finish(r)
	}
}

// between reports that a session is between two functions.
func (s *session) between(a, b netip.Addr) bool {
	return s.cp == a && s.up == b || s.cp == b && s.up == a
}

// Advance lets time pass.
func (f *Follower) Advance(now time.Time) {
	f.now = now
	f.requests.Expire(now)
	f.early.Expire(now)
	f.tellEndings(16 * endingsAtOnce)
}

// event makes an event of a session.
func (f *Follower) event(kind binding.Kind, s *entry) binding.Event {
	return binding.Event{Kind: kind, Source: binding.SourcePFCP, Node: s.Node, Session: s.ID, Time: f.now, Arrived: f.now}
}

// tell submits an event.
func (f *Follower) tell(ev binding.Event) {
	f.counts.Events++
	f.emit(ev)
}

// end forgets a session and tells so.
func (f *Follower) end(s *entry) {
	if s.Live() {
		f.sessions.Remove(s)
		f.tellEnd(s)
	}
}

func (f *Follower) tellEnd(s *entry) {
	if s.Data.told {
		f.tell(f.event(binding.SessionStop, s))
	}
}

// evict ends a session for which there is no room: its end would not be
// recognised.
func (f *Follower) evict(s *entry) {
	f.counts.Evicted++
	f.tellEnd(s)
}

// endingsAtOnce is how many ends of many are told at each packet.
const endingsAtOnce = 256

// endAll forgets the sessions for which pick is true. They are told bit by bit.
func (f *Follower) endAll(pick func(*entry) bool) {
	f.sessions.All(func(s *entry) {
		if pick(s) {
			f.sessions.Remove(s)
			f.ending = append(f.ending, s)
		}
	})
	f.tellEndings(endingsAtOnce)
}

func (f *Follower) tellEndings(most int) {
	n := min(most, len(f.ending))
	for _, s := range f.ending[:n] {
		f.tellEnd(s)
	}
	if f.ending = f.ending[n:]; len(f.ending) == 0 {
		f.ending = nil
	}
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
