package diametertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
)

// PCRFOptions of a PCRF. Zero values mean the defaults.
type PCRFOptions struct {
	// Node is pcrf.test of the realm test by default.
	Node Node
	// Result is the result code of a CCR; 2001 by default.
	Result func(request Message) uint32
	// Answer makes the answer to a CCR, [PCRF.CreditControl] with Result by
	// default; nil: it stays unanswered. It is called concurrently.
	Answer func(p *Peer, request Message) *diam.Message
	// Handle takes every request in place of all of the above.
	Handle Handler
	// Record keeps the requests and answers of credit control for Exchanges.
	Record bool
}

// A PCRF accepts connections and answers Gx. Its methods are for any goroutine.
type PCRF struct {
	options  PCRFOptions
	listener net.Listener
	accepted sync.WaitGroup
	life     context.Context // ends with Close
	stop     context.CancelFunc

	mu        sync.Mutex
	peers     []*Peer
	exchanges []Exchange
	changed   chan struct{} // closed and replaced when peers change
}

// An Exchange is a request that came and the answer that was sent, as octets.
type Exchange struct{ Request, Answer []byte }

// ListenPCRF serves on an address of TCP, such as 127.0.0.1:0.
func ListenPCRF(addr string, o PCRFOptions) (*PCRF, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return ServePCRF(l, o), nil
}

// ServePCRF serves on a listener until Close.
func ServePCRF(l net.Listener, o PCRFOptions) *PCRF {
	if o.Node.Host == "" {
		o.Node.Host, o.Node.Realm = "pcrf.test", "test"
	}
	if o.Result == nil {
		o.Result = func(Message) uint32 { return Success }
	}
	s := &PCRF{options: o, listener: l, changed: make(chan struct{})}
	s.life, s.stop = context.WithCancel(context.Background())
	s.accepted.Go(s.accept)
	return s
}

// Addr is where it listens.
func (s *PCRF) Addr() string { return s.listener.Addr().String() }

// Close closes the listener and every connection without a word.
func (s *PCRF) Close() {
	s.stop()
	s.listener.Close()
	for _, p := range s.Peers() {
		p.Close()
	}
	s.accepted.Wait()
}

// capabilitiesTime bounds how long a CER is awaited.
const capabilitiesTime = 10 * time.Second

func (s *PCRF) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.accepted.Go(func() {
			ctx, cancel := context.WithTimeout(s.life, capabilitiesTime)
			defer cancel()
			p, err := Accept(ctx, conn, s.options.Node, s.handle)
			if err != nil {
				conn.Close()
				return
			}
			s.joined(p)
			select {
			case <-p.Done():
			case <-s.life.Done():
				p.Close()
			}
			s.gone(p)
		})
	}
}

func (s *PCRF) joined(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers = append(s.peers, p)
	s.announce()
}

func (s *PCRF) gone(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers = slices.DeleteFunc(s.peers, func(q *Peer) bool { return q == p })
	s.announce()
}

func (s *PCRF) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Peers are those connected.
func (s *PCRF) Peers() []*Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.peers)
}

// Await waits until a peer of that Origin-Host is connected.
func (s *PCRF) Await(ctx context.Context, host string) (*Peer, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		i := slices.IndexFunc(s.peers, func(p *Peer) bool { return p.Remote.Host == host })
		if i >= 0 {
			defer s.mu.Unlock()
			return s.peers[i], nil
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("no connection of %s: %w", host, ctx.Err())
		}
	}
}

func (s *PCRF) handle(p *Peer, request Message) *diam.Message {
	if s.options.Handle != nil {
		return s.options.Handle(p, request)
	}
	if request.Header.CommandCode != diam.CreditControl {
		return p.Default(request)
	}
	answer := s.answer(p, request)
	if s.options.Record {
		s.record(request, answer)
	}
	return answer
}

func (s *PCRF) answer(p *Peer, request Message) *diam.Message {
	if s.options.Answer != nil {
		return s.options.Answer(p, request)
	}
	return s.CreditControl(request, s.options.Result(request))
}

// CreditControl makes the answer to a CCR (TS 29.212 clause 5.6.3). The caller
// may add AVPs before it is sent.
func (s *PCRF) CreditControl(request Message, result uint32) *diam.Message {
	m := s.options.Node.Answer(request, result)
	add(m, avp.AuthApplicationID, datatype.Unsigned32(Gx))
	if typ, ok := request.Number(avp.CCRequestType); ok {
		add(m, avp.CCRequestType, datatype.Enumerated(typ))
	}
	if number, ok := request.Number(avp.CCRequestNumber); ok {
		add(m, avp.CCRequestNumber, datatype.Unsigned32(number))
	}
	return m
}

func (s *PCRF) record(request Message, answer *diam.Message) {
	e := Exchange{Request: request.Raw}
	if answer != nil {
		answer.Header.MessageLength = uint32(answer.Len())
		e.Answer, _ = answer.Serialize() // sending fails as well
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exchanges = append(s.exchanges, e)
}

// Exchanges are what was recorded, in the order of coming.
func (s *PCRF) Exchanges() []Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// ErrNoPeer reports that nobody is connected.
var ErrNoPeer = errors.New("no peer is connected")

// ReAuth sends a Re-Auth-Request for a session towards a PCEF, by way of the
// first connection, and returns its answer (TS 29.212 clause 5.6.4).
func (s *PCRF) ReAuth(ctx context.Context, session string, to Node) (Message, error) {
	peers := s.Peers()
	if len(peers) == 0 {
		return Message{}, ErrNoPeer
	}
	m := diam.NewRequest(diam.ReAuth, Gx, nil)
	m.Header.CommandFlags |= diam.ProxiableFlag
	add(m, avp.SessionID, datatype.UTF8String(session))
	add(m, avp.AuthApplicationID, datatype.Unsigned32(Gx))
	s.options.Node.origin(m)
	add(m, avp.DestinationRealm, datatype.DiameterIdentity(to.Realm))
	add(m, avp.DestinationHost, datatype.DiameterIdentity(to.Host))
	add(m, avp.ReAuthRequestType, datatype.Enumerated(0)) // AUTHORIZE_ONLY
	return peers[0].Exchange(ctx, m)
}
