package cache

// Counts is what became of questions.
type Counts struct {
	Hits   uint64 // answered from near
	Misses uint64 // asked
	Joined uint64 // waited for somebody else's question
	Stale  uint64 // found, but void or too old
}

// Counts are the present ones. Any goroutine may call it.
func (n *Near[K, V]) Counts() Counts {
	return Counts{n.hits.Load(), n.misses.Load(), n.joined.Load(), n.stale.Load()}
}
