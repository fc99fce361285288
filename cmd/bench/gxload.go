package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/diameter/diametertest"
)

// The scripts of a session over Gx.
var (
	gxStartOnly = []diametertest.RequestType{diametertest.Initial}
	gxWholeLife = []diametertest.RequestType{diametertest.Initial, diametertest.Update, diametertest.Termination}
)

// A gxLoad is what PGWs send: sessions of a population, each by the script, each
// request when the one before is answered. What is ready goes out with one
// write, as fast as it is answered.
type gxLoad struct {
	server string // host:port
	script []diametertest.RequestType
	who    population
	// first and count number the sessions.
	first, count uint64
	connections  int // each of a PGW of its own, with window requests unanswered
	window       int
}

func newGxLoad(server string, script []diametertest.RequestType, first, count uint64) gxLoad {
	return gxLoad{server: server, script: script, who: guests(), first: first, count: count, connections: 4, window: 32}
}

// gxHost is the Origin-Host of a connection.
func gxHost(i int) diametertest.Node {
	return diametertest.Node{Host: fmt.Sprintf("pgw%d.bench", i), Realm: "bench", OriginState: 1}
}

// send sends it all. Every request is answered when it returns nil; answers
// that are no success are counted as bad.
func (l gxLoad) send(ctx context.Context) (*tally, error) {
	next := &atomic.Uint64{}
	senders := make([]*gxSender, l.connections)
	for i := range senders {
		s, err := l.connect(ctx, gxHost(i), next)
		if err != nil {
			return nil, fmt.Errorf("gx traffic: %w", err)
		}
		defer s.conn.Close()
		senders[i] = s
	}
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for _, s := range senders {
		g.Go(func() error { return s.run(ctx) })
	}
	err := g.Wait()
	sum := &tally{elapsed: time.Since(began)}
	for _, s := range senders {
		sum.add(&s.tally)
	}
	return sum, err
}

// A gxSender is one connection. It is for one goroutine.
type gxSender struct {
	gxLoad
	tally
	conn      net.Conn
	templates []*gxTemplate // by step of the script
	next      *atomic.Uint64
	slots     []gxSlot
	out       []byte
	waiting   int
}

// A gxSlot is one identifier: it takes one session after the other through the
// script.
type gxSlot struct {
	session uint64
	step    int
	began   time.Time
	waits   bool
}

// connectTime bounds the exchange of capabilities; answerTime is how long an
// answer may take, as requests over TCP are not repeated.
const (
	connectTime = 10 * time.Second
	answerTime  = 30 * time.Second
)

func (l gxLoad) connect(ctx context.Context, node diametertest.Node, next *atomic.Uint64) (*gxSender, error) {
	conn, err := (&net.Dialer{Timeout: connectTime}).DialContext(ctx, "tcp", l.server)
	if err != nil {
		return nil, err
	}
	s := &gxSender{gxLoad: l, conn: conn, next: next, slots: make([]gxSlot, l.window)}
	for _, typ := range l.script {
		t, err := newGxTemplate(typ, node)
		if err != nil {
			return nil, err
		}
		s.templates = append(s.templates, t)
	}
	return s, s.introduce(node)
}

func (s *gxSender) introduce(node diametertest.Node) error {
	wire, err := node.CapabilitiesRequest(netip.AddrFrom4([4]byte{127, 0, 0, 1})).Serialize()
	if err != nil {
		return err
	}
	if err := s.conn.SetDeadline(time.Now().Add(connectTime)); err != nil {
		return err
	}
	if _, err := s.conn.Write(wire); err != nil {
		return err
	}
	answer, err := diametertest.ReadFrame(s.conn)
	if err != nil {
		return err
	}
	if result := resultIn(answer); result != diametertest.Success {
		return diametertest.Refusal(result)
	}
	return nil
}

func (s *gxSender) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { s.conn.SetDeadline(time.Unix(1, 0)) })()
	for i := range s.slots {
		s.slots[i].step = len(s.script) - 1
		s.advance(uint32(i))
	}
	in, end := make([]byte, 256<<10), 0
	for s.waiting > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
			return err
		}
		for range 1000 { // one deadline serves many rounds
			if len(s.out) > 0 {
				if _, err := s.conn.Write(s.out); err != nil {
					return err
				}
				s.out = s.out[:0]
			}
			if s.waiting == 0 {
				break
			}
			n, err := s.conn.Read(in[end:])
			if err != nil {
				return fmt.Errorf("gx traffic: %d requests unanswered: %w", s.waiting, err)
			}
			rest, err := s.takeAll(in[:end+n])
			if err != nil {
				return err
			}
			end = copy(in, rest)
		}
	}
	return nil
}

// advance moves a slot to its next request.
func (s *gxSender) advance(id uint32) {
	w := &s.slots[id]
	if w.step++; w.step == len(s.script) {
		n := s.next.Add(1) - 1
		if n >= s.count {
			return
		}
		w.session, w.step = s.first+n, 0
		s.sessions++
	}
	w.began, w.waits = time.Now(), true
	// Not zero, in whose place go-diameter puts an identifier of its own.
	s.out = s.templates[w.step].append(s.out, id+1, s.who, w.session, w.began)
	s.waiting++
	s.sent++
}

var errGxAnswer = errors.New("gx traffic: what came is no answer")

// takeAll takes the complete messages and returns the rest.
func (s *gxSender) takeAll(in []byte) ([]byte, error) {
	for len(in) >= gxHeader {
		n := int(binary.BigEndian.Uint32(in) & 0xFFFFFF)
		if in[0] != 1 || n < gxHeader || n%4 != 0 {
			return nil, errGxAnswer
		}
		if n > len(in) {
			break
		}
		if err := s.take(in[:n]); err != nil {
			return nil, err
		}
		in = in[n:]
	}
	return in, nil
}

func (s *gxSender) take(answer []byte) error {
	id := binary.BigEndian.Uint32(answer[12:]) - 1
	if answer[4]&0x80 != 0 || id >= uint32(len(s.slots)) || !s.slots[id].waits || binary.BigEndian.Uint32(answer[16:]) != id+1 {
		return errGxAnswer
	}
	w := &s.slots[id]
	w.waits = false
	s.waiting--
	s.answered++
	s.latency.add(time.Since(w.began))
	if resultIn(answer) != diametertest.Success {
		s.bad++
	}
	s.advance(id)
	return nil
}

// resultIn is the Result-Code of an answer, or zero.
func resultIn(answer []byte) uint32 {
	at := valueAt(answer, avpResult)
	if at == 0 || at+4 > len(answer) {
		return 0
	}
	return binary.BigEndian.Uint32(answer[at:])
}
