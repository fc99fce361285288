package binding

import (
	"fmt"

	"github.com/simbind/simbind/binding/index"
)

// A memory is the Registry's whole state in words of one mapping: what readers
// need to decide a verdict without asking the writer. The Registry's goroutine
// writes it; any goroutine may read it.
//
// Readers start from the address table, whose records are published
// atomically. A session, claim or subscriber is recycled only after every
// address record that led to it was withdrawn, so a reader that finds its
// address record still valid (Table.Valid) has read the truth of one moment.
type memory struct {
	mapping *index.Memory

	addrs     *index.Table
	sessions  *index.Slab // layout: session
	claims    *index.Slab // layout: claim
	wides     *index.Slab // the low half of keys beyond /64
	subs      *index.Slab // layout: subscriber
	bySession *index.Hash
	byNumber  *index.Hash // subscribers by MSISDN, or IMSI where that is all
	byIMSI    *index.Hash // subscribers by IMSI
	nodes     []uint64    // layout: node words
	trust     []uint64    // per source: bindings seen before (unix ms) are unconfirmed
	observed  []uint64    // layout: words about observed nodes
	ingest    []uint64    // [0] unix ms since when news is being refused, 0 if it is not
}

const (
	sessionWords    = 9
	claimWords      = 3
	wideWords       = 2
	subscriberWords = 5
	nodeWords       = 13
	wideShare       = 4 // one address in so many may be longer than /64
)

func memoryWords(c Config) (total int, sizes [10]int) {
	claims := claimCapacity(c)
	sizes = [10]int{
		index.TableWords(c.Addresses),
		index.SlabWords(c.Capacity, sessionWords),
		index.SlabWords(claims, claimWords),
		index.SlabWords(wideCapacity(c), wideWords),
		index.SlabWords(c.Capacity+1, subscriberWords),
		index.HashWords(c.Capacity),
		index.HashWords(c.Capacity + 1),
		index.HashWords(c.Capacity + 1),
		nodeWords * (maxNodes + 1),
		64,
	}
	for _, n := range sizes {
		total += index.Aligned(n)
	}
	return total, sizes
}

func claimCapacity(c Config) int { return min(c.Addresses+c.Addresses/4+16, MaxCapacity) }
func wideCapacity(c Config) int  { return c.Addresses/wideShare + 16 }

// newMemory lays the tables out in words, which must be zero.
func newMemory(c Config, words []uint64) *memory {
	_, sizes := memoryWords(c)
	carve := index.NewCarver(words)
	var part [len(sizes)][]uint64
	for i, n := range sizes {
		part[i] = carve.Take(n)
	}
	m := &memory{
		addrs:    index.NewTable(part[0], c.Addresses),
		sessions: index.NewSlab(part[1], c.Capacity, sessionWords),
		claims:   index.NewSlab(part[2], claimCapacity(c), claimWords),
		wides:    index.NewSlab(part[3], wideCapacity(c), wideWords),
		subs:     index.NewSlab(part[4], c.Capacity+1, subscriberWords),
		nodes:    part[8],
		trust:    part[9][:sourceCount],
		ingest:   part[9][sourceCount : sourceCount+1],
		observed: part[9][sourceCount+1 : sourceCount+1+observedWords],
	}
	m.bySession = index.NewHash(part[5], c.Capacity, func(id uint32) uint64 { return m.sessions.Load(id, 0) })
	m.byNumber = index.NewHash(part[6], c.Capacity+1, func(id uint32) uint64 { return numberHash(m.subscriber(id).Subscriber) })
	m.byIMSI = index.NewHash(part[7], c.Capacity+1, func(id uint32) uint64 { return mix(m.subs.Load(id, 1)) })
	return m
}

// mapMemory lays the tables out in a mapping outside the Go heap.
func mapMemory(c Config) (*memory, error) {
	total, _ := memoryWords(c)
	mapping, err := index.Map(total)
	if err != nil {
		return nil, fmt.Errorf("reserve memory for %d sessions: %w", c.Capacity, err)
	}
	m := newMemory(c, mapping.Words())
	m.mapping = mapping
	return m, nil
}

// mix spreads a word over 64 bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
