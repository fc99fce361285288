package clock

// A Bound is one bound of the moment at which something happened: a lo ("not
// before") or a hi ("not after"). Each of the two clocks makes a statement of
// its own, and each alone is true.
//
// The zero Bound is, of a lo, minus infinity.
type Bound struct {
	// Our is the moment by our clock, in unix ms.
	Our int64
	// Node is the moment by the node's clock, which means something only beside
	// other Bounds of the same node and Epoch. Of a wall clock it counts ms and
	// is shifted so that it lies near Our; of an ordered link it counts 1/64 ms
	// and lies near 64 times Our.
	Node int64
	// Epoch is the slot, 1 to 15, of the epoch of the node's clock that Node is
	// told in. Zero: the node's clock says nothing.
	Epoch uint8
}

// Before reports whether every moment that hi allows surely lies before every
// moment that lo allows. It is the only comparison of times: where it is false
// the order is the other one or unknown, and a rule that needs to know asks the
// other way round. Both Bounds must be of one node, or one of them without node
// time.
func Before(hi, lo Bound) bool {
	return hi.Our < lo.Our || hi.Epoch != 0 && hi.Epoch == lo.Epoch && hi.Node < lo.Node
}

// Sooner is the lesser of two hi of one moment, clock by clock. Of the times in
// two different epochs that of b stands, so b is the newer word.
func Sooner(a, b Bound) Bound {
	s := Bound{Our: min(a.Our, b.Our), Node: b.Node, Epoch: b.Epoch}
	switch {
	case b.Epoch == 0:
		s.Node, s.Epoch = a.Node, a.Epoch
	case a.Epoch == b.Epoch:
		s.Node = min(a.Node, b.Node)
	}
	return s
}

// Later is the greater of two lo of one living thing, "lives at a moment not
// before", clock by clock. Of the times in two different epochs that of b
// stands, so b is the newer word.
func Later(a, b Bound) Bound {
	s := Bound{Our: max(a.Our, b.Our), Node: b.Node, Epoch: b.Epoch}
	switch {
	case b.Epoch == 0:
		s.Node, s.Epoch = a.Node, a.Epoch
	case a.Epoch == b.Epoch:
		s.Node = max(a.Node, b.Node)
	}
	return s
}

// Upper is a hi above both: of the later of two moments, or of either. Across
// epochs only its Our survives.
func Upper(a, b Bound) Bound {
	u := Bound{Our: max(a.Our, b.Our)}
	if a.Epoch != 0 && a.Epoch == b.Epoch {
		u.Node, u.Epoch = max(a.Node, b.Node), a.Epoch
	}
	return u
}

// Since is b without its node time if b is older than ms, the moment since when
// its slot has its present meaning ([Clock.SlotSince]).
func (b Bound) Since(ms int64) Bound {
	if b.Our < ms {
		return Bound{Our: b.Our}
	}
	return b
}

// A packed Bound is one word, from the top: 40 bits of Our in ms since packEra,
// 20 bits of Node, 4 bits of Epoch. The 20 bits are one that tells a link from
// a wall clock and 19 of Node less Our, or less ticksPerMS times Our, counted
// from -packBelow: a lo by the node's clock lies up to max_delay above its Our,
// a hi close to it.
const (
	packEra   = 1577836800000 // 2020-01-01T00:00:00Z in unix ms
	packLast  = 1<<40 - 1
	packDelta = 19
	packBelow = 1 << 14
	packLink  = 1 << packDelta
)

// ticksPerMS is how finely the time of an ordered link is divided.
const ticksPerMS = 64

// Pack makes b one word. What Our holds is exact from 2020 until November 2054.
// An older moment packs to zero, which reads as minus infinity: a lo is
// earlier then, and a hi still lies before every word that we can have heard. A
// later one is cut to the last that there is: our clock does not show it, and
// what is cut compares as equal. A node time too far from Our, over eight
// minutes, is lost; it is never changed.
func (b Bound) Pack() uint64 {
	if b.Our <= packEra {
		return 0
	}
	if b.Our-packEra > packLast {
		return packLast << 24
	}
	w := uint64(b.Our-packEra) << 24
	if b.Epoch == 0 || b.Epoch > slots {
		return w
	}
	delta, kind := b.Node-b.Our+packBelow, uint64(0)
	if uint64(delta)>>packDelta != 0 {
		delta, kind = b.Node-b.Our*ticksPerMS+packBelow, packLink
	}
	if uint64(delta)>>packDelta != 0 {
		return w
	}
	return w | (kind|uint64(delta))<<4 | uint64(b.Epoch)
}

// Unpack is the Bound that Pack made w of.
func Unpack(w uint64) Bound {
	if w>>24 == 0 {
		return Bound{}
	}
	b := Bound{Our: int64(w>>24) + packEra, Epoch: uint8(w & 15)}
	if b.Epoch == 0 {
		return b
	}
	delta := int64(w>>4&(packLink-1)) - packBelow
	if w>>4&packLink != 0 {
		b.Node = b.Our*ticksPerMS + delta
	} else {
		b.Node = b.Our + delta
	}
	return b
}
