package worldtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/simbind/simbind/binding"
)

// Run plays histories of a profile to fresh subjects until they took so many
// turns together. The same arguments give the same histories. A wrong or denied
// answer ends its history, and the first one is made short. Runs may be played
// at the same time.
func Run(p Profile, seed uint64, turns int, factory Factory) Report {
	r := Report{Profile: p.Name, Seed: seed}
	for history := uint64(0); r.Turns < turns; history++ {
		play(&p, seed, history, turns-r.Turns, &r, factory)
	}
	return r
}

// Play plays one history of a run, as Failure.History names it.
func Play(p Profile, seed, history uint64, factory Factory) Report {
	r := Report{Profile: p.Name, Seed: seed}
	play(&p, seed, history, p.Turns, &r, factory)
	return r
}

func play(p *Profile, seed, history uint64, turns int, r *Report, factory Factory) {
	r.Histories++
	g := newGame(p, seed, history, r, factory)
	g.play(min(p.Turns, turns))
	if g.blamed == nil {
		return
	}
	if g.finding == withheld {
		// It is counted where it is found.
	} else if g.finding == wrong {
		r.Wrong++
	} else {
		r.Denied++
	}
	if r.Failure != nil {
		r.Others = append(r.Others, history)
		return
	}
	r.Failure = g.shrink(factory)
	r.Failure.History = history
}

// A Report says how a subject did.
type Report struct {
	Profile string
	Seed    uint64

	Histories, Turns, Events int
	Questions, Matches       int
	// Wrong are matches that a delivered message forbids, Denied mismatches for
	// the only holder. The first one ends its history.
	Wrong, Denied int
	// Undecided answers are matches that nobody can judge from what was
	// delivered.
	Undecided int
	// Quiet questions have a certain holder on a perfect line.
	Quiet Tally
	// Stepped ones are such whose node's clock was set, but eight words of the
	// node and two of the session ago; Blind ones such whose node has no stamps,
	// and named the holder again when its words from before the last change could
	// come no more; Room ones such that had two words since there is room again.
	Stepped, Blind, Room Tally

	// Failure is the first wrong or denied answer, made short; nil without one.
	Failure *Failure
	// Others are the histories of the other ones, which Play plays.
	Others []uint64
}

// A Failure is a short history that ends in a wrong or denied answer.
type Failure struct {
	History uint64 // which one of the run
	Denied  bool
	Steps   int    // what is left of it
	Text    string // the history, the question, the answer, and why it is wrong
	// Replay tells what is left of it to another subject.
	Replay func(Factory)
}

// A Tally counts questions that should be answered with a match, and those that
// were not, by verdict and reason.
type Tally struct {
	Asked    int
	Withheld map[string]int
}

func (t *Tally) add(a binding.Answer) {
	t.Asked++
	if a.Verdict == binding.Match {
		return
	}
	if t.Withheld == nil {
		t.Withheld = map[string]int{}
	}
	t.Withheld[a.Verdict.String()+" "+a.Reason.String()]++
}

// PerMille is the share that was not answered with a match.
func (t *Tally) PerMille() float64 {
	n := 0
	for _, k := range t.Withheld {
		n += k
	}
	return 1000 * float64(n) / float64(max(t.Asked, 1))
}

func (t *Tally) append(b *strings.Builder, name string) {
	if t.Asked == 0 {
		return
	}
	fmt.Fprintf(b, "; of %d %s %.2f per mille withheld", t.Asked, name, t.PerMille())
	for _, why := range slices.Sorted(maps.Keys(t.Withheld)) {
		fmt.Fprintf(b, ", %s %d", why, t.Withheld[why])
	}
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s seed %d: %d histories, %d events, %d questions, %d matches, %d wrong, %d denied, %d undecided",
		r.Profile, r.Seed, r.Histories, r.Events, r.Questions, r.Matches, r.Wrong, r.Denied, r.Undecided)
	r.Quiet.append(&b, "quiet")
	r.Stepped.append(&b, "after a step")
	r.Blind.append(&b, "without time")
	r.Room.append(&b, "with room again")
	if r.Failure != nil {
		fmt.Fprintf(&b, "\n%s", r.Failure.Text)
		if len(r.Others) > 0 {
			fmt.Fprintf(&b, "so do histories %d\n", r.Others)
		}
	}
	return b.String()
}
