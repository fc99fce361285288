package worldtest

import (
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
)

// A judge knows what the delivered words say, and nothing else: that a word was
// lost forbids nothing.
type judge struct {
	w      *world
	claims []claimHeard
	legs   []legHeard
	voices []voiceHeard
	sims   []simHeard
	freed  []release // by operators
}

// claimHeard is what was delivered of one claim. All times are true ones.
type claimHeard struct {
	hold   tick          // latest word that says it is held
	said   tick          // latest word that says it is, or was until then
	gone   tick          // latest word that names it as given up
	absent [maxLegs]tick // latest complete list without it, by the leg that told it
	freed  tick          // latest release of something of it
	legs   uint8         // that named it
}

const maxLegs = 4

// legHeard is what was delivered of a session as one source tells of it.
type legHeard struct {
	n        int
	alive    tick    // latest word that it goes on
	last     tick    // latest word
	held     tick    // latest word that names what it holds
	heard    [2]tick // our time of the last but one word, and of the last
	first    tick    // our time of the first word
	ended    tick
	over     tick // our time of the latest word that it ended
	started  bool // its Start was delivered
	attached bool // and named the SIM
	partly   bool // one of its contexts ended, or it did
	aged     bool
	imsi     bool
	number   binding.MSISDN
	numberAt tick
}

type voiceHeard struct {
	restart tick   // latest one that was told
	lowest  uint32 // Origin-State-Id
}

// simHeard has the numbers that were told for a SIM and when each was last.
type simHeard struct {
	numbers []binding.MSISDN
	at      []tick
	named   tick           // latest word that had the IMSI beside a number
	listed  binding.MSISDN // latest number that a directory said
	list    tick           // when
}

// A release is an operator's word.
type release struct {
	plot *plot
	addr netip.Addr
	port uint16
	at   tick
}

func (j *judge) reset(w *world) {
	j.w = w
	j.claims, j.legs, j.voices = j.claims[:0], j.legs[:0], j.voices[:0]
	j.sims, j.freed = j.sims[:0], j.freed[:0]
}

func (j *judge) claim(c *claim) *claimHeard {
	for len(j.claims) <= c.id {
		h := claimHeard{hold: never, said: never, gone: never, freed: never}
		for i := range h.absent {
			h.absent[i] = never
		}
		j.claims = append(j.claims, h)
	}
	return &j.claims[c.id]
}

func (j *judge) leg(l *leg) *legHeard {
	for len(j.legs) <= l.id {
		j.legs = append(j.legs, legHeard{
			alive: never, last: never, held: never, heard: [2]tick{never, never}, first: never, ended: never, over: never,
			numberAt: never,
		})
	}
	return &j.legs[l.id]
}

func (j *judge) voice(v *voice) *voiceHeard {
	for len(j.voices) <= v.id {
		j.voices = append(j.voices, voiceHeard{restart: never})
	}
	return &j.voices[v.id]
}

func (j *judge) sim(s *sim) *simHeard {
	for len(j.sims) <= s.id {
		j.sims = append(j.sims, simHeard{named: never, list: never})
	}
	return &j.sims[s.id]
}

// deliver takes a word that the subject is about to hear.
func (j *judge) deliver(word *Word, now tick) {
	if word.voice != nil {
		j.deliverState(word)
	}
	if word.sim != nil && word.MSISDN != 0 {
		j.sim(word.sim).tell(word)
	}
	if word.leg == nil {
		return
	}
	l := j.leg(word.leg)
	if l.n++; l.n == 1 {
		l.first = now
	}
	l.last = max(l.last, word.at)
	l.heard[0], l.heard[1] = l.heard[1], now
	l.aged = l.aged || word.Aged
	l.imsi = l.imsi || word.IMSI != 0
	if word.MSISDN != 0 && word.at > l.numberAt {
		l.number, l.numberAt = word.MSISDN, word.at
	}
	if word.living() {
		l.alive = max(l.alive, word.at)
		if len(word.Addrs) > 0 {
			l.held = max(l.held, word.at)
		}
	}
	if word.Kind == binding.SessionStart {
		l.started = true
		l.attached = l.attached || word.IMSI != 0
	}
	switch {
	case word.ends():
		l.ended, l.over = max(l.ended, word.at), now
	case word.Kind == binding.SessionStop:
		l.partly = true
	}
	j.deliverAddresses(word)
}

// deliverState takes what a word says of its node.
func (j *judge) deliverState(word *Word) {
	v := j.voice(word.voice)
	if word.Kind == binding.NodeRestart {
		v.restart = max(v.restart, word.restart)
	}
	state := max(word.OriginState, word.State)
	if state == 0 {
		return
	}
	if v.lowest != 0 && v.lowest < state {
		v.restart = max(v.restart, word.restart)
	}
	if v.lowest == 0 || state < v.lowest {
		v.lowest = state
	}
}

func (j *judge) deliverAddresses(word *Word) {
	var families uint8
	for _, a := range word.Addrs {
		families |= family(a)
	}
	for _, c := range word.leg.stay.claims {
		h := j.claim(c)
		switch {
		case slices.Contains(word.Addrs, c.addr) && c.from <= word.at && word.at <= c.to:
			h.legs |= 1 << word.leg.index
			h.said = max(h.said, word.at)
			if word.living() {
				h.hold = max(h.hold, word.at)
			}
		case slices.Contains(word.Gone, c.addr) && c.to <= word.at:
			h.gone = max(h.gone, word.at)
		case word.Complete && families&family(c.addr) != 0:
			h.absent[word.leg.index] = max(h.absent[word.leg.index], word.at)
		}
	}
}

func (s *simHeard) tell(w *Word) {
	if w.IMSI != 0 {
		s.named = max(s.named, w.at)
	}
	if w.Kind == binding.NumberKnown && w.at > s.list {
		s.listed, s.list = w.MSISDN, w.at
	}
	if i := slices.Index(s.numbers, w.MSISDN); i >= 0 {
		s.at[i] = max(s.at[i], w.at)
		return
	}
	s.numbers, s.at = append(s.numbers, w.MSISDN), append(s.at, w.at)
}

// release takes an operator's word.
func (j *judge) release(p *plot, addr netip.Addr, port uint16, now tick) {
	j.freed = append(j.freed, release{plot: p, addr: addr, port: port, at: now})
	for _, c := range p.claims {
		if covers(c.addr, addr, port) {
			h := j.claim(c)
			h.freed = max(h.freed, now)
		}
	}
}

// A standing says whether a claim may be believed by what was delivered.
type standing uint8

const (
	closed standing = iota // a delivered word forbids it, or none says it
	murky                  // one may forbid it, which nothing delivered decides
	open
)

// A ground is why a claim stands as it does.
type ground struct {
	why   string
	at    tick
	by    *claim
	voice *voice // that said so
}

// standing judges a claim for a question.
func (j *judge) standing(c *claim, addr netip.Addr, port uint16) (standing, ground) {
	h := j.claim(c)
	if h.hold == never {
		return closed, ground{why: "no word says that it holds it", at: never}
	}
	if c.stay.liar {
		return open, ground{}
	}
	st, why := j.session(c, h)
	if st == closed {
		return st, why
	}
	if h.gone > h.hold {
		return closed, ground{why: "gave it up", at: h.gone}
	}
	for _, other := range c.plot.claims {
		if other.stay.sim == c.stay.sim || other.stay.liar || !overlap(other.addr, c.addr) {
			continue
		}
		said := j.claim(other).said
		if said <= h.hold {
			continue
		}
		if j.distinct(c, other) {
			return closed, ground{why: "was another SIM's later", at: said, by: other}
		}
		st, why = murky, ground{why: "was somebody's later who was not named", at: said, by: other}
	}
	if h.freed > h.hold {
		return j.released(c, h, addr, port, st)
	}
	return st, why
}

// session judges whether the session of a claim was ended.
func (j *judge) session(c *claim, h *claimHeard) (standing, ground) {
	st, why := open, ground{}
	for _, o := range c.stay.sim.stays {
		if o != c.stay && o.gw == c.stay.gw && o.domain == c.stay.domain && o.begin > h.hold && j.heardOf(o) {
			st, why = murky, ground{why: "its SIM attached anew, perhaps beside it", at: o.begin}
		}
	}
	for i, l := range c.stay.legs {
		named := h.legs>>i&1 == 1
		lh := j.leg(l)
		if lh.ended > h.hold {
			if named || j.linked(c, l) {
				return closed, ground{why: "its session ended", at: lh.ended, voice: l.voice}
			}
			st, why = murky, ground{why: "its session ended, which nothing links", at: lh.ended}
		}
		if !named {
			continue
		}
		if r := j.voice(l.voice).restart; r > h.hold && c.stay.begin < r {
			if j.spoke(c) < r {
				return closed, ground{why: "its node restarted", at: r, voice: l.voice}
			}
			st, why = murky, ground{why: "a node restarted, and its session spoke since", at: r, voice: l.voice}
		}
		if h.absent[i] > h.hold {
			return closed, ground{why: "a complete list is without it", at: h.absent[i]}
		}
		for n := l.next; n != nil; n = n.next {
			nh := j.leg(n)
			if nh.started || nh.imsi && lh.imsi && n.stay.sim != c.stay.sim {
				return closed, ground{why: "its session's id was used again", at: n.stay.begin}
			}
		}
		for n := c.stay.replaced; n != nil && lh.imsi; n = n.replaced {
			if j.leg(n.legs[i]).attached {
				return closed, ground{why: "its SIM attached anew", at: n.begin}
			}
		}
	}
	return st, why
}

// heardOf reports whether any word of a stay was delivered.
func (j *judge) heardOf(s *stay) bool {
	for _, l := range s.legs {
		if j.leg(l).n > 0 {
			return true
		}
	}
	return false
}

// released judges a claim of which an operator released something.
func (j *judge) released(c *claim, h *claimHeard, addr netip.Addr, port uint16, st standing) (standing, ground) {
	if j.spoke(c) > h.freed {
		return murky, ground{why: "released, and its session spoke without addresses since", at: h.freed}
	}
	if c.addr.Prefix.IsSingleIP() && whole(c.addr) {
		return closed, ground{why: "released by an operator", at: h.freed}
	}
	for _, f := range j.freed {
		if f.plot == c.plot && f.at > h.hold && f.addr == addr && f.port == port {
			return closed, ground{why: "released by an operator", at: f.at}
		}
	}
	return min(st, murky), ground{why: "another part of it was released", at: h.freed}
}

// spoke is when a session that claims last said that it goes on, if only that.
func (j *judge) spoke(c *claim) tick {
	mask, at := j.claim(c).legs, never
	for i, l := range c.stay.legs {
		if mask>>i&1 == 1 {
			at = max(at, j.leg(l).alive)
		}
	}
	return at
}

// told reports whether the number of a stay was told by its own words, or by a
// directory while it lasted: a subject that had no use for what a directory said
// need not have kept it.
func (j *judge) told(s *stay) bool {
	for _, l := range s.legs {
		if j.leg(l).numberAt != never {
			return true
		}
	}
	return j.sim(s.sim).list > s.begin
}

// linked reports whether what a leg says can be known to be of the session
// that claims, though it named another address or none.
func (j *judge) linked(c *claim, l *leg) bool {
	lh, mask := j.leg(l), j.claim(c).legs
	for i, other := range c.stay.legs {
		if mask>>i&1 == 0 {
			continue
		}
		oh := j.leg(other)
		if lh.imsi && oh.imsi || lh.numberAt != never && oh.numberAt != never && lh.number == oh.number {
			return true
		}
	}
	return false
}

// distinct reports whether the words about two claims show that they are two
// SIMs'.
func (j *judge) distinct(c, other *claim) bool {
	imsi, number := j.identified(c)
	otherIMSI, otherNumber := j.identified(other)
	return imsi && otherIMSI || number && otherNumber
}

func (j *judge) identified(c *claim) (imsi, number bool) {
	mask := j.claim(c).legs
	for i, l := range c.stay.legs {
		if mask>>i&1 == 1 {
			lh := j.leg(l)
			imsi, number = imsi || lh.imsi, number || lh.numberAt != never
		}
	}
	return imsi, number
}
