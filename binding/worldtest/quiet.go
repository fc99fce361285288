package worldtest

import "github.com/simbind/simbind/binding"

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
	afterBlind              // it is, but its node tells no time; what changed did so longer ago than its words may be late
	afterRefuse             // there was no room, and is again for two words
)

// silence counts an answer that is no match though nothing stands against it.
func (g *game) silence(q *question, a binding.Answer) {
	if len(q.plots) != 1 {
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
	}
}

// surely reports whether a stay truly has what is asked for, and the number was
// told of it.
func (g *game) surely(p *plot, s *stay, q *question) bool {
	for _, c := range s.claims {
		if c.plot == p && c.to == forever && covers(c.addr, q.query.Addr, q.query.Port) {
			st, _ := g.judge.standing(c, q.query.Addr, q.query.Port)
			return st == open && g.judge.accepts(c, q.number) == open
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
	if spoken < 2 {
		return restless
	}
	if g.world.p.Capacity < small {
		return g.room(s, kind)
	}
	return kind
}

// legCalm judges how well known a stay is to one source.
func (g *game) legCalm(l *leg, h *legHeard) calm {
	v, s := l.voice, l.stay
	if v.observed() && h.last < max(g.killed, g.gap) || v.manner.number && h.numberAt < s.changed {
		return restless
	}
	if !v.refreshes() {
		return quiet
	}
	kind, since := quiet, 3*second
	if v.clock != nil {
		if v.settled < 8 {
			return restless
		}
		if v.clock.disturbed() != never {
			if kind = afterStep; h.heard[0] <= v.settledAt {
				return restless
			}
		}
	}
	if v.blind() {
		kind, since = afterBlind, blindDelay+2*second
	}
	if h.n < 2 || h.held < s.changed+since {
		return restless
	}
	return kind
}

// quiet reports whether a line is perfect so far and carries nothing now.
func (v *voice) quiet() bool { return !v.dirty && v.pending == 0 }
