package worldtest

import (
	"github.com/simbind/simbind/binding"
)

// note remembers that a line carried a word as it should, or did not.
func (v *voice) note(word *Word, now tick) {
	if word.at < v.lastHeard || word.Repeated {
		v.dirty = true
	}
	v.lastHeard = max(v.lastHeard, word.at)
	v.heardAt = now
	if v.clock != nil && !word.Stamp.IsZero() && word.at >= v.clock.disturbed() {
		if v.settled++; v.settled == 8 {
			v.settledAt = now
		}
	}
}

// A calm says of what kind a question is whose holder must be matched.
type calm uint8

const (
	restless    calm = iota // nothing is demanded
	quiet                   // the line is perfect
	afterStep               // it is, but the clock was set a while ago
	afterBlind              // it is, but its node has no stamps; what changed did so longer ago than its words may be late
	afterRefuse             // there was no room, and is again for two words
)

// silence counts an answer that is no match though nothing stands against it. All
// domains have the same addresses, so a question must name one.
func (g *game) silence(q *question, a binding.Answer) {
	if len(q.plots) != 1 || q.query.Domain == "" && len(g.world.domains) > 1 {
		return
	}
	p := q.plots[0]
	s, ok := g.judge.holder(p, q.query.Addr, q.query.Port)
	if !ok || s.sim.number() != q.number || !s.lasts() || !g.surely(p, s, q) {
		return
	}
	r := g.report
	count := [...]*Tally{quiet: &r.Quiet, afterStep: &r.Stepped, afterBlind: &r.Blind, afterRefuse: &r.Room}
	if t := count[g.calm(p, s)]; t != nil {
		t.add(a)
		if a.Verdict != binding.Match && g.world.p.Strict {
			g.blame(q, withheld, a)
		}
	}
}

// surely reports whether a stay truly has what is asked for, and the number was
// told of it.
func (g *game) surely(p *plot, s *stay, q *question) bool {
	for _, c := range s.claims {
		if c.plot == p && c.to == forever && covers(c.addr, q.query.Addr, q.query.Port) {
			st, _ := g.judge.standing(c, q.query.Addr, q.query.Port)
			return st == open && g.judge.accepts(c, q.number) == open && g.judge.told(s)
		}
	}
	return false
}

// calm judges how well known a stay is.
func (g *game) calm(p *plot, s *stay) calm {
	now := g.world.now
	if p.liar || p.released+3*second > s.begin || s.handedOver || g.killed > now-minute {
		return restless
	}
	for _, v := range g.world.voices {
		if p.voices>>v.id&1 == 1 && !v.quiet() {
			return restless
		}
	}
	if !g.settled(s) {
		return restless
	}
	kind, spoken := quiet, 0
	for _, l := range s.legs {
		h := g.judge.leg(l)
		if !h.started || !l.voice.quiet() || now-l.voice.heardAt > maxDelay || now-h.heard[1] > maxDelay {
			return restless
		}
		if k := g.legCalm(l, h); k != quiet {
			if k == restless || kind != quiet && k != kind {
				return restless
			}
			kind = k
		}
		spoken += h.n
	}
	if spoken < 2 || g.judge.halved(s) {
		return restless
	}
	if g.world.p.Capacity < small {
		return g.room(s, kind)
	}
	return kind
}

// settled reports whether nothing that is said of a stay's SIM elsewhere can
// make a subject doubt its number, or whether the SIM is still there.
func (g *game) settled(s *stay) bool {
	w := g.world
	if s.sim.lied || w.p.Happens.Lie > 0 && s.sim == w.accomplice() {
		return false
	}
	for _, o := range s.sim.stays {
		if o == s || o.end < w.now-2*maxDelay {
			continue
		}
		for _, l := range o.legs {
			if !l.voice.quiet() {
				return false
			}
		}
		if o.domain != s.domain || o.begin < s.begin {
			continue
		}
		for _, l := range s.legs { // it attached once more since
			if !l.voice.refreshes() || g.judge.leg(l).held < o.begin+3*second+l.voice.limit() {
				return false
			}
		}
	}
	return true
}

// halved reports whether one source names a stay's number and another its IMSI,
// and none both: nothing says that the two are one SIM's.
func (j *judge) halved(s *stay) bool {
	var number, imsi bool
	for _, l := range s.legs {
		switch h := j.leg(l); {
		case h.imsi && h.numberAt != never:
			return false
		case h.imsi:
			imsi = true
		case h.numberAt != never:
			number = true
		}
	}
	return number && imsi
}

// legCalm judges how well known a stay is to one source.
func (g *game) legCalm(l *leg, h *legHeard) calm {
	v, s := l.voice, l.stay
	if h.partly || h.heard[1] < g.since(v) || v.manner.number && h.numberAt < s.changed {
		return restless
	}
	if !v.refreshes() {
		return quiet
	}
	kind, since := quiet, 3*second
	switch {
	case v.wire == nil && v.clock == nil: // it may be as late as it likes
		kind, since = afterBlind, v.limit()+2*second
	case v.clock == nil:
	case v.settled < 8:
		return restless
	case v.clock.disturbed() != never:
		if h.heard[0] <= v.settledAt {
			return restless
		}
		kind, since = afterStep, 3*second+v.clock.vague(g.world.now)
	}
	if h.n < 2 || h.held < s.changed+since {
		return restless
	}
	return kind
}

// since is when the subject began to hear a voice without a gap that it must
// think something happened in.
func (g *game) since(v *voice) tick {
	switch {
	case v.observed():
		return max(g.killed, g.gap)
	case g.away >= 10*second:
		return g.killed
	}
	return never
}

// vague is how much earlier than it seems a word may be of, because the clock
// was set by little and not long ago.
func (c *clock) vague(now tick) tick {
	var most tick
	for i, offset := range c.offsets {
		ended := now
		if i+1 < len(c.since) {
			ended = c.since[i+1]
		}
		by := max(offset-c.offsets[c.present], c.offsets[c.present]-offset)
		if ended > now-2*maxDelay && by < maxDelay {
			most = max(most, by)
		}
	}
	return most
}

// quiet reports whether a line is perfect so far and carries nothing now.
func (v *voice) quiet() bool { return !v.dirty && v.pending == 0 }

// small is a capacity that a world may exceed.
const small = 1000

// crowded counts the sessions that a subject may still have to remember, and
// notes since when there is room for a fifth more of them.
func (g *game) crowded() {
	if g.world.p.Capacity >= small {
		return
	}
	n := 0
	for _, s := range g.world.stays {
		if g.remembered(s) {
			n++
		}
	}
	if n > g.world.p.Capacity*4/5 {
		g.roomy = forever
	} else if g.roomy == forever {
		g.roomy = g.world.now
	}
}

// remembered reports whether a stay was told of and never said to be over.
func (g *game) remembered(s *stay) bool {
	for _, l := range s.legs {
		h := g.judge.leg(l)
		if h.n > 0 && h.ended == never && g.judge.voice(l.voice).restart <= s.begin {
			return true
		}
	}
	return false
}

// room judges a stay in a world of little room.
func (g *game) room(s *stay, kind calm) calm {
	if kind != quiet || g.roomy == forever {
		return restless
	}
	for _, l := range s.legs {
		if g.judge.leg(l).heard[0] <= g.roomy {
			return restless
		}
	}
	return afterRefuse
}
