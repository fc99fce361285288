package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
)

// TestEveryReasonIsExplained in the words of the reference, and only a match is a
// yes.
func TestEveryReasonIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/query-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for r := binding.ReasonBound; r.Valid(); r++ {
		t.Run(r.String(), func(t *testing.T) {
			row := regexp.MustCompile("\\| `" + r.Verdict().String() + "` \\| `" + r.String() + "` \\| (.*) \\|").FindSubmatch(page)
			if row == nil {
				t.Fatal("docs/query-protocol.md does not list it")
			}
			if text := strings.ReplaceAll(string(row[1]), "`", ""); text != meaning(r.String()) {
				t.Errorf("means %q, and in docs/query-protocol.md %q", meaning(r.String()), text)
			}
			for v := binding.Unknown; v <= binding.Stale; v++ {
				if !r.Fits(v) {
					continue
				}
				reg := newFakeRegistry()
				for addr, a := range reg.answers {
					a.Verdict, a.Reason = v, r
					reg.answers[addr] = a
				}
				s := newSession("--socket", serve(t, reg), "verify", "10.45.0.7", "+34600000001")
				code, want := s.run(), exitNo
				if v == binding.Match {
					want = exitYes
				}
				for _, word := range []string{v.String(), r.String(), meaning(r.String())} {
					if code != want || !strings.Contains(s.out.String(), word) {
						t.Errorf("exit %d, want %d and %q in\n%s", code, want, word, &s.out)
					}
				}
			}
		})
	}
	if got := meaning("of-tomorrow"); got != "" {
		t.Errorf("a reason that is not known means %q", got)
	}
}
