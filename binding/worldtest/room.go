package worldtest

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
