package diameter_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

func TestANodeBelongsToWhoBringsIt(t *testing.T) {
	for _, c := range []struct {
		claim  string
		peers  []diameter.Peer
		owners []string // of what dra1 and dra2 bring
		shared []string
	}{
		{"two peers without a group are two nodes", []diameter.Peer{{Host: "*"}}, []string{"dra1.lab", "dra2.lab"},
			[]string{"pgw1.lab"}},
		{"two peers of one group are one", []diameter.Peer{{Host: "*", Group: "dra"}}, []string{"dra", "dra"}, nil},
		{"two entries may be of one group", []diameter.Peer{{Host: "dra1.lab", Group: "dra"},
			{Host: "dra2.lab", Group: "dra"}}, []string{"dra", "dra"}, nil},
		{"a peer beside a group is another", []diameter.Peer{{Host: "dra1.lab", Group: "dra"}, {Host: "*"}},
			[]string{"dra", "dra2.lab"}, []string{"pgw1.lab"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			reg := newFakeRegistry()
			s := start(t, diameter.Config{Peers: c.peers}, reg.submit)
			for i, host := range []string{"dra1.lab", "DRA2.lab"} {
				w := connect(t, s.addr(), host, 0)
				behind := &wire{t: t, conn: w.conn, host: "pgw1.lab", next: uint32(1000 * i)}
				behind.ask(behind.ccr("s;1", 2, uint32(i), subscriber(7)...))
			}
			for i, ev := range reg.wait(t, 2) {
				if ev.Owner != c.owners[i] || ev.Node != "pgw1.lab" {
					t.Errorf("%+v", ev)
				}
			}
			if got := s.SharedNames(); !slices.Equal(got, c.shared) {
				t.Errorf("shared: %q, want %q", got, c.shared)
			}
		})
	}
}

func TestSharedNamesAreBounded(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	for i := range 2 {
		w := connect(t, s.addr(), fmt.Sprintf("dra%d.lab", i), 0)
		for n := range 80 {
			behind := &wire{t: t, conn: w.conn, host: fmt.Sprintf("pgw%02d.lab", n), next: uint32(1000 * n)}
			behind.ask(behind.ccr("s;1", 2, uint32(i), subscriber(7)...))
		}
	}
	if got := s.SharedNames(); len(got) != 64 || got[0] != "pgw00.lab" || !slices.IsSorted(got) {
		t.Errorf("%d names: %q", len(got), got)
	}
}

// Who calls itself like a group would be taken for it.
func TestNobodyIsAdmittedUnderTheNameOfAGroup(t *testing.T) {
	for _, group := range []string{"dra", "Dra"} {
		s := start(t, diameter.Config{Peers: []diameter.Peer{{Host: "dra1.lab", Group: group}, {Host: "*"}}},
			newFakeRegistry().submit)
		for host, want := range map[string]uint32{"DRA": diam.UnknownPeer, "dra1.lab": diam.Success,
			"dra2.lab": diam.Success} {
			w := dial(t, s.addr())
			w.host = host
			if code := result(t, w.ask(w.cer(0))); code != want {
				t.Errorf("group %s, %s: %d, want %d", group, host, code, want)
			}
		}
	}
}

func TestANodeIsUpWhileAPeerOfItsGroupLeadsToIt(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Peers: []diameter.Peer{{Host: "*", Group: "dra"}}}, reg.submit)
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
	for _, ev := range reg.wait(t, 5)[3:] {
		if ev.Kind != binding.NodeDown || ev.Owner != "dra" {
			t.Errorf("%+v", ev)
		}
	}
}

func TestOfTwoNodesOfOneNameOnlyTheLostOneIsDown(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	one, two := connect(t, s.addr(), "dra1.lab", 0), connect(t, s.addr(), "dra2.lab", 0)
	for i, w := range []*wire{one, two} {
		behind := &wire{t: t, conn: w.conn, host: "pgw1.lab", next: uint32(1000 * i)}
		behind.ask(behind.ccr("s;1", 2, uint32(i), subscriber(7)...))
	}
	one.conn.Close()
	if ev := reg.wait(t, 3)[2]; ev.Kind != binding.NodeDown || ev.Owner != "dra1.lab" || ev.Node != "pgw1.lab" {
		t.Errorf("%+v", ev)
	}
	if n := reg.count(); n != 3 {
		t.Errorf("events %v", kinds(reg.wait(t, n)))
	}
}

// With the entries, the owner of what a connected peer brings may change; what
// it brought before is of a node that nobody speaks for any more.
func TestANewGroupCountsForTheNextRequest(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))
	s.SetPeers([]diameter.Peer{{Host: "*", Group: "pgw"}})
	w.ask(w.ccr("s;1", 2, 1, subscriber(7)...))
	owners := map[string]binding.Kind{}
	for _, ev := range reg.wait(t, 3) {
		owners[ev.Owner] = ev.Kind
	}
	if owners["pgw1.lab"] != binding.NodeDown || owners["pgw"] != binding.SessionUpdate || len(s.SharedNames()) != 0 {
		t.Errorf("last of each owner: %v; shared %q", owners, s.SharedNames())
	}
}

// A PCRF that sends what only a gateway does is no gateway, and its restart is
// nobody's.
func TestUpstreamsOwnNoSessions(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	down := connect(t, s.addr(), "pgw1.lab", 0)
	up.send(up.ccr("s;1", 3, 1, append(subscriber(7), identity(avp.DestinationHost, "pgw1.lab"))...))
	down.send(answer(down.read(), "pgw1.lab", diam.Success))
	up.read()
	up.ask(up.message(diam.DeviceWatchdog, diam.RequestFlag, 0,
		append(up.origin(), number(avp.OriginStateID, 1<<31))...))
	down.send(down.ccr("s;2", 1, 0, subscriber(8)...))
	up.send(answer(up.read(), "pcrf.lab", diam.Success))
	down.read()
	events := reg.wait(t, 1)
	if len(events) != 1 || events[0].Owner != "pgw1.lab" || events[0].Session != "s;2" {
		t.Errorf("events %+v", events)
	}
}
