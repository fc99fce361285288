package table

import (
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/index"
)

// A Reader answers which SIM holds an address. Any number of goroutines may
// ask; none of its methods locks, allocates (but for the lists that it returns)
// or waits for the writer.
type Reader struct {
	m     *Memory
	times *Times
	now   func() time.Time
}

// NewReader makes a Reader of a Memory.
func NewReader(m *Memory, t *Times, now func() time.Time) *Reader { return &Reader{m, t, now} }

// A sighting is what a reader saw of one address at one moment.
type sighting struct {
	key     index.Key
	h       Holding
	owner   Session
	who     binding.Subscriber // of the owner; only if asked for
	seen    int64
	sources binding.SourceSet
	verdict binding.Verdict // Match means: certain
	reason  binding.Reason
	lapsed  bool // nobody who holds it counts against others any more
}

// Verify answers whether n is the number of the SIM behind q at this moment.
func (r *Reader) Verify(q binding.Query, n binding.Number) binding.Answer {
	var v sighting
	now := r.now().UnixMilli()
	r.see(q, now, false, &v)
	answer := v.answer(now)
	if answer.Verdict == binding.Match && !n.Is(v.h.MSISDN) {
		answer.Verdict, answer.Reason = binding.Mismatch, binding.ReasonOtherNumber
	}
	return answer
}

// Lookup tells what is known about an address. The verdict of the answer is
// Match if the binding is certain; the binding is zero if nobody is known to
// hold the address.
func (r *Reader) Lookup(q binding.Query) (binding.Binding, binding.Answer) {
	var v sighting
	now := r.now().UnixMilli()
	r.see(q, now, true, &v)
	answer := v.answer(now)
	if v.h.State == None || v.verdict == binding.Unknown && v.reason != binding.ReasonNoMSISDN {
		return binding.Binding{}, answer
	}
	return r.binding(&v), answer
}

// At finds the record that decides about q, for an operator who acts on it.
func (r *Reader) At(q binding.Query) (k index.Key, who binding.Subscriber, held bool) {
	var v sighting
	r.see(q, r.now().UnixMilli(), true, &v)
	return v.key, v.who, v.h.State != None
}

func (v *sighting) answer(now int64) binding.Answer {
	a := binding.Answer{Verdict: v.verdict, Reason: v.reason}
	if v.h.State != None {
		a.Version = v.h.Version
	}
	if v.seen != 0 {
		a.Age = time.Duration(max(now-v.seen, 0)) * time.Millisecond
	}
	return a
}

// see finds the address in the domain that q names, or in the only one that
// can have it.
func (r *Reader) see(q binding.Query, now int64, full bool, v *sighting) {
	set := r.m.Domains.Load()
	if set == nil {
		v.verdict, v.reason = binding.Unknown, binding.ReasonWarming
		return
	}
	single := netip.PrefixFrom(q.Addr, q.Addr.BitLen())
	if q.Domain != "" {
		d := set.Named(q.Domain)
		if d == nil {
			v.verdict, v.reason = binding.Unknown, binding.ReasonNoDomain
			return
		}
		if !d.Has(single) { // who held it before the pools changed does not
			v.verdict, v.reason = binding.Unknown, binding.ReasonOutOfPool
			return
		}
		r.seeIn(d, q, now, full, v)
		return
	}
	candidates, found := 0, 0
	for i := range set.List {
		if !set.List[i].Has(single) {
			continue
		}
		candidates++
		var in sighting
		r.seeIn(&set.List[i], q, now, full, &in)
		if candidates == 1 || in.h.State != None {
			*v = in
		}
		if in.h.State != None {
			found++
		}
	}
	switch {
	case candidates == 0:
		v.verdict, v.reason = binding.Unknown, binding.ReasonOutOfPool
	case candidates > 1 && found > 0:
		*v = sighting{verdict: binding.Ambiguous, reason: binding.ReasonDomainNeeded}
	}
}

// seeIn reads the record of the longest address that somebody holds, and what
// it leads to, until both are of one moment.
func (r *Reader) seeIn(d *Domain, q binding.Query, now int64, full bool, v *sighting) {
	class, hi, lo, bits := uint8(Class6), uint64(0), uint64(0), uint8(128)
	if q.Addr.Is4() {
		class, bits, hi = Class4, 32, word32(q.Addr)
		if q.Port != 0 {
			bits, hi = 48, hi|uint64(q.Port)<<16
		}
	} else {
		hi, lo = words128(q.Addr)
	}
	if r.m.Warming.Load() { // T12: rows to come may disagree, and what our absence means is not known yet
		*v = sighting{verdict: binding.Unknown, reason: binding.ReasonWarming}
		return
	}
	limit, nobody := bits, binding.ReasonNoBinding
	var lapsed sighting // of the longest; a wider one may be held
	for {
		key, value, ref, ok := r.m.Addrs.Longest(d.ID, class, hi, lo, limit)
		if !ok && lapsed.lapsed {
			*v = lapsed
			return
		}
		if !ok {
			*v = sighting{verdict: binding.Unknown, reason: nobody}
			if nobody == binding.ReasonNoBinding && r.m.refused(index.NewKey(d.ID, class, min(bits, LeafBits(class)), hi, lo), now, r.times.Lease/1000) {
				v.reason = binding.ReasonCapacity
			}
			return
		}
		h := UnpackHolding(value)
		if h.State == None {
			// Nobody holds it: a wider one may be held.
			if bits == 32 && h.Inner != 0 && key.Bits() == 32 {
				nobody = binding.ReasonPortNeeded
			}
			if limit = key.Bits() - 1; limit > 0 {
				continue
			}
			if *v = lapsed; !v.lapsed {
				*v = sighting{verdict: binding.Unknown, reason: nobody}
			}
			return
		}
		*v = sighting{key: key, h: h}
		r.m.appraise(v, now, r.times, full)
		switch {
		case !r.m.Addrs.Valid(ref):
			limit, lapsed = bits, sighting{} // it changed while we looked
		case v.lapsed && !lapsed.lapsed && key.Bits() > 1:
			lapsed, limit = *v, key.Bits()-1
		case v.lapsed && lapsed.lapsed:
			*v = lapsed
			return
		default:
			return
		}
	}
}

// appraise gives the verdict on an address that is held: the reading half of T5
// to T9, T12 and T14.
func (m *Memory) appraise(v *sighting, now int64, t *Times, full bool) {
	h := &v.h
	a := assembly{best: Over, reason: binding.ReasonEnded, told: binding.ReasonBound}
	for c := m.Claimants(h); c.Next(); {
		if c.ID == h.Owner {
			v.owner = c.Session
		}
		if !c.Session.Ended() {
			m.join(&a, h, &c, now, t)
		}
	}
	if a.alive && a.best > Expired {
		a.best = Expired // somebody is there, and does not say who
	}
	v.seen, v.sources = a.seen, a.sources
	if full && h.Owner != 0 {
		v.who = m.Identity(&v.owner)
	}
	v.verdict, v.reason = a.verdict(h, t)
	v.lapsed = a.best >= Expired
	if v.verdict == binding.Match {
		if why := m.overlapped(v, now, t); why != binding.ReasonBound {
			v.verdict, v.reason = why.Verdict(), why
		}
	}
}

// An assembly is what the living claims of an address come to.
type assembly struct {
	best     Life           // of those that name the subscriber, if any does
	reason   binding.Reason // of the best
	named    bool           // the best names the subscriber
	alive    bool
	multiple bool           // its number is several SIMs'
	told     binding.Reason // the worst doubt that stays whatever others say
	seen     int64
	sources  binding.SourceSet
}

// join takes one claim in.
func (m *Memory) join(a *assembly, h *Holding, c *Claimants, now int64, t *Times) {
	s := &c.Session
	l, why := m.Judge(s, now, t)
	if l == Over {
		return
	}
	if l < Expired && c.Given {
		l, why = Doubtful, binding.ReasonOrder
	}
	if l == Fresh && h.Shared {
		l, why = m.outlives(h, s, c.Hold, now, t)
	}
	if l == Fresh && s.HeldAt.Our <= m.Unswept() && m.leftElsewhere(s) {
		l, why = Doubtful, binding.ReasonEnding
	}
	// Once somebody names the subscriber, only such claims keep that fresh: a
	// session without identity may be the next subscriber's.
	switch names := s.Sub != 0; {
	case names && !a.named, names == a.named && l < a.best:
		a.best, a.reason, a.named = l, why, names
	}
	if l <= Expired {
		a.alive = true
		a.multiple = a.multiple || s.Flags&MultiSIM != 0
		a.told = worse(a.told, s, m.SourceOf(s.Node))
		a.seen = max(a.seen, s.Seen)
		a.sources = a.sources.Add(m.SourceOf(s.Node))
	}
}

// outlives is what those claims of a shared address mean for a fresh one that
// the restart of their node has ended, and the sweep not yet, or may have ended.
func (m *Memory) outlives(h *Holding, s *Session, held Hold, now int64, t *Times) (Life, binding.Reason) {
	for c := m.Claimants(h); c.Next(); {
		y := &c.Session
		if y.Ended() || y.Key == s.Key {
			continue
		}
		over, doubt := m.restarted(y)
		switch {
		case doubt != binding.ReasonBound:
			y.After, _ = m.RestartBy(m.Root(y.Node))
			y.Flags |= Ended
		case !over:
			continue
		}
		if effect, after, why := m.Against(s, held, y, c.Hold); effect == Doubts {
			if now-after.Our > t.Linger {
				why = binding.ReasonEnded
			}
			return Doubtful, why
		}
	}
	return Fresh, binding.ReasonBound
}

// leftMost bounds how many sessions of one number a reader looks at.
const leftMost = 64

// leftElsewhere reports that the SIM of a session had one at another source which
// the restart of its node has ended, and the sweep not yet: wherever that was.
func (m *Memory) leftElsewhere(x *Session) bool {
	left := func(y *Session) bool {
		end, over := m.EndOf(y)
		return over && !y.Untold() && m.SourceOf(x.Node) != m.SourceOf(y.Node) && m.SourceOf(y.Node) != binding.SourceFeed &&
			end.Our >= x.HeldAt.Our && m.OneSIM(x, y) && (x.APN == 0 || y.APN == 0 || x.APN == y.APN)
	}
	id := m.Subscriber(x.Sub).Head
	for n := 0; id != 0 && n < leftMost; n++ {
		y := m.Session(id)
		if y.Sub != x.Sub || left(&y) {
			return true // perhaps it changed while we looked
		}
		id = y.Next
	}
	if x.IMSI == 0 {
		return false
	}
	var few [leftMost]uint32
	for _, id := range m.SessionsOf(x.IMSI, few[:0]) {
		if y := m.Session(id); left(&y) {
			return true
		}
	}
	return false
}

// worse is the worse of a doubt and that of a claim, of those that stay whatever
// others say: that it cannot tell who, that the number may be a former one, or,
// of a followed site, that one of its own sources has ended it.
func worse(told binding.Reason, s *Session, source binding.Source) binding.Reason {
	switch {
	case s.Doubt == binding.ReasonConflict || told == binding.ReasonConflict:
		return binding.ReasonConflict
	case s.Doubt == binding.ReasonNumber || told == binding.ReasonNumber:
		return binding.ReasonNumber
	case source == binding.SourceFeed && (s.Doubt == binding.ReasonEnding || s.Doubt == binding.ReasonEnded):
		return binding.ReasonEnding
	}
	return told
}

func (a *assembly) verdict(h *Holding, t *Times) (binding.Verdict, binding.Reason) {
	switch {
	case h.State == Withdrawn && a.reason.Verdict() != binding.Match:
		return a.reason.Verdict(), a.reason
	case h.State == Withdrawn:
		return binding.Ambiguous, binding.ReasonOrder
	case a.best >= Gone:
		return binding.Unknown, binding.ReasonEnded
	case h.State == Conflict, h.Contested != 0:
		return binding.Ambiguous, binding.ReasonConflict
	case a.best != Fresh:
		return a.reason.Verdict(), a.reason
	case a.told != binding.ReasonBound:
		return binding.Ambiguous, a.told
	case h.MSISDN == 0:
		return binding.Unknown, binding.ReasonNoMSISDN
	case a.multiple && t.Ambiguous:
		return binding.Ambiguous, binding.ReasonMultiSIM
	case a.multiple:
		return binding.Match, binding.ReasonMultiSIM
	}
	return binding.Match, binding.ReasonBound
}

// overlapped is what sessions on wider addresses around the one in v mean for
// it, ReasonBound if nothing: rules T5, T6 and T11. Those on narrower ones have
// left their mark in its own record.
func (m *Memory) overlapped(v *sighting, now int64, t *Times) binding.Reason {
	key := v.key
	for key.Bits() > 1 {
		wide, value, ref, ok := m.Addrs.Longest(key.Domain(), key.Class(), key.Hi, key.Lo, key.Bits()-1)
		if !ok {
			break
		}
		h := UnpackHolding(value)
		why := m.surrounded(v, &h, now, t)
		if IsPart(v.key) && !IsPart(wide) && h.Contested != 0 && h.State == None {
			why = binding.ReasonConflict // which of its blocks are others' is not known yet
		}
		switch {
		case !m.Addrs.Valid(ref):
			continue // it changed while we looked
		case why != binding.ReasonBound:
			return why
		}
		key = wide
	}
	return binding.ReasonBound
}

// surrounded is what the sessions of a wider address mean for the owner in v.
func (m *Memory) surrounded(v *sighting, wide *Holding, now int64, t *Times) binding.Reason {
	x, held := &v.owner, Hold{}
	for c := m.AllClaimants(&v.h); c.Next(); {
		if c.Session.Key == x.Key {
			held = c.Hold
		}
	}
	for c := m.AllClaimants(wide); c.Next(); {
		y := &c.Session
		if y.Key == x.Key {
			continue
		}
		if l, _ := m.Judge(y, now, t); l == Expired || l == Gone {
			continue
		}
		switch effect, _, why := m.Against(x, held, y, c.Hold); effect {
		case Doubts:
			return why
		case Opposes, Ends:
			return binding.ReasonConflict
		}
	}
	return binding.ReasonBound
}

// Claimants goes through the sessions that claim an address.
type Claimants struct {
	ID      uint32
	Session Session
	Given   bool // it may have given the address up
	Hold         // as of the claim: what the session said of this very address
	m       *Memory
	claim   uint32
	left    int
	single  bool // the owner alone, still to be visited
}

// Claimants are those of a holding of which more than one can count; of others
// its owner alone. Ended ones may be among them.
func (m *Memory) Claimants(h *Holding) Claimants {
	if !h.Shared {
		return Claimants{m: m, ID: h.Owner, single: h.Owner != 0}
	}
	return m.AllClaimants(h)
}

// AllClaimants are all of a holding, ended ones too.
func (m *Memory) AllClaimants(h *Holding) Claimants {
	return Claimants{m: m, claim: h.Claim, left: MaxClaims}
}

// Next goes on to the next one; false if there is none.
func (c *Claimants) Next() bool {
	switch {
	case c.left > 0 && c.claim != 0:
		cl := c.m.Claim(c.claim)
		c.ID, c.claim, c.Given, c.Hold = cl.Session, cl.NextOfAddress, cl.Given, cl.Hold
		c.left--
	case c.single:
		c.single = false
	default:
		return false
	}
	c.Session = c.m.Session(c.ID)
	if c.By.Epoch|c.At.Epoch != 0 {
		c.Hold = c.m.HoldOf(&Claim{Hold: c.Hold}, c.Session.Node)
	}
	return true
}

// ToldOf is the reason that a change of the address states: that of the verdict,
// but for a number that is not known, which is no doubt about the SIM.
func (m *Memory) ToldOf(k index.Key, h *Holding, now int64, t *Times) binding.Reason {
	if h.State == None {
		return binding.ReasonEnded
	}
	v := sighting{key: k, h: *h}
	m.appraise(&v, now, t, false)
	if v.reason == binding.ReasonNoMSISDN {
		return binding.ReasonBound
	}
	return v.reason
}
