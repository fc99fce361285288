package pairing

import "time"

const (
	// earlyFor is how much sooner than its request an answer may be seen: where
	// the two directions come by different queues of a mirror port, the one that
	// was said first may be read last. It is shorter than any retransmission.
	earlyFor = 100 * time.Millisecond
	earlyMax = 1024
)

// Early holds answers that came before their requests, for a moment. It is
// owned by one goroutine.
type Early[K comparable] struct{ table *Table[K, func()] }

// NewEarly makes an Early. vain is called for each answer whose request did not
// come.
func NewEarly[K comparable](vain func()) Early[K] {
	return Early[K]{New(earlyMax, earlyFor, func(K, *func()) { vain() })}
}

// Put keeps what is to be done once the request of a key is there.
func (e Early[K]) Put(now time.Time, key K, again func()) { e.table.Put(now, key, again) }

// Asked does what was kept for a request that is there now.
func (e Early[K]) Asked(key K) {
	if again := e.table.Get(key); again != nil {
		do := *again
		e.table.Delete(key)
		do()
	}
}

// Expire lets go of answers that are too old.
func (e Early[K]) Expire(now time.Time) { e.table.Expire(now) }

// Len is how many answers are held.
func (e Early[K]) Len() int { return e.table.Len() }
