package binding

import (
	"fmt"
	"testing"
)

// tight has hardly any room.
var tight = func() Config {
	c := oracleConfig
	c.Capacity, c.Addresses, c.Tombstones = 8, 6, 3
	return c
}()

// TestOracleUnderPressure replays random histories where there is hardly room:
// sessions are refused, tombstones make room early. The model knows no
// capacity, the plain reading of the history needs none: whatever was refused
// or forgotten, no match may contradict what was heard (T3, T14).
func TestOracleUnderPressure(t *testing.T) {
	histories := uint64(60)
	if testing.Short() {
		histories = 4
	}
	matches := 0
	for seed := range histories {
		history := makeHistory(5000+seed, 1000)
		res := replayTight(t, history)
		matches += res.registrySays
		if res.fault != "" {
			short := shrink(t, replayTight, history[:res.at+1], res.class)
			t.Fatalf("history %d: %s\nshortest history (%d steps):\n%s\n%s", seed, res.fault, len(short), printHistory(short), replayTight(t, short).fault)
		}
	}
	if t.Logf("%d matches", matches); matches < int(histories)*50 {
		t.Error("that proves little")
	}
}

// replayTight is replay with hardly any room, against the plain reading alone.
func replayTight(t *testing.T, history []step) (res replayed) {
	g, past := newRig(t, tight), &pastEvents{}
	for i, s := range history {
		g.now = g.now.Add(s.wait)
		g.sweepAll()
		g.take(t, tight, s)
		if s.release == 0 && !s.restart {
			past.hear(s.ev, g.now)
		}
		res.at = i
		if res.fault = g.audit(); res.fault != "" {
			res.class = "audit"
			return res
		}
		if i%4 != 0 && i != len(history)-1 {
			continue // the plain reading is slow
		}
		for _, q := range askable {
			for _, sim := range oracleSIMs {
				if g.verifyAt(q, sim.MSISDN) != "match/bound" {
					continue
				}
				res.registrySays++
				b, _ := g.Lookup(q)
				if doubt := past.forbids(b.Addr, sim, g.now); doubt != "" {
					res.fault, res.class = fmt.Sprintf("step %d: %v is said to be %v although %s", i, q, sim.MSISDN, doubt), doubt
					return res
				}
			}
		}
	}
	return res
}
