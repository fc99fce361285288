package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/simbind/simbind/binding/worldtest"
)

// TestOracle has worlds of every kind told to whole daemons, as octets. The
// environment says more: SIMBIND_ORACLE_TURNS how long each is,
// SIMBIND_ORACLE_SEED the seed, SIMBIND_ORACLE_PROFILE the only one, with
// SIMBIND_ORACLE_STRICT a right answer that is withheld on a quiet line is a
// failure too; SIMBIND_ORACLE_HISTORY plays one history of a run alone.
func TestOracle(t *testing.T) {
	turns, seed := 1500, uint64(1)
	if testing.Short() {
		turns = 300
	}
	if v := os.Getenv("SIMBIND_ORACLE_TURNS"); v != "" {
		var err error
		if turns, err = strconv.Atoi(v); err != nil {
			t.Fatalf("SIMBIND_ORACLE_TURNS: %v", err)
		}
	}
	if v := os.Getenv("SIMBIND_ORACLE_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("SIMBIND_ORACLE_SEED: %v", err)
		}
	}
	played := 0
	for _, p := range worldtest.Profiles() {
		p, spoken := p.Wired()
		if !spoken {
			continue
		}
		p.Patience, p.Strict = 300, os.Getenv("SIMBIND_ORACLE_STRICT") != ""
		manners := map[string]manner{p.Name: {process: p.Name == "kills"}}
		if p.Name == "gx" {
			manners["gx relayed"] = manner{relay: true}
		}
		for name, m := range manners {
			if only := os.Getenv("SIMBIND_ORACLE_PROFILE"); only != "" && only != name {
				continue
			}
			played++
			t.Run(name, func(t *testing.T) {
				report := worldtest.Report{}
				if history, err := strconv.ParseUint(os.Getenv("SIMBIND_ORACLE_HISTORY"), 10, 64); err == nil {
					report = worldtest.Play(p, seed, history, newWired(t, m))
				} else {
					report = worldtest.Run(p, seed, turns, newWired(t, m))
				}
				t.Log(&report)
				if report.Wrong+report.Denied > 0 {
					t.Errorf("%d wrong, %d denied", report.Wrong, report.Denied)
				}
			})
		}
	}
	if played == 0 {
		t.Errorf("there is no profile %q", os.Getenv("SIMBIND_ORACLE_PROFILE"))
	}
}
