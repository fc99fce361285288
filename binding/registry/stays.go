package registry

import (
	"slices"

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

// A stay is a session with its addresses: one that is kept, or as a word alone
// tells of it.
type stay struct {
	table.Session
	id   uint32 // zero: it is not kept
	who  binding.Subscriber
	keys []index.Key // of one that is not kept
}

// stay is that of a session that is kept.
func (st *stays) stay(id uint32) stay {
	s := st.m.Session(id)
	return stay{Session: s, id: id, who: st.m.Identity(&s)}
}

// claims adds the claims of a stay to a list.
func (st *stays) claims(s *stay, list []table.Claim) []table.Claim {
	if s.id != 0 {
		return st.sessions.appendClaims(list, s.id)
	}
	for _, k := range s.keys {
		list = append(list, table.Claim{Key: k})
	}
	return list
}

// attached: a SIM that attaches anew at a node and APN where it has a session
// leaves that one in doubt, whatever address it has, and those of other sources
// that are of the same stay; it is over if both are of one default bearer (3GPP
// TS 29.274 clause 7.2.1). And a session of a SIM that another source has ended
// must speak after that, though the two name no common address. id may have
// ended: it had attached.
func (st *stays) attached(id uint32, f *fact) {
	x := st.stay(id)
	st.attach(&x, nil, f)
}

// attach is attached for a session that need not be kept; own are those with its
// id.
func (st *stays) attach(x *stay, own []uint32, f *fact) {
	if table.Nobody(x.who) || st.m.SourceOf(x.Node) == binding.SourceFeed {
		return
	}
	var few [8]uint32
	var left []move
	others := st.othersOf(x, few[:0])
	for _, other := range others {
		if slices.Contains(own, other) {
			continue
		}
		if x.id != 0 {
			x.Session = st.m.Session(x.id)
		}
		y := st.stay(other)
		if st.m.SourceOf(x.Node) != st.m.SourceOf(y.Node) {
			st.endedElsewhere(x, &y)
			st.endedElsewhere(&y, x)
		} else if !st.parallel && st.m.Root(x.Node) == st.m.Root(y.Node) && x.APN != 0 && x.APN == y.APN {
			if st.reattached(x, &y, f) {
				left = append(left, move{*x, y})
			}
			if st.reattached(&y, x, f) {
				left = append(left, move{y, *x})
			}
		}
	}
	sub, abroad := uint32(0), []uint32(nil)
	for i := range left {
		if from := &left[i].from; i == 0 || from.Sub != sub { // it may join a number and an IMSI
			sub, abroad = from.Sub, st.abroad(append(st.othersOf(from, nil), others...), x)
		}
		for _, other := range abroad {
			y := st.stay(other)
			st.leftBehind(&y, &left[i], f)
		}
	}
	st.places.finish(f)
}

// mayHaveAttached is attached for a word that may be of a session of which nothing
// else is known, with the id of this one: it may have begun as late as the word.
func (st *stays) mayHaveAttached(id uint32, f *fact) {
	y := st.stay(id)
	y.BegunFrom, y.BegunBy, y.HeldAt = clock.Bound{}, f.begunBy, f.lo
	if st.parallel || y.APN == 0 {
		return
	}
	var few [8]uint32
	for _, other := range st.othersOf(&y, few[:0]) {
		if x := st.stay(other); st.m.Root(x.Node) == st.m.Root(y.Node) && x.APN == y.APN {
			st.reattached(&x, &y, f)
		}
	}
	st.places.finish(f)
}

// abroad are those of the sessions that live at another source than x.
func (st *stays) abroad(list []uint32, x *stay) []uint32 {
	return slices.DeleteFunc(list, func(id uint32) bool {
		y := st.m.Session(id)
		return y.Ended() || st.m.SourceOf(x.Node) == st.m.SourceOf(y.Node)
	})
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
type move struct{ from, to stay }

// leftBehind has y speak if it is another source's account of a stay that its SIM
// has left: it shares an address with the session of that, or surely began before
// the new one. If it shares one with the new one too, it need only name again
// what that does not have.
func (st *stays) leftBehind(y *stay, m *move, f *fact) {
	by := m.to.BegunBy.Our
	shares := st.together(&m.from, y)
	switch {
	case st.together(&m.to, y):
		for _, c := range st.sessions.claims(y.id) {
			if shares && c.At.Our <= by && !st.keeps(&m.to, c.Key) {
				st.places.mayLackSince(y.id, c.Key, clock.Bound{Our: by}, f)
			}
		}
	case y.HeldAt.Our <= by && (shares || y.BegunBy.Our < m.to.BegunFrom.Our):
		st.places.doubt(y.id, clock.Bound{Our: by}, binding.ReasonEnding)
	}
}

// othersOf adds to a list the other sessions of a session's SIM, but those of sites
// and those that name another APN.
func (st *stays) othersOf(x *stay, list []uint32) []uint32 {
	add := func(other uint32, y *table.Session) {
		if other != x.id && st.m.SourceOf(y.Node) != binding.SourceFeed && (x.APN == 0 || y.APN == 0 || x.APN == y.APN) {
			list = append(list, other)
		}
	}
	sub, n := x.Sub, 0
	if x.id == 0 && x.who.MSISDN != 0 {
		sub, _ = st.m.FindSubscriber(x.who)
	}
	for other := st.m.Subscriber(sub).Head; other != 0 && n < simsMost; n++ {
		y := st.m.Session(other)
		if who := st.m.Identity(&y); table.Agree(who, x.who) {
			add(other, &y)
		}
		other = y.Next
	}
	if x.who.IMSI == 0 {
		return list
	}
	var few [8]uint32
	for _, other := range st.m.SessionsOf(x.who.IMSI, few[:0]) {
		y := st.m.Session(other)
		if who := st.m.Identity(&y); y.Sub != sub && table.Agree(who, x.who) {
			add(other, &y)
		}
	}
	return list
}

// endedElsewhere has x speak after the end that another source tells of its SIM,
// or may have told, unless that is known to be of another stay.
func (st *stays) endedElsewhere(x, y *stay) {
	end, may := st.m.MayHaveEnded(&y.Session)
	if !may && y.Doubt == binding.ReasonEnding && !y.EndedBy.Has(st.m.SourceOf(x.Node)) {
		end, may = y.After, true
	}
	if may && x.id != 0 && !x.Ended() && end.Our >= x.HeldAt.Our && !st.differ(x, y) {
		st.places.doubtBy(x.id, clock.Bound{Our: end.Our}, binding.ReasonEnding, binding.SourceSet(0).Add(st.m.SourceOf(y.Node)))
	}
}

// reattached has x speak after its SIM attached anew with y. It is over if both
// have the same default bearer. If they share an address, as at a handover, the
// others that x has are concerned. It reports whether y came after it.
func (st *stays) reattached(x, y *stay, f *fact) bool {
	switch {
	case clock.Before(y.BegunBy, x.BegunFrom) || clock.Before(y.BegunBy, x.HeldAt):
		return false
	case x.id == 0 || x.Ended():
	case x.Contexts != 0 && x.Contexts == y.Contexts && clock.Before(x.BegunBy, y.BegunFrom):
		st.places.ends = append(st.places.ends, pendingEnd{id: x.id, bound: y.Last, e: endSuperseded})
	case st.together(x, y):
		if x.Contexts != 0 && y.Contexts != 0 && x.Contexts&y.Contexts == 0 && st.within(x, y) && st.within(y, x) {
			return false // secondary contexts of one session share its addresses (3GPP TS 29.061)
		}
		for _, c := range st.sessions.claims(x.id) {
			if !st.names(y, c.Key) && !clock.Before(y.BegunBy, c.At) {
				st.places.mayLackSince(x.id, c.Key, y.BegunBy, f)
			}
		}
	default:
		st.places.doubt(x.id, y.BegunBy, binding.ReasonEnding)
	}
	return true
}

// differ reports that two stays have whole IPv4 addresses for sure, and share
// nothing: of prefixes, and of blocks of ports, one may have several, and each
// source tell another of them.
func (st *stays) differ(x, y *stay) bool {
	return st.addressed(x) && st.addressed(y) && !st.together(x, y)
}

// addressed reports that a stay surely has a whole IPv4 address.
func (st *stays) addressed(s *stay) bool {
	var few [4]table.Claim
	for _, c := range st.claims(s, few[:0]) {
		if c.Key.Class() == table.Class4 && c.Key.Bits() == table.LeafBits(table.Class4) && !c.Given {
			return true
		}
	}
	return false
}

// keeps reports that a stay has all of an address, and has not perhaps given it up.
func (st *stays) keeps(s *stay, k index.Key) bool {
	var few [4]table.Claim
	for _, c := range st.claims(s, few[:0]) {
		if table.Within(k, c.Key) && !c.Given {
			return true
		}
	}
	return false
}

// names reports that a stay has this very address, and has not perhaps given it up.
func (st *stays) names(s *stay, k index.Key) bool {
	var few [4]table.Claim
	return slices.ContainsFunc(st.claims(s, few[:0]), func(c table.Claim) bool { return c.Key == k && !c.Given })
}

// within reports that a stay has no other addresses than another one.
func (st *stays) within(x, y *stay) bool {
	var fewX, fewY [4]table.Claim
	of := st.claims(y, fewY[:0])
	for _, c := range st.claims(x, fewX[:0]) {
		if !slices.ContainsFunc(of, func(o table.Claim) bool { return table.Within(c.Key, o.Key) }) {
			return false
		}
	}
	return true
}

// together reports that addresses of two stays overlap: a handover, or contexts
// of one bearer, which are compared there.
func (st *stays) together(x, y *stay) bool {
	var fewX, fewY [4]table.Claim
	of := st.claims(y, fewY[:0])
	for _, c := range st.claims(x, fewX[:0]) {
		if slices.ContainsFunc(of, func(o table.Claim) bool { return table.Within(c.Key, o.Key) || table.Within(o.Key, c.Key) }) {
			return true
		}
	}
	return false
}
