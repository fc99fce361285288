package worldtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/simbind/simbind/binding"
)

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
	// Quiet questions have a certain holder on a quiet line; those that were not
	// answered with a match are counted by verdict and reason.
	Quiet    int
	Withheld map[string]int

	// Failure is the first wrong or denied answer, made short; nil without one.
	Failure *Failure
}

// A Failure is a short history that ends in a wrong or denied answer.
type Failure struct {
	History uint64 // which one of the run
	Denied  bool
	Steps   int    // what is left of it
	Text    string // the history, the question, the answer, and why it is wrong
}

func (r *Report) withhold(a binding.Answer) {
	if r.Withheld == nil {
		r.Withheld = map[string]int{}
	}
	r.Withheld[a.Verdict.String()+" "+a.Reason.String()]++
}

// WithheldPerMille is the share of quiet questions that were not answered.
func (r *Report) WithheldPerMille() float64 {
	if r.Quiet == 0 {
		return 0
	}
	n := 0
	for _, k := range r.Withheld {
		n += k
	}
	return 1000 * float64(n) / float64(r.Quiet)
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s seed %d: %d histories, %d events, %d questions, %d matches, %d wrong, %d denied, %d undecided; "+
		"of %d quiet %.2f per mille withheld", r.Profile, r.Seed, r.Histories, r.Events, r.Questions, r.Matches,
		r.Wrong, r.Denied, r.Undecided, r.Quiet, r.WithheldPerMille())
	for _, why := range slices.Sorted(maps.Keys(r.Withheld)) {
		fmt.Fprintf(&b, ", %s %d", why, r.Withheld[why])
	}
	if r.Failure != nil {
		fmt.Fprintf(&b, "\n%s", r.Failure.Text)
	}
	return b.String()
}
