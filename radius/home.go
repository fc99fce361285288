package radius

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Proxy has requests go on to the operator's AAA server. The NAS is answered
// what that server answers, once our event is durable too. Repetitions follow
// the NAS: each one that comes is sent on, none is made.
type Proxy struct {
	// Server is the home server.
	Server netip.AddrPort
	// Secret is shared with it.
	Secret []byte
	// Timeout is how long an answer is waited for, 30 s by default.
	Timeout time.Duration
	// Pending bounds the requests that wait for it, in steps of 256 (the
	// identifiers of one socket); 16384 by default.
	Pending int
}

func (p Proxy) withDefaults() Proxy {
	if p.Timeout == 0 {
		p.Timeout = 30 * time.Second
	}
	if p.Pending == 0 {
		p.Pending = 16384
	}
	return p
}

func (p *Proxy) check() error {
	if p == nil {
		return nil
	}
	d := p.withDefaults()
	switch {
	case !d.Server.IsValid() || d.Server.Port() == 0:
		return errors.New("radius: proxy_to: server is missing or has no port")
	case len(d.Secret) == 0:
		return errors.New("radius: proxy_to: no secret")
	case d.Timeout < 0:
		return errors.New("radius: proxy_to: timeout is negative")
	case d.Pending < 1 || d.Pending > 1<<18:
		return fmt.Errorf("radius: proxy_to: pending %d is not within 1 to %d", d.Pending, 1<<18)
	}
	return nil
}

// home is the home server as it is used.
type home struct {
	cfg    Proxy
	server *Server
	key    *hmacKey
	links  []*homeLink
	next   atomic.Uint32

	forwarded, repeated, answers, late, bad, timeouts atomic.Uint64
}

// A homeLink is one socket to the home server: 256 identifiers.
type homeLink struct {
	home  *home
	index uint32

	mu      sync.Mutex
	conn    net.Conn // nil before Run
	digest  *digester
	pending [256]pendingRequest
	free    int
	id      byte
	serial  uint64 // of this link's requests: its Proxy-State
	buffer  []byte
}

// A pendingRequest waits for the home server.
type pendingRequest struct {
	lane   *lane // nil: free
	token  uint64
	serial uint64
	auth   authenticator
	since  time.Time
}

// proxyStateLen is the length of the Proxy-State that we add and take off.
const proxyStateLen = 8

func newHome(cfg Proxy, s *Server) *home {
	cfg = cfg.withDefaults()
	h := &home{cfg: cfg, server: s, key: newHMACKey(cfg.Secret)}
	for i := range (cfg.Pending + 255) / 256 {
		h.links = append(h.links, &homeLink{
			home: h, index: uint32(i), digest: newDigester(), free: 256, buffer: make([]byte, 0, maxPacket),
		})
	}
	return h
}

func (h *home) dial(ctx context.Context) error {
	var d net.Dialer
	for _, link := range h.links {
		conn, err := d.DialContext(ctx, "udp", h.cfg.Server.String())
		if err != nil {
			return fmt.Errorf("radius proxy: %w", err)
		}
		link.mu.Lock()
		link.conn = conn
		link.mu.Unlock()
	}
	return nil
}

func (h *home) close() {
	for _, link := range h.links {
		link.mu.Lock()
		if link.conn != nil {
			link.conn.Close()
		}
		link.mu.Unlock()
	}
}

// forward sends a request on that is new. What becomes of it is settled
// exactly once.
func (h *home) forward(l *lane, token uint64, p packet) {
	if len(p)+2+proxyStateLen > maxPacket {
		l.settle(token, outcomeHomeBusy)
		return
	}
	first := h.next.Add(1)
	for i := range len(h.links) {
		link := h.links[(int(first)+i)%len(h.links)]
		if link.forward(l, token, p) {
			h.forwarded.Add(1)
			return
		}
	}
	l.settle(token, outcomeHomeBusy)
}

// again sends a repetition of the NAS on, as it went before.
func (h *home) again(l *lane, token uint64, p packet) {
	ref := l.table.homeOf(token)
	if ref == 0 {
		return
	}
	link, id := h.links[(ref-1)>>8], byte(ref-1)
	link.mu.Lock()
	defer link.mu.Unlock()
	if w := &link.pending[id]; w.lane == l && w.token == token {
		link.send(p, id, w)
		h.repeated.Add(1)
	}
}

func (link *homeLink) forward(l *lane, token uint64, p packet) bool {
	link.mu.Lock()
	defer link.mu.Unlock()
	if link.free == 0 {
		return false
	}
	for link.id++; link.pending[link.id].lane != nil; link.id++ {
	}
	link.free--
	link.serial++
	w := &link.pending[link.id]
	*w = pendingRequest{lane: l, token: token, serial: link.serial, since: link.home.server.now()}
	l.table.setHome(token, link.index<<8|uint32(link.id)+1)
	link.send(p, link.id, w)
	return true
}

// send makes the packet for the home server: our identifier and authenticator,
// our Proxy-State behind those that are there. A loss is the NAS's to repair.
func (link *homeLink) send(p packet, id byte, w *pendingRequest) {
	b := append(link.buffer[:0], p...)
	b[1] = id
	var state [proxyStateLen]byte
	binary.BigEndian.PutUint64(state[:], w.serial)
	out := packet(appendAttribute(b, attrProxyState, state[:]))
	out.setLength()
	if at, _ := messageOffset(out); at != 0 {
		link.digest.signMessage(out, at, link.digest.zero[:], link.home.key)
	}
	link.digest.signRequest(out, link.home.cfg.Secret)
	copy(w.auth[:], out.authenticator())
	link.conn.Write(out)
}

// messageOffset finds the value of the Message-Authenticator, or 0. It is not
// ok if the attributes do not fit.
func messageOffset(p packet) (offset int, ok bool) {
	for rest := p.attributes(); len(rest) > 0; {
		at := len(p) - len(rest) + 2
		typ, value, next, err := cutAttribute(rest)
		if err != nil {
			return 0, false
		}
		if typ == attrMessageAuthenticator && len(value) == authenticatorLen {
			offset = at
		}
		rest = next
	}
	return offset, true
}

// read takes the home server's answers until the socket is closed.
func (link *homeLink) read() error {
	buffer, digest := make([]byte, maxPacket), newDigester()
	for {
		n, err := link.conn.Read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			continue // a refusal that ICMP told; the NAS repeats
		}
		link.answer(buffer[:n], digest)
	}
}

func (link *homeLink) answer(datagram []byte, digest *digester) {
	h := link.home
	p, err := newPacket(datagram)
	if err != nil || p.code() != codeAccountingResponse {
		h.bad.Add(1)
		return
	}
	link.mu.Lock()
	w := link.pending[p.id()]
	if w.lane == nil {
		link.mu.Unlock()
		h.late.Add(1)
		return
	}
	if !h.authentic(p, &w.auth, digest) {
		link.mu.Unlock()
		h.bad.Add(1)
		return
	}
	link.drop(p.id())
	link.mu.Unlock()
	h.answers.Add(1)
	w.lane.table.prepend(w.token, answerAttributes(p))
	w.lane.settle(w.token, outcomeDurable)
}

// authentic verifies an answer. A Message-Authenticator counts with the
// request's authenticator (RFC 3579 section 3.2) or, as FreeRADIUS 3 computes
// it for accounting, with zeros.
func (h *home) authentic(p packet, request *authenticator, d *digester) bool {
	at, ok := messageOffset(p)
	if !ok || !d.checkResponse(p, request, h.cfg.Secret) {
		return false
	}
	return at == 0 || d.checkMessage(p, at, request[:], h.key) || d.checkMessage(p, at, d.zero[:], h.key)
}

// answerAttributes is a copy of what the home server answered, without
// Proxy-States (the request's own are put back) and without the
// Message-Authenticator, which was for this hop.
func answerAttributes(p packet) []byte {
	var attrs []byte
	for rest := p.attributes(); len(rest) > 0; {
		typ, value, next, err := cutAttribute(rest)
		if err != nil {
			return attrs
		}
		if typ != attrProxyState && typ != attrMessageAuthenticator {
			attrs = appendAttribute(attrs, typ, value)
		}
		rest = next
	}
	return attrs
}

// drop frees an identifier; the caller holds the mutex.
func (link *homeLink) drop(id byte) {
	link.pending[id] = pendingRequest{}
	link.free++
}

// sweep gives up requests that the home server did not answer.
func (h *home) sweep(now time.Time) {
	for _, link := range h.links {
		link.mu.Lock()
		for id := range link.pending {
			w := link.pending[id]
			if w.lane != nil && now.Sub(w.since) >= h.cfg.Timeout {
				link.drop(byte(id))
				h.timeouts.Add(1)
				w.lane.settle(w.token, outcomeHomeLost)
			}
		}
		link.mu.Unlock()
	}
}

func (h *home) collect(ch chan<- prometheus.Metric) {
	for _, c := range []struct {
		name string
		v    *atomic.Uint64
	}{
		{"forwarded", &h.forwarded}, {"repeated", &h.repeated}, {"answered", &h.answers},
		{"late", &h.late}, {"bad-answer", &h.bad}, {"timeout", &h.timeouts},
	} {
		metric(ch, "home_total", "Requests and answers of the home server.", prometheus.CounterValue, float64(c.v.Load()), "what", c.name)
	}
}
