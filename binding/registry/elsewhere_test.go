package registry

import (
	"testing"
	"time"
)

// TestSessionsOfASIMAreFound by their own IMSI, whoever has their number by now.
func TestSessionsOfASIMAreFound(t *testing.T) {
	const sec = time.Second
	newA := number(simA, simC.MSISDN)
	// swapped is A's session on ue1, whose number B was seen with since.
	swapped := func(w *tale, details ...detail) (n, g *gateway) {
		n, g = w.nas("nas"), w.pgw("pgw")
		n.start("x", simA, ue1, details...)
		w.pass(10 * sec)
		n.start("b", number(simB, simA.MSISDN), ue2, details...)
		w.pass(10 * sec)
		return n, g
	}
	prove(t, []claim{
		{"another number of a SIM concerns a session whose number another SIM has", func(w *tale) {
			n, _ := swapped(w)
			n.start("x2", newA, ue3)
			w.silent(ue1, simA)
		}},
		{"also when that one has ended", func(w *tale) {
			n, _ := swapped(w)
			n.start("x2", newA, ue3)
			n.stop("b")
			w.pass(10 * sec)
			w.silent(ue1, simA)
		}},
		{"also over a crash", func(w *tale) {
			n, _ := swapped(w)
			n.stop("b")
			w.pass(10 * sec)
			w.crash(sec)
			n.settle()
			n.start("x2", newA, ue3)
			w.silent(ue1, simA)
		}},
		{"an end at another source does", func(w *tale) {
			_, g := swapped(w)
			g.stop("y", by(sim(simA)))
			w.silent(ue1, simA)
		}},
		{"a new session at its APN does", func(w *tale) {
			n, _ := swapped(w, of("internet"))
			n.start("x2", newA, ue3, of("internet"))
			w.silent(ue1, simA)
		}},
		{"also without a number", func(w *tale) {
			n, _ := swapped(w, of("internet"))
			n.start("x2", sim(simA), ue3, of("internet"))
			w.silent(ue1, simA)
		}},
		{"a directory's word reaches a session whose number of the directory another SIM has", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("g", sim(simA), ue1, ordered(1))
			w.knows(simA.IMSI, simA.MSISDN)
			w.commit(w.t)
			w.holds(ue1, simA)
			n.start("b", number(simB, simA.MSISDN), ue2)
			w.knows(simA.IMSI, simC.MSISDN)
			w.commit(w.t)
			w.want(ue1, simC, "match/bound")
		}},
		{"of more sessions of a SIM than are found, ended ones give way", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 1024, 1024 })
			n, g := w.nas("nas"), w.pgw("pgw")
			for i := range 300 {
				id := "g" + string(rune('0'+i%10)) + string(rune('0'+i/10%10)) + string(rune('0'+i/100))
				g.start(id, simA, "", ordered(1))
				g.stop(id, ordered(2))
			}
			w.pass(10 * sec)
			n.start("x", simA, ue1)
			w.pass(10 * sec)
			g.stop("y", by(sim(simA)))
			w.silent(ue1, simA)
		}},
	})
}
