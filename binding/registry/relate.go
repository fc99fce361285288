package registry

import (
	"math/bits"
	"slices"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// A pendingEnd is a session that is found to be over, or to have lost an address
// to another one.
type pendingEnd struct {
	id    uint32
	key   index.Key // zero: all of it
	bound clock.Bound
	after clock.Bound // what the rest of it must speak after
	given bool        // it may have given the address up before
	e     ending
}

// An ending says why a session ends.
type ending struct {
	why string
	// said: a source said so, or it follows from what one said; others that say
	// otherwise are in doubt. A lease does not.
	said bool
}

var (
	endStop       = ending{why: "stop", said: true}
	endRestart    = ending{why: "node-restart", said: true}
	endSuperseded = ending{why: "superseded", said: true}
	endReplaced   = ending{why: "superseded"}
	endLease      = ending{why: "lease"}
)

// end ends a session. What follows for others is decided at once, what follows
// for whom that ends in turn after it.
func (p *places) end(id uint32, bound clock.Bound, e ending, f *fact) {
	p.endOne(id, bound, e, f)
	p.finish(f)
}

func (p *places) endOne(id uint32, bound clock.Bound, e ending, f *fact) {
	s := p.m.Session(id)
	if s.Key[0] == 0 || s.Ended() {
		return
	}
	var few [4]table.Claim
	claims := p.sessions.appendClaims(few[:0], id)
	for i := range claims {
		t := p.touch(claims[i].Key, e.why)
		t.changed = true
		if t.why == "" || t.why == "state" {
			t.why = e.why
		}
	}
	multiple := s.Flags&table.MultiSIM != 0
	p.sessions.entomb(id, bound, e.said, f.now)
	p.sessions.count(s.Node, -1)
	if multiple {
		p.people.countSIMs(s.Sub, nil)
	}
	if !e.said {
		return
	}
	s = p.m.Session(id)
	for i := range claims {
		p.ended(id, &s, claims[i].Key, claims[i].Hold)
	}
	p.stays.attached(id, f)
}

// mayHaveEnded has a session speak that an event may have ended, and all that
// would have to if it had.
func (p *places) mayHaveEnded(id uint32, f *fact) {
	s := p.m.Session(id)
	p.doubt(id, clock.Upper(s.Last, f.hi), binding.ReasonEnding)
	s.Flags |= table.Ended
	s.After = f.hi
	for _, c := range p.sessions.claims(id) {
		p.ended(id, &s, c.Key, c.Hold)
	}
	x := p.stays.stay(id)
	x.Session = s
	for _, other := range p.stays.othersOf(&x, nil) {
		if y := p.stays.stay(other); p.m.SourceOf(s.Node) != p.m.SourceOf(y.Node) {
			p.stays.endedElsewhere(&y, &x)
		}
	}
	p.finish(f)
}

// finish ends what is found to be over, until nothing is.
func (p *places) finish(f *fact) {
	for len(p.ends) > 0 {
		e := p.ends[0]
		p.ends = p.ends[1:]
		s := p.m.Session(e.id)
		if e.key.Bits() > 0 && !p.m.Has(&s, e.key) {
			continue // it has lost that before
		}
		if e.key.Bits() > 0 && (p.m.Claim(s.Claim).NextOfSession != 0 || e.given) {
			// It has other addresses, or may: what it lost it may have given up.
			p.lose(e.id, &s, e.key, e.bound, f)
			p.doubt(e.id, e.after, binding.ReasonEnding)
			for _, k := range p.sessions.keys(e.id) { // a block of ports is given out as a whole
				if table.IsPart(e.key) && table.IsPart(k) && table.PartOf(k) == table.PartOf(e.key) {
					p.mayLack(e.id, k, f)
				}
			}
			continue
		}
		p.endOne(e.id, e.bound, e.e, f)
	}
	p.ends = nil
}

// ended tells all who live on an address, or around or inside of it, that s has
// ended there, which it held at a moment.
func (p *places) ended(id uint32, s *table.Session, k index.Key, held table.Hold) {
	for o := p.overlapping(k); o.next(); {
		if o.id != id && !o.session.Ended() {
			p.against(&o, s, held)
		}
	}
}

// gaveUp is ended for an address that s gave up, or may have, and went on: who
// lives there must name it again.
func (p *places) gaveUp(id uint32, s *table.Session, k index.Key, held table.Hold, f *fact) {
	for o := p.overlapping(k); o.next(); {
		if o.id == id || o.session.Ended() {
			continue
		}
		if effect, _, _ := p.m.Against(&o.session, o.held, s, held); effect == table.Doubts {
			p.mayLack(o.id, o.key, f)
		}
		p.against(&o, s, held)
	}
}

// against applies what y means for x, which lives.
func (p *places) against(x *overlap, y *table.Session, held table.Hold) {
	switch effect, bound, why := p.m.Against(&x.session, x.held, y, held); effect {
	case table.Opposes:
		p.oppose(x)
		if h, _ := p.holding(x.key); h.Told == binding.ReasonBound {
			p.touch(x.key, "state") // it is told at once
		}
	case table.Doubts:
		p.doubtBy(x.id, bound, why, p.endedBy(x.session.Node, y))
	case table.Ends:
		p.ends = append(p.ends, pendingEnd{id: x.id, key: x.key, bound: bound, after: held.By, given: x.claim.Given, e: endSuperseded})
	}
}

// endedBy is the source of y, if it has ended, or may have by a restart, and is not
// of the source of a node.
func (p *places) endedBy(node uint16, y *table.Session) binding.SourceSet {
	if _, may := p.m.MayHaveEnded(y); !may {
		return 0
	}
	if source := p.m.SourceOf(y.Node); source != p.m.SourceOf(node) {
		return binding.SourceSet(0).Add(source)
	}
	return 0
}

// confirm ends the doubt that the end of another source's session made about x, if
// that source has another session there by now which is an account of the same
// stay: z, which surely held the address after all that have ended.
func (p *places) confirm(x, z *overlap, f *fact) {
	xs, zs := &x.session, &z.session
	of := binding.SourceSet(0).Add(p.m.SourceOf(zs.Node))
	if xs.Doubt != binding.ReasonEnding || xs.EndedBy&of == 0 || zs.Doubt != binding.ReasonBound && zs.EndedBy == 0 || !p.oneStay(xs, zs) || !table.Within(x.key, z.key) {
		return
	}
	last := z.held.At.Our - 1
	for y := p.overlapping(x.key); y.next(); {
		if !y.session.Ended() || p.m.SourceOf(y.session.Node) != p.m.SourceOf(zs.Node) {
			continue
		}
		if zs.Sub == 0 && p.oneStay(xs, &y.session) {
			return // that was the account of it, and this is of another
		}
		end := y.session.After
		if p.m.Root(y.session.Node) != p.m.Root(zs.Node) {
			end.Epoch = 0
		}
		if !clock.Before(end, z.held.At) {
			return
		}
		last = max(last, end.Our)
	}
	if xs.After.Our > last {
		return // that end was told at another address, or at none
	}
	after := xs.After
	p.sessions.update(x.id, func(s *table.Session) {
		if s.EndedBy &^= of; s.EndedBy == 0 {
			s.Doubt, s.After = binding.ReasonBound, clock.Bound{}
		}
	})
	p.touchAll(x.id, "state", false)
	for _, k := range p.sessions.keys(x.id) { // of its other addresses that says nothing
		if k != x.key && !p.m.Has(zs, k) {
			p.mayLackSince(x.id, k, after, f)
		}
	}
	x.session = p.m.Session(x.id)
}

// oneStay reports that two sources' sessions are surely accounts of one stay: they
// name one SIM, or one names none and both began within moments.
func (p *places) oneStay(x, y *table.Session) bool {
	if x.Sub != 0 && y.Sub != 0 {
		return p.m.OneSIM(x, y)
	}
	return max(x.BegunBy.Our, y.BegunBy.Our)-min(x.BegunFrom.Our, y.BegunFrom.Our) <= moments
}

// moments is how far apart (ms) two sources may tell of one beginning.
const moments = 2000

// relate compares a session that has spoken with all others on its addresses,
// both ways: rules T4 to T6.
func (p *places) relate(id uint32, f *fact) {
	var few [4]table.Claim
	for _, c := range p.sessions.appendClaims(few[:0], id) {
		p.relateAt(id, c, f)
	}
	p.finish(f)
}

func (p *places) relateAt(id uint32, c table.Claim, f *fact) {
	if p.alone(id, c.Key) {
		return
	}
	x, confirming := overlap{p: p, id: id, key: c.Key, session: p.m.Session(id), held: c.Hold}, false
	for y := p.overlapping(c.Key); y.next(); {
		if y.id == id {
			continue
		}
		if !y.session.Ended() && p.bury(y.id, &y.session, f) {
			y.session = p.m.Session(y.id)
		}
		if y.key != x.key {
			p.contest(&x, &y)
		}
		if !y.session.Ended() {
			p.against(&y, &x.session, x.held)
			p.mayBeOver(&y, &x.session, x.held, c.Given)
			confirming = true
		}
		if !x.session.Ended() {
			p.against(&x, &y.session, y.held)
			p.mayBeOver(&x, &y.session, y.held, y.claim.Given)
		}
	}
	if confirming {
		p.confirmAt(&x, f)
	}
}

// mayBeOver applies what y means for x, of another node, if it is over, as it may
// be. That was told to those who lived when it was heard, but not to x if it, or
// this address of y, was not known then. What the source of x told itself is no
// news to it.
func (p *places) mayBeOver(x *overlap, y *table.Session, held table.Hold, given bool) {
	over := *y
	switch {
	case y.Ended() || p.m.Root(y.Node) == p.m.Root(x.session.Node) || p.m.SourceOf(y.Node) == binding.SourceFeed || y.EndedBy.Has(p.m.SourceOf(x.session.Node)):
		return
	case p.m.MayHaveRestarted(y):
		over.After, _ = p.m.RestartBy(p.m.Root(y.Node))
	case y.Doubt != binding.ReasonBound:
	case given:
		over.After = clock.Upper(y.After, y.Last)
	default:
		return
	}
	over.Flags |= table.Ended
	p.against(x, &over, held)
}

// confirmAt has a session and the others on an address confirm each other.
func (p *places) confirmAt(x *overlap, f *fact) {
	for y := p.overlapping(x.key); y.next(); {
		if y.session, x.session = p.m.Session(y.id), p.m.Session(x.id); y.id != x.id && !y.session.Ended() && !x.session.Ended() {
			p.confirm(x, &y, f)
			p.confirm(&y, x, f)
		}
	}
}

// alone reports that a session is the only one on an address, around and inside
// of it.
func (p *places) alone(id uint32, k index.Key) bool {
	h, ok := p.holding(k)
	if !ok || table.IsWide(k) {
		return false
	}
	if cl := p.m.Claim(h.Claim); cl.Session != id || cl.NextOfAddress != 0 {
		return false
	}
	_, _, _, wider := p.m.Addrs.Longest(k.Domain(), k.Class(), k.Hi, k.Lo, k.Bits()-1)
	return !wider
}

// bury ends a session that is over by its node's restart, or was not refreshed
// for longer than its lease: against one that speaks it holds nothing. It reports
// whether it did.
func (p *places) bury(id uint32, y *table.Session, f *fact) bool {
	switch l, _ := p.m.Judge(y, f.now, p.t); l {
	case table.Over:
		end, _ := p.m.EndOf(y)
		p.endOne(id, end, endRestart, f)
	case table.Gone, table.Expired:
		p.endOne(id, y.Last, endLease, f)
	default:
		return false
	}
	return true
}

// contest marks the wider of two addresses if living sessions of two SIMs claim
// them, or one SIM's whose order is not known: whoever asks for the rest of it
// finds the narrower one no more.
func (p *places) contest(x, y *overlap) {
	if x.session.Ended() || y.session.Ended() || p.m.OneSIM(&x.session, &y.session) {
		return
	}
	if effect, _, _ := p.m.Against(&x.session, x.held, &y.session, y.held); effect == table.Nothing {
		return
	}
	if x.key.Bits() < y.key.Bits() {
		p.mark(x.key)
	} else {
		p.mark(y.key)
	}
}

// oppose marks all pieces of a block of ports of which another SIM claims one:
// it is given out as a whole.
func (p *places) oppose(x *overlap) {
	if !table.IsPart(x.key) {
		return
	}
	for _, k := range p.sessions.keys(x.id) {
		if table.IsPart(k) && table.PartOf(k) == table.PartOf(x.key) {
			p.mark(k)
		}
	}
}

// mark has an address contested until the sweep has been around without finding
// why.
func (p *places) mark(k index.Key) {
	if h, ok := p.holding(k); ok && h.Contested != p.round {
		p.touch(k, "state").h.Contested = p.round
	}
}

// said is a session as an event alone tells of it; with an end, one that is over.
func (p *places) said(f *fact, end *clock.Bound) table.Session {
	x := table.Session{
		Key: f.key, Node: f.root, BegunFrom: f.begunFrom, BegunBy: f.begunBy, HeldAt: f.lo, Last: f.hi, IMSI: f.IMSI,
		Restarts: uint16(p.m.Node(f.root, table.NodeRestarts)), Contexts: f.Contexts, Lease: 1,
	}
	if !f.begins {
		x.BegunFrom = clock.Bound{}
	}
	if sub, ok := p.m.FindSubscriber(f.identity()); ok && !table.Nobody(f.identity()) {
		x.Sub = sub
	}
	if end != nil {
		x.After, x.Flags = clock.Upper(*end, f.hi), table.Ended
	}
	return x
}

// had applies what an event says of the past: its session, which is not one that
// goes on, had these addresses when it happened. Who had them before at its node
// does not have them any more. own are the sessions with its id that are known.
func (p *places) had(own []uint32, f *fact, keys []index.Key) {
	x := p.said(f, &f.hi)
	p.before(own, &x, keys, f, false)
}

// past is had for a session that was over by a moment: what other sources have
// there they must confirm, those that are known and those that are heard of later.
func (p *places) past(own []uint32, end clock.Bound, keys []index.Key, f *fact) {
	x := p.said(f, &end)
	p.before(own, &x, keys, f, true)
}

func (p *places) before(own []uint32, x *table.Session, keys []index.Key, f *fact, everywhere bool) {
	for _, k := range keys {
		p.remains.heard(x, k, f.hold(), everywhere)
		for o := p.overlapping(k); o.next(); {
			if !slices.Contains(own, o.id) && !o.session.Ended() && (everywhere || p.m.Root(o.session.Node) == f.root) {
				p.against(&o, x, f.hold())
			}
		}
	}
	p.finish(f)
}

// inSome has the sessions of an event's node speak that have addresses which it
// may have given to another one, own are those with its id: of several domains
// it is not known which, or whether the session came about.
func (p *places) inSome(own []uint32, keys []index.Key, f *fact) {
	for _, k := range keys {
		for o := p.overlapping(k); o.next(); {
			if !o.session.Ended() && p.m.Root(o.session.Node) == f.root && !slices.Contains(own, o.id) && (f.IMSI == 0 || o.session.IMSI != f.IMSI) {
				p.doubt(o.id, f.hi, binding.ReasonOrder)
			}
		}
	}
}

// unkept applies what an event says of its SIM whose session is not kept, as it
// found no room, or was over, by the end that is given: for the others of that SIM
// it is as if it had been known. Those that are heard of later must have spoken
// after it.
func (p *places) unkept(own []uint32, end *clock.Bound, keys []index.Key, f *fact) {
	who := f.identity()
	if table.Nobody(who) {
		return
	}
	p.people.renumbered(0, who, f)
	if end == nil && !f.begins {
		return // it may have begun long ago, and is refused every time
	}
	x := p.said(f, end)
	x.APN = p.nodes.apn(binding.CanonicalAPN(f.APN))
	p.remains.ofSIM(&x, who)
	p.stays.attach(&stay{Session: x, who: who, keys: keys}, own, f)
}

// refuse notes that a session found no room for its claims: nothing old is kept
// alive on them, and who asks is told. Its next word may find room.
func (p *places) refuse(f *fact, keys []index.Key) {
	p.sessions.refusedAt.Store(f.now)
	p.had(nil, f, keys)
	for _, k := range keys {
		p.m.Refuse(k, f.now)
		p.remains.refused(f.key, k, f.hi.Our)
		for o := p.overlapping(k); o.next(); {
			if !o.session.Ended() && p.m.Root(o.session.Node) != f.root {
				p.doubt(o.id, clock.Bound{Our: f.hi.Our}, binding.ReasonCapacity)
			}
		}
	}
}

// An overlap goes through the sessions that claim a key, or a wider or narrower
// one, ended ones too.
type overlap struct {
	id      uint32
	session table.Session
	key     index.Key // that it claims
	held    table.Hold

	p     *places
	few   [4]index.Key // to go through, and the rest
	n, at int
	more  []index.Key
	claim table.Claimants
}

func (o *overlap) add(k index.Key) {
	if o.n < len(o.few) {
		o.few[o.n] = k
	} else {
		o.more = append(o.more, k)
	}
	o.n++
}

// through is the key to go through after i others.
func (o *overlap) through(i int) index.Key {
	if i < len(o.few) {
		return o.few[i]
	}
	return o.more[i-len(o.few)]
}

// overlapping begins with the key itself.
func (p *places) overlapping(k index.Key) overlap {
	o := overlap{p: p}
	o.add(k)
	for wide := k; wide.Bits() > 1; {
		var ok bool
		if wide, _, _, ok = p.m.Addrs.Longest(wide.Domain(), wide.Class(), wide.Hi, wide.Lo, wide.Bits()-1); !ok {
			break
		}
		o.add(wide)
	}
	for i := range p.touched { // what is new and not shown yet
		if t := &p.touched[i]; !t.existed && t.key != k && (table.Within(t.key, k) || table.Within(k, t.key)) {
			o.add(t.key)
		}
	}
	p.inside(k, &o)
	return o
}

func (o *overlap) next() bool {
	for {
		if o.claim.Next() {
			o.id, o.session, o.held = o.claim.ID, o.claim.Session, o.claim.Hold
			return true
		}
		if o.at == o.n {
			return false
		}
		o.key = o.through(o.at)
		o.at++
		h, _ := o.p.holding(o.key)
		o.claim = o.p.m.AllClaimants(&h)
	}
}

// insideMost bounds how many keys inside of a wider one are looked for, and
// insidePart inside of a block of ports.
const (
	insideMost = 512
	insidePart = 4096
)

// inside adds the keys in the table that lie inside of a wide one or of a block
// of ports. Blocks inside of an address are not among them: they leave their mark
// with it.
func (p *places) inside(k index.Key, o *overlap) {
	if !p.counted(k) {
		return
	}
	for in := p.lengths(k); in != 0; in &= in - 1 {
		n := uint8(bits.TrailingZeros64(in) + 1)
		step := uint64(1) << (64 - n)
		for i, hi := uint64(0), k.Hi; i < 1<<(n-k.Bits()); i, hi = i+1, hi+step {
			at := index.NewKey(k.Domain(), k.Class(), n, hi, 0)
			if _, _, ok := p.m.Addrs.Get(at); ok {
				o.add(at)
			}
		}
	}
}

// hasParts reports that a wide key spans an address of which sessions hold parts.
func (p *places) hasParts(k index.Key) bool {
	var o overlap
	if table.IsWide(k) {
		p.inside(k, &o)
	}
	for i := range o.n {
		if h, _ := p.holding(o.through(i)); h.Inner != 0 {
			return true
		}
	}
	return false
}

// lengths are those in use of keys that lie inside of k and are looked for: bit n
// is length n+1.
func (p *places) lengths(k index.Key) uint64 {
	longest := table.LeafBits(k.Class())
	switch {
	case table.IsPart(k):
		longest = 48
	case !table.IsWide(k):
		return 0
	}
	low, _ := p.m.Addrs.Lengths(k.Class())
	return low >> k.Bits() << k.Bits() & (1<<longest - 1)
}

// counted reports that what lies inside of a key can be looked for: there are
// few enough keys, of the lengths that are in use.
func (p *places) counted(k index.Key) bool {
	n, most := 0, insideMost
	if table.IsPart(k) {
		most = insidePart
	}
	for in := p.lengths(k); in != 0; in &= in - 1 {
		n += 1 << min(bits.TrailingZeros64(in)+1-int(k.Bits()), 20)
	}
	return n <= most
}

// around compares the sessions of an address with those on wider ones, for the
// sweep: what a word could not find from the wider side is found from the
// narrower. It returns how many changes that made.
func (p *places) around(k index.Key, h *table.Holding, f *fact) int {
	n := p.seq
	p.compare(k, h, f)
	p.settle(f)
	return int(p.seq - n)
}

// compare renews what the sessions of an address mean on wider ones, and those for
// them.
func (p *places) compare(k index.Key, h *table.Holding, f *fact) {
	if table.IsPart(k) {
		whole := table.PartOf(k)
		if w, _ := p.holding(whole); w.Inner != p.round && h.Claim != 0 {
			t := p.touch(whole, "state")
			t.h.Inner, t.changed = p.round, true
		}
	}
	if _, _, _, wider := p.m.Addrs.Longest(k.Domain(), k.Class(), k.Hi, k.Lo, k.Bits()-1); !wider {
		return
	}
	for c := p.m.AllClaimants(h); c.Next(); {
		s := p.m.Session(c.ID)
		if l, _ := p.m.Judge(&s, f.now, p.t); s.Key == c.Session.Key && (s.Ended() || l < table.Expired) {
			p.relateAt(c.ID, table.Claim{Key: k, Hold: c.Hold}, f)
		}
	}
	p.finish(f)
}
