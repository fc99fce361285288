package diametertest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding/crowdtest"
)

// Options of a simulation. Zero values mean the defaults.
type Options struct {
	crowdtest.Plan
	Server string // "host:port"
	// TLS secures the connections from their start; nil: they are not.
	TLS *tls.Config
	// Node is the PCEF; pgw.simulated of the realm simulated by default. With
	// more than one connection each is a node of its own, as one node has one
	// connection: pgw-1.simulated and so on. OriginState is the time by default.
	Node Node
	// To is the destination; by default the realm that the server names.
	To Node
	// Connections carry the requests, at most Window at once each; 1 and 256 by
	// default.
	Connections, Window int
	// Timeout is how long an answer is awaited before the request is given up;
	// 10 s by default.
	Timeout time.Duration
}

func (o Options) withDefaults() Options {
	o.Plan = o.Plan.WithDefaults()
	o.Node.Host = cmp.Or(o.Node.Host, "pgw.simulated")
	o.Node.Realm = cmp.Or(o.Node.Realm, "simulated")
	o.Node.OriginState = cmp.Or(o.Node.OriginState, uint32(time.Now().Unix()))
	o.Connections = cmp.Or(o.Connections, 1)
	o.Window = cmp.Or(o.Window, 256)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	return o
}

func (o Options) check() error {
	if o.Server == "" {
		return errors.New("no server")
	}
	if o.Connections < 1 || o.Window < 1 || o.Timeout <= 0 {
		return errors.New("connections, window and timeout must be positive")
	}
	return o.Plan.Check()
}

// node is the PCEF of one of the connections.
func (o Options) node(i int) Node {
	n := o.Node
	if o.Connections > 1 {
		first, rest, _ := strings.Cut(n.Host, ".")
		n.Host = strings.TrimSuffix(fmt.Sprintf("%s-%d.%s", first, i+1, rest), ".")
	}
	return n
}

// Summary of a simulation.
type Summary struct {
	crowdtest.Progress
	// Results counts the answers by result code. Wrong are those among them that
	// do not fit their request, FirstWrong says why of one. Late came after the
	// request was given up.
	Results    map[uint32]uint64
	Wrong      uint64
	FirstWrong string
	Late       uint64
	// Reconnected counts connections that broke and were made again.
	Reconnected uint64
	// P50 and P99 are from the first transmission to the answer.
	P50, P99 time.Duration
}

// Refused is how many answers were no success.
func (s Summary) Refused() (n uint64) {
	for code, count := range s.Results {
		if code/1000 != 2 {
			n += count
		}
	}
	return n
}

// Simulate lets sessions come, be updated and terminated and checks each
// answer. A connection that breaks is made again, and what was unanswered on it
// is sent again with the T bit (RFC 6733 section 5.5.4). It calls progress once
// a second, if it is not nil, and returns when the run is over or ctx ends; the
// end of ctx is no error.
func Simulate(ctx context.Context, o Options, progress func(crowdtest.Progress)) (Summary, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return Summary{}, fmt.Errorf("simulate: %w", err)
	}
	sim := &simulation{o: o, run: uint32(time.Now().Unix()), numbers: map[int]uint32{}}
	defer sim.close()
	for i := range o.Connections {
		l := newLink(o, o.node(i), &sim.stats)
		if err := l.dial(ctx); err != nil {
			return Summary{}, fmt.Errorf("simulate: %w", err)
		}
		sim.links = append(sim.links, l)
	}
	sim.stats.Began = time.Now()
	// The links go on while the last requests are awaited.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, running := errgroup.WithContext(running)
	for _, l := range sim.links {
		g.Go(func() error { l.run(running); return nil })
	}
	if progress != nil {
		g.Go(func() error { sim.stats.Report(running, progress); return nil })
	}
	err := o.Drive(ctx, &sim.stats.Tally, sim.take)
	for _, l := range sim.links {
		l.drain(ctx)
	}
	stop()
	err = errors.Join(err, g.Wait())
	return sim.stats.summary(), err
}

// A simulation is one run. The numbers belong to its driver.
type simulation struct {
	o       Options
	run     uint32 // makes session ids differ between runs
	links   []*link
	numbers map[int]uint32 // CC-Request-Number of each subscriber's session
	stats   stats
}

type stats struct {
	crowdtest.Tally
	late, reconnected atomic.Uint64

	mu         sync.Mutex
	results    map[uint32]uint64
	wrong      uint64
	firstWrong string
}

// judged counts an answer; wrong is empty if it fits its request.
func (s *stats) judged(result uint32, wrong string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.results == nil {
		s.results = map[uint32]uint64{}
	}
	s.results[result]++
	if wrong != "" {
		s.wrong++
		s.firstWrong = cmp.Or(s.firstWrong, wrong)
	}
}

func (s *stats) summary() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Summary{
		Progress: s.Progress(), Results: maps.Clone(s.results), Wrong: s.wrong, FirstWrong: s.firstWrong,
		Late: s.late.Load(), Reconnected: s.reconnected.Load(), P50: s.Latencies.Quantile(0.5), P99: s.Latencies.Quantile(0.99),
	}
}

// take carries a step out.
func (s *simulation) take(ctx context.Context, st crowdtest.Step) error {
	if st.Kind == crowdtest.Restart {
		for _, l := range s.links {
			l.restart(ctx)
		}
		return ctx.Err()
	}
	l := s.links[st.Subscriber%len(s.links)]
	session := s.session(l, st)
	if st.Kind == crowdtest.Attach {
		s.numbers[st.Subscriber] = 0
	}
	number := s.numbers[st.Subscriber]
	s.numbers[st.Subscriber]++
	return l.send(ctx, session, requestTypes[st.Kind], number)
}

var requestTypes = map[crowdtest.Kind]RequestType{crowdtest.Attach: Initial, crowdtest.Refresh: Update, crowdtest.Detach: Termination}

// session is that of a step's subscriber.
func (s *simulation) session(l *link, st crowdtest.Step) Session {
	who := s.o.Subscriber(st.Subscriber)
	session := Session{
		ID:     fmt.Sprintf("%s;%d;%d;%d", l.node.Host, s.run, st.Subscriber, st.Visit),
		MSISDN: who.MSISDN, IMSI: who.IMSI, IMEISV: who.IMEISV, APN: s.o.APN, IPv4: who.IPv4,
		IPCAN: 5, RAT: 1004, Time: time.Now(), // 3GPP-EPS, EUTRAN
	}
	if who.IPv6.IsValid() {
		session.IPv6 = append(session.IPv6, who.IPv6)
	}
	return session
}

// close disconnects in order.
func (s *simulation) close() {
	for _, l := range s.links {
		l.close()
	}
}
