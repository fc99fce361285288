package journal

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/simbind/simbind/binding"
)

var (
	// ErrLocked reports a data directory that another daemon uses.
	ErrLocked = errors.New("in use by another process")
	// ErrClosed reports a call after Close, or one that Close interrupted.
	ErrClosed = errors.New("journal is closed")
	// ErrLost reports that the store, opened again after a failed write, has
	// forgotten what it had acknowledged. Nothing is committed any more.
	ErrLost = errors.New("store has lost committed changes")
	// errDown says that the store has failed and is not open again yet.
	errDown = errors.New("journal is down")
)

// Options tune a Journal. The zero value is good.
type Options struct {
	// CacheBytes bounds Pebble's block cache; zero means 16 MiB. Memtables take
	// up to 80 MiB besides.
	CacheBytes int64
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Log hears about trouble in the background, never about commits; nil
	// means slog.Default.
	Log *slog.Logger

	// Tests make these small, see store.go.
	memTable  int64
	compactAt int
}

// incarnationSize is the length of an incarnation's name, in hexadecimal
// digits.
const incarnationSize = 16

// A Journal implements binding.Journal and keeps the outbox of the feed. Commit
// is called from one goroutine; everything else may be called from any.
type Journal struct {
	// Set by Open, then read-only.
	dir         string
	opt         Options
	ev          *events
	lock        *pebble.Lock
	alive       *aliveFile
	incarnation string
	notify      chan struct{}

	// life guards the store: held shared to use it, exclusively to replace it.
	// The store is nil while it cannot be opened.
	life  sync.RWMutex
	store *store
	loads atomic.Int32 // Loads in progress

	// mu serializes Commit and Close.
	mu     sync.Mutex
	w      writer
	tick   uint64 // of the newest acknowledged commit
	unsure bool   // the disk may hold a batch whose Commit returned an error
	cause  error  // why the store was last closed

	// trimMu serializes TrimOutbox.
	trimMu sync.Mutex
	swept  uint64 // changes up to here are deleted, not just forgotten

	beatMu sync.Mutex
	beat   heartbeat // the newest that is recorded
	ticks  uint64    // how many were numbered

	committed atomic.Uint64 // number of the last acknowledged change
	trimmed   atomic.Uint64 // changes up to here are forgotten
	closing   atomic.Bool
	counts    counts

	committing atomic.Bool // a Commit is in progress
	failing    atomic.Bool // the newest Commit returned an error
}

// Open opens the journal in dir, which is created with mode 0750 if needed. A
// fresh journal gets a random incarnation. It blocks for Pebble's recovery, a
// second at most as a rule, and returns ErrLocked if another process has the
// directory.
func Open(dir string, opt Options) (*Journal, error) {
	if opt.CacheBytes <= 0 {
		opt.CacheBytes = 16 << 20
	}
	if opt.memTable == 0 {
		opt.memTable, opt.compactAt = memTableSize, compactAt
	}
	if opt.FS == nil {
		opt.FS = vfs.Default
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	j := &Journal{dir: dir, opt: opt, ev: newEvents(opt.Log), notify: make(chan struct{}, 1)}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("journal %s: %w", dir, err)
	}
	return j, nil
}

func (j *Journal) open() (err error) {
	if err := j.opt.FS.MkdirAll(j.dir, 0o750); err != nil {
		return err
	}
	if j.lock, err = lockDir(j.opt.FS, j.dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = j.lock.Close() // the first error says more
		}
	}()
	s, err := openStore(j.dir, j.opt, j.lock, j.ev)
	if err != nil {
		return err
	}
	if err := j.begin(s); err != nil {
		_ = s.close() // the first error says more
		return err
	}
	j.store = s
	return nil
}

func lockDir(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES), err.Error() == "lock held by current process":
		return nil, ErrLocked
	}
	return nil, fmt.Errorf("lock: %w", err)
}

// begin takes over what the store remembers.
func (j *Journal) begin(s *store) error {
	past, err := readPast(s.db)
	if err != nil {
		return err
	}
	if past.incarnation == "" {
		if past.incarnation, err = newIncarnation(s); err != nil {
			return err
		}
	}
	j.incarnation = past.incarnation
	alive, beat, err := openAlive(j.opt.FS, j.dir, j.incarnation)
	if err != nil {
		return err
	}
	j.alive = alive
	if past.beat.tick > beat.tick {
		beat = past.beat
	}
	j.beat, j.ticks, j.tick = beat, beat.tick, past.beat.tick
	j.committed.Store(past.seq)
	j.trimmed.Store(past.trimmed)
	return nil
}

// newIncarnation names a fresh journal. It refuses a database that has rows:
// that is not a fresh one.
func newIncarnation(s *store) (string, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return "", fmt.Errorf("read incarnation: %w", err)
	}
	empty := !it.First()
	if err := it.Close(); err != nil {
		return "", fmt.Errorf("read incarnation: %w", err)
	}
	if !empty {
		return "", fmt.Errorf("read incarnation: %w", errMalformed)
	}
	var raw [incarnationSize / 2]byte
	_, _ = rand.Read(raw[:]) // never fails
	name := hex.EncodeToString(raw[:])
	err = s.db.Set(keyIncarnation, append([]byte{format}, name...), pebble.Sync)
	if cause := s.failed(); cause != nil {
		err = cause
	}
	if err != nil {
		return "", fmt.Errorf("write incarnation: %w", err)
	}
	return name, nil
}

// Close waits for calls in progress, of which it interrupts Load, and closes
// the store. Every later call returns ErrClosed.
func (j *Journal) Close() error {
	if j.closing.Swap(true) {
		return ErrClosed
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.life.Lock()
	defer j.life.Unlock()
	var err error
	if j.store != nil {
		err = j.store.close()
		j.store = nil
	}
	err = errors.Join(err, j.alive.close(), j.lock.Close())
	if err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// Meta tells what the journal knows about its own past. It reflects every
// Commit and Touch that returned nil.
func (j *Journal) Meta() binding.JournalMeta {
	j.beatMu.Lock()
	beat := j.beat
	j.beatMu.Unlock()
	m := binding.JournalMeta{Incarnation: j.incarnation, Seq: j.committed.Load()}
	if beat.tick != 0 {
		m.Alive = time.UnixMilli(beat.alive).UTC()
	}
	return m
}

// Touch records that the daemon was listening at this moment (unix ms). It
// survives the process being killed; a power loss may bring back an earlier
// moment. It never waits for the disk to sync nor for a Commit.
//
// A daemon that hears but cannot remember was not listening, or a restart
// would trust bindings whose end it refused to hear (rule T12): after a failed
// Commit Touch records nothing and returns an error until one succeeds, and
// while a Commit is in progress it leaves the recording to that.
func (j *Journal) Touch(alive int64) error {
	switch {
	case j.closing.Load():
		return ErrClosed
	case j.failing.Load():
		return fmt.Errorf("touch: %w", errDown)
	case j.committing.Load():
		return nil
	}
	beat := heartbeat{j.nextTick(), alive}
	if err := j.alive.write(beat); err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	j.recorded(beat)
	return nil
}

// nextTick numbers a heartbeat that is to be recorded.
func (j *Journal) nextTick() uint64 {
	j.beatMu.Lock()
	defer j.beatMu.Unlock()
	j.ticks++
	return j.ticks
}

// recorded makes a heartbeat the newest, unless a later one was quicker.
func (j *Journal) recorded(beat heartbeat) {
	j.beatMu.Lock()
	defer j.beatMu.Unlock()
	if beat.tick > j.beat.tick {
		j.beat = beat
	}
}

// use gives f the store. While the store is down, or closed, it fails.
func (j *Journal) use(f func(*store) error) error {
	j.life.RLock()
	defer j.life.RUnlock()
	switch {
	case j.closing.Load():
		return ErrClosed
	case j.store == nil:
		return errDown
	}
	if err := j.store.failed(); err != nil {
		return fmt.Errorf("%w: %w", errDown, err)
	}
	return f(j.store)
}
