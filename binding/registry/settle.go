package registry

import (
	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// A standing is what the living claims of an address come to: rule T5.
type standing struct {
	living  int
	held    int    // of them, that an operator has not released, nor it may have given up
	owner   uint32 // the session that began last among those that know the subscriber
	who     binding.Subscriber
	agreed  bool
	sources binding.SourceSet
	since   int64 // unix ms, our clock: when the owner began, as far as is known
}

// standing reads the claims of a holding.
func (p *places) standing(h *table.Holding) standing {
	st := standing{agreed: true}
	named := false // the owner is one that knows the subscriber
	links := false // some claim joins number and SIM
	var numberOnly, simOnly, unnamed bool
	var directory binding.MSISDN // its word for the SIM, where signalling has none
	for c := p.m.AllClaimants(h); c.Next(); {
		s := &c.Session
		if s.Ended() {
			continue
		}
		st.living++
		st.sources = st.sources.Add(p.m.SourceOf(s.Node))
		if s.Doubt != binding.ReasonReleased && !c.Given {
			st.held++
		}
		id := p.m.Identity(s)
		if table.Nobody(id) {
			unnamed = true
			if st.owner == 0 {
				st.owner, st.since = c.ID, began(s)
			}
			continue
		}
		if s.Flags&table.Directory != 0 {
			directory, id.MSISDN = id.MSISDN, 0
		}
		if (st.who.MSISDN != 0 && id.MSISDN != 0 && st.who.MSISDN != id.MSISDN) ||
			(st.who.IMSI != 0 && id.IMSI != 0 && st.who.IMSI != id.IMSI) {
			st.agreed = false
		}
		st.who.MSISDN, st.who.IMSI = max(st.who.MSISDN, id.MSISDN), max(st.who.IMSI, id.IMSI)
		if at := began(s); st.since < at || !named {
			st.since, st.owner, named = at, c.ID, true
			if id.IMEI != 0 {
				st.who.IMEI = id.IMEI
			}
		}
		links = links || id.MSISDN != 0 && id.IMSI != 0
		numberOnly, simOnly = numberOnly || id.IMSI == 0, simOnly || id.MSISDN == 0
	}
	switch {
	case st.who.MSISDN == 0:
		st.who.MSISDN = directory
	case st.who.MSISDN == directory:
		links = true
	}
	if !links && numberOnly && simOnly || unnamed && named && p.apart(h) {
		st.agreed = false
	}
	if !st.agreed {
		st.who = binding.Subscriber{}
	}
	return st
}

// apart reports that a session of a holding does not say whose it is, and another
// node's of its source does.
func (p *places) apart(h *table.Holding) bool {
	for x := p.m.AllClaimants(h); x.Next(); {
		if x.Session.Ended() || x.Session.Sub != 0 {
			continue
		}
		for y := p.m.AllClaimants(h); y.Next(); {
			if !y.Session.Ended() && p.m.TwoStays(&x.Session, &y.Session) {
				return true
			}
		}
	}
	return false
}

// began is when a session began, by our clock, as far as is known.
func began(s *table.Session) int64 { return max(s.BegunFrom.Our, min(s.BegunBy.Our, s.Seen)) }

// settle decides from the claims who holds each address that was touched, shows
// it to readers, and emits the change.
func (p *places) settle(f *fact) {
	for i := 0; i < len(p.touched); i++ { // what is shown anew is moved, and the sweep may miss it
		h := p.touched[i].h
		p.compare(p.touched[i].key, &h, f)
	}
	for i := 0; i < len(p.touched); i++ { // it may grow: to make room, others are forgotten
		p.settleOne(i, f)
	}
	p.touched = p.touched[:0]
	for _, c := range p.garbage {
		p.m.FreeClaim(c)
	}
	for _, id := range p.freed {
		p.m.Sessions.Free(id)
	}
	p.garbage, p.freed = p.garbage[:0], p.freed[:0]
}

func (p *places) settleOne(i int, f *fact) {
	t := &p.touched[i]
	st := p.standing(&t.h)
	h := table.Holding{
		MSISDN: st.who.MSISDN, Shared: st.living > 1, Claim: t.h.Claim, Owner: st.owner,
		Contested: t.h.Contested, Inner: t.h.Inner, Version: t.h.Version, Since: t.h.Since,
	}
	switch h.State = st.state(); h.State {
	case table.None:
		h.MSISDN, h.Owner = 0, 0
		if h.Inner == 0 {
			h.Contested = 0
		}
		if h.Claim == 0 && h.Inner == 0 {
			if t.existed {
				p.m.Addrs.Delete(t.key)
			}
			p.publish(t, &h, &st, p.change(t, &h, &st), f)
			return
		}
	case table.Conflict, table.Withdrawn:
		h.MSISDN = 0
	}
	kind := p.change(t, &h, &st)
	h.Told = p.m.ToldOf(t.key, &h, f.now, p.t)
	if kind == 0 && h.State != table.None && (h.Told != t.h.Told || t.attributes && st.agreed) {
		kind = binding.Updated
	}
	same := kind == 0 || kind == binding.Updated && st.who.MSISDN == t.was.MSISDN && st.who.IMSI == t.was.IMSI
	if !same {
		h.Version, h.Since = f.version(p.seq+1), st.since
	}
	if t.existed && h == t.shown && !t.changed {
		return
	}
	if !p.m.Addrs.Put(t.key, h.Pack()) {
		p.dropUnpublished(i, f)
		return
	}
	if h.Version != t.h.Version || h.Since != t.h.Since || h.Told != t.h.Told || h.Shared != t.h.Shared || (h.Contested != 0) != (t.shown.Contested != 0) {
		for c := p.m.AllClaimants(&h); c.Next(); {
			p.sessions.dirty(c.ID)
		}
	}
	p.publish(t, &h, &st, kind, f)
}

// state is what a standing comes to.
func (st *standing) state() table.State {
	switch {
	case st.living == 0:
		return table.None
	case !st.agreed:
		return table.Conflict
	case st.held == 0:
		return table.Withdrawn
	}
	return table.Bound
}

// change names the step from what was said before to h, zero if nothing that
// anyone follows has changed.
func (p *places) change(t *touch, h *table.Holding, st *standing) binding.ChangeKind {
	before := t.h.State
	if !t.existed {
		before = table.None
	}
	switch {
	case h.State == before && h.State == table.None:
		return 0
	case h.State == table.None:
		return binding.Released
	case h.State == table.Conflict:
		if before == table.Conflict {
			return 0
		}
		return binding.Conflict
	case before == table.None || before == table.Conflict:
		return binding.Bound
	case !table.Agree(t.was, st.who) || table.Nobody(t.was) != table.Nobody(st.who):
		if t.why == whyDirectory {
			return binding.Updated // the same SIM
		}
		return binding.Moved
	case t.was != st.who || t.h.Owner != h.Owner || t.before != st.sources:
		return binding.Updated
	}
	return 0
}

// dropUnpublished takes back claims on an address for which the index has no
// room (T14): nothing is said of it, nor of a wider one that it lies in.
func (p *places) dropUnpublished(i int, f *fact) {
	k := p.touched[i].key
	h := p.touched[i].h
	for c := p.m.AllClaimants(&h); c.Next(); {
		p.unclaim(c.ID, k, true)
		p.remains.refused(c.Session.Key, k, c.Session.Last.Our)
		p.sessions.dirty(c.ID)
		for o := p.overlapping(k); o.next(); {
			if !o.session.Ended() && o.id != c.ID {
				p.doubt(o.id, c.Session.Last, binding.ReasonCapacity)
			}
		}
	}
	p.m.Refuse(k, f.now)
	p.sessions.refusedAt.Store(f.now)
	p.counters.add(countRefusedCapacity)
	f.noRoom = true
}

// publish emits a change of one address.
func (p *places) publish(t *touch, h *table.Holding, st *standing, kind binding.ChangeKind, f *fact) {
	if kind == 0 {
		return
	}
	c := binding.Change{
		Kind: kind, Domain: p.m.Domains.Load().Names[t.key.Domain()], Addr: table.AddressOf(t.key),
		Now: st.who, Was: t.was, Sources: st.sources, Why: t.why, Node: f.Event.Node,
	}
	if c.Why == "" {
		c.Why = f.why
	}
	if st.owner != 0 && kind != binding.Released {
		p.nameOwner(&c, st.owner)
	}
	switch kind {
	case binding.Bound, binding.Updated:
		c.Was = binding.Subscriber{}
	case binding.Conflict:
		s := p.m.Session(st.owner)
		c.Now = p.m.Identity(&s)
	case binding.Released:
		c.Now = binding.Subscriber{}
	}
	c.Reason = binding.ReasonEnded
	if kind != binding.Released {
		c.State, c.Reason = p.toldOf(h.Told, c.Now)
	}
	p.emit(c, f, (t.before|c.Sources)&^(1<<binding.SourceFeed) == 0)
}

// nameOwner writes into a change what the owning session says beside identities.
func (p *places) nameOwner(c *binding.Change, owner uint32) {
	s := p.m.Session(owner)
	c.APN, c.RAT = p.m.APN(s.APN), s.RAT
	c.Node, _ = p.m.SaidBy(&s)
}

// toldOf is the state that a change tells with the holder.
func (c *core) toldOf(told binding.Reason, who binding.Subscriber) (binding.State, binding.Reason) {
	if told == binding.ReasonBound && who.MSISDN == 0 {
		return binding.StateBound, binding.ReasonNoMSISDN
	}
	if told == binding.ReasonMultiSIM && c.t.Ambiguous {
		return binding.StateAmbiguous, told
	}
	return table.StateOf(told.Verdict()), told
}

// version is the version of a holding that the event makes: the number of the
// site's own change, or next.
func (f *fact) version(next uint64) uint64 {
	if f.Source == binding.SourceFeed && f.Version != 0 {
		return f.Version
	}
	return next
}

// tell publishes the state of an address if it is another one than was told
// last: of what changes without an event, a lease that runs out or a node that
// is lost. Readers see it at once; the sweep publishes it. It returns how many
// changes that made.
func (p *places) tell(k index.Key, h *table.Holding, f *fact) int {
	if h.State == table.None {
		return 0
	}
	told := p.m.ToldOf(k, h, f.now, p.t)
	if told == h.Told || told == binding.ReasonEnded && p.aboutToEnd(h, f.now) {
		return 0
	}
	p.touch(k, "state")
	n := p.seq
	p.settle(f)
	return int(p.seq - n)
}

// aboutToEnd reports that no session of an address goes on: what has ended is
// about to be released.
func (p *places) aboutToEnd(h *table.Holding, now int64) bool {
	for c := p.m.AllClaimants(h); c.Next(); {
		if l, _ := p.m.Judge(&c.Session, now, p.t); l < table.Gone {
			return false
		}
	}
	return true
}
