package journal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The categories under which Pebble creates files of tables.
const (
	writesCompaction vfs.DiskWriteCategory = "pebble-compaction"
	writesBlobs      vfs.DiskWriteCategory = "pebble-blob-file-rewrite"
)

// rest is how long Pebble's background work pauses after an error. It would
// try again at once, for ever.
const rest = 5 * time.Second

// errNotYet stops compactions while the store is being opened: pebble.Open would
// wait for their end, which may take seconds.
var errNotYet = errors.New("not before the store is open")

// A breaker stands between one opened Pebble store and its disk. Writes pass
// until the first one fails. That trips it: from then on nothing reaches the
// disk, and Pebble is told that everything succeeded. The disk thus keeps the
// state of that instant, as after a power failure, which is what Pebble's
// recovery is made for; and Pebble never meets an error that it answers by
// ending the process. Whoever reports a write as durable must have seen,
// afterwards, that the breaker has not tripped.
//
// Three kinds of errors reach Pebble as they are: those of reads, those of
// removals of obsolete files, and those of writing compactions, which Pebble
// gives up and repeats while commits go on.
//
// The argument in full. An operation that starts after the trip is dropped,
// including renames and removals, so nothing on disk can depend on what is not
// there. An operation in flight at the trip was issued by Pebble without
// knowledge of the failed one's result, so in a real crash it might as well have
// been completed. TestEveryWriteMayFail fails each single operation of a
// history.
type breaker struct {
	vfs.FS
	serving  atomic.Bool   // the store is open
	released chan struct{} // closed when the store is to be closed
	once     sync.Once
	err      atomic.Pointer[error]

	failures  *atomic.Uint64 // of compactions
	restUntil atomic.Int64   // unix ns, no compaction starts before
}

func newBreaker(fs vfs.FS, failures *atomic.Uint64) *breaker {
	return &breaker{FS: fs, failures: failures, released: make(chan struct{})}
}

// cause is the error that tripped the breaker, or nil.
func (b *breaker) cause() error {
	if p := b.err.Load(); p != nil {
		return *p
	}
	return nil
}

// trip stops all further writes.
func (b *breaker) trip(op, name string, err error) {
	b.once.Do(func() {
		err := fmt.Errorf("%s %s: %w", op, b.FS.PathBase(name), err)
		b.err.Store(&err)
	})
}

// tripped reports whether writes are being dropped.
func (b *breaker) tripped() bool { return b.err.Load() != nil }

// release ends every rest: the store is to be closed.
func (b *breaker) release() { close(b.released) }

// write does one operation that changes the disk, unless tripped.
func (b *breaker) write(op, name string, do func() error) {
	if b.tripped() {
		return
	}
	if err := do(); err != nil {
		b.trip(op, name, err)
	}
}

// open does one operation that yields a file to write to. If it fails, or no
// longer may be done, it yields a file that swallows everything.
func (b *breaker) open(op, name string, c vfs.DiskWriteCategory, do func() (vfs.File, error)) (vfs.File, error) {
	if c == writesCompaction || c == writesBlobs {
		return b.openCompaction(name, do)
	}
	if !b.tripped() {
		f, err := do()
		if err == nil {
			return &guardedFile{File: f, b: b, name: name}, nil
		}
		b.trip(op, name, err)
	}
	return &guardedFile{File: &hollowFile{name: name}, b: b, name: name}, nil
}

func (b *breaker) openCompaction(name string, do func() (vfs.File, error)) (vfs.File, error) {
	if !b.serving.Load() {
		return nil, errNotYet
	}
	b.pause()
	if err := b.cause(); err != nil {
		return nil, err
	}
	f, err := do()
	if err != nil {
		return nil, b.compactionFailed(err)
	}
	return &guardedFile{File: f, b: b, name: name, compaction: true}, nil
}

// pause waits, if work in the background is to rest. It does not while the
// store is being opened, which may wait for that work.
func (b *breaker) pause() {
	d := time.Until(time.Unix(0, b.restUntil.Load()))
	if b.tripped() {
		d = rest
	}
	if d <= 0 || !b.serving.Load() {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.released:
	}
}

func (b *breaker) compactionFailed(err error) error {
	b.failures.Add(1)
	b.restUntil.Store(time.Now().Add(rest).UnixNano())
	return err
}

// Open implements vfs.FS. Compactions and statistics ask again and again for a
// table that could not be written.
func (b *breaker) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.Open(name, opts...)
	if err != nil && b.tripped() && strings.HasSuffix(name, ".sst") {
		b.pause()
	}
	return f, err
}

// markerOfManifest starts the name of the file that says which MANIFEST counts.
const markerOfManifest = "marker.manifest."

// Create implements vfs.FS. What a marker names is durable before it: Pebble
// syncs the directory only after both, which a trip in between would drop, and a
// power failure may then keep the one and lose the other.
func (b *breaker) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return b.open("create", name, c, func() (vfs.File, error) {
		if strings.HasPrefix(b.FS.PathBase(name), markerOfManifest) {
			if err := syncDir(b.FS, b.FS.PathDir(name)); err != nil {
				return nil, err
			}
		}
		return b.FS.Create(name, c)
	})
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

// OpenReadWrite implements vfs.FS.
func (b *breaker) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return b.open("open", name, c, func() (vfs.File, error) { return b.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (b *breaker) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return b.open("reuse", name, c, func() (vfs.File, error) { return b.FS.ReuseForWrite(old, name, c) })
}

// OpenDir implements vfs.FS: a directory is opened to be synced.
func (b *breaker) OpenDir(name string) (vfs.File, error) {
	return b.open("open", name, vfs.WriteCategoryUnspecified, func() (vfs.File, error) { return b.FS.OpenDir(name) })
}

// Link implements vfs.FS.
func (b *breaker) Link(old, name string) error {
	b.write("link", name, func() error { return b.FS.Link(old, name) })
	return nil
}

// Rename implements vfs.FS.
func (b *breaker) Rename(old, name string) error {
	b.write("rename", name, func() error { return b.FS.Rename(old, name) })
	return nil
}

// MkdirAll implements vfs.FS.
func (b *breaker) MkdirAll(dir string, perm os.FileMode) error {
	b.write("mkdir", dir, func() error { return b.FS.MkdirAll(dir, perm) })
	return nil
}

// Remove implements vfs.FS. A file that cannot be removed harms nothing.
func (b *breaker) Remove(name string) error {
	if b.tripped() {
		return nil
	}
	return b.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (b *breaker) RemoveAll(name string) error {
	if b.tripped() {
		return nil
	}
	return b.FS.RemoveAll(name)
}

// Unwrap implements vfs.FS.
func (b *breaker) Unwrap() vfs.FS { return b.FS }
