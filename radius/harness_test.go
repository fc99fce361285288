package radius_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

const secret = "testing123"

// A fakeRegistry takes events. Its answer and its acknowledgement are the
// test's.
type fakeRegistry struct {
	mu     sync.Mutex
	refuse error // of Submit
	fate   error // told to Ack
	hold   bool  // nothing is acknowledged
	events []binding.Event
	came   chan struct{} // closed and replaced with each event
}

func newFakeRegistry() *fakeRegistry { return &fakeRegistry{came: make(chan struct{})} }

func (r *fakeRegistry) submit(ev binding.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, ev)
	close(r.came)
	r.came = make(chan struct{})
	if r.refuse != nil {
		return r.refuse
	}
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
	deadline := time.After(10 * time.Second)
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
			t.Fatalf("%d events came, want %d", len(events), n)
		}
	}
}

func (r *fakeRegistry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// loopback is a client at 127.0.0.0/8 and ::1.
func loopback() []radius.Client {
	return []radius.Client{
		{Name: "four", Prefix: netip.MustParsePrefix("127.0.0.0/8"), Secret: []byte(secret)},
		{Name: "six", Prefix: netip.MustParsePrefix("::1/128"), Secret: []byte(secret)},
	}
}

// start runs a server until the test ends. Without clients it has loopback,
// without listeners one on 127.0.0.1.
func start(t testing.TB, cfg radius.Config, submit binding.SubmitFunc) *radius.Server {
	t.Helper()
	if cfg.Listen == nil && cfg.RadSec == nil {
		cfg.Listen = []string{"127.0.0.1:0"}
	}
	if cfg.Clients == nil {
		cfg.Clients = loopback()
	}
	s := radius.New(cfg, submit, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("Run: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("not ready")
	}
	return s
}

// startOne is a server on 127.0.0.1 with a client of it.
func startOne(t testing.TB, cfg radius.Config) (*radius.Server, *fakeRegistry, *radiustest.Client) {
	t.Helper()
	r := newFakeRegistry()
	s := start(t, cfg, r.submit)
	return s, r, dial(t, s.Addrs()[0].String())
}

func dial(t testing.TB, server string) *radiustest.Client {
	t.Helper()
	c, err := radiustest.Dial(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// exchange must be answered.
func exchange(t testing.TB, c *radiustest.Client, p *layeh.Packet) *layeh.Packet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := c.Exchange(ctx, p)
	if err != nil {
		t.Fatalf("exchange: %v", err)
	}
	if answer.Code != layeh.CodeAccountingResponse {
		t.Fatalf("answered with %v", answer.Code)
	}
	return answer
}

// silent sends octets that must stay unanswered. The caller asks the metrics
// whether they were taken.
func silent(t testing.TB, c *radiustest.Client, wire []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if answer, err := c.ExchangeRaw(ctx, wire); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("answered with %x, %v", answer, err)
	}
}

// aSession is a session with a little of everything.
func aSession(id string) radiustest.Session {
	return radiustest.Session{
		ID: id, NAS: "pgw1", MSISDN: "491701234567", IMSI: "001010123456789", APN: "internet", IPv4: netip.MustParseAddr("10.45.0.7"),
	}
}

func request(t testing.TB, s radiustest.Session, status radiustest.Status) *layeh.Packet {
	t.Helper()
	p, err := s.Request(status, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func encode(t testing.TB, p *layeh.Packet) []byte {
	t.Helper()
	wire, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func addProxyState(p *layeh.Packet, state string) {
	p.Add(rfc2865.ProxyState_Type, layeh.Attribute(state))
}

func proxyStates(p *layeh.Packet) string {
	var states []string
	for _, a := range p.Attributes {
		if a.Type == rfc2865.ProxyState_Type {
			states = append(states, string(a.Attribute))
		}
	}
	return fmt.Sprint(states)
}

// metrics are the samples by name and labels, "name{label=value,…}".
func metrics(t testing.TB, s *radius.Server) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(s.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels bytes.Buffer
			for _, l := range m.GetLabel() {
				fmt.Fprintf(&labels, "%s=%s,", l.GetName(), l.GetValue())
			}
			name := fmt.Sprintf("%s{%s}", family.GetName(), bytes.TrimSuffix(labels.Bytes(), []byte(",")))
			samples[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return samples
}

// expectMetric polls until a sample has a value.
func expectMetric(t testing.TB, s *radius.Server, name string, want float64) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Second)
	for {
		got := metrics(t, s)
		if got["simbindd_radius_"+name] == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s is %v, want %v; all: %v", name, got["simbindd_radius_"+name], want, got)
		}
	}
}

// needs finds an outside program. Without it the test is skipped, or fails
// where CI must have it.
func needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if path = filepath.Join("/usr/sbin", program); fileExists(path) {
		return path
	}
	if os.Getenv("SIMBIND_CI") == "1" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// hasIPv6 reports whether ::1 can be listened on.
func hasIPv6() bool {
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
