package binding

import "github.com/simbind/simbind/binding/index"

// A sweeper walks over all sessions and addresses, a piece at a time, and
// frees what is over: sessions of before a restart (T7), expired leases (T9),
// old tombstones (T3), ended lingering (T6) and blocks (T14). Readers do not
// wait for it: they see from the same words that these are over.
type sweeper struct {
	session, address uint32
	told             int    // changes of state published by the present piece
	rounds           int    // over all addresses
	seeker           uint32 // session behind which numbers are asked for next
	seekFrom         int64  // unix ms, when the next round of asking may begin
	sought           int    // numbers that the present piece asked for
}

// toldMax bounds the changes of state that one piece of the sweep publishes,
// so that a node that is lost with a million sessions does not drown the feed.
const toldMax = 512

// sweep visits up to n sessions and n addresses. It reports whether it came
// around.
func (a *arbiter) sweep(sw *sweeper, n int, now int64) bool {
	around := true
	for range n {
		if sw.session++; sw.session > a.m.sessions.Limit() {
			sw.session = 0
			break
		}
		a.sweepSession(sw, sw.session, now)
		around = false
	}
	a.seekSome(sw, n, now)
	for sw.told = 0; n > 0 && sw.told < toldMax; n-- {
		if sw.address++; sw.address > a.m.addrs.Limit() {
			sw.address = 0
			sw.rounds++
			break
		}
		sw.told += a.sweepAddress(sw.address, now)
		around = false
	}
	return around || sw.session == 0 && sw.address == 0
}

func (a *arbiter) sweepSession(sw *sweeper, id uint32, now int64) {
	if a.m.sessions.Load(id, 0) == 0 {
		return
	}
	s := a.m.session(id)
	if s.ended() {
		if now > s.seen+a.times.tombstone {
			a.forget(id)
		}
		return
	}
	f := &fact{Event: &Event{Node: a.nodeNames.Load().of(s.node).name}, now: now, t: now}
	switch l, _ := a.m.judge(&s, now, a.times); l {
	case lifeDead:
		f.t = a.m.node(s.node).restart
		a.end(id, f, endRestart)
		a.counters.add(countSwept, 1)
	case lifeGone:
		a.end(id, f, endLease)
		a.counters.add(countReleasedLease, 1)
		a.note(f, "lease", &s)
	case lifeExpired:
		for _, k := range a.keys(id) {
			if a.contested(id, k, now) {
				a.drop(id, k, f, endLease) // T5: against a live claim it holds nothing
			}
		}
	default:
		if epoch := a.m.node(s.node).epoch & epochMask; s.epoch != epoch {
			a.update(id, func(s *session) { s.epoch = epoch }) // it started after the restart
			a.dirty(id)
		}
	}
}

// contested reports whether a session that is not expired claims the address
// too.
func (a *arbiter) contested(id uint32, k index.Key, now int64) bool {
	h, _ := a.m.holding(k)
	if !h.shared {
		return false
	}
	for c := h.claim; c != 0; {
		cl := a.m.claim(c)
		c = cl.nextOfAddress
		s := a.m.session(cl.session)
		if l, _ := a.m.judge(&s, now, a.times); cl.session != id && l < lifeExpired {
			return true
		}
	}
	return false
}

// sweepAddress returns how many changes of state it published.
func (a *arbiter) sweepAddress(pos uint32, now int64) int {
	k, v, _, ok := a.m.addrs.At(pos)
	if !ok {
		return 0
	}
	h := unpackHolding(v)
	if h.deadline == 0 || now <= int64(h.deadline)*1000 || h.state == holdConflict {
		return a.tellState(k, &h, now)
	}
	f := &fact{Event: &Event{}, now: now, t: now, why: endLinger.why}
	if h.state == holdBlocked {
		a.m.addrs.Delete(k)
		a.saveBlock(k, &h, true)
		return 0
	}
	o := a.open(k)
	left := uint32(0)
	for _, c := range o.claims {
		if s := a.m.session(c.session); a.m.node(s.node).source == SourceFeed {
			left = h.deadline // its site has the last word: until it says so nothing is over, nor certain
			continue
		}
		o.remove(c.session)
		a.dirty(c.session)
	}
	a.settle(&o, f, left)
	a.counters.add(countReleasedLinger, 1)
	return 0
}

// note adds an entry that no event caused to the trace.
func (a *arbiter) note(f *fact, kind string, s *session) {
	a.batch.trace = append(a.batch.trace, TraceEntry{
		At: millis(f.now), Time: millis(f.t), Kind: kind, Source: a.m.node(s.node).source,
		Node: a.nodeNames.Load().of(s.node).name, Outcome: string(Applied),
	})
}
