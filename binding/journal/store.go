package journal

import (
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble's memory: memtables of 16 MiB, of which four may exist before writes
// wait, and the block cache. One lasts for about a second of 100 k rows/s.
const (
	memTableSize  = 16 << 20
	memTableCount = 4
)

// compactAt says when the tables of level 0 are merged into the next level: at
// half as many layers of them.
const compactAt = 16

// diskSlow is how long an operation of the disk may take before it counts as
// slow.
const diskSlow = 5 * time.Second

// A store is one opened Pebble database behind its breaker.
type store struct {
	db      *pebble.DB
	breaker *breaker
	health  io.Closer
}

// openStore opens or creates the database. It blocks while Pebble replays its
// log, at most memTableCount memtables.
func openStore(dir string, opt Options, lock *pebble.Lock, ev *events) (*store, error) {
	fs, health := vfs.WithDiskHealthChecks(opt.FS, diskSlow, nil, ev.diskSlow)
	b := newBreaker(fs, &ev.compactions)
	s := &store{breaker: b, health: health}
	o := pebbleOptions(opt)
	defer o.Cache.Unref()
	o.FS, o.Lock = b, lock
	o.Logger = pebbleLogger{ev, b}
	o.EventListener = ev.listener()
	db, err := pebble.Open(dir, o)
	s.db = db
	if cause := b.cause(); cause != nil {
		err = cause
	}
	if err != nil {
		_ = s.close() // the first error says more
		return nil, fmt.Errorf("open store: %w", err)
	}
	b.serving.Store(true)
	return s, nil
}

func pebbleOptions(opt Options) *pebble.Options {
	o := &pebble.Options{
		// Pebble charges memtables to the cache.
		Cache: pebble.NewCache(opt.CacheBytes + opt.memTable*memTableCount),
		// Named, so that a newer Pebble does not raise it unasked: there is no
		// way back.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		MemTableSize:                uint64(opt.memTable),
		MemTableStopWritesThreshold: memTableCount,
		MaxOpenFiles:                256,
		// Nothing is ever looked up by key, so overlapping tables in level 0 cost
		// little: they are merged rarely, many at a time, and never waited for.
		L0CompactionThreshold:      opt.compactAt,
		L0StopWritesThreshold:      1000,
		LBaseMaxBytes:              256 << 20,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
	}
	o.Levels[0].BlockSize = 32 << 10 // of all levels: rows are read in sequence
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 16 << 20
	}
	return o
}

// failed is why nothing that is written to the store can be relied on any
// more, or nil.
func (s *store) failed() error { return s.breaker.cause() }

// close closes the database. With a tripped breaker nothing is written, else
// memtables are, which the next start need not replay then.
func (s *store) close() error {
	s.breaker.release()
	var err error
	if s.db != nil {
		if s.failed() == nil {
			err = s.db.Flush()
		}
		if e := s.db.Close(); err == nil {
			err = e
		}
	}
	if cause := s.breaker.cause(); cause != nil {
		err = cause
	}
	_ = s.health.Close() // it only stops a clock
	return err
}
