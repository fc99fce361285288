package main

import (
	"encoding/json"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/radius/radiustest"
)

// busMessage is what a stock client hears.
type busMessage struct {
	Kind   string `json:"kind"`
	Seq    uint64 `json:"seq"`
	Addr   string `json:"addr"`
	MSISDN string `json:"msisdn"`
	Was    struct {
		MSISDN string `json:"msisdn"`
	} `json:"was"`
}

// bus connects a stock client to the embedded server.
func (d *daemon) bus(t *testing.T) *nats.Conn {
	t.Helper()
	d.await(t, "nats server listens")
	bus, err := nats.Connect(d.log.find("nats server listens", "url"), nats.RetryOnFailedConnect(true), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	eventually(t, "connected to NATS", bus.IsConnected)
	return bus
}

func TestFromAccountingToVerdictToChange(t *testing.T) {
	d := newHome(t).start(t)
	changes, err := d.bus(t).SubscribeSync("simbind.v1.test.change.>")
	if err != nil {
		t.Fatal(err)
	}
	hear := func() (m busMessage) {
		t.Helper()
		msg, err := changes.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(msg.Data, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	addr, number := testAddr(1).String(), testNumber(1)
	if got := d.verdict(t, addr, number); got != "unknown no-binding" {
		t.Errorf("before the start: %s", got)
	}

	d.mustAccount(t, 1, radiustest.Start)
	if got := d.verdict(t, addr, number); got != "match bound" {
		t.Errorf("after the start: %s", got)
	}
	if got := d.verdict(t, addr, testNumber(2)); got != "mismatch other-number" {
		t.Errorf("another's number: %s", got)
	}
	if got := hear(); got.Kind != "bound" || got.Seq != 1 || got.Addr != addr || got.MSISDN != number {
		t.Errorf("the start was published as %+v", got)
	}

	d.mustAccount(t, 1, radiustest.Stop)
	if got := d.verdict(t, addr, number); !strings.HasPrefix(got, "unknown ") {
		t.Errorf("after the stop: %s", got)
	}
	if got := hear(); got.Kind != "released" || got.Seq != 2 || got.Addr != addr || got.Was.MSISDN != number {
		t.Errorf("the stop was published as %+v", got)
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit code %d after an orderly stop", code)
	}
}

func TestARestartKeepsBindings(t *testing.T) {
	h := newHome(t)
	d := h.start(t)
	d.mustAccount(t, 1, radiustest.Start)
	d.mustAccount(t, 2, radiustest.Start)
	d.mustAccount(t, 2, radiustest.Stop)
	if code := d.stop(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	d = h.start(t)
	if got := d.verdict(t, testAddr(1).String(), testNumber(1)); got != "match bound" {
		t.Errorf("a binding across a restart: %s", got)
	}
	if got := d.verdict(t, testAddr(2).String(), testNumber(2)); !strings.HasPrefix(got, "unknown ") {
		t.Errorf("an ended binding across a restart: %s", got)
	}
}

func TestPartsStartInOrder(t *testing.T) {
	d := newHome(t).start(t)
	var order []string
	for _, msg := range d.log.messages() {
		if slices.Contains([]string{"answering", "journal loaded", "listening", "ready"}, msg) {
			order = append(order, msg)
		}
	}
	want := []string{"answering", "journal loaded", "listening", "ready"}
	if !slices.Equal(order, want) {
		t.Errorf("the parts started as %q, want %q: the socket answers while the journal loads, an edge listens only after", order, want)
	}
}

func TestMonitoring(t *testing.T) {
	h := newHome(t)
	h.configure(t, strings.Replace(h.yaml(), "capacity: 200000", "capacity: 2", 1))
	d := h.start(t)
	d.mustAccount(t, 1, radiustest.Start)
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := d.get(t, path); status != 200 || !strings.Contains(body, `"ok":true`) {
			t.Errorf("%s of a healthy daemon: %d %s", path, status, body)
		}
	}
	_, metrics := d.get(t, "/metrics")
	for _, want := range []string{
		"go_goroutines ", "process_resident_memory_bytes ", "simbindd_build_info{", "simbindd_binding_sessions 1\n",
		`simbindd_binding_changes_total{kind="bound"} 1`, `simbindd_binding_nodes{source="radius",state="up"} 1`,
		"simbindd_journal_", "simbindd_feed_", "simbindd_query_", `simbindd_radius_requests_total{client="nas",kind="start"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %q", want)
		}
	}
	if strings.Contains(metrics, testNumber(1)[1:]) {
		t.Error("/metrics has a subscriber's number")
	}
	for _, path := range []string{"/", "/debug/pprof/", "/debug/vars"} {
		if status, _ := d.get(t, path); status != 404 {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}

	d.mustAccount(t, 2, radiustest.Start)
	if d.account(t, 3, radiustest.Start, testSecret, 200*time.Millisecond) {
		t.Error("a start beyond the capacity was answered")
	}
	if status, body := d.get(t, "/healthz"); status != 503 || !strings.Contains(body, "capacity 2 is reached") {
		t.Errorf("/healthz at capacity: %d %s", status, body)
	}
	if status, _ := d.get(t, "/readyz"); status != 200 {
		t.Errorf("/readyz at capacity: %d", status)
	}
}

func TestTheDaemonEndsWithThePartThatFails(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	busyUDP, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busyUDP.Close()
	h := newHome(t)
	if err := os.WriteFile(h.dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ claim, old, new, want string }{
		{"metrics", `metrics: {listen: "127.0.0.1:0"}`, `metrics: {listen: "` + busy.Addr().String() + `"}`, "metrics: listen on metrics.listen"},
		{"radius", `["127.0.0.1:0"]`, `["` + busyUDP.LocalAddr().String() + `"]`, "radius: "},
		{"query", "socket: " + h.socket(), "socket: " + h.dir + "/file", "query: "},
		{"feed", `embedded: {listen: "127.0.0.1:0"}`, `embedded: {listen: "` + busy.Addr().String() + `"}`, "feed: "},
		{"journal", "data_dir: " + h.dir + "/data", "data_dir: " + h.dir + "/file", "journal "},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			h.configure(t, strings.Replace(h.yaml(), tt.old, tt.new, 1))
			d := h.launch()
			defer d.quit()
			if code := d.exit(t); code != exitFailed {
				t.Errorf("exit code %d, want %d", code, exitFailed)
			}
			if got := d.log.find("simbindd failed", "err"); !strings.HasPrefix(got, tt.want) {
				t.Errorf("the error is %q, want %q…", got, tt.want)
			}
		})
	}
}

func TestOneDaemonForEachDataDirectory(t *testing.T) {
	h := newHome(t)
	h.start(t)
	second := h.launch()
	defer second.quit()
	if code := second.exit(t); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if got := second.log.find("simbindd failed", "err"); !strings.Contains(got, "in use by another process") {
		t.Errorf("the error is %q", got)
	}
}

func TestAStopLeavesNothingBehind(t *testing.T) {
	before := ourGoroutines()
	h := newHome(t)
	d := h.start(t)
	d.mustAccount(t, 1, radiustest.Start)
	began := time.Now()
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an idle daemon took %v to stop", took)
	}
	if _, err := os.Lstat(h.socket()); err == nil {
		t.Error("the socket's file is still there")
	}
	var left []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("still there:\n%s", strings.Join(left, "\n\n"))
		}
	})
	eventually(t, "no goroutine of ours is left", func() bool {
		left = nil
		for id, stack := range ourGoroutines() {
			if _, old := before[id]; !old {
				left = append(left, stack)
			}
		}
		return len(left) == 0
	})
}

// ourGoroutines are the stacks with code of this module, but for tests, by the
// goroutine's number.
func ourGoroutines() map[string]string {
	buf := make([]byte, 1<<20)
	ours := map[string]string{}
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "simbind/simbind") && !strings.Contains(stack, "testing.tRunner") {
			id, _, _ := strings.Cut(stack, " [")
			ours[id] = stack
		}
	}
	return ours
}
