package diameter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

func kinds(events []binding.Event) (list []binding.Kind) {
	for _, ev := range events {
		list = append(list, ev.Kind)
	}
	return list
}

// statesOf are the Origin-State-Ids that the Registry was given, each with the
// kind of event that brought it; others are left out.
func statesOf(events []binding.Event) (list []string) {
	for _, ev := range events {
		if ev.Kind != binding.NodeUp && ev.Kind != binding.NodeDown {
			list = append(list, fmt.Sprint(ev.Kind, " ", ev.OriginState))
		}
	}
	return list
}

func TestAnOriginStateReachesTheRegistryWithWhatBringsIt(t *testing.T) {
	ask := func(w *wire, session string, states ...uint32) {
		more := subscriber(8)
		for _, state := range states {
			more = append(more, number(avp.OriginStateID, state))
		}
		w.ask(w.ccr(session, 1, 0, more...))
	}
	watchdog := func(w *wire, state uint32) {
		w.ask(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0,
			append(w.origin(), number(avp.OriginStateID, state))...))
	}
	for _, c := range []struct {
		claim string
		tell  func(t *testing.T, s running, w *wire) // after it opened with 5, and began a session
		want  []string
	}{
		{"a request brings its own", func(t *testing.T, s running, w *wire) { ask(w, "s;2", 6) },
			[]string{"session-start 6"}},
		{"a request without one has that of the connection", func(t *testing.T, s running, w *wire) { ask(w, "s;2") },
			[]string{"session-start 5"}},
		{"a smaller one is passed on as it is", func(t *testing.T, s running, w *wire) { ask(w, "s;2", 4) },
			[]string{"session-start 4"}},
		{"a larger one of a watchdog is a restart", func(t *testing.T, s running, w *wire) { watchdog(w, 6) },
			[]string{"node-restart 6"}},
		{"and of the requests after it", func(t *testing.T, s running, w *wire) { watchdog(w, 6); ask(w, "s;2") },
			[]string{"node-restart 6", "session-start 6"}},
		{"told once", func(t *testing.T, s running, w *wire) { watchdog(w, 6); watchdog(w, 6); ask(w, "s;2", 6) },
			[]string{"node-restart 6", "session-start 6"}},
		{"not told again after a request that brought it",
			func(t *testing.T, s running, w *wire) {
				ask(w, "s;2", 6)
				watchdog(w, 6)
				ask(w, "s;3",
					6)
			}, []string{"session-start 6", "session-start 6"}},
		{"a smaller one of a watchdog is an old one", func(t *testing.T, s running, w *wire) {
			watchdog(w, 4)
			ask(w, "s;2")
		}, []string{"session-start 5"}},
		{"zero tells nothing", func(t *testing.T, s running, w *wire) { watchdog(w, 0); ask(w, "s;2") },
			[]string{"session-start 5"}},
		{"a larger one of a new connection is a restart",
			func(t *testing.T, s running, w *wire) { connect(t, s.addr(), w.host, 6) }, []string{"node-restart 6"}},
		{"a peer that leaves may tell a larger one", func(t *testing.T, s running, w *wire) {
			w.ask(w.message(diam.DisconnectPeer, diam.RequestFlag, 0,
				append(w.origin(), number(avp.DisconnectCause, 0), number(avp.OriginStateID, 6))...))
		}, []string{"node-restart 6"}},
		{"what is behind a peer has states of its own", func(t *testing.T, s running, w *wire) {
			behind := &wire{t: t, conn: w.conn, host: "pgw2.lab", next: 7000}
			ask(behind, "s;2")
			ask(behind, "s;3", 9)
			watchdog(w, 6)
		}, []string{"session-start 0", "session-start 9", "node-restart 6"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			reg := newFakeRegistry()
			s := start(t, diameter.Config{}, reg.submit)
			w := connect(t, s.addr(), "pgw1.lab", 5)
			ask(w, "s;1", 5)
			c.tell(t, s, w)
			events := reg.wait(t, 1+len(c.want))
			if got, want := statesOf(events), append([]string{"session-start 5"}, c.want...); !slices.Equal(got, want) {
				t.Errorf("events %q, want %q", got, want)
			}
			for _, ev := range events {
				if ev.Kind == binding.NodeRestart && (ev.Owner != "pgw1.lab" || ev.Node != "pgw1.lab" ||
					ev.Link == 0 || ev.Arrived.IsZero()) {
					t.Errorf("%+v", ev)
				}
			}
		})
	}
}

// A replaced node counts from its beginning; what it says must not count as
// said before.
func TestSmallerOriginStateInNewCapabilitiesIsARestart(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 1000)
	w.ask(w.ccr("s;1", 1, 0, append(subscriber(7), number(avp.OriginStateID, 1000))...))
	w.ask(w.message(diam.DisconnectPeer, diam.RequestFlag, 0, append(w.origin(), number(avp.DisconnectCause, 0))...))
	w.conn.Close()
	reg.wait(t, 2) // and the node is down
	w = connect(t, s.addr(), "pgw1.lab", 3)
	w.ask(w.ccr("s;2", 1, 0, subscriber(7)...))
	events := reg.wait(t, 5)
	want := []binding.Kind{binding.SessionStart, binding.NodeDown, binding.NodeRestart, binding.NodeUp,
		binding.SessionStart}
	if got := kinds(events); !slices.Equal(got, want) {
		t.Fatalf("events %v, want %v", got, want)
	}
	if restart, last := events[2], events[4]; restart.OriginState != 3 || last.OriginState != 3 ||
		last.Link != restart.Link || last.Link == events[0].Link {
		t.Errorf("%+v\nand %+v", restart, last)
	}
}

// A restart that the Registry does not take yet is told again, or comes with
// the next request.
func TestARestartThatIsNotTakenIsNotForgotten(t *testing.T) {
	for _, c := range []struct {
		claim   string
		refused int // restarts
		then    func(w *wire)
		want    []string
	}{
		{"it is told again", 2, func(*wire) {}, []string{"session-start 5", "node-restart 6"}},
		{"unless a request brings it", 100, func(w *wire) {
			w.ask(w.ccr("s;2", 1, 0, subscriber(8)...))
		}, []string{"session-start 5", "session-start 6"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			reg := newFakeRegistry()
			reg.judge = func(ev *binding.Event) error {
				if c.refused--; ev.Kind == binding.NodeRestart && c.refused >= 0 {
					return binding.ErrBusy
				}
				return nil
			}
			s := start(t, diameter.Config{}, reg.submit)
			w := connect(t, s.addr(), "pgw1.lab", 5)
			w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))
			w.ask(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0,
				append(w.origin(), number(avp.OriginStateID, 6))...))
			c.then(w)
			if got := statesOf(reg.wait(t, 2)); !slices.Equal(got, c.want) {
				t.Errorf("events %q, want %q", got, c.want)
			}
		})
	}
}

// What a request says is a fact; what it is worth, the Registry decides.
func TestARequestIsReportedAsItCame(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	one, two := connect(t, s.addr(), "PGW1.lab", 0), connect(t, s.addr(), "pgw2.lab", 0)
	before := time.Now()
	stamp := time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC)
	last := one.ccr("s;1", 3, 2, diam.NewAVP(avp.EventTimestamp, avp.Mbit, 0, datatype.Time(stamp)))
	one.ask(last)
	late := one.ccr("s;1", 1, 0, subscriber(7)...)
	late.Header.CommandFlags |= diam.RetransmittedFlag
	one.ask(late)
	unnumbered := two.message(diam.CreditControl, diam.RequestFlag|diam.ProxiableFlag, gx, append(two.origin(),
		diam.NewAVP(avp.SessionID, avp.Mbit, 0, datatype.UTF8String("s;2")), number(avp.CCRequestType, 2))...)
	two.ask(unnumbered)
	events := reg.wait(t, 3)
	first, second, third := events[0], events[1], events[2]
	if !first.Time.Equal(stamp) || first.Order != 3 || first.Repeated || first.Owner != "pgw1.lab" ||
		first.Node != "PGW1.lab" {
		t.Errorf("%+v", first)
	}
	if !second.Time.IsZero() || second.Order != 1 || !second.Repeated || second.Link != first.Link || second.Link == 0 {
		t.Errorf("%+v", second)
	}
	if third.Order != 0 || third.Link == first.Link || third.Link == 0 || third.Owner != "pgw2.lab" {
		t.Errorf("%+v", third)
	}
	for _, ev := range events {
		if ev.Arrived.Before(before) || ev.Arrived.After(time.Now()) {
			t.Errorf("arrived at %v", ev.Arrived)
		}
	}
}

func TestANumberOfAConnectionIsNeverUsedAgain(t *testing.T) {
	reg := newFakeRegistry()
	s, other := start(t, diameter.Config{}, reg.submit), start(t, diameter.Config{}, reg.submit)
	seen := map[uint64]bool{}
	for i := range 4 {
		w := connect(t, []running{s, other}[i%2].addr(), fmt.Sprintf("pgw%d.lab", i/2), uint32(i))
		w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))
		w.ask(w.message(diam.DisconnectPeer, diam.RequestFlag, 0,
			append(w.origin(), number(avp.DisconnectCause, 0))...))
		w.conn.Close()
	}
	for _, ev := range reg.wait(t, 4) {
		if ev.Kind == binding.SessionStart {
			seen[ev.Link] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("four connections have %d numbers", len(seen))
	}
}

func TestLostPeerIsDownUntilItIsBack(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "dra1.lab", 0)
	behind := &wire{t: t, conn: w.conn, host: "pgw1.lab", next: 1}
	behind.ask(behind.ccr("s;1", 1, 0, subscriber(7)...))
	w.conn.Close()
	down := reg.wait(t, 2)[1]
	if down.Kind != binding.NodeDown || down.Node != "pgw1.lab" {
		t.Errorf("event %+v", down)
	}
	connect(t, s.addr(), "dra1.lab", 0)
	up := reg.wait(t, 3)[2]
	if up.Kind != binding.NodeUp || up.Node != "pgw1.lab" {
		t.Errorf("event %+v", up)
	}
}

// Agents come and go under other names; the one that is there counts.
func TestNodeHeardThroughManyAgentsIsNotDown(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Peers: []diameter.Peer{{Host: "*", Group: "dra"}}}, reg.submit)
	for i := range 20 {
		host := fmt.Sprintf("dra%d.lab", i)
		w := connect(t, s.addr(), host, 0)
		behind := &wire{t: t, conn: w.conn, host: "pgw1.lab", next: uint32(1000 * i)}
		behind.ask(behind.ccr("s;1", 2, uint32(i), subscriber(7)...))
		if i == 19 {
			break
		}
		w.conn.Close()
		eventually(t, "the end is noted", func() bool { return !isOpen(s, host) })
		reg.wait(t, 3*i+2) // the node is down
	}
	events := reg.wait(t, 19*3+1)
	if last := events[len(events)-1]; last.Kind != binding.SessionUpdate ||
		events[len(events)-2].Kind != binding.NodeUp {
		t.Errorf("the last events are %v", kinds(events[len(events)-3:]))
	}
	connect(t, s.addr(), "dra20.lab", 0) // has the nodes judged
	for _, ev := range reg.wait(t, len(events))[len(events):] {
		if ev.Kind == binding.NodeDown {
			t.Error("the node is said to be down, though an agent leads to it")
		}
	}
}

func TestStopOfOursIsNobodysLoss(t *testing.T) {
	t.Parallel()
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))
	s.stop()
	if n := reg.count(); n != 1 {
		t.Errorf("events %v", kinds(reg.wait(t, n)))
	}
}

func TestPeerSpeaksOnlyForItsNodes(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Peers: []diameter.Peer{{Host: "dra.lab", Nodes: []string{"pgw1.lab"}}}}, reg.submit)
	w := connect(t, s.addr(), "dra.lab", 0)
	for host, want := range map[string]uint32{"pgw1.lab": diam.Success, "PGW1.lab": diam.Success,
		"pgw2.lab": diam.AuthorizationRejected, "dra.lab": diam.AuthorizationRejected} {
		behind := &wire{t: t, conn: w.conn, host: host, next: 1}
		if code := result(t, behind.ask(behind.ccr("s;"+host, 1, 0, subscriber(7)...))); code != want {
			t.Errorf("%s: %d, want %d", host, code, want)
		}
	}
}

func TestWhoMayNotSpeakForANodeIsLogged(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Peers: []diameter.Peer{{Host: "dra.lab", Nodes: []string{"pgw1.lab"}}}}, reg.submit)
	w := connect(t, s.addr(), "dra.lab", 0)
	behind := &wire{t: t, conn: w.conn, host: "pgw2.lab", next: 1}
	const many = 50
	for i := range many {
		behind.ask(behind.ccr("s;1", 1, uint32(i), subscriber(7)...))
	}
	lines := s.log.lines("request refused")
	if len(lines) == 0 || len(lines) == many {
		t.Fatalf("%d requests were refused, and %d lines logged", many, len(lines))
	}
	for _, word := range []string{"level=WARN", "host=dra.lab", "node=pgw2.lab", "result=5003"} {
		if !strings.Contains(lines[0], word) {
			t.Errorf("%s is not in: %s", word, lines[0])
		}
	}
	for _, id := range []string{"491700000007", "001010000000007"} {
		if strings.Contains(lines[0], id) {
			t.Errorf("%s names the subscriber", lines[0])
		}
	}
}

// Nodes that the journal knows from before are down until they are heard.
func TestKnownNodeIsDownUntilItIsHeard(t *testing.T) {
	reg := newFakeRegistry()
	known := func() []diameter.NodeName {
		return []diameter.NodeName{{Owner: "pgw1.lab", Node: "pgw1.lab"}, {Owner: "dra.lab", Node: "pgw1.lab"}}
	}
	s := start(t, diameter.Config{Known: known}, reg.submit)
	for _, ev := range reg.wait(t, 2) {
		if ev.Kind != binding.NodeDown || ev.Node != "pgw1.lab" || ev.Owner == "" {
			t.Errorf("event %+v", ev)
		}
	}
	connect(t, s.addr(), "pgw1.lab", 0)
	if ev := reg.wait(t, 3)[2]; ev.Kind != binding.NodeUp || ev.Node != "pgw1.lab" || ev.Owner != "pgw1.lab" {
		t.Errorf("event %+v", ev)
	}
}

func TestAKnownNodeIsUpWithAnyPeerOfItsOwnerThatMaySpeakForIt(t *testing.T) {
	reg := newFakeRegistry()
	known := func() []diameter.NodeName {
		return []diameter.NodeName{{Owner: "dra", Node: "pgw1.lab"}, {Owner: "dra", Node: "pgw2.lab"}, {Owner: "else", Node: "pgw1.lab"}}
	}
	s := start(t, diameter.Config{Known: known, Peers: []diameter.Peer{
		{Host: "dra1.lab", Group: "dra", Nodes: []string{"pgw1.lab", "dra1.lab"}}, {Host: "else"},
	}}, reg.submit)
	reg.wait(t, 3)
	connect(t, s.addr(), "dra1.lab", 0)
	if ev := reg.wait(t, 4)[3]; ev.Kind != binding.NodeUp || ev.Node != "pgw1.lab" || ev.Owner != "dra" {
		t.Errorf("event %+v", ev)
	}
	if n := reg.count(); n != 4 {
		t.Errorf("events %v", kinds(reg.wait(t, n)))
	}
}

// A host that restarted while we were away tells so with its first message; the
// Registry knows what it was told before.
func TestAKnownNodeShowsItsStateAsSoonAsItConnects(t *testing.T) {
	reg := newFakeRegistry()
	known := func() []diameter.NodeName { return []diameter.NodeName{{Owner: "pgw1.lab", Node: "pgw1.lab"}} }
	s := start(t, diameter.Config{Known: known}, reg.submit)
	reg.wait(t, 1)
	connect(t, s.addr(), "pgw1.lab", 6)
	events := reg.wait(t, 3)
	if got := kinds(events); !slices.Equal(got, []binding.Kind{binding.NodeDown, binding.NodeRestart,
		binding.NodeUp}) || events[1].OriginState != 6 {
		t.Errorf("events %v, state %d", got, events[1].OriginState)
	}
}

// Of a host without sessions the Registry need not know.
func TestAHostWithoutSessionsIsNobodysRestart(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "dra1.lab", 5)
	w.ask(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0, append(w.origin(), number(avp.OriginStateID, 6))...))
	connect(t, s.addr(), "dra1.lab", 7)
	behind := connect(t, s.addr(), "dra2.lab", 1)
	behind.host = "pgw1.lab"
	behind.ask(behind.ccr("s;1", 1, 0, subscriber(7)...))
	if got := kinds(reg.wait(t, 1)); !slices.Equal(got, []binding.Kind{binding.SessionStart}) {
		t.Errorf("events %v", got)
	}
}

// A restart that a request shows is true whatever the PCRF says to the request.
func TestARelayPassesOnARestartWhateverBecomesOfTheRequest(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	down := connect(t, s.addr(), "pgw1.lab", 5)
	exchange := func(session string, kind, state, code uint32) {
		down.send(down.ccr(session, kind, 0, append(subscriber(7), number(avp.OriginStateID, state))...))
		up.send(answer(up.read(), "pcrf.lab", code))
		down.read()
	}
	exchange("s;1", 1, 5, diam.Success)
	exchange("s;2", 1, 6, 5012)
	exchange("s;3", 1, 6, diam.Success)
	exchange("s;4", 3, 7, diam.Success)
	exchange("s;5", 1, 7, diam.Success)
	want := []string{"session-start 5", "node-restart 6", "session-start 6", "session-start 6", "session-stop 7", "session-start 7"}
	if got := statesOf(reg.wait(t, len(want))); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
