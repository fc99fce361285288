package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
)

// noon is the present of all tests.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A fakeRegistry answers from what a test puts into it.
type fakeRegistry struct {
	answers  map[netip.Addr]binding.Answer
	bindings map[netip.Addr]binding.Binding
	status   binding.Status
	nodes    []binding.Node
	sites    []binding.Site
	trace    []binding.TraceEntry
	watchers chan chan<- binding.Change

	mu       sync.Mutex
	released []string
}

func newFakeRegistry() *fakeRegistry {
	bound := binding.Binding{
		Subscriber: binding.Subscriber{MSISDN: 34600000001, IMSI: must(binding.ParseIMSI("001010000000001"))},
		Addr:       must(binding.IPv4(netip.MustParseAddr("10.45.0.7"))),
		Domain:     "internet", APN: "internet", RAT: 6, Node: "pgw1",
		Sources: binding.SourceSet(0).Add(binding.SourceGx).Add(binding.SourceRADIUS),
		State:   binding.StateBound,
		Since:   noon.Add(-90 * time.Minute), Seen: noon.Add(-5 * time.Second), Expires: noon.Add(24 * time.Hour),
		Version: 7,
	}
	disputed := bound
	disputed.Addr = must(binding.IPv4(netip.MustParseAddr("10.45.0.8")))
	disputed.State, disputed.Reason = binding.StateAmbiguous, binding.ReasonConflict
	return &fakeRegistry{
		answers: map[netip.Addr]binding.Answer{
			bound.Addr.Prefix.Addr():    {Verdict: binding.Match, Reason: binding.ReasonBound, Age: 5 * time.Second, Version: 7},
			disputed.Addr.Prefix.Addr(): {Verdict: binding.Ambiguous, Reason: binding.ReasonConflict, Age: 5 * time.Second, Version: 8},
		},
		bindings: map[netip.Addr]binding.Binding{bound.Addr.Prefix.Addr(): bound, disputed.Addr.Prefix.Addr(): disputed},
		status: binding.Status{
			Site: "lab", Started: noon.Add(-49 * time.Hour), Healthy: true,
			Sessions: 2, SessionsCap: 100, Addresses: 2, AddressCap: 200, QueueCap: 16, Nodes: 1,
			JournalSeq: 12, Commits: 9, CommitTime: 300 * time.Microsecond,
			Counters: map[string]uint64{"events_applied": 12, "feed_delivered": 12},
		},
		nodes: []binding.Node{{Name: "pgw1", Source: binding.SourceGx, Up: true, Since: noon.Add(-time.Hour),
			Heard: noon.Add(-2 * time.Second), Sessions: 2, Events: 12,
			Link: &binding.Link{State: "okay", RoundTrip: 250 * time.Microsecond, OriginState: 77, Results: map[uint32]uint64{2001: 12, 3004: 1}}}},
		trace: []binding.TraceEntry{{At: noon, Kind: "session-start", Source: binding.SourceGx, Node: "pgw1", Session: "s;1",
			Subscriber: bound.Subscriber, Addrs: []binding.Address{bound.Addr}, Domain: "internet", Time: noon, Outcome: "applied"}},
		watchers: make(chan chan<- binding.Change, 1),
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (r *fakeRegistry) Verify(q binding.Query, n binding.Number) binding.Answer {
	a, known := r.answers[q.Addr]
	if !known {
		return binding.Answer{Verdict: binding.Unknown, Reason: binding.ReasonNoBinding}
	}
	if a.Verdict == binding.Match && !n.Is(r.bindings[q.Addr].MSISDN) {
		a.Verdict, a.Reason = binding.Mismatch, binding.ReasonOtherNumber
	}
	return a
}

func (r *fakeRegistry) Lookup(q binding.Query) (binding.Binding, binding.Answer) {
	a, known := r.answers[q.Addr]
	if !known {
		return binding.Binding{}, binding.Answer{Verdict: binding.Unknown, Reason: binding.ReasonNoBinding}
	}
	return r.bindings[q.Addr], a
}

// Sessions has a page for each of its two addresses, with an empty page in
// front, or one page for both whatever the limit.
func (r *fakeRegistry) Sessions(s binding.Selection) ([]binding.Binding, uint64, error) {
	first, second := r.bindings[netip.MustParseAddr("10.45.0.7")], r.bindings[netip.MustParseAddr("10.45.0.8")]
	switch {
	case s.Value == "onepage":
		return []binding.Binding{first, second}, 0, nil
	case s.Value != "internet":
		return nil, 0, nil
	case s.Cursor == 0:
		return nil, 1, nil
	case s.Cursor == 1:
		return []binding.Binding{first}, 2, nil
	default:
		return []binding.Binding{second}, 0, nil
	}
}

func (r *fakeRegistry) Nodes() []binding.Node  { return r.nodes }
func (r *fakeRegistry) Sites() []binding.Site  { return r.sites }
func (r *fakeRegistry) Status() binding.Status { return r.status }

func (r *fakeRegistry) Trace(key string, _ int) ([]binding.TraceEntry, error) {
	if key != "10.45.0.7" {
		return nil, nil
	}
	return r.trace, nil
}

func (r *fakeRegistry) Watch(buffer int) (<-chan binding.Change, func()) {
	changes := make(chan binding.Change, buffer)
	r.watchers <- changes
	return changes, func() {}
}

func (r *fakeRegistry) Release(_ context.Context, q binding.Query, reason, _ string) error {
	if _, known := r.bindings[q.Addr]; !known {
		return errors.New("nothing is bound to that address")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = append(r.released, q.Addr.String()+" "+q.Domain+" "+reason)
	return nil
}

// serve runs a real server over reg and returns its socket.
func serve(t *testing.T, reg query.Registry) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	server := query.NewServer(query.Config{Socket: socket, Version: version()}, reg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	awaitSocket(t, socket, done)
	return socket
}

func awaitSocket(t *testing.T, socket string, ended <-chan error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		if client, err := query.Dial(context.Background(), socket); err == nil {
			client.Close()
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("server ended: %v", err)
		case <-deadline:
			t.Fatal("the server's socket did not come up")
		case <-tick.C:
		}
	}
}

// A session is one run of the program.
type session struct {
	env
	out, err bytes.Buffer
}

// newSession prepares a run of the program on a machine where all is well.
func newSession(args ...string) *session {
	s := &session{}
	s.env = env{
		args: args, stdout: &s.out, stderr: &s.err,
		getenv: func(string) string { return "" },
		exists: func(string) bool { return false },
		now:    func() time.Time { return noon },
		dial:   query.Dial,
		host:   healthyHost(),
	}
	return s
}

func (s *session) run() int { return run(context.Background(), s.env) }

func healthyHost() host {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return host{
		root: fstest.MapFS{
			"proc/sys/net/core/rmem_max":                 file("8388608\n"),
			"proc/42/limits":                             file("Limit  Soft Limit  Hard Limit  Units\nMax open files            65536                65536                files\n"),
			"proc/self/limits":                           file("Max open files            1024                65536                files\n"),
			"sys/kernel/mm/transparent_hugepage/enabled": file("always [madvise] never\n"),
		},
		mode:  func(string) (fs.FileMode, error) { return 0o660 | fs.ModeSocket, nil },
		pid:   func(string) (int, error) { return 42, nil },
		clock: func() (bool, time.Duration, error) { return true, 2 * time.Millisecond, nil },
		disk:  func(string) (uint64, uint64, error) { return 100 << 30, 200 << 30, nil },
	}
}
