package index

import "testing"

func TestSlab(t *testing.T) {
	const capacity, width = 3, 2
	s := NewSlab(make([]uint64, SlabWords(capacity, width)), capacity, width)
	alloc := func(want uint32) {
		t.Helper()
		id, ok := s.Alloc()
		if id != want || ok != (want != 0) {
			t.Fatalf("Alloc() = %d, %v, want %d", id, ok, want)
		}
		for word := range width {
			if ok && s.Load(id, word) != 0 {
				t.Fatalf("word %d of %d is not zero", word, id)
			}
		}
		if ok {
			s.Store(id, 0, 7)
			s.Store(id, width-1, 7)
		}
	}
	alloc(1)
	alloc(2)
	alloc(3)
	alloc(0)
	for _, id := range []uint32{2, 3, 1} {
		s.Free(id)
		if s.Load(id, 0) != 0 {
			t.Fatalf("first word of %d survives Free", id)
		}
	}
	if s.Len() != 0 || s.Limit() != 3 || s.Cap() != 3 {
		t.Fatalf("Len %d Limit %d Cap %d", s.Len(), s.Limit(), s.Cap())
	}
	alloc(2) // the longest free first
	alloc(3)
	s.Free(3)
	alloc(1)
	alloc(3)
	alloc(0)
}
