package binding

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// A Registry decides which SIM holds which address. Sources Submit events;
// Run applies them one at a time. Verify and Lookup answer at any time.
type Registry struct {
	*arbiter // of the writer, but for what its fields say
	cfg      Config
	log      *slog.Logger
	journal  Journal
	sweeper  sweeper
	hub      hub
	ring     traceRing
	recall   func(Source, []byte) // see Recall

	queue   chan Event
	control chan func() // runs on the writer
	sealed  chan *pending
	idle    chan *pending // batches to fill, returned by the committer

	loaded      chan struct{} // closed when the journal is loaded
	closed      atomic.Bool
	warming     atomic.Bool
	settled     atomic.Bool // see Status
	started     time.Time
	journalDown atomic.Int64 // unix ms since when commits fail, 0 if they do not
	journalErr  atomic.Pointer[error]
	commits     atomic.Uint64
	commitTime  atomic.Int64 // ns, of the last commit
	committed   atomic.Uint64
}

// groupMax is how many events go into one commit at most while the journal
// keeps up; backlogMax how many are taken while it does not.
const (
	groupMax   = 1024
	backlogMax = 65536
)

// NewRegistry makes a Registry and reserves its memory. It reads the journal
// only in Run.
func NewRegistry(cfg Config, journal Journal, log *slog.Logger) (*Registry, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	m, err := mapMemory(cfg)
	if err != nil {
		return nil, err
	}
	return newRegistry(cfg, m, journal, log), nil
}

func newRegistry(cfg Config, m *memory, journal Journal, log *slog.Logger) *Registry {
	r := &Registry{
		arbiter: newArbiter(cfg, m, &counters{}), cfg: cfg, log: log, journal: journal,
		queue: make(chan Event, cfg.Queue), control: make(chan func()), sealed: make(chan *pending), idle: make(chan *pending, 1), loaded: make(chan struct{}),
		started: cfg.Now(),
	}
	r.warming.Store(true)
	r.idle <- &pending{}
	return r
}

// Submit offers an event. It never blocks: ErrBusy means that the queue is
// full, ErrClosed that the Registry is stopping. Any goroutine may call it.
func (r *Registry) Submit(ev Event) error {
	if r.closed.Load() {
		return ErrClosed
	}
	select {
	case r.queue <- ev:
		return nil
	default:
		r.counters.add(countBusy, 1)
		return ErrBusy
	}
}

// Run loads the journal, then applies events until ctx is done. What was
// submitted by then is still applied and committed. It returns an error if the
// journal cannot be loaded.
func (r *Registry) Run(ctx context.Context) error {
	defer r.closed.Store(true)
	skipped, err := r.load(ctx, r.journal, r.cfg.Domains, r.cfg.Now, r.recall)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	r.committed.Store(r.seq)
	if skipped > 0 {
		r.log.Warn("stored holdings do not fit the configuration any more", "holdings", skipped)
	}
	r.warming.Store(false)
	close(r.loaded)
	r.log.Info("journal loaded", "sessions", r.m.sessions.Len(), "addresses", r.m.addrs.Len(), "took", r.cfg.Now().Sub(r.started).Round(time.Millisecond))
	done := make(chan struct{})
	commitCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { defer close(done); r.commitLoop(commitCtx) }()
	r.writeLoop(ctx)
	r.drain()
	close(r.sealed)
	// A journal that is down may not hold the process back for long.
	timer := time.AfterFunc(3*time.Second, stop)
	<-done
	timer.Stop()
	stop()
	return nil
}

// writeLoop is the one writer.
func (r *Registry) writeLoop(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		queue, idle := r.queue, r.idle
		if r.batch.events >= backlogMax {
			queue = nil // the journal is behind: let the queue fill, then say busy
		}
		if r.batch.empty() {
			idle = nil
		}
		select {
		case ev := <-queue:
			r.take(&ev)
			r.takeMore()
		case next := <-idle:
			r.hand(next)
		case fn := <-r.control:
			fn()
		case <-tick.C:
			r.tick()
		case <-ctx.Done():
			return
		}
	}
}

// takeMore applies what else is waiting, as far as one group goes.
func (r *Registry) takeMore() {
	for range groupMax {
		select {
		case ev := <-r.queue:
			r.take(&ev)
		default:
			return
		}
	}
}

// take applies one event and notes who waits for its commit.
func (r *Registry) take(ev *Event) {
	now := r.cfg.Now().UnixMilli()
	outcome := r.apply(ev, now)
	if outcome == Duplicate && ev.Kind == NodeUp && ev.Source == SourceFeed && ev.Ack == nil {
		return // one heartbeat of many: nothing of it is kept
	}
	var err error
	switch outcome {
	case Applied:
		r.counters.add(countApplied, 1)
	case RefusedCapacity, RefusedNode:
		err = ErrCapacity
	case RefusedMalformed:
		r.counters.add(countRefusedMalformed, 1)
	}
	r.batch.events++
	if ev.Ack != nil {
		r.batch.acks = append(r.batch.acks, pendingAck{ev.Ack, ev.Token, err})
	}
	var domain string
	if d, ok := r.domains.Load().forEvent(ev, canonicalAPN(ev.APN)); ok && len(ev.Addrs) > 0 {
		domain = d.name
	}
	r.batch.trace = append(r.batch.trace, TraceEntry{
		Domain: domain, At: millis(now), Kind: ev.Kind.String(), Source: ev.Source, Node: ev.Node, Session: ev.Session,
		Subscriber: Subscriber{ev.MSISDN, ev.IMSI, ev.IMEI}, Addrs: ev.Addrs, Time: ev.Time, Outcome: string(outcome),
	})
}

// hand gives the batch to the committer and goes on with next.
func (r *Registry) hand(next *pending) {
	full := r.batch
	r.seal(r.cfg.Now().UnixMilli())
	r.batch = next
	r.sealed <- full
}

// drain applies what was submitted before the end and hands over the rest.
func (r *Registry) drain() {
	r.closed.Store(true)
	for len(r.queue) > 0 && r.batch.events < backlogMax {
		ev := <-r.queue
		r.take(&ev)
	}
	select {
	case next := <-r.idle:
		r.hand(next)
	case <-time.After(3 * time.Second):
		r.giveUp(r.batch, ErrClosed)
	}
	for len(r.queue) > 0 {
		if ev := <-r.queue; ev.Ack != nil {
			ev.Ack.Acknowledge(ev.Token, ErrClosed)
		}
	}
}

func (r *Registry) giveUp(p *pending, err error) {
	for _, w := range p.acks {
		w.ack.Acknowledge(w.token, err)
	}
}

const (
	sweepEvery  = 20 * time.Millisecond
	sweepPiece  = 2048
	touchEvery  = time.Second
	commitRetry = time.Second
)

// tick does a piece of the sweep. It leaves the journal alone while it is
// behind.
func (r *Registry) tick() {
	now := r.cfg.Now().UnixMilli()
	r.saveTrust()
	if r.batch.events < groupMax && len(r.batch.Changes) < backlogMax {
		r.sweep(&r.sweeper, sweepPiece, now)
		r.settled.Store(r.sweeper.rounds > 0)
	}
}

// SetDomains replaces domains and pools. Holdings outside the new pools stay
// until they end.
func (r *Registry) SetDomains(ctx context.Context, domains []Domain) error {
	if err := checkDomains(domains); err != nil {
		return err
	}
	return r.onWriter(ctx, func() { r.setDomains(domains) })
}

// Domains are the present ones. Any goroutine may call it.
func (r *Registry) Domains() []Domain {
	var list []Domain
	if set := r.domains.Load(); set != nil {
		for _, d := range set.list {
			list = append(list, Domain{Name: d.name, Pools: d.pools})
		}
	}
	return list
}

// onWriter runs fn on the writer and waits for it.
func (r *Registry) onWriter(ctx context.Context, fn func()) error {
	done := make(chan struct{})
	select {
	case r.control <- func() { defer close(done); fn() }:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(5 * time.Second):
		return errors.New("the registry does not answer")
	}
	<-done
	return nil
}
