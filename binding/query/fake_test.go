package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A fakeRegistry holds bindings in a map that does not change while a server
// runs.
type fakeRegistry struct {
	held    map[netip.Addr]binding.Binding
	answers map[netip.Addr]binding.Answer // for addresses whose answer is no plain one
	nodes   []binding.Node
	sites   []binding.Site
	traces  []binding.TraceEntry
	state   binding.Status
	// hold, if set, is received from before SESSIONS answers.
	hold chan struct{}

	mu       sync.Mutex
	watchers []*fakeWatch
	released []string
}

type fakeWatch struct {
	ch        chan binding.Change
	cancelled bool
}

var day = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

const age = 1500 * time.Millisecond

func (f *fakeRegistry) Lookup(q binding.Query) (binding.Binding, binding.Answer) {
	if a, ok := f.answers[q.Addr]; ok {
		return f.held[q.Addr], a
	}
	b, ok := f.held[q.Addr]
	if !ok || q.Domain != "" && q.Domain != b.Domain {
		return binding.Binding{}, binding.Answer{Verdict: binding.Unknown, Reason: binding.ReasonNoBinding}
	}
	return b, binding.Answer{Verdict: binding.Match, Reason: binding.ReasonBound, Age: age, Version: b.Version}
}

func (f *fakeRegistry) Verify(q binding.Query, n binding.Number) binding.Answer {
	b, a := f.Lookup(q)
	if a.Verdict == binding.Match && !n.Is(b.MSISDN) {
		a.Verdict, a.Reason = binding.Mismatch, binding.ReasonOtherNumber
	}
	return a
}

func (f *fakeRegistry) Sessions(sel binding.Selection) ([]binding.Binding, uint64, error) {
	if f.hold != nil {
		<-f.hold
	}
	if sel.By == "node" && sel.Value == "broken" {
		return nil, 0, errors.New("index is torn")
	}
	var list []binding.Binding
	for i := int(sel.Cursor); i < 2500; i++ {
		if len(list) == sel.Limit {
			return list, uint64(i), nil
		}
		b := held(i)
		switch {
		case sel.By == "msisdn" && sel.Value != b.MSISDN.String():
		case sel.By == "imsi" && sel.Value != b.IMSI.String():
		default:
			list = append(list, b)
		}
	}
	return list, 0, nil
}

func (f *fakeRegistry) Nodes() []binding.Node { return f.nodes }
func (f *fakeRegistry) Sites() []binding.Site { return f.sites }

func (f *fakeRegistry) Directory() (binding.DirectoryState, bool) {
	return binding.DirectoryState{Near: 3, Found: 2, None: 1, Waiting: 4, Last: time.Millisecond, Sources: []binding.DirectorySource{
		{Name: "file", Found: 2, Unknown: 1, Rows: 9, Read: day},
	}}, true
}

func (f *fakeRegistry) Number(_ context.Context, imsi binding.IMSI) (binding.MSISDN, string, error) {
	if imsi == held(7).IMSI {
		return held(7).MSISDN, "file", nil
	}
	return 0, "", nil
}
func (f *fakeRegistry) Status() binding.Status { return f.state }

func (f *fakeRegistry) Trace(key string, limit int) ([]binding.TraceEntry, error) {
	if key == "nothing" {
		return nil, errors.New("neither a number nor an address")
	}
	return f.traces[:min(limit, len(f.traces))], nil
}

func (f *fakeRegistry) Watch(buffer int) (<-chan binding.Change, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &fakeWatch{ch: make(chan binding.Change, buffer)}
	f.watchers = append(f.watchers, w)
	return w.ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		w.cancelled = true
	}
}

// publish gives a change to every watcher, and closes those that lag.
func (f *fakeRegistry) publish(c binding.Change) (lagged bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.watchers {
		if w.cancelled {
			continue
		}
		select {
		case w.ch <- c:
		default:
			w.cancelled, lagged = true, true
			close(w.ch)
		}
	}
	return lagged
}

// watching counts the watchers that were not cancelled.
func (f *fakeRegistry) watching() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.watchers {
		if !w.cancelled {
			n++
		}
	}
	return n
}

func (f *fakeRegistry) Release(ctx context.Context, q binding.Query, reason, by string) error {
	if _, ok := f.held[q.Addr]; !ok {
		return errors.New("nobody holds the address")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = append(f.released, fmt.Sprintf("%s %s: %s by %s", q.Addr, q.Domain, reason, by))
	return ctx.Err()
}

// held is the i-th binding of a fake registry.
func held(i int) binding.Binding {
	addr, err := binding.IPv4(netip.AddrFrom4([4]byte{10, 45 + byte(i>>16), byte(i >> 8), byte(i)}))
	if err != nil {
		panic(err)
	}
	imsi, err := binding.ParseIMSI(fmt.Sprintf("001010%09d", i))
	if err != nil {
		panic(err)
	}
	return binding.Binding{
		Subscriber: binding.Subscriber{MSISDN: binding.MSISDN(491700000000 + uint64(i)), IMSI: imsi},
		Addr:       addr, Domain: "internet", APN: "internet", RAT: 6, Node: "pgw1.lab",
		Sources: binding.SourceSet(0).Add(binding.SourceGx).Add(binding.SourceRADIUS),
		State:   binding.StateBound, Reason: binding.ReasonBound,
		Since: day.Add(-time.Hour), Seen: day, Expires: day.Add(24 * time.Hour), Version: uint64(i) + 1,
	}
}

func newFake(n int) *fakeRegistry {
	f := &fakeRegistry{
		held:    make(map[netip.Addr]binding.Binding, n),
		answers: map[netip.Addr]binding.Answer{},
		state: binding.Status{Site: "lab", Started: day, Healthy: true, Sessions: n, SessionsCap: 1000000,
			Addresses: n, AddressCap: 2000000, QueueCap: 4096, Nodes: 1, JournalSeq: 42, Commits: 7, CommitTime: 250 * time.Microsecond,
			Edges: map[string]string{"tap": "tcx on eth0"}, Counters: map[string]uint64{"events_applied": 42, "feed_published": 41}},
	}
	f.sites = []binding.Site{{Name: "north", Incarnation: "abc", Seq: 9, Heard: day, Started: day, Healthy: true, Ingesting: true, Sessions: 3,
		Pools:        []binding.Domain{{Name: "internet", Pools: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}},
		SiteProgress: binding.SiteProgress{Followed: true, State: "current", Applied: 8, Complete: day, Snapshots: 1, Rows: 3}}}
	for i := range n {
		b := held(i)
		f.held[b.Addr.Prefix.Addr()] = b
	}
	return f
}

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// start runs a server until the test ends and returns the path of its socket.
func start(t testing.TB, reg Registry, change ...func(*Server)) (*Server, string) {
	t.Helper()
	path := filepath.Join(shortDir(t), "s")
	s := NewServer(Config{Socket: path, Version: "1.2.3", Priority: "normal"}, reg, discard())
	for _, f := range change {
		f(s)
	}
	run(t, s)
	return s, path
}

// run runs s until the test ends or stop is called.
func run(t testing.TB, s *Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
