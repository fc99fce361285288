package radius

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// RadSec hears RADIUS over TLS (RFC 6614). The certificate of the peer says
// which [Client] it is.
type RadSec struct {
	// Listen are the TCP addresses, "host:port".
	Listen []string
	// TLS holds our certificate and, in ClientCAs, who signs those of the
	// clients. A client certificate is always demanded, and TLS 1.2 at least.
	TLS *tls.Config
	// MaxConnections bounds the connections, 256 by default.
	MaxConnections int
	// IdleTimeout ends a connection on which nothing comes, 5 minutes by
	// default; RFC 6613 section 2.4 has clients send a watchdog sooner.
	IdleTimeout time.Duration
	// WriteTimeout ends a connection whose peer does not read, 10 s by default.
	WriteTimeout time.Duration
	// MaxDelay is how late a request may come of a NAS that stamps none, as TCP
	// holds what it cannot deliver; 5 minutes by default. Client.BlindDelay says
	// otherwise.
	MaxDelay time.Duration
}

const (
	// handshakeTimeout bounds the TLS handshake.
	handshakeTimeout = 10 * time.Second
	// connectionWindow bounds the requests of a connection that wait for their
	// commit: as many as there are identifiers. The next one is not read
	// before.
	connectionWindow = 256
	// connectionPatience is how long a full queue holds a connection back.
	connectionPatience = 2 * time.Second
)

func (r RadSec) withDefaults() RadSec {
	if r.MaxConnections == 0 {
		r.MaxConnections = 256
	}
	if r.IdleTimeout == 0 {
		r.IdleTimeout = 5 * time.Minute
	}
	if r.WriteTimeout == 0 {
		r.WriteTimeout = 10 * time.Second
	}
	if r.MaxDelay == 0 {
		r.MaxDelay = 5 * time.Minute
	}
	return r
}

func (r *RadSec) check() error {
	switch {
	case r == nil:
		return nil
	case r.TLS == nil || r.TLS.ClientCAs == nil:
		return errors.New("radsec: no authority for client certificates")
	case len(r.TLS.Certificates) == 0 && r.TLS.GetCertificate == nil:
		return errors.New("radsec: no certificate")
	case r.MaxConnections < 0 || r.IdleTimeout < 0 || r.WriteTimeout < 0 || r.MaxDelay < 0:
		return errors.New("radsec: a limit is negative")
	}
	return nil
}

// radsecStats are counted over all connections. All atomic.
type radsecStats struct {
	connections                      atomic.Int64
	accepted, refused, failed, ended atomic.Uint64
}

func (s *radsecStats) collect(ch chan<- prometheus.Metric) {
	metric(ch, "radsec_connections", "Open RadSec connections.", prometheus.GaugeValue, float64(s.connections.Load()))
	for name, v := range map[string]*atomic.Uint64{
		"accepted": &s.accepted, "over-limit": &s.refused, "not-admitted": &s.failed, "broken": &s.ended,
	} {
		metric(ch, "radsec_connections_total", "RadSec connections by what became of them.", prometheus.CounterValue, float64(v.Load()), "what", name)
	}
}

// RadSecAddrs are the bound TCP addresses; empty before Ready.
func (s *Server) RadSecAddrs() []net.Addr {
	s.socketsMu.Lock()
	defer s.socketsMu.Unlock()
	var addrs []net.Addr
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

func (s *Server) bindRadSec(ctx context.Context) error {
	if s.cfg.RadSec == nil {
		return nil
	}
	for _, address := range s.cfg.RadSec.Listen {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listen for RadSec on %s: %w", address, err)
		}
		s.socketsMu.Lock()
		s.listeners = append(s.listeners, l)
		s.socketsMu.Unlock()
	}
	return nil
}

// acceptRadSec takes connections until the listener is closed, and waits for
// them to end.
func (s *Server) acceptRadSec(ctx context.Context, l net.Listener) error {
	cfg := s.cfg.RadSec.withDefaults()
	stats := &s.radsecStats
	var g errgroup.Group
	defer g.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			s.log.Warn("RadSec accept", "err", err)
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
			continue
		}
		if stats.connections.Add(1) > int64(cfg.MaxConnections) {
			stats.connections.Add(-1)
			stats.refused.Add(1)
			conn.Close()
			continue
		}
		g.Go(func() error {
			defer stats.connections.Add(-1)
			s.serveRadSec(ctx, conn, cfg)
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

// serveRadSec admits a connection and serves it to its end.
func (s *Server) serveRadSec(ctx context.Context, raw net.Conn, cfg RadSec) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn := tls.Server(raw, serverTLS(cfg.TLS))
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	peer := raw.RemoteAddr().String()
	name, err := s.admit(ctx, conn)
	if err != nil {
		s.radsecStats.failed.Add(1)
		if s.warnings.Allow() {
			s.log.Warn("RadSec peer not admitted", "peer", peer, "err", err)
		}
		return
	}
	s.radsecStats.accepted.Add(1)
	s.log.Info("RadSec connected", "peer", peer, "client", name)
	c := &connection{
		server: s, conn: conn, cfg: cfg, name: name, lane: newLane(s, 2*connectionWindow),
		window: make(chan struct{}, connectionWindow),
	}
	c.lane.patience, c.lane.held = connectionPatience, cfg.MaxDelay
	var g errgroup.Group
	g.Go(func() error {
		defer cancel()
		return c.write(ctx)
	})
	err = c.read(ctx)
	cancel()
	err = errors.Join(err, g.Wait())
	if err != nil {
		s.radsecStats.ended.Add(1)
	}
	s.log.Info("RadSec disconnected", "peer", peer, "client", name, "err", err)
}

// serverTLS demands what RFC 6614 section 2.3 demands, whatever the
// configuration says.
func serverTLS(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.GetConfigForClient = nil
	return cfg
}

// admit does the handshake and names the client by its certificate.
func (s *Server) admit(ctx context.Context, conn *tls.Conn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", fmt.Errorf("handshake: %w", err)
	}
	table := s.clients.Load()
	names := certificateNames(conn.ConnectionState().PeerCertificates[0])
	for _, name := range names {
		if table.byCertificate[name] != nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("no client has a certificate for %q", names)
}

// certificateNames are the DNS names of a certificate or, if it has none, its
// common name (RFC 6614 section 2.4).
func certificateNames(cert *x509.Certificate) []string {
	if len(cert.DNSNames) > 0 {
		return cert.DNSNames
	}
	return []string{cert.Subject.CommonName}
}

// A connection is a RadSec connection that is admitted.
type connection struct {
	server *Server
	conn   *tls.Conn
	cfg    RadSec
	name   string // the certificate's
	lane   *lane
	window chan struct{} // one for each open request
	// Of no meaning here: answers go back on the connection.
	peer  sockaddr
	asked local
}

// read takes requests in order. A packet that cannot be framed, or that is not
// authentic, ends the connection (RFC 6613 section 2.6.4).
func (c *connection) read(ctx context.Context) error {
	in, buffer := bufio.NewReader(c.conn), make([]byte, maxPacket)
	from := c.conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(c.cfg.IdleTimeout)); err != nil {
			return err
		}
		datagram, err := readFrame(in, buffer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.take(ctx, datagram, from, c.server.now()); err != nil {
			return err
		}
	}
}

// take waits for room among the open requests, which holds the peer back.
func (c *connection) take(ctx context.Context, datagram []byte, from netip.Addr, arrived time.Time) error {
	client := c.server.clients.Load().byCertificate[c.name]
	if client == nil {
		return errors.New("the client is no longer configured")
	}
	select {
	case c.window <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	began, err := c.lane.receive(datagram, client, from, &c.peer, &c.asked, arrived)
	if !began {
		<-c.window
	}
	return err
}

// readFrame reads one packet by its Length (RFC 6613 section 2.1).
func readFrame(in *bufio.Reader, buffer []byte) ([]byte, error) {
	head, err := in.Peek(4)
	if err != nil {
		if len(head) > 0 {
			return nil, fmt.Errorf("read a header: %w", io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if n < headerLen || n > maxPacket {
		return nil, errLength
	}
	if _, err := io.ReadFull(in, buffer[:n]); err != nil {
		return nil, fmt.Errorf("read a packet: %w", err)
	}
	return buffer[:n], nil
}

// write answers as outcomes come, until ctx ends or the peer does not read.
func (c *connection) write(ctx context.Context) error {
	digest, out := newDigester(), make([]byte, 0, 64<<10)
	var list []completion
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.lane.done.wake:
		}
		list = c.lane.done.take(list)
		for rest := list; len(rest) > 0; {
			n := min(len(rest), cap(out)/maxPacket)
			if err := c.answer(rest[:n], digest, out[:0]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
}

// answer settles outcomes and writes the answers that are due with one call.
func (c *connection) answer(list []completion, digest *digester, out []byte) error {
	ended, answers, now := 0, 0, c.server.now()
	table := c.lane.table
	table.mu.Lock()
	for _, done := range list {
		t, over := table.settle(done, now)
		if over {
			ended++
		}
		if t != nil {
			r := t.reply(out[len(out):])
			r.sign(digest)
			out = out[:len(out)+len(r.packet)]
			answers++
		}
	}
	table.mu.Unlock()
	if len(out) > 0 {
		if err := c.conn.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout)); err != nil {
			return err
		}
		if _, err := c.conn.Write(out); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		c.server.answers.Add(uint64(answers))
	}
	for range ended {
		<-c.window
	}
	return nil
}
