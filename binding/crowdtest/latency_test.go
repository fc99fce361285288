package crowdtest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinASixteenth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var l Latencies
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		l.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999} {
		want, got := all[int(q*float64(len(all)))], l.Quantile(q)
		if got < want || got > want+want/16+1 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := l.Quantile(1); got < all[len(all)-1] {
		t.Errorf("the largest is %v, want %v", got, all[len(all)-1])
	}
	if got := (&Latencies{}).Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
