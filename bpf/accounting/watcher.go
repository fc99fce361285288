package accounting

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
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

// A Watcher turns observed datagrams into events. It is owned by one goroutine
// and does no I/O; only its Collector may be used by others.
type Watcher struct {
	submit   binding.SubmitFunc
	observer *radius.Observer
	open     *pairing.Table[exchange, packet]
	secrets  bool
	events   []binding.Event
	counts   counts
}

// New makes a Watcher, which offers its events to submit.
func New(cfg Config, submit binding.SubmitFunc) (*Watcher, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	observer, err := radius.NewObserver(cfg.Clients)
	if err != nil {
		return nil, err
	}
	w := &Watcher{submit: submit, observer: observer, secrets: len(cfg.Clients) > 0}
	w.open = pairing.New(cfg.Pending, cfg.Timeout, w.forgotten)
	return w, nil
}

// Datagram takes the payload of a UDP datagram; what it keeps of it is a copy.
// Its time may not be before that of an earlier one by more than the disorder
// of a capture.
func (w *Watcher) Datagram(now time.Time, src, dst netip.AddrPort, payload []byte) {
	w.open.Expire(now)
	src, dst = unmapped(src), unmapped(dst)
	n, err := w.observer.Length(payload)
	if err != nil {
		w.counts.add(droppedMalformed)
		return
	}
	switch p := payload[:n]; p[0] {
	case codeRequest:
		w.request(now, exchange{src, dst, p[1]}, p)
	case codeResponse:
		w.response(now, exchange{dst, src, p[1]}, p)
	default:
		w.counts.add(droppedCode)
	}
}

// Tick lets go of what has waited for too long. It is called now and then.
func (w *Watcher) Tick(now time.Time) { w.open.Expire(now) }

func (w *Watcher) request(now time.Time, key exchange, p []byte) {
	known := w.open.Get(key)
	if known != nil && known.state != orphan && bytes.Equal(known.data, p) {
		w.counts.add(repeated)
		return
	}
	if err := w.observer.Check(p, key.client.Addr()); err != nil {
		w.counts.add(reasonOf(err))
		return
	}
	w.counts.add(requests)
	var response []byte
	if known != nil {
		switch {
		case known.state == waiting:
			w.counts.add(superseded)
		case known.state == orphan && now.Sub(known.arrived) <= early:
			response = known.data
		}
	}
	kept := w.open.Put(now, key, packet{data: slices.Clone(p), arrived: now})
	if response != nil && w.observer.Answers(response, p, key.client.Addr()) {
		w.take(kept, key)
	}
}

func (w *Watcher) response(now time.Time, key exchange, p []byte) {
	switch known := w.open.Get(key); {
	case known == nil || known.state == orphan:
		w.counts.add(unmatched)
		// Only its authenticator can tell later whose answer it is.
		if w.secrets {
			w.open.Put(now, key, packet{data: slices.Clone(p), arrived: now, state: orphan})
		}
	case known.state == answered:
		w.counts.add(repeated)
	case !w.observer.Answers(p, known.data, key.client.Addr()):
		w.counts.add(droppedResponse)
	default:
		w.take(known, key)
	}
}

// take submits what a request says that was answered.
func (w *Watcher) take(request *packet, key exchange) {
	request.state = answered
	events, notes, err := w.observer.Decode(request.data, key.client.Addr(), request.arrived, w.events[:0])
	if err != nil {
		w.counts.add(reasonOf(err))
		return
	}
	w.counts.add(paired)
	if notes != 0 {
		w.counts.add(noted)
	}
	for _, ev := range events {
		if w.submit(ev) != nil {
			w.counts.add(refused)
			continue
		}
		w.counts.add(submitted)
	}
	clear(events)
	w.events = events[:0]
}

// forgotten counts a request that was never answered, as far as we saw.
func (w *Watcher) forgotten(_ exchange, p *packet) {
	if p.state == waiting {
		w.counts.add(unanswered)
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

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
