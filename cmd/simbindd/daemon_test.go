package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/radius/radiustest"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// A logbook keeps what the daemon logs, as JSON.
type logbook struct {
	mu      sync.Mutex
	rest    []byte
	records []map[string]any
}

// Write takes what a log handler, or a process, writes.
func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		record := map[string]any{}
		if json.Unmarshal(line, &record) != nil {
			record["msg"] = string(line)
		}
		l.records, l.rest = append(l.records, record), rest
	}
}

// find returns the attribute of the newest record with the message, or "".
func (l *logbook) find(msg, attr string) string { return l.findOf("", msg, attr) }

// findOf is find among the records of one source, or of all.
func (l *logbook) findOf(source, msg, attr string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.records) - 1; i >= 0; i-- {
		if l.records[i]["msg"] == msg && (source == "" || l.records[i]["source"] == source) {
			return fmt.Sprint(l.records[i][attr])
		}
	}
	return ""
}

// messages are what was logged, in order.
func (l *logbook) messages() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, r := range l.records {
		list = append(list, fmt.Sprint(r["msg"]))
	}
	return list
}

func (l *logbook) count(msg string) (n int) {
	for _, m := range l.messages() {
		if m == msg {
			n++
		}
	}
	return n
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, r := range l.records {
		line, _ := json.Marshal(r)
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// A home is the directory of one daemon, across restarts.
type home struct {
	dir  string
	file string // the configuration
}

const testSecret = "a-secret-for-tests"

// newHome makes a directory with a short path and a configuration on free
// ports.
func newHome(t *testing.T) home {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := home{dir: dir, file: filepath.Join(dir, "simbindd.yaml")}
	h.configure(t, h.yaml())
	return h
}

func (h home) socket() string { return filepath.Join(h.dir, "s") }

func (h home) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h home) yaml() string {
	return fmt.Sprintf(`
site: test
data_dir: %s/data
capacity: 200000
domains: [{name: internet, apns: [internet], pools: [10.0.0.0/8]}]
radius:
  listen: ["127.0.0.1:0"]
  clients: [{name: nas, prefix: 127.0.0.0/8, secret: %s}]
query: {socket: %s, priority: normal}
nats: {embedded: {listen: "127.0.0.1:0"}}
privacy: {publish_msisdn: clear}
metrics: {listen: "127.0.0.1:0"}
log: {level: info, format: json}
`, h.dir, testSecret, h.socket())
}

// A daemon is one run of the program in this process.
type daemon struct {
	home
	log  *logbook
	hup  chan os.Signal
	quit context.CancelFunc
	code int           // once done is closed
	done chan struct{} // closed when it has ended
}

// launch runs the daemon without waiting for anything.
func (h home) launch() *daemon {
	ctx, cancel := context.WithCancel(context.Background())
	d := &daemon{home: h, log: &logbook{}, hup: make(chan os.Signal, 1), quit: cancel, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.code = program(ctx, env{
			args: []string{"--config", h.file}, stdout: io.Discard, stderr: d.log,
			hangups: func() <-chan os.Signal { return d.hup }, notify: func(string) {},
		})
	}()
	return d
}

// start runs the daemon and waits until it is ready. It is stopped with the
// test.
func (h home) start(t *testing.T) *daemon {
	t.Helper()
	d := h.launch()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.log)
		}
		d.quit()
		<-d.done
	})
	d.await(t, "ready")
	return d
}

// await waits for a message in the log.
func (d *daemon) await(t *testing.T, msg string) {
	t.Helper()
	d.awaitMore(t, msg, 0)
}

// awaitMore waits until a message has been logged more often than so.
func (d *daemon) awaitMore(t *testing.T, msg string, than int) {
	t.Helper()
	eventually(t, "log message "+msg, func() bool { return d.log.count(msg) > than })
}

// stop stops it in order and returns the exit code.
func (d *daemon) stop(t *testing.T) int {
	t.Helper()
	d.quit()
	return d.exit(t)
}

// exit waits until it has ended by itself and returns the exit code.
func (d *daemon) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-d.done:
		return d.code
	case <-time.After(patience):
		t.Fatalf("it did not end within %v; its log:\n%s", patience, d.log)
		return -1
	}
}

func (d *daemon) radius() string { return d.log.findOf("radius", "listening", "address") }

func (d *daemon) client(t *testing.T) *query.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := query.Dial(ctx, d.socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// verdict asks VERIFY and returns "verdict reason".
func (d *daemon) verdict(t *testing.T, addr, number string) string {
	t.Helper()
	c := d.client(t)
	defer c.Close() // it is asked many times by those who wait
	got, err := c.Verify(t.Context(), addr, number)
	if err != nil {
		t.Fatal(err)
	}
	return got.Verdict + " " + got.Reason
}

// get asks the monitor and returns status and body.
func (d *daemon) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + d.log.find("serving /metrics, /healthz and /readyz", "address") + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// subscriber n has an address, a number and a session of its own.
func testSession(n int) radiustest.Session {
	return radiustest.Session{
		ID: fmt.Sprintf("s%d", n), NAS: "nas1", MSISDN: testNumber(n)[1:], IMSI: fmt.Sprintf("00101%010d", n), APN: "internet",
		IPv4: testAddr(n), NSAPI: "5", Time: time.Now(),
	}
}

// account sends accounting by way of layeh and waits for the answer, which is
// sent again each second like a NAS does; with no answer within wait it is
// false.
func (d *daemon) account(t *testing.T, n int, status radiustest.Status, secret string, wait time.Duration) bool {
	t.Helper()
	nas, err := radiustest.Dial(d.radius())
	if err != nil {
		t.Fatal(err)
	}
	defer nas.Close()
	p, err := testSession(n).Request(status, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	for ctx.Err() == nil {
		once, done := context.WithTimeout(ctx, time.Second)
		_, err := nas.Exchange(once, p)
		done()
		if err == nil {
			return true
		}
	}
	return false
}

// mustAccount is account that has to be answered.
func (d *daemon) mustAccount(t *testing.T, n int, status radiustest.Status) {
	t.Helper()
	if !d.account(t, n, status, testSecret, patience) {
		t.Fatalf("accounting of subscriber %d was not answered", n)
	}
}
