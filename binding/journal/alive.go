package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A heartbeat is the last moment at which the daemon was listening. Moments are
// numbered, because clocks are set back: the later one counts, not the larger.
type heartbeat struct {
	tick  uint64
	alive int64 // unix ms
}

// An aliveFile holds a heartbeat outside of Pebble, overwritten in place and
// not synced: the system keeps it when the process is killed (a log's
// unsynced tail would be lost), and after a power loss it is merely older.
type aliveFile struct {
	mu          sync.Mutex
	f           vfs.File
	incarnation string
	last        uint64 // tick that was written last
	buf         []byte
}

const (
	aliveName = "alive"
	aliveSize = 1 + incarnationSize + 8 + 8 + 4 // format, incarnation, tick, alive, CRC
)

func openAlive(fs vfs.FS, dir, incarnation string) (*aliveFile, heartbeat, error) {
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, aliveName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, heartbeat{}, fmt.Errorf("open %s: %w", aliveName, err)
	}
	a := &aliveFile{f: f, incarnation: incarnation, buf: make([]byte, 0, aliveSize)}
	beat, err := a.read()
	if err != nil {
		_ = f.Close()
		return nil, heartbeat{}, err
	}
	return a, beat, nil
}

// read returns zero for what is not a heartbeat of this journal.
func (a *aliveFile) read() (heartbeat, error) {
	b := make([]byte, aliveSize)
	if _, err := a.f.ReadAt(b, 0); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) {
			return heartbeat{}, nil
		}
		return heartbeat{}, fmt.Errorf("read %s: %w", aliveName, err)
	}
	body, sum := b[:aliveSize-4], binary.BigEndian.Uint32(b[aliveSize-4:])
	if b[0] != format || crc32.ChecksumIEEE(body) != sum || string(b[1:1+incarnationSize]) != a.incarnation {
		return heartbeat{}, nil
	}
	return heartbeat{
		tick:  binary.BigEndian.Uint64(b[1+incarnationSize:]),
		alive: int64(binary.BigEndian.Uint64(b[9+incarnationSize:])),
	}, nil
}

// write replaces the heartbeat, unless a later one was quicker.
func (a *aliveFile) write(beat heartbeat) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if beat.tick < a.last {
		return nil
	}
	a.last = beat.tick
	b := append(append(a.buf[:0], format), a.incarnation...)
	b = binary.BigEndian.AppendUint64(b, beat.tick)
	b = binary.BigEndian.AppendUint64(b, uint64(beat.alive))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if _, err := a.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write %s: %w", aliveName, err)
	}
	return nil
}

func (a *aliveFile) close() error { return a.f.Close() }
