package binding

import "github.com/simbind/simbind/binding/index"

// The rules of truth, T1 to T14, in the order in which an event meets them.
// The oracle test holds them against a slow, obvious model.
//
// An address is claimed by sessions. Who holds it follows from its claims
// alone (settle.go): all claims agree, and it is bound; they disagree,
// and it is in conflict (T5). What the rules below decide is which claims
// there are.

// hold applies a start or an update.
func (a *arbiter) hold(f *fact) Outcome {
	id, known := a.m.findSession(f.key)
	if known {
		// T3: what is older than the session's stop does not revive it. Clocks
		// of one second tie; a tie does not revive it either.
		s := a.m.session(id)
		if s.ended() {
			if !before(s.last, f.t) {
				return a.late(id, f)
			}
			a.forget(id)
			known = false
		} else if l, _ := a.m.judge(&s, f.now, a.times); l == lifeDead || l == lifeGone {
			a.end(id, f, endOfLife(l))
			known = false
		}
	}
	if known {
		return a.continued(id, f)
	}
	// T7: what happened before the node's restart is over. T3: so may be what
	// happened before a stop that had to be forgotten.
	forgot := int64(a.m.loadNode(f.node, nodeForgot))
	if before(f.t, a.m.node(f.node).restart) || !before(forgot, f.t) {
		return a.late(0, f)
	}
	return a.begin(f)
}

// begin makes a session: by its start or, where that was lost, by an update
// (T3).
func (a *arbiter) begin(f *fact) Outcome {
	f.new = true
	keys, refused := a.admit(f, canonicalAPN(f.APN), f.Addrs)
	if len(keys) == 0 && refused != Applied {
		return refused
	}
	id, ok := a.create(f)
	if !ok {
		// T14: refused loudly; what it claimed may not answer with an old
		// holder.
		for _, k := range keys {
			a.block(k, f)
		}
		return a.count(countRefusedCapacity, RefusedCapacity)
	}
	return a.claimAll(id, keys, f, refused)
}

// late applies what was overtaken by later news of its own session, or by a
// restart of its node. It claims nothing any more, but it tells who no longer
// had the address: those for whom the node spoke last before it (T4).
func (a *arbiter) late(id uint32, f *fact) Outcome {
	keys, _ := a.admit(f, canonicalAPN(f.APN), f.Addrs)
	for _, k := range keys {
		o := a.open(k)
		var former []uint32
		for _, c := range o.claims {
			if s := a.m.session(c.session); c.session != id && s.node == f.node && before(s.last, f.t+f.kept) && !agree(a.m.identity(&s), f.identity()) {
				former = append(former, c.session)
			}
		}
		a.settle(&o, f, max(o.h.deadline, a.supersede(&o, former, f.identity(), f)))
	}
	return a.count(countLate, Late)
}

// continued applies an event to a session that is known and alive.
func (a *arbiter) continued(id uint32, f *fact) Outcome {
	s := a.m.session(id)
	if before(f.t, s.last) {
		return a.late(id, f)
	}
	who := a.said(&s)
	if contradict(who, f.identity()) || f.Kind == SessionStart && f.t > s.start && !agree(who, f.identity()) {
		// The node uses a session id again: another session (T13).
		a.end(id, f, endSuperseded)
		return a.begin(f)
	}
	apn := canonicalAPN(f.APN)
	if apn == "" {
		apn = a.apnName(s.apn)
	}
	keys, refused := a.admit(f, apn, f.Addrs)
	changed := a.refresh(id, f, apn)
	if gone, _ := a.admit(f, apn, f.Gone); len(gone) > 0 {
		a.dropGone(id, gone, f)
	}
	if f.Complete {
		a.dropOthers(id, keys, f)
	}
	outcome := a.claimAll(id, keys, f, refused)
	a.reappraise(id, f, changed)
	return outcome
}

// claimAll lets a session claim addresses. The outcome is that of the least
// fortunate.
func (a *arbiter) claimAll(id uint32, keys []index.Key, f *fact, outcome Outcome) Outcome {
	for _, k := range keys {
		if got := a.claim(id, k, f); got != Applied {
			outcome = got
		}
	}
	return outcome
}

// claim lets a session claim one address: rules T2, T4, T5 and T14.
func (a *arbiter) claim(id uint32, k index.Key, f *fact) Outcome {
	a.bury(k, id, f)
	o := a.open(k)
	s := a.m.session(id)
	if o.h.state == holdBlocked {
		if before(s.start, o.h.since) {
			return a.count(countLate, Late)
		}
		a.unblock(&o)
	}
	if o.find(id) {
		a.settle(&o, f, o.confirmed(id, f, a.times.linger))
		return Applied
	}
	outcome, replaced := Applied, false
	var former []uint32
	for _, c := range o.claims {
		rival := a.m.session(c.session)
		switch a.precedes(&s, &rival, f) {
		case newer:
			former = append(former, c.session) // T4
		case older:
			outcome = Late
			replaced = replaced || rival.node == s.node
		}
	}
	if outcome == Late {
		a.counters.add(countLate, 1)
	}
	ending := a.supersede(&o, former, a.m.identity(&s), f)
	if replaced {
		// T2: within its node it claims nothing any more. Where it is late for
		// another node's claim it disagrees, and never owns.
		a.settle(&o, f, max(ending, o.h.deadline))
		return Late
	}
	if !o.add(id) {
		a.settle(&o, f, o.h.deadline)
		a.block(k, f) // T14
		return a.count(countRefusedCapacity, RefusedCapacity)
	}
	a.settle(&o, f, max(ending, o.confirmed(id, f, a.times.linger)))
	return outcome
}

// An order is how a session that claims stands to one that holds.
type order uint8

const (
	beside order = iota // both claims stand; whether they agree decides (T5, T6)
	newer               // it replaces the other's claim
	older               // its start is too old to own the address
)

// precedes compares starts: rules T2 and T4. Only a node itself may replace
// what it said; between nodes "newest wins" would be an attack.
func (a *arbiter) precedes(s, rival *session, f *fact) order {
	if rival.node != s.node {
		if before(s.start, rival.start) && f.new {
			return older
		}
		return beside
	}
	mine, theirs := a.m.identity(s), a.m.identity(rival)
	same := agree(mine, theirs)
	late, claimed := int64(0), f.t
	if f.new {
		late, claimed = f.late, s.start
	}
	switch {
	case same && s.contexts&rival.contexts == 0 && s.contexts != 0 && rival.contexts != 0:
		return beside // secondary contexts share the address (3GPP TS 29.061)
	case !before(s.start, rival.start) && (same || !before(claimed, rival.last)):
		return newer // equal one-second clocks: arrival order decides
	case !before(s.start, rival.start):
		return beside // the node spoke for the other since: doubt
	case !before(s.start+late, rival.start) && same:
		return newer
	case !before(s.start+late, rival.start):
		return beside // the order cannot be told: doubt
	case before(rival.start, f.t):
		return beside // the older session says later that it holds it: doubt
	}
	return older
}

// before compares two of the network's times (unix ms). Many of its clocks have
// whole seconds: against such a time only the second counts, and within it they
// tie.
func before(x, y int64) bool {
	if x%1000 == 0 || y%1000 == 0 {
		return x/1000 < y/1000
	}
	return x < y
}

// stop applies a stop: rule T1. It acts on its own session only, and may carry
// no address.
func (a *arbiter) stop(f *fact) Outcome {
	id, known := a.m.findSession(f.key)
	if !known {
		a.bringTombstone(f)
		return a.count(countUnknownStop, Late)
	}
	s := a.m.session(id)
	switch {
	case s.ended():
		if f.t > s.last {
			a.update(id, func(s *session) { s.last, s.seen = f.t, f.now })
			a.dirty(id)
		}
		return a.count(countDuplicate, Duplicate)
	case before(f.t+f.late, s.start):
		return a.count(countLate, Late) // of an earlier session with this id
	case f.Contexts != 0 && !f.Last && s.contexts&^f.Contexts != 0:
		a.update(id, func(s *session) { s.contexts &^= f.Contexts })
		a.dirty(id)
		return OneContext
	}
	if f.Last {
		a.endSiblings(id, f)
	}
	a.end(id, f, endStop)
	return Applied
}

// restart applies a node's restart: rule T7, in O(1). The sweep frees and
// publishes what it ended.
func (a *arbiter) restart(f *fact) Outcome {
	n := a.m.node(f.node)
	if f.t == n.restart || f.t+f.kept <= n.restart {
		return a.count(countDuplicate, Duplicate) // repeated, or overtaken by a later one
	}
	// A clock that is behind ours must not spare what the restart ended.
	spares := max(f.t+f.kept, f.now-maxOvertaken.Milliseconds())
	a.m.storeNode(f.node, nodeRestart, uint64(max(f.t, n.restart)))
	a.m.storeNode(f.node, nodeSpares, uint64(spares))
	a.m.storeNode(f.node, nodeEpoch, uint64(n.epoch)+1)
	a.counters.add(countRestarts, 1)
	a.saveNode(f.node)
	return Applied
}

// transport notes that a node is lost or heard again: rule T8. It ends
// nothing.
func (a *arbiter) transport(f *fact) Outcome {
	down := a.m.loadNode(f.node, nodeDown)
	switch {
	case f.Kind == NodeDown && down == 0:
		since := f.now
		if f.Source == SourceFeed {
			since = min(f.t, f.now) // its last heartbeat
		}
		a.m.storeNode(f.node, nodeDown, uint64(since))
	case f.Kind == NodeUp && down != 0:
		a.m.storeNode(f.node, nodeDown, 0)
	default:
		return Duplicate
	}
	a.saveNode(f.node)
	return Applied
}

// agree reports whether two sources can mean the same subscriber: what both
// know is equal, and they know something in common. Knowing nothing agrees
// with all.
func agree(x, y Subscriber) bool {
	if x.nobody() || y.nobody() {
		return true
	}
	numbers := x.MSISDN != 0 && y.MSISDN != 0
	sims := x.IMSI != 0 && y.IMSI != 0
	return (numbers || sims) && (!numbers || x.MSISDN == y.MSISDN) && (!sims || x.IMSI == y.IMSI)
}

// contradict reports whether two identities cannot be one subscriber's.
func contradict(x, y Subscriber) bool {
	return x.MSISDN != 0 && y.MSISDN != 0 && x.MSISDN != y.MSISDN || x.IMSI != 0 && y.IMSI != 0 && x.IMSI != y.IMSI
}

// nobody reports that neither number nor SIM is known.
func (x Subscriber) nobody() bool { return x.MSISDN == 0 && x.IMSI == 0 }

func (f *fact) identity() Subscriber { return Subscriber{MSISDN: f.MSISDN, IMSI: f.IMSI, IMEI: f.IMEI} }
