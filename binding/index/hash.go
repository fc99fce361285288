package index

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Layout of a hash slot: tag, id. An empty slot is zero.
const (
	idBits  = 27
	idMask  = 1<<idBits - 1
	maxID   = idMask
	hashTag = 1<<(32-idBits) - 1
)

// Layout of a hash's header: one cache line.
const (
	hashVersion = iota
	hashLen
	hashHead = lineWords
)

// A Hash finds the ids of records by a 64-bit hash of something that the
// records hold. Several ids may share a hash; many make it slow. One goroutine
// writes; any number of goroutines read.
type Hash struct {
	// Set by NewHash, then read-only.
	head     []uint64
	slots    []uint32
	capacity int

	// Owned by the writer.
	hashOf func(id uint32) uint64
	stored func() // tests: called after each store
}

// HashWords is the memory that a hash of the given capacity needs: 5.5 bytes
// per id, a load of 0.73 when full.
func HashWords(capacity int) int { return hashHead + capacity*11/16 + 1 }

// NewHash builds an empty hash on words, which must be zero and at least
// HashWords(capacity) long. The writer calls hashOf to learn the hash of an id
// that is in the Hash and has to move. A capacity that is not 1 to 1<<27 - 1
// panics.
func NewHash(words []uint64, capacity int, hashOf func(id uint32) uint64) *Hash {
	if capacity < 1 || capacity > maxID {
		panic(fmt.Sprintf("index: hash capacity %d out of range", capacity))
	}
	if len(words) < HashWords(capacity) {
		panic(fmt.Sprintf("index: hash of %d needs %d words, has %d", capacity, HashWords(capacity), len(words)))
	}
	slots := words[hashHead:HashWords(capacity)]
	return &Hash{
		head:     words[:hashHead],
		slots:    unsafe.Slice((*uint32)(unsafe.Pointer(&slots[0])), 2*len(slots)),
		capacity: capacity,
		hashOf:   hashOf,
	}
}

// Find returns the first id with this hash for which is says yes. It may ask
// more than once about an id, and about ids that were just removed. Any
// goroutine may call it.
func (h *Hash) Find(hash uint64, is func(id uint32) bool) (uint32, bool) {
	hash = spread(hash)
	for {
		version := atomic.LoadUint64(&h.head[hashVersion])
		pos := h.home(hash)
		for range h.slots {
			slot := atomic.LoadUint32(&h.slots[pos])
			if slot == 0 {
				break
			}
			if slot>>idBits == uint32(hash&hashTag) && is(slot&idMask) {
				return slot & idMask, true
			}
			pos = h.after(pos)
		}
		if atomic.LoadUint64(&h.head[hashVersion]) == version {
			return 0, false
		}
	}
}

// Touch reads the slot where a search for the hash begins, and returns the id in
// it, 0 if there is none. It serves to have the processor fetch the memory of
// several hashes at once, before each is searched for. Any goroutine may call
// it.
func (h *Hash) Touch(hash uint64) uint32 {
	return atomic.LoadUint32(&h.slots[h.home(spread(hash))]) & idMask
}

// Insert adds an id (1 to 1<<27 - 1) that is not in the Hash. It is false, and
// nothing changes, if the Hash is full. Only the writer may call it.
func (h *Hash) Insert(hash uint64, id uint32) bool {
	if id == 0 || id > maxID {
		panic(fmt.Sprintf("index: id %d out of range", id))
	}
	if h.Len() == h.capacity {
		return false
	}
	hash = spread(hash)
	pos := h.home(hash)
	for h.slots[pos] != 0 {
		pos = h.after(pos)
	}
	h.store(pos, slotOf(hash, id))
	h.count(+1)
	return true
}

// Remove takes an id out; false if it is not there under this hash. The record
// of the id may already have changed. Only the writer may call it.
func (h *Hash) Remove(hash uint64, id uint32) bool {
	hash = spread(hash)
	hole := h.home(hash)
	for h.slots[hole] != slotOf(hash, id) {
		if h.slots[hole] == 0 {
			return false
		}
		hole = h.after(hole)
	}
	for from := h.after(hole); h.slots[from] != 0; from = h.after(from) {
		home := h.home(spread(h.hashOf(h.slots[from] & idMask)))
		if h.gap(home, from) < h.gap(hole, from) {
			continue // its home lies behind the hole
		}
		h.store(hole, h.slots[from])
		h.bump() // between copy and overwrite: see the package comment
		hole = from
	}
	h.store(hole, 0)
	h.count(-1)
	return true
}

// Len is the number of ids. Any goroutine may ask.
func (h *Hash) Len() int { return int(atomic.LoadUint64(&h.head[hashLen])) }

// Cap is the number of ids that fit.
func (h *Hash) Cap() int { return h.capacity }

func slotOf(hash uint64, id uint32) uint32 { return uint32(hash&hashTag)<<idBits | id }

// spread makes up for hashes of which only some bits vary.
func spread(hash uint64) uint64 { return fold(hash^0xa0761d6478bd642f, 0xe7037ed1a0b428db) }

func (h *Hash) home(spread uint64) int {
	pos, _ := bits.Mul64(spread, uint64(len(h.slots)))
	return int(pos)
}

func (h *Hash) after(pos int) int {
	if pos++; pos == len(h.slots) {
		return 0
	}
	return pos
}

// gap is the number of steps from one slot forward to another.
func (h *Hash) gap(from, to int) int {
	if to < from {
		to += len(h.slots)
	}
	return to - from
}

func (h *Hash) store(pos int, slot uint32) {
	atomic.StoreUint32(&h.slots[pos], slot)
	if h.stored != nil {
		h.stored()
	}
}

func (h *Hash) bump() {
	atomic.StoreUint64(&h.head[hashVersion], atomic.LoadUint64(&h.head[hashVersion])+1)
	if h.stored != nil {
		h.stored()
	}
}

func (h *Hash) count(delta int) {
	atomic.StoreUint64(&h.head[hashLen], uint64(h.Len()+delta))
}
