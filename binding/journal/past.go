package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// A past is what a store remembers about the journal itself.
type past struct {
	incarnation string // empty: a fresh store
	seq         uint64 // last change
	beat        heartbeat
	trimmed     uint64
}

func readPast(db *pebble.DB) (past, error) {
	var p past
	err := readMeta(db, keyIncarnation, func(in *input) {
		p.incarnation = string(in.take(incarnationSize))
	})
	if err != nil {
		return p, fmt.Errorf("read incarnation: %w", err)
	}
	err = readMeta(db, keyState, func(in *input) {
		p.seq, p.beat.tick, p.beat.alive = in.uint(64), in.uint(64), in.int()
	})
	if err != nil {
		return p, fmt.Errorf("read state: %w", err)
	}
	err = readMeta(db, keyTrimmed, func(in *input) { p.trimmed = in.uint(64) })
	if err != nil {
		return p, fmt.Errorf("read outbox mark: %w", err)
	}
	return p, nil
}

// readMeta decodes one meta row; nothing is done if there is none.
func readMeta(db *pebble.DB, key []byte, decode func(*input)) error {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	in, err := openValue(value)
	if err != nil {
		return err
	}
	decode(&in)
	return in.close()
}

func appendState(b []byte, seq uint64, beat heartbeat) []byte {
	b = binary.AppendUvarint(append(b, format), seq)
	b = binary.AppendUvarint(b, beat.tick)
	return binary.AppendVarint(b, beat.alive)
}

func appendTrimmed(b []byte, upto uint64) []byte {
	return binary.AppendUvarint(append(b, format), upto)
}
