package diameter_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

const ourState = 77

func TestWhoIsAdmitted(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Peers: []diameter.Peer{
		{Host: "far.lab", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		{Host: "pgw1.lab", Realm: "lab", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		{Host: "*", Realm: "roaming"},
	}}, reg.submit)
	vendorSpecific := func(app uint32) *diam.AVP {
		return diam.NewAVP(avp.VendorSpecificApplicationID, avp.Mbit, 0, &diam.GroupedAVP{AVP: []*diam.AVP{number(avp.VendorID, 10415), number(avp.AuthApplicationID, app)}})
	}
	app := number(avp.AuthApplicationID, gx)
	for _, c := range []struct {
		claim, host, realm string
		more               []*diam.AVP
		want               uint32
	}{
		{"a peer that is named", "pgw1.lab", "lab", []*diam.AVP{app}, diam.Success},
		{"names are of any case", "PGW1.Lab", "LAB", []*diam.AVP{app}, diam.Success},
		{"the application within Vendor-Specific-Application-Id", "pgw1.lab", "lab", []*diam.AVP{vendorSpecific(gx)}, diam.Success},
		{"a relay has every application", "pgw1.lab", "lab", []*diam.AVP{number(avp.AuthApplicationID, relayApp)}, diam.Success},
		{"any host of a realm", "pgw7.roaming", "roaming", []*diam.AVP{app}, diam.Success},
		{"an unknown host", "pgw9.lab", "lab", []*diam.AVP{app}, diam.UnknownPeer},
		{"a named host of another realm", "pgw1.lab", "elsewhere", []*diam.AVP{app}, diam.UnknownPeer},
		{"a named host from another address", "far.lab", "lab", []*diam.AVP{app}, diam.UnknownPeer},
		{"somebody with our own name", "Simbind.lab", "roaming", []*diam.AVP{app}, diam.UnknownPeer},
		{"no application that we have", "pgw1.lab", "lab", []*diam.AVP{number(avp.AuthApplicationID, 4), vendorSpecific(16777251)}, diam.NoCommonApplication},
		{"no application at all", "pgw1.lab", "lab", nil, diam.NoCommonApplication},
		{"security within the connection alone", "pgw1.lab", "lab", []*diam.AVP{app, number(avp.InbandSecurityID, 1)}, 5017},
		{"security within the connection, or none", "pgw1.lab", "lab", []*diam.AVP{app, number(avp.InbandSecurityID, 1), number(avp.InbandSecurityID, 0)}, diam.Success},
		{"no realm", "pgw1.lab", "", []*diam.AVP{app}, diam.MissingAVP},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := dial(t, s.addr())
			cer := w.message(diam.CapabilitiesExchange, diam.RequestFlag, 0, identity(avp.OriginHost, c.host))
			if c.realm != "" {
				cer.AddAVP(identity(avp.OriginRealm, c.realm))
			}
			for _, a := range c.more {
				cer.AddAVP(a)
			}
			cea := w.ask(cer)
			if got := result(t, cea); got != c.want {
				t.Errorf("result %d, want %d", got, c.want)
			}
			if c.want != diam.Success {
				w.closed()
				return
			}
			w.conn.Close()
			eventually(t, "the server sees the end", func() bool { return !isOpen(s, c.host) })
		})
	}
}

// isOpen reports whether a peer is connected.
func isOpen(s running, host string) bool {
	for _, p := range s.Peers() {
		if strings.EqualFold(p.Host, host) {
			return p.Open
		}
	}
	return false
}

func TestWeSayWhatWeAre(t *testing.T) {
	s := start(t, diameter.Config{OriginState: ourState}, newFakeRegistry().submit)
	w := dial(t, s.addr())
	cea := w.ask(w.cer(5)) // not the peer's own Origin-State-Id comes back
	if got := valueOf(cea, avp.OriginStateID); got != ourState {
		t.Errorf("Origin-State-Id of the CEA is %d", got)
	}
	for code, want := range map[uint32]string{avp.OriginHost: "simbind.lab", avp.OriginRealm: "lab"} {
		if a := find(cea, code); a == nil || string(a.Data.(datatype.DiameterIdentity)) != want {
			t.Errorf("AVP %d is %v", code, a)
		}
	}
	for _, a := range cea.AVP {
		switch a.Code {
		case avp.AuthApplicationID:
			if a.Data.(datatype.Unsigned32) != gx {
				t.Errorf("application %v", a.Data)
			}
		case avp.ProductName, avp.FirmwareRevision:
			if a.Flags&avp.Mbit != 0 {
				t.Errorf("the M bit on %v", a)
			}
		case avp.HostIPAddress:
			if ip := net.IP(a.Data.(datatype.Address)); !ip.Equal(net.IPv4(127, 0, 0, 1)) {
				t.Errorf("Host-IP-Address %v", ip)
			}
		}
	}
	if find(cea, avp.VendorSpecificApplicationID) == nil || find(cea, avp.AcctApplicationID) != nil {
		t.Errorf("%v", cea)
	}
	dwa := w.ask(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0, append(w.origin(), number(avp.OriginStateID, 5))...))
	if result(t, dwa) != diam.Success || valueOf(dwa, avp.OriginStateID) != ourState {
		t.Errorf("DWA %v", dwa)
	}
	if again := w.ask(w.cer(5)); result(t, again) != diam.Success {
		t.Errorf("the second CEA %v", again)
	}
}

func TestNothingIsDoneBeforeTheCapabilities(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{CapabilitiesTimeout: 200 * time.Millisecond}, reg.submit)
	for _, c := range []struct {
		claim string
		send  func(w *wire)
	}{
		{"a watchdog first", func(w *wire) { w.send(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0, w.origin()...)) }},
		{"a request first", func(w *wire) { w.send(w.ccr("s;1", 1, 0, subscriber(7)...)) }},
		{"nothing at all", func(w *wire) {}},
		{"half a message", func(w *wire) { w.write([]byte{1, 0, 0, 200, 0x80}) }},
		{"an answer", func(w *wire) { w.send(w.message(diam.CapabilitiesExchange, 0, 0, w.origin()...)) }},
		{"a message longer than any CER", func(w *wire) { w.write([]byte{1, 0, 0xFF, 0xFC}) }},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := dial(t, s.addr())
			c.send(w)
			w.closed()
		})
	}
	if reg.count() != 0 {
		t.Errorf("%d events", reg.count())
	}
}

func TestDisconnectingInOrder(t *testing.T) {
	t.Parallel()
	s := start(t, diameter.Config{}, newFakeRegistry().submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	dpa := w.ask(w.message(diam.DisconnectPeer, diam.RequestFlag, 0, append(w.origin(), diam.NewAVP(avp.DisconnectCause, avp.Mbit, 0, datatype.Enumerated(0)))...))
	if result(t, dpa) != diam.Success {
		t.Errorf("DPA %v", dpa)
	}
	// Before the old connection is closed a new one is welcome.
	next := connect(t, s.addr(), "pgw1.lab", 0)
	w.closed() // by us, if the peer does not
	go s.stop()
	dpr := next.read()
	if dpr.Header.CommandCode != diam.DisconnectPeer || dpr.Header.CommandFlags&diam.RequestFlag == 0 || find(dpr, avp.DisconnectCause) == nil || valueOf(dpr, avp.DisconnectCause) != 0 {
		t.Errorf("not a DPR for a reboot: %v", dpr)
	}
	next.send(next.success(dpr))
	next.closed()
	s.stop()
}

func TestServerStopsWithoutTheAgreementOfItsPeers(t *testing.T) {
	t.Parallel()
	s := start(t, diameter.Config{}, newFakeRegistry().submit)
	connect(t, s.addr(), "pgw1.lab", 0) // answers nothing
	dial(t, s.addr())                   // says nothing
	s.stop()
}

func TestHostHasOneConnection(t *testing.T) {
	t.Parallel()
	s := start(t, diameter.Config{}, newFakeRegistry().submit)
	first := connect(t, s.addr(), "pgw1.lab", 5)
	second := dial(t, s.addr())
	if code := result(t, second.ask(second.cer(5))); code != 4003 {
		t.Errorf("the second connection: %d", code)
	}
	second.closed()
	// The first is asked whether it lives.
	dwr := first.read()
	if dwr.Header.CommandCode != diam.DeviceWatchdog {
		t.Fatalf("not a DWR: %v", dwr)
	}
	first.send(first.success(dwr))
	if code := result(t, first.ask(first.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.Success {
		t.Errorf("the first then: %d", code)
	}
	// If it does not, it ends, and the next attempt is admitted.
	eventually(t, "a connection in place of the dead one", func() bool {
		w := dial(t, s.addr())
		return result(t, w.ask(w.cer(5))) == diam.Success
	})
}

// A peer that closes its connection and opens another at once is not refused,
// even if the end of the one is noticed after the beginning of the other.
func TestReconnectionOvertakesTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, diameter.Config{}, newFakeRegistry().submit)
	first := connect(t, s.addr(), "pgw1.lab", 5)
	second := dial(t, s.addr())
	second.send(second.cer(5))
	first.read() // a watchdog request: the second found the first
	first.conn.Close()
	if code := result(t, second.read()); code != diam.Success {
		t.Errorf("the second connection: %d", code)
	}
	if code := result(t, second.ask(second.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.Success {
		t.Errorf("its first request: %d", code)
	}
}

// The restart that a connection tells of which waited for the end of the former
// one is not older than what that one still said.
func TestARestartIsNotOlderThanWhatItEnds(t *testing.T) {
	t.Parallel()
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	old := connect(t, s.addr(), "pgw1.lab", 50)
	old.ask(old.ccr("s;1", 1, 0, subscriber(7)...))
	again := dial(t, s.addr()) // it was replaced: its Origin-State-Id is smaller
	again.send(again.cer(30))
	old.read() // a watchdog request: the new one found the old one, and waits
	old.ask(old.ccr("s;2", 1, 0, subscriber(8)...))
	old.conn.Close()
	if code := result(t, again.read()); code != diam.Success {
		t.Fatalf("CEA %d", code)
	}
	var began, restarted time.Time
	for _, ev := range reg.wait(t, 3) {
		switch {
		case ev.Kind == binding.NodeRestart:
			restarted = ev.Arrived
		case ev.Session == "s;2":
			began = ev.Arrived
		}
	}
	if restarted.Before(began) {
		t.Errorf("it is %v older", began.Sub(restarted))
	}
}

func TestRestartedHostReplacesItsConnection(t *testing.T) {
	s := start(t, diameter.Config{}, newFakeRegistry().submit)
	first := connect(t, s.addr(), "pgw1.lab", 5)
	second := connect(t, s.addr(), "pgw1.lab", 6)
	first.closed()
	if code := result(t, second.ask(second.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.Success {
		t.Errorf("the second: %d", code)
	}
}

// When relay and PCRF connect to each other at once, both keep the same one
// (RFC 6733 section 5.6.4).
func TestElection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		claim, pcrf string
		win         bool
	}{
		{"our name is the higher: the connection that we accepted stays", "pcrf.lab", true},
		{"our name is the lower: the connection that we made stays", "zpcrf.lab", false},
	} {
		t.Run(c.claim, func(t *testing.T) {
			p := newPCRF(t, c.pcrf)
			s := startRelay(t, diameter.Config{Reconnect: time.Hour}, newFakeRegistry().submit, p)
			p.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
			conn, err := p.l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			ours := &wire{t: t, conn: conn, host: c.pcrf, next: 5000}
			cer := ours.read()
			// Before it is answered, the PCRF connects by itself.
			theirs := dial(t, s.addr())
			theirs.host = c.pcrf
			if code := result(t, theirs.ask(theirs.cer(0))); code != diam.Success {
				t.Fatalf("CEA %d", code)
			}
			ours.send(ours.cea(cer, diam.Success))
			loser, winner := ours, theirs
			if !c.win {
				loser, winner = theirs, ours
			}
			loser.closed()
			if code := result(t, winner.ask(winner.message(diam.DeviceWatchdog, diam.RequestFlag, 0, winner.origin()...))); code != diam.Success {
				t.Errorf("the winner: %d", code)
			}
		})
	}
}

func TestSilentPeerIsAskedThenClosed(t *testing.T) {
	t.Parallel()
	s := start(t, diameter.Config{Watchdog: 200 * time.Millisecond}, newFakeRegistry().submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	for range 3 {
		dwr := w.read()
		if dwr.Header.CommandCode != diam.DeviceWatchdog || find(dwr, avp.OriginStateID) == nil {
			t.Fatalf("not a DWR: %v", dwr)
		}
		w.send(w.success(dwr))
	}
	w.read() // and not answered
	w.closed()
	eventually(t, "the end is noted", func() bool { return !isOpen(s, "pgw1.lab") })
}

func TestConnectionsAreBounded(t *testing.T) {
	s := start(t, diameter.Config{MaxConnections: 2}, newFakeRegistry().submit)
	first := connect(t, s.addr(), "pgw1.lab", 0)
	connect(t, s.addr(), "pgw2.lab", 0)
	dial(t, s.addr()).closed()
	first.conn.Close()
	eventually(t, "there is room again", func() bool {
		w := dial(t, s.addr())
		w.host = "pgw3.lab"
		if _, err := w.cer(0).WriteTo(w.conn); err != nil {
			return false
		}
		w.conn.SetReadDeadline(time.Now().Add(patience))
		m, err := diam.ReadMessage(w.conn, dict.Default)
		return err == nil && result(t, m) == diam.Success
	})
}

func TestOpenRequestsAreBounded(t *testing.T) {
	reg := newFakeRegistry()
	reg.hold = true
	s := start(t, diameter.Config{InFlight: 2}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	w.send(w.ccr("s;1", 1, 0, subscriber(1)...))
	w.send(w.ccr("s;2", 1, 0, subscriber(2)...))
	if code := result(t, w.ask(w.ccr("s;3", 1, 0, subscriber(3)...))); code != diam.TooBusy {
		t.Errorf("the third: %d", code)
	}
	for _, ev := range reg.wait(t, 2) {
		ev.Ack.Acknowledge(ev.Token, nil)
		ev.Ack.Acknowledge(ev.Token, nil) // told twice, answered once
	}
	for range 2 {
		if code := result(t, w.read()); code != diam.Success {
			t.Errorf("then %d", code)
		}
	}
	reg.set(func(r *fakeRegistry) { r.hold = false })
	if code := result(t, w.ask(w.ccr("s;3", 1, 0, subscriber(3)...))); code != diam.Success {
		t.Errorf("the third, later: %d", code)
	}
}

func TestIPv6(t *testing.T) {
	s := start(t, diameter.Config{Listen: []string{"[::1]:0"}, Peers: []diameter.Peer{{Host: "*", Addresses: []netip.Prefix{netip.MustParsePrefix("::1/128")}}}}, newFakeRegistry().submit)
	w := dial(t, s.addr())
	cea := w.ask(w.cer(0))
	if result(t, cea) != diam.Success || !net.IP(find(cea, avp.HostIPAddress).Data.(datatype.Address)).Equal(net.IPv6loopback) {
		t.Errorf("CEA %v", cea)
	}
}

// A peer that asks and does not read is held back, then given up; what waits
// for it is bounded.
func TestPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s := start(t, diameter.Config{WriteTimeout: 300 * time.Millisecond}, newFakeRegistry().submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	request := serialize(t, w.message(diam.DeviceWatchdog, diam.RequestFlag, 0, w.origin()...))
	for i := 0; len(request) < 1<<20; i++ {
		request = append(request, request...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	context.AfterFunc(ctx, func() { w.conn.Close() })
	written := 0
	for ctx.Err() == nil {
		n, err := w.conn.Write(request)
		written += n
		if err != nil {
			break
		}
	}
	if ctx.Err() != nil {
		t.Fatalf("%d MiB were taken, and the connection is still there", written>>20)
	}
	eventually(t, "the peer is given up", func() bool { return !isOpen(s, "pgw1.lab") })
}

func TestStreamsThatAreNoDiameter(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	for _, c := range []struct {
		claim string
		head  []byte
	}{
		{"a header with a length below 20", []byte{1, 0, 0, 12}},
		{"a header with length 0", []byte{1, 0, 0, 0}},
		{"16 MiB", []byte{1, 0xFF, 0xFF, 0xFC}},
		{"131 kB", []byte{1, 0x02, 0, 0}},
		{"a length that is no multiple of 4", []byte{1, 0, 0, 21}},
		{"version 9", []byte{9, 0, 0, 20}},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n")},
	} {
		t.Run(c.claim, func(t *testing.T) {
			head := append(c.head, make([]byte, 20)...)
			before := dial(t, s.addr())
			before.write(head)
			before.closed()
			after := connect(t, s.addr(), "pgw1.lab", 0)
			after.write(head)
			after.conn.SetReadDeadline(time.Now().Add(patience))
			if b, err := io.ReadAll(after.conn); err != nil && !isReset(err) {
				t.Errorf("%x, %v", b, err)
			}
			eventually(t, "the end is noted", func() bool { return !isOpen(s, "pgw1.lab") })
		})
	}
	if reg.count() != 0 {
		t.Errorf("%d events", reg.count())
	}
}
