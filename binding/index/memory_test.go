package index

import (
	"reflect"
	"testing"
	"unsafe"
)

func TestMap(t *testing.T) {
	m, err := Map(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	words := m.Words()
	if len(words) != 1<<20 || words[0]|words[1<<20-1] != 0 {
		t.Errorf("%d words, the first %d, the last %d", len(words), words[0], words[len(words)-1])
	}
	words[1<<20-1] = 1
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if m.Words() != nil {
		t.Error("words after Close")
	}
	for _, n := range []int{0, -1, 1 << 55, 1<<63 - 1} {
		if _, err := Map(n); err == nil {
			t.Errorf("Map(%d) succeeds", n)
		}
	}
}

func TestCarver(t *testing.T) {
	words := make([]uint64, 64)
	c := NewCarver(words)
	for _, r := range []struct{ n, offset int }{{1, 0}, {8, 8}, {9, 16}, {0, 32}, {32, 32}} {
		got := c.Take(r.n)
		if len(got) != r.n || cap(got) != r.n {
			t.Errorf("Take(%d) has %d words of %d", r.n, len(got), cap(got))
		}
		if r.n > 0 && &got[0] != &words[r.offset] {
			t.Errorf("Take(%d) does not start at %d", r.n, r.offset)
		}
	}
}

// TestMemoryHoldsNoPointers: the collector does not look into it, and another
// process could.
func TestMemoryHoldsNoPointers(t *testing.T) {
	for _, of := range []reflect.Type{
		reflect.TypeFor[Key](), reflect.TypeFor[Value](), reflect.TypeFor[Ref](),
		reflect.TypeFor[line](), reflect.TypeFor[record](),
	} {
		if !plain(of) {
			t.Errorf("%v holds a pointer", of)
		}
	}
	if unsafe.Sizeof(line{}) != 64 || unsafe.Sizeof(record{}) != 64 {
		t.Error("a line or a record is not one cache line")
	}
	if got := TableWords(10_000_000) * wordBytes / 10_000_000; got != 72 {
		t.Errorf("%d bytes per key", got)
	}
}

func plain(of reflect.Type) bool {
	switch of.Kind() {
	case reflect.Array:
		return plain(of.Elem())
	case reflect.Struct:
		for i := range of.NumField() {
			if !plain(of.Field(i).Type) {
				return false
			}
		}
		return true
	default:
		return of.Kind() >= reflect.Bool && of.Kind() <= reflect.Float64
	}
}

func TestReadersAllocateNothing(t *testing.T) {
	table := newTestTable(100)
	h := NewHash(make([]uint64, HashWords(100)), 100, crowded)
	for i := range uint64(100) {
		table.Put(benchKey(i), Value{W: [4]uint64{i}})
		h.Insert(crowded(uint32(i+1)), uint32(i+1))
	}
	found, id := 0, uint32(77)
	for name, f := range map[string]func(){
		"Get": func() {
			if _, ref, ok := table.Get(benchKey(7)); ok && table.Valid(ref) {
				found++
			}
		},
		"Get of nothing": func() { table.Get(benchKey(200)) },
		"Longest": func() {
			if _, _, _, ok := table.Longest(0, 1, 0x20010db8<<32, 0, 128); ok {
				found++
			}
		},
		"At": func() { table.At(7) },
		"Find": func() {
			if _, ok := h.Find(crowded(id), func(x uint32) bool { return x == id }); ok {
				found++
			}
		},
		"Put and Delete": func() {
			table.Delete(benchKey(1))
			table.Put(benchKey(1), Value{})
			table.Put(benchKey(1), Value{})
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	if found == 0 {
		t.Error("nothing was found")
	}
}
