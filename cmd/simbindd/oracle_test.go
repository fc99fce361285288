package main

import (
	"testing"

	"github.com/simbind/simbind/binding/worldtest"
)

// TestOracle has worlds of every kind told to whole daemons, as octets. The
// environment says more: SIMBIND_ORACLE_TURNS how long each is,
// SIMBIND_ORACLE_SEED the seed, SIMBIND_ORACLE_PROFILE the only one, with
// SIMBIND_ORACLE_STRICT a right answer that is withheld on a quiet line is a
// failure too; SIMBIND_ORACLE_HISTORY plays one history of a run alone.
func TestOracle(t *testing.T) {
	turns := 1500
	if testing.Short() {
		turns = 300
	}
	asked := worldtest.Asks(t, turns)
	for _, p := range worldtest.Profiles() {
		p, spoken := p.Wired()
		if !spoken {
			continue
		}
		p.Patience, p.Strict = 300, asked.Strict
		manners := map[string]manner{p.Name: {process: p.Name == "kills"}}
		if p.Name == "gx" {
			manners["gx relayed"] = manner{relay: true}
		}
		for name, m := range manners {
			if !asked.For(name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				report := asked.Play(p, newWired(t, m))
				t.Log(&report)
				if report.Wrong+report.Denied > 0 {
					t.Errorf("%d wrong, %d denied", report.Wrong, report.Denied)
				}
			})
		}
	}
	asked.Done(t)
}
