package pairing

import "time"

// A Table holds values by key, the oldest first to go. It is owned by one
// goroutine.
type Table[K comparable, V any] struct {
	capacity int
	patience time.Duration
	gone     func(K, *V)
	byKey    map[K]*entry[K, V]
	// The ends of the list of all entries, in the order of Put.
	oldest, newest *entry[K, V]
	free           *entry[K, V] // linked by younger
}

type entry[K comparable, V any] struct {
	key            K
	value          V
	since          time.Time
	older, younger *entry[K, V]
}

// New makes a Table of at most capacity values, each kept for at most patience.
// gone is told of each value that had to go for age or for room; it may be nil.
func New[K comparable, V any](capacity int, patience time.Duration, gone func(K, *V)) *Table[K, V] {
	return &Table[K, V]{capacity: max(capacity, 1), patience: patience, gone: gone, byKey: map[K]*entry[K, V]{}}
}

// Len is how many values there are.
func (t *Table[K, V]) Len() int { return len(t.byKey) }

// Put keeps a value, in place of one with the same key, and returns where it
// is. Where there is no room the oldest value goes.
func (t *Table[K, V]) Put(now time.Time, key K, value V) *V {
	t.Delete(key)
	if len(t.byKey) >= t.capacity {
		t.drop(t.oldest)
	}
	e := t.free
	if e == nil {
		e = &entry[K, V]{}
	} else {
		t.free = e.younger
	}
	*e = entry[K, V]{key: key, value: value, since: now, older: t.newest}
	if t.newest != nil {
		t.newest.younger = e
	} else {
		t.oldest = e
	}
	t.newest, t.byKey[key] = e, e
	return &e.value
}

// Get is the value of a key, or nil. It may be changed in place; it is valid
// until the next Put, Delete or Expire.
func (t *Table[K, V]) Get(key K) *V {
	if e := t.byKey[key]; e != nil {
		return &e.value
	}
	return nil
}

// Delete forgets a value, if there is one, without telling gone.
func (t *Table[K, V]) Delete(key K) {
	if e := t.byKey[key]; e != nil {
		t.unlink(e)
	}
}

// Expire lets go of what has been kept for too long.
func (t *Table[K, V]) Expire(now time.Time) {
	for t.oldest != nil && now.Sub(t.oldest.since) >= t.patience {
		t.drop(t.oldest)
	}
}

func (t *Table[K, V]) drop(e *entry[K, V]) {
	if t.gone != nil {
		t.gone(e.key, &e.value)
	}
	t.unlink(e)
}

func (t *Table[K, V]) unlink(e *entry[K, V]) {
	if e.older != nil {
		e.older.younger = e.younger
	} else {
		t.oldest = e.younger
	}
	if e.younger != nil {
		e.younger.older = e.older
	} else {
		t.newest = e.older
	}
	delete(t.byKey, e.key)
	*e = entry[K, V]{younger: t.free}
	t.free = e
}
