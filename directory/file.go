package directory

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/simbind/simbind/binding"
)

// MaxRows bounds an export.
const MaxRows = 200_000_000

// watchEvery is how often the file is looked at.
const watchEvery = 5 * time.Second

// A File is the source of an export: CSV or NDJSON, read again when it changes.
type File struct {
	path, format string
	log          *slog.Logger
	// Changed is called with each SIM whose number differs after the file was
	// read again. It may wait. Set before Run.
	Changed func(context.Context, binding.IMSI)
	// First is called when the file was read for the first time: until then
	// other sources were asked in its place. Set before Run.
	First func()

	table   atomic.Pointer[table]
	again   chan struct{}
	read    atomic.Int64 // unix ms
	problem atomic.Pointer[string]
	every   time.Duration
}

// NewFile makes the source. Run reads the file.
func NewFile(path, format string, log *slog.Logger) *File {
	f := &File{path: path, format: format, log: log, again: make(chan struct{}, 1), every: watchEvery}
	f.table.Store(&table{})
	return f
}

// Name implements Source.
func (f *File) Name() string { return "file" }

// Resolve implements Source. It does not block.
func (f *File) Resolve(_ context.Context, imsi binding.IMSI) (binding.MSISDN, error) {
	if m := f.table.Load().lookup(imsi); m != 0 {
		return m, nil
	}
	if f.read.Load() == 0 {
		return 0, fmt.Errorf("the export was not read yet")
	}
	return 0, ErrUnknown
}

// Reload has the file read again, changed or not. It does not block.
func (f *File) Reload() {
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// Rows is how many SIMs have a number, and how many have two and therefore none.
func (f *File) Rows() (rows, contradicts int) {
	t := f.table.Load()
	return len(t.rows), t.contradicts
}

// Read is when the present table was read; zero if there is none.
func (f *File) Read() time.Time {
	ms := f.read.Load()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Problem says why the file was not taken the last time, "" if it was.
func (f *File) Problem() string {
	if p := f.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// A stamp tells versions of a file apart.
type stamp struct {
	inode    uint64
	size     int64
	modified time.Time
}

// Run reads the file, and again whenever it has changed and then stayed the same
// for one look, until ctx ends.
func (f *File) Run(ctx context.Context) error {
	taken := f.load(ctx)
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	last := taken
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.again:
			taken = f.load(ctx)
			last = taken
		case <-tick.C:
			now := f.look()
			if now != taken && now == last {
				taken = f.load(ctx)
			}
			last = now
		}
	}
}

func (f *File) look() stamp {
	info, err := os.Stat(f.path)
	if err != nil {
		return stamp{}
	}
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// load replaces the table, if the file is good, and returns what version of it
// was looked at.
func (f *File) load(ctx context.Context) stamp {
	began := time.Now()
	before := f.look()
	next, err := f.readFile()
	if f.look() != before {
		err, before = fmt.Errorf("%s: it changed while it was read", f.path), stamp{}
	}
	if err != nil {
		text := err.Error()
		f.problem.Store(&text)
		in := "the former one"
		if f.read.Load() == 0 {
			in = "none"
		}
		f.log.Error("the export is not taken", "in_force", in, "err", err)
		return before
	}
	f.problem.Store(nil)
	old, first := f.table.Swap(next), f.read.Load() == 0
	f.read.Store(time.Now().UnixMilli())
	f.log.Info("the export was read", "file", f.path, "rows", len(next.rows), "contradictory", next.contradicts, "took", time.Since(began).Round(time.Millisecond))
	switch {
	case first && f.First != nil:
		f.First()
	case !first && f.Changed != nil:
		differences(old, next, func(imsi binding.IMSI) {
			if ctx.Err() == nil {
				f.Changed(ctx, imsi)
			}
		})
	}
	return before
}

func (f *File) readFile() (*table, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t, err := readTable(file, f.format, MaxRows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return t, nil
}
