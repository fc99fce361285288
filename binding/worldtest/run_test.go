package worldtest

import (
	"testing"
)

// profile finds one by its name.
func profile(t testing.TB, name string) Profile {
	for _, p := range Profiles() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no profile %q", name)
	return Profile{}
}

func TestTheTruthIsNeverBlamed(t *testing.T) {
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			r := Run(p, 1, 4000, newScholar(0))
			withheld := len(r.Quiet.Withheld) + len(r.Stepped.Withheld) + len(r.Blind.Withheld) + len(r.Room.Withheld)
			if r.Wrong+r.Denied+withheld > 0 {
				t.Error(r.String())
			}
			if r.Matches < r.Questions/20 {
				t.Errorf("only %d matches in %d questions", r.Matches, r.Questions)
			}
			t.Log(r.String())
		})
	}
}

func TestMutantsAreFound(t *testing.T) {
	for _, m := range []struct {
		name    string
		fault   fault
		profile string
	}{
		{"believes whoever was heard last", saysFormer, "steady"},
		{"believes whoever was heard last on Gx", saysFormer, "gx"},
		{"believes whoever was heard last without time", saysFormer, "no time"},
		{"ignores ends", ignoresEnds, "steady"},
		{"ignores successors", ignoresSuccessors, "steady"},
		{"ignores what a Stop says of the address", ignoresOldSIM, "steady"},
		{"ignores restarts", ignoresRestarts, "restarts"},
		{"ignores the Origin-State-Id", ignoresRestarts, "gx"},
		{"ignores that a user plane restarted", ignoresRestarts, "overheard"},
		{"believes liars", believesLiars, "liars"},
		{"believes liars about numbers", believesLiars, "impostors"},
		{"ignores releases", ignoresReleases, "releases"},
		{"keeps the first number", oldNumber, "identity"},
		{"ignores ports", ignoresPorts, "blocks"},
		{"ignores what is given up", ignoresGone, "ranges"},
		{"ignores that prefixes overlap", ignoresRanges, "ranges"},
		{"ignores that blocks overlap", ignoresRanges, "blocks"},
		{"believes the other source after an end", oneSource, "two sources"},
		{"forgets ends when killed", forgets, "kills"},
		{"ignores that an id was used again", ignoresReuse, "reuse"},
		{"lets a session inherit a name", inherits, "reuse"},
		{"ignores a new attach", ignoresReattach, "reattach"},
		{"ignores domains", ignoresDomains, "domains"},
		{"trusts clocks that are set", trustsStamps, "stepping"},
		{"trusts a clock that is set once", trustsStamps, "stepped"},
		{"trusts a bad stamp", trustsStamps, "bad stamp"},
		{"takes a second restart for a repetition", dropsDoubles, "restarts"},
		{"denies the holder", deniesHolder, "steady"},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := profile(t, m.profile)
			questions := 0
			for seed := uint64(0); questions < 100_000; seed++ {
				r := Run(p, seed, 2000, newScholar(m.fault))
				questions += r.Questions
				if r.Failure == nil {
					continue
				}
				t.Logf("after %d questions:\n%s", questions, r.Failure.Text)
				if r.Failure.Steps > 8 {
					t.Errorf("%d steps are left of the history", r.Failure.Steps)
				}
				return
			}
			t.Errorf("not found in %d questions", questions)
		})
	}
}
