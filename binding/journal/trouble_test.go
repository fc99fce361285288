package journal

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
)

// arm makes the following operations fail that match.
func (f *faults) arm(match func(op, name string) bool) {
	f.match = match
	f.from.Store(f.writes.Load())
	f.to.Store(1 << 60)
}

// TestFullDiskDoesNotStallCommits lets the flush fail for which a Commit is
// already waiting, all memtables being full: Commit must return an error rather
// than wait for ever, as it does in Pebble alone.
func TestFullDiskDoesNotStallCommits(t *testing.T) {
	f := &faults{category: func(c vfs.DiskWriteCategory) bool { return c == "pebble-memtable-flush" }}
	disk, h, m := vfs.NewMem(), newHistory(1), newModel()
	j := openTest(t, f.wrap(disk))
	f.arm(func(string, string) bool {
		if err := within(func() bool { return j.ev.stalls.Load() != 0 }); err != nil {
			t.Error(err)
		}
		return true
	})
	b := h.batch(0)
	for {
		err := j.Commit(b)
		if isInjected(err) {
			break
		}
		if err != nil || t.Failed() {
			t.Fatal(err)
		}
		m.apply(b)
		b = h.batch(m.seq())
	}
	if j.ev.stalls.Load() == 0 {
		t.Fatal("no commit had to wait")
	}
	f.lift()
	mustCommit(t, j, b)
	m.apply(b)
	if d := m.diff(j); d != "" {
		t.Error(d)
	}
}

// TestFailingCompactionsDoNotDisturb lets no compaction write.
func TestFailingCompactionsDoNotDisturb(t *testing.T) {
	f := &faults{match: func(_, name string) bool { return strings.HasSuffix(name, ".sst") }}
	f.category = func(c vfs.DiskWriteCategory) bool { return c == writesCompaction }
	disk, h, m := vfs.NewMem(), newHistory(1), newModel()
	j := openTest(t, f.wrap(disk))
	f.to.Store(1 << 60)
	for range 400 {
		b := h.batch(m.seq())
		mustCommit(t, j, b)
		m.apply(b)
	}
	err := within(func() bool { return j.ev.compactions.Load() != 0 })
	if err != nil {
		t.Fatal(err)
	}
	if n := j.ev.compactions.Load(); n > 5 {
		t.Errorf("%d compactions failed one right after the other", n)
	}
	if d := m.diff(j); d != "" {
		t.Error(d)
	}
	mustClose(t, j)
	f.lift()
	if err := reopened(disk, m); err != nil {
		t.Error(err)
	}
}

// TestFullDiskIsProbed makes sure that a store is not opened, which writes a
// lot, where it could not be.
func TestFullDiskIsProbed(t *testing.T) {
	f, disk, h := &faults{}, vfs.NewMem(), newHistory(1)
	j := openTest(t, f.wrap(disk))
	b := h.batch(0)
	f.arm(nil)
	if err := j.Commit(b); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	f.arm(func(op, _ string) bool { return op == "preallocate" })
	before, _ := disk.List("data")
	for range 3 {
		if err := j.Commit(b); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, errDown) {
			t.Fatal(err)
		}
	}
	if after, _ := disk.List("data"); len(after) != len(before) {
		t.Errorf("files %v became %v", before, after)
	}
	if _, err := j.ReadOutbox(0, 1); !errors.Is(err, errDown) {
		t.Errorf("reading meanwhile: %v", err)
	}
	f.lift()
	mustCommit(t, j, b)
	if n := j.counts.reopens.Load(); n != 1 {
		t.Errorf("opened again %d times", n)
	}
}

// TestFatalDoesNotEndTheProcess plays what Pebble does when it gives up in the
// background.
func TestFatalDoesNotEndTheProcess(t *testing.T) {
	disk, h, m := vfs.NewMem(), newHistory(1), newModel()
	j := openTest(t, disk)
	b := h.batch(0)
	mustCommit(t, j, b)
	m.apply(b)
	pebbleLogger{j.ev, j.store.breaker}.Fatalf("no more: %s", "reason")
	// The next Commit starts over with a new store, unseen by its caller.
	b = h.batch(m.seq())
	mustCommit(t, j, b)
	m.apply(b)
	if j.counts.reopens.Load() != 1 || j.ev.background.Load() != 1 {
		t.Errorf("%d reopens, %d background errors", j.counts.reopens.Load(), j.ev.background.Load())
	}
	if d := m.diff(j); d != "" {
		t.Error(d)
	}
}

// A swappedFS is a file system that can be exchanged for another state of it.
type swappedFS struct {
	vfs.FS
	mu   sync.Mutex
	next vfs.FS
}

func (s *swappedFS) now() vfs.FS {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		return s.next
	}
	return s.FS
}

func (s *swappedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.now().Create(name, c)
}

func (s *swappedFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.now().ReuseForWrite(old, name, c)
}

func (s *swappedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.now().Open(name, opts...)
}
func (s *swappedFS) OpenDir(name string) (vfs.File, error)  { return s.now().OpenDir(name) }
func (s *swappedFS) Stat(name string) (vfs.FileInfo, error) { return s.now().Stat(name) }
func (s *swappedFS) List(dir string) ([]string, error)      { return s.now().List(dir) }
func (s *swappedFS) Remove(name string) error               { return s.now().Remove(name) }
func (s *swappedFS) Rename(old, name string) error          { return s.now().Rename(old, name) }
func (s *swappedFS) Link(old, name string) error            { return s.now().Link(old, name) }

// TestLostCommitsAreNoticed puts an older state of the disk, and then an empty
// disk, under a journal that has to open its store again.
func TestLostCommitsAreNoticed(t *testing.T) {
	for _, name := range []string{"changes", "rows only", "everything"} {
		t.Run(name, func(t *testing.T) {
			disk, f, h := vfs.NewCrashableMem(), &faults{}, newHistory(1)
			swapped := &swappedFS{FS: disk}
			j := openTest(t, f.wrap(swapped))
			mustCommit(t, j, &binding.Batch{Changes: h.changes(0, 5)})
			older := vfs.FS(disk.CrashClone(vfs.CrashCloneCfg{}))
			switch name {
			case "changes":
				mustCommit(t, j, &binding.Batch{Changes: h.changes(5, 5)})
			case "rows only":
				mustCommit(t, j, &binding.Batch{Sessions: []binding.SessionRow{h.session()}})
			case "everything":
				mem := vfs.NewMem()
				if err := mem.MkdirAll("data", 0o750); err != nil {
					t.Fatal(err)
				}
				older = mem
			}
			b := &binding.Batch{Changes: h.changes(j.Meta().Seq, 1)}
			f.arm(func(op, _ string) bool { return op == "sync" })
			if err := j.Commit(b); !isInjected(err) {
				t.Fatal(err)
			}
			f.lift()
			swapped.mu.Lock()
			swapped.next = older
			swapped.mu.Unlock()
			for range 2 {
				if err := j.Commit(b); !errors.Is(err, ErrLost) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// TestLoadOutlivesAFailure fails the disk while a Load is under way: it ends as
// if nothing had happened, and the store is replaced afterwards.
func TestLoadOutlivesAFailure(t *testing.T) {
	f, h := &faults{}, newHistory(1)
	j := openTest(t, f.wrap(vfs.NewMem()))
	var b binding.Batch
	for n := range uint64(100) {
		b.Sessions = append(b.Sessions, sampleSession(n, nil))
	}
	mustCommit(t, j, &b)
	next := &binding.Batch{Changes: h.changes(0, 1)}
	s := &stopping{}
	s.f = func() error {
		if s.sessions != 50 {
			return nil
		}
		f.arm(func(op, _ string) bool { return op == "sync" })
		if err := j.Commit(next); !isInjected(err) {
			t.Errorf("got %v", err)
		}
		f.lift()
		if err := j.Commit(next); !errors.Is(err, errDown) || !isInjected(err) {
			t.Errorf("a Commit beside the Load: %v", err)
		}
		return nil
	}
	if err := j.Load(s); err != nil || s.sessions != 100 {
		t.Errorf("%d sessions, %v", s.sessions, err)
	}
	mustCommit(t, j, next)
}

// TestTouchNeedsAWorkingJournal: see Touch.
func TestTouchNeedsAWorkingJournal(t *testing.T) {
	disk, f := vfs.NewCrashableMem(), &faults{}
	j := openTest(t, f.wrap(disk))
	mustCommit(t, j, &binding.Batch{Alive: 1000})
	f.arm(func(op, _ string) bool { return op == "sync" })
	if err := j.Commit(&binding.Batch{Alive: 2000}); !isInjected(err) {
		t.Fatal(err)
	}
	if err := j.Touch(3000); !errors.Is(err, errDown) {
		t.Errorf("got %v", err)
	}
	if got := j.Meta().Alive.UnixMilli(); got != 1000 {
		t.Errorf("Meta tells %d", got)
	}
	if got := openTest(t, disk.CrashClone(vfs.CrashCloneCfg{})).Meta().Alive.UnixMilli(); got != 1000 {
		t.Errorf("a restart would believe in %d", got)
	}
	f.lift()
	mustCommit(t, j, &binding.Batch{Alive: 4000})
	if err := j.Touch(5000); err != nil {
		t.Error(err)
	}
}

func TestEventsAreCountedAndLoggedNowAndThen(t *testing.T) {
	var text strings.Builder
	e := newEvents(slog.New(slog.NewTextHandler(&text, nil)))
	l := e.listener()
	for range 100 {
		l.BackgroundError(syscall.EIO)
		l.DiskSlow(vfs.DiskSlowInfo{Path: "x"})
		l.WriteStallBegin(pebble.WriteStallBeginInfo{})
		l.WriteStallEnd()
	}
	l.DataCorruption(pebble.DataCorruptionInfo{Path: "x"})
	if e.background.Load() != 100 || e.slow.Load() != 100 || e.stalls.Load() != 100 || e.corruptions.Load() != 1 {
		t.Error("miscounted")
	}
	if e.stalled() <= 0 {
		t.Error("stalls took no time")
	}
	if lines := strings.Count(text.String(), "\n"); lines != 3 {
		t.Errorf("%d lines:\n%s", lines, text.String())
	}
}

func TestCollector(t *testing.T) {
	f, h := &faults{}, newHistory(1)
	j := openTest(t, f.wrap(vfs.NewMem()))
	mustCommit(t, j, &binding.Batch{Sessions: []binding.SessionRow{h.session(), h.session()}, Changes: h.changes(0, 7)})
	if err := j.TrimOutbox(3); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(j.Collector())
	check := func(want map[string]float64) {
		t.Helper()
		got := gathered(t, reg)
		for name, v := range want {
			if g, ok := got["simbindd_journal_"+name]; !ok || g != v {
				t.Errorf("%s is %v (%v), want %v", name, g, ok, v)
			}
		}
	}
	check(map[string]float64{
		"commit_seconds": 1, "rows_total": 2, "changes_total": 7, "outbox_changes": 4, "up": 1,
		"commit_errors_total": 0, "reopens_total": 0, "compactions_total": 0, "corruptions_total": 0,
	})
	if disk := gathered(t, reg)["simbindd_journal_disk_bytes"]; disk == 0 {
		t.Error("the store takes no space")
	}
	f.arm(nil)
	if err := j.Commit(&binding.Batch{}); err == nil {
		t.Fatal("no error")
	}
	check(map[string]float64{"commit_seconds": 1, "commit_errors_total": 1, "up": 0})
	f.lift()
	mustCommit(t, j, &binding.Batch{})
	check(map[string]float64{"commit_seconds": 2, "reopens_total": 1, "up": 1})
	mustClose(t, j)
	check(map[string]float64{"commit_seconds": 2, "up": 0})
}

// gathered is each metric's value, or a histogram's count.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		m := family.GetMetric()[0]
		switch {
		case m.Histogram != nil:
			got[family.GetName()] = float64(m.Histogram.GetSampleCount())
		case m.Counter != nil:
			got[family.GetName()] = m.Counter.GetValue()
		default:
			got[family.GetName()] = m.Gauge.GetValue()
		}
	}
	return got
}
