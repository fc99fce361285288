package worldtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// patience bounds how often a history is tried again while it is made short.
const patience = 4000

// shrink leaves out of a history what its finding does not need.
func (g *game) shrink(factory Factory) *Failure {
	ops, tries := g.ops, patience
	if g.world.p.Patience > 0 {
		tries = g.world.p.Patience
	}
	if g.finding == withheld { // what is demanded depends on all that was done
		ops = g.relevant()
		last, _ := g.again(ops, factory)
		last.finding, last.answer = g.finding, g.answer
		return &Failure{Steps: len(ops), Text: last.listing(g), Replay: func(factory Factory) { g.again(ops, factory) }}
	}
	fails := func(some []op) bool {
		tries--
		_, same := g.again(some, factory)
		return same
	}
	if !fails(ops) { // what the subject does is not determined by what it hears
		tries = 0
	}
	if some := g.relevant(); tries > 0 && fails(some) {
		ops = some
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

// relevant is what was done that has to do with the addresses in question, or
// with a node.
func (g *game) relevant() []op {
	var some []op
	for _, o := range g.ops {
		switch {
		case o.kind == opAdvance, o.kind == opRelease && !slices.Contains(g.blamed.plots, o.free.plot):
		case o.kind == opHear && o.word.leg != nil && !slices.ContainsFunc(o.word.leg.stay.claims, func(c *claim) bool {
			return slices.Contains(g.blamed.plots, c.plot)
		}) && !(g.finding == withheld && slices.Contains(o.word.leg.stay.sim.numbers, g.blamed.number)):
		default:
			some = append(some, o)
		}
	}
	return some
}

// again plays some of a history to a fresh subject and reports whether the
// question is answered as wrongly as before. What the channel could not have
// carried counts as answered well.
func (g *game) again(ops []op, factory Factory) (*game, bool) {
	n := &game{world: g.world, report: &Report{}, ops: ops, killed: never, blamed: g.blamed}
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
	n.answer = n.subject.Verify(g.blamed.query, binding.Number{MSISDN: g.blamed.number})
	n.finding = n.judge.judge(g.blamed, n.answer)
	return n, n.finding == g.finding
}

// listing writes a history that was made short, and what is wrong at its end.
// was is the game as it was first played.
func (g *game) listing(was *game) string {
	var b strings.Builder
	fmt.Fprintf(&b, "profile %q, seed %d, history %d\n", was.report.Profile, was.report.Seed, was.history)
	b.WriteString("our time (true time): who said what; a stay is a true session, A, B... are SIMs\n")
	for i := range g.ops {
		o := &g.ops[i]
		switch o.kind {
		case opHear:
			fmt.Fprintf(&b, "%s (%s) %s\n", clockFace(o.at), clockFace(o.word.at), o.word.describe())
		case opAdvance:
			fmt.Fprintf(&b, "%s time passes\n", clockFace(o.at))
		case opKill:
			fmt.Fprintf(&b, "%s kill -9, started again %v later\n", clockFace(o.at), o.gap.duration())
		case opRelease:
			fmt.Fprintf(&b, "%s an operator releases %v port %d of %s\n",
				clockFace(o.at), o.free.addr, o.free.port, o.free.plot.domain.name)
		}
	}
	q := g.blamed
	fmt.Fprintf(&b, "%s is %v the number of %v port %d in %q? %v (%v)", clockFace(was.moment), q.number, q.query.Addr,
		q.query.Port, q.query.Domain, g.answer.Verdict, g.answer.Reason)
	switch {
	case g.finding == denied:
		b.WriteString(": DENIED, it is the only holder's:\n")
	case g.finding == wrong:
		b.WriteString(": WRONG:\n")
	case g.finding == withheld:
		b.WriteString(": WITHHELD:\n")
	default:
		b.WriteString(": not answered so when played again\n")
	}
	for _, p := range q.plots {
		g.listClaims(&b, p, q)
	}
	return b.String()
}

// listClaims says how each claim that the question is about stands.
func (g *game) listClaims(b *strings.Builder, p *plot, q *question) {
	for _, c := range p.claims {
		if !covers(c.addr, q.query.Addr, q.query.Port) || g.judge.claim(c).said == never {
			continue
		}
		fmt.Fprintf(b, "  stay %d of %s (%v) on %v", c.stay.id, c.stay.sim, c.stay.sim.number(), c.addr)
		if h := g.judge.claim(c).hold; h != never {
			fmt.Fprintf(b, ", last held at %s", clockFace(h))
		}
		switch st, why := g.judge.standing(c, q.query.Addr, q.query.Port); {
		case c.stay.liar:
			b.WriteString(": a lie\n")
		case st == open:
			fmt.Fprintf(b, ": open, number told: %v\n", g.judge.accepts(c, q.number) != closed)
		default:
			state := [...]string{"closed", "undecided"}[st]
			fmt.Fprintf(b, ": %s, %s", state, why.why)
			if why.at != never {
				fmt.Fprintf(b, " at %s", clockFace(why.at))
			}
			if why.by != nil {
				fmt.Fprintf(b, " (stay %d of %s)", why.by.stay.id, why.by.stay.sim)
			}
			if why.voice != nil {
				fmt.Fprintf(b, ", told by %v", why.voice)
			}
			b.WriteString("\n")
		}
	}
}

// clockFace is a moment as hours, minutes, seconds and milliseconds.
func clockFace(t tick) string {
	return fmt.Sprintf("%d:%02d:%02d.%03d", t/hour, t/minute%60, t/second%60, t%second)
}

// String is a letter and, after the twenty-sixth, a number.
func (s *sim) String() string {
	name := string(rune('A' + s.id%26))
	if s.id >= 26 {
		name += fmt.Sprint(s.id / 26)
	}
	return name
}

// describe is a word on one line.
func (w *Word) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s/%s", w.Source, w.Owner, w.Node)
	if w.Also != "" {
		fmt.Fprintf(&b, "=%s", w.Also)
	}
	fmt.Fprintf(&b, " %v", w.Kind)
	if w.Session != "" {
		fmt.Fprintf(&b, " %s", w.Session)
	}
	for _, a := range w.Addrs {
		fmt.Fprintf(&b, " %v", a)
	}
	for _, a := range w.Gone {
		fmt.Fprintf(&b, " gone %v", a)
	}
	if w.Complete {
		b.WriteString(" complete")
	}
	if w.APN != "" {
		fmt.Fprintf(&b, " %s", w.APN)
	}
	if w.leg != nil {
		fmt.Fprintf(&b, " [stay %d of %s", w.leg.stay.id, w.sim)
		if w.leg.stay.liar {
			b.WriteString(", a lie")
		}
		b.WriteString("]")
	}
	if w.IMSI != 0 {
		fmt.Fprintf(&b, " imsi %v", w.IMSI)
	}
	if w.MSISDN != 0 {
		fmt.Fprintf(&b, " number %v", w.MSISDN)
	}
	w.describeTime(&b)
	return b.String()
}

func (w *Word) describeTime(b *strings.Builder) {
	if !w.Stamp.IsZero() {
		fmt.Fprintf(b, " stamp %s", stampFace(w.Stamp))
		if by := w.voice.clock.offsets[w.epoch]; by != 0 {
			fmt.Fprintf(b, " (clock %+.3f s)", by.duration().Seconds())
		}
	}
	if w.Delayed {
		fmt.Fprintf(b, " delay %v", w.Delay)
	}
	if w.Aged {
		fmt.Fprintf(b, " age %v", w.Age)
	}
	if w.Order != 0 {
		fmt.Fprintf(b, " order %d", w.Order)
	}
	if w.OriginState != 0 {
		fmt.Fprintf(b, " state %d", w.OriginState)
	}
	if w.Link != 0 {
		fmt.Fprintf(b, " link %d", w.Link)
	}
	if w.State != 0 {
		fmt.Fprintf(b, " shows state %d", w.State)
	}
	if w.Way != 0 {
		fmt.Fprintf(b, " way %d", w.Way)
	}
	if w.Repeated {
		b.WriteString(" repeated")
	}
	if w.Contexts != 0 {
		fmt.Fprintf(b, " contexts %b", w.Contexts)
	}
}

// stampFace is a stamp as the listing shows it: the time of a day close to the
// history's begin as its other times are, another one in full.
func stampFace(t time.Time) string {
	if d := t.Sub(genesis); d >= 0 && d < 48*time.Hour {
		return clockFace(tick(d / time.Millisecond))
	}
	return t.Format(time.DateTime)
}
