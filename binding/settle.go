package binding

import (
	"slices"

	"github.com/simbind/simbind/binding/index"
)

// An address is one address opened for a decision: its claims, and what was
// said of it before.
type address struct {
	m       *memory
	key     index.Key
	h       holding
	existed bool
	was     Subscriber // the holder before, if there was one
	claims  []addressClaim
	before  SourceSet
	garbage []uint32 // claims to free after the record was replaced
	changed bool     // claims came or went
}

type addressClaim struct {
	id, session uint32
}

// open loads an address. A shared one is withdrawn from readers until it is
// settled, because they walk its claims: a reader sees the claims of one
// moment or "cannot say".
func (a *arbiter) open(k index.Key) address {
	o := address{m: a.m, key: k}
	if o.h, o.existed = a.m.holding(k); !o.existed {
		return o
	}
	for id := o.h.claim; id != 0; {
		c := a.m.claim(id)
		o.claims = append(o.claims, addressClaim{id, c.session})
		id = c.nextOfAddress
	}
	o.before = o.sources()
	if o.h.state == holdBound {
		_, o.was, _ = o.holder()
	}
	if o.h.shared {
		moving := o.h
		moving.state = holdConflict
		a.m.addrs.Put(k, moving.pack())
	}
	return o
}

func (o *address) find(session uint32) bool {
	return slices.ContainsFunc(o.claims, func(c addressClaim) bool { return c.session == session })
}

// add lets a session claim the address; false if there is no room.
func (o *address) add(id uint32) bool {
	if len(o.claims) >= maxClaims {
		return false
	}
	s := o.m.session(id)
	head := uint32(0)
	if len(o.claims) > 0 {
		head = o.claims[0].id
	}
	cid, ok := o.m.newClaim(claim{session: id, key: o.key, nextOfSession: s.claim, nextOfAddress: head})
	if !ok {
		return false
	}
	s.claim = cid
	o.m.putSession(id, &s)
	o.claims = slices.Insert(o.claims, 0, addressClaim{cid, id})
	o.changed = true
	return true
}

// remove takes a session's claim away.
func (o *address) remove(session uint32) {
	i := slices.IndexFunc(o.claims, func(c addressClaim) bool { return c.session == session })
	if i < 0 {
		return
	}
	gone := o.claims[i].id
	o.claims = slices.Delete(slices.Clone(o.claims), i, i+1)
	if i > 0 {
		next := uint32(0)
		if i < len(o.claims) {
			next = o.claims[i].id
		}
		o.m.setNextOfAddress(o.claims[i-1].id, next)
	}
	o.m.unlinkOfSession(session, gone)
	o.garbage = append(o.garbage, gone)
	o.changed = true
}

func (m *memory) unlinkOfSession(session, gone uint32) {
	s := m.session(session)
	next := m.claim(gone).nextOfSession
	if s.claim == gone {
		s.claim = next
		m.putSession(session, &s)
		return
	}
	for id := s.claim; id != 0; {
		c := m.claim(id)
		if c.nextOfSession == gone {
			m.setNextOfSession(id, next)
			return
		}
		id = c.nextOfSession
	}
}

func (o *address) sources() (set SourceSet) {
	for _, c := range o.claims {
		s := o.m.session(c.session)
		set = set.Add(o.m.node(s.node).source)
	}
	return set
}

// holder is who the claims say holds the address: rule T5. The owner is the
// session that started last among those that know the subscriber. It is false
// if the claims disagree.
func (o *address) holder() (owner uint32, who Subscriber, ok bool) {
	var starts int64 = -1
	links := false // some claim joins number and SIM
	var numberOnly, simOnly bool
	var directory MSISDN // its word for the SIM, where signalling has none
	for _, c := range o.claims {
		s := o.m.session(c.session)
		id := o.m.identity(&s)
		if id.nobody() {
			if owner == 0 {
				owner = c.session
			}
			continue
		}
		if s.flags&flagDirectory != 0 {
			directory, id.MSISDN = id.MSISDN, 0
		}
		if (who.MSISDN != 0 && id.MSISDN != 0 && who.MSISDN != id.MSISDN) ||
			(who.IMSI != 0 && id.IMSI != 0 && who.IMSI != id.IMSI) {
			return 0, Subscriber{}, false
		}
		who.MSISDN, who.IMSI = max(who.MSISDN, id.MSISDN), max(who.IMSI, id.IMSI)
		if s.start > starts {
			starts, owner = s.start, c.session
			if id.IMEI != 0 {
				who.IMEI = id.IMEI
			}
		}
		links = links || id.MSISDN != 0 && id.IMSI != 0
		numberOnly, simOnly = numberOnly || id.IMSI == 0, simOnly || id.MSISDN == 0
	}
	switch {
	case who.MSISDN == 0:
		who.MSISDN = directory
	case who.MSISDN == directory:
		links = true
	}
	return owner, who, links || !numberOnly || !simOnly
}

// confirmed is the deadline that stays after a claimant spoke: none, unless
// what it said happened before the other source's end was heard (rule T6), or
// it does not say whose session it is: that may be the next subscriber's.
func (o *address) confirmed(id uint32, f *fact, linger int64) uint32 {
	s := o.m.session(id)
	if who := o.m.identity(&s); o.h.deadline != 0 && (who.nobody() || f.t < int64(o.h.deadline)*1000-linger) {
		return o.h.deadline
	}
	return 0
}

// settle decides from the claims who holds the address, shows it to readers,
// and emits the change. deadline is that of an ending holding, 0 if it is not
// ending.
func (a *arbiter) settle(o *address, f *fact, deadline uint32) {
	defer func() {
		for _, id := range o.garbage {
			a.m.freeClaim(id)
		}
	}()
	if len(o.claims) == 0 {
		if o.existed && o.h.state != holdBlocked {
			a.m.addrs.Delete(o.key)
			a.emitAddress(Released, o, Subscriber{}, 0, f)
		}
		return
	}
	owner, who, ok := o.holder()
	h := holding{state: holdBound, msisdn: who.MSISDN, shared: len(o.claims) > 1, claim: o.claims[0].id, owner: owner, deadline: deadline}
	if !ok {
		// What ended before they disagreed has ended when they agree again.
		h.state, h.msisdn, h.owner, h.deadline = holdConflict, 0, o.claims[0].session, max(deadline, o.h.deadline)
	}
	kind := o.change(&h, who)
	if kind == Moved && f.why == whyDirectory {
		kind = Updated // the same SIM
	}
	if h.told = a.tell(o.key, &h, f.now); kind == 0 && h.told != o.h.told {
		kind = Updated
	}
	if sameHolder := kind == 0 || kind == Updated && who.MSISDN == o.was.MSISDN && who.IMSI == o.was.IMSI; sameHolder {
		h.version, h.since = o.h.version, o.h.since
	} else {
		h.version, h.since = f.version(a.seq+1), a.m.session(h.owner).start
	}
	if h == o.h && !o.changed && !o.h.shared {
		return
	}
	if !a.m.addrs.Put(o.key, h.pack()) {
		a.dropUnpublished(o, f)
		return
	}
	if h != o.h || o.changed {
		for _, c := range o.claims {
			a.dirty(c.session)
		}
	}
	o.h.told = h.told
	if kind != 0 {
		a.emitAddress(kind, o, who, h.owner, f)
	}
}

// change names the step from what was said before to h, zero if nothing that
// anyone follows has changed.
func (o *address) change(h *holding, who Subscriber) ChangeKind {
	before := o.h.state
	switch {
	case !o.existed || before == holdBlocked:
		if h.state == holdConflict {
			return Conflict
		}
		return Bound
	case h.state == holdConflict:
		if before == holdConflict {
			return 0
		}
		return Conflict
	case before == holdConflict:
		return Bound
	case !agree(o.was, who) || o.was.nobody() != who.nobody():
		return Moved
	case o.was != who || o.h.owner != h.owner || o.h.deadline != h.deadline || o.before != o.sources():
		return Updated
	}
	return 0
}

// dropUnpublished takes back claims on an address for which the index has no
// room (T14): nothing is said of it.
func (a *arbiter) dropUnpublished(o *address, f *fact) {
	for _, c := range slices.Clone(o.claims) {
		o.remove(c.session)
		a.dirty(c.session)
	}
	a.counters.add(countRefusedCapacity, 1)
}

// emitAddress records a change of one address.
func (a *arbiter) emitAddress(kind ChangeKind, o *address, now Subscriber, owner uint32, f *fact) {
	c := Change{
		Kind: kind, Domain: a.domains.Load().names[domainOf(o.key)], Addr: addressOf(o.key),
		Now: now, Was: o.was, Sources: o.sources(), Why: f.why,
		Node: f.Event.Node,
	}
	if owner != 0 {
		a.nameOwner(&c, owner)
	}
	if kind == Bound || kind == Updated {
		c.Was = Subscriber{}
	}
	if kind == Conflict && owner != 0 {
		s := a.m.session(owner)
		c.Now = a.m.identity(&s)
	}
	c.Reason = ReasonEnded
	if kind != Released {
		c.State, c.Reason = o.h.toldOf(now)
	}
	a.emit(c, f, (o.before|c.Sources)&^(1<<SourceFeed) == 0)
}

// nameOwner writes into a change what the owning session says beside identities.
func (a *arbiter) nameOwner(c *Change, owner uint32) {
	s := a.m.session(owner)
	c.APN, c.RAT = a.apnName(s.apn), s.rat
	c.Node, _ = a.saidBy(&s)
}

// toldOf is the state of the holding as a change tells it with the holder.
func (h *holding) toldOf(who Subscriber) (State, Reason) {
	if h.told == ReasonBound && who.MSISDN == 0 {
		return StateBound, ReasonNoMSISDN
	}
	return stateOf(h.told.Verdict()), h.told
}
