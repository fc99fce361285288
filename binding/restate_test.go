package binding

import (
	"fmt"
	"maps"
	"testing"
)

// toldSo is what a change leaves with who applies it: the same for a change and
// for what Told says after it.
func toldSo(c *Change) string {
	switch c.Kind {
	case Released:
		return "released"
	case Conflict:
		return "conflict"
	}
	return fmt.Sprint(c.Now.MSISDN, " ", c.Now.IMSI, " ", c.State, " ", c.Reason)
}

// TestToldIsWhatTheChangesSay: after any history, restarts among it, and for any
// address, Told and the last change agree; and a change that restates says it too.
func TestToldIsWhatTheChangesSay(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 4
	}
	for seed := range uint64(seeds) {
		g, last := newRig(t, oracleConfig), map[Place]string{}
		apply := func() {
			for i := range g.changes {
				if c := &g.changes[i]; c.Kind != SIMChange {
					last[Place{c.Domain, c.Addr}] = toldSo(c)
				}
			}
			g.changes = nil
		}
		for i, s := range makeHistory(seed, 1000) {
			g.now = g.now.Add(s.wait)
			g.sweepAll()
			g.take(t, oracleConfig, s)
			g.commit(t)
			apply()
			for p, want := range last {
				if c := g.Told(p); toldSo(&c) != want {
					t.Fatalf("seed %d, step %d: of %v the changes say %q, Told says %q", seed, i, p, want, toldSo(&c))
				}
			}
		}
		before := maps.Clone(last)
		for p := range before {
			c := g.Told(p)
			g.emit(c, &fact{Event: &Event{}, now: g.now.UnixMilli(), t: g.now.UnixMilli()}, false)
		}
		g.commit(t)
		apply()
		if !maps.Equal(before, last) {
			t.Fatalf("seed %d: said again it is %v, it was %v", seed, last, before)
		}
	}
}

func TestOfNoPlaceNothingIsTold(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	for _, p := range []Place{{}, {Domain: "nowhere", Addr: addresses("10.0.0.1")[0]}, {Domain: "", Addr: addresses("10.0.0.1")[0]}} {
		if c := g.Told(p); c.Kind != Released || c.State != StateReleased {
			t.Errorf("of %v: %+v", p, c)
		}
	}
}
