package diameter_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

func TestLargerOriginStateIsARestart(t *testing.T) {
	for _, c := range []struct {
		claim string
		tell  func(t *testing.T, s running, w *wire) // state 6
	}{
		{"in a request", func(t *testing.T, s running, w *wire) {
			w.ask(w.ccr("s;2", 1, 0, append(subscriber(8), number(avp.OriginStateID, 6))...))
		}},
		{"in a watchdog", func(t *testing.T, s running, w *wire) {
			w.ask(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0, append(w.origin(), number(avp.OriginStateID, 6))...))
		}},
		{"in the capabilities of a new connection", func(t *testing.T, s running, w *wire) {
			connect(t, s.addr(), w.host, 6)
		}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			reg := newFakeRegistry()
			s := start(t, diameter.Config{}, reg.submit)
			w := connect(t, s.addr(), "pgw1.lab", 5)
			w.ask(w.ccr("s;1", 1, 0, append(subscriber(7), number(avp.OriginStateID, 5))...))
			c.tell(t, s, w)
			events := reg.wait(t, 2)
			if events[1].Kind != binding.NodeRestart || events[1].Node != "pgw1.lab" || events[1].Source != binding.SourceGx {
				t.Errorf("events %v", kinds(events))
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
	before := time.Now()
	w = connect(t, s.addr(), "pgw1.lab", 3)
	w.ask(w.ccr("s;2", 1, 0, append(subscriber(7), number(avp.OriginStateID, 3))...))
	events := reg.wait(t, 5)
	if got, want := kinds(events), []binding.Kind{binding.SessionStart, binding.NodeDown, binding.NodeRestart, binding.NodeUp, binding.SessionStart}; !slices.Equal(got, want) {
		t.Fatalf("events %v, want %v", got, want)
	}
	if last := events[4]; last.Time.Before(before) || last.Session != "s;2" {
		t.Errorf("what it says now counts as of %v", last.Time)
	}
}

func TestOriginStatesThatAreNoRestart(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "dra.lab", 5)
	states := []uint32{0, 9, 9, 0, 8}
	for i, state := range states {
		host := &wire{t: t, conn: w.conn, host: "pgw1.lab", next: uint32(1000 * i)}
		m := host.ccr("s;1", 2, uint32(i), subscriber(7)...)
		if state != 0 {
			m.AddAVP(number(avp.OriginStateID, state))
		}
		if code := result(t, host.ask(m)); code != diam.Success {
			t.Errorf("state %d: %d", state, code)
		}
	}
	// Another host behind the same peer has its own.
	other := &wire{t: t, conn: w.conn, host: "pgw2.lab", next: 90000}
	other.ask(other.ccr("s;2", 1, 0, append(subscriber(8), number(avp.OriginStateID, 1))...))
	events := reg.wait(t, len(states)+1)
	for _, ev := range events {
		if ev.Kind == binding.NodeRestart {
			t.Fatalf("events %v", kinds(events))
		}
	}
}

func TestRequestFromBeforeTheRestartIsOfThatTime(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 5)
	w.ask(w.ccr("s;1", 1, 0, append(subscriber(7), number(avp.OriginStateID, 5))...))
	w.ask(w.ccr("s;2", 1, 0, append(subscriber(8), number(avp.OriginStateID, 6))...))
	w.ask(w.ccr("s;3", 1, 0, append(subscriber(9), number(avp.OriginStateID, 5))...))
	events := reg.wait(t, 4)
	if restart, old := events[1], events[3]; !old.Time.Before(restart.Time) {
		t.Errorf("the restart is at %v, the request from before it at %v", restart.Time, old.Time)
	}
}

// A restarted node attaches phones before it has its connection back, and its
// clock may be behind ours.
func TestRequestOfTheNewStateIsNotOfBeforeTheRestart(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 5)
	w.ask(w.ccr("s;1", 1, 0, append(subscriber(7), number(avp.OriginStateID, 5))...))
	early := diam.NewAVP(avp.EventTimestamp, avp.Mbit, 0, datatype.Time(time.Now().Add(-30*time.Second)))
	w.ask(w.ccr("s;2", 1, 0, append(subscriber(8), number(avp.OriginStateID, 6), early)...))
	events := reg.wait(t, 3)
	if restart, first := events[1], events[2]; restart.Kind != binding.NodeRestart || first.Time.UnixMilli() < restart.Time.UnixMilli() {
		t.Errorf("the restart is at %v, the request after it at %v", restart.Time, first.Time)
	}
}

// A restart that the Registry does not take yet holds back what came after it.
func TestRestartIsToldBeforeTheRequest(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 5)
	w.ask(w.ccr("s;1", 1, 0, append(subscriber(7), number(avp.OriginStateID, 5))...))
	reg.set(func(r *fakeRegistry) { r.refuse = binding.ErrBusy })
	if code := result(t, w.ask(w.ccr("s;2", 1, 0, append(subscriber(8), number(avp.OriginStateID, 6))...))); code != diam.TooBusy {
		t.Errorf("while it is busy: %d", code)
	}
	reg.set(func(r *fakeRegistry) { r.refuse = nil })
	// Without the AVP: it is known all the same.
	if code := result(t, w.ask(w.ccr("s;2", 1, 0, subscriber(8)...))); code != diam.Success {
		t.Errorf("then: %d", code)
	}
	if got := kinds(reg.wait(t, 3)); got[1] != binding.NodeRestart || got[2] != binding.SessionStart {
		t.Errorf("events %v", got)
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

func TestNodeWithAnotherPathIsNotDown(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	one, two := connect(t, s.addr(), "dra1.lab", 0), connect(t, s.addr(), "dra2.lab", 0)
	for i, w := range []*wire{one, two} {
		behind := &wire{t: t, conn: w.conn, host: "pgw1.lab", next: uint32(1000 * i)}
		behind.ask(behind.ccr("s;1", 2, uint32(i), subscriber(7)...))
	}
	one.conn.Close()
	eventually(t, "the end is noted", func() bool { return !isOpen(s, "dra1.lab") })
	two.ask(two.ccr("s;2", 1, 0, subscriber(8)...))
	for _, ev := range reg.wait(t, 3) {
		if ev.Kind == binding.NodeDown {
			t.Errorf("%s is said to be down", ev.Node)
		}
	}
	two.conn.Close()
	eventually(t, "both are down", func() bool { return reg.count() >= 5 })
}

// Agents come and go under other names; the one that is there counts.
func TestNodeHeardThroughManyAgentsIsNotDown(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
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
	if last := events[len(events)-1]; last.Kind != binding.SessionUpdate || events[len(events)-2].Kind != binding.NodeUp {
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
	for host, want := range map[string]uint32{"pgw1.lab": diam.Success, "PGW1.lab": diam.Success, "pgw2.lab": diam.AuthorizationRejected, "dra.lab": diam.AuthorizationRejected} {
		behind := &wire{t: t, conn: w.conn, host: host, next: 1}
		if code := result(t, behind.ask(behind.ccr("s;"+host, 1, 0, subscriber(7)...))); code != want {
			t.Errorf("%s: %d, want %d", host, code, want)
		}
	}
}

// Hosts that the journal knows from before are down until they are heard.
func TestKnownNodeIsDownUntilItIsHeard(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Known: func() []string { return []string{"pgw1.lab"} }}, reg.submit)
	if ev := reg.wait(t, 1)[0]; ev.Kind != binding.NodeDown || ev.Node != "pgw1.lab" {
		t.Errorf("event %+v", ev)
	}
	connect(t, s.addr(), "pgw1.lab", 0)
	if ev := reg.wait(t, 2)[1]; ev.Kind != binding.NodeUp || ev.Node != "pgw1.lab" {
		t.Errorf("event %+v", ev)
	}
}

// A host that restarted while we were away tells so with its first message.
func TestRestartWhileWeWereAway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "states.json")
	known := func() []string { return []string{"pgw1.lab"} }
	run := func(state uint32, fate error) []binding.Kind {
		reg := newFakeRegistry()
		reg.fate = fate
		s := start(t, diameter.Config{StateFile: file, Known: known}, reg.submit)
		w := connect(t, s.addr(), "pgw1.lab", state)
		reg.set(func(r *fakeRegistry) { r.fate = nil })
		if code := result(t, w.ask(w.ccr("s;1", 1, 0, append(subscriber(7), number(avp.OriginStateID, state))...))); code != diam.Success {
			t.Errorf("answer %d", code)
		}
		w.conn.Close()
		eventually(t, "the end is noted", func() bool { return !isOpen(s, "pgw1.lab") })
		s.stop()
		return kinds(reg.wait(t, 1))
	}
	if got := run(5, nil); slices.Contains(got, binding.NodeRestart) {
		t.Errorf("heard for the first time: %v", got)
	}
	if got := run(5, nil); slices.Contains(got, binding.NodeRestart) {
		t.Errorf("the same as before: %v", got)
	}
	if got := run(6, binding.ErrJournal); !slices.Contains(got, binding.NodeRestart) {
		t.Errorf("a larger one: %v", got)
	}
	if got := run(6, nil); !slices.Contains(got, binding.NodeRestart) {
		t.Errorf("told again, as it was not durable: %v", got)
	}
	if got := run(6, nil); slices.Contains(got, binding.NodeRestart) {
		t.Errorf("told again, though it was durable: %v", got)
	}
	if err := os.WriteFile(file, []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(7, nil); slices.Contains(got, binding.NodeRestart) {
		t.Errorf("after the file is lost: %v", got)
	}
}
