package index

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// The tests in this file run readers beside a writer, on memory of the Go heap
// so that the race detector sees it.

// readers runs n readers over and over while write runs. A reader stops at its
// first complaint.
func readers(t *testing.T, n int, read func(r *rand.Rand) (complaint string), write func(r *rand.Rand)) {
	var done atomic.Bool
	var wg sync.WaitGroup
	r := newRandom(t)
	for range n {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		wg.Go(func() {
			for reads := 0; !done.Load() || reads == 0; reads++ {
				if complaint := read(own); complaint != "" {
					t.Error(complaint)
					return
				}
			}
		})
	}
	write(r)
	done.Store(true)
	wg.Wait()
}

// A history is what the writer did to one key: operation n leaves the key
// without a value if n is a multiple of four, else with the value n.
type history struct {
	key           Key
	started, done atomic.Uint64
}

func valueOf(k Key, n uint64) Value {
	a := fold(k.Hi^n, 0x9e3779b97f4a7c15)
	return Value{Aux: uint32(n), W: [4]uint64{n, a, fold(a^uint64(k.Meta), 0xd1342543de82ef95), ^n}}
}

// check judges what a read saw that began after operation low was done and
// ended before operation high+1 was started.
func (h *history) check(v Value, ok bool, low, high uint64) string {
	switch n := v.W[0]; {
	case !ok && high/4 > (low-1)/4:
		return ""
	case !ok:
		return "a key that was there all the time is not found"
	case v != valueOf(h.key, n):
		return "a value that was never written for the key"
	case n < low || n > high || n%4 == 0:
		return "a value that did not stand during the read"
	default:
		return ""
	}
}

// TestReadsAreOfOneMoment: every Get and Longest returns what stood at some
// moment while it ran, never a torn value, an older one than was already
// visible, or another key's, although records are recycled at once and lanes
// change hands all the time.
func TestReadsAreOfOneMoment(t *testing.T) {
	table := newTestTable(40)
	table.resting = 0
	histories := make([]history, 60)
	for i, k := range crowd(table, len(histories)) {
		histories[i].key = k
		histories[i].done.Store(4)
		histories[i].started.Store(4)
	}
	readers(t, 3, func(r *rand.Rand) string {
		h := &histories[r.IntN(len(histories))]
		low := h.done.Load()
		v, _, ok := table.Get(h.key)
		if r.IntN(2) == 0 {
			_, v, _, ok = table.Longest(0, 0, h.key.Hi, h.key.Lo, 64)
		}
		return h.check(v, ok, low, h.started.Load())
	}, func(r *rand.Rand) {
		for range steps(500_000) {
			h := &histories[r.IntN(len(histories))]
			n := h.done.Load() + 1
			if n%4 == 1 && table.Len() == table.Cap() {
				continue
			}
			h.started.Store(n)
			if n%4 == 0 {
				table.Delete(h.key)
			} else {
				table.Put(h.key, valueOf(h.key, n))
			}
			h.done.Store(n)
		}
	})
}

// TestRecordsThatComeBack: three records take turns among two keys, so that a
// slow reader finds the record of its key holding the other key, or the slot
// naming the record again of which it has read half.
func TestRecordsThatComeBack(t *testing.T) {
	table := newTestTable(2)
	table.resting = 0
	keys := [2]Key{NewKey(7, 3, 128, 1, 2), NewKey(7, 3, 128, 1, 3)}
	table.Put(keys[0], valueOf(keys[0], 0))
	table.Put(keys[1], valueOf(keys[1], 0))
	readers(t, 4, func(r *rand.Rand) string {
		k := keys[r.IntN(2)]
		if v, _, ok := table.Get(k); !ok || v != valueOf(k, v.W[0]) {
			return "Get returns a value that was never written, or none"
		}
		if k, v, _, ok := table.At(1); ok && v != valueOf(k, v.W[0]) {
			return "At returns a value that was never written"
		}
		return ""
	}, func(*rand.Rand) {
		for n := range uint64(steps(300_000)) {
			table.Put(keys[n%2], valueOf(keys[n%2], n))
		}
	})
	if table.Limit() != 3 {
		t.Errorf("%d records were used, want 3", table.Limit())
	}
}

// TestLongestIsOfOneMoment: a /56 stands only while a /64 does, so no reader
// may ever find the /56; and a /48 and a /40 take turns without a gap, so none
// may find nothing.
func TestLongestIsOfOneMoment(t *testing.T) {
	table := newTestTable(16)
	key := func(n uint8) Key { return NewKey(0, 1, n, 0x2001_0db8_cafe_0001, 0) }
	table.Put(key(48), Value{})
	readers(t, 2, func(*rand.Rand) string {
		switch k, _, _, ok := table.Longest(0, 1, key(64).Hi, 0, 128); {
		case !ok:
			return "nothing found, although there was a prefix all the time"
		case k == key(56):
			return "the /56 found, although there was the /64 all the time"
		}
		return ""
	}, func(*rand.Rand) {
		for range steps(150_000) {
			table.Put(key(64), Value{})
			table.Put(key(56), Value{})
			table.Delete(key(56))
			table.Delete(key(64))
			table.Put(key(40), Value{})
			table.Delete(key(48))
			table.Put(key(48), Value{})
			table.Delete(key(40))
		}
	})
}

// TestRecycledRecordsAreNotTrusted: a value leads to a record of a slab that
// is freed and handed out again right after the value is withdrawn. What was
// read there counts only while the Ref is valid, and then it is the key's.
func TestRecycledRecordsAreNotTrusted(t *testing.T) {
	const keys = 8
	table := newTestTable(keys)
	table.resting = 0
	slab := NewSlab(make([]uint64, SlabWords(2, 3)), 2, 3)
	var valid atomic.Uint64
	readers(t, 3, func(r *rand.Rand) string {
		k := benchKey(r.Uint64N(keys))
		v, ref, ok := table.Get(k)
		if !ok {
			return ""
		}
		id := uint32(v.W[0])
		a, b := slab.Load(id, 0), slab.Load(id, 1)
		if !table.Valid(ref) {
			return ""
		}
		valid.Add(1)
		if a != k.Hi || b != v.W[1] {
			return "a valid Ref, but the record is another key's"
		}
		return ""
	}, func(r *rand.Rand) {
		for n := uint64(0); n < uint64(steps(100_000)) || valid.Load() == 0; n++ {
			k := benchKey(r.Uint64N(keys))
			id, _ := slab.Alloc()
			slab.Store(id, 0, k.Hi)
			slab.Store(id, 1, n)
			table.Put(k, Value{W: [4]uint64{uint64(id), n}})
			if n%2 == 0 {
				table.Put(k, Value{W: [4]uint64{uint64(id), n}})
			}
			table.Delete(k)
			slab.Free(id)
		}
	})
}

// TestHashReadersNeverMissWhatIsThere: an id is found if it was there all the
// time, although the writer moves it by removing others, and not found if it
// was away all the time. Readers are slow from one slot to the next.
func TestHashReadersNeverMissWhatIsThere(t *testing.T) {
	const ids, capacity = 16, 12
	var near [3]uint64
	h := NewHash(make([]uint64, HashWords(capacity)), capacity, func(id uint32) uint64 { return near[id%3] })
	near = neighbours(h)
	var started, done [ids]atomic.Uint64 // operations; after an odd one the id is there
	var spins atomic.Uint64
	readers(t, 2, func(r *rand.Rand) string {
		id := uint32(r.IntN(ids-1)) + 1
		is := func(x uint32) bool {
			for range 300 {
				spins.Load() // takes its time
			}
			return x == id
		}
		before := done[id].Load()
		_, ok := h.Find(near[id%3], is)
		if started[id].Load() == before && ok != (before%2 == 1) {
			return "an id is found while away, or not found while there"
		}
		return ""
	}, func(r *rand.Rand) {
		for range steps(700_000) {
			id := uint32(r.IntN(ids-1)) + 1
			n := started[id].Load() + 1
			if n%2 == 1 && h.Len() == capacity {
				continue
			}
			started[id].Store(n)
			if n%2 == 1 {
				h.Insert(near[id%3], id)
			} else {
				h.Remove(near[id%3], id)
			}
			done[id].Store(n)
		}
	})
}

// neighbours are hashes of one tag whose homes follow one another.
func neighbours(h *Hash) (near [3]uint64) {
	for i := range near {
		for hash := uint64(1); near[i] == 0; hash++ {
			if s := spread(hash); h.home(s) == 3+i && s&hashTag == 7 {
				near[i] = hash
			}
		}
	}
	return near
}
