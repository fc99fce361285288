package state

import (
	"context"
	"sync"
	"time"
)

// maxKept bounds each kind in memory: a hundred thousand authorizations in
// flight are more than one process answers within a code's life.
const maxKept = 100_000

type entry struct {
	value   []byte
	expires time.Time
}

// memory is the backend of one process.
type memory struct {
	now   func() time.Time
	limit int

	mu   sync.Mutex
	kept map[Kind]map[string]entry
	next map[Kind]time.Time // when it is worth looking for what has expired
}

// NewMemory returns a Store for one process. What it keeps ends with the
// process.
func NewMemory(now func() time.Time) *Store {
	return &Store{now: now, backend: &memory{now: now, limit: maxKept, kept: map[Kind]map[string]entry{}, next: map[Kind]time.Time{}}}
}

func (m *memory) add(_ context.Context, k Kind, key string, value []byte, expires time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	list := m.kept[k]
	if list == nil {
		list = map[string]entry{}
		m.kept[k] = list
	}
	if now.After(m.next[k]) || len(list) >= m.limit {
		for key, e := range list {
			if !now.Before(e.expires) {
				delete(list, key)
			}
		}
		m.next[k] = now.Add(time.Second)
	}
	if e, taken := list[key]; taken && now.Before(e.expires) {
		return false, nil
	}
	if len(list) >= m.limit {
		return false, ErrFull
	}
	list[key] = entry{value, expires}
	return true, nil
}

func (m *memory) take(_ context.Context, k Kind, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.kept[k][key]
	delete(m.kept[k], key)
	if !ok || !m.now().Before(e.expires) {
		return nil, ErrGone
	}
	return e.value, nil
}
