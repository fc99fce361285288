package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/radius/radiustest"
)

// A step is one request of a script.
type step struct {
	status   radiustest.Status
	resident bool // of a session that is bound already, chosen at random
}

// The scripts: what is sent for each session, one after the other, each when
// the one before is answered.
var (
	startOnly = []step{{status: radiustest.Start}}
	wholeLife = []step{{status: radiustest.Start}, {status: radiustest.Interim}, {status: radiustest.Stop}}
	// Beside a life, three refreshes of residents: what a network sends on
	// average.
	busyHour = []step{
		{status: radiustest.Start}, {status: radiustest.Interim, resident: true}, {status: radiustest.Interim, resident: true},
		{status: radiustest.Interim}, {status: radiustest.Interim, resident: true}, {status: radiustest.Stop},
	}
)

// A traffic is what a NAS sends: sessions of a population, each by the script.
type traffic struct {
	server string // host:port
	script []step
	who    population
	// first and count number the sessions. With until, sessions begin until
	// then and count does not matter.
	first, count uint64
	until        time.Time
	residents    uint64 // how many are bound
	rate         float64
	sockets      int // each with window requests unanswered
	window       int
}

// A tally is what became of it.
type tally struct {
	sessions, sent, answered, repeated, bad uint64
	elapsed                                 time.Duration
	latency                                 histogram
}

func (t *tally) perSecond() float64 { return float64(t.answered) / t.elapsed.Seconds() }

// send sends it all: as fast as it is answered, or with a rate at that rate as
// long as a window has room. A request that is not answered within a second is
// repeated. Every request is answered when it returns nil.
func (t traffic) send(ctx context.Context) (*tally, error) {
	template, err := newTemplate()
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	next := &atomic.Uint64{}
	began := time.Now()
	senders := make([]*sender, t.sockets)
	g, ctx := errgroup.WithContext(ctx)
	for i := range senders {
		conn, err := net.Dial("udp", t.server)
		if err != nil {
			return nil, fmt.Errorf("traffic: %w", err)
		}
		defer conn.Close()
		s := &sender{
			traffic: t, conn: conn, template: template, next: next, began: began, signer: newSigner(),
			slots: make([]slot, t.window), pick: rand.New(rand.NewPCG(1, uint64(i))),
		}
		senders[i] = s
		g.Go(func() error { return s.run(ctx) })
	}
	err = g.Wait()
	sum := &tally{elapsed: time.Since(began)}
	for _, s := range senders {
		sum.add(&s.tally)
	}
	return sum, err
}

func (t *tally) add(other *tally) {
	t.sessions += other.sessions
	t.sent += other.sent
	t.answered += other.answered
	t.repeated += other.repeated
	t.bad += other.bad
	t.latency.merge(&other.latency)
}

// A sender is one socket. It is for one goroutine.
type sender struct {
	traffic
	tally
	conn     net.Conn
	template *template
	next     *atomic.Uint64 // session, of all senders
	began    time.Time
	signer   *signer
	slots    []slot
	ready    []byte // slots whose next request may be sent
	waiting  int
	done     bool // no session begins any more
	pick     *rand.Rand
}

// A slot is one identifier: it takes one session after the other through the
// script.
type slot struct {
	wire        []byte
	session     uint64
	step        int
	first, last time.Time // of sending
	waits       bool
}

const repeatAfter = time.Second

func (s *sender) run(ctx context.Context) error {
	for i := range s.slots {
		s.slots[i] = slot{wire: append([]byte(nil), s.template.wire...), step: len(s.script) - 1}
		s.advance(byte(i))
	}
	buffer := make([]byte, 4096)
	for {
		s.sendDue()
		if s.waiting+len(s.ready) == 0 {
			return nil
		}
		if err := s.receive(buffer); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("traffic: %d requests unanswered: %w", s.waiting, ctx.Err())
		}
	}
}

// advance moves a slot to its next request, which waits for its turn.
func (s *sender) advance(id byte) {
	w := &s.slots[id]
	if w.step++; w.step == len(s.script) {
		if s.done = s.done || s.over(); s.done {
			return
		}
		n := s.next.Add(1) - 1
		if s.until.IsZero() && n >= s.count {
			s.done = true
			return
		}
		w.session, w.step = s.first+n, 0
		s.tally.sessions++
	}
	s.ready = append(s.ready, id)
}

func (s *sender) over() bool { return !s.until.IsZero() && !time.Now().Before(s.until) }

// sendDue sends what is ready, as far as the rate allows.
func (s *sender) sendDue() {
	room := len(s.ready)
	if s.rate > 0 {
		due := time.Since(s.began).Seconds() * s.rate / float64(s.sockets)
		room = min(room, max(int(due)-int(s.sent), 0))
	}
	for _, id := range s.ready[:room] {
		s.start(id)
	}
	s.ready = s.ready[:copy(s.ready, s.ready[room:])]
}

func (s *sender) start(id byte) {
	w := &s.slots[id]
	now := time.Now()
	st, who, n := s.script[w.step], s.who, w.session
	if st.resident {
		who, n = residents(), s.pick.Uint64N(s.residents)
	}
	s.template.patch(w.wire, id, st.status, who, n, s.sent, now)
	s.signer.sign(w.wire)
	w.first, w.last, w.waits = now, now, true
	s.waiting++
	s.sent++
	s.conn.Write(w.wire) // a loss is repaired by repetition
}

// receive takes answers: at a rate for a moment, else until there is nothing
// to do.
func (s *sender) receive(buffer []byte) error {
	patience := repeatAfter
	if s.rate > 0 {
		patience = time.Millisecond
	}
	end := time.Now().Add(patience)
	if err := s.conn.SetReadDeadline(end); err != nil {
		return err
	}
	for range 1000 { // one deadline serves many reads
		n, err := s.conn.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err == nil {
			s.take(buffer[:n])
		}
		if s.rate == 0 {
			s.sendDue()
		}
		if s.waiting == 0 {
			break
		}
	}
	s.repeat()
	return nil
}

func (s *sender) take(answer []byte) {
	if len(answer) < 2 || int(answer[1]) >= len(s.slots) {
		s.bad++
		return
	}
	w := &s.slots[answer[1]]
	if !w.waits || !s.signer.answers(answer, w.wire) {
		s.bad++
		return
	}
	w.waits = false
	s.waiting--
	s.answered++
	s.latency.add(time.Since(w.first))
	s.advance(answer[1])
}

// repeat sends again what has waited for long.
func (s *sender) repeat() {
	now := time.Now()
	for i := range s.slots {
		if w := &s.slots[i]; w.waits && now.Sub(w.last) >= repeatAfter {
			w.last = now
			s.repeated++
			s.conn.Write(w.wire)
		}
	}
}
