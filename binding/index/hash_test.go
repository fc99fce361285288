package index

import "testing"

func TestHashEqualsAMap(t *testing.T) {
	for _, capacity := range []int{1, 2, 50, 3000} {
		r := newRandom(t)
		hashes := make([]uint64, 2*capacity+1)
		for id := range hashes {
			hashes[id] = r.Uint64N(uint64(capacity)) // some share one
		}
		h := NewHash(make([]uint64, HashWords(capacity)), capacity, func(id uint32) uint64 { return hashes[id] })
		in := map[uint32]bool{}
		for range steps(100_000) {
			id := 1 + uint32(r.IntN(2*capacity))
			got, ok := h.Find(hashes[id], func(x uint32) bool { return x == id })
			if ok != in[id] || ok && got != id {
				t.Fatalf("Find(%d) = %d, %v, want %v", id, got, ok, in[id])
			}
			if removed := h.Remove(hashes[id], id); removed != in[id] {
				t.Fatalf("Remove(%d) = %v, want %v", id, removed, in[id])
			}
			if in[id] {
				delete(in, id)
			} else if inserted := h.Insert(hashes[id], id); inserted != (len(in) < capacity) {
				t.Fatalf("Insert(%d) = %v with %d of %d", id, inserted, len(in), capacity)
			} else if inserted {
				in[id] = true
			}
			if h.Len() != len(in) || h.Cap() != capacity {
				t.Fatalf("Len %d Cap %d, want %d, %d", h.Len(), h.Cap(), len(in), capacity)
			}
		}
	}
}

func TestHashFindsAllOfOneHash(t *testing.T) {
	const n = 10
	h := NewHash(make([]uint64, HashWords(n)), n, func(uint32) uint64 { return 7 })
	for id := uint32(1); id <= n; id++ {
		h.Insert(7, id)
	}
	h.Remove(7, 4)
	met := map[uint32]bool{}
	h.Find(7, func(id uint32) bool {
		met[id] = true
		return false
	})
	if len(met) != n-1 || met[4] {
		t.Errorf("met %v", met)
	}
}
