package index

import (
	"math/bits"
	"sync/atomic"
)

// A Ref is a validated sighting of a record.
type Ref struct {
	generation uint64
	record     uint32
}

// Get returns the value of a key. Any goroutine may ask.
func (t *Table) Get(k Key) (v Value, r Ref, ok bool) {
	r, ok = t.find(k, &v)
	return v, r, ok
}

// Touch reads the line where a search for the key begins, to have the processor
// fetch the memory of several keys at once, before each is searched for. Any
// goroutine may call it.
func (t *Table) Touch(k Key) { load(&t.lines[t.home(k.hash())].tags[0]) }

// Valid reports whether the record of r is still the published one. Asked after
// reading what the value points to, true means that the value still stood when
// that was read. Any goroutine may ask.
func (t *Table) Valid(r Ref) bool {
	return r.generation != 0 && load(&t.records[r.record][recordGeneration]) == r.generation
}

// Longest returns the longest key of at most maxBits bits in the domain and
// class that is a prefix of the given bits, as the table stood at one moment
// during the call. Any goroutine may ask.
func (t *Table) Longest(domain uint16, class uint8, hi, lo uint64, maxBits uint8) (k Key, v Value, r Ref, ok bool) {
	if class >= maxClasses {
		return k, v, r, false
	}
	scope := uint32(domain)<<16 | uint32(class)<<8
	for {
		version := load(&t.head[headVersion])
		k, r, ok = t.longest(scope, hi, lo, uint(maxBits), &v)
		if load(&t.head[headVersion]) == version {
			return k, v, r, ok
		}
	}
}

// longest is one try of Longest: it asks for each length in use, from long to
// short. Without an answer v is zero.
func (t *Table) longest(scope uint32, hi, lo uint64, limit uint, v *Value) (Key, Ref, bool) {
	lengths := t.head[headLengths+2*(scope>>8&0xFF):]
	for word := 1; word >= 0; word-- {
		in := load(&lengths[word])
		base := uint(64 * word)
		if limit < base+64 {
			in &= 1<<(max(limit, base)-base) - 1
		}
		for in != 0 {
			n := uint(bits.Len64(in))
			in &^= 1 << (n - 1)
			k := makeKey(scope, base+n, hi, lo)
			if r, ok := t.find(k, v); ok {
				return k, r, true
			}
		}
	}
	*v = Value{}
	return Key{}, Ref{}, false
}

// At returns the key and value in a position from 1 to Limit, or false if none
// is there now. A replaced value moves to another position: a walk over all
// positions may meet a key that is written meanwhile twice or not at all. Any
// goroutine may ask.
func (t *Table) At(pos uint32) (k Key, v Value, r Ref, ok bool) {
	if pos == 0 || uint64(pos) >= uint64(len(t.records)) {
		return k, v, r, false
	}
	rec := &t.records[pos]
	r = Ref{load(&rec[recordGeneration]), pos}
	meta := load(&rec[recordMeta])
	k = Key{Hi: load(&rec[recordHi]), Lo: load(&rec[recordLo]), Meta: uint32(meta)}
	v.load(rec, meta)
	if !t.Valid(r) {
		return Key{}, Value{}, Ref{}, false
	}
	return k, v, r, true
}

// find looks for a key from its home line on, up to the first line that no key
// has passed, and copies its value; v is zero without one.
func (t *Table) find(k Key, v *Value) (Ref, bool) {
	h := k.hash()
	tag := tagOf(h)
	at := t.home(h)
	for range t.lines {
		l := &t.lines[at]
		even := load(&l.tags[0])
		for in := withTag(even, load(&l.tags[1]), tag); in != 0; in &= in - 1 {
			if r, ok := t.read(&l.slots[in.first()], k, v); ok {
				return r, true
			}
		}
		if even>>passedShift == 0 {
			break
		}
		at = t.after(at)
	}
	*v = Value{}
	return Ref{}, false
}

// read copies the value from the record that a slot names, if it is a record of
// the key. The slot is read again while the generation is known to be the same:
// at that moment the slot named this very record. It goes round again only when
// the writer has changed the slot meanwhile.
func (t *Table) read(slot *uint32, k Key, v *Value) (Ref, bool) {
	for {
		number := atomic.LoadUint32(slot)
		if number == 0 {
			return Ref{}, false
		}
		rec := &t.records[number]
		generation := load(&rec[recordGeneration])
		meta := load(&rec[recordMeta])
		held := load(&rec[recordHi]) == k.Hi && load(&rec[recordLo]) == k.Lo && uint32(meta) == k.Meta
		if held {
			v.load(rec, meta)
		}
		named := atomic.LoadUint32(slot) == number
		if named && generation != 0 && load(&rec[recordGeneration]) == generation {
			return Ref{generation, number}, held
		}
	}
}

func (v *Value) load(rec *record, meta uint64) {
	v.Aux = uint32(meta >> 32)
	v.W[0] = load(&rec[recordValue])
	v.W[1] = load(&rec[recordValue+1])
	v.W[2] = load(&rec[recordValue+2])
	v.W[3] = load(&rec[recordValue+3])
}

func (t *Table) home(hash uint64) uint64 {
	at, _ := bits.Mul64(hash, uint64(len(t.lines)))
	return at
}

func (t *Table) after(at uint64) uint64 {
	if at++; at == uint64(len(t.lines)) {
		return 0
	}
	return at
}

// Lengths are the lengths in use in a class: bit n of the first word is length
// n+1, of the second n+65. Any goroutine may ask.
func (t *Table) Lengths(class uint8) (low, high uint64) {
	lengths := t.head[headLengths+2*int(class):]
	return load(&lengths[0]), load(&lengths[1])
}
