package diameter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/simbind/simbind/binding"
)

// A Server is the Gx edge. Its methods may be called by anyone.
type Server struct {
	cfg    Config
	submit binding.SubmitFunc
	log    *slog.Logger
	now    func() time.Time
	ready  chan struct{}

	// What we say of ourselves, as AVPs; set before Run, then read-only.
	applications    []uint32
	identity, state []byte

	admission admission
	peers     *peers
	upstreams *upstreams
	nodes     *nodes
	learner   *learner
	endToEnd  atomic.Uint32
	links     atomic.Uint64 // of the last connection; begins anywhere, so that no other source counts there
	counts    serverCounts
	warnings  *rate.Limiter
	client    *Client // whose connections these are, or nil

	// Set when the sockets are bound.
	listenersMu sync.Mutex
	listeners   []net.Listener
}

// New makes the edge. It does no I/O; Run reports a bad configuration.
func New(cfg Config, submit binding.SubmitFunc, log *slog.Logger) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, submit: submit, log: log.With("source", binding.SourceGx), now: cfg.Now, ready: make(chan struct{}),
		applications: []uint32{appGx}, peers: newPeers(cfg.OriginHost), nodes: newNodes(submit),
		learner: newLearner(submit, cfg.Now), warnings: rate.NewLimiter(1, 10),
	}
	s.links.Store(rand.Uint64())
	s.admission.peers.Store(&cfg.Peers)
	s.upstreams = newUpstreams(cfg.Upstreams, s.peers)
	if cfg.Mode == Relay {
		// A relay has every application; some peers look for their own.
		s.applications = []uint32{appRelay, appGx}
		s.nodes.submit = func(ev binding.Event) error {
			s.learner.tell(ev)
			return nil
		}
	}
	if cfg.OriginState == 0 {
		s.cfg.OriginState = uint32(cfg.Now().Unix())
	}
	s.identity = appendAVP(appendAVP(nil, avpOriginHost, cfg.OriginHost), avpOriginRealm, cfg.OriginRealm)
	s.state = appendUint32(nil, avpOriginStateID, s.cfg.OriginState)
	// RFC 6733 section 3: the low bits of the time, so that a restart does not
	// repeat identifiers.
	s.endToEnd.Store(uint32(cfg.Now().Unix()) << 20)
	return s
}

func (s *Server) nextEndToEnd() uint32 { return s.endToEnd.Add(1) }

// Ready is closed when all listeners are bound.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addrs are the bound addresses, in the order of the configuration: TCP, TLS,
// SCTP; empty before Ready.
func (s *Server) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, l := range s.bound() {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

func (s *Server) bound() []net.Listener {
	s.listenersMu.Lock()
	defer s.listenersMu.Unlock()
	return s.listeners
}

// Run serves until ctx ends, asks every peer to disconnect, and returns nil. An
// error means that it could not listen.
func (s *Server) Run(ctx context.Context) error {
	if err := s.cfg.Check(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	defer s.close()
	if err := s.bind(ctx); err != nil {
		return err
	}
	if s.cfg.Known != nil {
		s.nodes.expect(s.cfg.Known())
	}
	for _, l := range s.bound() {
		s.log.Info("listening", "address", l.Addr().String())
		g.Go(func() error { return endOf(ctx, s.acceptAll(ctx, l)) })
	}
	for _, u := range s.upstreams.list {
		g.Go(func() error { return s.keep(ctx, u) })
	}
	g.Go(func() error { return s.sweep(ctx) })
	g.Go(func() error { return s.learner.run(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		s.close()
		return nil
	})
	close(s.ready)
	err := g.Wait()
	s.learner.finish()
	return err
}

// endOf is err, unless the end was asked for.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// bind opens every listener, or none.
func (s *Server) bind(ctx context.Context) error {
	tcp := func(address string) (net.Listener, error) { return (&net.ListenConfig{}).Listen(ctx, "tcp", address) }
	if err := s.bindAll(s.cfg.Listen, "Diameter", tcp); err != nil {
		return err
	}
	if t := s.cfg.TLS; t != nil {
		secure := func(address string) (net.Listener, error) {
			l, err := tcp(address)
			if err != nil {
				return nil, err
			}
			return newSecureListener(l, t.Config), nil
		}
		if err := s.bindAll(t.Listen, "Diameter over TLS", secure); err != nil {
			return err
		}
	}
	return s.bindAll(s.cfg.SCTPListen, "Diameter over SCTP", listenSCTP)
}

func (s *Server) bindAll(addresses []string, what string, listen func(address string) (net.Listener, error)) error {
	for _, address := range addresses {
		l, err := listen(address)
		if err != nil {
			return fmt.Errorf("listen for %s on %s: %w", what, address, err)
		}
		s.listenersMu.Lock()
		s.listeners = append(s.listeners, l)
		s.listenersMu.Unlock()
	}
	return nil
}

func (s *Server) close() {
	for _, l := range s.bound() {
		l.Close()
	}
}

// acceptAll takes connections until the listener is closed, and waits for them
// to end.
func (s *Server) acceptAll(ctx context.Context, l net.Listener) error {
	var g errgroup.Group
	defer g.Wait()
	for {
		raw, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			s.log.Warn("accept", "err", err)
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
			continue
		}
		if s.counts.connections.Add(1) > int64(s.cfg.MaxConnections) {
			s.counts.connections.Add(-1)
			s.counts.overLimit.Add(1)
			raw.Close()
			continue
		}
		g.Go(func() error {
			defer s.counts.connections.Add(-1)
			c := newConn(s, raw, false)
			c.serve(ctx)
			s.closed(ctx, c)
			return nil
		})
	}
}

// pause reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// opened notes that a peer was admitted.
func (s *Server) opened(c *conn, said *capabilities, now time.Time) {
	s.counts.accepted.Add(1)
	c.log.Info("peer connected", "realm", said.realm, "product", said.product, "state", said.state)
	if err := s.told(c, said.state, true, now); err != nil {
		c.end(fmt.Errorf("its restart is not taken yet: %w", err)) // it comes again
	}
	s.nodes.hear(c.owner(), c.peer.host, c.peer, false, now)
	s.nodes.regain(c.owner(), c.peer, c.rule.Load().allows)
	s.nodes.judge(now)
}

// told notes the Origin-State-Id that a peer shows of itself, or zero; anew, that
// it does so in opening a connection. Upstreams own no sessions, and a
// connection that was replaced shows what was.
func (s *Server) told(c *conn, state uint32, anew bool, now time.Time) error {
	if c.peer.conn.Load() != c {
		return nil
	}
	if state > c.shown {
		c.shown = state
		c.peer.state.Store(state)
	}
	if s.isUpstream(c.peer) {
		return nil
	}
	return s.nodes.restarted(binding.Event{
		Kind: binding.NodeRestart, Source: binding.SourceGx, Owner: c.owner(), Node: c.peer.host,
		Arrived: now, Link: c.link, OriginState: state,
	}, anew)
}

// SharedNames are Origin-Hosts whose sessions are heard through two peers that
// are of no common group: each is two nodes, which may contradict each other. At
// most 64 are named.
func (s *Server) SharedNames() []string { return s.nodes.shared() }

// closed notes that a connection ended.
func (s *Server) closed(ctx context.Context, c *conn) {
	if !c.ready() {
		s.counts.notAdmitted.Add(1)
		if ctx.Err() == nil && s.warnings.Allow() {
			c.log.Warn("peer not admitted", "err", c.cause)
		}
		return
	}
	inOrder := errors.Is(c.cause, errLeft)
	if inOrder {
		s.counts.left.Add(1)
		c.log.Info("peer disconnected")
	} else {
		s.counts.lost.Add(1)
		c.log.Warn("peer lost", "err", c.cause)
	}
	current := s.peers.closed(c, !inOrder, s.now())
	s.failover(c, true)
	if current && ctx.Err() == nil {
		s.nodes.judge(s.now())
	}
}

// sweep looks every now and then for nodes of which the Registry still has to
// be told, and for requests that were not answered.
func (s *Server) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if ctx.Err() != nil {
				return nil // stopping, we lose peers that are well
			}
			s.nodes.judge(s.now())
			s.overdue(s.now())
		}
	}
}

const sweepEvery = 250 * time.Millisecond
