package radiustest

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding"
)

// Options of a simulation. Zero values mean the defaults.
type Options struct {
	Server string // "host:port"
	Secret []byte
	// Subscribers attach, one after the other, at Rate a second; 100 at 50.
	Subscribers int
	Rate        float64
	// Interim is how often an attached subscriber is refreshed; zero: never.
	Interim time.Duration
	// Hold is how long a subscriber stays; zero: it is not detached.
	Hold time.Duration
	// Duration ends the run. A subscriber that left comes back until then. Zero:
	// the run ends when each came once (and left, with Hold).
	Duration time.Duration
	// Pool and Pool6 give each subscriber an IPv4 address and a /64;
	// 10.45.0.0/16 and none by default.
	Pool, Pool6 netip.Prefix
	APN         string // "internet"
	// FirstMSISDN is the first subscriber's number, +491700000001 by default;
	// FirstIMSI its IMSI, 001010000000001.
	FirstMSISDN binding.MSISDN
	FirstIMSI   uint64
	NAS         string     // NAS-Identifier, "simulator"
	NASAddr     netip.Addr // NAS-IP-Address, none by default
	// Sockets carry the requests, at most 256 at once each; 4 by default.
	Sockets int
	// Timeout is how long an answer is awaited before the request is repeated,
	// at most Retries times; 2 s and 4 by default.
	Timeout time.Duration
	Retries int
}

func (o Options) withDefaults() Options {
	setDefault(&o.Subscribers, 100)
	setDefault(&o.Rate, 50)
	setDefault(&o.Pool, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 45, 0, 0}), 16))
	setDefault(&o.APN, "internet")
	setDefault(&o.FirstMSISDN, 491700000001)
	setDefault(&o.FirstIMSI, 1010000000001)
	setDefault(&o.NAS, "simulator")
	setDefault(&o.Sockets, 4)
	setDefault(&o.Timeout, 2*time.Second)
	setDefault(&o.Retries, 4)
	return o
}

func setDefault[T comparable](dst *T, value T) {
	var zero T
	if *dst == zero {
		*dst = value
	}
}

func (o Options) check() error {
	switch {
	case o.Server == "" || len(o.Secret) == 0:
		return errors.New("no server, or no secret")
	case o.Subscribers < 1 || o.Rate <= 0 || o.Sockets < 1 || o.Retries < 0 || o.Timeout <= 0:
		return errors.New("subscribers, rate, sockets and timeout must be positive")
	case o.Interim < 0 || o.Hold < 0 || o.Duration < 0:
		return errors.New("a duration is negative")
	case !o.Pool.Addr().Is4() || hosts(o.Pool, 32) < uint64(o.Subscribers)+1:
		return fmt.Errorf("the pool %v is too small for %d subscribers", o.Pool, o.Subscribers)
	case o.Pool6.IsValid() && hosts(o.Pool6, 64) < uint64(o.Subscribers):
		return fmt.Errorf("the pool %v is too small for %d subscribers", o.Pool6, o.Subscribers)
	}
	return nil
}

// hosts is how many prefixes of that length the pool has.
func hosts(pool netip.Prefix, bits int) uint64 {
	if pool.Bits() > bits {
		return 0
	}
	return 1 << min(bits-pool.Bits(), 63)
}

// Progress of a simulation so far.
type Progress struct {
	Elapsed       time.Duration
	Sent          uint64 // requests, repetitions not counted
	Answered      uint64
	Lost          uint64 // given up
	Retransmitted uint64
	Attached      int // subscribers whose Start was sent and whose Stop was not
}

// Summary of a simulation.
type Summary struct {
	Progress
	// Late answers came to requests that were given up, or that were answered
	// already; Bad ones were not authentic.
	Late, Bad uint64
	// P50 and P99 are from the first transmission to the answer.
	P50, P99 time.Duration
}

// Simulate lets subscribers attach, refresh and detach. It calls progress once
// a second, if it is not nil, and returns when the run is over or ctx ends;
// the end of ctx is no error.
func Simulate(ctx context.Context, o Options, progress func(Progress)) (Summary, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return Summary{}, fmt.Errorf("simulate: %w", err)
	}
	sim := &simulation{o: o, began: time.Now(), run: time.Now().Unix()}
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
		g.Go(func() error { return sim.report(running, progress) })
	}
	err := sim.drive(ctx)
	for _, nas := range sim.sockets {
		nas.drain(ctx)
		nas.conn.Close()
	}
	stop()
	err = errors.Join(err, g.Wait())
	return sim.summary(), err
}

// A simulation is one run. The statistics are atomic; the rest belongs to
// drive.
type simulation struct {
	o       Options
	began   time.Time
	run     int64 // makes session ids differ between runs
	sockets []*nasSocket
	due     agenda
	visits  map[int]int // of subscribers that left at least once
	stats   stats
}

type stats struct {
	sent, answered, lost, retransmitted, late, bad atomic.Uint64
	attached                                       atomic.Int64
	latencies                                      latencies
}

func (s *simulation) progress() Progress {
	return Progress{
		Elapsed: time.Since(s.began), Sent: s.stats.sent.Load(), Answered: s.stats.answered.Load(), Lost: s.stats.lost.Load(),
		Retransmitted: s.stats.retransmitted.Load(), Attached: int(s.stats.attached.Load()),
	}
}

func (s *simulation) summary() Summary {
	return Summary{
		Progress: s.progress(), Late: s.stats.late.Load(), Bad: s.stats.bad.Load(),
		P50: s.stats.latencies.quantile(0.5), P99: s.stats.latencies.quantile(0.99),
	}
}

func (s *simulation) report(ctx context.Context, progress func(Progress)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			progress(s.progress())
		}
	}
}

// A step is what a subscriber does next.
type step struct {
	at         time.Time
	since      time.Time // of the session
	subscriber int
	status     Status
}

// An agenda is a heap of steps, the soonest first.
type agenda []step

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push is for package heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(step)) }

// Pop is for package heap.
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// drive takes the steps as they are due.
func (s *simulation) drive(ctx context.Context) error {
	if s.o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, s.began.Add(s.o.Duration))
		defer cancel()
	}
	s.visits = map[int]int{}
	for first := 0; first < s.o.Subscribers || len(s.due) > 0; {
		at := s.began.Add(time.Duration(float64(first) / s.o.Rate * float64(time.Second)))
		next := step{at: at, since: at, subscriber: first, status: Start}
		if first < s.o.Subscribers && (len(s.due) == 0 || !s.due[0].at.Before(at)) {
			first++
		} else {
			next = heap.Pop(&s.due).(step)
		}
		// Steps without an end keep a run going only for its duration.
		if s.o.Duration == 0 && s.o.Hold == 0 && first == s.o.Subscribers && next.status == Interim {
			return nil
		}
		if !until(ctx, next.at) {
			return nil
		}
		if err := s.take(ctx, next); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
	if s.o.Duration > 0 {
		<-ctx.Done()
	}
	return nil
}

// until waits for a moment; false: ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// take sends the request of a step and notes what follows it.
func (s *simulation) take(ctx context.Context, st step) error {
	session := s.session(st)
	p, err := session.Request(st.status, s.o.Secret)
	if err != nil {
		return err
	}
	if err := s.sockets[st.subscriber%len(s.sockets)].send(ctx, p); err != nil {
		return err
	}
	again := func(status Status, after time.Duration) {
		heap.Push(&s.due, step{at: st.at.Add(after), since: st.since, subscriber: st.subscriber, status: status})
	}
	switch st.status {
	case Start:
		s.stats.attached.Add(1)
		if s.o.Hold > 0 {
			again(Stop, s.o.Hold)
		}
		if s.o.Interim > 0 && (s.o.Hold == 0 || s.o.Interim < s.o.Hold) {
			again(Interim, s.o.Interim)
		}
	case Interim:
		if s.o.Hold == 0 || st.at.Add(s.o.Interim).Before(st.since.Add(s.o.Hold)) {
			again(Interim, s.o.Interim)
		}
	case Stop:
		s.stats.attached.Add(-1)
		s.visits[st.subscriber]++
		if s.o.Duration > 0 {
			at := st.at.Add(time.Second)
			heap.Push(&s.due, step{at: at, since: at, subscriber: st.subscriber, status: Start})
		}
	}
	return nil
}

// session is that of a step's subscriber, at the time of the step.
func (s *simulation) session(st step) Session {
	now := time.Now()
	session := Session{
		ID:  fmt.Sprintf("%x-%x-%x", s.run, st.subscriber, s.visits[st.subscriber]),
		NAS: s.o.NAS, NASAddr: s.o.NASAddr, APN: s.o.APN, NSAPI: "5", RAT: 6, Time: now,
		MSISDN: (s.o.FirstMSISDN + binding.MSISDN(st.subscriber)).String()[1:],
		IMSI:   fmt.Sprintf("%015d", s.o.FirstIMSI+uint64(st.subscriber)),
		IMEISV: fmt.Sprintf("%016d", 3569380300000000+uint64(st.subscriber)*100),
		IPv4:   nthAddr(s.o.Pool, uint64(st.subscriber)+1),
		Last:   st.status == Stop,
	}
	if s.o.Pool6.IsValid() {
		session.IPv6 = nthSlash64(s.o.Pool6, uint64(st.subscriber))
	}
	if st.status != Start {
		session.Age = now.Sub(st.since).Truncate(time.Second)
	}
	return session
}
