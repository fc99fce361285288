package diameter_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
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

const (
	gx       = 16777238
	relayApp = 0xFFFFFFFF
	patience = 20 * time.Second
)

// A fakeRegistry takes events. Its answer and its acknowledgement are the
// test's.
type fakeRegistry struct {
	mu     sync.Mutex
	refuse error                      // of Submit
	judge  func(*binding.Event) error // says so of one event, if not nil
	fate   error                      // told to Ack
	hold   bool                       // nothing is acknowledged
	events []binding.Event
	came   chan struct{} // closed and replaced with each event
}

func newFakeRegistry() *fakeRegistry { return &fakeRegistry{came: make(chan struct{})} }

func (r *fakeRegistry) submit(ev binding.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return r.refuse
	}
	if r.judge != nil {
		if err := r.judge(&ev); err != nil {
			return err
		}
	}
	r.events = append(r.events, ev)
	close(r.came)
	r.came = make(chan struct{})
	if ev.Ack != nil && !r.hold {
		ev.Ack.Acknowledge(ev.Token, r.fate)
	}
	return nil
}

func (r *fakeRegistry) set(change func(*fakeRegistry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// wait returns the events once there are n.
func (r *fakeRegistry) wait(t testing.TB, n int) []binding.Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		events, came := append([]binding.Event(nil), r.events...), r.came
		r.mu.Unlock()
		if len(events) >= n {
			return events
		}
		select {
		case <-came:
		case <-deadline:
			t.Fatalf("%d events came, want %d: %v", len(events), n, events)
		}
	}
}

func (r *fakeRegistry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A running server is stopped at the end of the test, or before it.
type running struct {
	*diameter.Server
	stop func() // and waits
	log  *logged
}

func (r running) addr() string { return r.Addrs()[0].String() }

// start runs a server. Without peers it admits all, without listeners it has
// one on 127.0.0.1.
func start(t testing.TB, cfg diameter.Config, submit binding.SubmitFunc) running {
	t.Helper()
	if cfg.Listen == nil {
		cfg.Listen = []string{"127.0.0.1:0"}
	}
	if cfg.Peers == nil {
		cfg.Peers = []diameter.Peer{{Host: "*"}}
	}
	if cfg.OriginHost == "" {
		cfg.OriginHost, cfg.OriginRealm = "simbind.lab", "lab"
	}
	log := &logged{}
	s := diameter.New(cfg, submit, slog.New(slog.NewTextHandler(io.MultiWriter(testWriter{t}, log), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once sync.Once
	r := running{s, func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}, log}
	t.Cleanup(r.stop)
	select {
	case <-s.Ready():
	case err := <-ended:
		ended <- nil
		t.Fatalf("Run: %v", err)
	}
	return r
}

// A testWriter logs where the test does.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b[:len(b)-1]))
	return len(b), nil
}

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// lines are the lines with a message.
func (l *logged) lines(msg string) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "msg="+strconv.Quote(msg)) {
			list = append(list, line)
		}
	}
	return list
}

// A wire is one end of a connection of which the messages are made and read by
// go-diameter, one at a time.
type wire struct {
	t    testing.TB
	conn net.Conn
	host string
	next uint32
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &wire{t: t, conn: conn, host: "pgw1.lab", next: 100}
}

// connect dials and exchanges capabilities.
func connect(t testing.TB, addr, host string, state uint32) *wire {
	t.Helper()
	w := dial(t, addr)
	w.host = host
	w.send(w.cer(state))
	if code := result(t, w.read()); code != diam.Success {
		t.Fatalf("CEA %d", code)
	}
	return w
}

func (w *wire) message(command uint32, flags uint8, app uint32, avps ...*diam.AVP) *diam.Message {
	w.next++
	m := diam.NewMessage(command, flags, app, w.next, w.next, dict.Default)
	for _, a := range avps {
		m.AddAVP(a)
	}
	return m
}

func identity(code uint32, name string) *diam.AVP {
	return diam.NewAVP(code, avp.Mbit, 0, datatype.DiameterIdentity(name))
}

func number(code, value uint32) *diam.AVP {
	return diam.NewAVP(code, avp.Mbit, 0, datatype.Unsigned32(value))
}

func (w *wire) origin() []*diam.AVP {
	return []*diam.AVP{identity(avp.OriginHost, w.host), identity(avp.OriginRealm, "lab")}
}

// cer is a Capabilities-Exchange-Request for Gx.
func (w *wire) cer(state uint32) *diam.Message {
	return w.cerFor(state, number(avp.AuthApplicationID, gx))
}

func (w *wire) cerFor(state uint32, more ...*diam.AVP) *diam.Message {
	avps := append(w.origin(), diam.NewAVP(avp.HostIPAddress, avp.Mbit, 0, datatype.Address(net.IPv4(127, 0, 0, 1))), number(avp.VendorID, 10415),
		diam.NewAVP(avp.ProductName, 0, 0, datatype.UTF8String("test")))
	if state != 0 {
		avps = append(avps, number(avp.OriginStateID, state))
	}
	return w.message(diam.CapabilitiesExchange, diam.RequestFlag, 0, append(avps, more...)...)
}

// ccr is a Credit-Control-Request: kind 1, 2 or 3.
func (w *wire) ccr(session string, kind, n uint32, more ...*diam.AVP) *diam.Message {
	avps := append([]*diam.AVP{diam.NewAVP(avp.SessionID, avp.Mbit, 0, datatype.UTF8String(session)), number(avp.AuthApplicationID, gx)}, w.origin()...)
	avps = append(avps, identity(avp.DestinationRealm, "lab"), number(avp.CCRequestType, kind), number(avp.CCRequestNumber, n))
	return w.message(diam.CreditControl, diam.RequestFlag|diam.ProxiableFlag, gx, append(avps, more...)...)
}

// subscriber are a number, a SIM and an address.
func subscriber(n byte) []*diam.AVP {
	subscription := func(kind int32, data string) *diam.AVP {
		return diam.NewAVP(avp.SubscriptionID, avp.Mbit, 0, &diam.GroupedAVP{AVP: []*diam.AVP{
			diam.NewAVP(avp.SubscriptionIDType, avp.Mbit, 0, datatype.Enumerated(kind)),
			diam.NewAVP(avp.SubscriptionIDData, avp.Mbit, 0, datatype.UTF8String(data)),
		}})
	}
	tail := string([]byte{'0' + n/100, '0' + n/10%10, '0' + n%10})
	return []*diam.AVP{
		subscription(0, "491700000"+tail), subscription(1, "001010000000"+tail),
		diam.NewAVP(avp.FramedIPAddress, avp.Mbit, 0, datatype.OctetString([]byte{10, 45, 0, n})),
		diam.NewAVP(avp.CalledStationID, avp.Mbit, 0, datatype.UTF8String("internet")),
	}
}

func (w *wire) send(m *diam.Message) {
	w.t.Helper()
	if _, err := m.WriteTo(w.conn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) write(b []byte) {
	w.t.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// read reads the next message.
func (w *wire) read() *diam.Message {
	w.t.Helper()
	w.conn.SetReadDeadline(time.Now().Add(patience))
	m, err := diam.ReadMessage(w.conn, dict.Default)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// ask sends a request and reads the next message, which has to be its answer.
func (w *wire) ask(m *diam.Message) *diam.Message {
	w.t.Helper()
	w.send(m)
	a := w.read()
	if a.Header.HopByHopID != m.Header.HopByHopID || a.Header.EndToEndID != m.Header.EndToEndID || a.Header.CommandCode != m.Header.CommandCode || a.Header.CommandFlags&diam.RequestFlag != 0 {
		w.t.Fatalf("not the answer to %v: %v", m, a)
	}
	return a
}

// readRequest and readAnswer answer watchdogs that come first.
func (w *wire) readRequest() *diam.Message { return w.skipWatchdogs() }

func (w *wire) readAnswer() *diam.Message { return w.skipWatchdogs() }

func (w *wire) skipWatchdogs() *diam.Message {
	w.t.Helper()
	for {
		m := w.read()
		if m.Header.CommandCode != diam.DeviceWatchdog || m.Header.CommandFlags&diam.RequestFlag == 0 {
			return m
		}
		w.send(w.success(m))
	}
}

// success is the plainest answer to a request.
func (w *wire) success(m *diam.Message) *diam.Message {
	a := m.Answer(diam.Success)
	for _, one := range w.origin() {
		a.AddAVP(one)
	}
	return a
}

// echo answers every request until the connection ends, and counts those that
// are no watchdogs.
func (w *wire) echo(count *atomic.Int64) {
	for {
		m, err := diam.ReadMessage(w.conn, dict.Default)
		if err != nil {
			return
		}
		if m.Header.CommandFlags&diam.RequestFlag == 0 {
			continue
		}
		if m.Header.CommandCode != diam.DeviceWatchdog {
			count.Add(1)
		}
		if _, err := w.success(m).WriteTo(w.conn); err != nil {
			return
		}
	}
}

// closed waits for the end of the connection.
func (w *wire) closed() {
	w.t.Helper()
	w.conn.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(w.conn); err != nil && !isReset(err) {
		w.t.Fatalf("not closed: %v", err)
	} else if len(b) > 0 {
		w.t.Fatalf("before the end came %x", b)
	}
}

func find(m *diam.Message, code uint32) *diam.AVP {
	for _, a := range m.AVP {
		if a.Code == code && a.VendorID == 0 {
			return a
		}
	}
	return nil
}

// valueOf is a number in a message, zero if it is not there.
func valueOf(m *diam.Message, code uint32) uint32 {
	a := find(m, code)
	if a == nil {
		return 0
	}
	switch v := a.Data.(type) {
	case datatype.Unsigned32:
		return uint32(v)
	case datatype.Enumerated:
		return uint32(v)
	}
	return 0
}

func result(t testing.TB, m *diam.Message) uint32 {
	t.Helper()
	code := valueOf(m, avp.ResultCode)
	if e := m.Header.CommandFlags&diam.ErrorFlag != 0; e != (code/1000 == 3) {
		t.Errorf("the E bit is %v with result %d", e, code)
	}
	return code
}
