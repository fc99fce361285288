package radius

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/simbind/simbind/binding"
)

// Config of the accounting edge. Zero values mean the defaults.
type Config struct {
	// Listen are the UDP addresses, "host:port"; without a host, all of them.
	Listen []string
	// Clients are who may send.
	Clients []Client
	// ReceiveBuffer is the wanted size of each socket's receive buffer in
	// octets, 8 MiB by default. What the kernel grants is a metric.
	ReceiveBuffer int
	// Transactions bounds, for each socket, the requests that wait for their
	// commit and the answers that are kept for repetitions; 131072 by default.
	Transactions int
	// DuplicateWindow is how long an answer is kept for repetitions, 30 s by
	// default.
	DuplicateWindow time.Duration
	// ProxyTo has each accounting request go on to the operator's AAA server.
	// Nil: none does.
	ProxyTo *Proxy
	// RadSec hears requests over TLS. Nil: it does not.
	RadSec *RadSec
	// Now is the clock, time.Now by default. A datagram arrived when the kernel
	// had it or, by another clock, which the kernel does not know, when it is
	// read.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.ReceiveBuffer == 0 {
		c.ReceiveBuffer = 8 << 20
	}
	if c.Transactions == 0 {
		c.Transactions = 1 << 17
	}
	if c.DuplicateWindow == 0 {
		c.DuplicateWindow = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.ReceiveBuffer < maxPacket || c.ReceiveBuffer > 1<<30:
		return fmt.Errorf("radius: receive_buffer %d is not within %d to %d", c.ReceiveBuffer, maxPacket, 1<<30)
	case c.Transactions < 1 || c.Transactions > 1<<24:
		return fmt.Errorf("radius: transactions %d are not within 1 to %d", c.Transactions, 1<<24)
	case c.DuplicateWindow < 0:
		return errors.New("radius: duplicate_window is negative")
	}
	for _, address := range c.Listen {
		if _, err := udpNetwork(address); err != nil {
			return fmt.Errorf("radius: %w", err)
		}
	}
	if _, err := newClients(c.Clients, func(string) *clientCounts { return nil }); err != nil {
		return err
	}
	return errors.Join(c.ProxyTo.check(), c.RadSec.check())
}

// A Server is the accounting edge. Its methods may be called by anyone.
type Server struct {
	cfg    Config
	submit binding.SubmitFunc
	log    *slog.Logger
	now    func() time.Time
	kernel bool // now is the kernel's clock as well
	nodes  *nodes
	home   *home // nil without a proxy
	ready  chan struct{}

	clients atomic.Pointer[clients]

	// Set when the sockets are bound.
	socketsMu sync.Mutex
	sockets   []*socket
	listeners []net.Listener

	warnings   *rate.Limiter
	strangers  *clientCounts // of nobody we know
	countsMu   sync.Mutex
	counts     []*clientCounts
	answers    atomic.Uint64
	sendErrors atomic.Uint64

	radsecStats radsecStats
}

var errUnknownClient = errors.New("no client has this address")

// New makes the edge. It does no I/O; Run reports a bad configuration.
func New(cfg Config, submit binding.SubmitFunc, log *slog.Logger) *Server {
	kernel := cfg.Now == nil
	cfg = cfg.withDefaults()
	s := &Server{
		kernel: kernel,
		cfg:    cfg, submit: submit, log: log.With("source", binding.SourceRADIUS), now: cfg.Now, nodes: newNodes(submit),
		ready: make(chan struct{}), warnings: rate.NewLimiter(1, 10), strangers: &clientCounts{},
	}
	s.clients.Store(&clients{})
	if cfg.ProxyTo != nil {
		s.home = newHome(*cfg.ProxyTo, s)
	}
	return s
}

// SetClients replaces the clients. On an error the earlier ones stay. Requests
// that are already taken are answered by the earlier secret.
func (s *Server) SetClients(list []Client) error {
	t, err := newClients(list, s.countsOf)
	if err != nil {
		return err
	}
	s.clients.Store(t)
	return nil
}

// Ready is closed when all listeners are bound.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addrs are the bound UDP addresses, in the order of Config.Listen; empty
// before Ready.
func (s *Server) Addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, u := range s.bound() {
		addrs = append(addrs, u.addr)
	}
	return addrs
}

func (s *Server) bound() []*socket {
	s.socketsMu.Lock()
	defer s.socketsMu.Unlock()
	return s.sockets
}

// Run serves until ctx ends and then returns nil. An error means that it could
// not listen or that a socket failed.
func (s *Server) Run(ctx context.Context) error {
	if err := s.cfg.Check(); err != nil {
		return err
	}
	if err := s.SetClients(s.cfg.Clients); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	defer s.close()
	if err := s.bind(ctx); err != nil {
		return err
	}
	for _, u := range s.bound() {
		s.log.Info("listening", "address", u.addr, "receive_buffer", u.buffer)
		if u.buffer < s.cfg.ReceiveBuffer {
			s.log.Warn("the receive buffer is smaller than configured; raise net.core.rmem_max or grant CAP_NET_ADMIN",
				"address", u.addr, "receive_buffer", u.buffer, "configured", s.cfg.ReceiveBuffer)
		}
		g.Go(func() error { return endOf(ctx, u.read()) })
		g.Go(func() error { return endOf(ctx, u.write(ctx)) })
	}
	for _, l := range s.listeners {
		s.log.Info("listening for RadSec", "address", l.Addr().String())
		g.Go(func() error { return endOf(ctx, s.acceptRadSec(ctx, l)) })
	}
	if s.home != nil {
		for _, link := range s.home.links {
			g.Go(func() error { return endOf(ctx, link.read()) })
		}
	}
	g.Go(func() error { return s.sweep(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		s.close()
		return nil
	})
	close(s.ready)
	return g.Wait()
}

// endOf is err, unless the end was asked for.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// bind opens every socket, or none.
func (s *Server) bind(ctx context.Context) error {
	for _, address := range s.cfg.Listen {
		u, err := s.listen(ctx, address)
		if err != nil {
			return err
		}
		s.socketsMu.Lock()
		s.sockets = append(s.sockets, u)
		s.socketsMu.Unlock()
	}
	if err := s.bindRadSec(ctx); err != nil {
		return err
	}
	if s.home != nil {
		return s.home.dial(ctx)
	}
	return nil
}

// close ends every socket; readers then return.
func (s *Server) close() {
	for _, u := range s.bound() {
		u.conn.Close()
	}
	s.socketsMu.Lock()
	defer s.socketsMu.Unlock()
	for _, l := range s.listeners {
		l.Close()
	}
	if s.home != nil {
		s.home.close()
	}
}

// sweep looks once a second for what has been silent for too long.
func (s *Server) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := s.now()
			s.nodes.sweep(now)
			if s.home != nil {
				s.home.sweep(now)
			}
		}
	}
}
