package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/radius/radiustest"
)

// What the packet core knows of a subscriber.
type known uint8

const (
	untouched known = iota
	startSent
	startAnswered
	stopSent
	stopAnswered
)

// A ledger is what is known of subscribers, who are numbered from first.
type ledger struct {
	first int
	state []known
}

// A crashLoad is the traffic of one UDP socket: window identifiers, each of
// which takes its subscribers one after the other: Start, and for every fourth
// of them Stop.
type crashLoad struct {
	ledger
	start [][]byte
	stop  [][]byte // nil: the subscriber stays

	conn     net.Conn
	answered int
}

const (
	crashSockets = 4
	crashWindow  = 64
	crashEach    = 12000 // subscribers of one socket
)

func newCrashLoad(t *testing.T, first int) *crashLoad {
	l := &crashLoad{ledger: ledger{first, make([]known, crashEach)}, start: make([][]byte, crashEach), stop: make([][]byte, crashEach)}
	for i := range crashEach {
		session := testSession(first + i)
		l.start[i] = encode(t, session, radiustest.Start, i%crashWindow)
		if i%4 == 0 {
			l.stop[i] = encode(t, session, radiustest.Stop, i%crashWindow)
		}
	}
	return l
}

func encode(t *testing.T, s radiustest.Session, status radiustest.Status, identifier int) []byte {
	p, err := s.Request(status, []byte(testSecret))
	if err != nil {
		t.Error(err)
		return nil
	}
	p.Identifier = byte(identifier)
	wire, err := p.Encode()
	if err != nil {
		t.Error(err)
	}
	return wire
}

// run sends and receives until the socket is closed.
func (l *crashLoad) run() {
	current := make([]int, crashWindow) // by identifier
	for id := range current {
		current[id] = id
		l.send(id)
	}
	buf := make([]byte, 4096)
	for {
		n, err := l.conn.Read(buf)
		if n < 20 || int(buf[1]) >= crashWindow {
			if err != nil && !strings.Contains(err.Error(), "refused") {
				return
			}
			continue
		}
		i := current[buf[1]]
		l.answered++
		l.state[i]++
		if l.state[i] == stopAnswered || l.stop[i] == nil {
			i += crashWindow
			current[buf[1]] = i
		}
		l.send(i)
	}
}

// send sends what is next of a subscriber.
func (l *crashLoad) send(i int) {
	if i >= crashEach {
		return
	}
	wire := l.start[i]
	if l.state[i] == startAnswered {
		wire = l.stop[i]
	}
	l.state[i]++
	l.conn.Write(wire) // a daemon that is killed hears nothing
}

// crash puts load on the daemon and kills it at a moment in between.
func crash(t *testing.T, p *process, loads []*crashLoad, after time.Duration) {
	t.Helper()
	var running sync.WaitGroup
	for _, l := range loads {
		conn, err := net.Dial("udp", p.radius())
		if err != nil {
			t.Fatal(err)
		}
		l.conn = conn
		running.Go(l.run)
	}
	began := time.Now()
	<-time.After(after)
	state := p.signal(t, syscall.SIGKILL)
	took := time.Since(began)
	if ws, ok := state.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() {
		t.Errorf("it ended with %v before it was killed", state)
	}
	// What was answered before the kill is still in the sockets.
	for _, l := range loads {
		l.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	}
	running.Wait()
	answered := 0
	for _, l := range loads {
		l.conn.Close()
		answered += l.answered
	}
	t.Logf("killed after %v: %d requests answered, %.0f/s", took, answered, float64(answered)/took.Seconds())
	if answered == 0 {
		t.Error("nothing was answered")
	}
}

func TestWhatWasAnsweredSurvivesAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes several seconds")
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	h := newHome(t)
	p := h.spawn(t)
	var all []*ledger
	for range 2 {
		var loads []*crashLoad
		for range crashSockets {
			l := newCrashLoad(t, len(all)*crashEach)
			loads, all = append(loads, l), append(all, &l.ledger)
		}
		crash(t, p, loads, 300*time.Millisecond+time.Duration(random.Int64N(int64(1200*time.Millisecond))))
		p = h.spawn(t)
		checkVerdicts(t, p, all)
		p.mustAccount(t, len(all)*crashEach, radiustest.Start) // numbers go on where they were
		checkStream(t, p, all)
	}
}

// checkVerdicts: every answered Start is a match unless its Stop was sent;
// every answered Stop is none; what was not answered is either, and never
// another's.
func checkVerdicts(t *testing.T, p *process, loads []*ledger) {
	t.Helper()
	var workers sync.WaitGroup
	client := p.client(t)
	for _, l := range loads {
		workers.Go(func() {
			wrong := 0
			for i, state := range l.state {
				got, err := client.Verify(t.Context(), testAddr(l.first+i).String(), testNumber(l.first+i))
				if err != nil {
					t.Error(err)
					return
				}
				if !plausible(state, got) {
					if wrong++; wrong <= 5 {
						t.Errorf("subscriber %d, state %d: %s %s", l.first+i, state, got.Verdict, got.Reason)
					}
				}
			}
		})
	}
	workers.Wait()
}

func plausible(state known, got query.VerifyReply) bool {
	bound, none := got.Verdict == "match", got.Verdict == "unknown" && (got.Reason == "no-binding" || got.Reason == "ended")
	switch state {
	case startAnswered:
		return bound
	case untouched, stopAnswered:
		return none
	}
	return bound || none
}

// checkStream reads the whole stream: every change of the journal once, in
// order, without a gap; and every answered request is among them.
func checkStream(t *testing.T, p *process, loads []*ledger) {
	t.Helper()
	status, err := p.client(t).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]map[string]int{"bound": {}, "released": {}}
	for i, m := range stream(t, p, int(status.JournalSeq)) {
		seq := i + 1
		if m.Seq != uint64(seq) || !strings.HasSuffix(m.id, "-"+strconv.Itoa(seq)) {
			t.Fatalf("message %d of the stream is change %d, id %s", seq, m.Seq, m.id)
		}
		if count, ok := changes[m.Kind]; ok {
			count[m.Addr]++
		}
	}
	wrong := 0
	for _, l := range loads {
		for i, state := range l.state {
			addr := testAddr(l.first + i).String()
			bound, released := changes["bound"][addr], changes["released"][addr]
			if state >= startAnswered && bound != 1 || state == stopAnswered && released != 1 || bound > 1 || released > bound {
				if wrong++; wrong <= 5 {
					t.Errorf("subscriber %d, state %d: %d times bound, %d times released", l.first+i, state, bound, released)
				}
			}
		}
	}
	t.Logf("%d changes in the stream", status.JournalSeq)
}

type streamMessage struct {
	busMessage
	id string
}

// stream reads n messages, which is all that there must be.
func stream(t *testing.T, p *process, n int) []streamMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	js, err := jetstream.New(p.bus(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "SIMBIND")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("%d changes in the stream", n), func() bool {
		info, err := s.Info(ctx)
		return err == nil && info.State.LastSeq >= uint64(n)
	})
	if info, err := s.Info(ctx); err != nil || info.State.LastSeq != uint64(n) || info.State.Msgs != uint64(n) {
		t.Fatalf("the stream has %+v, %v; want %d messages", info.State, err, n)
	}
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return fetch(t, consumer, n)
}

func fetch(t *testing.T, consumer jetstream.Consumer, n int) []streamMessage {
	t.Helper()
	var list []streamMessage
	for len(list) < n {
		batch, err := consumer.Fetch(min(n-len(list), 5000), jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		before := len(list)
		for msg := range batch.Messages() {
			list = append(list, decode(t, msg))
		}
		if batch.Error() != nil || len(list) == before {
			t.Fatalf("%d of %d messages: %v", len(list), n, batch.Error())
		}
	}
	return list
}

func decode(t *testing.T, msg jetstream.Msg) (m streamMessage) {
	t.Helper()
	if err := json.Unmarshal(msg.Data(), &m.busMessage); err != nil {
		t.Fatal(err)
	}
	m.id = msg.Headers().Get("Nats-Msg-Id")
	return m
}
