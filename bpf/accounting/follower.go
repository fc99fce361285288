package accounting

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/wire"
	"github.com/simbind/simbind/radius"
)

// Packet codes (RFC 2866 section 3).
const (
	codeRequest  = 4
	codeResponse = 5
)

// early is how long a response that was captured before its request is kept:
// captures of several queues are not in order.
const early = time.Second

// An exchange is what pairs a request with its response.
type exchange struct {
	client, server netip.AddrPort
	id             byte
}

// A packet is a request, or a response that came before it.
type packet struct {
	data    []byte
	arrived time.Time
	state   state
}

type state uint8

const (
	waiting  state = iota // a request
	answered              // a request
	orphan                // a response
)

// A Follower turns observed datagrams into events. It is owned by one goroutine
// and does no I/O; only its Collector may be used by others.
type Follower struct {
	emit     func(binding.Event)
	observer *radius.Observer
	open     *pairing.Table[exchange, packet]
	secrets  bool
	counts   counts
}

// New makes a Follower that gives its events to emit. The options were checked.
func New(emit func(binding.Event), o Options) *Follower {
	o = o.withDefaults()
	observer, err := radius.NewObserver(o.Clients)
	if err != nil {
		panic("accounting: options that were not checked: " + err.Error())
	}
	f := &Follower{emit: emit, observer: observer, secrets: len(o.Clients) > 0}
	f.open = pairing.New(o.Pending, o.Timeout, f.forgotten)
	return f
}

// Packet takes a UDP datagram; what it keeps of it is a copy. The kernel may
// have put several of one flow together.
func (f *Follower) Packet(p *wire.Packet) {
	f.open.Expire(p.Time)
	rest := p.Payload
	for first := true; ; first = false {
		n, err := f.observer.Length(rest)
		if err != nil {
			if first {
				f.counts.add(droppedMalformed)
			}
			return // padding
		}
		f.datagram(p.Time, p.Src, p.Dst, rest[:n], first)
		rest = rest[n:]
	}
}

func (f *Follower) datagram(now time.Time, src, dst netip.AddrPort, p []byte, first bool) {
	switch p[0] {
	case codeRequest:
		f.request(now, exchange{src, dst, p[1]}, p)
	case codeResponse:
		f.response(now, exchange{dst, src, p[1]}, p)
	default:
		if first {
			f.counts.add(droppedCode)
		}
	}
}

// Advance lets go of what has waited for too long.
func (f *Follower) Advance(now time.Time) { f.open.Expire(now) }

// Recall takes back nothing: exchanges are too short to outlast the program.
func (f *Follower) Recall(binding.Source, []byte) bool { return false }

func (f *Follower) request(now time.Time, key exchange, p []byte) {
	known := f.open.Get(key)
	if known != nil && known.state != orphan && bytes.Equal(known.data, p) {
		again := f.restarts(known, key)
		if again && known.state == waiting {
			known.arrived = now // the sessions since are gone, if it is another one
		}
		if !again || known.state == waiting {
			f.counts.add(repeated)
			return
		}
	}
	if err := f.observer.Check(p, key.client.Addr()); err != nil {
		f.counts.add(reasonOf(err))
		return
	}
	f.counts.add(requests)
	var response []byte
	if known != nil {
		switch {
		case known.state == waiting:
			f.counts.add(superseded)
		case known.state == orphan && now.Sub(known.arrived) <= early:
			response = known.data
		}
	}
	kept := f.open.Put(now, key, packet{data: slices.Clone(p), arrived: now})
	if response != nil && f.observer.Answers(response, p, key.client.Addr()) {
		f.take(kept, key)
	}
}

// restarts reports whether a request tells of a restart: a NAS that starts anew
// may repeat itself to the octet.
func (f *Follower) restarts(request *packet, key exchange) bool {
	r, err := f.observer.Decode(request.data, key.client.Addr(), request.arrived)
	return err == nil && r.Event.Kind == binding.NodeRestart
}

func (f *Follower) response(now time.Time, key exchange, p []byte) {
	switch known := f.open.Get(key); {
	case known == nil || known.state == orphan:
		f.counts.add(unmatched)
		// Only its authenticator can tell later whose answer it is.
		if f.secrets {
			f.open.Put(now, key, packet{data: slices.Clone(p), arrived: now, state: orphan})
		}
	case known.state == answered:
		f.counts.add(repeated)
	case !f.observer.Answers(p, known.data, key.client.Addr()):
		f.counts.add(droppedResponse)
	default:
		f.take(known, key)
	}
}

// take tells what a request says that was answered. It arrived when it was
// captured, not when its answer was.
func (f *Follower) take(request *packet, key exchange) {
	request.state = answered
	r, err := f.observer.Decode(request.data, key.client.Addr(), request.arrived)
	if err != nil {
		f.counts.add(reasonOf(err))
		return
	}
	f.counts.add(paired)
	if r.Notes != 0 {
		f.counts.add(noted)
	}
	if r.Event.Kind == 0 {
		return
	}
	r.Event.Observed = true
	f.emit(r.Event)
	f.counts.add(told)
}

// forgotten counts a request that was never answered, as far as we saw.
func (f *Follower) forgotten(_ exchange, p *packet) {
	if p.state == waiting {
		f.counts.add(unanswered)
	}
}

func reasonOf(err error) count {
	switch {
	case errors.Is(err, radius.ErrUnknownClient):
		return droppedClient
	case errors.Is(err, radius.ErrNotAuthentic):
		return droppedAuthenticator
	case errors.Is(err, radius.ErrNode):
		return droppedNode
	default:
		return droppedMalformed
	}
}
