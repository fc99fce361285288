package journal

import (
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A guardedFile is a file that Pebble writes through a breaker.
type guardedFile struct {
	vfs.File
	b          *breaker
	name       string
	compaction bool // its errors are Pebble's to handle
}

// guard decides what Pebble hears about an error of this file.
func (f *guardedFile) guard(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case f.compaction:
		return f.b.compactionFailed(err)
	default:
		f.b.trip(op, f.name, err)
		return nil
	}
}

// dropped reports whether a write is no longer done, and what Pebble hears of
// it.
func (f *guardedFile) dropped() (bool, error) {
	err := f.b.cause()
	if err == nil || f.compaction {
		return err != nil, err
	}
	return true, nil
}

func (f *guardedFile) Write(p []byte) (int, error) {
	if drop, err := f.dropped(); drop {
		return len(p), err
	}
	n, err := f.File.Write(p)
	if err = f.guard("write", err); err != nil {
		return n, err
	}
	return len(p), nil
}

func (f *guardedFile) WriteAt(p []byte, off int64) (int, error) {
	if drop, err := f.dropped(); drop {
		return len(p), err
	}
	n, err := f.File.WriteAt(p, off)
	if err = f.guard("write", err); err != nil {
		return n, err
	}
	return len(p), nil
}

// Preallocate is an optimization whose failure Pebble ignores.
func (f *guardedFile) Preallocate(off, n int64) error {
	if drop, err := f.dropped(); drop {
		return err
	}
	return f.File.Preallocate(off, n)
}

func (f *guardedFile) Sync() error {
	if drop, err := f.dropped(); drop {
		return err
	}
	return f.guard("sync", f.File.Sync())
}

func (f *guardedFile) SyncData() error {
	if drop, err := f.dropped(); drop {
		return err
	}
	return f.guard("sync", f.File.SyncData())
}

func (f *guardedFile) SyncTo(n int64) (bool, error) {
	if drop, err := f.dropped(); drop {
		return true, err
	}
	full, err := f.File.SyncTo(n)
	return full, f.guard("sync", err)
}

// Close closes the file in any case.
func (f *guardedFile) Close() error {
	return f.guard("close", f.File.Close())
}

// Stat of a file that could not be made tells what it would be.
func (f *guardedFile) Stat() (vfs.FileInfo, error) { return f.File.Stat() }

// A hollowFile swallows what is written to it.
type hollowFile struct {
	vfs.File // nil: reads never come
	name     string
}

func (f *hollowFile) Write(p []byte) (int, error)               { return len(p), nil }
func (f *hollowFile) Close() error                              { return nil }
func (f *hollowFile) Fd() uintptr                               { return vfs.InvalidFd }
func (f *hollowFile) Stat() (vfs.FileInfo, error)               { return hollowInfo{f}, nil }
func (f *hollowFile) Read([]byte) (int, error)                  { return 0, fs.ErrNotExist }
func (f *hollowFile) ReadAt([]byte, int64) (int, error)         { return 0, fs.ErrNotExist }
func (f *hollowFile) Prefetch(offset int64, length int64) error { return nil }

type hollowInfo struct{ f *hollowFile }

func (i hollowInfo) Name() string           { return i.f.name }
func (i hollowInfo) Size() int64            { return 0 }
func (i hollowInfo) Mode() fs.FileMode      { return 0o600 }
func (i hollowInfo) ModTime() time.Time     { return time.Time{} }
func (i hollowInfo) IsDir() bool            { return false }
func (i hollowInfo) Sys() any               { return nil }
func (i hollowInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
