package binding

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding/index"
)

// A sighting is what a reader saw of one address at one moment.
type sighting struct {
	key     index.Key
	h       holding
	owner   session
	who     Subscriber // of the owner; only if asked for
	seen    int64
	sources SourceSet
	verdict Verdict // Match means: certain
	reason  Reason
}

// Verify answers whether n is the number of the SIM behind q at this moment.
// Any goroutine may call it; it takes no lock, allocates nothing and never
// waits for the writer.
func (r *Registry) Verify(q Query, n Number) Answer {
	var v sighting
	now := r.cfg.Now().UnixMilli()
	r.see(q, now, false, &v)
	answer := v.answer(now)
	if answer.Verdict == Match && !n.Is(v.h.msisdn) {
		answer.Verdict, answer.Reason = Mismatch, ReasonOtherNumber
	}
	return answer
}

// Lookup tells what is known about an address. The verdict of the answer is
// Match if the binding is certain; the binding is zero if nobody is known to
// hold the address.
func (r *Registry) Lookup(q Query) (Binding, Answer) {
	var v sighting
	now := r.cfg.Now().UnixMilli()
	r.see(q, now, true, &v)
	answer := v.answer(now)
	if v.h.state == 0 || v.verdict == Unknown && v.reason != ReasonNoMSISDN {
		return Binding{}, answer
	}
	return r.binding(&v), answer
}

func (v *sighting) answer(now int64) Answer {
	a := Answer{Verdict: v.verdict, Reason: v.reason}
	if v.h.state != 0 {
		a.Version = v.h.version
	}
	if v.seen != 0 {
		a.Age = time.Duration(max(now-v.seen, 0)) * time.Millisecond
	}
	return a
}

// see finds the address in the domain that q names, or in the only one that
// can have it.
func (r *Registry) see(q Query, now int64, full bool, v *sighting) {
	set := r.domains.Load()
	if set == nil {
		v.verdict, v.reason = Unknown, ReasonWarming
		return
	}
	single := netip.PrefixFrom(q.Addr, q.Addr.BitLen())
	if q.Domain != "" {
		i, ok := set.byName[q.Domain]
		if !ok {
			v.verdict, v.reason = Unknown, ReasonNoDomain
			return
		}
		r.seeIn(&set.list[i], q, now, full, v)
		if v.h.state == 0 && !set.list[i].has(single) {
			v.verdict, v.reason = Unknown, ReasonOutOfPool
		}
		return
	}
	candidates, found := 0, 0
	for i := range set.list {
		if !set.list[i].has(single) {
			continue
		}
		candidates++
		var in sighting
		r.seeIn(&set.list[i], q, now, full, &in)
		if candidates == 1 || in.h.state != 0 {
			*v = in
		}
		if in.h.state != 0 {
			found++
		}
	}
	switch {
	case candidates == 0:
		v.verdict, v.reason = Unknown, ReasonOutOfPool
	case candidates > 1 && found > 0:
		*v = sighting{verdict: Ambiguous, reason: ReasonDomainNeeded}
	}
}

// seeIn reads an address record and what it leads to until both are of one
// moment.
func (r *Registry) seeIn(d *domain, q Query, now int64, full bool, v *sighting) {
	class, hi, lo, bits := uint8(class6), uint64(0), uint64(0), uint8(128)
	if q.Addr.Is4() {
		class, bits, hi = class4, 32, word32(q.Addr)
		if q.Port != 0 {
			bits, hi = 48, hi|uint64(q.Port)<<16
		}
	} else {
		hi, lo = words128(q.Addr)
	}
	for {
		key, value, ref, ok := r.m.addrs.Longest(d.id, class, hi, lo, bits)
		if !ok {
			*v = sighting{verdict: Unknown, reason: ReasonNoBinding}
			if r.warming.Load() {
				v.reason = ReasonWarming
			}
			return
		}
		*v = sighting{key: key, h: unpackHolding(value)}
		r.m.appraise(v, now, r.times, r.warming.Load(), full)
		if r.m.addrs.Valid(ref) {
			return
		}
	}
}

// appraise gives the verdict on a holding: the reading half of T5 to T9, T12
// and T14.
func (m *memory) appraise(v *sighting, now int64, t *times, warming, full bool) {
	h := &v.h
	if h.state == holdBlocked {
		v.verdict, v.reason = Unknown, ReasonCapacity
		return
	}
	ended, best, alive := false, lifeDead, false
	reason, named, told := ReasonEnded, false, ReasonBound
	m.eachClaimant(h, func(id uint32) {
		s := m.session(id)
		l, why := m.judge(&s, now, t)
		if id == h.owner {
			v.owner = s
		}
		// Once somebody names the subscriber, only such claims keep that fresh: a
		// session without identity may be the next subscriber's.
		switch names := s.sub != 0; {
		case names && !named, names == named && l < best:
			best, reason, named = l, why, names
		}
		ended = ended || l == lifeDead
		if l <= lifeExpired {
			alive = true
			told = worse(told, &s)
			v.seen = max(v.seen, s.seen)
			v.sources = v.sources.Add(m.node(s.node).source)
		}
	})
	if alive && best > lifeExpired {
		best = lifeExpired // somebody is there, and does not say who
	}
	if full && h.owner != 0 {
		v.who = m.identity(&v.owner)
	}
	v.verdict, v.reason = m.verdictOn(h, v.key, now, warming, best, ended, reason, told)
	if v.verdict == Match && m.overlapped(v, now, t) {
		v.verdict, v.reason = Ambiguous, ReasonConflict
	}
}

func (m *memory) verdictOn(h *holding, k index.Key, now int64, warming bool, best life, ended bool, reason, told Reason) (Verdict, Reason) {
	deadline := int64(h.deadline) * 1000
	switch {
	case best == lifeDead || best == lifeGone || h.state == holdBound && deadline != 0 && now > deadline:
		return Unknown, ReasonEnded
	case warming && (h.shared || mayHideLonger(k)):
		return Unknown, ReasonWarming // T12: rows to come may disagree
	case h.state == holdConflict:
		return Ambiguous, ReasonConflict
	case ended || deadline != 0:
		return Ambiguous, ReasonEnding // T6
	case best != lifeFresh:
		return reason.Verdict(), reason
	case told != ReasonBound:
		return Ambiguous, told // T5, T6: whoever else names a SIM does not settle what a site leaves open
	case h.msisdn == 0:
		return Unknown, ReasonNoMSISDN
	}
	return Match, ReasonBound
}

// mayHideLonger reports a prefix short enough for another session's address to
// lie in it.
func mayHideLonger(k index.Key) bool {
	bits := k.Meta & 0xFF
	return k.Meta>>8&0xFF == class4 && bits < 32 || k.Meta>>8&0xFF == class6 && bits < 64
}

// binding describes a sighting for people.
func (r *Registry) binding(v *sighting) Binding {
	b := Binding{
		Subscriber: v.who, Addr: addressOf(v.key), Domain: r.domains.Load().names[domainOf(v.key)],
		APN: r.apnName(v.owner.apn), RAT: v.owner.rat,
		Sources: v.sources, Reason: v.reason, Version: v.h.version,
		State: stateOf(v.verdict), Since: millis(v.h.since),
	}
	b.Node, b.Site = r.saidBy(&v.owner)
	b.MSISDN = v.h.msisdn
	if v.h.state == holdConflict {
		b.Subscriber = Subscriber{} // two say who it is: nobody knows
	}
	if v.seen != 0 {
		b.Seen = millis(v.seen)
	}
	if v.seen != 0 && b.Site == "" {
		b.Expires = millis(v.owner.seen + int64(v.owner.lease)*1000)
	}
	return b
}

// millis is the time of a count of milliseconds; zero stays zero.
func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (m *memory) loadTrust(s Source) int64 { return int64(atomic.LoadUint64(&m.trust[s])) }

func (m *memory) setTrust(s Source, floor int64) { atomic.StoreUint64(&m.trust[s], uint64(floor)) }
