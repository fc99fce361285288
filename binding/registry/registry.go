package registry

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// A Registry decides which SIM holds which address. Sources Submit events; Run
// applies them one at a time. Verify, Lookup and the other questions of its
// Reader may be asked at any time.
type Registry struct {
	*table.Reader
	*core
	cfg      Config
	log      *slog.Logger
	journal  binding.Journal
	nodes    *nodes
	sessions *sessions
	places   *places
	people   *people
	rules    *rules
	remains  *remains
	sweeper  *sweeper
	names    *domainNames
	hub      hub
	ring     traceRing
	refused  refusals
	recall   func(binding.Source, []byte) // see Recall

	queue   chan binding.Event
	control chan func() // runs on the writer
	sealed  chan *batch
	idle    chan *batch // batches to fill, returned by the committer

	loaded      chan struct{} // closed when the journal is loaded
	closed      atomic.Bool
	settled     atomic.Bool // see binding.Status
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

// New makes a Registry and reserves its memory. It reads the journal only in
// Run.
func New(cfg Config, journal binding.Journal, log *slog.Logger) (*Registry, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	m, err := table.Map(cfg.sizes())
	if err != nil {
		return nil, err
	}
	return newRegistry(cfg, m, journal, log), nil
}

func (c Config) sizes() table.Sizes {
	return table.Sizes{Sessions: c.Capacity, Addresses: c.Addresses}
}

// newRegistry joins the parts on a Memory.
func newRegistry(cfg Config, m *table.Memory, journal binding.Journal, log *slog.Logger) *Registry {
	c := &core{
		m: m, t: cfg.times(), limits: cfg.limits(), batch: &batch{}, counters: &counters{}, round: 1, parallel: cfg.Parallel,
	}
	numbers, sims, _ := cfg.placeholders() // checked
	r := &Registry{
		Reader: table.NewReader(m, c.t, cfg.Now), core: c, cfg: cfg, log: log, journal: journal,
		queue: make(chan binding.Event, cfg.Queue), control: make(chan func()), sealed: make(chan *batch), idle: make(chan *batch, 1),
		loaded: make(chan struct{}), started: cfg.Now(),
	}
	r.names = &domainNames{core: c, ids: map[string]uint16{}}
	r.nodes, r.remains = newNodes(c), &remains{core: c}
	r.people = &people{
		core: c, numbers: numbers, sims: sims, severalTold: cfg.MultiSIM != MultiSIMMatch,
		book: &book{resolve: cfg.Resolve, doubt: cfg.Doubt, learn: cfg.Learn},
	}
	r.places = &places{core: c, nodes: r.nodes, remains: r.remains, people: r.people}
	r.sessions = &sessions{core: c, nodes: r.nodes, people: r.people, remains: r.remains, places: r.places}
	r.people.sessions, r.people.places, r.places.sessions = r.sessions, r.places, r.sessions
	r.places.stays = &stays{core: c, places: r.places, sessions: r.sessions}
	followed := &sites{core: c, nodes: r.nodes, sessions: r.sessions, places: r.places, people: r.people}
	r.rules = &rules{core: c, nodes: r.nodes, sessions: r.sessions, places: r.places, people: r.people, stays: r.places.stays, sites: followed}
	followed.rules = r.rules
	r.sweeper = &sweeper{core: c, nodes: r.nodes, sessions: r.sessions, places: r.places, people: r.people}
	m.Warming.Store(true)
	r.idle <- &batch{}
	return r
}

// Submit offers an event. It never blocks: ErrBusy means that the queue is
// full, ErrClosed that the Registry is stopping. Any goroutine may call it.
func (r *Registry) Submit(ev binding.Event) error {
	if r.closed.Load() {
		return binding.ErrClosed
	}
	select {
	case r.queue <- ev:
		return nil
	default:
		r.counters.add(countBusy)
		return binding.ErrBusy
	}
}

// Run loads the journal, then applies events until ctx is done. What was
// submitted by then is still applied and committed. It returns an error if the
// journal cannot be loaded.
func (r *Registry) Run(ctx context.Context) error {
	defer r.closed.Store(true)
	skipped, err := r.load(ctx)
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
	r.m.Warming.Store(false)
	close(r.loaded)
	r.log.Info("journal loaded", "sessions", r.m.Sessions.Len(), "addresses", r.m.Addrs.Len(), "took", r.cfg.Now().Sub(r.started).Round(time.Millisecond))
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
	tick := time.NewTicker(r.cfg.Sweep)
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
func (r *Registry) take(ev *binding.Event) {
	now := r.cfg.Now().UnixMilli()
	named := binding.Subscriber{MSISDN: ev.MSISDN, IMSI: ev.IMSI, IMEI: ev.IMEI}
	outcome := r.rules.apply(ev, now)
	if outcome == Duplicate && ev.Kind == binding.NodeUp && ev.Source == binding.SourceFeed && ev.Ack == nil {
		return // one heartbeat of many: nothing of it is kept
	}
	var err error
	switch outcome {
	case Applied:
		r.counters.add(countApplied)
	case RefusedCapacity, RefusedNode:
		err = binding.ErrCapacity
		r.refused.tell(r.log, ev, outcome, now)
	case RefusedMalformed:
		r.counters.add(countRefusedMalformed)
	}
	r.batch.events++
	if ev.Ack != nil {
		r.batch.acks = append(r.batch.acks, waiting{ev.Ack, ev.Token, err})
	}
	var domain string
	if len(ev.Addrs) > 0 {
		if d, _ := r.m.Domains.Load().Of(binding.CanonicalAPN(ev.APN), ev.Addrs[0].Prefix); d != nil {
			domain = d.Name
		}
	}
	if ev.Source == binding.SourceFeed {
		domain = ev.Domain
	}
	became := string(outcome)
	if ev.MSISDN != named.MSISDN || ev.IMSI != named.IMSI {
		became += namedNobody
	}
	r.batch.trace = append(r.batch.trace, binding.TraceEntry{
		Domain: domain, At: table.Millis(now), Kind: ev.Kind.String(), Source: ev.Source, Node: ev.Node, Session: ev.Session,
		Subscriber: named, Addrs: ev.Addrs, Time: ev.Time, Outcome: became,
	})
}

// hand gives the batch to the committer and goes on with next.
func (r *Registry) hand(next *batch) {
	full := r.batch
	r.sessions.seal(r.cfg.Now().UnixMilli())
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
		r.giveUp(r.batch, binding.ErrClosed)
	}
	for len(r.queue) > 0 {
		if ev := <-r.queue; ev.Ack != nil {
			ev.Ack.Acknowledge(ev.Token, binding.ErrClosed)
		}
	}
}

func (r *Registry) giveUp(b *batch, err error) {
	for _, w := range b.acks {
		w.ack.Acknowledge(w.token, err)
	}
}

const (
	sweepPiece  = 2048
	touchEvery  = time.Second
	commitRetry = time.Second
)

// tick does a piece of the sweep. It leaves the journal alone while it is
// behind.
func (r *Registry) tick() {
	now := r.cfg.Now().UnixMilli()
	r.nodes.saveTrust()
	if r.batch.events < groupMax && len(r.batch.Changes) < backlogMax {
		r.sweeper.sweep(sweepPiece, now)
		r.settled.Store(r.sweeper.rounds > 0)
	}
}

// SetDomains replaces domains and pools. Holdings outside the new pools stay
// until they end.
func (r *Registry) SetDomains(ctx context.Context, domains []binding.Domain) error {
	if err := binding.CheckDomains(domains); err != nil {
		return err
	}
	return r.onWriter(ctx, func() { r.names.set(domains) })
}

// Domains are the present ones. Any goroutine may call it.
func (r *Registry) Domains() []binding.Domain {
	var list []binding.Domain
	if set := r.m.Domains.Load(); set != nil {
		for _, d := range set.List {
			list = append(list, binding.Domain{Name: d.Name, Pools: d.Pools})
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

// NumberOf is the number that the SIM was last seen with in signalling, zero if
// there is none, or more than one. Any goroutine may call it.
func (r *Registry) NumberOf(imsi binding.IMSI) binding.MSISDN { return r.m.NumberOf(imsi) }

// HasSession reports that a session of the SIM is known. Any goroutine may call
// it.
func (r *Registry) HasSession(imsi binding.IMSI) bool { return r.m.HasSession(imsi) }

// Recall lets fn have, while Run loads the journal, the memo of each session
// that goes on, so that its source knows it again. It is called before Run.
func (r *Registry) Recall(fn func(source binding.Source, memo []byte)) { r.recall = fn }

// Ready returns a channel that is closed when the journal is loaded.
func (r *Registry) Ready() <-chan struct{} { return r.loaded }

// domainNames numbers domains. A domain keeps its number for as long as the
// journal lives.
type domainNames struct {
	*core
	ids map[string]uint16
}

// set replaces the address domains.
func (n *domainNames) set(domains []binding.Domain) {
	idOf := func(name string) uint16 {
		id, ok := n.ids[name]
		if !ok {
			id = uint16(len(n.ids) + 1)
			n.ids[name] = id
			n.batch.Domains = append(n.batch.Domains, binding.NameRow{ID: id, Name: name})
		}
		return id
	}
	names := map[uint16]string{}
	set := table.NewDomains(domains, idOf, names)
	for name, id := range n.ids {
		names[id] = name
	}
	n.m.Domains.Store(set)
}
