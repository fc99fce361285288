package registry

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestADirectoryNeverMakesTheWrongMatch in random histories of SIMs whose
// sessions bring no number, of sessions that bring both, of a directory's words,
// right and wrong, and of restarts of ours.
func TestADirectoryNeverMakesTheWrongMatch(t *testing.T) {
	const steps = 20_000
	for _, learn := range []bool{false, true} {
		t.Run(fmt.Sprintf("learned numbers count: %v", learn), func(t *testing.T) {
			seed := rand.Uint64()
			w := newDirectoryWorld(t, learn, rand.New(rand.NewPCG(seed, 1)))
			matches := 0
			for n := range steps {
				what := w.step(t)
				m, fault := w.check()
				matches += m
				if fault != "" {
					t.Fatalf("seed %d, step %d, %s: %s", seed, n, what, fault)
				}
			}
			if matches < steps/20 {
				t.Errorf("only %d matches", matches)
			}
		})
	}
}

const worldSIMs = 4

// A directoryWorld is what was said of some SIMs and numbers.
type directoryWorld struct {
	*rig
	*rand.Rand
	learn    bool
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
	c.Learn, c.Resolve = learn, func(binding.IMSI, binding.MSISDN) {}
	w := &directoryWorld{rig: newRig(t, c), Rand: r, learn: learn, seen: map[binding.MSISDN]int{}}
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

// step has one thing happen, and says what.
func (w *directoryWorld) step(t *testing.T) string {
	i, m := w.IntN(worldSIMs), w.number()
	if w.IntN(3) == 0 {
		m = binding.MSISDN(491700000001 + i) // as it should be
	}
	id, who := fmt.Sprint(i), binding.Subscriber{MSISDN: m, IMSI: w.imsi(i)}
	switch n := w.IntN(100); {
	case n < 30:
		w.say(binding.SessionUpdate, binding.SourcePFCP, "smf", id, sim(who), w.addr(i))
		return fmt.Sprint("a session without a number goes on: ", i)
	case n < 40:
		w.say(binding.SessionStop, binding.SourcePFCP, "smf", id, binding.Subscriber{})
		return fmt.Sprint("it ends: ", i)
	case n < 75:
		w.word[i], w.told[i] = m, m
		w.knows(who.IMSI, m)
		return fmt.Sprint("the directory's word: ", i, m)
	case n < 80:
		w.word[i], w.told[i] = 0, 0
		w.knows(who.IMSI, 0)
		return fmt.Sprint("the directory has none: ", i)
	case n < 83:
		w.seen[m], w.with[i][m] = i, true
		w.told[i] = 0 // it says which number the SIM has
		w.sessions++  // each has an id of its own
		w.say(binding.SessionStart, binding.SourceGx, "pgw", fmt.Sprint(w.sessions), who, fmt.Sprintf("10.1.0.%d", i+1))
		w.say(binding.SessionStop, binding.SourceGx, "pgw", fmt.Sprint(w.sessions), binding.Subscriber{})
		return fmt.Sprint("signalling brings both: ", i, m)
	case n < 99:
		w.pass(time.Second)
		return "time passes"
	}
	w.commit(t)
	w.boot(t, w.cfg)
	w.told = [worldSIMs]binding.MSISDN{} // what was disputed is not stored
	return "a restart of ours"
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
