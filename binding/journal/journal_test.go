package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/simbind/simbind/binding"
)

var _ binding.Journal = (*Journal)(nil)

// open opens a journal on the real disk that is closed at the end of the test.
func open(tb testing.TB, dir string) *Journal {
	tb.Helper()
	j, err := Open(dir, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close() })
	return j
}

// openTest opens a journal with small tables on a file system.
func openTest(tb testing.TB, fs vfs.FS) *Journal {
	tb.Helper()
	j, err := Open("data", testOptions(fs))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close() })
	return j
}

func mustCommit(tb testing.TB, j *Journal, b *binding.Batch) {
	tb.Helper()
	if err := j.Commit(b); err != nil {
		tb.Fatal(err)
	}
}

func mustClose(tb testing.TB, j *Journal) {
	tb.Helper()
	if err := j.Close(); err != nil {
		tb.Fatal(err)
	}
}

func TestFreshJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	j := open(t, dir)
	m := j.Meta()
	if len(m.Incarnation) != incarnationSize || m.Seq != 0 || !m.Alive.IsZero() {
		t.Errorf("%+v", m)
	}
	if first, last := j.OutboxRange(); first != 1 || last != 0 {
		t.Errorf("outbox %d to %d", first, last)
	}
	if d := newModel().diff(j); d != "" {
		t.Error(d)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&^0o750 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	mustClose(t, j)
	if again := open(t, dir).Meta(); again != m {
		t.Errorf("%+v became %+v", m, again)
	}
	if other := open(t, t.TempDir()).Meta(); other.Incarnation == m.Incarnation {
		t.Error("two journals with one incarnation")
	}
}

func TestEverythingSurvivesARestart(t *testing.T) {
	dir, h, m := t.TempDir(), newHistory(5), newModel()
	for range 5 {
		j := open(t, dir)
		if d := m.diff(j); d != "" {
			t.Fatal(d)
		}
		for range 60 {
			b := h.batch(m.seq())
			mustCommit(t, j, b)
			m.apply(b)
		}
		if d := m.diff(j); d != "" {
			t.Fatal(d)
		}
		mustClose(t, j)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	mustCommit(t, j, newHistory(1).batch(0))
}

func TestClosedJournal(t *testing.T) {
	j := open(t, t.TempDir())
	mustClose(t, j)
	for name, err := range map[string]error{
		"Close":      j.Close(),
		"Commit":     j.Commit(&binding.Batch{}),
		"Touch":      j.Touch(1),
		"Load":       j.Load(&counting{}),
		"TrimOutbox": j.TrimOutbox(0),
	} {
		if name == "TrimOutbox" && err == nil {
			continue // nothing to forget
		}
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := j.ReadOutbox(0, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("ReadOutbox: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file: %v", err)
	}
	disk := vfs.NewMem()
	j := openTest(t, disk)
	if err := j.store.db.Set(keyIncarnation, []byte{format + 1}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	if _, err := Open("data", testOptions(disk)); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("a newer journal: %v", err)
	}
	// A failed Open must leave the directory unlocked.
	if _, err := Open("data", testOptions(disk)); errors.Is(err, ErrLocked) {
		t.Error(err)
	}
}

func TestNumbersAreChecked(t *testing.T) {
	j := openTest(t, vfs.NewMem())
	h := newHistory(9)
	mustCommit(t, j, &binding.Batch{Changes: []binding.Change{h.change(1), h.change(2)}})
	for name, changes := range map[string][]binding.Change{
		"repeated": {h.change(2)},
		"skipped":  {h.change(4)},
		"gap":      {h.change(3), h.change(5)},
		"zero":     {h.change(0)},
	} {
		if err := j.Commit(&binding.Batch{Changes: changes}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if seq := j.Meta().Seq; seq != 2 {
		t.Errorf("last change is %d", seq)
	}
	mustCommit(t, j, &binding.Batch{Changes: []binding.Change{h.change(3)}})
}

// killed gives the disk as another process finds it when this one is killed:
// with everything that was handed to the system.
func killed(disk *vfs.MemFS) *vfs.MemFS {
	return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newHistory(1).Rand})
}

func TestAlive(t *testing.T) {
	disk := vfs.NewCrashableMem()
	j := openTest(t, disk)
	alive := func(fs vfs.FS) int64 {
		t.Helper()
		return openTest(t, fs).Meta().Alive.UnixMilli()
	}
	mustCommit(t, j, &binding.Batch{Alive: 1000})
	if got := alive(killed(disk)); got != 1000 {
		t.Errorf("after a commit and a kill: %d", got)
	}
	if err := j.Touch(2000); err != nil {
		t.Fatal(err)
	}
	if got := j.Meta().Alive; got != time.UnixMilli(2000).UTC() {
		t.Errorf("after a touch: %v", got)
	}
	if got := alive(killed(disk)); got != 2000 {
		t.Errorf("after a touch and a kill: %d", got)
	}
	if got := alive(disk.CrashClone(vfs.CrashCloneCfg{})); got != 1000 {
		t.Errorf("after a touch and a power loss: %d", got)
	}
	mustCommit(t, j, &binding.Batch{Alive: 1500})
	if got := alive(killed(disk)); got != 1500 {
		t.Errorf("after the clock was set back: %d", got)
	}
	if err := j.Touch(1600); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	if got := alive(disk); got != 1600 {
		t.Errorf("after a close: %d", got)
	}
}

func TestAliveFileIsChecked(t *testing.T) {
	disk := vfs.NewMem()
	j := openTest(t, disk)
	mustCommit(t, j, &binding.Batch{Alive: 1000})
	if err := j.Touch(2000); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	whole := readFile(t, disk, "data/alive")
	for i := range whole {
		bad := append([]byte(nil), whole...)
		bad[i] ^= 0x10
		writeFile(t, disk, "data/alive", bad)
		j := openTest(t, disk)
		if got := j.Meta().Alive.UnixMilli(); got != 1000 {
			t.Errorf("byte %d is wrong: %d", i, got)
		}
		mustClose(t, j)
	}
	writeFile(t, disk, "data/alive", whole[:10])
	j = openTest(t, disk)
	if got := j.Meta().Alive.UnixMilli(); got != 1000 {
		t.Errorf("a torn file: %d", got)
	}
}

func readFile(t *testing.T, disk vfs.FS, name string) []byte {
	t.Helper()
	f, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, disk vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(b)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// stopping is a Loader that stops at its first session.
type stopping struct {
	counting
	f func() error
}

func (s *stopping) Session(r *binding.SessionRow) error {
	_ = s.counting.Session(r)
	return s.f()
}

func TestLoadStops(t *testing.T) {
	j := openTest(t, vfs.NewMem())
	mustCommit(t, j, &binding.Batch{Sessions: []binding.SessionRow{sampleSession(1, nil), sampleSession(2, nil)}})
	s := &stopping{f: func() error { return fs.ErrInvalid }}
	if err := j.Load(s); !errors.Is(err, fs.ErrInvalid) || s.sessions != 1 {
		t.Errorf("an error of the loader: %v after %d sessions", err, s.sessions)
	}
	closed := make(chan error)
	s = &stopping{f: func() error {
		go func() { closed <- j.Close() }()
		return within(j.closing.Load)
	}}
	if err := j.Load(s); !errors.Is(err, ErrClosed) || s.sessions != 1 {
		t.Errorf("closing: %v after %d sessions", err, s.sessions)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestUnreadableRowStopsLoad(t *testing.T) {
	j := openTest(t, vfs.NewMem())
	key := appendSessionKey(nil, &binding.SessionKey{1})
	if err := j.store.db.Set(key, []byte{format, 0xFF}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := j.Load(&counting{}); !errors.Is(err, errMalformed) || !strings.Contains(err.Error(), "session") {
		t.Errorf("got %v", err)
	}
}

// TestFlippedBitsAreNoticed damages tables and demands that Load either gives
// exactly what was stored or an error.
func TestFlippedBitsAreNoticed(t *testing.T) {
	disk, h, m := vfs.NewMem(), newHistory(11), newModel()
	j := openTest(t, disk)
	for range 100 {
		b := h.batch(m.seq())
		mustCommit(t, j, b)
		m.apply(b)
	}
	if err := j.store.db.Flush(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	names, _ := disk.List("data")
	noticed := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		whole := readFile(t, disk, "data/"+name)
		for range 20 {
			bad := append([]byte(nil), whole...)
			bad[h.IntN(len(bad))] ^= 1 << h.IntN(8)
			writeFile(t, disk, "data/"+name, bad)
			diff, failed := readBack(disk, m)
			if failed != nil {
				noticed++
			} else if diff != "" {
				t.Errorf("%s is damaged, which goes unnoticed: %s", name, diff)
			}
		}
		writeFile(t, disk, "data/"+name, whole)
	}
	if noticed == 0 {
		t.Error("no damage was noticed: the test reads nothing")
	}
}

// readBack opens and loads what is on a disk.
func readBack(disk vfs.FS, m *model) (diff string, failed error) {
	j, err := Open("data", testOptions(disk))
	if err != nil {
		return "", err
	}
	defer j.Close()
	if err := j.Load(&counting{}); err != nil {
		return "", err
	}
	if _, err := j.ReadOutbox(0, 1<<20); err != nil {
		return "", err
	}
	return m.diff(j), nil
}

// within waits until cond holds, but not for ever.
func within(cond func() bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(30 * time.Second)
	defer end.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end.C:
			return errors.New("waited for too long")
		}
	}
	return nil
}
