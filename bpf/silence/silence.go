// Package silence notices that a node which is only overheard says nothing any
// more (rule T8). Nobody can ask such a node for a sign of life, but most give
// them unasked: GTP-C entities answer and send Echo, PFCP entities Heartbeat,
// Diameter peers watchdogs. A node whose keep-alives were heard is silent when
// three of them, and everything else, stayed out. One that has no rhythm is
// judged by its pauses, and only if it had none to speak of.
//
// That a node is silent ends nothing, and the next word of it takes it back. So
// a mistake costs little: what the node told turns stale only when its silence
// lasts.
package silence

import "time"

const (
	// missed is how many keep-alives have to stay out.
	missed = 3
	// A silence is never shorter than least, nor longer than most, where there is
	// a rhythm.
	least = 30 * time.Second
	most  = 5 * time.Minute
	// beats are how many keep-alives make a rhythm.
	beats = 3
	// sameBeat is within what time keep-alives are of one beat: a request and the
	// response to another, or both directions of one exchange.
	sameBeat = time.Second
	// window is for how long, at least, a pause between keep-alives is remembered,
	// and twice that at most. A rhythm of which nothing was heard for as long is
	// none any more.
	window = 5 * time.Minute
	// A node without a rhythm speaks steadily if, for steady times as long as the
	// silence that would be noticed, none of its pauses was longer than a third
	// of that.
	steady = 2
	third  = 3
	// step is how often it is looked who is silent.
	step = time.Second
)

// A Watch knows when each of its nodes spoke. It reads no clock and is owned by
// one goroutine.
type Watch[N any] struct {
	quiet  time.Duration
	limit  int
	tell   func(node N, silent bool, at time.Time)
	pulses []*Pulse[N]
	looked time.Time
	silent int
}

// New makes a Watch over at most limit nodes, which tells of each that falls
// silent and of each that speaks again. quiet is how long a node without a
// rhythm has to be silent; zero: it never is.
func New[N any](limit int, quiet time.Duration, tell func(node N, silent bool, at time.Time)) *Watch[N] {
	return &Watch[N]{quiet: quiet, limit: limit, tell: tell}
}

// A Pulse is what is known of how one node speaks.
type Pulse[N any] struct {
	node   N
	heard  time.Time // last; zero before the first time
	since  time.Time // it speaks without a long pause
	silent bool

	beat     time.Time // of the last keep-alive; zero if none counts
	beats    int
	pauses   [2]time.Duration // the longest of this window and of the one before
	windowed time.Time        // when this window began
}

// Add begins to watch a node. It is nil if there are too many.
func (w *Watch[N]) Add(node N) *Pulse[N] {
	if len(w.pulses) >= w.limit {
		return nil
	}
	p := &Pulse[N]{node: node}
	w.pulses = append(w.pulses, p)
	return p
}

// Silent is how many nodes are silent now.
func (w *Watch[N]) Silent() int { return w.silent }

// Heard notes that a node spoke; p may be nil.
func (w *Watch[N]) Heard(p *Pulse[N], at time.Time, keepAlive bool) {
	if p == nil {
		return
	}
	switch pause := at.Sub(p.heard); {
	case p.heard.IsZero():
		p.since = at
	case p.silent:
		p.silent = false
		w.silent--
		p.since = at
		w.tell(p.node, false, at)
	case pause > w.quiet/third:
		p.since = at
	}
	if at.After(p.heard) {
		p.heard = at
	}
	if keepAlive {
		p.keptAlive(at)
	}
}

// keptAlive notes a keep-alive. A pause that was taken for silence counts too:
// it may be how the node is.
func (p *Pulse[N]) keptAlive(at time.Time) {
	pause := at.Sub(p.beat)
	switch {
	case p.beat.IsZero():
	case pause < sameBeat:
		return
	case pause > 2*window:
		p.beats, p.pauses = 0, [2]time.Duration{}
	default:
		if at.Sub(p.windowed) > window {
			p.pauses = [2]time.Duration{0, p.pauses[0]}
			p.windowed = at
		}
		p.pauses[0] = max(p.pauses[0], pause)
	}
	p.beat = at
	p.beats++
}

// patience is how long a node may say nothing, zero if for ever.
func (p *Pulse[N]) patience(quiet time.Duration) time.Duration {
	switch {
	case p.beats >= beats && p.heard.Sub(p.beat) <= 2*window:
		return min(max(missed*max(p.pauses[0], p.pauses[1]), least), most)
	case p.heard.Sub(p.since) >= steady*quiet:
		return quiet
	}
	return 0
}

// Advance lets time pass, and tells of nodes that are silent.
func (w *Watch[N]) Advance(now time.Time) {
	if d := now.Sub(w.looked); d >= 0 && d < step {
		return
	}
	w.looked = now
	for _, p := range w.pulses {
		if p.silent || p.heard.IsZero() {
			continue
		}
		if patience := p.patience(w.quiet); patience > 0 && now.Sub(p.heard) >= patience {
			p.silent = true
			w.silent++
			w.tell(p.node, true, now)
		}
	}
}
