package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/simbind/simbind/binding/worldtest"
)

// TestOracle has worlds of every kind told to whole daemons, as octets. The
// environment says more: SIMBIND_ORACLE_TURNS how long each is,
// SIMBIND_ORACLE_SEED the seed, SIMBIND_ORACLE_PROFILE the only one.
func TestOracle(t *testing.T) {
	turns, seed := 400, uint64(1)
	if testing.Short() {
		turns = 100
	}
	if v, err := strconv.Atoi(os.Getenv("SIMBIND_ORACLE_TURNS")); err == nil {
		turns = v
	}
	if v, err := strconv.ParseUint(os.Getenv("SIMBIND_ORACLE_SEED"), 10, 64); err == nil {
		seed = v
	}
	for _, p := range worldtest.Profiles() {
		p, spoken := p.Wired()
		if only := os.Getenv("SIMBIND_ORACLE_PROFILE"); !spoken || only != "" && only != p.Name {
			continue
		}
		p.Patience = 300
		t.Run(p.Name, func(t *testing.T) {
			report := worldtest.Run(p, seed, turns, newWired(t, p.Happens.Kill > 0.5))
			t.Log(&report)
			if report.Wrong+report.Denied > 0 {
				t.Errorf("%d wrong, %d denied", report.Wrong, report.Denied)
			}
		})
	}
}
