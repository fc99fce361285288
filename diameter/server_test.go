package diameter_test

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

func TestSessionIsAnsweredWhenItIsDurable(t *testing.T) {
	reg := newFakeRegistry()
	reg.hold = true
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	request := w.ccr("s;1", 1, 0, append(subscriber(7), diam.NewAVP(avp.ProxyInfo, avp.Mbit, 0, &diam.GroupedAVP{AVP: []*diam.AVP{
		identity(avp.ProxyHost, "dra.lab"), diam.NewAVP(avp.ProxyState, avp.Mbit, 0, datatype.OctetString("xyz")),
	}}))...)
	w.send(request)
	ev := reg.wait(t, 1)[0]
	if ev.Kind != binding.SessionStart || ev.Node != "pgw1.lab" || ev.Session != "s;1" || ev.MSISDN.String() != "+491700000007" || ev.APN != "internet" {
		t.Errorf("event %+v", ev)
	}
	// Nothing is answered before the commit, but the connection goes on.
	if code := result(t, w.ask(w.message(diam.DeviceWatchdog, diam.RequestFlag, 0, w.origin()...))); code != diam.Success {
		t.Errorf("DWA %d", code)
	}
	ev.Ack.Acknowledge(ev.Token, nil)
	a := w.read()
	if result(t, a) != diam.Success || a.Header.HopByHopID != request.Header.HopByHopID || a.Header.EndToEndID != request.Header.EndToEndID {
		t.Errorf("answer %v", a)
	}
	if a.AVP[0].Code != avp.SessionID || string(a.AVP[0].Data.(datatype.UTF8String)) != "s;1" || a.Header.CommandFlags != diam.ProxiableFlag {
		t.Errorf("answer %v", a)
	}
	for code, want := range map[uint32]uint32{avp.AuthApplicationID: gx, avp.CCRequestType: 1, avp.CCRequestNumber: 0} {
		if find(a, code) == nil || valueOf(a, code) != want {
			t.Errorf("AVP %d of the answer is not %d: %v", code, want, a)
		}
	}
	sent, _ := find(request, avp.ProxyInfo).Serialize()
	came, _ := find(a, avp.ProxyInfo).Serialize()
	if !bytes.Equal(sent, came) {
		t.Errorf("Proxy-Info %x came back as %x", sent, came)
	}
}

func TestWhatBecomesOfAnEventIsAnswered(t *testing.T) {
	for _, c := range []struct {
		claim        string
		refuse, fate error
		want         uint32
	}{
		{"taken", nil, nil, diam.Success},
		{"a full queue is too busy", binding.ErrBusy, nil, diam.TooBusy},
		{"a registry that stops is too busy", binding.ErrClosed, nil, diam.TooBusy},
		{"given up at the end is too busy", nil, binding.ErrClosed, diam.TooBusy},
		{"a journal that is down cannot comply", nil, binding.ErrJournal, diam.UnableToComply},
		{"no room cannot comply", nil, binding.ErrCapacity, diam.UnableToComply},
	} {
		t.Run(c.claim, func(t *testing.T) {
			reg := newFakeRegistry()
			reg.refuse, reg.fate = c.refuse, c.fate
			s := start(t, diameter.Config{}, reg.submit)
			w := connect(t, s.addr(), "pgw1.lab", 0)
			if got := result(t, w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))); got != c.want {
				t.Errorf("answer %d, want %d", got, c.want)
			}
			reg.set(func(r *fakeRegistry) { r.refuse, r.fate = nil, nil })
			if got := result(t, w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))); got != diam.Success {
				t.Errorf("then %d", got)
			}
		})
	}
}

func TestRequestsThatCannotBeTaken(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	session := diam.NewAVP(avp.SessionID, avp.Mbit, 0, datatype.UTF8String("s;9"))
	withError := w.ccr("s;9", 1, 0)
	withError.Header.CommandFlags |= diam.ErrorFlag
	noType := w.message(diam.CreditControl, diam.RequestFlag|diam.ProxiableFlag, gx, append(w.origin(), session)...)
	short := w.ccr("s;9", 1, 0, diam.NewAVP(avp.FramedIPAddress, avp.Mbit, 0, datatype.OctetString("abc")))
	for _, c := range []struct {
		claim   string
		request *diam.Message
		want    uint32
		failed  uint32 // code of the AVP in Failed-AVP
	}{
		{"another command of Gx", w.message(diam.ReAuth, diam.RequestFlag|diam.ProxiableFlag, gx, append(w.origin(), session)...), diam.CommandUnsupported, 0},
		{"another application", w.message(diam.CreditControl, diam.RequestFlag|diam.ProxiableFlag, 4, append(w.origin(), session)...), diam.ApplicationUnsupported, 0},
		{"a request with the E bit", withError, diam.InvalidHDRBits, 0},
		{"no CC-Request-Type", noType, diam.MissingAVP, avp.CCRequestType},
		{"an event that is of no session", w.ccr("s;9", 4, 0), diam.InvalidAVPValue, avp.CCRequestType},
		{"an address of three octets", short, diam.InvalidAVPLenght, avp.FramedIPAddress},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w.t = t
			a := w.ask(c.request)
			if got := result(t, a); got != c.want {
				t.Errorf("answer %d, want %d", got, c.want)
			}
			failed := find(a, avp.FailedAVP)
			if (failed == nil) != (c.failed == 0) || failed != nil && failed.Data.(*diam.GroupedAVP).AVP[0].Code != c.failed {
				t.Errorf("Failed-AVP %v, want AVP %d", failed, c.failed)
			}
		})
	}
	if reg.count() != 0 {
		t.Errorf("%d events", reg.count())
	}
	// The connection lives on.
	if got := result(t, w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))); got != diam.Success {
		t.Errorf("then %d", got)
	}
}

func TestManyRequestsOfOneReadAreAllAnswered(t *testing.T) {
	reg := newFakeRegistry()
	s := start(t, diameter.Config{}, reg.submit)
	w := connect(t, s.addr(), "pgw1.lab", 0)
	const n = 500
	var all bytes.Buffer
	sent := map[uint32]bool{}
	for i := range n {
		m := w.ccr("s;"+strings.Repeat("x", i%90)+string(rune('a'+i%26)), 2, uint32(i), subscriber(byte(i%250+1))...)
		sent[m.Header.HopByHopID] = true
		if _, err := m.WriteTo(&all); err != nil {
			t.Fatal(err)
		}
	}
	go w.conn.Write(all.Bytes())
	for range n {
		a := w.read()
		if !sent[a.Header.HopByHopID] || result(t, a) != diam.Success {
			t.Fatalf("answer %v", a)
		}
		delete(sent, a.Header.HopByHopID)
	}
	if reg.count() != n {
		t.Errorf("%d events", reg.count())
	}
}
