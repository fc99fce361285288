package diameter_test

import (
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"

	"github.com/simbind/simbind/diameter"
)

func TestWhoIsNotAdmittedAnyMoreIsAskedToLeave(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	one, two := connect(t, s.addr(), "pgw1.lab", 0), connect(t, s.addr(), "pgw2.lab", 0)
	s.SetPeers([]diameter.Peer{{Host: "pgw2.lab"}})
	dpr := one.read()
	if dpr.Header.CommandCode != diam.DisconnectPeer || find(dpr, avp.DisconnectCause) == nil || valueOf(dpr, avp.DisconnectCause) != 2 {
		t.Errorf("not a DPR for who is not wanted: %v", dpr)
	}
	// It may take its time, but is not believed.
	if code := result(t, one.ask(one.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.AuthorizationRejected {
		t.Errorf("its request is answered %d", code)
	}
	one.send(one.success(dpr))
	one.closed()
	again := dial(t, s.addr())
	if code := result(t, again.ask(again.cer(0))); code != diam.UnknownPeer {
		t.Errorf("it is let in again: %d", code)
	}
	if code := result(t, two.ask(two.ccr("s;2", 1, 0, subscriber(8)...))); code != diam.Success {
		t.Errorf("the other is answered %d", code)
	}
	if events := reg.wait(t, 1); len(events) != 1 || events[0].Session != "s;2" {
		t.Errorf("events %+v", events)
	}
}

func TestNewEntriesCountForTheNextRequest(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Peers: []diameter.Peer{{Host: "dra.lab", Nodes: []string{"pgw1.lab"}}}}, reg.submit)
	w := connect(t, s.addr(), "dra.lab", 0)
	behind := &wire{t: t, conn: w.conn, host: "pgw2.lab", next: 1}
	if code := result(t, behind.ask(behind.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.AuthorizationRejected {
		t.Errorf("before: %d", code)
	}
	s.SetPeers([]diameter.Peer{{Host: "dra.lab", Nodes: []string{"pgw1.lab", "pgw2.lab"}}})
	if code := result(t, behind.ask(behind.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.Success {
		t.Errorf("after: %d", code)
	}
}

func TestUpstreamsAreNoMatterOfWhoMayConnect(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	down := connect(t, s.addr(), "pgw1.lab", 0)
	s.SetPeers([]diameter.Peer{{Host: "pgw1.lab"}})
	down.send(down.ccr("s;1", 1, 0, subscriber(7)...))
	up.send(answer(up.read(), "pcrf.lab", diam.Success))
	if code := result(t, down.read()); code != diam.Success {
		t.Errorf("answer %d", code)
	}
	reg.wait(t, 1)
}
