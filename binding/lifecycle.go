package binding

import (
	"slices"

	"github.com/simbind/simbind/binding/index"
)

// An ending says why a claim or a session ends.
type ending struct {
	why string
	// said: the source itself said so, for T6. A lease or an operator does not.
	said bool
	// tomb: the session is remembered, for T3.
	tomb bool
}

var (
	endStop       = ending{why: "stop", said: true, tomb: true}
	endRestart    = ending{why: "node-restart", said: true}
	endUpdate     = ending{why: "update", said: true}
	endLease      = ending{why: "lease"}
	endLinger     = ending{why: "linger"}
	endSuperseded = ending{why: "superseded", said: true}
	endOperator   = ending{why: "operator"}
	endCapacity   = ending{why: "capacity"}
)

func endOfLife(l life) ending {
	if l == lifeDead {
		return endRestart
	}
	return endLease
}

// create makes the session of an event; false if there is no room (T14).
func (a *arbiter) create(f *fact) (uint32, bool) {
	id, ok := a.allocSession()
	if !ok {
		return 0, false
	}
	n := a.m.node(f.node)
	s := session{
		key: f.key, start: f.t, last: f.t, seen: f.now, node: f.node, epoch: n.epoch & epochMask,
		apn: a.apnID(canonicalAPN(f.APN)), rat: f.RAT, contexts: f.Contexts, lease: a.leaseOf(f),
	}
	if f.Kind == SessionUpdate {
		s.start = max(f.t-f.Age.Milliseconds(), 1) // T3: the start was lost
	}
	a.m.putSession(id, &s)
	a.m.bySession.Insert(s.key[0], id)
	a.m.storeNode(f.node, nodeSessions, a.m.loadNode(f.node, nodeSessions)+1)
	a.dirty(id)
	a.adopt(id, f.identity(), f)
	a.remember(id, f)
	if f.Source == SourceFeed {
		a.restate(id, f)
	}
	return id, true
}

// allocSession takes a free record or, for lack of one, the oldest tombstone.
func (a *arbiter) allocSession() (uint32, bool) {
	id, ok := a.m.sessions.Alloc()
	if !ok && a.tombs.head != 0 {
		a.evictTombstone()
		id, ok = a.m.sessions.Alloc()
	}
	return id, ok
}

func (a *arbiter) leaseOf(f *fact) uint32 {
	ms := a.times.lease
	if f.Lease > 0 {
		ms = f.Lease.Milliseconds()
	}
	return uint32(min(max(ms/1000, 1), maxLease))
}

// refresh notes a later event of a session. It reports whether anything that
// is published about it changed.
func (a *arbiter) refresh(id uint32, f *fact, apn string) bool {
	s := a.m.session(id)
	before := s
	s.last, s.seen = f.t, f.now
	s.flags &^= doubtMask
	s.contexts |= f.Contexts
	if f.Lease > 0 {
		s.lease = a.leaseOf(f)
	}
	if f.RAT != 0 {
		s.rat = f.RAT
	}
	s.apn = a.apnID(apn)
	a.m.putSession(id, &s)
	a.dirty(id)
	a.remember(id, f)
	who := a.m.identity(&s)
	now, confirmed := who, false
	if f.MSISDN != 0 {
		now.MSISDN = f.MSISDN
		confirmed = s.flags&flagDirectory != 0 // if it is the same
		a.update(id, func(s *session) { s.flags &^= flagDirectory })
	}
	if f.IMSI != 0 {
		now.IMSI = f.IMSI
	}
	if f.IMEI != 0 {
		now.IMEI = f.IMEI
	}
	if now != who || confirmed {
		a.adopt(id, now, f)
	}
	return now != who || s.rat != before.rat || s.apn != before.apn
}

// reappraise settles the addresses of a session that spoke: an ending one is
// confirmed (T6); if attributes of the session changed, each is published anew
// where the holder stayed the same.
func (a *arbiter) reappraise(id uint32, f *fact, changed bool) {
	for _, k := range a.keys(id) {
		if h, _ := a.m.holding(k); !changed && h.deadline == 0 {
			continue
		}
		seq := a.seq
		o := a.open(k)
		o.changed = changed
		a.settle(&o, f, o.confirmed(id, f, a.times.linger))
		if _, who, ok := o.holder(); changed && a.seq == seq && ok {
			a.emitAddress(Updated, &o, who, id, f)
		}
	}
}

// openAll opens the addresses that a session claims.
func (a *arbiter) openAll(id uint32) []address {
	var claimed []address
	for _, k := range a.keys(id) {
		claimed = append(claimed, a.open(k))
	}
	return claimed
}

// keys lists the addresses that a session claims.
func (a *arbiter) keys(id uint32) []index.Key {
	var keys []index.Key
	for c := uint32(a.m.sessions.Load(id, 6) >> 32); c != 0; {
		cl := a.m.claim(c)
		keys = append(keys, cl.key)
		c = cl.nextOfSession
	}
	return keys
}

// drop takes one claim of a session away.
func (a *arbiter) drop(id uint32, k index.Key, f *fact, e ending) {
	o := a.open(k)
	if !o.find(id) {
		a.settle(&o, f, o.h.deadline)
		return
	}
	s := a.m.session(id)
	who := a.m.identity(&s)
	o.remove(id)
	a.dirty(id)
	deadline, overtaken := o.h.deadline, a.removeOvertaken(&o, &s, who, f)
	if e.said {
		deadline = max(deadline, overtaken)
		if a.leftToOthers(&o, who, s.node, f.now) {
			deadline = a.endingAt(f)
		}
	}
	was := f.why
	f.why = e.why
	a.settle(&o, f, deadline)
	f.why = was
}

// supersede takes claims of sessions away because their node gave the address
// to another session (T4). If that is another SIM's, or nobody knows whose,
// other sources that still say the former one are left with an ended claim
// (T6): the deadline is returned.
func (a *arbiter) supersede(o *address, former []uint32, by Subscriber, f *fact) (deadline uint32) {
	for _, id := range former {
		s := a.m.session(id)
		former = a.overtaken(o, &s, a.m.identity(&s), former)
	}
	for _, id := range former {
		o.remove(id)
		a.dirty(id)
	}
	for _, id := range former {
		s := a.m.session(id)
		if who := a.m.identity(&s); (by.nobody() || !agree(who, by)) && a.leftToOthers(o, who, s.node, f.now) {
			deadline = a.endingAt(f)
		}
	}
	return deadline
}

// endingAt is the deadline of a holding that begins to end.
func (a *arbiter) endingAt(f *fact) uint32 {
	return uint32((f.now + a.times.linger + 999) / 1000)
}

// removeOvertaken takes away the claims of other SIMs' sessions at the node of
// an ended one that the node has not spoken for since it spoke for that one:
// its last word about the address was that they do not have it (T4).
func (a *arbiter) removeOvertaken(o *address, ended *session, who Subscriber, f *fact) uint32 {
	return a.supersede(o, a.overtaken(o, ended, who, nil), who, f)
}

// overtaken adds the sessions that a node spoke for last before it spoke for s,
// another SIM's, and those that these had overtaken in turn.
func (a *arbiter) overtaken(o *address, s *session, who Subscriber, former []uint32) []uint32 {
	for _, c := range o.claims {
		t := a.m.session(c.session)
		whose := a.m.identity(&t)
		if t.node == s.node && before(t.last, s.last) && !agree(whose, who) && !slices.Contains(former, c.session) {
			former = a.overtaken(o, &t, whose, append(former, c.session))
		}
	}
	return former
}

// leftToOthers reports that of those who still say what an ended claim said,
// all are other sources: rule T6. Each followed site is one. Claims that count
// for nothing any more are not asked, nor are the source's own that do not say
// whose they are.
func (a *arbiter) leftToOthers(o *address, who Subscriber, node uint16, now int64) bool {
	source, left := a.m.node(node).source, false
	for _, c := range o.claims {
		s := a.m.session(c.session)
		whose := a.m.identity(&s)
		if l, _ := a.m.judge(&s, now, a.times); l >= lifeExpired || !agree(whose, who) {
			continue
		}
		if a.m.node(s.node).source == source && (source != SourceFeed || s.node == node) {
			if whose.nobody() {
				continue
			}
			return false
		}
		left = true
	}
	return left
}

// dropOthers takes away the claims of a session on addresses of the families
// that the event names that are not in keys. An address that was refused is
// named too: the session does not have its former one any more.
func (a *arbiter) dropOthers(id uint32, keys []index.Key, f *fact) {
	for _, k := range a.keys(id) {
		named := slices.ContainsFunc(f.Addrs, func(n Address) bool { return n.family() == familyOf(k) })
		if named && !slices.Contains(keys, k) {
			a.drop(id, k, f, endUpdate)
		}
	}
}

// dropGone takes away what a session gave up. An IPv4 address without ports
// stands for all its blocks of ports too.
func (a *arbiter) dropGone(id uint32, gone []index.Key, f *fact) {
	for _, k := range a.keys(id) {
		if slices.ContainsFunc(gone, func(g index.Key) bool {
			return g == k || familyOf(g) == family4 && familyOf(k) == familyPorts && g.Hi>>32 == k.Hi>>32 && domainOf(g) == domainOf(k)
		}) {
			a.drop(id, k, f, endUpdate)
		}
	}
}

// end ends a session.
func (a *arbiter) end(id uint32, f *fact, e ending) {
	for _, k := range a.keys(id) {
		a.drop(id, k, f, e)
	}
	s := a.m.session(id)
	a.m.unlink(id, &s)
	a.m.storeNode(s.node, nodeSessions, a.m.loadNode(s.node, nodeSessions)-1)
	if !e.tomb {
		a.free(id)
		return
	}
	a.entomb(id, max(f.t, s.start), f.now)
}

// endSiblings ends the other contexts of a session of which the last stopped
// (3GPP TS 29.061, Session-Stop-Indicator).
func (a *arbiter) endSiblings(id uint32, f *fact) {
	s := a.m.session(id)
	who := a.m.identity(&s)
	for _, k := range a.keys(id) {
		o := a.open(k)
		claims := o.claims
		a.settle(&o, f, o.h.deadline)
		for _, c := range claims {
			sibling := a.m.session(c.session)
			if c.session != id && !sibling.ended() && sibling.node == s.node && sibling.contexts != 0 && agree(a.m.identity(&sibling), who) {
				a.end(c.session, f, endStop)
			}
		}
	}
}

// bury ends the sessions among an address's claimants, other than id, that are
// dead, and takes claims away whose lease ran out: against a live claim they
// hold nothing (T5, T7, T9).
func (a *arbiter) bury(k index.Key, id uint32, f *fact) {
	h, ok := a.m.holding(k)
	if !ok {
		return
	}
	// Ending one may take others' claims away, so they are noted first.
	var rivals [maxClaims]uint32
	n := 0
	for c := h.claim; c != 0; n++ {
		cl := a.m.claim(c)
		rivals[n], c = cl.session, cl.nextOfAddress
	}
	for _, rival := range rivals[:n] {
		s := a.m.session(rival)
		if rival == id || s.key[0] == 0 {
			continue
		}
		switch l, _ := a.m.judge(&s, f.now, a.times); l {
		case lifeDead, lifeGone:
			a.end(rival, f, endOfLife(l))
		case lifeExpired:
			a.drop(rival, k, f, endLease)
		}
	}
}

// block makes an address answer "unknown" because the session that claimed it
// was refused: rule T14. Nothing old is kept alive on it.
func (a *arbiter) block(k index.Key, f *fact) {
	o := a.open(k)
	if o.existed && o.h.state == holdBlocked {
		return
	}
	for _, c := range o.claims {
		o.remove(c.session)
		a.dirty(c.session)
	}
	h := holding{state: holdBlocked, since: f.t, deadline: uint32((f.now + a.times.lease) / 1000)}
	published := a.m.addrs.Put(k, h.pack())
	for _, id := range o.garbage {
		a.m.freeClaim(id)
	}
	if o.existed {
		was := f.why
		f.why = endCapacity.why
		a.emitAddress(Released, &o, Subscriber{}, 0, f)
		f.why = was
	}
	if published {
		a.saveBlock(k, &h, false)
	}
}

// unblock lifts a block: a session that started later has room.
func (a *arbiter) unblock(o *address) {
	a.saveBlock(o.key, &o.h, true)
	a.m.addrs.Delete(o.key)
	o.h, o.existed = holding{}, false
}
