package worldtest

import (
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
)

// A finding is what the judge says of an answer.
type finding uint8

const (
	fine finding = iota
	wrong
	denied
	undecided
	withheld
)

// A question is one, with the plots that it may be about.
type question struct {
	query  binding.Query
	number binding.MSISDN
	plots  []*plot // one per domain that may be meant
}

// judge judges the answer to a question.
func (j *judge) judge(q *question, a binding.Answer) finding {
	switch a.Verdict {
	case binding.Match:
		return j.match(q)
	case binding.Mismatch:
		return j.mismatch(q)
	}
	return fine
}

func (j *judge) match(q *question) finding {
	verdict := wrong
	for _, p := range q.plots {
		switch f := j.matchIn(p, q); {
		case f == fine && len(q.plots) == 1:
			return fine
		case f == fine, f == undecided:
			verdict = undecided
		case j.heldIn(p, q): // of two domains another SIM's
			return wrong
		}
	}
	return verdict
}

// matchIn judges a match in one domain.
func (j *judge) matchIn(p *plot, q *question) finding {
	addr, port := q.query.Addr, q.query.Port
	var held, lied, others, othersBlock, unnamed, merged bool
	for _, c := range p.claims {
		if !covers(c.addr, addr, port) || j.claim(c).said == never {
			continue
		}
		merged = merged || j.merged(c.stay)
		st, _ := j.standing(c, addr, port)
		if st == closed {
			continue
		}
		mine := j.accepts(c, q.number) != closed
		switch {
		case c.stay.liar:
			lied = lied || mine
		case mine:
			held = true
		case !j.known(c.stay) && slices.Contains(c.stay.sim.numbers, q.number):
			// It is the number's SIM that holds this too, and no word says so.
		case !j.known(c.stay) && j.alike(c, p, q):
			unnamed = true // what a liar told is a second account of it, for all that is known
		case st == open && port == 0 && !whole(c.addr):
			othersBlock = true
		case st == open:
			others = true
		}
	}
	switch {
	case !othersBlock && (held || lied && !others && !unnamed):
		return fine
	case merged, !othersBlock && lied && !others:
		return undecided
	}
	return wrong
}

// alike reports whether a liar told of the number on a claim's address by way of
// another source.
func (j *judge) alike(c *claim, p *plot, q *question) bool {
	for _, lie := range p.claims {
		if !lie.stay.liar || !covers(lie.addr, q.query.Addr, q.query.Port) || j.accepts(lie, q.number) == closed {
			continue
		}
		for _, l := range c.stay.legs {
			for _, m := range lie.stay.legs {
				if l.voice.source != m.voice.source {
					return true
				}
			}
		}
	}
	return false
}

// heldIn reports whether anybody surely holds what is asked for in one domain.
func (j *judge) heldIn(p *plot, q *question) bool {
	for _, c := range p.claims {
		if covers(c.addr, q.query.Addr, q.query.Port) && !c.stay.liar {
			if st, _ := j.standing(c, q.query.Addr, q.query.Port); st == open && !j.merged(c.stay) {
				return true
			}
		}
	}
	return false
}

func (j *judge) mismatch(q *question) finding {
	if len(q.plots) != 1 {
		return fine
	}
	s, ok := j.holder(q.plots[0], q.query.Addr, q.query.Port)
	if !ok {
		return fine
	}
	for _, c := range s.claims {
		if st, _ := j.standing(c, q.query.Addr, q.query.Port); st == open &&
			covers(c.addr, q.query.Addr, q.query.Port) && c.plot == q.plots[0] {
			if j.accepts(c, q.number) != open || !j.latest(s.sim, q.number) {
				return fine
			}
		}
	}
	return denied
}

// holder is the only SIM that holds an address by what was delivered: one stay
// of it; false if it is not certain.
func (j *judge) holder(p *plot, addr netip.Addr, port uint16) (*stay, bool) {
	var s *stay
	for _, c := range p.claims {
		if !covers(c.addr, addr, port) || c.stay.liar || j.claim(c).said == never {
			continue
		}
		if j.merged(c.stay) {
			return nil, false
		}
		st, _ := j.standing(c, addr, port)
		if st == closed {
			continue
		}
		if st == murky || port == 0 && !whole(c.addr) || s != nil && s.sim != c.stay.sim {
			return nil, false
		}
		s = c.stay
	}
	return s, s != nil
}

// accepts judges whether a number is that of a claim's SIM: open if it is the
// latest told of its session.
func (j *judge) accepts(c *claim, n binding.MSISDN) standing {
	mask := j.claim(c).legs
	at, latest := never, binding.MSISDN(0)
	for i, l := range c.stay.legs {
		lh := j.leg(l)
		switch {
		case lh.numberAt == never:
		case mask>>i&1 == 1 || j.linked(c, l):
			if lh.numberAt > at {
				at, latest = lh.numberAt, lh.number
			}
		}
	}
	if at != never && latest == n {
		return open
	}
	told := j.sim(c.stay.sim)
	if at == never {
		if imsi, _ := j.identified(c); imsi && told.listed == n && told.list == told.named {
			return open
		}
		if !j.known(c.stay) {
			return closed
		}
		at = told.named
	}
	for i, number := range told.numbers {
		if number == n && told.at[i] >= at {
			return murky // told of the SIM, not of this session
		}
	}
	return closed
}

// known reports whether any word about a stay named its SIM.
func (j *judge) known(s *stay) bool {
	for _, l := range s.legs {
		if h := j.leg(l); h.imsi || h.numberAt != never {
			return true
		}
	}
	return false
}

// latest reports whether no other number was told of the SIM later.
func (j *judge) latest(s *sim, n binding.MSISDN) bool {
	told, newest, at := j.sim(s), binding.MSISDN(0), never
	for i, t := range told.at {
		if t > at {
			newest, at = told.numbers[i], t
		}
	}
	return newest == n
}

// merged reports whether a session's id was another's before or after it, and
// nothing that was delivered tells the two apart.
func (j *judge) merged(s *stay) bool {
	for _, l := range s.legs {
		if l.prev == nil && l.next == nil || j.leg(l).n == 0 {
			continue
		}
		for p := l.prev; p != nil; p = p.prev {
			if j.leg(p).n > 0 {
				if !j.apart(p, l) {
					return true
				}
				break
			}
		}
		for n := l.next; n != nil; n = n.next {
			if j.leg(n).n > 0 {
				if !j.apart(l, n) {
					return true
				}
				break
			}
		}
	}
	return false
}

// apart reports whether the words about two sessions of one id show that they
// are two.
func (j *judge) apart(former, later *leg) bool {
	f, l := j.leg(former), j.leg(later)
	m := &later.voice.manner
	switch r := j.voice(later.voice).restart; {
	case f.over > l.first && former.stay.sim == later.stay.sim && !m.stamps && !m.delays && later.voice.source == binding.SourceRADIUS:
		return false // the former's end looks like the later's, as nothing tells when it was
	case f.ended != never, l.started:
		return true
	case f.imsi && l.imsi && former.stay.sim != later.stay.sim:
		return true
	case r > former.stay.begin && r <= later.stay.begin:
		return true
	}
	return l.aged && later.stay.begin > f.last+2*maxDelay
}
