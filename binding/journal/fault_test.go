package journal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// testOptions makes tables and logs small, so that a short history rotates,
// flushes and compacts.
func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), memTable: 64 << 10, compactAt: 4, CacheBytes: 1 << 20}
}

// reopened opens what is on a disk and compares it with the models that it may
// equal.
func reopened(fs vfs.FS, want ...*model) error {
	j, err := Open("data", testOptions(fs))
	if err != nil {
		return err
	}
	var diffs error
	for _, m := range want {
		d := m.diff(j)
		if d == "" {
			return j.Close()
		}
		diffs = errors.Join(diffs, errors.New(d))
	}
	return errors.Join(diffs, j.Close())
}

// A run plays a history against a journal on a faulty disk.
type run struct {
	disk   *vfs.MemFS
	faults faults
	h      *history
	m      *model // what was acknowledged
	failed int    // commits that returned an error
}

func newRun(seed uint64) *run {
	return &run{disk: vfs.NewCrashableMem(), h: newHistory(seed), m: newModel()}
}

// play opens a journal, commits, trims, and closes it. While the disk fails it
// repeats and extends.
func (r *run) play(commits int) error {
	j, err := Open("data", testOptions(r.faults.wrap(r.disk)))
	if err != nil {
		if !isInjected(err) {
			return fmt.Errorf("open: cause is lost: %w", err)
		}
		r.faults.lift()
		if j, err = Open("data", testOptions(r.faults.wrap(r.disk))); err != nil {
			return fmt.Errorf("second open: %w", err)
		}
	}
	for range commits {
		if err := r.commit(j); err != nil {
			return err
		}
		if r.h.IntN(4) == 0 {
			if err := j.TrimOutbox(r.m.seq() / 2); err != nil && !isInjected(err) {
				return fmt.Errorf("trim: %w", err)
			}
		}
	}
	if d := r.m.diff(j); d != "" && j.store.failed() == nil {
		return fmt.Errorf("while open: %s", d)
	}
	if err := j.Close(); err != nil && !isInjected(err) {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

func isInjected(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EIO)
}

// commit commits one batch, however often it takes.
func (r *run) commit(j *Journal) error {
	b := r.h.batch(r.m.seq())
	may := []*model{r.m} // what the disk may hold
	for try := 0; ; try++ {
		err := j.Commit(b)
		if err == nil {
			r.m.apply(b)
			return r.crash(20, r.m)
		}
		tried := r.m.clone()
		tried.apply(b)
		may = append(may, tried)
		r.failed++
		if !isInjected(err) {
			return fmt.Errorf("commit: cause is lost: %w", err)
		}
		if j.Meta().Seq != r.m.seq() {
			return errors.New("a failed commit is shown in Meta")
		}
		if list, err := j.ReadOutbox(r.m.seq(), 1); len(list) != 0 {
			return fmt.Errorf("a failed commit is shown in the outbox: %v", err)
		}
		if err := r.crash(3, may...); err != nil {
			return err
		}
		if try == 2 {
			r.faults.lift()
		}
		if try == 4 {
			return fmt.Errorf("the disk is fine again, but: %w", err)
		}
		r.h.extend(b, r.m.seq())
	}
}

// crash checks, one time in odds, what a power loss at this moment would leave.
func (r *run) crash(odds int, want ...*model) error {
	if r.h.IntN(odds) != 0 {
		return nil
	}
	percent := []int{0, 50, 100}[r.h.IntN(3)]
	fs := r.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r.h.Rand})
	if err := reopened(fs, want...); err != nil {
		return fmt.Errorf("after a power loss with %d %% of what was not synced: %w", percent, err)
	}
	return nil
}

// TestEveryWriteMayFail fails single operations that change the disk, for one
// moment, for one moment and another soon after (while the store is being
// opened again), and until space returns. It demands that acknowledged batches
// are kept, refused ones are accepted later, and the outbox is exact. It takes a
// sample of the operations; SIMBIND_EXHAUSTIVE=1 takes all (some minutes).
func TestEveryWriteMayFail(t *testing.T) {
	const commits = 60
	whole := newRun(1)
	if err := whole.play(commits); err != nil {
		t.Fatal(err)
	}
	total := whole.faults.writes.Load()
	step := int64(47)
	if testing.Short() {
		step = 131
	}
	if os.Getenv("SIMBIND_EXHAUSTIVE") != "" {
		step = 1
	}
	failed, runs := 0, 0
	for n := range total {
		if n%step != 0 {
			continue
		}
		for _, m := range []mishap{undone, torn, done} {
			for _, last := range []string{"alone", "twice", "until lifted"} {
				r := newRun(uint64(n))
				r.fail(n, m, last)
				err := r.play(commits)
				if err == nil {
					err = reopened(r.disk, r.m)
				}
				if err != nil {
					t.Fatalf("%d %s, %s: %v", n, last, &r.faults, err)
				}
				failed += r.failed
				runs++
			}
		}
	}
	t.Logf("%d runs over %d writes, %d commits failed", runs, total, failed)
}

// fail chooses the operations that will fail, the first being number n.
func (r *run) fail(n int64, m mishap, last string) {
	r.faults.mishap = m
	r.faults.from.Store(n)
	r.faults.to.Store(n + 1)
	switch last {
	case "twice":
		r.faults.also.Store(n + 1 + r.h.Int64N(40))
	case "until lifted":
		r.faults.to.Store(1 << 60)
	}
}
