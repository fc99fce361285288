package clock

import (
	"math/rand/v2"
	"slices"
)

// A world knows what happened and when. It is written from the assumptions in
// the package comment and knows nothing of how a Clock works.

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	// Drift is at most 1.1 s in five minutes (A3).
	maxRate = 1100.0 / 300000.0
	// Of any eight words in a row one is on its way for less than 100 ms (A4).
	prompt = 100
	inARow = 8
	// Stamps and delays are whole seconds: what is late by less than that and
	// what is still prompt is not late.
	coarse = second + prompt
)

// A nodeClock shows our time less its offset, which drifts and is set.
type nodeClock struct {
	pieces   []piece
	rounding bool // its stamps are the nearest second, not the last
}

// In a piece the offset is at + rate × (t − from). Pieces of one setting join.
type piece struct {
	from    int64
	at      float64
	rate    float64
	setting int
}

func (c *nodeClock) piece(t int64) *piece {
	i, _ := slices.BinarySearchFunc(c.pieces, t, func(p piece, t int64) int {
		if p.from <= t {
			return -1
		}
		return 1
	})
	return &c.pieces[max(i-1, 0)]
}

func (c *nodeClock) offset(t int64) float64 {
	p := c.piece(t)
	return p.at + p.rate*float64(t-p.from)
}

// shows is what a stamp of the moment t is.
func (c *nodeClock) shows(t int64) int64 {
	ms := int64(float64(t) - c.offset(t))
	if c.rounding {
		ms += 500
	}
	s := ms / 1000
	if ms%1000 < 0 {
		s--
	}
	return s * 1000
}

// drift goes on with another rate from t.
func (c *nodeClock) drift(t int64, rate float64) {
	last := c.pieces[len(c.pieces)-1]
	c.pieces = append(c.pieces, piece{from: t, at: c.offset(t), rate: rate, setting: last.setting})
}

// set sets the clock ahead by ms at t, back if that is negative.
func (c *nodeClock) set(t int64, ahead float64) {
	last := c.pieces[len(c.pieces)-1]
	c.pieces = append(c.pieces, piece{from: t, at: c.offset(t) - ahead, rate: last.rate, setting: last.setting + 1})
}

// A told is one message of the world.
type told struct {
	happened int64 // the truth
	sent     int64
	stampAt  int64 // the moment that its stamp shows
	setting  int   // of the clock at that moment
	event    int   // what happened, by number
	wrong    bool  // its stamp is wrong: a setting of the clock for this event
	crash    bool  // before it we crashed
	missed   bool  // nobody listened
	Word
}

// transit is how long it was on its way since the moment of its stamp.
func (m *told) transit() int64 { return m.Arrived - m.stampAt }

func (m *told) onTime() bool { return m.Delay == 0 && m.transit() < prompt }

// looks is the offset that the message shows.
func (m *told) looks() float64 { return float64(m.Arrived - m.Stamp) }

// A plan is what a history is made of.
type plan struct {
	kind     string
	seed     uint64
	limits   Limits
	stamps   bool
	atSend   bool // stamps are of the sending, not of the event
	rounding bool
	delays   int // 0: never told, 1: when it is repeated, 2: always
	delayBy  int // 0: whole seconds gone, 1: difference of whole seconds, 2: rounded, 3: off by under a second
	every    int64
	rhythm   int // 0: by chance, 1: periodic, 2: bursts and silence, 3: periodic in whole seconds
	late     float64
	lateMax  int64
	repeats  float64
	loss     float64
	restarts float64 // a crash of ours, by word
	unstamp  float64
	absence  int64 // for how long nobody listens after a crash
	words    int
	tight    bool // what is on time looks as late as it can, what is late as little
	repair   bool // A4 is enforced, not only checked
}

// kinds are the histories of a clock.
var kinds = []string{
	"steady", "drift", "slew", "one-step", "step-20min", "step-5min", "step-often", "small-steps", "back-and-forth",
	"dst", "bad-stamp", "first-steps", "wild", "confused",
}

func newPlan(kind string, seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := plan{
		kind: kind, seed: seed, limits: Defaults(), stamps: true,
		atSend: r.IntN(2) == 0, rounding: r.IntN(3) == 0, delays: r.IntN(3), delayBy: r.IntN(4),
		every:  pick(r, 100, second, 2*second, 5*second, 5*second, 20*second, minute, 3*minute),
		rhythm: r.IntN(4), late: pick(r, 0.02, 0.1, 0.1, 0.3, 0.8),
		lateMax: pick(r, 2*second, 20*second, 2*minute, 5*minute),
		repeats: pick(r, 0, 0.05, 0.2), loss: pick(r, 0, 0.05), restarts: pick(r, 0, 0, 0.003, 0.02),
		absence: pick(r, 0, 20*second, 10*minute, 2*hour),
		unstamp: pick(r, 0, 0, 0.05), words: 100 + r.IntN(500), tight: r.IntN(3) == 0, repair: r.IntN(5) != 0,
	}
	if p.late > 0.5 {
		p.repair = true
	}
	if r.IntN(4) == 0 {
		p.limits.MaxDelay = pick(r, minute, 20*minute)
		p.lateMax = min(p.lateMax, p.limits.MaxDelay)
	}
	return p
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// A history is what is heard, in the order of arrival.
type history struct {
	plan
	clock nodeClock
	words []told
	start int64
	end   int64
}

// newHistory lets a plan happen.
func newHistory(p plan) *history {
	r := rand.New(rand.NewPCG(p.seed, 2))
	h := &history{plan: p, start: 1_700_000_000_000 + r.Int64N(hour)}
	times := h.times(r)
	h.end = times[len(times)-1]
	h.clock = nodeClock{rounding: p.rounding}
	h.live(r)
	for i, t := range times {
		h.happen(r, t, i)
	}
	h.sortWords()
	h.crashes(r)
	if p.repair {
		h.mend(r)
	}
	// It is known from the first word on that the node can stamp (A2).
	h.words[0].Stamped = p.stamps
	return h
}

func (h *history) sortWords() {
	slices.SortStableFunc(h.words, func(a, b told) int { return int(a.Arrived - b.Arrived) })
}

// crashes are ours. What arrives while we are away is not heard.
func (h *history) crashes(r *rand.Rand) {
	for i := 1; i < len(h.words); i++ {
		if r.Float64() >= h.restarts {
			continue
		}
		back := h.words[i].Arrived + int64(r.Float64()*float64(h.absence))
		for ; i < len(h.words) && h.words[i].Arrived < back; i++ {
			h.words[i].missed = true
		}
		if i < len(h.words) {
			h.words[i].crash = true
		}
	}
}

// times are the moments at which something happens.
func (h *history) times(r *rand.Rand) []int64 {
	t, phase := h.start, r.Int64N(second)
	var times []int64
	for len(times) < h.plan.words {
		switch h.rhythm {
		case 0:
			t += 1 + int64(r.ExpFloat64()*float64(h.every))
		case 1:
			t += h.every
		case 2:
			if r.IntN(20) == 0 {
				t += int64(20 * r.ExpFloat64() * float64(h.every))
			}
			t += 1 + int64(r.ExpFloat64()*float64(h.every)/5)
		case 3:
			t += max(h.every/second, 1) * second
		}
		if h.rhythm == 3 && r.IntN(10) == 0 {
			times = append(times, t-t%second+phase+r.Int64N(second))
			continue
		}
		times = append(times, t)
	}
	slices.Sort(times)
	return times
}

// live makes the history of the clock.
func (h *history) live(r *rand.Rand) {
	c := &h.clock
	rate := 0.0
	if h.kind == "drift" || r.IntN(4) == 0 {
		rate = pick(r, -1.0, 1) * pick(r, 0.00005, 0.0005, maxRate) * r.Float64()
	}
	first := pick(r, 0, 0.3, 5, 3600, 86400*365*20.0) * 1000 * (2*r.Float64() - 1)
	c.pieces = []piece{{from: h.start - hour, at: first, rate: rate}}
	// At first contact nothing was set back for long enough (A7), mostly.
	quiet := h.start
	if r.IntN(10) != 0 {
		quiet += 30 * h.every
	}
	at := func(mean int64) []int64 {
		var times []int64
		for t := quiet; ; {
			t += 1 + int64(r.ExpFloat64()*float64(mean))
			if t >= h.end {
				return times
			}
			times = append(times, t)
		}
	}
	switch h.kind {
	case "drift":
		for _, t := range at(pick(r, minute, 5*minute, hour)) {
			c.drift(t, maxRate*(2*r.Float64()-1))
		}
	case "slew":
		for _, t := range at(pick(r, minute, 10*minute)) {
			if r.IntN(2) == 0 {
				c.set(t, 1100*(2*r.Float64()-1))
			} else {
				c.drift(t, maxRate*(2*r.Float64()-1))
			}
		}
	case "one-step":
		if h.end > quiet {
			c.set(quiet+r.Int64N(h.end-quiet), step(r))
		}
	case "step-20min":
		h.steps(r, at(20*minute))
	case "step-5min":
		h.steps(r, at(5*minute))
	case "step-often":
		h.steps(r, at(pick(r, 10*second, minute, 2*minute)))
	case "wild":
		for _, t := range at(pick(r, int64(2), 5, 20) * h.every) {
			c.set(t, float64(hour)*(2*r.Float64()-1))
		}
	case "confused":
		// Few offsets, and late words that look like those of another.
		levels := make([]float64, 2+r.IntN(5))
		for i := range levels {
			levels[i] = first + float64(pick(r, 3*second, 50*second, 300*second)*int64(r.IntN(4)))
		}
		for _, t := range at(pick(r, int64(1), 4, 10, 30) * h.every) {
			c.set(t, c.offset(t)-pick(r, levels...)+float64(second)*(2*r.Float64()-1)*float64(r.IntN(2)))
		}
	case "small-steps":
		for _, t := range at(pick(r, 20*second, minute, 5*minute, 20*minute)) {
			c.set(t, 5*float64(second)*(2*r.Float64()-1))
		}
	case "back-and-forth":
		s := step(r)
		for i, t := range at(pick(r, 10*second, minute, 5*minute, 10*minute)) {
			c.set(t, s+10*float64(second)*(2*r.Float64()-1)*float64(r.IntN(2)))
			if i%3 != 2 {
				s = -s
			}
		}
	case "dst":
		for _, t := range at(10 * minute) {
			c.set(t, pick(r, -1.0, 1)*float64(hour))
		}
	case "first-steps":
		c.set(h.start+r.Int64N(20*h.every), step(r))
	}
	for _, t := range at(30 * minute) {
		if r.IntN(3) == 0 && t > c.pieces[len(c.pieces)-1].from {
			c.drift(t, rate*r.Float64())
		}
	}
}

func step(r *rand.Rand) float64 {
	s := pick(r, 1.0, 2, 5, 30, 120, 280, 400, 3600, 86400) * 1000 * (0.5 + 0.5*r.Float64())
	return pick(r, -1.0, 1) * s
}

func (h *history) steps(r *rand.Rand, times []int64) {
	for _, t := range times {
		h.clock.set(t, step(r))
	}
}

// happen sends what happened at t, perhaps more than once.
func (h *history) happen(r *rand.Rand, t int64, event int) {
	late := r.Float64() < h.late
	if h.tight {
		// Of the second that its clock shows little is left, or little is over.
		showed := int64(float64(t) - h.clock.offset(t))
		if h.clock.rounding {
			showed += 500
		}
		t -= (showed%second + second) % second
		if !late {
			t += second - 1 - r.Int64N(20)
		} else {
			t += r.Int64N(20)
		}
	}
	m := told{happened: t, sent: t, event: event}
	h.stamp(&m, t)
	if h.kind == "bad-stamp" && r.IntN(60) == 0 {
		m.Stamp += int64(step(r))
		m.wrong = true
	}
	m.Stamped = h.stamps && r.Float64() >= h.unstamp
	m.Delayed = h.delays == 2
	if r.Float64() >= h.loss {
		m.Arrived = h.arrival(r, t, t, late)
		h.words = append(h.words, m)
	}
	for again := t; r.Float64() < h.repeats; {
		again += second + r.Int64N(pick(r, 3*second, 20*second, h.limits.MaxDelay/2))
		if again >= t+h.limits.MaxDelay {
			return
		}
		n := m
		n.sent = again
		if h.delays != 0 {
			n.Delayed, n.Delay = true, h.delay(r, t, again)
			if h.atSend && !m.wrong {
				h.stamp(&n, again)
			}
		}
		n.Arrived = h.arrival(r, t, again, r.Float64() < h.late)
		h.words = append(h.words, n)
	}
}

func (h *history) stamp(m *told, t int64) {
	m.stampAt, m.setting, m.Stamp = t, h.clock.piece(t).setting, h.clock.shows(t)
}

// delay is what the node says that it has been trying for.
func (h *history) delay(r *rand.Rand, t, again int64) int64 {
	gone := again - t
	switch h.delayBy {
	case 0:
		return gone / second * second
	case 1:
		return (again/second - t/second) * second
	case 2:
		return (gone + second/2) / second * second
	default:
		return max(gone/second+int64(r.IntN(2)), 1) * second
	}
}

// arrival is when something that happened at t is heard if it is sent at u.
func (h *history) arrival(r *rand.Rand, t, u int64, late bool) int64 {
	arrived := u + r.Int64N(prompt)
	if h.tight {
		arrived = u + prompt - 1 - r.Int64N(10)
	}
	if late {
		arrived = u + int64(r.Float64()*r.Float64()*float64(h.lateMax))
		looks := r.IntN(20)
		if h.kind == "confused" {
			looks = min(looks, 10) / 2
		}
		switch looks {
		case 0:
			arrived = u + h.lateMax - r.Int64N(2*second)
		case 1, 2, 3, 4:
			// It looks like a word of another setting of the clock.
			p := h.clock.pieces[r.IntN(len(h.clock.pieces))]
			if l := int64(p.at-h.clock.offset(u)) + r.Int64N(3*second) - second; l > 0 && l < h.limits.MaxDelay {
				arrived = u + l
			}
		}
	}
	return max(min(arrived, t+h.limits.MaxDelay), u)
}

// mend makes words be on time until the history is as A4 assumes.
func (h *history) mend(r *rand.Rand) {
	for range 50 {
		bad := h.against()
		if len(bad) == 0 {
			return
		}
		for _, i := range bad {
			m := &h.words[i]
			m.Arrived = min(m.sent+r.Int64N(prompt), m.happened+h.limits.MaxDelay)
		}
		h.sortWords()
	}
}
