package index

import (
	"math/bits"
	"sync/atomic"
)

// Layout of a line's tags: two words of six tags each, of ten bits. Above the
// tags of the first word stands how many keys have passed the line.
const (
	lanes       = 12
	tagBits     = 10
	tagMask     = 1<<tagBits - 1
	passedShift = 60
	passedMax   = 1<<(64-passedShift) - 1

	eachTag = 1 | 1<<10 | 1<<20 | 1<<30 | 1<<40 | 1<<50
	topBits = eachTag << (tagBits - 1)
)

// A line is one cache line of a table's directory, with room for twelve keys.
// Only the writer changes it.
type line struct {
	// tags of the even and of the odd lanes. A lane's tag is zero if the lane
	// is free; it is set before the lane's slot is and cleared after.
	tags [2]uint64
	// slots name the records of the keys, zero for none. One store of a slot
	// is what makes a key appear, change or disappear.
	slots [lanes]uint32
}

// tagOf is the tag of a key, never zero, from bits that do not choose its line.
func tagOf(hash uint64) uint64 { return max(hash&tagMask, 1) }

// A laneSet holds bit 9+10j for lane 2j and bit 10+10j for lane 2j+1.
type laneSet uint64

// withTag is the set of lanes that may bear a tag: all that do and, rarely,
// others. It has no branches, as these would wait for memory.
func withTag(even, odd, tag uint64) laneSet {
	even ^= tag * eachTag
	odd ^= tag * eachTag
	return laneSet((even-eachTag)&^even&topBits | (odd-eachTag)&^odd&topBits<<1)
}

// first is the lane of the lowest bit of a set that is not empty.
func (s laneSet) first() uint64 {
	bit := uint64(bits.TrailingZeros64(uint64(s))) - (tagBits - 1) // 10j or 10j+1
	return bit - bit*103>>10*8
}

func (l *line) tag(lane int) uint64 { return l.tags[lane&1] >> (lane >> 1 * tagBits) & tagMask }

func (l *line) passed() uint64 { return l.tags[0] >> passedShift }

// withLane is the word of tags in which the lane's tag is replaced.
func (l *line) withLane(lane int, tag uint64) (word *uint64, tags uint64) {
	word, shift := &l.tags[lane&1], lane>>1*tagBits
	return word, *word&^(tagMask<<shift) | tag<<shift
}

// free is the first free lane.
func (l *line) free() (lane int, ok bool) {
	for lane := range lanes {
		if l.tag(lane) == 0 {
			return lane, true
		}
	}
	return 0, false
}

func load(word *uint64) uint64 { return atomic.LoadUint64(word) }
