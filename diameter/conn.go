package diameter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A conn is one connection to a peer. Its reader goroutine takes messages in
// their order, its writer goroutine sends what waits in the outbox and keeps
// the watchdog.
type conn struct {
	server    *Server
	raw       net.Conn
	from      netip.Addr // of the peer
	link      uint64     // see [binding.Event]
	initiator bool       // we connected
	log       *slog.Logger
	out       *outbox
	open      *openRequests
	pending   pending
	asking    atomic.Int64 // requests of the peer that are forwarded
	wanted    string       // of an initiator: the host to find
	names     []string     // in the peer's certificate, nil without TLS

	peer *peer                // set with the capabilities exchange, then read-only
	rule atomic.Pointer[Peer] // set with it too; another when the entries change

	watchMu  sync.Mutex
	watch    watchdog
	troubled atomic.Bool  // the watchdog's state is not okay
	heard    atomic.Int64 // unix ns, of the last message
	asked    atomic.Int64 // unix ns, of the last DWR
	hopByHop atomic.Uint32
	leaving  atomic.Bool // a DPR was sent or received
	unwanted atomic.Bool // the peer does not want another connection
	draining atomic.Bool // the server stops
	admitted atomic.Bool
	probed   atomic.Bool   // another connection waits for this one's place
	hurry    chan struct{} // holds one when the timer is to run out soon
	endOnce  sync.Once
	done     chan struct{} // closed when it is to end
	cause    error         // of the end, set before done is closed

	// Owned by the reader.
	store   *store
	fields  fields
	request Request
	node    *node  // of the last request
	shown   uint32 // Origin-State-Id of the peer, zero if it showed none
	touched []*conn
}

func newConn(s *Server, raw net.Conn, initiator bool) *conn {
	c := &conn{
		server: s, raw: raw, from: addressOf(raw.RemoteAddr()), link: s.links.Add(1), initiator: initiator, out: newOutbox(),
		hurry: make(chan struct{}, 1), done: make(chan struct{}), store: newStore(),
	}
	c.log = s.log.With("peer", c.from)
	c.open = newOpenRequests(c, s.cfg.InFlight)
	c.pending.limit = s.cfg.InFlight
	c.hopByHop.Store(rand.Uint32())
	return c
}

var (
	errGone     = errors.New("the peer closed the connection")
	errLeft     = errors.New("disconnected in order")
	errStopping = errors.New("stopping")
	errWatchdog = errors.New("the watchdog was not answered")
	errSlow     = errors.New("the peer does not read")
	errNotCER   = errors.New("the first message is not a Capabilities-Exchange-Request")
	errReplaced = errors.New("replaced by a newer connection of the same peer")
)

// end has the connection end once what waits for the peer is written. Anyone
// may call it; the first cause counts.
func (c *conn) end(cause error) {
	c.endOnce.Do(func() {
		c.cause = cause
		close(c.done)
	})
}

func (c *conn) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// serve runs an accepted connection to its end.
func (c *conn) serve(ctx context.Context) {
	var writer sync.WaitGroup
	writer.Go(func() { c.write(ctx) })
	c.end(c.exchange(ctx))
	writer.Wait()
}

// exchange admits the peer and reads its messages.
func (c *conn) exchange(ctx context.Context) error {
	in := newStream(c.raw, c.server.cfg.MaxMessage)
	names, err := c.secure(ctx)
	if err != nil {
		return err
	}
	c.names = names
	if err := c.raw.SetReadDeadline(time.Now().Add(c.server.cfg.CapabilitiesTimeout)); err != nil {
		return err
	}
	meet := c.admit
	if c.initiator {
		meet = c.confirm
		c.requestCapabilities()
	}
	m, err := in.first()
	if err != nil {
		return fmt.Errorf("capabilities exchange: %w", err)
	}
	if err := meet(m); err != nil {
		return err
	}
	c.out.flush()
	if err := c.raw.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return c.read(in)
}

// read takes messages until the connection ends. What one read brings is
// answered with one write.
func (c *conn) read(in *stream) error {
	for {
		messages, err := in.next()
		now := c.server.now()
		for len(messages) > 0 && err == nil {
			n := in.cut(messages)
			err = c.receive(frame(messages[:n:n]), now)
			messages = messages[n:]
		}
		c.flush()
		switch {
		case errors.Is(err, io.EOF):
			return c.gone()
		case err != nil:
			return err
		}
		c.heard.Store(time.Now().UnixNano())
		if err := c.throttle(); err != nil {
			return err
		}
	}
}

// gone is how a connection ends that the peer closed.
func (c *conn) gone() error {
	if c.leaving.Load() {
		return errLeft
	}
	return errGone
}

// queue puts a message into the outbox. A peer for which too much waits already
// is given up.
func (c *conn) queue(m frame) bool {
	if !c.out.add(m) {
		c.end(errSlow)
		return false
	}
	return true
}

// throttle holds a peer back that does not read what it asked for.
func (c *conn) throttle() error {
	for c.out.waiting() > outboxHigh {
		select {
		case <-c.out.room:
		case <-c.done:
			return c.cause
		}
	}
	return nil
}

// receive takes one message. An error ends the connection.
func (c *conn) receive(m frame, now time.Time) error {
	c.peer.counts.received(m)
	c.listen(m)
	switch m.command() {
	case cmdCapabilities, cmdWatchdog, cmdDisconnect:
		return c.base(m, now)
	}
	if client := c.server.client; client != nil {
		client.receive(c, m)
		return nil
	}
	switch relay := c.server.cfg.Mode == Relay; {
	case relay && m.request():
		c.forward(m, now)
	case relay:
		c.deliver(m)
	case m.request():
		c.accept(m, now)
	default:
		c.peer.counts.unexpected.Add(1)
	}
	return nil
}

// owner is who brings what this connection says: the group of the entry that
// admits the peer or, without one, the peer itself.
func (c *conn) owner() string {
	if group := c.rule.Load().Group; group != "" {
		return group
	}
	return c.peer.name
}

// ready reports that the capabilities were exchanged.
func (c *conn) ready() bool { return c.admitted.Load() }

// suspect reports that the peer does not answer the watchdog.
func (c *conn) suspect() bool {
	c.watchMu.Lock()
	defer c.watchMu.Unlock()
	return c.watch.state == linkSuspect
}
