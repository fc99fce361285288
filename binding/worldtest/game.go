package worldtest

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
)

// A game is one history played to a subject, with a judge at its side.
type game struct {
	world   *world
	subject Subject
	guard   guard
	judge   judge
	report  *Report
	history uint64

	ops     []op
	moment  tick // the subject's last one
	down    tick // until when the subject is not there
	killed  tick // when it last came back
	away    tick // for how long it was not there
	roomy   tick // since when there is room
	gap     tick // when overheard news was last known to be lost
	blamed  *question
	finding finding
	answer  binding.Answer
}

// An opKind is what was done to the subject.
type opKind uint8

const (
	opHear opKind = iota
	opAdvance
	opKill
	opRelease
)

// An op is one thing that was done to the subject.
type op struct {
	kind opKind
	at   tick
	word *Word
	gap  tick
	free release
}

// witness is a subject that is told the truth, for the tests of the judge.
type witness interface {
	witness(w *world)
	hearWord(word *Word)
	saw(f release)
}

func newGame(p *Profile, seed, history uint64, report *Report, factory Factory) *game {
	g := &game{report: report, history: history, killed: never, gap: never}
	g.world = newWorld(p, seed, history)
	g.judge.reset(g.world)
	g.guard.reset(len(g.world.clocks), len(g.world.voices))
	g.begin(factory)
	g.moment = g.world.now
	return g
}

func (g *game) begin(factory Factory) {
	g.subject = factory(g.world.setup())
	if t, ok := g.subject.(witness); ok {
		t.witness(g.world)
	}
}

func (g *game) close() {
	if c, ok := g.subject.(io.Closer); ok {
		_ = c.Close() // nothing depends on it
	}
}

// play plays one history to its end or to the first wrong or denied answer.
func (g *game) play(turns int) {
	defer g.close()
	for range turns {
		g.report.Turns++
		w := g.world
		next := w.now + pause(w.r)
		g.pass(next)
		w.now = next
		if g.blamed == nil {
			g.act()
			g.crowded()
			g.ask(3)
		}
		if g.blamed != nil {
			return
		}
	}
}

// pause draws the time until something happens: mostly seconds, now and then
// hours.
func pause(r *rand.Rand) tick {
	scales := [...]tick{300 * millisecond, 3 * second, 10 * second, 90 * second, 20 * minute, 5 * hour}
	return 1 + tick(r.Int64N(int64(scales[draw(r, 40, 40, 14, 5, 0.8, 0.1)])))
}

// pass lets time pass until a moment, with all that is due by then.
func (g *game) pass(until tick) {
	w := g.world
	for g.blamed == nil {
		t, ok := w.dequeue(until)
		if !ok {
			return
		}
		w.now = t.due
		switch {
		case t.do != nil:
			t.do()
		case t.send:
			w.transmit(t.word, t.attempt)
		case w.now < g.down || t.link != 0 && t.link != t.word.voice.wire.link:
			w.missed(t.word, g.down)
		default:
			g.hear(t.word)
		}
	}
}

// hear gives a word to the subject, unless the channel may not carry it.
func (g *game) hear(word *Word) {
	now := g.world.now
	if v := word.voice; v != nil {
		if !g.guard.pass(word, now) {
			v.dirty = true
			return
		}
		v.note(word, now)
	}
	if word.Kind == binding.NewsLost {
		g.gap = now
	}
	g.tell(op{kind: opHear, at: now, word: word})
	g.report.Events++
	if word.leg != nil {
		for _, c := range word.leg.stay.claims {
			if g.blamed == nil && g.world.r.IntN(2) == 0 {
				g.put(g.about(c.plot))
			}
		}
	}
}

// tell does one thing to the subject and to the judge.
func (g *game) tell(o op) {
	g.ops = append(g.ops, o)
	g.do(&o)
}

func (g *game) do(o *op) {
	t, knows := g.subject.(witness)
	switch o.kind {
	case opHear:
		g.judge.deliver(o.word, o.at)
		if knows {
			t.hearWord(o.word)
		}
		if l, wired := g.subject.(Listener); wired {
			l.HearWord(o.word, o.at.time())
		} else {
			g.subject.Hear(o.word.Event(o.at.time()))
		}
	case opAdvance:
		g.subject.Advance(o.at.time())
	case opKill:
		g.subject.Kill(o.gap.duration())
	case opRelease:
		f := o.free
		g.judge.release(f.plot, f.addr, f.port, f.at)
		if knows {
			t.saw(f)
		}
		g.subject.Release(binding.Query{Addr: f.addr, Port: f.port, Domain: f.plot.domain.name})
	}
	g.moment = o.at
}

// ask asks some questions about places where something happened, and others.
func (g *game) ask(n int) {
	w := g.world
	if w.now < g.down {
		return
	}
	for range n {
		if g.blamed != nil {
			return
		}
		p := w.plots[w.r.IntN(len(w.plots))]
		if len(w.claims) > 0 && w.r.IntN(2) == 0 {
			p = w.claims[max(0, len(w.claims)-1-w.r.IntN(6))].plot
		}
		g.put(g.about(p))
	}
}

// put asks one question and has the answer judged.
func (g *game) put(q *question) {
	if q == nil {
		return
	}
	now := g.world.now
	if g.moment < now {
		g.tell(op{kind: opAdvance, at: now})
	}
	a := g.subject.Verify(q.query, binding.Number{MSISDN: q.number})
	r := g.report
	r.Questions++
	if a.Verdict == binding.Match {
		r.Matches++
	}
	switch f := g.judge.judge(q, a); f {
	case fine:
		g.silence(q, a)
	case undecided:
		r.Undecided++
	case wrong, denied:
		g.blame(q, f, a)
	}
}

// blame ends the history with a question that was not answered as it must be.
func (g *game) blame(q *question, f finding, a binding.Answer) {
	asked := *q
	asked.plots = slices.Clone(q.plots)
	g.blamed, g.finding, g.answer = &asked, f, a
}

// about makes a question about a plot, nil if nobody ever had any of it.
func (g *game) about(p *plot) *question {
	r := g.world.r
	if len(p.claims) == 0 || g.world.now < g.down {
		return nil
	}
	q := &question{}
	c := p.claims[len(p.claims)-1]
	if r.IntN(2) == 0 {
		c = p.claims[max(0, len(p.claims)-1-r.IntN(5))]
	}
	q.query = binding.Query{Addr: within128(r, c.addr.Prefix), Port: port(r, c.addr), Domain: p.domain.name}
	q.plots = []*plot{p}
	if r.IntN(4+4*len(g.world.domains)) == 0 {
		q.query.Domain = ""
		q.plots = g.everywhere(q.query.Addr)
	}
	q.number = g.suspect(p, c).someNumber(r)
	return q
}

// everywhere are the plots of all domains that have an address.
func (g *game) everywhere(addr netip.Addr) []*plot {
	var list []*plot
	for _, p := range g.world.plots {
		if p.base.Contains(addr) {
			list = append(list, p)
		}
	}
	return list
}

// suspect draws whose number is asked for: mostly of those who had something
// of the plot lately.
func (g *game) suspect(p *plot, c *claim) *sim {
	r := g.world.r
	switch r.IntN(10) {
	case 0:
		return g.world.sims[r.IntN(len(g.world.sims))]
	case 1, 2, 3, 4:
		return p.claims[max(0, len(p.claims)-1-r.IntN(4))].stay.sim
	}
	return c.stay.sim
}

// someNumber is mostly the present one.
func (s *sim) someNumber(r *rand.Rand) binding.MSISDN {
	if len(s.numbers) > 1 && r.IntN(3) == 0 {
		return s.numbers[r.IntN(len(s.numbers))]
	}
	return s.number()
}

// within128 draws a single address of a prefix.
func within128(r *rand.Rand, p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	if p.Addr().Is4() {
		b := p.Addr().As4()
		b[3] += byte(r.IntN(1 << (32 - p.Bits())))
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	if p.Bits() < 64 {
		b[7] += byte(r.IntN(4))
	}
	b[15] = byte(r.IntN(256))
	return netip.AddrFrom16(b)
}

// port draws a port of a block, its edges as often as its inside, and now and
// then none.
func port(r *rand.Rand, a binding.Address) uint16 {
	if whole(a) {
		if a.Is4() && r.IntN(6) == 0 {
			return uint16(1024 + r.IntN(8000))
		}
		return 0
	}
	switch r.IntN(5) {
	case 0:
		return 0
	case 1:
		return a.PortLow
	case 2:
		return a.PortHigh
	}
	return a.PortLow + uint16(r.IntN(int(a.PortHigh-a.PortLow)+1))
}
