package index

import (
	"math/rand/v2"
	"testing"
	"time"
)

// twin is the slow, obvious table.
type twin struct {
	values   map[Key]Value
	capacity int
}

func newTwin(capacity int) twin { return twin{map[Key]Value{}, capacity} }

func (w twin) put(k Key, v Value) bool {
	if _, held := w.values[k]; !held && len(w.values) == w.capacity {
		return false
	}
	w.values[k] = v
	return true
}

func (w twin) del(k Key) bool {
	_, held := w.values[k]
	delete(w.values, k)
	return held
}

func (w twin) longest(k Key, maxBits uint8) (Key, Value, bool) {
	for n := maxBits; n > 0; n-- {
		k := NewKey(k.Domain(), k.Class(), n, k.Hi, k.Lo)
		if v, held := w.values[k]; held {
			return k, v, true
		}
	}
	return Key{}, Value{}, false
}

// pair is a table and its twin, which must never differ.
type pair struct {
	table *Table
	twin  twin
	steps uint64
}

func newPair(capacity int) *pair {
	return &pair{table: newTestTable(capacity), twin: newTwin(capacity)}
}

func newTestTable(capacity int) *Table {
	return NewTable(make([]uint64, TableWords(capacity)), capacity)
}

// step does one operation on both: 0 to 3 puts, 4 and 5 delete, 6 and 7 get,
// others look for the longest prefix.
func (p *pair) step(t testing.TB, op int, k Key, maxBits uint8) {
	t.Helper()
	p.steps++
	switch {
	case op < 4:
		v := Value{Aux: uint32(p.steps), W: [4]uint64{p.steps, k.Hi, k.Lo, uint64(k.Meta)}}
		if got, want := p.table.Put(k, v), p.twin.put(k, v); got != want {
			t.Fatalf("step %d: Put(%v) = %v, want %v", p.steps, k, got, want)
		}
	case op < 6:
		if got, want := p.table.Delete(k), p.twin.del(k); got != want {
			t.Fatalf("step %d: Delete(%v) = %v, want %v", p.steps, k, got, want)
		}
	case op < 8:
		got, ref, ok := p.table.Get(k)
		want, held := p.twin.values[k]
		if got != want || ok != held || p.table.Valid(ref) != held {
			t.Fatalf("step %d: Get(%v) = %v, %v, want %v, %v", p.steps, k, got, ok, want, held)
		}
	default:
		gotKey, got, ref, ok := p.table.Longest(k.Domain(), k.Class(), k.Hi, k.Lo, maxBits)
		wantKey, want, held := p.twin.longest(k, maxBits)
		if gotKey != wantKey || got != want || ok != held || p.table.Valid(ref) != held {
			t.Fatalf("step %d: Longest(%v, %d) = %v, %v, %v, want %v, %v, %v", p.steps, k, maxBits, gotKey, got, ok, wantKey, want, held)
		}
	}
	if p.table.Len() != len(p.twin.values) {
		t.Fatalf("step %d: Len() = %d, want %d", p.steps, p.table.Len(), len(p.twin.values))
	}
}

// compare looks at everything that both hold.
func (p *pair) compare(t testing.TB) {
	t.Helper()
	for k, want := range p.twin.values {
		if got, _, ok := p.table.Get(k); got != want || !ok {
			t.Fatalf("Get(%v) = %v, %v, want %v", k, got, ok, want)
		}
	}
	seen := 0
	for pos := range p.table.Limit() + 2 {
		k, got, ref, ok := p.table.At(pos)
		if !ok {
			continue
		}
		seen++
		if want, held := p.twin.values[k]; got != want || !held || !p.table.Valid(ref) {
			t.Fatalf("At(%d) = %v, %v, want %v, %v", pos, k, got, want, held)
		}
	}
	if seen != len(p.twin.values) {
		t.Fatalf("At shows %d keys, want %d", seen, len(p.twin.values))
	}
	if limit := int(p.table.Limit()); limit > p.twin.capacity+spareRecords {
		t.Fatalf("Limit() = %d with a capacity of %d", limit, p.twin.capacity)
	}
}

// newRandom logs the seed.
func newRandom(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomKey draws from a small world, so that keys meet again and nest.
func randomKey(r *rand.Rand, world uint64) Key {
	lengths := [...]uint8{8, 32, 33, 56, 60, 64, 65, 100, 128}
	return NewKey(uint16(r.Uint64N(2)), uint8(r.Uint64N(4)), lengths[r.IntN(len(lengths))], nested(r, world), nested(r, world))
}

func nested(r *rand.Rand, world uint64) uint64 {
	n := r.Uint64N(world)
	return n<<60 | n<<31 | n
}

func TestTableEqualsItsTwin(t *testing.T) {
	for _, size := range []struct {
		capacity int
		world    uint64
	}{{1, 2}, {7, 2}, {100, 3}, {1000, 4}, {5000, 16}, {20_000, 1 << 20}} {
		r, p := newRandom(t), newPair(size.capacity)
		for range steps(200_000) {
			p.step(t, r.IntN(10), randomKey(r, size.world), uint8(r.UintN(maxBits+1)))
		}
		p.compare(t)
	}
}

// TestCrowdedLinesEqualTheTwin has every key want the same line, the last one:
// keys wrap around, pass many lines, and the count of those reaches its
// maximum. Lines that were never passed by so many forget about it.
func TestCrowdedLinesEqualTheTwin(t *testing.T) {
	r, p := newRandom(t), newPair(200)
	keys := crowd(p.table, 250)
	for range steps(100_000) {
		p.step(t, r.IntN(10), keys[r.IntN(len(keys))], 64)
	}
	p.compare(t)
	for _, k := range keys {
		p.step(t, 4, k, 0)
	}
	p.compare(t)
	var forgot, stuck int
	for i := range p.table.lines {
		switch p.table.lines[i].passed() {
		case 0:
			forgot++
		case passedMax:
			stuck++
		default:
			t.Errorf("line %d of an empty table was passed by %d", i, p.table.lines[i].passed())
		}
	}
	if forgot == 0 || stuck == 0 {
		t.Errorf("%d lines forgot, %d are stuck, want some of both", forgot, stuck)
	}
}

// crowd finds keys whose home is the last line of a table.
func crowd(table *Table, n int) (keys []Key) {
	for i := uint64(1); len(keys) < n; i++ {
		if k := NewKey(0, 0, 64, i, 0); table.home(k.hash()) == uint64(len(table.lines)-1) {
			keys = append(keys, k)
		}
	}
	return keys
}

// steps is fewer with -short and under the race detector, which is slow.
func steps(n int) int {
	if testing.Short() || raceDetector {
		return n / 10
	}
	return n
}

// FuzzTable reads operations from bytes: four an operation.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 9, 1, 2, 3, 4, 1, 2, 3, 6, 1, 2, 3})
	f.Add([]byte("put get delete longest: any bytes will do as operations"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := newPair(12)
		for ; len(ops) >= 4; ops = ops[4:] {
			b := uint64(ops[1])
			k := NewKey(uint16(ops[2]&1), ops[2]>>1&3, 1+ops[3]&127, b<<56|b, b<<60)
			p.step(t, int(ops[0]%10), k, ops[2]>>3*4)
		}
		p.compare(t)
	})
}
