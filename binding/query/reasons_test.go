package query

import (
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
)

// TestNoDoubtIsAYes: whatever the reason, VERIFY says it with its verdict, and
// LOOKUP, GET and MGET give a holder for sure only where VERIFY would match.
func TestNoDoubtIsAYes(t *testing.T) {
	for r := binding.ReasonBound; r.Valid(); r++ {
		for v := binding.Unknown; v <= binding.Stale; v++ {
			if !r.Fits(v) || v == binding.Mismatch { // which LOOKUP never says
				continue
			}
			f := newFake(100)
			f.answers[addrOf("10.45.0.7")] = binding.Answer{Verdict: v, Reason: r, Version: 9}
			s, c, _ := offline(t, f)
			say := func(request string) string {
				return flat(exchange(t, s, c, []byte(request+"\r\n"))[0])
			}
			if got, want := say("VERIFY 10.45.0.7 +491700000007"), "*["+v.String()+" "+r.String()+" 0 9]"; got != want {
				t.Errorf("VERIFY says %s, want %s", got, want)
			}
			held := say("LOOKUP 10.45.0.7")
			sure := v == binding.Match || r == binding.ReasonNoMSISDN // the SIM is
			if strings.Contains(held, " state bound ") != sure || !strings.Contains(held, " reason "+r.String()+" ") {
				t.Errorf("%s %s: LOOKUP says %s", v, r, held)
			}
			for _, request := range []string{"GET 10.45.0.7", "MGET 10.45.0.7"} {
				if got := say(request); strings.Contains(got, "+491700000007") != (v == binding.Match) {
					t.Errorf("%s %s: %s says %s", v, r, request, got)
				}
			}
		}
	}
}
