package registry

import (
	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// stays are the sessions of one SIM, wherever they are: what one means for the
// others, though they share no address.
type stays struct {
	*core
	places   *places
	sessions *sessions
}

// attached: a SIM that attaches anew at a node and APN where it has a session
// leaves that one in doubt, whatever address it has, and those of other sources
// that are of the same stay; it is over if both are of one default bearer (3GPP
// TS 29.274 clause 7.2.1). And a session of a SIM that another source has ended
// must speak after that, though the two name no common address. id may have
// ended: it had attached.
func (st *stays) attached(id uint32, f *fact) {
	x := st.m.Session(id)
	if x.Sub == 0 || st.m.SourceOf(x.Node) == binding.SourceFeed {
		return
	}
	var few [8]uint32
	var left []move
	others := st.othersOf(id, few[:0])
	for _, other := range others {
		x, y := st.m.Session(id), st.m.Session(other)
		if st.m.SourceOf(x.Node) != st.m.SourceOf(y.Node) {
			st.endedElsewhere(id, &x, &y)
			st.endedElsewhere(other, &y, &x)
		} else if !st.parallel && st.m.Root(x.Node) == st.m.Root(y.Node) && x.APN != 0 && x.APN == y.APN {
			if st.reattached(id, &x, &y, f) {
				left = append(left, move{x, y})
			}
			if st.reattached(other, &y, &x, f) {
				left = append(left, move{y, x})
			}
		}
	}
	for i := range left {
		for _, other := range others {
			if y := st.m.Session(other); !y.Ended() && st.m.SourceOf(x.Node) != st.m.SourceOf(y.Node) {
				st.leftBehind(other, &y, &left[i], f)
			}
		}
	}
	st.places.finish(f)
}

// mayHaveAttached is attached for a word that may be of a session of which nothing
// else is known, with the id of this one: it may have begun as late as the word.
func (st *stays) mayHaveAttached(id uint32, f *fact) {
	y := st.m.Session(id)
	y.BegunFrom, y.BegunBy, y.HeldAt = clock.Bound{}, f.begunBy, f.lo
	if st.parallel || y.APN == 0 {
		return
	}
	var few [8]uint32
	for _, other := range st.othersOf(id, few[:0]) {
		if x := st.m.Session(other); st.m.Root(x.Node) == st.m.Root(y.Node) && x.APN == y.APN {
			st.reattached(other, &x, &y, f)
		}
	}
	st.places.finish(f)
}

// overBy has a session that is over have ended as late as a source tells now: others
// must speak after that.
func (st *stays) overBy(id uint32, by clock.Bound, f *fact) {
	st.sessions.update(id, func(s *table.Session) {
		s.After, s.Lease = clock.Upper(s.After, by), max(s.Lease, 1)
	})
	st.places.relate(id, f)
	st.attached(id, f)
}

// A move is that a SIM left a session, as far as is known, for another one.
type move struct{ from, to table.Session }

// leftBehind has y speak if it is another source's account of a stay that its SIM
// has left: it shares an address with the session of that, or surely began before
// the new one. If it shares one with the new one too, it need only name again
// what that does not have.
func (st *stays) leftBehind(id uint32, y *table.Session, m *move, f *fact) {
	by := m.to.BegunBy.Our
	shares := st.together(&m.from, y)
	switch {
	case st.together(&m.to, y):
		for _, c := range st.sessions.claims(id) {
			if shares && c.At.Our <= by && !st.m.Has(&m.to, c.Key) {
				st.places.mayLack(id, c.Key, f)
			}
		}
	case y.HeldAt.Our <= by && (shares || y.BegunBy.Our < m.to.BegunFrom.Our):
		st.places.doubt(id, clock.Bound{Our: by}, binding.ReasonEnding)
	}
}

// othersOf adds to a list the other sessions of a session's SIM, but those of sites
// and those that name another APN.
func (st *stays) othersOf(id uint32, list []uint32) []uint32 {
	x := st.m.Session(id)
	if x.Sub == 0 {
		return list
	}
	list = st.ofSubscriber(id, &x, x.Sub, list)
	if x.IMSI == 0 {
		return list
	}
	var few [8]uint32
	for _, sub := range st.m.SubscribersOf(x.IMSI, few[:0]) {
		if sub != x.Sub {
			list = st.ofSubscriber(id, &x, sub, list)
		}
	}
	return list
}

func (st *stays) ofSubscriber(id uint32, x *table.Session, sub uint32, list []uint32) []uint32 {
	n := 0
	for other := st.m.Subscriber(sub).Head; other != 0 && n < simsMost; n++ {
		y := st.m.Session(other)
		if other != id && st.m.SourceOf(y.Node) != binding.SourceFeed && st.m.OneSIM(x, &y) && (x.APN == 0 || y.APN == 0 || x.APN == y.APN) {
			list = append(list, other)
		}
		other = y.Next
	}
	return list
}

// endedElsewhere has x speak after the end that another source tells of its SIM,
// unless that is known to be of another stay.
func (st *stays) endedElsewhere(id uint32, x, y *table.Session) {
	if !x.Ended() && y.Ended() && y.After.Our >= x.HeldAt.Our && !st.differ(x, y) {
		st.places.doubtBy(id, clock.Bound{Our: y.After.Our}, binding.ReasonEnding, st.places.endedBy(x.Node, y))
	}
}

// reattached has x speak after its SIM attached anew with y. It is over if both
// have the same default bearer. If they share an address, as at a handover, the
// others that x has are concerned. It reports whether y came after it.
func (st *stays) reattached(id uint32, x, y *table.Session, f *fact) bool {
	switch {
	case clock.Before(y.BegunBy, x.BegunFrom) || clock.Before(y.BegunBy, x.HeldAt):
		return false
	case x.Ended():
	case x.Contexts != 0 && x.Contexts == y.Contexts && clock.Before(x.BegunBy, y.BegunFrom):
		st.places.ends = append(st.places.ends, pendingEnd{id: id, bound: y.Last, e: endSuperseded})
	case st.together(x, y):
		if x.Contexts != 0 && y.Contexts != 0 && x.Contexts&y.Contexts == 0 && st.within(x, y) && st.within(y, x) {
			return false // secondary contexts of one session share its addresses (3GPP TS 29.061)
		}
		for _, c := range st.sessions.claims(id) {
			if !st.keeps(y, c.Key) && !clock.Before(y.BegunBy, c.At) {
				st.places.mayLack(id, c.Key, f)
			}
		}
	default:
		st.places.doubt(id, y.BegunBy, binding.ReasonEnding)
	}
	return true
}

// differ reports that two sessions have addresses of one family and share none.
func (st *stays) differ(x, y *table.Session) bool {
	var xs, ys uint8
	for c := x.Claim; c != 0; {
		cl := st.m.Claim(c)
		xs |= 1 << table.FamilyOf(cl.Key)
		c = cl.NextOfSession
	}
	for c := y.Claim; c != 0; {
		cl := st.m.Claim(c)
		ys |= 1 << table.FamilyOf(cl.Key)
		c = cl.NextOfSession
	}
	return xs&ys != 0 && !st.together(x, y)
}

// keeps reports that a session has an address, and has not perhaps given it up.
func (st *stays) keeps(s *table.Session, k index.Key) bool {
	for c := s.Claim; c != 0; {
		cl := st.m.Claim(c)
		if cl.Key == k {
			return !cl.Given
		}
		c = cl.NextOfSession
	}
	return false
}

// within reports that a session has no other addresses than another one.
func (st *stays) within(x, y *table.Session) bool {
	for c := x.Claim; c != 0; {
		cl := st.m.Claim(c)
		if !st.m.Has(y, cl.Key) {
			return false
		}
		c = cl.NextOfSession
	}
	return true
}

// together reports that two sessions share an address: a handover, or contexts
// of one bearer, which are compared there.
func (st *stays) together(x, y *table.Session) bool {
	for c := x.Claim; c != 0; {
		cl := st.m.Claim(c)
		if st.m.Has(y, cl.Key) {
			return true
		}
		c = cl.NextOfSession
	}
	return false
}
