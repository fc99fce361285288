package diametertest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
)

// A Handler answers a request of the other end; nil: it stays unanswered. It
// runs in the goroutine that reads the connection. [Peer.Default] is the
// handler of a peer that behaves.
type Handler func(p *Peer, request Message) *diam.Message

// A Peer is one end of a connection on which capabilities were exchanged. Its
// methods are for any goroutine.
type Peer struct {
	// Local is this end, Remote the other as it introduced itself. Capabilities
	// is its CER or CEA.
	Local, Remote Node
	Capabilities  Message

	conn   net.Conn
	reader *bufio.Reader
	handle Handler
	hop    atomic.Uint32
	stray  atomic.Uint64
	done   chan struct{} // closed when the connection has ended

	writing sync.Mutex

	mu      sync.Mutex
	pending map[uint32]func(Message, error) // by hop-by-hop id; nil: ended
	cause   Cause
	left    bool // the other end disconnected
	err     error
}

// A Refusal is the result code of a CEA that is no success.
type Refusal uint32

func (r Refusal) Error() string {
	return fmt.Sprintf("the capabilities exchange was answered %d", uint32(r))
}

// Dial connects over TCP and exchanges capabilities. A nil handler is
// [Peer.Default]. The error is a [Refusal] if the other end did not agree.
func Dial(ctx context.Context, addr string, local Node, handle Handler) (*Peer, error) {
	return dial(ctx, &net.Dialer{}, addr, local, handle)
}

// A dialer is a net.Dialer or a tls.Dialer.
type dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

func dial(ctx context.Context, d dialer, addr string, local Node, handle Handler) (*Peer, error) {
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	p, err := Connect(ctx, conn, local, handle)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return p, nil
}

// Connect is Dial on a connection that is open already. After an error the
// connection is the caller's.
func Connect(ctx context.Context, conn net.Conn, local Node, handle Handler) (*Peer, error) {
	p := newPeer(conn, local, handle)
	defer p.until(ctx)()
	cer := p.Local.CapabilitiesRequest(address(conn.LocalAddr()))
	if err := p.Send(cer); err != nil {
		return nil, err
	}
	m, err := p.read()
	if err != nil {
		return nil, fmt.Errorf("no answer to the capabilities exchange: %w", err)
	}
	if m.Request() || m.Header.CommandCode != diam.CapabilitiesExchange || m.Header.HopByHopID != cer.Header.HopByHopID {
		return nil, fmt.Errorf("%w: command %d in place of a CEA", ErrUnreadable, m.Header.CommandCode)
	}
	if m.Result() != Success {
		return nil, Refusal(m.Result())
	}
	return p.open(m), nil
}

// Accept is the other end's part: it waits for a CER and answers it with
// success. After an error the connection is the caller's.
func Accept(ctx context.Context, conn net.Conn, local Node, handle Handler) (*Peer, error) {
	p := newPeer(conn, local, handle)
	defer p.until(ctx)()
	m, err := p.read()
	if err != nil {
		return nil, err
	}
	if !m.Request() || m.Header.CommandCode != diam.CapabilitiesExchange {
		return nil, fmt.Errorf("%w: command %d in place of a CER", ErrUnreadable, m.Header.CommandCode)
	}
	if err := p.Send(p.Local.capabilities(p.Local.Answer(m, Success), address(conn.LocalAddr()))); err != nil {
		return nil, err
	}
	return p.open(m), nil
}

func newPeer(conn net.Conn, local Node, handle Handler) *Peer {
	p := &Peer{
		Local: local.withDefaults(), conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), handle: handle,
		done: make(chan struct{}), pending: map[uint32]func(Message, error){},
	}
	if p.handle == nil {
		p.handle = (*Peer).Default
	}
	p.hop.Store(rand.Uint32())
	return p
}

// until lets reading and writing fail when ctx ends, before stop is called.
func (p *Peer) until(ctx context.Context) (stop func()) {
	undo := context.AfterFunc(ctx, func() { p.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { undo() }
}

func (p *Peer) open(capabilities Message) *Peer {
	p.Capabilities = capabilities
	p.Remote = Node{
		Host: capabilities.Text(avp.OriginHost), Realm: capabilities.Text(avp.OriginRealm), Product: capabilities.Text(avp.ProductName),
	}
	p.Remote.OriginState, _ = capabilities.Number(avp.OriginStateID)
	go func() { p.end(p.run()) }()
	return p
}

// run reads until the connection ends.
func (p *Peer) run() error {
	for {
		m, err := p.read()
		if err != nil {
			return err
		}
		if !m.Request() {
			p.answered(m)
			continue
		}
		if m.Header.CommandCode == diam.DisconnectPeer {
			p.leaving(m)
		}
		if answer := p.handle(p, m); answer != nil {
			if err := p.Send(answer); err != nil {
				return err
			}
		}
	}
}

func (p *Peer) read() (Message, error) {
	frame, err := ReadFrame(p.reader)
	if err != nil {
		return Message{}, err
	}
	return Parse(frame)
}

// Default answers watchdogs and disconnections with success, and what it does
// not know with DIAMETER_COMMAND_UNSUPPORTED.
func (p *Peer) Default(request Message) *diam.Message {
	switch request.Header.CommandCode {
	case diam.DeviceWatchdog, diam.DisconnectPeer:
		return p.Local.Answer(request, Success)
	}
	return p.Local.Answer(request, CommandUnknown)
}

// Send sends a message as it is.
func (p *Peer) Send(m *diam.Message) error {
	m.Header.MessageLength = uint32(m.Len())
	wire, err := m.Serialize()
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return p.SendRaw(wire)
}

// SendRaw sends octets as they are.
func (p *Peer) SendRaw(wire []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.conn.Write(wire)
	return err
}

// Start sends a request under a hop-by-hop id of its own. done is called once,
// in the goroutine that reads: with the answer, or with the error that ended
// the connection.
func (p *Peer) Start(m *diam.Message, done func(Message, error)) error {
	m.Header.MessageLength = uint32(m.Len())
	wire, err := m.Serialize()
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return p.StartRaw(wire, done)
}

// StartRaw is Start of octets, whose hop-by-hop id is overwritten.
func (p *Peer) StartRaw(wire []byte, done func(Message, error)) error {
	id := p.hop.Add(1)
	binary.BigEndian.PutUint32(wire[12:], id)
	p.mu.Lock()
	if p.pending == nil {
		defer p.mu.Unlock()
		return fmt.Errorf("%w: %w", net.ErrClosed, p.err)
	}
	p.pending[id] = done
	p.mu.Unlock()
	if err := p.SendRaw(wire); err != nil {
		p.end(err)
	}
	return nil
}

// Exchange sends a request and waits for its answer until ctx ends.
func (p *Peer) Exchange(ctx context.Context, m *diam.Message) (Message, error) {
	type outcome struct {
		m   Message
		err error
	}
	got := make(chan outcome, 1)
	if err := p.Start(m, func(m Message, err error) { got <- outcome{m, err} }); err != nil {
		return Message{}, err
	}
	select {
	case o := <-got:
		return o.m, o.err
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

func (p *Peer) answered(m Message) {
	p.mu.Lock()
	done := p.pending[m.Header.HopByHopID]
	delete(p.pending, m.Header.HopByHopID)
	p.mu.Unlock()
	if done == nil {
		p.stray.Add(1)
		return
	}
	done(m, nil)
}

// Stray counts answers to no request.
func (p *Peer) Stray() uint64 { return p.stray.Load() }

// Watchdog sends a Device-Watchdog-Request and returns its answer (RFC 6733
// section 5.5).
func (p *Peer) Watchdog(ctx context.Context) (Message, error) {
	return p.Exchange(ctx, p.Local.NewRequest(diam.DeviceWatchdog, 0))
}

// Disconnect sends a Disconnect-Peer-Request, waits for its answer and closes
// (RFC 6733 section 5.4).
func (p *Peer) Disconnect(ctx context.Context, cause Cause) (Message, error) {
	m := p.Local.NewRequest(diam.DisconnectPeer, 0)
	add(m, avp.DisconnectCause, datatype.Enumerated(cause))
	answer, err := p.Exchange(ctx, m)
	return answer, errors.Join(err, p.Close())
}

func (p *Peer) leaving(m Message) {
	cause, _ := m.Number(avp.DisconnectCause)
	p.mu.Lock()
	p.cause, p.left = Cause(cause), true
	p.mu.Unlock()
}

// Left reports whether the other end disconnected, and why.
func (p *Peer) Left() (Cause, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause, p.left
}

// Close closes the connection without a word and waits until it has ended.
// A handler must not call it.
func (p *Peer) Close() error {
	p.end(net.ErrClosed)
	<-p.done
	return nil
}

// Done is closed when the connection has ended. Err then says why.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Err is why the connection ended, nil while it has not.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// end closes the connection, once, and tells those who wait.
func (p *Peer) end(err error) {
	p.mu.Lock()
	waiting := p.pending
	p.pending = nil
	if waiting != nil {
		p.err = err
	}
	p.mu.Unlock()
	if waiting == nil {
		return
	}
	p.conn.Close()
	for _, done := range waiting {
		done(Message{}, fmt.Errorf("the connection has ended: %w", err))
	}
	close(p.done)
}

// LocalAddr and RemoteAddr are those of the connection.
func (p *Peer) LocalAddr() net.Addr { return p.conn.LocalAddr() }

// RemoteAddr is the other end of the connection.
func (p *Peer) RemoteAddr() net.Addr { return p.conn.RemoteAddr() }

// address is that of a socket; of one that has none it is 127.0.0.1.
func address(a net.Addr) netip.Addr {
	if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
