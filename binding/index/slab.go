package index

import (
	"fmt"
	"sync/atomic"
)

// Layout of a slab's header: one cache line.
const (
	slabLimit = iota
	slabLen
	slabHead = lineWords
)

// A Slab holds records of a fixed number of words, numbered from 1. One
// goroutine allocates, frees and stores; any goroutine may load. A reader must
// itself make sure that the record it read was not freed meanwhile, for
// instance by [Table.Valid] on the key that led it here.
type Slab struct {
	// Set by NewSlab, then read-only.
	head     []uint64
	records  []uint64
	width    int
	capacity int

	// Owned by the writer.
	free fifo // linked through the last word
}

// SlabWords is the memory that a slab needs.
func SlabWords(capacity, recordWords int) int { return slabHead + capacity*recordWords }

// NewSlab builds an empty slab on words, which must be zero and at least
// SlabWords long. Records have at least two words; a capacity or width out of
// range panics.
func NewSlab(words []uint64, capacity, recordWords int) *Slab {
	if capacity < 1 || capacity > 1<<32-2 || recordWords < 2 {
		panic(fmt.Sprintf("index: slab of %d records of %d words out of range", capacity, recordWords))
	}
	if len(words) < SlabWords(capacity, recordWords) {
		panic(fmt.Sprintf("index: slab needs %d words, has %d", SlabWords(capacity, recordWords), len(words)))
	}
	return &Slab{
		head:     words[:slabHead],
		records:  words[slabHead:SlabWords(capacity, recordWords)],
		width:    recordWords,
		capacity: capacity,
	}
}

// Alloc hands out a record of zeros: the one that has been free for longest,
// else the lowest that was never used. It is false if all are in use. Only the
// writer may call it.
func (s *Slab) Alloc() (uint32, bool) {
	id := s.free.head
	if s.free.len == 0 {
		if id = s.Limit() + 1; int(id) > s.capacity {
			return 0, false
		}
		atomic.StoreUint64(&s.head[slabLimit], uint64(id))
	} else {
		s.free.head = uint32(s.Load(id, s.width-1))
		s.free.len--
		for word := range s.width {
			s.Store(id, word, 0)
		}
	}
	atomic.StoreUint64(&s.head[slabLen], uint64(s.Len()+1))
	return id, true
}

// Free takes a record back. Its first word is zero from then on, the others are
// undefined. Freeing what is not allocated breaks the slab. Only the writer may
// call it.
func (s *Slab) Free(id uint32) {
	s.Store(id, 0, 0)
	if s.free.len == 0 {
		s.free.head = id
	} else {
		s.Store(s.free.tail, s.width-1, uint64(id))
	}
	s.free.tail = id
	s.free.len++
	atomic.StoreUint64(&s.head[slabLen], uint64(s.Len()-1))
}

// Load returns one word of a record, 1 <= id <= Limit. Any goroutine may call
// it.
func (s *Slab) Load(id uint32, word int) uint64 {
	return atomic.LoadUint64(&s.records[(int(id)-1)*s.width+word])
}

// LoadAll loads the words of a record, as many as list holds. Any goroutine may
// call it.
func (s *Slab) LoadAll(id uint32, list []uint64) {
	at := (int(id) - 1) * s.width
	record := s.records[at : at+len(list)]
	for i := range list {
		list[i] = atomic.LoadUint64(&record[i])
	}
}

// Store changes one word of a record. Only the writer may call it.
func (s *Slab) Store(id uint32, word int, v uint64) {
	atomic.StoreUint64(&s.records[(int(id)-1)*s.width+word], v)
}

// Limit is the highest id that was ever handed out; it never falls. Any
// goroutine may ask.
func (s *Slab) Limit() uint32 { return uint32(atomic.LoadUint64(&s.head[slabLimit])) }

// Len is the number of records in use. Any goroutine may ask.
func (s *Slab) Len() int { return int(atomic.LoadUint64(&s.head[slabLen])) }

// Cap is the number of records that fit.
func (s *Slab) Cap() int { return s.capacity }
