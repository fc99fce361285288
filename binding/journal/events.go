package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/time/rate"
)

// quiet is the least time between two log lines of one kind of trouble.
const quiet = 30 * time.Second

// events hears what Pebble does in the background, counts it, and logs what an
// operator must act on. It outlives the store.
type events struct {
	log *slog.Logger

	slow        atomic.Uint64
	stalls      atomic.Uint64
	stallStart  atomic.Int64 // unix ns, zero if not stalled
	stallNanos  atomic.Int64
	background  atomic.Uint64
	compactions atomic.Uint64 // that failed
	corruptions atomic.Uint64

	sayError, saySlow, saySpace rate.Sometimes
}

func newEvents(log *slog.Logger) *events {
	e := &events{log: log}
	for _, s := range []*rate.Sometimes{&e.sayError, &e.saySlow, &e.saySpace} {
		s.First, s.Interval = 1, quiet
	}
	return e
}

func (e *events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: e.backgroundError,
		DataCorruption:  e.corruption,
		DiskSlow:        e.diskSlow,
		LowDiskSpace:    e.lowSpace,
		WriteStallBegin: e.stallBegin,
		WriteStallEnd:   e.stallEnd,
	}
}

func (e *events) backgroundError(err error) {
	if errors.Is(err, errNotYet) {
		return
	}
	e.background.Add(1)
	e.sayError.Do(func() { e.log.Warn("journal: background work", "err", err) })
}

// corruption is told about stored data that cannot be read any more. Commits
// go on; the next Load stops there, and the daemon has to start with an empty
// directory then.
func (e *events) corruption(info pebble.DataCorruptionInfo) {
	e.corruptions.Add(1)
	e.log.Error("journal: stored data is corrupt; the next start will not load it", "file", info.Path, "err", info.Details)
}

func (e *events) diskSlow(info vfs.DiskSlowInfo) {
	e.slow.Add(1)
	e.saySlow.Do(func() {
		e.log.Warn("journal: disk is slow", "operation", info.OpType.String(), "file", info.Path, "duration", info.Duration)
	})
}

func (e *events) lowSpace(info pebble.LowDiskSpaceInfo) {
	e.saySpace.Do(func() {
		e.log.Warn("journal: disk space is low", "available", info.AvailBytes, "total", info.TotalBytes)
	})
}

func (e *events) stallBegin(pebble.WriteStallBeginInfo) {
	e.stalls.Add(1)
	e.stallStart.Store(time.Now().UnixNano())
}

func (e *events) stallEnd() {
	if start := e.stallStart.Swap(0); start != 0 {
		e.stallNanos.Add(time.Now().UnixNano() - start)
	}
}

// stalled is for how long commits have waited so far.
func (e *events) stalled() time.Duration {
	total := e.stallNanos.Load()
	if start := e.stallStart.Load(); start != 0 {
		total += time.Now().UnixNano() - start
	}
	return time.Duration(total)
}

// A pebbleLogger is what Pebble calls with prose. It never ends the process:
// Fatalf trips the breaker, so that nothing is committed any more.
type pebbleLogger struct {
	ev      *events
	breaker *breaker
}

func (l pebbleLogger) Infof(string, ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.ev.backgroundError(fmt.Errorf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	if l.breaker.tripped() {
		return // a consequence of what was dropped
	}
	err := fmt.Errorf(format, args...)
	l.breaker.trip("run", "pebble", err)
	l.ev.backgroundError(err)
}
