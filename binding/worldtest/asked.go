package worldtest

import (
	"os"
	"strconv"
	"testing"
)

// An Asked is what the environment asks of a test that plays histories: see
// docs/oracle.md.
type Asked struct {
	Turns   int    // how long each run is
	Seed    uint64 // of the runs
	Strict  bool   // a right answer that is withheld on a quiet line is a failure too
	Explain bool   // show what was known when a history went wrong
	profile string // the only one, if it is not empty
	history *uint64
	played  int
}

// Asks reads the environment, where it asks for nothing else for so many turns.
// The test fails if a value is none.
func Asks(t testing.TB, turns int) *Asked {
	t.Helper()
	a := &Asked{
		Turns: turns, Seed: 1, profile: os.Getenv("SIMBIND_ORACLE_PROFILE"),
		Strict: os.Getenv("SIMBIND_ORACLE_STRICT") != "", Explain: os.Getenv("SIMBIND_ORACLE_EXPLAIN") != "",
	}
	number := func(name string, take func(uint64)) {
		v := os.Getenv(name)
		if v == "" {
			return
		}
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		take(n)
	}
	number("SIMBIND_ORACLE_TURNS", func(n uint64) { a.Turns = int(n) })
	number("SIMBIND_ORACLE_SEED", func(n uint64) { a.Seed = n })
	number("SIMBIND_ORACLE_HISTORY", func(n uint64) { a.history = &n })
	return a
}

// For reports whether a profile of this name is asked for.
func (a *Asked) For(name string) bool {
	if a.profile != "" && a.profile != name {
		return false
	}
	a.played++
	return true
}

// Play plays what is asked for of a profile.
func (a *Asked) Play(p Profile, factory Factory) Report {
	if a.history != nil {
		return Play(p, a.Seed, *a.history, factory)
	}
	return Run(p, a.Seed, a.Turns, factory)
}

// Done fails the test if no profile was played.
func (a *Asked) Done(t testing.TB) {
	t.Helper()
	if a.played == 0 {
		t.Errorf("there is no profile %q", a.profile)
	}
}
