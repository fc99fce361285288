package worldtest

import "github.com/simbind/simbind/binding"

// note remembers that a line carried a word as it should, or did not.
func (v *voice) note(word *Word) {
	if word.at < v.lastHeard || word.Repeated {
		v.dirty = true
	}
	v.lastHeard = max(v.lastHeard, word.at)
	v.heard++
	if v.clock != nil && word.at >= v.clock.disturbed() {
		v.settled++
	}
}

// silence counts an answer that is no match though nothing stands against it.
func (g *game) silence(q *question, a binding.Answer) {
	if len(q.plots) != 1 {
		return
	}
	p := q.plots[0]
	s, ok := g.judge.holder(p, q.query.Addr, q.query.Port)
	if !ok || s.sim.number() != q.number || !s.lasts() || !g.certain(p, s) {
		return
	}
	g.report.Quiet++
	if a.Verdict != binding.Match {
		g.report.withhold(a)
	}
}

// certain reports whether a stay is known well enough that it must be matched.
func (g *game) certain(p *plot, s *stay) bool {
	now := g.world.now
	if p.liar || p.released || s.handedOver || g.killed > now-minute {
		return false
	}
	for _, v := range g.world.voices {
		if p.voices>>v.id&1 == 1 && !v.quiet() {
			return false
		}
	}
	spoken := 0
	for _, l := range s.legs {
		h := g.judge.leg(l)
		if !h.started || !l.voice.quiet() || l.voice.clock != nil && l.voice.settled < 8 {
			return false
		}
		if l.voice.observed() && h.last < g.killed || l.voice.refreshes() && h.n < 2 {
			return false
		}
		since := 3 * second
		if l.voice.blind() {
			since = blindDelay + 2*second
		}
		if l.voice.refreshes() && h.alive < s.changed+since {
			return false
		}
		spoken += h.n
	}
	return spoken >= 2
}

// quiet reports whether a line is perfect so far and carries nothing now.
func (v *voice) quiet() bool {
	return !v.dirty && v.pending == 0 && (v.clock == nil || v.clock.disturbed() == never)
}
