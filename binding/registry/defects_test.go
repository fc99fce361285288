package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestDefects holds the claims that do not hold yet.
func TestDefects(t *testing.T) {
	prove(t, []claim{
		{"a repetition that tells its delay does not revive after max_delay", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(20 * time.Second)
			n.stop("a")
			w.pass(20 * time.Minute)
			n.update("a", simA, ue1, delayed(20*time.Minute+10*time.Second))
			w.nobody(ue1, "unknown/no-binding")
			n.start("a", simA, ue1, late(20*time.Minute+20*time.Second), delayed(20*time.Minute+20*time.Second))
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"a reused id never inherits the former SIM", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.start("a", noSIM, ue1)
			w.nobody(ue1, "unknown/no-msisdn")
		}},
		{"a reused id never inherits addresses", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.start("a", simA, "2001:db8:1::/64")
			w.nobody(ue1, "unknown/no-binding")
			w.holds("2001:db8:1::5", simA)
		}},
		{"a reused id of another SIM takes the former one's address away from all", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.update("a", simB, ue2)
			w.nobody(ue1, "unknown/no-binding")
			w.holds(ue2, simB)
		}},
		{"a late stop of a former incarnation costs the present one one word", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.start("a", simB, ue1) // the stop of the first is late
			w.wait(5 * time.Second)
			n.update("a", simB, ue1)
			w.holds(ue1, simB)
			w.wait(5 * time.Second)
			n.stop("a", late(40*time.Second))
			w.want(ue1, simB, "ambiguous/ending")
			w.wait(5 * time.Second)
			n.update("a", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"its age tells whose stop it is", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(10 * time.Minute)
			n.start("a", simB, ue1)
			w.pass(2 * time.Minute)
			n.stop("a", late(100*time.Second), aged(10*time.Minute))
			w.holds(ue1, simB)
			n.stop("a", aged(2*time.Minute))
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"the session's own count tells which is later", func(w *tale) {
			newA := number(simA, simB.MSISDN)
			g := w.pgw("pgw")
			g.start("a", simA, ue1, ordered(1))
			g.update("a", newA, ue1, ordered(3))
			w.holds(ue1, newA)
			g.update("a", simA, ue1, ordered(2), repeated)
			w.holds(ue1, newA)
		}},
		{"what is over leaves room", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 8, 8 })
			g := w.tapped(binding.SourceGTPv2, "smf")
			for round := range 40 {
				for sim := range 3 {
					at := fmt.Sprintf("10.0.%d.%d", sim, round+1)
					if got := g.start(fmt.Sprint(sim, "/", round), oracleSIMs[sim], at, of("internet"), bearer(5)); got != Applied {
						w.t.Fatalf("round %d: %q", round, got)
					}
					w.holds(at, oracleSIMs[sim])
				}
				w.wait(time.Minute)
			}
		}},
		{"a word that is surely older than the change of a number is ignored", func(w *tale) {
			newA := number(simA, simB.MSISDN)
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(20 * time.Second)
			n.update("a", newA, ue1)
			w.wait(10 * time.Second)
			n.update("a", newA, ue1)
			n.update("a", simA, ue1, delayed(20*time.Second))
			w.holds(ue1, newA)
		}},
		{"a number that several SIMs have matches plainly, where it is configured so", func(w *tale) {
			w.configure(func(c *Config) { c.MultiSIM = MultiSIMMatch })
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.start("b", number(simB, simA.MSISDN), ue2)
			w.want(ue1, simA, "match/bound")
		}},
	})
}
