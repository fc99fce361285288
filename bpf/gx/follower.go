package gx

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/sctp"
	"github.com/simbind/simbind/bpf/sender"
	"github.com/simbind/simbind/bpf/silence"
	"github.com/simbind/simbind/bpf/tcp"
	"github.com/simbind/simbind/bpf/wire"
)

// Options of a Follower. Zero values mean the defaults.
type Options struct {
	// MSISDNStrip are prefixes of which the first that fits is taken off an
	// END_USER_E164; nil means "+" and "00".
	MSISDNStrip []string
	// Pending bounds the requests that are kept, 16384 by default.
	Pending int
	// Timeout is how long an answer is waited for, and how long one that was
	// answered is known; 30 s by default.
	Timeout time.Duration
	// Connections bounds the TCP connections, and the SCTP associations, that
	// are followed at a time; 1024 each by default.
	Connections int
	// Groups are senders that stand for each other, or addresses of one.
	Groups sender.Groups
	// Silence is how long a sender without a rhythm has to be silent; see package
	// silence. Zero: it never is.
	Silence time.Duration
}

func (o Options) withDefaults() Options {
	if o.Pending == 0 {
		o.Pending = 16384
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Connections == 0 {
		o.Connections = 1024
	}
	return o
}

// Check reports what is wrong with them.
func (o Options) Check() error {
	o = o.withDefaults()
	switch {
	case o.Pending < 1 || o.Pending > 1<<20:
		return fmt.Errorf("%d pending requests are not within 1 to %d", o.Pending, 1<<20)
	case o.Connections < 1 || o.Connections > 1<<16:
		return fmt.Errorf("%d connections are not within 1 to %d", o.Connections, 1<<16)
	case o.Timeout < 0:
		return fmt.Errorf("the timeout %v is negative", o.Timeout)
	}
	return o.Groups.Check()
}

// A Follower turns observed packets into events. It is owned by one goroutine
// and does no I/O; only its Collector may be used by others.
type Follower struct {
	options  Options
	emit     func(binding.Event)
	open     *pairing.Table[exchange, half]
	nodes    map[nodeKey]*node
	speakers map[string]*speaker // by owner
	watch    *silence.Watch[*speaker]
	tcp      *tcp.Tracker
	sctp     *sctp.Tracker
	links    uint64 // of the last connection; begins anywhere, so that no other source counts there
	counts   counts
}

// New makes a Follower that gives its events to emit.
func New(emit func(binding.Event), o Options) *Follower {
	f := &Follower{
		options: o.withDefaults(), emit: emit, links: rand.Uint64(),
		nodes: map[nodeKey]*node{}, speakers: map[string]*speaker{},
	}
	f.watch = silence.New(maxNodes, o.Silence, f.heardOrNot)
	f.open = pairing.New(f.options.Pending, f.options.Timeout, f.forgotten)
	f.tcp = tcp.New(tcp.Config{Connections: f.options.Connections}, func(e tcp.Ends) tcp.Consumer { return f.link(e) })
	f.sctp = sctp.New(sctp.Config{Associations: f.options.Connections},
		func(e sctp.Ends) sctp.Consumer { return f.link(e) })
	return f
}

// link makes a connection between two sockets.
func (f *Follower) link(ends [2]netip.AddrPort) *link {
	f.links++
	l := &link{follower: f, id: f.links}
	for side, end := range ends {
		l.owners[side] = f.options.Groups.Owner(end.Addr())
	}
	return l
}

// Packet takes a packet to or from a Diameter port, and keeps nothing of it.
func (f *Follower) Packet(p *wire.Packet) {
	f.watch.Advance(p.Time)
	switch p.Proto {
	case wire.ProtoTCP:
		_ = f.tcp.Packet(p) // what cannot be read is counted there
	case wire.ProtoSCTP:
		_ = f.sctp.Packet(p)
	}
}

// Advance lets go of what has waited for too long.
func (f *Follower) Advance(now time.Time) {
	f.tcp.Advance(now)
	f.sctp.Advance(now)
	f.open.Expire(now)
	f.watch.Advance(now)
}

// Recall takes back nothing: exchanges are too short to outlast the program.
func (f *Follower) Recall(binding.Source, []byte) bool { return false }

// tell gives an event away.
func (f *Follower) tell(ev binding.Event) {
	ev.Observed = true
	f.counts.add(told)
	f.emit(ev)
}

// missed tells that messages were not captured that may have been of sessions.
func (f *Follower) missed(at time.Time) {
	f.counts.add(newsLost)
	f.emit(binding.Event{Kind: binding.NewsLost, Source: binding.SourceGx, Observed: true, Arrived: at})
}

// forgotten counts a request that was never answered, as far as we saw.
func (f *Follower) forgotten(_ exchange, h *half) {
	if h.state == waiting {
		f.counts.add(unanswered)
	}
}
