package observe

import (
	"errors"
	"sync"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
)

// A Protocol follows one protocol: it pairs requests with their responses and
// knows the sessions that these made. It is called by one goroutine at a time.
type Protocol interface {
	// Packet reads one packet on a port of the protocol. The packet is valid
	// until it returns.
	Packet(*wire.Packet)
	// Advance lets time pass: what waits for too long is given up.
	Advance(now time.Time)
	// Recall takes back what an event of one of the protocol's sources carried
	// as Memo before the program was started anew, and reports whether it
	// could read it.
	Recall(source binding.Source, memo []byte) bool
}

// An Emit takes an event of a Protocol. It never refuses.
type Emit func(binding.Event)

// A Port is where a protocol is heard.
type Port struct {
	Proto  uint8 // of wire
	Number uint16
}

// backlogMax bounds the events that wait for the Registry.
const backlogMax = 1 << 16

// waiting is how many do.
func (o *Observer) waiting() int { return len(o.backlog) - o.taken }

// An Observer gives packets to protocols and their events to the Registry. Its
// methods may be called by any goroutine.
type Observer struct {
	submit binding.SubmitFunc

	mu      sync.Mutex
	decoder *wire.Decoder
	ports   map[Port]Protocol
	all     []Protocol
	backlog []binding.Event // refused by the Registry, in order
	taken   int             // of the backlog, since
	counts  Counts
}

// Counts say what became of packets and events.
type Counts struct {
	Wire       wire.Counts
	Packets    uint64 // on a port of a protocol
	Strange    uint64 // on no port of a protocol
	Events     uint64 // taken by the Registry
	EventsLost uint64 // for which neither the Registry nor the backlog had room
	Waiting    int    // events in the backlog
	Recalled   uint64 // memos taken back
	Unreadable uint64 // memos that nobody could read
}

// New makes an Observer that knows no protocol yet.
func New(submit binding.SubmitFunc) *Observer {
	return &Observer{submit: submit, decoder: wire.NewDecoder(), ports: map[Port]Protocol{}}
}

// Follow adds a protocol, which is heard on ports.
func (o *Observer) Follow(p Protocol, ports ...Port) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, p)
	for _, port := range ports {
		o.ports[port] = p
	}
}

// Frame takes one frame in. It keeps nothing of it.
func (o *Observer) Frame(f *wire.Frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.decoder.Decode(f, o.packet)
}

// Packet takes one packet in. It keeps nothing of it.
func (o *Observer) Packet(p *wire.Packet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.packet(p)
}

func (o *Observer) packet(p *wire.Packet) {
	o.flush()
	follower, ok := o.ports[Port{p.Proto, p.Dst.Port()}]
	if !ok {
		follower, ok = o.ports[Port{p.Proto, p.Src.Port()}]
	}
	if !ok {
		o.counts.Strange++
		return
	}
	o.counts.Packets++
	follower.Packet(p)
}

// Advance lets time pass. The tap calls it about once a second, also when
// nothing is heard.
func (o *Observer) Advance(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	for _, p := range o.all {
		p.Advance(now)
	}
}

// Recall takes back a memo that the journal kept, before the sources speak
// again.
func (o *Observer) Recall(source binding.Source, memo []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.all {
		if p.Recall(source, memo) {
			o.counts.Recalled++
			return
		}
	}
	o.counts.Unreadable++
}

// Counts returns what was counted so far.
func (o *Observer) Counts() Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.counts
	c.Wire, c.Waiting = o.decoder.Counts(), o.waiting()
	return c
}

// Emit is the Emit of the protocols that the Observer follows, to be called
// from within their methods only.
func (o *Observer) Emit(ev binding.Event) {
	ev.Observed = true
	if o.waiting() == 0 && o.offer(ev) {
		return
	}
	if o.waiting() >= backlogMax {
		o.counts.EventsLost++
		return
	}
	o.backlog = append(o.backlog, ev)
}

// Room reports that no event waits for the Registry: more than one that cannot
// wait may be told. It is called like Emit.
func (o *Observer) Room() bool { return o.waiting() == 0 }

// offer reports whether the event needs no further care.
func (o *Observer) offer(ev binding.Event) bool {
	switch err := o.submit(ev); {
	case err == nil:
		o.counts.Events++
	case errors.Is(err, binding.ErrBusy):
		return false
	default:
		o.counts.EventsLost++ // the Registry stops
	}
	return true
}

func (o *Observer) flush() {
	for o.waiting() > 0 && o.offer(o.backlog[o.taken]) {
		o.backlog[o.taken] = binding.Event{}
		o.taken++
	}
	// What still waits is moved only when as much in front of it is free.
	if o.taken >= o.waiting() {
		n := copy(o.backlog, o.backlog[o.taken:])
		clear(o.backlog[n:])
		o.backlog, o.taken = o.backlog[:n], 0
	}
}
