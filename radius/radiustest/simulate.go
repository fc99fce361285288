package radiustest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding/crowdtest"
)

// Options of a simulation. Zero values mean the defaults.
type Options struct {
	crowdtest.Plan
	Server  string // "host:port"
	Secret  []byte
	NAS     string     // NAS-Identifier, "simulator"
	NASAddr netip.Addr // NAS-IP-Address, none by default
	// Sockets carry the requests, at most 256 at once each; 4 by default.
	Sockets int
	// Timeout is how long an answer is awaited before the request is repeated,
	// at most Retries times; 2 s and 4 by default.
	Timeout time.Duration
	Retries int
}

func (o Options) withDefaults() Options {
	o.Plan = o.Plan.WithDefaults()
	o.NAS = cmp.Or(o.NAS, "simulator")
	o.Sockets = cmp.Or(o.Sockets, 4)
	o.Timeout = cmp.Or(o.Timeout, 2*time.Second)
	o.Retries = cmp.Or(o.Retries, 4)
	return o
}

func (o Options) check() error {
	switch {
	case o.Server == "" || len(o.Secret) == 0:
		return errors.New("no server, or no secret")
	case o.Sockets < 1 || o.Retries < 0 || o.Timeout <= 0:
		return errors.New("sockets and timeout must be positive")
	case o.Restart > 0:
		return errors.New("a restart of the NAS is not simulated")
	}
	return o.Plan.Check()
}

// Summary of a simulation.
type Summary struct {
	crowdtest.Progress
	// Late answers came to requests that were given up, or that were answered
	// already; Bad ones were not authentic.
	Late, Bad uint64
	// P50 and P99 are from the first transmission to the answer.
	P50, P99 time.Duration
}

// Simulate lets subscribers attach, refresh and detach. It calls progress once
// a second, if it is not nil, and returns when the run is over or ctx ends;
// the end of ctx is no error.
func Simulate(ctx context.Context, o Options, progress func(crowdtest.Progress)) (Summary, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return Summary{}, fmt.Errorf("simulate: %w", err)
	}
	sim := &simulation{o: o, run: time.Now().Unix()}
	sim.stats.Began = time.Now()
	for range o.Sockets {
		nas, err := dialNAS(o, &sim.stats)
		if err != nil {
			return Summary{}, err
		}
		defer nas.conn.Close()
		sim.sockets = append(sim.sockets, nas)
	}
	// The sockets go on while the last requests are awaited.
	running, stop := context.WithCancel(context.Background())
	g, running := errgroup.WithContext(running)
	for _, nas := range sim.sockets {
		g.Go(nas.receive)
		g.Go(func() error { return nas.repeat(running) })
	}
	if progress != nil {
		g.Go(func() error { sim.stats.Report(running, progress); return nil })
	}
	err := o.Drive(ctx, &sim.stats.Tally, sim.take)
	for _, nas := range sim.sockets {
		nas.drain(ctx)
		nas.conn.Close()
	}
	stop()
	err = errors.Join(err, g.Wait())
	return sim.summary(), err
}

// A simulation is one run.
type simulation struct {
	o       Options
	run     int64 // makes session ids differ between runs
	sockets []*nasSocket
	stats   stats
}

type stats struct {
	crowdtest.Tally
	late, bad atomic.Uint64
}

func (s *simulation) summary() Summary {
	return Summary{
		Progress: s.stats.Progress(), Late: s.stats.late.Load(), Bad: s.stats.bad.Load(),
		P50: s.stats.Latencies.Quantile(0.5), P99: s.stats.Latencies.Quantile(0.99),
	}
}

// statuses are how a step is accounted.
var statuses = map[crowdtest.Kind]Status{crowdtest.Attach: Start, crowdtest.Refresh: Interim, crowdtest.Detach: Stop}

// take sends the request of a step.
func (s *simulation) take(ctx context.Context, st crowdtest.Step) error {
	p, err := s.session(st).Request(statuses[st.Kind], s.o.Secret)
	if err != nil {
		return err
	}
	return s.sockets[st.Subscriber%len(s.sockets)].send(ctx, p)
}

// session is that of a step's subscriber, at the time of the step.
func (s *simulation) session(st crowdtest.Step) Session {
	now, who := time.Now(), s.o.Subscriber(st.Subscriber)
	session := Session{
		ID:  fmt.Sprintf("%x-%x-%x", s.run, st.Subscriber, st.Visit),
		NAS: s.o.NAS, NASAddr: s.o.NASAddr, APN: s.o.APN, NSAPI: "5", RAT: 6, Time: now,
		MSISDN: who.MSISDN, IMSI: who.IMSI, IMEISV: who.IMEISV, IPv4: who.IPv4, IPv6: who.IPv6,
		Last: st.Kind == crowdtest.Detach,
	}
	if st.Kind != crowdtest.Attach {
		session.Age = now.Sub(st.Since).Truncate(time.Second)
	}
	return session
}
