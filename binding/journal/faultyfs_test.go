package journal

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A mishap is how an operation fails.
type mishap int

const (
	undone mishap = iota // nothing happened
	torn                 // half of the bytes arrived; of others, nothing
	done                 // it was done, and yet an error is reported
)

// faults numbers the operations that change a file system and fails some of
// them. (Pebble's errorfs does not see writes to recycled logs.)
type faults struct {
	mishap   mishap
	from, to atomic.Int64                     // those that fail: from ≤ number < to
	also     atomic.Int64                     // and this one, if set
	match    func(op, name string) bool       // and only these, if set
	writes   atomic.Int64                     // operations so far
	last     atomic.Pointer[string]           // the last one that failed
	category func(vfs.DiskWriteCategory) bool // if set: only files of these categories
}

func (f *faults) wrap(fs vfs.FS) vfs.FS { return &faultyFS{FS: fs, f: f} }

func (f *faults) lift() {
	f.to.Store(0)
	f.also.Store(0)
}

func (f *faults) String() string {
	if s := f.last.Load(); s != nil {
		return *s
	}
	return "nothing failed"
}

// fails decides about the next operation.
func (f *faults) fails(op, name string) bool {
	n := f.writes.Add(1) - 1
	if (n < f.from.Load() || n >= f.to.Load()) && (f.also.Load() == 0 || n != f.also.Load()) || f.match != nil && !f.match(op, name) {
		return false
	}
	s := fmt.Sprintf("write %d: %s %s (mishap %d)", n, op, name, f.mishap)
	f.last.Store(&s)
	return true
}

// do does one operation, or not.
func (f *faults) do(op, name string, real func() error) error {
	if !f.fails(op, name) {
		return real()
	}
	if f.mishap == done {
		_ = real()
	}
	return &os.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
}

type faultyFS struct {
	vfs.FS
	f *faults
}

func (fs *faultyFS) file(op, name string, c vfs.DiskWriteCategory, open func() (vfs.File, error)) (vfs.File, error) {
	if fs.f.category != nil && !fs.f.category(c) {
		return open()
	}
	var file vfs.File
	err := fs.f.do(op, name, func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		if file != nil {
			_ = file.Close()
		}
		return nil, err
	}
	return &faultyFile{File: file, f: fs.f, name: name}, nil
}

func (fs *faultyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file("create", name, c, func() (vfs.File, error) { return fs.FS.Create(name, c) })
}

func (fs *faultyFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.file("open", name, c, func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, c, opts...) })
}

func (fs *faultyFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file("reuse", name, c, func() (vfs.File, error) { return fs.FS.ReuseForWrite(old, name, c) })
}

func (fs *faultyFS) OpenDir(name string) (vfs.File, error) {
	return fs.file("opendir", name, "", func() (vfs.File, error) { return fs.FS.OpenDir(name) })
}

func (fs *faultyFS) Remove(name string) error {
	return fs.f.do("remove", name, func() error { return fs.FS.Remove(name) })
}

func (fs *faultyFS) Rename(old, name string) error {
	return fs.f.do("rename", name, func() error { return fs.FS.Rename(old, name) })
}

func (fs *faultyFS) Link(old, name string) error {
	return fs.f.do("link", name, func() error { return fs.FS.Link(old, name) })
}

func (fs *faultyFS) MkdirAll(name string, perm os.FileMode) error {
	return fs.f.do("mkdir", name, func() error { return fs.FS.MkdirAll(name, perm) })
}

func (fs *faultyFS) Unwrap() vfs.FS { return fs.FS }

type faultyFile struct {
	vfs.File
	f    *faults
	name string
}

func (f *faultyFile) Write(p []byte) (n int, err error) {
	if !f.f.fails("write", f.name) {
		return f.File.Write(p)
	}
	switch f.f.mishap {
	case torn:
		n, _ = f.File.Write(p[:len(p)/2])
	case done:
		n, _ = f.File.Write(p)
	}
	return n, syscall.ENOSPC
}

func (f *faultyFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.f.do("writeat", f.name, func() error {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f *faultyFile) Preallocate(off, n int64) error {
	return f.f.do("preallocate", f.name, func() error { return f.File.Preallocate(off, n) })
}

func (f *faultyFile) Sync() error {
	return f.f.do("sync", f.name, f.File.Sync)
}

func (f *faultyFile) SyncData() error {
	return f.f.do("sync", f.name, f.File.SyncData)
}

func (f *faultyFile) SyncTo(n int64) (full bool, err error) {
	err = f.f.do("sync", f.name, func() error {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full, err
}

// Close always closes; the error it reports may be one of an earlier write.
func (f *faultyFile) Close() error {
	err := f.File.Close()
	if f.f.fails("close", f.name) {
		return syscall.EIO
	}
	return err
}
