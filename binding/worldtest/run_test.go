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
			r := Run(p, 1, 8000, newScholar(0))
			if r.Wrong+r.Denied > 0 || len(r.Quiet.Withheld)+len(r.Stepped.Withheld)+len(r.Blind.Withheld)+len(r.Room.Withheld) > 0 {
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
		{"ignores ends", ignoresEnds, "steady"},
		{"ignores successors", ignoresSuccessors, "steady"},
		{"denies the holder", deniesHolder, "steady"},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := profile(t, m.profile)
			for seed := range uint64(10) {
				r := Run(p, seed, 2000, newScholar(m.fault))
				if r.Failure != nil {
					t.Logf("after %d questions:\n%s", r.Questions, r.Failure.Text)
					return
				}
			}
			t.Error("not found")
		})
	}
}
