package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/radius/radiustest"
)

// gxYAML is a daemon with Gx beside the rest.
func (h home) gxYAML(listen string) string {
	return h.yaml() + fmt.Sprintf(`
diameter:
  listen: [%q]
  origin_host: simbind.lab
  origin_realm: lab
  watchdog: 6s
  peers: [{host: "*", addresses: ["127.0.0.0/8", "192.0.2.0/24"]}]
`, listen)
}

// newGxHome is a home whose daemon speaks Gx.
func newGxHome(t *testing.T) home {
	t.Helper()
	h := newHome(t)
	h.configure(t, h.gxYAML("127.0.0.1:0"))
	return h
}

// gx is where the daemon takes Gx.
func (d *daemon) gx() string { return d.log.findOf("gx", "listening", "address") }

// A gxLoad is the traffic of one connection: window slots, each of which takes
// its subscribers one after the other: CCR-I, and for every fourth of them
// CCR-T.
type gxLoad struct {
	ledger
	node diametertest.Node

	mu       sync.Mutex
	peer     *diametertest.Peer
	answered int
	refused  int
}

func newGxLoad(first, connection int) *gxLoad {
	return &gxLoad{
		ledger: ledger{first: first, state: make([]known, crashEach)},
		node:   diametertest.Node{Host: fmt.Sprintf("pgw%d.lab", connection), Realm: "lab", OriginState: 7},
	}
}

// gxSession is that of subscriber n, whose number and address are those of
// testSession.
func gxSession(n int, node diametertest.Node) diametertest.Session {
	return diametertest.Session{
		ID: fmt.Sprintf("%s;1;%d", node.Host, n), MSISDN: testNumber(n)[1:], IMSI: fmt.Sprintf("00101%010d", n), APN: "internet",
		IPv4: testAddr(n), IPCAN: 5, RAT: 1004,
	}
}

func leaves(i int) bool { return i%4 == 0 }

// run connects and sends until the connection breaks.
func (l *gxLoad) run(t *testing.T, addr string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := diametertest.Dial(ctx, addr, l.node, nil)
	if err != nil {
		t.Error(err)
		return
	}
	l.mu.Lock()
	l.peer = p
	l.mu.Unlock()
	for i := range crashWindow {
		l.send(i)
	}
	<-p.Done()
}

// send sends what is next of a subscriber.
func (l *gxLoad) send(i int) {
	if i >= crashEach {
		return
	}
	l.mu.Lock()
	typ := diametertest.Initial
	if l.state[i] == startAnswered {
		typ = diametertest.Termination
	}
	l.state[i]++
	l.mu.Unlock()
	m := gxSession(l.first+i, l.node).Request(typ, uint32(typ/2), l.node, diametertest.Node{Realm: "lab"})
	l.peer.Start(m, func(m diametertest.Message, err error) { // a daemon that is killed hears nothing
		if err == nil {
			l.take(i, m.Result())
		}
	})
}

func (l *gxLoad) take(i int, result uint32) {
	l.mu.Lock()
	if result != diametertest.Success {
		l.refused++
		l.mu.Unlock()
		return
	}
	l.answered++
	l.state[i]++
	over := l.state[i] == stopAnswered || !leaves(i)
	l.mu.Unlock()
	if over {
		i += crashWindow
	}
	l.send(i)
}

// crashGx puts load on the daemon and kills it at a moment in between.
func crashGx(t *testing.T, p *process, loads []*gxLoad, after time.Duration) {
	t.Helper()
	var running sync.WaitGroup
	addr := p.gx()
	for _, l := range loads {
		running.Go(func() { l.run(t, addr) })
	}
	<-time.After(after)
	p.signal(t, syscall.SIGKILL)
	running.Wait()
	answered, refused := 0, 0
	for _, l := range loads {
		answered += l.answered
		refused += l.refused
	}
	t.Logf("killed after %v: %d requests answered", after, answered)
	if answered == 0 || refused > 0 {
		t.Errorf("%d requests were answered, %d refused", answered, refused)
	}
}

// repeat sends what was not answered again, with the T bit, as a PCEF does
// when it is connected again (RFC 6733 section 5.5.4).
func (l *gxLoad) repeat(t *testing.T, addr string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := diametertest.Dial(ctx, addr, l.node, nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Close()
	for i, state := range l.state {
		if state != startSent && state != stopSent {
			continue
		}
		typ := diametertest.Initial
		if state == stopSent {
			typ = diametertest.Termination
		}
		m := gxSession(l.first+i, l.node).Request(typ, uint32(typ/2), l.node, diametertest.Node{Realm: "lab"})
		m.Header.CommandFlags |= diam.RetransmittedFlag
		answer, err := p.Exchange(ctx, m)
		if err != nil || answer.Result() != diametertest.Success {
			t.Errorf("repetition: %v, %v", answer, err)
			return
		}
		l.state[i]++
	}
}

func TestWhatWasAnsweredOverGxSurvivesAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes several seconds")
	}
	h := newGxHome(t)
	p := h.spawn(t)
	var loads []*gxLoad
	var all []*ledger
	for i := range crashSockets {
		l := newGxLoad(i*crashEach, i)
		loads, all = append(loads, l), append(all, &l.ledger)
	}
	crashGx(t, p, loads, 800*time.Millisecond)
	p = h.spawn(t)
	checkVerdicts(t, p, all)
	var running sync.WaitGroup
	addr := p.gx()
	for _, l := range loads {
		running.Go(func() { l.repeat(t, addr) })
	}
	running.Wait()
	for _, l := range loads {
		for i, state := range l.state {
			if state == startSent || state == stopSent {
				t.Fatalf("subscriber %d is left in state %d", l.first+i, state)
			}
		}
	}
	checkVerdicts(t, p, all)
	checkStream(t, p, all) // each change once, in spite of the repetitions
}

// One subscriber is seen over both protocols.
func TestGxAndRADIUSCorroborateAndContradict(t *testing.T) {
	d := newGxHome(t).start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	node := diametertest.Node{Host: "pgw1.lab", Realm: "lab", OriginState: 7}
	p, err := diametertest.Dial(ctx, d.gx(), node, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	over := func(typ diametertest.RequestType, session diametertest.Session) {
		t.Helper()
		answer, err := p.Exchange(ctx, session.Request(typ, uint32(typ/2), node, diametertest.Node{Realm: "lab"}))
		if err != nil || answer.Result() != diametertest.Success {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	verdict := func(claim, want string, n int) {
		t.Helper()
		if got := d.verdict(t, testAddr(n).String(), testNumber(n)); got != want {
			t.Errorf("%s: %s, want %s", claim, got, want)
		}
	}

	over(diametertest.Initial, gxSession(1, node))
	d.mustAccount(t, 1, radiustest.Start)
	verdict("both agree", "match bound", 1)
	found, err := d.client(t).Lookup(ctx, testAddr(1).String())
	if err != nil || !strings.Contains(fmt.Sprint(found), "gx") || !strings.Contains(fmt.Sprint(found), "radius") {
		t.Errorf("the lookup shows %+v, %v", found, err)
	}
	over(diametertest.Termination, gxSession(1, node))
	verdict("one ended it", "ambiguous ending", 1)
	d.mustAccount(t, 1, radiustest.Stop)
	if got := d.verdict(t, testAddr(1).String(), testNumber(1)); !strings.HasPrefix(got, "unknown") {
		t.Errorf("both ended it: %s", got)
	}

	d.mustAccount(t, 2, radiustest.Start)
	other := gxSession(3, node)
	other.IPv4 = testAddr(2)
	over(diametertest.Initial, other)
	verdict("they disagree", "ambiguous conflict", 2)
	over(diametertest.Termination, other)
	verdict("one claim ended, and the other source has not spoken since", "ambiguous ending", 2)
	eventually(t, "it has", func() bool {
		d.mustAccount(t, 2, radiustest.Interim)
		return d.verdict(t, testAddr(2).String(), testNumber(2)) == "match bound"
	})
}

// The simulator against the daemon, with a restart of its PGWs: what was bound
// before is bound again, and nothing else.
func TestSimulatedPGWsComeGoAndRestart(t *testing.T) {
	d := newGxHome(t).start(t)
	sum, err := diametertest.Simulate(t.Context(), diametertest.Options{
		Server: d.gx(), Connections: 3, Plan: crowdtest.Plan{
			Subscribers: 300, Rate: 1000, Refresh: 200 * time.Millisecond, Restart: 150 * time.Millisecond, Pool: netip.MustParsePrefix("10.9.0.0/16"),
		},
	}, nil)
	if err != nil || sum.Lost != 0 || sum.Wrong != 0 || sum.Refused() != 0 || sum.Answered != sum.Sent || sum.Attached != 300 {
		t.Fatalf("%+v, %v", sum, err)
	}
	for n := range 300 {
		addr := crowdtest.Addr(netip.MustParsePrefix("10.9.0.0/16"), uint64(n)+1)
		if got := d.verdict(t, addr.String(), fmt.Sprintf("+%d", 491700000001+n)); got != "match bound" {
			t.Fatalf("subscriber %d: %s", n, got)
		}
	}
}
