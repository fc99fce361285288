package cache

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// A Config of a Near.
type Config struct {
	// Entries is how many answers are kept at most; 0 means 100000.
	Entries int
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// DefaultEntries is Config.Entries where it is zero.
const DefaultEntries = 100_000

// stripes is how many generations there are, a power of two: keys of one stripe
// are invalidated together.
const stripes = 1 << 14

// A Key is what Ristretto can hash.
type Key interface{ ~uint64 | ~string }

// A Near stands between an asker and a slow answer. Any goroutine may use it.
type Near[K Key, V any] struct {
	now   func() time.Time
	store *ristretto.Cache[string, entry[V]]
	seed  maphash.Seed

	generations [stripes]atomic.Uint64

	closing sync.RWMutex // of the store, which panics if it is used later
	closed  bool

	mu      sync.Mutex
	flights map[flightKey[K]]*flight[V]

	hits, misses, stale, joined atomic.Uint64
}

// An entry is an answer, when it ceases to count, and the generation of before
// it was asked for.
type entry[V any] struct {
	value      V
	until      int64 // unix ns
	generation uint64
}

// A flight is one question under way. Who asks after an invalidation starts
// another.
type flightKey[K Key] struct {
	key        K
	generation uint64
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// New makes a Near. Close ends its goroutines.
func New[K Key, V any](cfg Config) (*Near[K, V], error) {
	if cfg.Entries <= 0 {
		cfg.Entries = DefaultEntries
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	store, err := ristretto.NewCache(&ristretto.Config[string, entry[V]]{
		NumCounters: 10 * int64(cfg.Entries), MaxCost: int64(cfg.Entries), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("near-cache: %w", err)
	}
	return &Near[K, V]{now: cfg.Now, store: store, seed: maphash.MakeSeed(), flights: map[flightKey[K]]*flight[V]{}}, nil
}

// Close ends the cache's goroutines. Who uses it afterwards finds nothing near.
func (n *Near[K, V]) Close() {
	n.closing.Lock()
	defer n.closing.Unlock()
	n.closed = true
	n.store.Close()
}

// Generation tells answers of before an invalidation from those of after it.
// Other keys may share it.
func (n *Near[K, V]) Generation(key K) uint64 { return n.generation(key).Load() }

// Invalidate makes what is known about the key void, also answers on their way.
// It does not block.
func (n *Near[K, V]) Invalidate(key K) { n.generation(key).Add(1) }

// InvalidateAll makes everything void.
func (n *Near[K, V]) InvalidateAll() {
	for i := range n.generations {
		n.generations[i].Add(1)
	}
}

// Peek returns what is near, if it still counts. It does not block.
func (n *Near[K, V]) Peek(key K) (value V, ok bool) {
	value, ok = n.peek(key, n.generation(key).Load())
	if ok {
		n.hits.Add(1)
	}
	return value, ok
}

func (n *Near[K, V]) peek(key K, generation uint64) (value V, ok bool) {
	e, found := n.get(text(key))
	switch {
	case !found:
		return value, false
	case e.generation != generation || n.now().UnixNano() >= e.until:
		n.stale.Add(1)
		return value, false
	}
	return e.value, true
}

// Get returns what is near, or asks; several that ask for one key at once share
// one question. It blocks until the answer or until ctx ends. The slow function
// answers and says for how long that counts; an error is given to whoever waits
// and not kept. It is called with the context of the first of them.
func (n *Near[K, V]) Get(ctx context.Context, key K, ask func(context.Context) (V, time.Duration, error)) (V, error) {
	generation := n.generation(key).Load()
	if value, ok := n.peek(key, generation); ok {
		n.hits.Add(1)
		return value, nil
	}
	id := flightKey[K]{key, generation}
	n.mu.Lock()
	f, under := n.flights[id]
	if !under {
		f = &flight[V]{done: make(chan struct{})}
		n.flights[id] = f
	}
	n.mu.Unlock()
	if under {
		n.joined.Add(1)
		select {
		case <-f.done:
			return f.value, f.err
		case <-ctx.Done():
			var none V
			return none, context.Cause(ctx)
		}
	}
	n.misses.Add(1)
	n.ask(ctx, id, f, ask)
	return f.value, f.err
}

func (n *Near[K, V]) ask(ctx context.Context, id flightKey[K], f *flight[V], ask func(context.Context) (V, time.Duration, error)) {
	defer func() {
		n.mu.Lock()
		delete(n.flights, id)
		n.mu.Unlock()
		close(f.done)
	}()
	var lasts time.Duration
	f.err = fmt.Errorf("the question was given up") // if ask panics
	f.value, lasts, f.err = ask(ctx)
	if f.err != nil || lasts <= 0 {
		return
	}
	n.set(text(id.key), entry[V]{f.value, n.now().Add(lasts).UnixNano(), id.generation})
}

func (n *Near[K, V]) get(key string) (e entry[V], found bool) {
	n.closing.RLock()
	defer n.closing.RUnlock()
	if n.closed {
		return e, false
	}
	return n.store.Get(key)
}

func (n *Near[K, V]) set(key string, e entry[V]) {
	n.closing.RLock()
	defer n.closing.RUnlock()
	if !n.closed {
		n.store.Set(key, e, 1)
	}
}

func (n *Near[K, V]) generation(key K) *atomic.Uint64 {
	return &n.generations[maphash.Comparable(n.seed, key)%stripes]
}

// text is the key as Ristretto takes it: with a text it compares a second hash,
// so that two keys are never taken for one.
func text[K Key](key K) string {
	switch k := any(key).(type) {
	case string:
		return k
	default:
		return fmt.Sprint(k)
	}
}
