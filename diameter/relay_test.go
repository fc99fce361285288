package diameter_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

// A pcrf listens for the relay. Its connections are wires.
type pcrf struct {
	t    testing.TB
	host string
	l    net.Listener
}

func newPCRF(t testing.TB, host string) *pcrf {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &pcrf{t, host, l}
}

func (p *pcrf) upstream(priority int) diameter.Upstream {
	return diameter.Upstream{Address: p.l.Addr().String(), Host: p.host, Priority: priority}
}

// meet accepts the relay's connection and exchanges capabilities.
func (p *pcrf) meet() *wire {
	p.t.Helper()
	p.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := p.l.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	w := &wire{t: p.t, conn: conn, host: p.host, next: 5000}
	cer := w.read()
	if cer.Header.CommandCode != diam.CapabilitiesExchange || cer.Header.CommandFlags&diam.RequestFlag == 0 {
		p.t.Fatalf("not a CER: %v", cer)
	}
	w.send(w.cea(cer, diam.Success))
	w.settle()
	return w
}

// settle waits until the relay has taken what was sent so far: it answers one
// watchdog.
func (w *wire) settle() {
	w.t.Helper()
	w.send(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0, w.origin()...))
	for {
		switch m := w.read(); {
		case m.Header.CommandCode != diam.DeviceWatchdog:
			w.t.Fatalf("in place of the answer to a watchdog came %v", m)
		case m.Header.CommandFlags&diam.RequestFlag == 0:
			return
		default:
			w.send(w.success(m))
		}
	}
}

func (w *wire) cea(cer *diam.Message, code uint32) *diam.Message {
	a := diam.NewMessage(diam.CapabilitiesExchange, 0, 0, cer.Header.HopByHopID, cer.Header.EndToEndID, cer.Dictionary())
	for _, one := range append([]*diam.AVP{number(avp.ResultCode, code)}, w.origin()...) {
		a.AddAVP(one)
	}
	a.AddAVP(diam.NewAVP(avp.HostIPAddress, avp.Mbit, 0, datatype.Address(net.IPv4(127, 0, 0, 1))))
	a.AddAVP(number(avp.VendorID, 10415))
	a.AddAVP(diam.NewAVP(avp.ProductName, 0, 0, datatype.UTF8String("pcrf")))
	a.AddAVP(number(avp.AuthApplicationID, gx))
	return a
}

// raw reads the next message as it is.
func (w *wire) raw() []byte {
	w.t.Helper()
	w.conn.SetReadDeadline(time.Now().Add(patience))
	head := make([]byte, 20)
	if _, err := io.ReadFull(w.conn, head); err != nil {
		w.t.Fatal(err)
	}
	n, err := diameter.FrameLength(head)
	if err != nil {
		w.t.Fatal(err)
	}
	m := append(head, make([]byte, n-20)...)
	if _, err := io.ReadFull(w.conn, m[20:]); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func hopByHop(m []byte) uint32 { return binary.BigEndian.Uint32(m[12:]) }

func withHopByHop(m []byte, id uint32) []byte {
	m = bytes.Clone(m)
	binary.BigEndian.PutUint32(m[12:], id)
	return m
}

// withRouteRecord is a request as a relay sends it on.
func withRouteRecord(t testing.TB, m []byte, host string) []byte {
	t.Helper()
	record, err := identity(avp.RouteRecord, host).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	m = append(bytes.Clone(m), record...)
	m[1], m[2], m[3] = byte(len(m)>>16), byte(len(m)>>8), byte(len(m))
	return m
}

func serialize(t testing.TB, m *diam.Message) []byte {
	t.Helper()
	b, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer is what a PCRF says to a request.
func answer(m *diam.Message, host string, code uint32) *diam.Message {
	a := m.Answer(code)
	if code/1000 == 3 {
		a.Header.CommandFlags |= diam.ErrorFlag
	}
	a.AddAVP(find(m, avp.SessionID))
	a.AddAVP(identity(avp.OriginHost, host))
	a.AddAVP(identity(avp.OriginRealm, "lab"))
	return a
}

// startRelay runs a relay to the PCRFs, the first preferred.
func startRelay(t testing.TB, cfg diameter.Config, submit binding.SubmitFunc, pcrfs ...*pcrf) running {
	t.Helper()
	cfg.Mode = diameter.Relay
	if cfg.Reconnect == 0 {
		cfg.Reconnect = 20 * time.Millisecond
	}
	for i, p := range pcrfs {
		cfg.Upstreams = append(cfg.Upstreams, p.upstream(i+1))
	}
	return start(t, cfg, submit)
}

func TestRelayChangesNoOctetButItsOwn(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	down := connect(t, s.addr(), "pgw1.lab", 0)
	odd := []*diam.AVP{
		diam.NewAVP(4711, 0x80|0x40|0x1F, 9999, datatype.OctetString("with reserved flags")),                           // 19 octets: padded
		diam.NewAVP(avp.HostIPAddress, 0, 0, datatype.OctetString("\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")), // no address
		diam.NewAVP(avp.OriginHost, 0x80, 9999, datatype.OctetString("not the base's")),
	}
	request := serialize(t, down.ccr("s;1", 1, 0, append(subscriber(7), odd...)...))
	at := bytes.Index(request, []byte("with reserved flags")) + 19
	request[at] = 0xEE // the padding, which a library would clear
	down.write(request)
	came := up.raw()
	if want := withRouteRecord(t, withHopByHop(request, hopByHop(came)), "pgw1.lab"); !bytes.Equal(came, want) {
		t.Fatalf("the request arrived as\n%x, want\n%x", came, want)
	}
	a := answer(down.ccr("s;1", 1, 0), "pcrf.lab", diam.Success)
	a.Header.EndToEndID = binary.BigEndian.Uint32(request[16:])
	a.AddAVP(odd[0])
	reply := withHopByHop(serialize(t, a), hopByHop(came))
	at = bytes.Index(reply, []byte("with reserved flags")) + 19
	reply[at] = 0xDD
	up.write(reply)
	if got, want := down.raw(), withHopByHop(reply, hopByHop(request)); !bytes.Equal(got, want) {
		t.Fatalf("the answer arrived as\n%x, want\n%x", got, want)
	}
	ev := reg.wait(t, 1)[0]
	if ev.Kind != binding.SessionStart || ev.Node != "pgw1.lab" || ev.MSISDN.String() != "+491700000007" || ev.Ack != nil {
		t.Errorf("learned %+v", ev)
	}
}

func TestBindingFollowsOnlyASuccessfulAnswer(t *testing.T) {
	for _, c := range []struct {
		claim   string
		kind    uint32
		code    uint32
		before  int  // events learned before the answer
		refused bool // what is learned after it binds nothing
		trigger uint32
	}{
		{"an initial request that succeeds", 1, diam.Success, 0, false, 0},
		{"an initial request that the PCRF refuses", 1, 5012, 0, true, 0},
		{"an initial request for which the PCRF is too busy", 1, diam.TooBusy, 0, true, 0},
		{"an update that succeeds", 2, diam.Success, 0, false, 0},
		{"an update of a session that the PCRF does not know", 2, diam.UnknownSessionID, 0, true, 0},
		{"a termination, as the UE is gone whatever the PCRF says", 3, diam.UnknownSessionID, 1, false, 0},
		{"an address that is released, likewise", 2, diam.UnknownSessionID, 1, false, 19},
	} {
		t.Run(c.claim, func(t *testing.T) {
			reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
			s := startRelay(t, diameter.Config{}, reg.submit, p)
			up := p.meet()
			down := connect(t, s.addr(), "pgw1.lab", 0)
			avps := subscriber(7)
			if c.trigger != 0 {
				avps = append(avps, diam.NewAVP(avp.EventTrigger, avp.Mbit|avp.Vbit, 10415, datatype.Enumerated(c.trigger)))
			}
			down.send(down.ccr("s;1", c.kind, 1, avps...))
			request := up.read()
			if reg.count() != c.before {
				t.Errorf("%d events before the answer, want %d", reg.count(), c.before)
			}
			up.send(answer(request, "pcrf.lab", c.code))
			if got := result(t, down.read()); got != c.code {
				t.Errorf("answer %d, want %d", got, c.code)
			}
			// One more exchange, so that the first one is done with.
			down.send(down.ccr("s;2", 1, 0, subscriber(8)...))
			up.send(answer(up.read(), "pcrf.lab", diam.Success))
			down.read()
			events := reg.wait(t, 2)
			if len(events) != 2 || events[0].Refused != c.refused || events[1].Session != "s;2" {
				t.Errorf("events %+v", events)
			}
		})
	}
}

// A late answer may come when its identifier is another request's.
func TestAnAnswerToAnotherRequestIsNobodys(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	down := connect(t, s.addr(), "pgw1.lab", 0)
	down.send(down.ccr("s;1", 1, 0, subscriber(7)...))
	request := up.read()
	for name, change := range map[string]func(*diam.Header){
		"another End-to-End Identifier": func(h *diam.Header) { h.EndToEndID++ },
		"another command":               func(h *diam.Header) { h.CommandCode = diam.ReAuth },
	} {
		late := answer(request, "pcrf.lab", diam.Success)
		change(late.Header)
		up.send(late)
		up.settle()
		pending := 0
		for _, one := range s.Peers() {
			pending += one.Pending
		}
		if pending != 1 {
			t.Errorf("after an answer with %s %d requests are pending, want 1", name, pending)
		}
	}
	up.send(answer(request, "pcrf.lab", diam.UnableToComply))
	if code := result(t, down.read()); code != diam.UnableToComply {
		t.Errorf("the answer is %d, want that of the request", code)
	}
	s.stop()
	if events := reg.wait(t, 1); len(events) != 1 || !events[0].Refused {
		t.Errorf("learned %+v: answers to other requests are nobody's", events)
	}
}

func TestRequestsOfThePCRFFindTheirWay(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	dra := connect(t, s.addr(), "dra.lab", 0)
	other := connect(t, s.addr(), "pgw1.lab", 0)
	// A request of a host behind the agent shows the way back to it.
	behind := &wire{t: t, conn: dra.conn, host: "pgw2.lab", next: 900}
	behind.send(behind.ccr("s;1", 1, 0, subscriber(7)...))
	up.send(answer(up.read(), "pcrf.lab", diam.Success))
	behind.read()
	for _, c := range []struct {
		to   string
		at   *wire
		app  uint32
		code uint32
	}{
		{"pgw2.lab", dra, gx, diam.ReAuth},
		{"pgw1.lab", other, gx, diam.ReAuth},
		{"PGW1.lab", other, 16777303, 8388637}, // Sd, TSR: an application that we know nothing of
	} {
		request := serialize(t, up.message(c.code, diam.RequestFlag|diam.ProxiableFlag, c.app, append(up.origin(),
			diam.NewAVP(avp.SessionID, avp.Mbit, 0, datatype.UTF8String("s;1")), identity(avp.DestinationHost, c.to))...))
		up.write(request)
		came := c.at.raw()
		if want := withRouteRecord(t, withHopByHop(request, hopByHop(came)), "pcrf.lab"); !bytes.Equal(came, want) {
			t.Fatalf("to %s arrived\n%x, want\n%x", c.to, came, want)
		}
		reply := bytes.Clone(came)
		reply[4] &^= diam.RequestFlag
		c.at.write(reply)
		if got, want := up.raw(), withHopByHop(reply, hopByHop(request)); !bytes.Equal(got, want) {
			t.Fatalf("the answer of %s arrived as\n%x, want\n%x", c.to, got, want)
		}
	}
	up.send(up.message(diam.ReAuth, diam.RequestFlag|diam.ProxiableFlag, gx, append(up.origin(), identity(avp.DestinationHost, "nobody.lab"))...))
	if code := result(t, up.read()); code != diam.UnableToDeliver {
		t.Errorf("to nobody: %d", code)
	}
}

func TestRelayRefusesWhatItCannotForward(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{AnswerTimeout: 300 * time.Millisecond}, reg.submit, p)
	down := connect(t, s.addr(), "pgw1.lab", 0)
	if code := result(t, down.ask(down.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.UnableToDeliver {
		t.Errorf("without an upstream: %d", code)
	}
	up := p.meet()
	loop := down.ccr("s;1", 1, 0, append(subscriber(7), identity(avp.RouteRecord, "SIMBIND.lab"))...)
	if code := result(t, down.ask(loop)); code != diam.LoopDetected {
		t.Errorf("a loop: %d", code)
	}
	slow := down.ccr("s;2", 1, 0, subscriber(7)...)
	down.send(slow)
	forwarded := up.read()
	a := down.read()
	if code := result(t, a); code != diam.UnableToDeliver || a.Header.HopByHopID != slow.Header.HopByHopID || string(find(a, avp.SessionID).Data.(datatype.UTF8String)) != "s;2" {
		t.Errorf("without an answer in time: %v", a)
	}
	up.send(answer(forwarded, "pcrf.lab", diam.Success)) // too late: nobody waits
	down.send(down.ccr("s;3", 1, 0, subscriber(8)...))
	up.send(answer(up.read(), "pcrf.lab", diam.Success))
	if a := down.read(); string(find(a, avp.SessionID).Data.(datatype.UTF8String)) != "s;3" {
		t.Errorf("the late answer was delivered: %v", a)
	}
	events := reg.wait(t, 2)
	if len(events) != 2 || events[0].Session != "s;2" || !events[0].Refused || events[1].Session != "s;3" || events[1].Refused {
		t.Errorf("learned %+v", events)
	}
}

func TestRelayFailsOverAndBack(t *testing.T) {
	reg, first, second := newFakeRegistry(), newPCRF(t, "pcrf1.lab"), newPCRF(t, "pcrf2.lab")
	s := startRelay(t, diameter.Config{Watchdog: 200 * time.Millisecond}, reg.submit, first, second)
	up1, up2 := first.meet(), second.meet()
	down := connect(t, s.addr(), "pgw1.lab", 0)
	down.send(down.ccr("s;1", 1, 0, subscriber(7)...))
	request := up1.readRequest()
	if request.Header.CommandFlags&diam.RetransmittedFlag != 0 {
		t.Error("the T bit on a first attempt")
	}
	up1.conn.Close()
	again := up2.readRequest()
	if again.Header.CommandFlags&diam.RetransmittedFlag == 0 || again.Header.EndToEndID != request.Header.EndToEndID {
		t.Errorf("the second attempt is %v", again)
	}
	up2.send(answer(again, "pcrf2.lab", diam.Success))
	if code := result(t, down.readAnswer()); code != diam.Success {
		t.Errorf("answer %d", code)
	}
	reg.wait(t, 1)
	up1 = first.meet()
	var used1, used2 atomic.Int64
	go up1.echo(&used1)
	go up2.echo(&used2)
	eventually(t, "the first is used again", func() bool {
		down.send(down.ccr("s;2", 1, 0, subscriber(8)...))
		if code := result(t, down.readAnswer()); code != diam.Success {
			t.Fatalf("answer %d", code)
		}
		return used1.Load() > 0
	})
	if used2.Load() == 0 {
		t.Error("the first was trusted before its watchdogs were answered")
	}
}

// What we cannot learn never holds a message up.
func TestRelayIsFailOpen(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	reg.refuse = binding.ErrBusy
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	down := connect(t, s.addr(), "pgw1.lab", 0)
	exchange := func(m *diam.Message) {
		t.Helper()
		down.send(m)
		up.send(answer(up.read(), "pcrf.lab", diam.Success))
		if code := result(t, down.read()); code != diam.Success {
			t.Errorf("answer %d", code)
		}
	}
	exchange(down.ccr("s;1", 1, 0, subscriber(7)...))
	exchange(down.ccr("s;1", 3, 1))
	// Not understood, and forwarded all the same.
	exchange(down.ccr("s;9", 4, 0))
	exchange(down.ccr("s;9", 1, 0, diam.NewAVP(avp.FramedIPAddress, avp.Mbit, 0, datatype.OctetString("abc"))))
	reg.set(func(r *fakeRegistry) { r.refuse = nil })
	events := reg.wait(t, 2)
	if events[0].Kind != binding.SessionStart || events[1].Kind != binding.SessionStop {
		t.Errorf("what waited came as %+v", events)
	}
	reg.set(func(r *fakeRegistry) { r.fate = errors.New("the journal is down") })
	exchange(down.ccr("s;2", 1, 0, subscriber(8)...))
}

func TestRelayDrainsBeforeItStops(t *testing.T) {
	reg, p := newFakeRegistry(), newPCRF(t, "pcrf.lab")
	s := startRelay(t, diameter.Config{}, reg.submit, p)
	up := p.meet()
	down := connect(t, s.addr(), "pgw1.lab", 0)
	down.send(down.ccr("s;1", 1, 0, subscriber(7)...))
	request := up.read()
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stop() }()
	eventually(t, "new requests are refused", func() bool {
		down.send(down.ccr("s;2", 1, 0, subscriber(8)...))
		down.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		m, err := diam.ReadMessage(down.conn, dict.Default)
		if err != nil {
			// It was forwarded, before the stop.
			up.read()
			return false
		}
		return result(t, m) == diam.TooBusy
	})
	up.send(answer(request, "pcrf.lab", diam.Success))
	if a := down.read(); result(t, a) != diam.Success || a.Header.CommandCode != diam.CreditControl {
		t.Errorf("what was under way got %v", a)
	}
	for _, w := range []*wire{down, up} {
		dpr := w.read()
		if dpr.Header.CommandCode != diam.DisconnectPeer || valueOf(dpr, avp.DisconnectCause) != 0 || find(dpr, avp.DisconnectCause) == nil {
			t.Fatalf("not a DPR for a reboot: %v", dpr)
		}
		dpa := dpr.Answer(diam.Success)
		dpa.AddAVP(identity(avp.OriginHost, w.host))
		dpa.AddAVP(identity(avp.OriginRealm, "lab"))
		w.send(dpa)
		w.closed()
	}
	<-stopped
	if reg.count() != 1 || reg.wait(t, 1)[0].Kind != binding.SessionStart {
		t.Errorf("of what was answered while draining, %d events were learned", reg.count())
	}
}
