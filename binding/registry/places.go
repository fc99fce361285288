package registry

import (
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
	stays    *stays
	touched  []touch
	ends     []pendingEnd
	garbage  []uint32 // claims to free when nothing leads to them
	freed    []uint32 // sessions likewise
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
		if t.h.State != table.Conflict {
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
			s := p.m.Session(id)
			if held := p.m.HoldOf(&cl, s.Node).Hear(f.lo, f.hi); held != cl.Hold {
				p.m.SetHold(c, held)
				p.sessions.dirty(id)
			}
			if cl.Given && newer && s.Doubt == binding.ReasonBound && s.After == (clock.Bound{}) {
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
	cid, ok := p.m.NewClaim(table.Claim{Session: id, Key: k, Hold: f.holdOf(k), NextOfSession: s.Claim, NextOfAddress: t.h.Claim})
	if !ok {
		return false
	}
	s.Claim = cid
	p.m.PutSession(id, &s)
	t.h.Claim, t.changed = cid, true
	if !newer && (s.Listed>>table.FamilyOf(k)&1 != 0 || !f.known) {
		p.m.SetGiven(cid, true) // it may have been given up since, or be a former session's
	}
	counted := p.counted(k)
	if t.h.Inner != 0 || !counted || p.hasParts(k) {
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

// fitting are those of the keys that a session may have beside its others: rule 16.
func (p *places) fitting(id uint32, keys []index.Key, f *fact) []index.Key {
	if f.Source == binding.SourceFeed || !slices.ContainsFunc(keys, table.IsWide) {
		return keys
	}
	all := slices.Clone(keys)
	for _, c := range p.sessions.claims(id) {
		if !c.Given {
			all = append(all, c.Key)
		}
	}
	if d := p.m.Domains.Load().ByID(keys[0].Domain()); d == nil || !d.TooMuch(all) {
		return keys
	}
	x := p.stays.stay(id)
	return slices.DeleteFunc(slices.Clone(keys), func(k index.Key) bool { return table.IsWide(k) && !p.stays.keeps(&x, k) })
}

// heldBy is when a session held an address.
func (p *places) heldBy(id uint32, k index.Key) table.Hold {
	s := p.m.Session(id)
	c := p.m.Claim(p.m.ClaimOn(&s, k))
	return p.m.HoldOf(&c, s.Node)
}

// mayHave lets a session claim what it may have, as it may be the one that had.
func (p *places) mayHave(id uint32, claims []table.Claim, f *fact) {
	for _, old := range claims {
		s := p.m.Session(id)
		if p.m.Has(&s, old.Key) || !p.claim(id, old.Key, false, f) {
			continue
		}
		p.mayLack(id, old.Key, f)
		p.setHold(id, old.Key, old.Hold)
	}
}

// setHold says when a session held an address.
func (p *places) setHold(id uint32, k index.Key, h table.Hold) {
	s := p.m.Session(id)
	if c := p.m.ClaimOn(&s, k); c != 0 {
		p.m.SetHold(c, h)
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

// recallSIM has a session speak after what is remembered of its SIM.
func (p *places) recallSIM(id uint32, s *table.Session, who binding.Subscriber) {
	if at := p.remains.simAfter(s, who); at != 0 && at >= s.HeldAt.Our && p.m.SourceOf(s.Node) != binding.SourceFeed {
		p.doubt(id, clock.Bound{Our: at}, binding.ReasonCapacity)
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
	case s.Ended():
		return
	case by == 0, s.Doubt != binding.ReasonBound && s.EndedBy == 0:
		s.EndedBy = 0
	default:
		s.EndedBy |= by
	}
	s.After = andAfter(&s, after)
	if s.Doubt == binding.ReasonBound || rank(why) > rank(s.Doubt) {
		s.Doubt = why
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

// andAfter is what a session must speak after that has to speak after one moment
// more.
func andAfter(s *table.Session, after clock.Bound) clock.Bound {
	if s.After == (clock.Bound{}) {
		return after
	}
	return clock.Upper(s.After, after)
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
	case binding.ReasonUnconfirmed:
		return -1
	}
	return 0
}

// mayLack marks a claim of which it is not known whether its session still has
// the address: it counts no more until a word that is surely later names it.
func (p *places) mayLack(id uint32, k index.Key, f *fact) {
	s := p.m.Session(id)
	if c := p.m.ClaimOn(&s, k); c != 0 && !p.m.Claim(c).Given {
		p.touch(k, f.why).changed = true
		p.m.SetGiven(c, true)
		p.sessions.dirty(id)
	}
}

// mayLackSince is mayLack for what was so by a moment: the word that names the
// address again must be of after that too.
func (p *places) mayLackSince(id uint32, k index.Key, after clock.Bound, f *fact) {
	p.mayLack(id, k, f)
	s := p.m.Session(id)
	if bound := andAfter(&s, after); bound != s.After {
		p.sessions.update(id, func(s *table.Session) { s.After = bound })
	}
}
