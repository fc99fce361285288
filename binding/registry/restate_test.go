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

// TestToldIsWhatTheChangesSay: after any history and for any address, Told and the
// last change agree; and a change that restates says it too.
func TestToldIsWhatTheChangesSay(t *testing.T) { toldAgrees(t, kind{steady: true}) }

func toldAgrees(t *testing.T, k kind) {
	seeds := 10
	if testing.Short() {
		seeds = 2
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
		for i, s := range k.history(seed, 1000) {
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
	for _, p := range []binding.Place{{}, {Domain: "nowhere", Addr: addresses("10.0.0.1")[0]},
		{Domain: "", Addr: addresses("10.0.0.1")[0]}} {
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
	for name, c := range map[string]struct {
		then func(w *tale, g *gateway)
		want string // of simA at ue1
	}{
		"nothing comes":                {func(*tale, *gateway) {}, "stale/unconfirmed"},
		"a restart":                    {func(w *tale, _ *gateway) { w.crash(time.Second) }, "stale/unconfirmed"},
		"its session is heard of":      {func(_ *tale, g *gateway) { g.update("a", simA, "") }, "match/bound"},
		"it begins again":              {func(_ *tale, g *gateway) { g.start("b", simA, ue1) }, "match/bound"},
		"another source says the same": {func(w *tale, _ *gateway) { w.nas("nas").start("r", simA, ue1) }, "match/bound"},
		"it went to another SIM":       {func(_ *tale, g *gateway) { g.start("b", simB, ue1) }, "mismatch/other-number"},
		"another session is heard of":  {func(_ *tale, g *gateway) { g.update("z", simB, "") }, "stale/unconfirmed"},
		"it ends":                      {func(_ *tale, g *gateway) { g.stop("a") }, "unknown/no-binding"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTale(t, taleConfig)
			g := w.pgw("pgw")
			g.start("a", simA, ue1)
			g.start("z", simB, ue2)
			w.wait(time.Second)
			p := binding.Place{Domain: w.changes[0].Domain, Addr: w.changes[0].Addr}
			w.changes = nil
			w.doubt(t, p)
			want := fmt.Sprint(simA.MSISDN, " ", simA.IMSI, " stale unconfirmed")
			if n := len(w.changes); n != 1 || toldSo(&w.changes[0]) != want || w.changes[0].Why != whyTakeover {
				t.Errorf("%d changes: %+v", n, w.changes)
			}
			w.want(ue1, simA, "stale/unconfirmed")
			w.holds(ue2, simB)
			w.wait(time.Second)
			c.then(w, g)
			w.wait(time.Second)
			w.want(ue1, simA, c.want)
			last := "stale unconfirmed"
			for i := range w.changes {
				if ch := &w.changes[i]; ch.Addr == addresses(ue1)[0] {
					last = ch.State.String() + " " + ch.Reason.String()
				}
			}
			told := map[string]string{
				"stale/unconfirmed": "stale unconfirmed", "match/bound": "bound bound", "mismatch/other-number": "bound bound",
				"unknown/no-binding": "released ended",
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
