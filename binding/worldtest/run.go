package worldtest

// Run plays histories of a profile to fresh subjects until they took so many
// turns together. The same arguments give the same histories. A wrong or denied
// answer ends its history, and the first one is made short.
func Run(p Profile, seed uint64, turns int, factory Factory) Report {
	r := Report{Profile: p.Name, Seed: seed}
	for history := uint64(0); r.Turns < turns; history++ {
		r.Histories++
		g := newGame(&p, seed, history, &r, factory)
		g.play(min(p.Turns, turns-r.Turns))
		if g.blamed == nil {
			continue
		}
		if g.finding == wrong {
			r.Wrong++
		} else {
			r.Denied++
		}
		if r.Failure == nil {
			r.Failure = g.shrink(factory)
			r.Failure.History = history
		}
	}
	return r
}
