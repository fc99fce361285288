package journal

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestTrippedBreakerKeepsTheDisk(t *testing.T) {
	disk := vfs.NewMem()
	writeFile(t, disk, "old", []byte("old"))
	b := newBreaker(disk, new(atomic.Uint64))
	before, err := b.Create("before", "pebble-wal")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := before.Write([]byte("1")); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b.trip("write", "dir/000001.log", syscall.ENOSPC)
	b.trip("sync", "dir/000002.log", syscall.EIO)
	if err := b.cause(); !errors.Is(err, syscall.ENOSPC) || err.Error() != "write 000001.log: no space left on device" {
		t.Errorf("the first error is the cause, not %v", err)
	}

	after, err := b.Create("after", "pebble-wal")
	if err != nil {
		t.Fatal(err)
	}
	reused, err := b.ReuseForWrite("old", "new", "pebble-wal")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []vfs.File{before, after, reused} {
		if n, err := f.Write([]byte("23")); n != 2 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		_, to := f.SyncTo(1)
		_, stat := f.Stat()
		if err := errors.Join(to, stat, f.Preallocate(0, 1), f.Sync(), f.SyncData(), f.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(b.Remove("old"), b.RemoveAll("old"), b.Rename("old", "x"), b.Link("old", "y"), b.MkdirAll("z", 0o700)); err != nil {
		t.Error(err)
	}
	if names, _ := disk.List("/"); len(names) != 2 {
		t.Errorf("the disk has %v", names)
	}
	if got := string(readFile(t, disk, "before")); got != "1" {
		t.Errorf("the file holds %q", got)
	}
}

func TestCompactionsHearOfErrors(t *testing.T) {
	f := &faults{}
	var failures atomic.Uint64
	b := newBreaker(f.wrap(vfs.NewMem()), &failures)
	if _, err := b.Create("1.sst", writesCompaction); !errors.Is(err, errNotYet) {
		t.Errorf("while the store is being opened: %v", err)
	}
	b.serving.Store(true)
	file, err := b.Create("1.sst", writesCompaction)
	if err != nil {
		t.Fatal(err)
	}
	f.arm(nil)
	_, write := file.Write([]byte("1"))
	for _, err := range []error{write, file.Sync(), file.SyncData(), file.Close()} {
		if !isInjected(err) {
			t.Errorf("got %v", err)
		}
	}
	if b.tripped() || failures.Load() != 4 {
		t.Errorf("tripped: %v, %d errors", b.cause(), failures.Load())
	}
}

func TestBackgroundWorkRestsAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		b := newBreaker(vfs.NewMem(), new(atomic.Uint64))
		compaction := func() { _, _ = b.Create("1.sst", writesCompaction) }
		flush := func() { _, _ = b.Create("2.sst", "pebble-memtable-flush") }
		missing := func() {
			if _, err := b.Open("3.sst"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v", err)
			}
		}
		if d := took(compaction) + took(missing); d != 0 {
			t.Errorf("without an error: waited %v", d)
		}
		_ = b.compactionFailed(syscall.ENOSPC)
		if d := took(compaction) + took(missing); d != 0 {
			t.Errorf("while the store is being opened: waited %v", d)
		}
		b.serving.Store(true)
		if d := took(compaction); d != rest {
			t.Errorf("a compaction after one that failed waited %v", d)
		}
		if d := took(compaction) + took(flush); d != 0 {
			t.Errorf("later, or a flush: waited %v", d)
		}
		b.trip("write", "1.log", syscall.ENOSPC)
		if d := took(flush); d != 0 {
			t.Errorf("a flush, for which a commit may wait, waited %v", d)
		}
		if d := took(compaction) + took(missing); d != 2*rest {
			t.Errorf("in a failed store: waited %v", d)
		}
		time.AfterFunc(time.Second, b.release)
		if d := took(compaction) + took(missing); d != time.Second {
			t.Errorf("in a store that is closed: waited %v", d)
		}
	})
}
