package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A bucket of JetStream KV for each kind; its age bounds what a clock that is
// wrong could leave behind.
const maxLife = 10 * time.Minute

// remote is the backend that several processes share.
type remote struct {
	js       jetstream.JetStream
	prefix   string
	replicas int
	now      func() time.Time

	mu      sync.Mutex
	buckets map[Kind]jetstream.KeyValue
}

// NewNATS returns a Store that all processes with the same connection target
// and prefix share. Buckets are made at first use, in memory, with that many
// replicas; they are named prefix-kind.
func NewNATS(nc *nats.Conn, prefix string, replicas int, now func() time.Time) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("state in NATS: %w", err)
	}
	return &Store{now: now, backend: &remote{js: js, prefix: prefix, replicas: replicas, now: now, buckets: map[Kind]jetstream.KeyValue{}}}, nil
}

func (r *remote) bucket(ctx context.Context, k Kind) (jetstream.KeyValue, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kv := r.buckets[k]; kv != nil {
		return kv, nil
	}
	kv, err := r.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: r.prefix + "-" + string(k), Description: "simbind numverify", TTL: maxLife,
		Storage: jetstream.MemoryStorage, Replicas: r.replicas, MaxBytes: 256 << 20, MaxValueSize: 64 << 10,
	})
	if err != nil {
		return nil, fmt.Errorf("state in NATS: bucket for %s: %w", k, err)
	}
	r.buckets[k] = kv
	return kv, nil
}

// A value is its expiry (unix ms) and what was kept.
func (r *remote) add(ctx context.Context, k Kind, key string, value []byte, expires time.Time) (bool, error) {
	kv, err := r.bucket(ctx, k)
	if err != nil {
		return false, err
	}
	text := append(binary.BigEndian.AppendUint64(nil, uint64(expires.UnixMilli())), value...)
	_, err = kv.Create(ctx, key, text)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("state in NATS: %w", err)
	}
	return true, nil
}

// take reads, and then deletes the very revision that it read: of many who do
// so at once the server lets one.
func (r *remote) take(ctx context.Context, k Kind, key string) ([]byte, error) {
	kv, err := r.bucket(ctx, k)
	if err != nil {
		return nil, err
	}
	e, err := kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, ErrGone
	case err != nil:
		return nil, fmt.Errorf("state in NATS: %w", err)
	}
	var api *jetstream.APIError
	err = kv.Delete(ctx, key, jetstream.LastRevision(e.Revision()))
	switch {
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return nil, ErrGone
	case err != nil:
		return nil, fmt.Errorf("state in NATS: %w", err)
	}
	text := e.Value()
	if len(text) < 8 || r.now().UnixMilli() >= int64(binary.BigEndian.Uint64(text)) {
		return nil, ErrGone
	}
	return text[8:], nil
}
