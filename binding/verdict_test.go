package binding

import "testing"

func TestEveryReasonHasItsVerdict(t *testing.T) {
	said := map[string]bool{}
	for r := ReasonBound; r.Valid(); r++ {
		name := r.String()
		if back, err := ParseReason(name); err != nil || back != r || said[name] || name == "" {
			t.Errorf("%q is read as %v, %v", name, back, err)
		}
		said[name] = true
		if !r.Fits(r.Verdict()) {
			t.Errorf("%s does not go with its own verdict", name)
		}
		if r.IsDoubt() && r != ReasonBound && (r.Verdict() == Match || r.Verdict() == Mismatch) {
			t.Errorf("%s is a doubt, and its verdict %s", name, r.Verdict())
		}
		for v := range verdicts {
			a, err := ParseAnswer(v.String(), name)
			switch {
			case r.Fits(v) && (err != nil || a != Answer{Verdict: v, Reason: r}):
				t.Errorf("%s %s is read as %+v, %v", v, name, a, err)
			case !r.Fits(v) && err == nil:
				t.Errorf("%s %s is taken", v, name)
			}
		}
	}
}

func TestAnAnswerOfAnotherVersionIsRefused(t *testing.T) {
	for _, tt := range []struct{ claim, verdict, reason string }{
		{"a verdict that is not known", "perhaps", "bound"},
		{"a reason that is not known", "match", "of-tomorrow"},
		{"a match with a doubt", "match", "conflict"},
		{"nothing", "", ""},
	} {
		if a, err := ParseAnswer(tt.verdict, tt.reason); err == nil || a != (Answer{}) {
			t.Errorf("%s: %+v, %v", tt.claim, a, err)
		}
	}
}

func TestABindingShowsTheDoubtOfItsAnswer(t *testing.T) {
	for r := ReasonBound; r.Valid(); r++ {
		for v := range verdicts {
			if !r.Fits(v) {
				continue
			}
			b := Binding{State: StateBound}.Under(Answer{Verdict: v, Reason: r})
			if sure := v == Match || r == ReasonNoMSISDN; (b.State == StateBound) != sure || b.Reason != r {
				t.Errorf("%s %s: %s %s", v, r, b.State, b.Reason)
			}
			stale := Binding{State: StateStale, Reason: ReasonLease}
			if got := stale.Under(Answer{Verdict: v, Reason: r}); got != stale {
				t.Errorf("%s %s makes of what is stale %s %s", v, r, got.State, got.Reason)
			}
		}
	}
}
