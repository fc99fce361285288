package index

import (
	"testing"
)

func TestNewKeyDropsBitsBeyondItsLength(t *testing.T) {
	const all = ^uint64(0)
	for _, c := range []struct {
		n      uint8
		hi, lo uint64
	}{
		{1, 1 << 63, 0},
		{32, 0xFFFFFFFF << 32, 0},
		{63, all &^ 1, 0},
		{64, all, 0},
		{65, all, 1 << 63},
		{127, all, all &^ 1},
		{128, all, all},
	} {
		k := NewKey(0xABCD, 3, c.n, all, all)
		if want := (Key{Hi: c.hi, Lo: c.lo, Meta: 0xABCD0300 | uint32(c.n)}); k != want {
			t.Errorf("%d bits: %x, want %x", c.n, k, want)
		}
		if k.Domain() != 0xABCD || k.Class() != 3 || k.Bits() != c.n {
			t.Errorf("%d bits: domain %x class %d bits %d", c.n, k.Domain(), k.Class(), k.Bits())
		}
	}
}

func TestWrongUseIsRefusedLoudly(t *testing.T) {
	table := newTestTable(1)
	for name, f := range map[string]func(){
		"key of no bits":        func() { NewKey(0, 0, 0, 0, 0) },
		"key of 129 bits":       func() { NewKey(0, 0, 129, 0, 0) },
		"key of class 4":        func() { NewKey(0, 4, 1, 0, 0) },
		"put of the zero key":   func() { table.Put(Key{}, Value{}) },
		"put of class 4":        func() { table.Put(Key{Meta: 4<<8 | 1}, Value{}) },
		"table of nothing":      func() { NewTable(make([]uint64, 10_000), 0) },
		"table on too little":   func() { NewTable(make([]uint64, TableWords(9)-1), 9) },
		"slab of one word":      func() { NewSlab(make([]uint64, 100), 1, 1) },
		"slab on too little":    func() { NewSlab(make([]uint64, SlabWords(9, 2)-1), 9, 2) },
		"hash beyond 27 bits":   func() { NewHash(nil, 1<<27, nil) },
		"hash on too little":    func() { NewHash(make([]uint64, HashWords(9)-1), 9, nil) },
		"hash of id 0":          func() { NewHash(make([]uint64, HashWords(9)), 9, nil).Insert(1, 0) },
		"carving beyond":        func() { NewCarver(make([]uint64, 8)).Take(9) },
		"carving less than one": func() { NewCarver(make([]uint64, 8)).Take(-1) },
	} {
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || len(s) < 6 || s[:6] != "index:" {
					t.Errorf("%s: panics with %q, want one of ours", name, s)
				}
			}()
			f()
		}()
	}
}

func TestQuestionsOutOfRangeFindNothing(t *testing.T) {
	table := newTestTable(4)
	table.Put(NewKey(0, 0, 8, 10<<56, 0), Value{})
	if _, _, ok := table.Get(Key{}); ok {
		t.Error("Get of the zero key finds one")
	}
	if _, _, _, ok := table.Longest(0, 4, 10<<56, 0, 128); ok {
		t.Error("Longest of class 4 finds one")
	}
	if _, _, _, ok := table.Longest(0, 0, 10<<56, 0, 7); ok {
		t.Error("Longest finds more bits than asked for")
	}
	if _, _, _, ok := table.Longest(0, 0, 10<<56, 0, 255); !ok {
		t.Error("Longest of more than 128 bits finds nothing")
	}
	for _, pos := range []uint32{0, 2, 1 << 31} {
		if _, _, _, ok := table.At(pos); ok {
			t.Errorf("At(%d) finds one", pos)
		}
	}
	if table.Valid(Ref{}) {
		t.Error("the zero Ref is valid")
	}
}

func TestFullTableRefusesAndGoesOn(t *testing.T) {
	const capacity = 1000
	p := newPair(capacity)
	for i := range uint64(capacity) {
		p.step(t, 0, benchKey(i), 0)
	}
	for round := range uint64(5) {
		p.step(t, 0, benchKey(capacity+round), 0) // refused: the twin says so too
		for i := range uint64(capacity) {
			p.step(t, 0, benchKey(i), 0) // replaced, more often than there are spares
		}
		p.step(t, 4, benchKey(round), 0)
		p.step(t, 0, benchKey(2*capacity+round), 0)
	}
	p.compare(t)
	if p.table.Len() != capacity || p.table.Cap() != capacity {
		t.Errorf("Len %d Cap %d, want %d", p.table.Len(), p.table.Cap(), capacity)
	}
}

func TestRecordsRestBeforeTheyAreUsedAgain(t *testing.T) {
	table, k := newTestTable(1000), benchKey(0)
	used := map[uint32]int{}
	for i := range 1000 {
		table.Put(k, Value{})
		_, ref, _ := table.Get(k)
		if last, before := used[ref.record]; before && i-last < spareRecords {
			t.Fatalf("record %d is back after %d writes", ref.record, i-last)
		}
		used[ref.record] = i
	}
	if table.Limit() > spareRecords+2 {
		t.Errorf("replacing one value took %d records", table.Limit())
	}
}

func TestOldRefsAreNeverValidAgain(t *testing.T) {
	table, k := newTestTable(1), benchKey(0)
	table.resting = 0
	var old []Ref
	for range 100 {
		table.Put(k, Value{})
		_, ref, _ := table.Get(k)
		for _, o := range old {
			if table.Valid(o) {
				t.Fatalf("%v is valid beside %v", o, ref)
			}
		}
		old = append(old, ref)
	}
	if table.Limit() != 2 {
		t.Errorf("%d records were used, want 2", table.Limit())
	}
}

// TestLengthsInUse: a length that no key has any more costs Longest nothing.
func TestLengthsInUse(t *testing.T) {
	table := newTestTable(100)
	inUse := func() (words [2 * maxClasses]uint64) {
		copy(words[:], table.head[headLengths:])
		return words
	}
	for class := range uint8(maxClasses) {
		for _, n := range []uint8{1, 64, 65, 128} {
			a, b := NewKey(1, class, n, 1<<63, 0), NewKey(2, class, n, 1<<63, 0)
			before := inUse()
			table.Put(a, Value{})
			table.Put(b, Value{})
			table.Put(b, Value{Aux: 1})
			with := before
			with[2*class+(n-1)/64] |= 1 << ((n - 1) % 64)
			if got := inUse(); got != with {
				t.Fatalf("class %d, %d bits: %x, want %x", class, n, got, with)
			}
			table.Delete(a)
			if got := inUse(); got != with {
				t.Fatalf("class %d, %d bits, one key left: %x, want %x", class, n, got, with)
			}
			table.Delete(b)
			if got := inUse(); got != before {
				t.Fatalf("class %d, %d bits, none left: %x, want %x", class, n, got, before)
			}
		}
	}
}
