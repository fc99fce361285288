package registry

import (
	"math/bits"
	"slices"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// places are the addresses: who claims them, and what the claims of sessions on
// the same, a wider or a narrower one mean for each other. What changes is only
// touched while an event is decided; settle.go shows it when all is.
type places struct {
	*core
	sessions *sessions
	nodes    *nodes
	remains  *remains
	people   *people
	touched  []touch
	ends     []pendingEnd
	garbage  []uint32 // claims to free when nothing leads to them
	freed    []uint32 // sessions likewise
	sweeping bool     // what changes is no event's
}

// A touch is one address as it was before the event.
type touch struct {
	key     index.Key
	shown   table.Holding // as readers see it
	h       table.Holding // Claim, Contested and Inner are of now, all else of before
	existed bool
	was     binding.Subscriber // the holder before, if there was one
	before  binding.SourceSet
	why     string
	changed bool // claims came or went
	// attributes: what is published of a session that holds it has changed.
	attributes bool
}

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
	endUntold     = ending{why: "stop", said: true}
	endLease      = ending{why: "lease"}
)

// touch opens an address for change. A shared one is withdrawn from readers
// until it is settled, because they walk its claims: a reader sees the claims of
// one moment or "cannot say".
func (p *places) touch(k index.Key, why string) *touch {
	for i := range p.touched {
		if p.touched[i].key == k {
			return &p.touched[i]
		}
	}
	t := touch{key: k, why: why}
	if t.h, t.existed = p.m.Holding(k); t.existed {
		t.shown = t.h
		st := p.standing(&t.h)
		t.before = st.sources
		if t.h.State == table.Bound {
			t.was = st.who
		}
		if t.h.Shared {
			moving := t.h
			moving.State = table.Conflict
			p.m.Addrs.Put(k, moving.Pack())
			t.shown = moving
		}
	}
	p.touched = append(p.touched, t)
	return &p.touched[len(p.touched)-1]
}

// touchAll touches every address of a session. With attributes, each is
// published anew even if its holder stays the same.
func (p *places) touchAll(id uint32, why string, attributes bool) {
	for _, k := range p.sessions.keys(id) {
		t := p.touch(k, why)
		t.attributes = t.attributes || attributes
	}
}

// holding is what is known of an address now.
func (p *places) holding(k index.Key) (table.Holding, bool) {
	for i := range p.touched {
		if p.touched[i].key == k {
			return p.touched[i].h, true
		}
	}
	return p.m.Holding(k)
}

// claim lets a session claim an address; false if there is no room. newer: the
// event is surely the session's latest word.
func (p *places) claim(id uint32, k index.Key, newer bool, f *fact) bool {
	h, _ := p.holding(k)
	n := 0
	for c := h.Claim; c != 0; n++ {
		cl := p.m.Claim(c)
		if cl.Session == id {
			if held := cl.Hear(f.lo, f.hi); held != cl.Hold {
				p.m.SetHold(c, held)
				p.sessions.dirty(id)
			}
			if s := p.m.Session(id); cl.Given && newer && s.Doubt == binding.ReasonBound {
				p.touch(k, f.why).changed = true
				p.m.SetGiven(c, false)
				p.sessions.dirty(id)
			}
			return true
		}
		c = cl.NextOfAddress
	}
	if n >= table.MaxClaims && !p.forgetOneAt(&h, f) {
		return false
	}
	t := p.touch(k, f.why)
	s := p.m.Session(id)
	cid, ok := p.m.NewClaim(table.Claim{Session: id, Key: k, Hold: f.hold(), NextOfSession: s.Claim, NextOfAddress: t.h.Claim})
	for !ok && p.sessions.makeRoom(f) {
		t = p.touch(k, f.why)
		cid, ok = p.m.NewClaim(table.Claim{Session: id, Key: k, Hold: f.hold(), NextOfSession: s.Claim, NextOfAddress: t.h.Claim})
	}
	if !ok {
		return false
	}
	s = p.m.Session(id)
	s.Claim = cid
	p.m.PutSession(id, &s)
	t.h.Claim, t.changed = cid, true
	if !newer && s.Listed>>table.FamilyOf(k)&1 != 0 {
		p.m.SetGiven(cid, true) // it may have been given up since
	}
	counted := p.counted(k)
	if t.h.Inner != 0 || !counted {
		t.h.Contested = p.round // who lies inside is known when the sweep has been around
	}
	p.sessions.dirty(id)
	if table.IsPart(k) {
		whole := p.touch(table.PartOf(k), f.why)
		whole.h.Inner = p.round
		if !counted {
			whole.h.Contested = p.round // nor which blocks are in part its own
		}
	}
	p.recall(id, k)
	return true
}

// heldBy is when a session held an address.
func (p *places) heldBy(id uint32, k index.Key) (held table.Hold) {
	for _, c := range p.sessions.claims(id) {
		if c.Key == k {
			held = c.Hold
		}
	}
	return held
}

// mayHave lets a session claim what it may have, as it may be the one that had.
func (p *places) mayHave(id uint32, claims []table.Claim, f *fact) {
	for _, old := range claims {
		s := p.m.Session(id)
		if p.m.Has(&s, old.Key) || !p.claim(id, old.Key, false, f) {
			continue
		}
		p.mayLack(id, old.Key, f)
		for c := p.m.Session(id).Claim; c != 0; {
			cl := p.m.Claim(c)
			if cl.Key == old.Key {
				p.m.SetHold(c, old.Hold)
			}
			c = cl.NextOfSession
		}
	}
}

// recall has a session that claims an address speak after what is remembered of
// sessions there that are forgotten, and of operators.
func (p *places) recall(id uint32, k index.Key) {
	s := p.m.Session(id)
	if s.Ended() || p.m.SourceOf(s.Node) == binding.SourceFeed {
		return
	}
	forgotten, heard := p.remains.after(&s, k)
	if forgotten != 0 && forgotten >= s.HeldAt.Our {
		p.doubt(id, clock.Bound{Our: forgotten}, binding.ReasonCapacity)
	}
	if heard != 0 && heard >= s.HeldAt.Our {
		p.doubt(id, clock.Bound{Our: heard}, binding.ReasonOrder)
	}
	if at := p.remains.releasedAt(k); at != 0 && at >= s.HeldAt.Our {
		p.doubt(id, clock.Bound{Our: at}, binding.ReasonReleased)
	}
}

// forgetOneAt has one of the ended sessions of an address leave it.
func (p *places) forgetOneAt(h *table.Holding, f *fact) bool {
	var oldest uint32
	var when int64
	for c := p.m.AllClaimants(h); c.Next(); {
		if c.Session.Ended() && (oldest == 0 || c.Session.After.Our < when) {
			oldest, when = c.ID, c.Session.After.Our
		}
	}
	if oldest == 0 {
		return false
	}
	p.sessions.forget(oldest, f.now)
	return true
}

// unclaim takes a claim away. If messages may still come that it would decide
// about, its bounds go into the coarse memory.
func (p *places) unclaim(id uint32, k index.Key, early bool) {
	s := p.m.Session(id)
	if early {
		end := int64(0)
		if s.Ended() {
			end = s.After.Our
		}
		p.remains.claim(&s, k, p.heldBy(id, k), end)
	}
	t := p.touch(k, "")
	var before uint32
	for c := t.h.Claim; c != 0; {
		cl := p.m.Claim(c)
		if cl.Session != id {
			before, c = c, cl.NextOfAddress
			continue
		}
		if before == 0 {
			t.h.Claim = cl.NextOfAddress
		} else {
			p.m.SetNextOfAddress(before, cl.NextOfAddress)
		}
		p.unlinkOfSession(id, c)
		p.garbage = append(p.garbage, c)
		t.changed = t.changed || !s.Ended()
		return
	}
}

func (p *places) unlinkOfSession(id, gone uint32) {
	s := p.m.Session(id)
	next := p.m.Claim(gone).NextOfSession
	if s.Claim == gone {
		s.Claim = next
		p.m.PutSession(id, &s)
		return
	}
	for c := s.Claim; c != 0; {
		cl := p.m.Claim(c)
		if cl.NextOfSession == gone {
			p.m.SetNextOfSession(c, next)
			return
		}
		c = cl.NextOfSession
	}
}

// free gives a session's record back when nothing leads to it any more.
func (p *places) free(id uint32) { p.freed = append(p.freed, id) }

// give marks a claim that a session may have given up: it counts no more until
// a word that is surely later names it. Other sources' sessions must speak as if
// it had.
func (p *places) give(id uint32, k index.Key, f *fact) {
	p.mayLack(id, k, f)
	s := p.m.Session(id)
	s.Flags |= table.Ended
	s.After = f.hi
	p.gaveUp(id, &s, k, table.Hold{}, f)
	p.finish(f)
}

// drop takes away a claim that a session gave up by its own word.
func (p *places) drop(id uint32, k index.Key, f *fact) {
	s := p.m.Session(id)
	p.lose(id, &s, k, f.hi, f)
	p.finish(f)
}

// lose takes a claim of a session away that goes on: for others it has ended
// there.
func (p *places) lose(id uint32, s *table.Session, k index.Key, bound clock.Bound, f *fact) {
	p.touch(k, f.why)
	ended := *s
	ended.Flags |= table.Ended
	ended.After = bound
	held := p.heldBy(id, k)
	p.remains.claim(s, k, held, bound.Our)
	p.unclaim(id, k, false)
	p.sessions.dirty(id)
	p.gaveUp(id, &ended, k, held, f)
}

// doubt has a session speak after a bound before its word counts again.
func (p *places) doubt(id uint32, after clock.Bound, why binding.Reason) {
	p.doubtBy(id, after, why, 0)
}

// doubtBy is doubt for what the ends of sessions of these sources make.
func (p *places) doubtBy(id uint32, after clock.Bound, why binding.Reason, by binding.SourceSet) {
	s := p.m.Session(id)
	switch {
	case by == 0, s.Doubt != binding.ReasonBound && s.EndedBy == 0:
		s.EndedBy = 0
	default:
		s.EndedBy |= by
	}
	if s.Doubt == binding.ReasonBound || s.Doubt == binding.ReasonUnconfirmed {
		s.Doubt, s.After = why, after
	} else {
		s.After = clock.Upper(s.After, after)
		if rank(why) > rank(s.Doubt) {
			s.Doubt = why
		}
	}
	if before := p.m.Session(id); before.Doubt == s.Doubt && before.After == s.After && before.EndedBy == s.EndedBy {
		return
	}
	for _, k := range p.sessions.keys(id) {
		p.touch(k, "state")
	}
	p.m.PutSession(id, &s)
	p.sessions.dirty(id)
}

// rank orders doubts by how much of them is left when another one is settled.
func rank(why binding.Reason) int {
	switch why {
	case binding.ReasonNumber:
		return 5
	case binding.ReasonConflict:
		return 4
	case binding.ReasonOrder:
		return 3
	case binding.ReasonReleased:
		return 2
	case binding.ReasonEnding:
		return 1
	}
	return 0
}

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
	for _, k := range p.sessions.keys(id) {
		t := p.touch(k, e.why)
		t.changed = true
		if t.why == "" || t.why == "state" {
			t.why = e.why
		}
	}
	multiple := s.Flags&table.MultiSIM != 0
	p.sessions.entomb(id, bound, f.now)
	p.sessions.count(s.Node, -1)
	if multiple {
		p.people.countSIMs(s.Sub, nil)
	}
	if !e.said {
		return
	}
	s = p.m.Session(id)
	for _, c := range p.sessions.claims(id) {
		p.ended(id, &s, c.Key, c.Hold)
	}
	p.attached(id, f)
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
	p.eachOfSIM(id, func(other uint32, _, y *table.Session) {
		if p.m.SourceOf(s.Node) != p.m.SourceOf(y.Node) {
			p.endedElsewhere(other, y, &s)
		}
	})
	p.finish(f)
}

// finish ends what is found to be over, until nothing is.
func (p *places) finish(f *fact) {
	for len(p.ends) > 0 {
		e := p.ends[0]
		p.ends = p.ends[1:]
		if s := p.m.Session(e.id); e.key.Bits() > 0 && (p.m.Claim(s.Claim).NextOfSession != 0 || e.given) {
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
			p.against(o, s, held)
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
		p.against(o, s, held)
	}
}

// mayLack marks a claim of which it is not known whether its session still has
// the address: it counts no more until a word that is surely later names it.
func (p *places) mayLack(id uint32, k index.Key, f *fact) {
	for c := p.m.Session(id).Claim; c != 0; {
		cl := p.m.Claim(c)
		if cl.Key == k && !cl.Given {
			p.touch(k, f.why).changed = true
			p.m.SetGiven(c, true)
			p.sessions.dirty(id)
		}
		c = cl.NextOfSession
	}
}

// against applies what y means for x, which lives.
func (p *places) against(x *overlap, y *table.Session, held table.Hold) {
	switch effect, bound, why := p.m.Against(&x.session, x.held, y, held); effect {
	case table.Opposes:
		p.oppose(x)
	case table.Doubts:
		p.doubtBy(x.id, bound, why, p.endedBy(x.session.Node, y))
	case table.Ends:
		p.ends = append(p.ends, pendingEnd{id: x.id, key: x.key, bound: bound, after: held.By, given: x.claim.Given, e: endSuperseded})
	}
}

// endedBy is the source of y, if it has ended and is not of the source of a node.
func (p *places) endedBy(node uint16, y *table.Session) binding.SourceSet {
	if source := p.m.SourceOf(y.Node); y.Ended() && source != p.m.SourceOf(node) {
		return binding.SourceSet(0).Add(source)
	}
	return 0
}

// confirm ends the doubt that the end of another source's session made about x, if
// that source has another session there by now which is an account of the same
// stay: z, which surely held the address after all that have ended.
func (p *places) confirm(x, z *overlap) {
	xs, zs := &x.session, &z.session
	of := binding.SourceSet(0).Add(p.m.SourceOf(zs.Node))
	if xs.Doubt != binding.ReasonEnding || xs.EndedBy&of == 0 || zs.Doubt != binding.ReasonBound && zs.EndedBy == 0 || !p.oneStay(xs, zs) {
		return
	}
	for y := p.overlapping(x.key); y.next(); {
		if !y.session.Ended() || p.m.SourceOf(y.session.Node) != p.m.SourceOf(zs.Node) {
			continue
		}
		end := y.session.After
		if p.m.Root(y.session.Node) != p.m.Root(zs.Node) {
			end.Epoch = 0
		}
		if !clock.Before(end, z.held.At) {
			return
		}
	}
	p.sessions.update(x.id, func(s *table.Session) {
		if s.EndedBy &^= of; s.EndedBy == 0 {
			s.Doubt, s.After = binding.ReasonBound, clock.Bound{}
		}
	})
	p.touchAll(x.id, "state", false)
	p.sessions.dirty(x.id)
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
	for _, c := range p.sessions.claims(id) {
		p.relateAt(id, c, f)
	}
	p.finish(f)
}

func (p *places) relateAt(id uint32, c table.Claim, f *fact) {
	if p.alone(id, c.Key) {
		return
	}
	x := &overlap{p: p, id: id, key: c.Key, session: p.m.Session(id), held: c.Hold}
	for y := p.overlapping(c.Key); y.next(); {
		if y.id == id {
			continue
		}
		if !y.session.Ended() {
			p.bury(y.id, &y.session, f)
			y.session = p.m.Session(y.id)
		}
		if y.key != x.key {
			p.contest(x, y)
		}
		if !y.session.Ended() {
			p.against(y, &x.session, x.held)
		}
		if !x.session.Ended() {
			p.against(x, &y.session, y.held)
		}
	}
	for y := p.overlapping(c.Key); y.next(); {
		if y.session, x.session = p.m.Session(y.id), p.m.Session(id); y.id != id && !y.session.Ended() && !x.session.Ended() {
			p.confirm(x, y)
			p.confirm(y, x)
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
// for longer than its lease: against one that speaks it holds nothing.
func (p *places) bury(id uint32, y *table.Session, f *fact) {
	switch l, _ := p.m.Judge(y, f.now, p.t); l {
	case table.Over:
		end, _ := p.m.EndOf(y)
		p.endOne(id, end, endRestart, f)
	case table.Gone, table.Expired:
		p.endOne(id, y.Last, endLease, f)
	}
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

// had applies what an event says of the past: its session, which is not one that
// goes on, had these addresses when it happened. Who had them before at its node
// does not have them any more. own are the sessions with its id that are known.
func (p *places) had(own []uint32, f *fact, keys []index.Key) {
	x := table.Session{
		Key: f.key, Node: f.root, BegunFrom: f.begunFrom, BegunBy: f.begunBy, HeldAt: f.lo, Last: f.hi, After: f.hi, Flags: table.Ended,
		IMSI: f.IMSI, Restarts: uint16(p.m.Node(f.root, table.NodeRestarts)),
	}
	if !f.begins {
		x.BegunFrom = clock.Bound{}
	}
	if sub, ok := p.m.FindSubscriber(f.identity()); ok && !table.Nobody(f.identity()) {
		x.Sub = sub
	}
	for _, k := range keys {
		p.remains.heard(&x, k, f.hold())
		for o := p.overlapping(k); o.next(); {
			if !slices.Contains(own, o.id) && !o.session.Ended() && p.m.Root(o.session.Node) == f.root {
				p.against(o, &x, f.hold())
			}
		}
	}
	p.finish(f)
}

// refuse notes that a session found no room for its claims: nothing old is kept
// alive on them, and who asks is told. Its next word may find room.
func (p *places) refuse(f *fact, keys []index.Key) {
	p.sessions.refusedAt.Store(f.now)
	p.had(nil, f, keys)
	for _, k := range keys {
		p.m.Refuse(k, f.now)
		for o := p.overlapping(k); o.next(); {
			if !o.session.Ended() && p.m.Root(o.session.Node) != f.root {
				p.doubt(o.id, clock.Bound{Our: f.hi.Our}, binding.ReasonCapacity)
			}
		}
	}
}

// remember keeps the memo of a new session.
func (p *places) remember(id uint32, f *fact) { p.sessions.remember(id, f) }

// attached: a SIM that attaches anew at a node and APN where it has a session
// leaves that one in doubt, whatever address it has, and those of other sources
// that are of the same stay; it is over if both are of one default bearer (3GPP
// TS 29.274 clause 7.2.1). And a session of a SIM that another source has ended
// must speak after that, though the two name no common address. id may have
// ended: it had attached.
func (p *places) attached(id uint32, f *fact) {
	x := p.m.Session(id)
	if x.Sub == 0 || p.m.SourceOf(x.Node) == binding.SourceFeed {
		return
	}
	var left []move
	p.eachOfSIM(id, func(other uint32, x, y *table.Session) {
		if p.m.SourceOf(x.Node) != p.m.SourceOf(y.Node) {
			p.endedElsewhere(id, x, y)
			p.endedElsewhere(other, y, x)
		} else if !p.parallel && p.m.Root(x.Node) == p.m.Root(y.Node) && x.APN != 0 && x.APN == y.APN {
			if p.reattached(id, x, y, f) {
				left = append(left, move{*x, *y})
			}
			if p.reattached(other, y, x, f) {
				left = append(left, move{*y, *x})
			}
		}
	})
	if len(left) > 0 {
		p.eachOfSIM(id, func(other uint32, x, y *table.Session) {
			for i := range left {
				if !y.Ended() && p.m.SourceOf(x.Node) != p.m.SourceOf(y.Node) {
					p.leftBehind(other, y, &left[i], f)
				}
			}
		})
	}
	p.finish(f)
}

// A move is that a SIM left a session, as far as is known, for another one.
type move struct{ from, to table.Session }

// leftBehind has y speak if it is another source's account of a stay that its SIM
// has left: it shares an address with the session of that, or surely began before
// the new one. If it shares one with the new one too, it need only name again
// what that does not have.
func (p *places) leftBehind(id uint32, y *table.Session, m *move, f *fact) {
	by := m.to.BegunBy.Our
	shares := p.together(&m.from, y)
	switch {
	case p.together(&m.to, y):
		for _, c := range p.sessions.claims(id) {
			if shares && c.At.Our <= by && !p.m.Has(&m.to, c.Key) {
				p.mayLack(id, c.Key, f)
			}
		}
	case y.HeldAt.Our <= by && (shares || y.BegunBy.Our < m.to.BegunFrom.Our):
		p.doubt(id, clock.Bound{Our: by}, binding.ReasonEnding)
	}
}

// eachOfSIM visits the other sessions of a session's SIM, but those of sites and,
// of other sources, those that name another APN.
func (p *places) eachOfSIM(id uint32, visit func(other uint32, x, y *table.Session)) {
	x := p.m.Session(id)
	if x.Sub == 0 {
		return
	}
	each := func(sub uint32) {
		n := 0
		for other := p.m.Subscriber(sub).Head; other != 0 && n < simsMost; n++ {
			y := p.m.Session(other)
			if other != id && p.m.SourceOf(y.Node) != binding.SourceFeed && p.m.OneSIM(&x, &y) && (x.APN == 0 || y.APN == 0 || x.APN == y.APN) {
				visit(other, &x, &y)
				x = p.m.Session(id)
			}
			other = y.Next
		}
	}
	each(x.Sub)
	if x.IMSI != 0 {
		p.m.EachOfIMSI(x.IMSI, func(sub uint32) {
			if sub != x.Sub {
				each(sub)
			}
		})
	}
}

// endedElsewhere has x speak after the end that another source tells of its SIM,
// unless that is known to be of another stay.
func (p *places) endedElsewhere(id uint32, x, y *table.Session) {
	if !x.Ended() && y.Ended() && y.After.Our >= x.HeldAt.Our && !p.differ(x, y) {
		p.doubtBy(id, clock.Bound{Our: y.After.Our}, binding.ReasonEnding, p.endedBy(x.Node, y))
	}
}

// reattached has x speak after its SIM attached anew with y. It is over if both
// have the same default bearer. If they share an address, as at a handover, the
// others that x has are concerned. It reports whether y came after it.
func (p *places) reattached(id uint32, x, y *table.Session, f *fact) bool {
	switch {
	case clock.Before(y.BegunBy, x.BegunFrom) || clock.Before(y.BegunBy, x.HeldAt):
		return false
	case x.Ended():
	case x.Contexts != 0 && x.Contexts == y.Contexts && clock.Before(x.BegunBy, y.BegunFrom):
		p.ends = append(p.ends, pendingEnd{id: id, bound: y.Last, e: endSuperseded})
	case p.together(x, y):
		if x.Contexts != 0 && y.Contexts != 0 && x.Contexts&y.Contexts == 0 {
			return false // secondary contexts of one session (3GPP TS 29.061)
		}
		for _, c := range p.sessions.claims(id) {
			if !p.m.Has(y, c.Key) && !clock.Before(y.BegunBy, c.At) {
				p.mayLack(id, c.Key, f)
			}
		}
	default:
		p.doubt(id, y.BegunBy, binding.ReasonEnding)
	}
	return true
}

// differ reports that two sessions have addresses of one family and share none.
func (p *places) differ(x, y *table.Session) bool {
	var xs, ys uint8
	for c := x.Claim; c != 0; {
		cl := p.m.Claim(c)
		xs |= 1 << table.FamilyOf(cl.Key)
		c = cl.NextOfSession
	}
	for c := y.Claim; c != 0; {
		cl := p.m.Claim(c)
		ys |= 1 << table.FamilyOf(cl.Key)
		c = cl.NextOfSession
	}
	return xs&ys != 0 && !p.together(x, y)
}

// together reports that two sessions share an address: a handover, or contexts
// of one bearer, which are compared there.
func (p *places) together(x, y *table.Session) bool {
	for c := x.Claim; c != 0; {
		cx := p.m.Claim(c)
		for d := y.Claim; d != 0; {
			cy := p.m.Claim(d)
			if cx.Key == cy.Key {
				return true
			}
			d = cy.NextOfSession
		}
		c = cx.NextOfSession
	}
	return false
}

// An overlap goes through the sessions that claim a key, or a wider or narrower
// one, ended ones too.
type overlap struct {
	id      uint32
	session table.Session
	key     index.Key // that it claims
	held    table.Hold

	p     *places
	keys  []index.Key
	claim table.Claimants
}

// overlapping begins with the key itself.
func (p *places) overlapping(k index.Key) *overlap {
	o := &overlap{p: p, keys: append(make([]index.Key, 0, 4), k)}
	for wide := k; wide.Bits() > 1; {
		var ok bool
		if wide, _, _, ok = p.m.Addrs.Longest(wide.Domain(), wide.Class(), wide.Hi, wide.Lo, wide.Bits()-1); !ok {
			break
		}
		o.keys = append(o.keys, wide)
	}
	for i := range p.touched { // what is new and not shown yet
		if t := &p.touched[i]; !t.existed && t.key != k && (table.Within(t.key, k) || table.Within(k, t.key)) {
			o.keys = append(o.keys, t.key)
		}
	}
	o.keys = p.inside(k, o.keys)
	return o
}

func (o *overlap) next() bool {
	for {
		if o.claim.Next() {
			o.id, o.session, o.held = o.claim.ID, o.claim.Session, o.claim.Hold
			return true
		}
		if len(o.keys) == 0 {
			return false
		}
		o.key, o.keys = o.keys[0], o.keys[1:]
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
func (p *places) inside(k index.Key, list []index.Key) []index.Key {
	if !p.counted(k) {
		return list
	}
	for in := p.lengths(k); in != 0; in &= in - 1 {
		n := uint8(bits.TrailingZeros64(in) + 1)
		step := uint64(1) << (64 - n)
		for i, hi := uint64(0), k.Hi; i < 1<<(n-k.Bits()); i, hi = i+1, hi+step {
			at := index.NewKey(k.Domain(), k.Class(), n, hi, 0)
			if _, _, ok := p.m.Addrs.Get(at); ok {
				list = append(list, at)
			}
		}
	}
	return list
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
	if table.IsPart(k) {
		whole := table.PartOf(k)
		if w, _ := p.holding(whole); w.Inner != p.round && h.Claim != 0 {
			t := p.touch(whole, "state")
			t.h.Inner, t.changed = p.round, true
			p.settle(f)
		}
	}
	if _, _, _, wider := p.m.Addrs.Longest(k.Domain(), k.Class(), k.Hi, k.Lo, k.Bits()-1); !wider {
		return 0
	}
	n := p.seq
	for c := p.m.AllClaimants(h); c.Next(); {
		if s := p.m.Session(c.ID); s.Key == c.Session.Key {
			p.relateAt(c.ID, table.Claim{Key: k, Hold: c.Hold}, f)
		}
	}
	p.finish(f)
	p.settle(f)
	return int(p.seq - n)
}
