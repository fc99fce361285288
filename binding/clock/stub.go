// Package clock is a stand-in.
package clock

const Slots = 16

type Bound struct {
	Our, Node int64
	Epoch     uint8
}

func Before(hi, lo Bound) bool {
	return hi.Our < lo.Our || hi.Epoch != 0 && hi.Epoch == lo.Epoch && hi.Node < lo.Node
}
func Sooner(a, b Bound) Bound {
	o := min(a.Our, b.Our)
	if a.Epoch == b.Epoch {
		return Bound{o, min(a.Node, b.Node), a.Epoch}
	}
	if b.Epoch == 0 {
		b = a
	}
	b.Our = o
	return b
}
func Later(a, b Bound) Bound {
	o := max(a.Our, b.Our)
	if a.Epoch == b.Epoch {
		return Bound{o, max(a.Node, b.Node), a.Epoch}
	}
	if b.Epoch == 0 {
		b = a
	}
	b.Our = o
	return b
}
func Upper(a, b Bound) Bound {
	o := max(a.Our, b.Our)
	if a == (Bound{}) {
		return b
	}
	if b == (Bound{}) {
		return a
	}
	if a.Epoch == b.Epoch {
		return Bound{o, max(a.Node, b.Node), a.Epoch}
	}
	return Bound{Our: o}
}

const base = 1577836800000

func (b Bound) Pack() uint64 {
	if b == (Bound{}) {
		return 0
	}
	d := b.Node - b.Our
	if b.Epoch >= 8 {
		d = b.Node - b.Our*64
	}
	if b.Epoch == 0 || d < -1<<19 || d >= 1<<19 {
		d, b.Epoch = 0, 0
	}
	o := max(b.Our-base, 1)
	return uint64(o)<<24 | uint64(d&(1<<20-1))<<4 | uint64(b.Epoch)
}
func Unpack(w uint64) Bound {
	if w == 0 {
		return Bound{}
	}
	b := Bound{Our: int64(w>>24) + base, Epoch: uint8(w & 15)}
	if b.Epoch == 0 {
		return b
	}
	d := int64(w<<40) >> 44
	b.Node = b.Our + d
	if b.Epoch >= 8 {
		b.Node = b.Our*64 + d
	}
	return b
}
func (b Bound) Since(ms int64) Bound {
	if b.Our < ms {
		b.Node, b.Epoch = 0, 0
	}
	return b
}

type Limits struct{ MaxDelay, Blind, Flight int64 }

func Defaults() Limits { return Limits{300000, 30000, 300} }

type Word struct {
	Arrived  int64
	Stamp    int64
	Stamped  bool
	Delay    int64
	Delayed  bool
	Link     uint64
	Repeated bool
	Blind    int64
}
type State struct {
	M, First int64
	Epoch    uint8
	Since    [16]int64
}
type Clock struct {
	State
	n          int
	link       [16]uint64
	tick       [16]int64
	next       uint8
	restored   bool
	tells, any bool
	changed    bool
}

const tol = 1100

func (c *Clock) Hear(w Word, l *Limits) (lo, hi Bound, late int64) {
	arr := w.Arrived
	hi = Bound{Our: arr - w.Delay}
	if w.Link != 0 {
		c.tells = true
		var s uint8
		for i := uint8(8); i < 16; i++ {
			if c.link[i] == w.Link {
				s = i
			}
		}
		if s == 0 {
			s = 8 + c.next%8
			c.next++
			if c.link[s] != 0 || c.restored {
				c.Since[s] = arr
			}
			c.link[s], c.changed = w.Link, true
		}
		c.tick[s] = max(c.tick[s]+1, arr*64)
		hi.Epoch, hi.Node = s, c.tick[s]
		lo = Bound{Our: arr - l.Flight, Node: c.tick[s], Epoch: s}
		if w.Repeated {
			lo = Bound{Our: arr - l.MaxDelay}
		}
		return lo, hi, 0
	}
	if !w.Stamped {
		if w.Delayed {
			c.tells = true
			return Bound{Our: arr - w.Delay - 1000 - tol}, hi, 0
		}
		b := w.Blind
		if b == 0 {
			b = l.Blind
		}
		return Bound{Our: arr - w.Delay - b}, hi, 0
	}
	c.tells = true
	d := arr - w.Stamp
	switch {
	case c.Epoch == 0:
		c.Epoch, c.M, c.First, c.changed = 1, d, d, true
	case c.n >= 8 && d < c.M-tol, d > c.M+l.MaxDelay+w.Delay:
		c.Epoch = c.Epoch%7 + 1
		c.Since[c.Epoch] = arr
		c.M, c.First, c.n, c.changed, c.restored = d, d, 0, true, true
	case d < c.M && w.Delay == 0:
		c.M, c.changed = d, true
	}
	c.n++
	first := !c.restored
	lo = Bound{Our: arr - l.MaxDelay}
	if c.n > 8 {
		late = max(arr-w.Stamp-c.M, 0)
		lo.Our = max(lo.Our, arr-late-w.Delay-tol)
	}
	if c.n > 8 || first {
		lo.Epoch, hi.Epoch = c.Epoch, c.Epoch
		hi.Node = max(arr-w.Delay-c.M+tol, w.Stamp+999) + c.First
		lo.Node = w.Stamp - w.Delay + c.First
	}
	return lo, hi, late
}
func (c *Clock) SlotSince(e uint8) int64 { return c.Since[e] }
func (c *Clock) Keep() State             { c.changed = false; return c.State }
func (c *Clock) Changed() bool           { return c.changed }
func Restore(s State) Clock              { return Clock{State: s, restored: true} }
func (c *Clock) TellsNoTime() bool       { return !c.tells }
func (c *Clock) Offset() (int64, bool)   { return -c.M, c.n > 8 }
