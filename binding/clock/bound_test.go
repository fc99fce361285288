package clock

import (
	"math"
	"testing"
)

func TestBeforeIsSureByOneOfTheClocks(t *testing.T) {
	for _, x := range []struct {
		claim  string
		hi, lo Bound
		want   bool
	}{
		{"our clock says so", Bound{Our: 5}, Bound{Our: 6}, true},
		{"the same moment is not before itself", Bound{Our: 5}, Bound{Our: 5}, false},
		{"the node says so", Bound{Our: 9, Node: 5, Epoch: 1}, Bound{Our: 6, Node: 6, Epoch: 1}, true},
		{"two epochs say nothing", Bound{Our: 9, Node: 5, Epoch: 1}, Bound{Our: 6, Node: 6, Epoch: 2}, false},
		{"no epoch says nothing", Bound{Our: 9, Node: 5}, Bound{Our: 6, Node: 6}, false},
		{"one clock is enough against the other", Bound{Our: 5, Node: 9, Epoch: 1}, Bound{Our: 6, Node: 6, Epoch: 1}, true},
		{"nothing is before minus infinity", Bound{Our: 5, Node: 5, Epoch: 1}, Bound{}, false},
	} {
		if got := Before(x.hi, x.lo); got != x.want {
			t.Errorf("%s: %v", x.claim, got)
		}
	}
}

func TestBoundsCombineClockByClock(t *testing.T) {
	b := func(our, node int64, epoch uint8) Bound { return Bound{Our: our, Node: node, Epoch: epoch} }
	for _, x := range []struct {
		claim     string
		f         func(a, b Bound) Bound
		a, b      Bound
		want      Bound
		symmetric bool
	}{
		{"sooner takes the lesser of each", Sooner, b(1, 9, 1), b(2, 8, 1), b(1, 8, 1), true},
		{"sooner keeps the only node time", Sooner, b(1, 0, 0), b(2, 8, 1), b(1, 8, 1), true},
		{"sooner keeps the newer epoch", Sooner, b(1, 9, 1), b(2, 8, 2), b(1, 8, 2), false},
		{"later takes the greater of each", Later, b(1, 9, 1), b(2, 8, 1), b(2, 9, 1), true},
		{"later keeps the only node time", Later, b(1, 0, 0), b(2, 8, 1), b(2, 8, 1), true},
		{"later keeps the newer epoch", Later, b(3, 9, 1), b(2, 8, 2), b(3, 8, 2), false},
		{"minus infinity is later than nothing", Later, b(0, 0, 0), b(2, 8, 2), b(2, 8, 2), true},
		{"upper takes the greater of each", Upper, b(1, 9, 1), b(2, 8, 1), b(2, 9, 1), true},
		{"upper loses a node time that only one has", Upper, b(1, 0, 0), b(2, 8, 1), b(2, 0, 0), true},
		{"upper loses the times of two epochs", Upper, b(1, 9, 2), b(2, 8, 1), b(2, 0, 0), true},
	} {
		if got := x.f(x.a, x.b); got != x.want {
			t.Errorf("%s: %+v", x.claim, got)
		}
		if got := x.f(x.b, x.a); x.symmetric && got != x.want {
			t.Errorf("%s, the other way round: %+v", x.claim, got)
		}
	}
}

func TestABoundIsPackedExactlyOrLosesTheNodesTime(t *testing.T) {
	const now = start
	for _, x := range []struct {
		claim    string
		in, want Bound
	}{
		{"the zero Bound", Bound{}, Bound{}},
		{"no node time", Bound{Our: now}, Bound{Our: now}},
		{"a wall clock", Bound{now, now + 1234, 15}, Bound{now, now + 1234, 15}},
		{"a lo of first contact", Bound{now - 300_000, now + 999, 1}, Bound{now - 300_000, now + 999, 1}},
		{"a link", Bound{now - 300, now*64 + 63, 2}, Bound{now - 300, now*64 + 63, 2}},
		{"a node time that is far off", Bound{Our: now, Node: now + hour, Epoch: 3}, Bound{Our: now}},
		{"a node time of no scale", Bound{Our: now, Node: 7, Epoch: 3}, Bound{Our: now}},
		{"an epoch that there is not", Bound{Our: now, Node: now, Epoch: 16}, Bound{Our: now}},
		{"a moment before 2020", Bound{Our: packEra, Node: packEra, Epoch: 1}, Bound{}},
		{"the first moment of 2020", Bound{Our: packEra + 1}, Bound{Our: packEra + 1}},
		{"a moment after 2054", Bound{packEra + packLast + 1, packEra + packLast, 1}, Bound{Our: packEra + packLast}},
	} {
		if got := Unpack(x.in.Pack()); got != x.want {
			t.Errorf("%s: %+v", x.claim, got)
		}
	}
	if w := (Bound{}).Pack(); w != 0 {
		t.Errorf("the zero Bound is packed to %x", w)
	}
}

// FuzzPack: of a moment that our clock can show, neither a lo becomes later nor
// a hi earlier by either clock; of any other a lo does not become later.
func FuzzPack(f *testing.F) {
	f.Add(start, start+5, uint8(3))
	f.Add(start, start*64+5, uint8(15))
	f.Add(int64(-1), int64(math.MaxInt64), uint8(1))
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), uint8(255))
	f.Fuzz(func(t *testing.T, our, node int64, epoch uint8) {
		b := Bound{Our: our, Node: node, Epoch: epoch}
		got := Unpack(b.Pack())
		if got != Unpack(got.Pack()) {
			t.Errorf("%+v is unpacked to %+v, and that to another", b, got)
		}
		if got.Our > max(our, 0) {
			t.Errorf("the lo %+v became later: %+v", b, got)
		}
		if our > packEra && our <= packEra+packLast && got.Our != our {
			t.Errorf("%+v became %+v", b, got)
		}
		if got.Epoch != 0 && (got.Node != node || got.Epoch != epoch) {
			t.Errorf("the node time of %+v became %+v", b, got)
		}
	})
}
