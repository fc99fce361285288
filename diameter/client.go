package diameter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding"
)

// ClientConfig of a Client. Zero values mean the defaults.
type ClientConfig struct {
	// Application is the one that is spoken, of 3GPP.
	Application uint32
	// OriginHost and OriginRealm are our DiameterIdentity.
	OriginHost, OriginRealm string
	// DestinationRealm is whom requests are for, OriginRealm by default;
	// DestinationHost names one host of it, which agents on the way look for.
	DestinationRealm, DestinationHost string
	// Servers are whom we connect to: servers, or agents before them.
	Servers []Upstream
	// TLS holds our certificate, and RootCAs for those of servers that want TLS.
	TLS *tls.Config
	// AnswerTimeout bounds how long an answer is awaited, 2 s by default.
	AnswerTimeout time.Duration
	// InFlight bounds the requests that wait for their answer, 1024 by default.
	InFlight int
	// Reconnect, CapabilitiesTimeout, Watchdog and WriteTimeout are those of
	// [Config].
	Reconnect, CapabilitiesTimeout, Watchdog, WriteTimeout time.Duration
	// Serve takes the requests of servers and returns how they are answered. It
	// must not block, nor keep the message. Nil: there are none to take.
	Serve func(request Message) Result
}

func (c ClientConfig) withDefaults() ClientConfig {
	if c.AnswerTimeout == 0 {
		c.AnswerTimeout = 2 * time.Second
	}
	if c.InFlight == 0 {
		c.InFlight = 1024
	}
	if c.DestinationRealm == "" {
		c.DestinationRealm = c.OriginRealm
	}
	return c
}

// edge is the configuration of the connections.
func (c ClientConfig) edge() Config {
	cfg := Config{
		OriginHost: c.OriginHost, OriginRealm: c.OriginRealm, Upstreams: c.Servers, AnswerTimeout: c.AnswerTimeout, InFlight: c.InFlight,
		Reconnect: c.Reconnect, CapabilitiesTimeout: c.CapabilitiesTimeout, Watchdog: c.Watchdog, WriteTimeout: c.WriteTimeout,
	}
	if c.TLS != nil {
		config := c.TLS.Clone()
		config.ClientCAs = config.RootCAs // nobody connects to us
		cfg.TLS = &TLS{Config: config}
	}
	return cfg
}

// Check reports what is wrong with the configuration.
func (c ClientConfig) Check() error {
	c = c.withDefaults()
	if len(c.Servers) == 0 {
		return errors.New("diameter: a client has servers")
	}
	if err := checkIdentity("destination_realm", c.DestinationRealm); err != nil {
		return err
	}
	if c.DestinationHost != "" {
		if err := checkIdentity("destination_host", c.DestinationHost); err != nil {
			return err
		}
	}
	cfg := c.edge()
	cfg.Mode = Relay // which is who has upstreams
	return cfg.Check()
}

var (
	// ErrUnreachable reports that no server is connected.
	ErrUnreachable = errors.New("no Diameter server is connected")
	// ErrNoAnswer reports that the answer did not come in time.
	ErrNoAnswer = errors.New("no Diameter answer came in time")
)

// A Client asks servers of one application, over connections that it makes and
// keeps as a relay does those to its upstreams. Its methods may be called by
// anyone.
type Client struct {
	cfg     ClientConfig
	server  *Server // its connections; it listens to nobody
	ready   chan struct{}
	start   string // of every Session-Id
	session atomic.Uint64
	counts  clientCounts

	mu      sync.Mutex
	asked   map[askedAs]*asked
	waiting int
}

// clientCounts are counted over all connections. All atomic.
type clientCounts struct {
	asked, refused, overdue, moved, unexpected, served atomic.Uint64
}

// ClientCounts are what a client counted since its start.
type ClientCounts struct {
	// Asked are requests that were sent, Refused those that could not be:
	// nobody was connected, or too many waited.
	Asked, Refused uint64
	// Overdue were not answered in time; Moved were sent again, elsewhere.
	Overdue, Moved uint64
	// Unexpected are answers that fit no request that waits: they were dropped.
	Unexpected uint64
	// Served are requests of servers.
	Served uint64
	// Waiting are requests that wait now, Connected the servers that are
	// connected.
	Waiting, Connected int
}

// NewClient makes a client. It does no I/O; Run reports a bad configuration.
func NewClient(cfg ClientConfig, log *slog.Logger) *Client {
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, ready: make(chan struct{}), asked: map[askedAs]*asked{}}
	c.server = New(cfg.edge(), func(binding.Event) error { return nil }, log)
	c.server.log = log
	c.server.applications = []uint32{cfg.Application}
	c.server.client = c
	// RFC 6733 section 8.8: the high part is the time of the start.
	c.start = cfg.OriginHost + ";" + strconv.FormatInt(time.Now().Unix(), 10) + ";"
	return c
}

// Ready is closed when Run has begun to connect: a server that is away holds
// nobody up.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// Run keeps the connections until ctx ends, and asks every server to
// disconnect. An error means that the configuration is bad.
func (c *Client) Run(ctx context.Context) error {
	if err := c.cfg.Check(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, u := range c.server.upstreams.list {
		g.Go(func() error { return c.server.keep(ctx, u) })
	}
	close(c.ready)
	return g.Wait()
}

// Peers reports on every server.
func (c *Client) Peers() []PeerReport { return c.server.Peers() }

// Counts are what was counted so far.
func (c *Client) Counts() ClientCounts {
	n := &c.counts
	counts := ClientCounts{
		Asked: n.asked.Load(), Refused: n.refused.Load(), Overdue: n.overdue.Load(), Moved: n.moved.Load(),
		Unexpected: n.unexpected.Load(), Served: n.served.Load(),
	}
	for _, u := range c.server.upstreams.list {
		if u.peer.isOpen() {
			counts.Connected++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	counts.Waiting = c.waiting
	return counts
}

// receive takes a message of a server that is not of the base protocol.
func (c *Client) receive(on *conn, m frame) {
	if m.request() {
		c.accept(on, m)
		return
	}
	c.answered(on, m)
}

// accept answers a request of a server.
func (c *Client) accept(on *conn, m frame) {
	c.counts.served.Add(1)
	result := Result{Code: uint32(resultUnsupportedCommand)}
	switch {
	case m.flags()&flagError != 0:
		result.Code = uint32(resultInvalidBits)
	case m.application() != c.cfg.Application:
		result.Code = uint32(resultUnsupportedApp)
	case c.cfg.Serve != nil:
		result = c.cfg.Serve(Message{m})
	}
	buf, ok := on.out.lock()
	if ok {
		buf = c.appendServed(buf, m, result)
	}
	on.out.unlock(buf)
	on.peer.counts.answered(resultCode(result.Code))
}

// appendServed appends the answer to a request of a server, as an application
// of 3GPP without sessions has it (TS 29.329 clause 6.1.8, for one).
func (c *Client) appendServed(b []byte, m frame, result Result) []byte {
	start := len(b)
	header := resultCode(result.Code)
	if result.Vendor != 0 {
		header = 0 // no protocol error
	}
	b = appendAnswerHeader(b, m, header)
	if session := sessionOf(m); len(session) > 0 {
		b = appendAVP(b, avpSessionID, session)
	}
	if m.application() == c.cfg.Application {
		b = c.appendApplication(b)
	}
	if result.Vendor != 0 {
		b = appendAVP(b, avpExperimentalResult, appendUint32(appendUint32(nil, avpVendorID, result.Vendor), avpExperimentalCode, result.Code))
	} else {
		b = appendUint32(b, avpResultCode, result.Code)
	}
	b = append(b, c.server.identity...)
	b = appendProxyInfo(b, m)
	return endMessage(b, start)
}

// appendApplication appends what every message of an application of 3GPP
// without sessions says of it.
func (c *Client) appendApplication(b []byte) []byte {
	b = appendAVP(b, avpVendorSpecificApp, appendUint32(appendUint32(nil, avpVendorID, vendor3GPP), avpAuthApplicationID, c.cfg.Application))
	return appendUint32(b, avpAuthSessionState, noStateMaintained)
}

// sessionOf finds the Session-Id of a message.
func sessionOf(m frame) (session []byte) {
	w := newWalk()
	_ = w.each(m.avps(), 0, func(a avp) error {
		if a.is(0, avpSessionID) && session == nil {
			session = a.data
		}
		return nil
	})
	return session
}

func (c *Client) nextSession() string {
	return fmt.Sprintf("%s%d", c.start, c.session.Add(1))
}
