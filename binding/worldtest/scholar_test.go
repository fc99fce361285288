package worldtest

import (
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
)

// A scholar is a subject that is told the truth about each word that it hears,
// and reasons about all of them anew for each answer. With a fault it is a
// mutant, which the judge must find.
type scholar struct {
	w      *world
	fault  fault
	heard  []heardWord
	frees  []release
	now    tick
	killed tick
}

type heardWord struct {
	*Word
	arrived tick
}

// A fault is what a mutant does wrong.
type fault uint32

const (
	saysFormer fault = 1 << iota // believes whoever was told last by arrival
	ignoresEnds
	ignoresRestarts
	ignoresSuccessors
	believesLiars
	ignoresReleases
	oldNumber
	ignoresPorts
	ignoresGone
	oneSource // an end counts for the source alone that tells it
	forgets   // ends and restarts that were heard before a kill
	ignoresReuse
	ignoresReattach
	ignoresDomains
	ignoresRanges // of two addresses only equal ones have anything in common
	ignoresOldSIM // a Stop says nothing of the address that it names
	inherits      // the number of the session that had the id before
	trustsStamps  // as if no clock were ever set, but to the millisecond
	dropsDoubles  // a restart of the octets of the one before is none
	deniesHolder
	silent
)

func newScholar(f fault) Factory {
	return func(Setup) Subject { return &scholar{fault: f, killed: never} }
}

func (s *scholar) witness(w *world) { s.w = w }
func (s *scholar) saw(f release)    { s.frees = append(s.frees, f) }

func (s *scholar) hearWord(word *Word) {
	same := func(h heardWord) bool { return h.Octets == word.Octets }
	if s.fault&dropsDoubles != 0 && word.Kind == binding.NodeRestart && slices.ContainsFunc(s.heard, same) {
		again := *word
		again.restart = never
		word = &again
	}
	s.heard = append(s.heard, heardWord{Word: word})
}

// when is the time of a word, as the subject takes it.
func (s *scholar) when(h *heardWord) tick {
	switch {
	case s.fault&saysFormer != 0:
		return h.arrived
	case s.fault&trustsStamps != 0 && !h.Stamp.IsZero():
		return h.voice.clock.reads(h.stamped, h.epoch) - h.voice.clock.offsets[0]
	}
	return h.at
}

func (s *scholar) Hear(ev binding.Event) {
	s.now = tick(ev.Arrived.Sub(genesis) / time.Millisecond)
	s.heard[len(s.heard)-1].arrived = s.now
}
func (s *scholar) Advance(now time.Time) { s.now = tick(now.Sub(genesis) / time.Millisecond) }
func (s *scholar) Kill(gap time.Duration) {
	s.now += tick(gap / time.Millisecond)
	if s.fault&forgets != 0 {
		s.heard = slices.DeleteFunc(s.heard, func(h heardWord) bool { return !h.living() })
	}
}
func (s *scholar) Release(binding.Query) {}

func (s *scholar) Verify(q binding.Query, n binding.Number) binding.Answer {
	var yes, no, liarYes, doubt bool
	for _, c := range s.w.claims {
		if q.Domain != "" && c.plot.domain.name != q.Domain && s.fault&ignoresDomains == 0 ||
			!covers(c.addr, q.Addr, q.Port) {
			continue
		}
		if q.Port == 0 && !whole(c.addr) && s.fault&ignoresPorts == 0 {
			doubt = doubt || s.holds(c, q)
			continue
		}
		if !s.holds(c, q) {
			continue
		}
		number := s.number(c.stay)
		if l := c.stay.legs[0]; s.fault&inherits != 0 && number == 0 && l.prev != nil {
			number = s.number(l.prev.stay)
		}
		switch {
		case c.stay.liar:
			liarYes = liarYes || n.Is(number)
		case number == 0:
		case n.Is(number):
			yes = true
		default:
			no = true
		}
	}
	if s.fault&deniesHolder != 0 {
		yes, no = no && !yes, yes
	}
	if s.fault&believesLiars != 0 && liarYes {
		yes = true
	}
	switch {
	case s.fault&silent != 0, doubt && s.fault == 0, yes && no && s.fault == 0:
		return binding.Answer{Verdict: binding.Ambiguous, Reason: binding.ReasonConflict}
	case yes:
		return binding.Answer{Verdict: binding.Match}
	case no:
		return binding.Answer{Verdict: binding.Mismatch, Reason: binding.ReasonOtherNumber}
	}
	return binding.Answer{Reason: binding.ReasonNoBinding}
}

// number is the latest told of a stay.
func (s *scholar) number(st *stay) binding.MSISDN {
	at, n := never, binding.MSISDN(0)
	for _, h := range s.heard {
		if h.MSISDN == 0 || h.leg == nil || h.leg.stay != st {
			continue
		}
		if h.at > at || s.fault&oldNumber != 0 && n == 0 {
			if s.fault&oldNumber != 0 && n != 0 {
				continue
			}
			at, n = h.at, h.MSISDN
		}
	}
	named := slices.ContainsFunc(s.heard, func(h heardWord) bool {
		return h.IMSI != 0 && h.leg != nil && h.leg.stay == st
	})
	if n != 0 || !named {
		return n
	}
	for _, h := range s.heard {
		if h.IMSI != 0 && h.MSISDN != 0 && h.sim == st.sim && h.at > at {
			at, n = h.at, h.MSISDN
		}
	}
	return n
}

// holds reports whether a claim's latest word is contradicted by none. It does
// not care whether a subject could know what is hidden, so it may doubt too
// much, but not where a line is quiet.
func (s *scholar) holds(c *claim, q binding.Query) bool {
	hold := never
	for _, h := range s.heard {
		if h.leg != nil && h.leg.stay == c.stay && h.living() && slices.Contains(h.Addrs, c.addr) &&
			c.from <= h.at && h.at <= c.to {
			hold = max(hold, s.when(&h))
		}
	}
	if hold == never {
		return false
	}
	for _, h := range s.heard {
		if s.when(&h) > hold && s.forbids(&h, c) {
			return false
		}
		if h.restart > hold && h.voice != nil && h.voice.gw == c.stay.gw && c.stay.begin < h.restart &&
			s.fault&ignoresRestarts == 0 && !c.stay.liar {
			return false
		}
	}
	for _, f := range s.frees {
		if f.plot == c.plot && f.at > hold && covers(c.addr, f.addr, f.port) && s.fault&ignoresReleases == 0 {
			return false
		}
	}
	return true
}

// forbids reports whether a word that is later than the claim's speaks against
// it.
func (s *scholar) forbids(h *heardWord, c *claim) bool {
	if h.leg == nil || c.stay.liar || h.leg.stay.liar {
		return false
	}
	if h.leg.stay == c.stay {
		ended := h.ends() && s.fault&ignoresEnds == 0
		if s.fault&oneSource != 0 && h.leg.index > 0 {
			ended = false
		}
		gone := h.at >= c.to && s.fault&ignoresGone == 0
		return ended || gone && !h.ends()
	}
	for l := range slices.Values(c.stay.legs) {
		for n := l.next; n != nil && s.fault&ignoresReuse == 0; n = n.next {
			if h.leg == n {
				return true
			}
		}
	}
	if h.leg.stay.sim == c.stay.sim {
		return s.fault&ignoresReattach == 0 && c.stay.replaced != nil && h.leg.stay.begin >= c.stay.end &&
			h.leg.stay.gw == c.stay.gw
	}
	if s.fault&ignoresSuccessors != 0 || s.fault&ignoresOldSIM != 0 && h.ends() {
		return false
	}
	return slices.ContainsFunc(h.Addrs, func(a binding.Address) bool {
		if s.fault&ignoresRanges != 0 && a != c.addr {
			return false
		}
		return overlap(a, c.addr) && h.leg.stay.domain == c.stay.domain
	})
}
