package registry

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestADirectoryNeverMakesTheWrongMatch in random histories of SIMs whose
// sessions bring no number, of sessions that bring both, and of a directory's
// words, right and wrong.
func TestADirectoryNeverMakesTheWrongMatch(t *testing.T) {
	for _, learn := range []bool{false, true} {
		t.Run(fmt.Sprintf("learned numbers count: %v", learn), func(t *testing.T) { directoryHistory(t, learn, false) })
	}
}

// directoryHistory plays one, with restarts of ours or without.
func directoryHistory(t *testing.T, learn, restarts bool) {
	steps := 20_000
	if testing.Short() {
		steps = 5_000
	}
	seed := rand.Uint64()
	w := newDirectoryWorld(t, learn, rand.New(rand.NewPCG(seed, 1)))
	matches := 0
	var history []deed
	for range steps {
		d := w.draw()
		if d.what == deedKill && !restarts {
			continue
		}
		history = append(history, d)
		w.do(t, d)
		m, fault := w.check()
		matches += m
		if fault != "" {
			t.Fatalf("seed %d: %s", seed, shortest(t, learn, history))
		}
	}
	if matches < steps/20 {
		t.Errorf("only %d matches", matches)
	}
}

// shortest tells a history that ends with a fault, without what it does not need.
func shortest(t *testing.T, learn bool, history []deed) string {
	fault := func(history []deed) string {
		w := newDirectoryWorld(t, learn, nil)
		for _, d := range history {
			w.do(t, d)
			if _, fault := w.check(); fault != "" {
				return fault
			}
		}
		return ""
	}
	for n := len(history) / 2; n > 0; n /= 2 {
		for from := 0; from+n <= len(history); {
			if less := slices.Delete(slices.Clone(history), from, from+n); fault(less) != "" {
				history = less
			} else {
				from += n
			}
		}
	}
	return fmt.Sprint(fault(history), " after ", history)
}

const worldSIMs = 4

// A directoryWorld is what was said of some SIMs and numbers.
type directoryWorld struct {
	*rig
	*rand.Rand
	learn    bool
	begins   bool // a session may begin now
	sessions int
	// By SIM: the directory's last word, and the numbers that it was seen with.
	word [worldSIMs]binding.MSISDN
	with [worldSIMs]map[binding.MSISDN]bool
	told [worldSIMs]binding.MSISDN // the word, if its session has heard it
	// By number: the SIM that signalling saw it with last.
	seen map[binding.MSISDN]int
}

func newDirectoryWorld(t *testing.T, learn bool, r *rand.Rand) *directoryWorld {
	c := oracleConfig
	w := &directoryWorld{Rand: r, learn: learn, seen: map[binding.MSISDN]int{}}
	c.Learn, c.Resolve = learn, func(imsi binding.IMSI, has binding.MSISDN) {
		for i := range w.told {
			if w.imsi(i) == imsi && has != w.told[i] && w.begins {
				w.told[i] = 0 // a new session has heard nothing yet
			}
		}
	}
	w.rig = newRig(t, c)
	for i := range w.with {
		w.with[i] = map[binding.MSISDN]bool{}
	}
	return w
}

func (w *directoryWorld) imsi(i int) binding.IMSI {
	imsi, _ := binding.ParseIMSI(fmt.Sprintf("00101%010d", i+1))
	return imsi
}

func (w *directoryWorld) number() binding.MSISDN {
	return binding.MSISDN(491700000001 + w.IntN(worldSIMs))
}

func (w *directoryWorld) addr(i int) string { return fmt.Sprintf("10.0.0.%d", i+1) }

// A deed is one thing that happens to a SIM and perhaps a number.
type deed struct {
	what string
	sim  int
	m    binding.MSISDN
}

const (
	deedGoesOn = "a session without a number goes on"
	deedEnds   = "it ends"
	deedKnows  = "the directory's word"
	deedNone   = "the directory has none"
	deedBoth   = "signalling brings both"
	deedWait   = "time passes"
	deedKill   = "a restart of ours"
)

// draw chooses what happens next.
func (w *directoryWorld) draw() deed {
	i, m := w.IntN(worldSIMs), w.number()
	if w.IntN(3) == 0 {
		m = binding.MSISDN(491700000001 + i) // as it should be
	}
	switch n := w.IntN(100); {
	case n < 30:
		return deed{deedGoesOn, i, m}
	case n < 40:
		return deed{deedEnds, i, m}
	case n < 75:
		return deed{deedKnows, i, m}
	case n < 80:
		return deed{deedNone, i, m}
	case n < 83:
		return deed{deedBoth, i, m}
	case n < 99:
		return deed{deedWait, i, m}
	}
	return deed{deedKill, i, m}
}

// do has it happen.
func (w *directoryWorld) do(t *testing.T, d deed) {
	i, m := d.sim, d.m
	id, who := fmt.Sprint(i), binding.Subscriber{MSISDN: m, IMSI: w.imsi(i)}
	switch d.what {
	case deedGoesOn:
		w.begins = true // perhaps
		w.say(binding.SessionUpdate, binding.SourcePFCP, "smf", id, sim(who), w.addr(i))
		w.begins = false
	case deedEnds:
		w.say(binding.SessionStop, binding.SourcePFCP, "smf", id, binding.Subscriber{})
	case deedKnows:
		w.word[i], w.told[i] = m, m
		w.unlearn(i, m)
		if by, signalled := w.seen[m]; signalled && by != i {
			w.told[i] = 0 // signalling contradicts it
		}
		w.knows(who.IMSI, m)
	case deedNone:
		w.word[i], w.told[i] = 0, 0
		w.knows(who.IMSI, 0)
	case deedBoth:
		w.seen[m], w.with[i][m] = i, true
		w.told[i] = 0 // it says which number the SIM has
		for j, n := range w.told {
			if n == m {
				w.told[j] = 0 // nor has another one it any more
			}
		}
		w.sessions++ // each has an id of its own
		w.say(binding.SessionStart, binding.SourceGx, "pgw", fmt.Sprint(w.sessions), who, fmt.Sprintf("10.1.0.%d", i+1))
		w.say(binding.SessionStop, binding.SourceGx, "pgw", fmt.Sprint(w.sessions), binding.Subscriber{})
	case deedWait:
		w.pass(time.Second)
	case deedKill:
		w.commit(t)
		w.boot(t, w.cfg)
		w.told = [worldSIMs]binding.MSISDN{} // what was disputed is not stored
	}
}

// unlearn takes away what signalling has taught of a SIM of which the directory
// says another number by now.
func (w *directoryWorld) unlearn(i int, m binding.MSISDN) {
	var learned []binding.MSISDN
	for n, by := range w.seen {
		if by == i {
			learned = append(learned, n)
		}
	}
	if len(learned) == 1 && learned[0] != m {
		delete(w.seen, learned[0])
	}
}

// check counts who matches, and says what is wrong with that.
func (w *directoryWorld) check() (matches int, fault string) {
	holder := map[binding.MSISDN]int{}
	for i := range worldSIMs {
		if _, a := w.Lookup(ask(w.addr(i), 0)); a.Verdict != binding.Match && a.Reason != binding.ReasonNoMSISDN {
			w.told[i] = 0 // no session hears it
		}
	}
	for i := range worldSIMs {
		for n := range worldSIMs {
			m := binding.MSISDN(491700000001 + n)
			if w.verify(w.addr(i), m) != "match/bound" {
				continue
			}
			matches++
			other, twice := holder[m]
			by, signalled := w.seen[m]
			switch {
			case twice:
				return matches, fmt.Sprintf("%v is that of %d and of %d", m, other, i)
			case signalled && by != i:
				return matches, fmt.Sprintf("%v is that of %d, and signalling saw it with %d last", m, i, by)
			case !(signalled && by == i) && w.alsoTold(i, m):
				return matches, fmt.Sprintf("%v is that of %d, and the directory says so of another too", m, i)
			case m != w.word[i] && !(w.learn && w.with[i][m]):
				return matches, fmt.Sprintf("%v is that of %d, of whom the directory said %v", m, i, w.word[i])
			}
			holder[m] = i
		}
	}
	return matches, w.audit()
}

// alsoTold reports that the directory gave a number to another SIM whose session
// goes on, too.
func (w *directoryWorld) alsoTold(i int, m binding.MSISDN) bool {
	for j, other := range w.told {
		if j != i && other == m && w.told[i] == m {
			return true
		}
	}
	return false
}
