package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQuantity(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, "", "0"},
		{37.2e-9, "s", "37.2 ns"},
		{999e-9, "s", "999 ns"},
		{1e-6, "s", "1.00 us"},
		{0.0123, "s", "12.3 ms"},
		{20, "s", "20.0 s"},
		{250, "B", "250 B"},
		{1799, "B", "1799 B"},
		{8087, "/s", "8087/s"},
		{20_000, "/s", "20.0 k/s"},
		{1_070_000, "/s", "1.07 M/s"},
	} {
		if got := quantity(tt.v, tt.unit); got != tt.want {
			t.Errorf("%v %q: %q, want %q", tt.v, tt.unit, got, tt.want)
		}
	}
}

func TestGoals(t *testing.T) {
	for _, tt := range []struct {
		claim string
		r     result
		want  string
	}{
		{"a ratio that is large enough", versus("", "/s", []float64{200}, "p", []float64{100}, atLeast(2)), "yes"},
		{"a ratio that is too small", versus("", "/s", []float64{199}, "p", []float64{100}, atLeast(2)), "NO"},
		{"a figure within its bound", figure("", "s", []float64{0.9e-3}, atMost(1e-3)), "yes"},
		{"a figure beyond it", figure("", "s", []float64{1.1e-3}, atMost(1e-3)), "NO"},
		{"nothing where nothing may be", figure("", "", []float64{0}, &goal{Zero: true}), "yes"},
		{"something where nothing may be", figure("", "", []float64{1}, &goal{Zero: true}), "NO"},
		{"no target", figure("", "s", []float64{1}, nil), ""},
	} {
		if got := tt.r.verdict(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.claim, got, tt.want)
		}
	}
}

func TestTheTableNamesTheTargetBesideTheFigure(t *testing.T) {
	var out strings.Builder
	r := versus("work", "/s", []float64{30_000}, "peer", []float64{10_000}, atLeast(2)).noted("a remark")
	r.Part = "part"
	printTable(&out, []result{r})
	for _, want := range []string{"part", "work [1]", "30.0 k/s", "peer 10.0 k/s", "3.00 x", ">= 2 x", "yes", "[1] a remark"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.in, got, tt.want)
		}
	}
}

// The histogram may say at most 1/16 more than the sorted durations do.
func TestQuantilesAreThoseOfTheSortedDurations(t *testing.T) {
	pick := rand.New(rand.NewPCG(1, 2))
	var h, half histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(math.Exp(pick.Float64() * 20))
		all = append(all, d)
		if i%2 == 0 {
			half.add(d)
		} else {
			h.add(d)
		}
	}
	h.merge(&half)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)].Seconds()
		if got := h.quantile(q); got < want || got > want*17/16+1e-9 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}
