package worldtest

import (
	"slices"

	"github.com/simbind/simbind/binding"
)

// patience bounds how often a history is tried again while it is made short.
const patience = 4000

// shrink leaves out of a history what its finding does not need.
func (g *game) shrink(factory Factory) *Failure {
	ops, tries := g.ops, patience
	fails := func(some []op) bool {
		tries--
		_, same := g.again(some, factory)
		return same
	}
	if !fails(ops) { // what the subject does is not determined by what it hears
		tries = 0
	}
	for size := (len(ops) + 1) / 2; size > 0 && tries > 0; {
		smaller := false
		for end := len(ops); end > 0 && tries > 0; end -= size {
			begin := max(0, end-size)
			some := slices.Concat(ops[:begin], ops[end:])
			if fails(some) {
				ops, smaller = some, true
			}
		}
		if size == 1 && !smaller {
			break
		}
		if !smaller || size > len(ops) {
			size = max(1, size/2)
		}
	}
	last, _ := g.again(ops, factory)
	return &Failure{
		Denied: g.finding == denied, Steps: len(ops), Text: last.listing(g),
		Replay: func(factory Factory) { g.again(ops, factory) },
	}
}

// again plays some of a history to a fresh subject and reports whether the
// question is answered as wrongly as before. What the channel could not have
// carried counts as answered well.
func (g *game) again(ops []op, factory Factory) (*game, bool) {
	n := &game{world: g.world, report: &Report{}, ops: ops, killed: never}
	n.judge.reset(g.world)
	n.guard.reset(len(g.world.clocks), len(g.world.voices))
	n.begin(factory)
	defer n.close()
	for i := range ops {
		o := &ops[i]
		if o.kind == opHear && !n.guard.pass(o.word, o.at) {
			return n, false
		}
		n.do(o)
	}
	if n.moment < g.moment {
		n.do(&op{kind: opAdvance, at: g.moment})
	}
	n.blamed = g.blamed
	n.answer = n.subject.Verify(g.blamed.query, binding.Number{MSISDN: g.blamed.number})
	n.finding = n.judge.judge(g.blamed, n.answer)
	return n, n.finding == g.finding
}
