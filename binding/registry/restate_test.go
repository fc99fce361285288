package registry

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// toldSo is what a change leaves with who applies it: the same for a change and
// for what Told says after it.
func toldSo(c *binding.Change) string {
	switch c.Kind {
	case binding.Released:
		return "released"
	case binding.Conflict:
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
		g, last := newRig(t, oracleConfig), map[binding.Place]string{}
		apply := func() {
			for i := range g.changes {
				if c := &g.changes[i]; c.Kind != binding.SIMChange {
					last[binding.Place{Domain: c.Domain, Addr: c.Addr}] = toldSo(c)
				}
			}
			g.changes = nil
		}
		for i, s := range makeHistory(seed, 1000) {
			g.now = g.now.Add(s.wait)
			g.sweepAll()
			g.live(t, oracleConfig, s)
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
			g.emit(c, own(g.now.UnixMilli(), whyTakeover), false)
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
	for _, p := range []binding.Place{{}, {Domain: "nowhere", Addr: addresses("10.0.0.1")[0]}, {Domain: "", Addr: addresses("10.0.0.1")[0]}} {
		if c := g.Told(p); c.Kind != binding.Released || c.State != binding.StateReleased {
			t.Errorf("of %v: %+v", p, c)
		}
	}
}

// doubt is Registry.Doubt without its goroutine.
func (g *rig) doubt(t *testing.T, p binding.Place) {
	t.Helper()
	g.doubtPlace(p, own(g.now.UnixMilli(), whyTakeover))
	c := g.Told(p)
	c.Why = whyTakeover
	g.emit(c, own(g.now.UnixMilli(), whyTakeover), false)
	g.commit(t)
}

func TestADoubtedPlaceIsUnconfirmedUntilItIsHeardOfAgain(t *testing.T) {
	const x, y = "10.0.0.1", "10.0.0.2"
	for name, c := range map[string]struct {
		then func(*rig)
		want string // of simA at x
	}{
		"nothing comes":                {func(*rig) {}, "stale/unconfirmed"},
		"a restart":                    {func(g *rig) { g.boot(t, doubtConfig) }, "stale/unconfirmed"},
		"its session is heard of":      {func(g *rig) { g.say(binding.SessionUpdate, binding.SourceGx, "pgw1", "g1", simA) }, "match/bound"},
		"it begins again":              {func(g *rig) { g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x) }, "match/bound"},
		"another source says the same": {func(g *rig) { g.say(binding.SessionStart, binding.SourceRADIUS, "nas1", "r1", simA, x) }, "match/bound"},
		"it went to another SIM":       {func(g *rig) { g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g2", simB, x) }, "mismatch/other-number"},
		"another session is heard of":  {func(g *rig) { g.say(binding.SessionUpdate, binding.SourceGx, "pgw1", "g9", simB) }, "stale/unconfirmed"},
		"it ends":                      {func(g *rig) { g.say(binding.SessionStop, binding.SourceGx, "pgw1", "g1", simA) }, "unknown/no-binding"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, doubtConfig)
			g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x)
			g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g9", simB, y)
			g.pass(time.Second)
			g.commit(t)
			p := binding.Place{Domain: g.changes[0].Domain, Addr: g.changes[0].Addr}
			g.changes = nil
			g.doubt(t, p)
			if n := len(g.changes); n != 1 || toldSo(&g.changes[0]) != fmt.Sprint(simA.MSISDN, " ", simA.IMSI, " stale unconfirmed") || g.changes[0].Why != whyTakeover {
				t.Errorf("%d changes: %+v", n, g.changes)
			}
			wantVerdict(t, g, x, simA, "stale/unconfirmed")
			wantVerdict(t, g, y, simB, "match/bound")
			g.pass(time.Second)
			c.then(g)
			g.pass(time.Second)
			g.commit(t)
			wantVerdict(t, g, x, simA, c.want)
			last := "stale unconfirmed"
			for i := range g.changes {
				if ch := &g.changes[i]; ch.Addr == addresses(x)[0] {
					last = ch.State.String() + " " + ch.Reason.String()
				}
			}
			told := map[string]string{
				"stale/unconfirmed": "stale unconfirmed", "match/bound": "bound bound", "mismatch/other-number": "bound bound", "unknown/no-binding": "released ended",
			}[c.want]
			if last != told {
				t.Errorf("consumers were told %q last, want %q", last, told)
			}
		})
	}
}

func TestOfNoPlaceThereIsNothingToDoubt(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	p := binding.Place{Domain: "nowhere", Addr: addresses("10.0.0.1")[0]}
	g.doubtPlace(p, own(g.now.UnixMilli(), whyTakeover))
	g.doubtPlace(binding.Place{}, own(g.now.UnixMilli(), whyTakeover))
	g.commit(t)
	if len(g.changes) != 0 {
		t.Errorf("%+v", g.changes)
	}
}
