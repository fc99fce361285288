package index

import (
	"math/rand/v2"
	"testing"
)

// TestStoppedWriterHidesNothing looks at the table after every single store of
// the writer, as readers would if it never went on: every key but the one
// being written answers as before, and that one as before or as after, but
// never as before again once it did as after.
func TestStoppedWriterHidesNothing(t *testing.T) {
	r, p := newRandom(t), newPair(30)
	p.table.resting = 0
	keys := append(crowd(p.table, 20), nestedKeys()...)
	for range steps(3000) {
		k := keys[r.IntN(len(keys))]
		f := newFrozen(p, keys, k)
		p.table.stored = func() { f.look(t) }
		f.write(r)
		p.table.stored = nil
		p.compare(t)
	}
}

// nestedKeys are prefixes of one another.
func nestedKeys() (keys []Key) {
	for _, n := range []uint8{8, 32, 48, 56, 60, 64, 65, 96, 127, 128} {
		keys = append(keys, NewKey(0, 0, n, 0x2001_0db8_cafe_0001, 0xFF))
	}
	return keys
}

// frozen is one operation on one key, seen from after each of its stores.
type frozen struct {
	p      *pair
	keys   []Key
	k      Key
	before twin
	after  twin
	got    twin // that the readers have seen so far
}

func newFrozen(p *pair, keys []Key, k Key) *frozen {
	return &frozen{p: p, keys: keys, k: k, before: p.twin, got: p.twin}
}

func (f *frozen) write(r *rand.Rand) {
	f.after = newTwin(f.before.capacity)
	for k, v := range f.before.values {
		f.after.values[k] = v
	}
	if f.p.steps++; r.IntN(3) == 0 {
		f.after.del(f.k)
		f.p.table.Delete(f.k)
	} else {
		v := Value{Aux: 1, W: [4]uint64{f.p.steps}}
		f.after.put(f.k, v)
		f.p.table.Put(f.k, v)
	}
	f.p.twin = f.after
}

func (f *frozen) look(t *testing.T) {
	got, _, ok := f.p.table.Get(f.k)
	if want, held := f.after.values[f.k]; got == want && ok == held {
		f.got = f.after
	}
	for _, k := range f.keys {
		got, ref, ok := f.p.table.Get(k)
		if want, held := f.got.values[k]; got != want || ok != held || f.p.table.Valid(ref) != held {
			t.Fatalf("writing %v: Get(%v) = %v, %v, want %v, %v", f.k, k, got, ok, want, held)
		}
	}
	last := f.keys[len(f.keys)-1]
	for _, n := range []uint8{128, 64, 50} {
		gotKey, got, _, ok := f.p.table.Longest(0, 0, last.Hi, last.Lo, n)
		if wantKey, want, held := f.got.longest(last, n); gotKey != wantKey || got != want || ok != held {
			t.Fatalf("writing %v: Longest(%d) = %v, %v, %v, want %v, %v, %v", f.k, n, gotKey, got, ok, wantKey, want, held)
		}
	}
	f.walk(t)
}

// walk meets every key that is not being written once.
func (f *frozen) walk(t *testing.T) {
	met := map[Key]int{}
	for pos := range f.p.table.Limit() + 1 {
		if k, v, _, ok := f.p.table.At(pos); ok {
			met[k]++
			if want := f.before.values[k]; k != f.k && v != want {
				t.Fatalf("writing %v: At(%d) = %v, %v, want %v", f.k, pos, k, v, want)
			}
		}
	}
	for _, k := range f.keys {
		if _, held := f.before.values[k]; k != f.k && (met[k] == 1) != held {
			t.Fatalf("writing %v: At shows %v %d times, want %v", f.k, k, met[k], held)
		}
	}
}

// TestStoppedHashWriterHidesNothing is the same for a Hash whose ids crowd.
func TestStoppedHashWriterHidesNothing(t *testing.T) {
	const capacity = 24
	r := newRandom(t)
	h := NewHash(make([]uint64, HashWords(capacity)), capacity, crowded)
	in := map[uint32]bool{}
	for range steps(20_000) {
		id := 1 + uint32(r.IntN(2*capacity))
		h.stored = func() {
			for other := range in {
				if _, ok := h.Find(crowded(other), func(x uint32) bool { return x == other }); !ok && other != id {
					t.Fatalf("writing %d: %d is not found", id, other)
				}
			}
		}
		if in[id] {
			h.Remove(crowded(id), id)
			delete(in, id)
		} else if h.Insert(crowded(id), id) {
			in[id] = true
		}
	}
}

// crowded has ids share hashes and homes.
func crowded(id uint32) uint64 { return uint64(id % 5) }
