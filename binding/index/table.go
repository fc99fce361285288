package index

import (
	"fmt"
	"unsafe"
)

// A record is one cache line: a key and its value.
type record [lineWords]uint64

// Layout of a record.
const (
	recordGeneration = iota // unique in this record; 0: not published
	recordHi                // of a free record: the next free one
	recordLo                // of a free record: its last generation
	recordMeta              // Meta | Aux<<32
	recordValue             // four words
)

// Layout of a table's header, in words: cache lines by how often they change.
const (
	headVersion = 0
	headLimit   = 1 * lineWords
	headLen     = headLimit + 1
	headLengths = 2 * lineWords // two words for each class
	headWords   = 3 * lineWords
)

const (
	// spareRecords are kept beyond the capacity, so that values can be replaced
	// in a full table, and that many records are freed before one is used again:
	// readers seldom have to look twice.
	spareRecords = 64
	maxCapacity  = 1<<32 - 2 - spareRecords
)

// A Value is what is stored for a key.
type Value struct {
	Aux uint32
	W   [4]uint64
}

// A Table maps keys to values, with longest-prefix match. One goroutine
// writes; any number of goroutines read. See the package comment for why that
// is safe.
type Table struct {
	// Set by NewTable, then read-only. What they point at is shared.
	head     []uint64
	lines    []line
	records  []record // the first is never used
	capacity int

	// Owned by the writer.
	lengths [maxClasses][maxBits + 1]uint32 // keys of each class and length
	free    fifo
	resting int    // so many free records are left alone while there are others
	stored  func() // tests: called after each store
}

// A fifo is the writer's list of free records, oldest first, linked through
// the records themselves.
type fifo struct {
	head, tail uint32
	len        int
}

// TableWords is the memory that a table of the given capacity needs: 72 bytes
// per key and a few hundred more.
func TableWords(capacity int) int {
	return headWords + (tableLines(capacity)+tableRecords(capacity))*lineWords
}

// tableLines gives each key 1.5 lanes, so that 98 of 100 keys find room in
// their home line when the table is full. There is always a free lane.
func tableLines(capacity int) int { return capacity/8 + 1 }

func tableRecords(capacity int) int { return 1 + capacity + spareRecords }

// NewTable builds an empty table on words, which must be zero and at least
// TableWords(capacity) long, and should start at a cache line. The capacity is
// 1 to 1<<32 - 66 keys; NewTable panics otherwise.
func NewTable(words []uint64, capacity int) *Table {
	if capacity < 1 || capacity > maxCapacity {
		panic(fmt.Sprintf("index: table capacity %d out of range", capacity))
	}
	if len(words) < TableWords(capacity) {
		panic(fmt.Sprintf("index: table of %d needs %d words, has %d", capacity, TableWords(capacity), len(words)))
	}
	c := NewCarver(words)
	head := c.Take(headWords)
	lines := c.Take(tableLines(capacity) * lineWords)
	records := c.Take(tableRecords(capacity) * lineWords)
	return &Table{
		head:     head,
		lines:    unsafe.Slice((*line)(unsafe.Pointer(&lines[0])), tableLines(capacity)),
		records:  unsafe.Slice((*record)(unsafe.Pointer(&records[0])), tableRecords(capacity)),
		capacity: capacity,
		resting:  spareRecords,
	}
}

// Len is the number of keys. Any goroutine may ask.
func (t *Table) Len() int { return int(load(&t.head[headLen])) }

// Cap is the number of keys that fit.
func (t *Table) Cap() int { return t.capacity }

// Limit is the highest position that was ever used; it never falls. Any
// goroutine may ask.
func (t *Table) Limit() uint32 { return uint32(load(&t.head[headLimit])) }
