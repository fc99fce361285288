package pairing

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestTableAgainstAList runs random operations against a plain list.
func TestTableAgainstAList(t *testing.T) {
	type item struct {
		key, value int
		since      time.Time
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var list []item
	var gone []int
	const capacity, patience = 16, 50 * time.Millisecond
	table := New(capacity, patience, func(key int, _ *int) { gone = append(gone, key) })
	find := func(key int) int { return slices.IndexFunc(list, func(i item) bool { return i.key == key }) }
	now := time.Unix(1767323045, 0)
	for range 20000 {
		now = now.Add(time.Duration(rng.IntN(5)) * time.Millisecond)
		key := rng.IntN(40)
		var wantGone []int
		gone = gone[:0]
		switch rng.IntN(4) {
		case 0, 1:
			if at := find(key); at >= 0 {
				list = slices.Delete(list, at, at+1)
			}
			if len(list) == capacity {
				wantGone = append(wantGone, list[0].key)
				list = list[1:]
			}
			list = append(list, item{key, key * 7, now})
			table.Put(now, key, key*7)
		case 2:
			if at := find(key); at >= 0 {
				list = slices.Delete(list, at, at+1)
			}
			table.Delete(key)
		case 3:
			for len(list) > 0 && now.Sub(list[0].since) >= patience {
				wantGone = append(wantGone, list[0].key)
				list = list[1:]
			}
			table.Expire(now)
		}
		if !slices.Equal(gone, wantGone) || table.Len() != len(list) {
			t.Fatalf("%v went and %d are left, want %v and %d", gone, table.Len(), wantGone, len(list))
		}
		for key := range 40 {
			got, at := table.Get(key), find(key)
			if (got != nil) != (at >= 0) || got != nil && *got != list[at].value {
				t.Fatalf("key %d: %v, and the list has it at %d", key, got, at)
			}
		}
	}
}
