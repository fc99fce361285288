package clock

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLoNeverExceedsTheTruthForAnyOffsetHistory is the property that all rules
// of truth stand on, and more than its name says: no lo is above and no hi below
// the truth by either clock, and Before orders no two words wrongly, as long as
// the history is as A1 to A7 assume. SIMBIND_CLOCK_WORDS is how many words such
// histories have in all, SIMBIND_CLOCK_SEED the first of them,
// SIMBIND_CLOCK_KINDS which kinds.
func TestLoNeverExceedsTheTruthForAnyOffsetHistory(t *testing.T) {
	words := setting(t, "SIMBIND_CLOCK_WORDS", 1_000_000)
	kinds := kinds
	if v := os.Getenv("SIMBIND_CLOCK_KINDS"); v != "" {
		kinds = strings.Split(v, ",")
	}
	tallies := map[string]*tally{}
	for seed := uint64(setting(t, "SIMBIND_CLOCK_SEED", 1)); words > 0; seed++ {
		kind := kinds[seed%uint64(len(kinds))]
		y := tallies[kind]
		if y == nil {
			y = &tally{}
			tallies[kind] = y
		}
		j := judge{h: newHistory(newPlan(kind, seed)), packed: seed%5 == 0}
		j.run()
		if len(j.h.against()) != 0 || j.h.setBackBefore(j.settled) {
			y.without.add(&j)
			continue
		}
		words -= len(j.h.words)
		y.with.add(&j)
		if len(j.faults) != 0 {
			t.Errorf("%d faults, the first: %s", len(j.faults), j.faults[0])
		}
		if y.with.faults > 20 {
			break
		}
	}
	var lines []string
	for kind, y := range tallies {
		lines = append(lines, fmt.Sprintf("%-15s %s", kind, y))
	}
	slices.Sort(lines)
	t.Log("\n" + strings.Join(lines, "\n"))
}

func setting(t *testing.T, name string, otherwise int) int {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A judge hears a history and compares every bound with the truth.
type judge struct {
	h       *history
	clock   Clock
	kept    State
	packed  bool // bounds are packed in between
	bounds  []bounds
	settled int64 // when the clock settled first, or was restored
	since   [slots + 1]int64
	latest  [slots + 1]int64
	faults  []string

	counts
}

// bounds are what is said of one message.
type bounds struct {
	lo, hi   Bound
	happened int64
	since    int64 // the meaning of their epoch
	word     int
}

func (j *judge) fault(i int, format string, args ...any) {
	m := &j.h.words[i]
	word := fmt.Sprintf("%s seed %d word %d (setting %d, transit %d, looks %.0f, offset %.0f, delay %d): ",
		j.h.kind, j.h.seed, i, m.setting, m.transit(), m.looks(), j.h.clock.offset(m.stampAt), m.Delay)
	j.faults = append(j.faults, word+fmt.Sprintf(format, args...))
}

func (j *judge) run() {
	j.settled = j.h.words[len(j.h.words)-1].Arrived
	for i := range j.h.words {
		m := &j.h.words[i]
		if m.missed {
			continue
		}
		if m.crash {
			j.clock = Restore(j.kept)
			j.settled = min(j.settled, m.Arrived)
		}
		j.hear(i, m)
	}
	j.pairs()
}

func (j *judge) hear(i int, m *told) {
	before := j.kept
	lo, hi, late := j.clock.Hear(m.Word, &j.h.limits)
	changed := j.clock.Changed()
	if j.kept = j.clock.Keep(); !changed && j.kept != before && !m.crash {
		j.fault(i, "what to keep changed unsaid from %+v to %+v", before, j.kept)
	}
	if _, ok := j.clock.Offset(); ok {
		j.settled = min(j.settled, m.Arrived)
	}
	j.meanings(i)
	lo, hi = lo.Since(j.since[lo.Epoch]), hi.Since(j.since[hi.Epoch])
	for _, b := range []Bound{lo, hi} {
		j.latest[b.Epoch] = max(j.latest[b.Epoch], b.Our)
	}
	if j.packed {
		lo, hi = Unpack(lo.Pack()), Unpack(hi.Pack())
	}
	if lo.Our > m.happened {
		j.fault(i, "lo is %d ms too late: %+v", lo.Our-m.happened, lo)
	}
	if hi.Our < m.happened {
		j.fault(i, "hi is %d ms too early: %+v", m.happened-hi.Our, hi)
	}
	if late < 0 || late > max(j.h.limits.MaxDelay, m.Delay) {
		j.fault(i, "late by %d", late)
	}
	j.measure(m, lo, hi)
	j.bounds = append(j.bounds, bounds{lo, hi, m.happened, j.since[max(lo.Epoch, hi.Epoch)], i})
}

// meanings sees that a slot gets a new meaning only after all that was told in
// the old one.
func (j *judge) meanings(i int) {
	for e := range j.since {
		if s := j.clock.SlotSince(uint8(e)); s != j.since[e] {
			j.since[e] = s
			if j.latest[e] >= s {
				j.fault(i, "slot %d has a new meaning since %d, but a bound of the old is of %d", e, s, j.latest[e])
			}
		}
	}
}

func (j *judge) measure(m *told, lo, hi Bound) {
	if !m.Stamped {
		return
	}
	j.stamped++
	if hi.Epoch != 0 {
		j.ordered++
	}
	switch {
	case m.transit() >= prompt || m.Delay != 0:
	case lo.Our == m.Arrived-j.h.limits.MaxDelay:
		j.blind++
	case m.happened-lo.Our <= 2500:
		j.close++
	default:
		j.wide++
	}
}

// pairs compares every word with every other of its slot: no lo of what happened
// before, or together, is above a hi.
func (j *judge) pairs() {
	slices.SortStableFunc(j.bounds, func(a, b bounds) int { return int(a.happened - b.happened) })
	type meaning struct {
		epoch uint8
		since int64
	}
	greatest := map[meaning]*bounds{}
	for from := 0; from < len(j.bounds); {
		to := from
		for ; to < len(j.bounds) && j.bounds[to].happened == j.bounds[from].happened; to++ {
			b := &j.bounds[to]
			of := meaning{b.lo.Epoch, b.since}
			if g := greatest[of]; b.lo.Epoch != 0 && (g == nil || b.lo.Node > g.lo.Node) {
				greatest[of] = b
			}
		}
		for ; from < to; from++ {
			b := &j.bounds[from]
			if g := greatest[meaning{b.hi.Epoch, b.since}]; g != nil && Before(b.hi, g.lo) {
				j.fault(b.word, "surely before word %d, which was not later: %+v, %+v", g.word, b.hi, g.lo)
			}
		}
	}
}

// counts are of stamped words: all, those with a node time, and of those that
// were on time the ones that stayed unstamped, whose lo lies within 2.5 s of the
// truth, and whose lo does not.
type counts struct{ stamped, ordered, blind, close, wide int }

// A tally is what the histories of one kind came to, with the assumptions and
// without.
type tally struct{ with, without sum }

type sum struct {
	histories, words, faults int
	counts
}

func (s *sum) add(j *judge) {
	s.histories++
	s.words += len(j.h.words)
	s.faults += len(j.faults)
	s.stamped += j.stamped
	s.ordered += j.ordered
	s.blind += j.blind
	s.close += j.close
	s.wide += j.wide
}

func (t *tally) String() string {
	s := &t.with
	share := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	prompt := s.blind + s.close + s.wide
	return fmt.Sprintf("%6d histories %8d words %d faults; %5.1f %% with node time; "+
		"of words on time %5.1f %% unstamped, %5.1f %% within 2.5 s; "+
		"where A4 or A7 fails %5d histories %7d words %4d faults",
		s.histories, s.words, s.faults, share(s.ordered, s.stamped), share(s.blind, prompt), share(s.close, prompt),
		t.without.histories, t.without.words, t.without.faults)
}
