package feed

import (
	"encoding/json"
	"testing"

	"github.com/simbind/simbind/binding"
)

// TestNoDoubtOfASiteIsAYes: whatever one site answers, another reads the same
// verdict and reason of it, and what follows relies on a match alone.
func TestNoDoubtOfASiteIsAYes(t *testing.T) {
	asker := newFakeAsker(t)
	s := &service{cfg: Config{PublishMSISDN: Clear}, asker: asker, health: &health{}}
	for r := binding.ReasonBound; r.Valid(); r++ {
		for v := binding.Unknown; v <= binding.Stale; v++ {
			if !r.Fits(v) || v == binding.Mismatch { // which is no answer to who holds it
				continue
			}
			asker.a = binding.Answer{Verdict: v, Reason: r}
			row := toldRow{}
			reply(t, s.lookup, `{"addr":"10.0.0.1"}`, &row)
			if a, err := row.answer(); err != nil || a != asker.a {
				t.Errorf("%s %s: lookup is read as %s %s, %v", v, r, a.Verdict, a.Reason, err)
			}
			ev, ok, err := row.event("lab", testTime)
			sure := v == binding.Match || r == binding.ReasonNoMSISDN // the SIM is
			if err != nil || !ok || (ev.Doubt == binding.ReasonBound) != sure || r.IsDoubt() && ev.Doubt != r {
				t.Errorf("%s %s: a follower takes it for %s, %v", v, r, ev.Doubt, err)
			}
			var told verifyReply
			reply(t, s.verify, `{"addr":"10.0.0.1","number":"+491700000001"}`, &told)
			if a, err := binding.ParseAnswer(told.Verdict, told.Reason); err != nil || a != asker.a {
				t.Errorf("%s %s: verify is read as %s %s, %v", v, r, a.Verdict, a.Reason, err)
			}
		}
	}
}

// reply asks and reads the answer as another site does.
func reply(t *testing.T, ask func([]byte) (any, error), request string, into any) {
	t.Helper()
	answer, err := ask([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func TestWhatALaterVersionSaysIsADoubt(t *testing.T) {
	for _, tt := range []struct {
		claim, state, reason string
		doubt                binding.Reason
	}{
		{"nothing is no doubt", "", "", binding.ReasonBound},
		{"a sure state is none, whatever its reason", "bound", "of-tomorrow", binding.ReasonBound},
		{"a doubt is that doubt", "ambiguous", "order", binding.ReasonOrder},
		{"an unsure state without a reason", "unknown", "", binding.ReasonUnconfirmed},
		{"an unsure state with a sure reason", "ambiguous", "bound", binding.ReasonUnconfirmed},
		{"a reason that is not known", "ambiguous", "of-tomorrow", binding.ReasonUnconfirmed},
		{"a state that is not known", "shaken", "conflict", binding.ReasonUnconfirmed},
	} {
		row := toldRow{told: told{Domain: "internet", Addr: "10.0.0.1", State: tt.state, Reason: tt.reason}}
		if ev, ok, err := row.event("lab", testTime); err != nil || !ok || ev.Doubt != tt.doubt {
			t.Errorf("%s: %s, %v; want %s", tt.claim, ev.Doubt, err, tt.doubt)
		}
	}
}
