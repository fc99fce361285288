package journal

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// reserve is how much space beyond the log must be free before the store is
// opened again.
const reserve = 16 << 20

// reopen replaces a failed store. It must hold mu. It waits for readers that
// are already at work, but not for a Load, which goes on reading the old store.
func (j *Journal) reopen() (*store, error) {
	if j.store != nil && j.loads.Load() != 0 {
		return nil, fmt.Errorf("%w: %w", errDown, j.store.failed())
	}
	j.life.Lock()
	defer j.life.Unlock()
	if j.store != nil {
		j.cause = j.store.failed()
		_ = j.store.close() // it is being replaced because it failed
		j.store = nil
	}
	if err := probe(j.opt.FS, j.dir, j.opt.memTable*memTableCount); err != nil {
		return nil, fmt.Errorf("%w: %w", errDown, err)
	}
	s, err := openStore(j.dir, j.opt, j.lock, j.ev)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDown, err)
	}
	if err := j.check(s); err != nil {
		_ = s.close() // the first error says more
		return nil, fmt.Errorf("%w: %w", errDown, err)
	}
	j.store = s
	j.counts.reopens.Add(1)
	j.signal() // the outbox could not be read meanwhile
	j.opt.Log.Warn("journal: store had to be opened again", "err", j.cause)
	return s, nil
}

// check makes sure that the store holds everything that was acknowledged.
func (j *Journal) check(s *store) error {
	p, err := readPast(s.db)
	if err != nil {
		return err
	}
	if p.incarnation != j.incarnation || p.seq < j.committed.Load() || p.beat.tick < j.tick {
		return fmt.Errorf("%w: incarnation %q with change %d, expected %q with %d",
			ErrLost, p.incarnation, p.seq, j.incarnation, j.committed.Load())
	}
	return nil
}

// probe reports that the disk does not take what opening the store needs: the
// log's content, memory bytes at most, goes to tables. A store that cannot be
// opened leaves files behind at every attempt, the probe leaves none.
func probe(fs vfs.FS, dir string, memory int64) error {
	const name = "probe.tmp"
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	err = f.Preallocate(0, min(logBytes(fs, dir), memory)+reserve)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		// There is room, or the file system cannot tell.
		if _, err = f.Write(make([]byte, 4096)); err == nil {
			err = f.Sync()
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	_ = fs.Remove(path) // or the next probe replaces it
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// logBytes is the size of Pebble's log files.
func logBytes(fs vfs.FS, dir string) int64 {
	names, err := fs.List(dir)
	if err != nil {
		return 0 // opening will say why
	}
	var sum int64
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		if info, err := fs.Stat(fs.PathJoin(dir, name)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}
