package registry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestRegressions holds claims that once did not hold.
func TestRegressions(t *testing.T) {
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
		{"expired sessions give way first, then ended ones, the oldest first", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 4, 16 })
			n := w.pgw("pgw")
			short := func(_ *gateway, ev *binding.Event) { ev.Lease = time.Second }
			n.start("expired", simA, ue1, short)
			n.start("first", simA, ue2)
			n.start("second", simA, ue3)
			n.start("living", simC, "10.0.7.1")
			w.wait(2 * time.Second)
			n.stop("first")
			w.wait(time.Second)
			n.stop("second")
			w.wait(time.Second)
			known := func(id string) bool {
				ev := n.word(binding.SessionUpdate, id, noSIM, "", nil)
				var f fact
				f.read(&ev, w.now.UnixMilli())
				w.nodes.hear(&f)
				in := w.nodes.find(&f)
				return in.n > 0
			}
			for i, gone := range []string{"expired", "first", "second"} {
				if got := n.start(fmt.Sprint("new", i), simB, fmt.Sprintf("10.0.8.%d", i+1)); got != Applied {
					w.t.Fatalf("new session %d is %q", i, got)
				}
				left := []string{"expired", "first", "second"}[i+1:]
				if known(gone) || slices.ContainsFunc(left, func(id string) bool { return !known(id) }) {
					w.t.Errorf("for new session %d another one than %s gave way", i, gone)
				}
			}
			if got := n.start("new", simB, "10.0.8.9"); got != RefusedCapacity {
				w.t.Errorf("when only living ones are left: %q", got)
			}
			w.holds("10.0.7.1", simC)
		}},
		{"the refused session binds at its next word when there is room", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue1)
			w.wait(time.Second)
			n.stop("3")
			w.wait(time.Second)
			n.update("new", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"and is not hindered by its own refusal", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue1)
			n.stop("3")
			w.now = w.now.Add(100 * time.Millisecond)
			n.start("new", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"near the limit every session that starts binds at once", func(w *tale) {
			const rooms = 100
			w.configure(func(c *Config) { c.Capacity, c.Addresses = rooms, 4*rooms })
			n := w.pgw("pgw")
			for i := range rooms * 9 / 10 {
				n.start(fmt.Sprint(i), simC, fmt.Sprintf("10.0.7.%d", i+1))
			}
			for i := range 500 {
				w.now = w.now.Add(500 * time.Millisecond)
				at := fmt.Sprintf("10.0.8.%d", i%250+1)
				if got := n.start(fmt.Sprint("x", i), simB, at); got != Applied {
					w.t.Fatalf("session %d is %q", i, got)
				}
				if got := w.said(at, simB); got != "match/bound" {
					w.t.Fatalf("session %d: %s", i, got)
				}
				w.now = w.now.Add(500 * time.Millisecond)
				n.stop(fmt.Sprint("x", i))
				w.silent(at, simB)
			}
		}},
		{"health names that sessions are forgotten early", func(w *tale) {
			n := w.pgw("pgw")
			n.start("a", simA, ue1)
			n.stop("a")
			w.forget()
			if p := w.problems(); len(p) == 0 {
				w.t.Error("it does not")
			}
		}},
		{"what a directory has voided is not learned again by a restart of ours", func(w *tale) {
			w.configure(func(c *Config) { c.Learn = true })
			g := w.pgw("pgw")
			g.start("a", simA, ue1)
			w.wait(time.Second)
			g.stop("a")
			w.knows(simA.IMSI, simB.MSISDN)
			w.commit(w.t)
			w.crash(time.Second)
			if got := w.NumberOf(simA.IMSI); got != 0 {
				w.t.Errorf("%v is learned", got)
			}
		}},
		{"two sessions with one id in unknown order are told apart by the next word that names the SIM", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.update("a", simB, ue2, partial) // within a second
			for range 2 {
				w.wait(5 * time.Second)
				n.update("a", simA, ue1, partial)
			}
			w.holds(ue1, simA)
		}},
		{"a user plane that restores its sessions 2 ms later silences nobody whom it names", func(w *tale) {
			g, up := w.tapped(binding.SourceGTPv2, "smf"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			w.now = w.now.Add(10 * time.Millisecond)
			up.start("p", simA, ue1) // User ID (3GPP TS 29.244 clause 8.2.101)
			w.pass(time.Minute)
			up.restart()
			w.nobody(ue1, "ambiguous/ending")
			w.now = w.now.Add(2 * time.Millisecond)
			up.start("q", simA, ue1)
			w.holds(ue1, simA)
			w.pass(time.Minute)
			up.stop("q")
			w.nobody(ue1, "ambiguous/ending")
		}},
		{"whom a user plane does not name may be another one after it", func(w *tale) {
			g, up := w.tapped(binding.SourceGTPv2, "smf"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			w.now = w.now.Add(10 * time.Millisecond)
			up.start("p", noSIM, ue1)
			w.now = w.now.Add(50 * time.Millisecond)
			up.stop("p")
			w.now = w.now.Add(350 * time.Millisecond)
			up.start("q", noSIM, ue1)
			w.nobody(ue1, "ambiguous/ending")
			w.wait(time.Second)
			g.update("g", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"nor does one of a client that may be late by longer than max_delay", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			slow := func(_ *gateway, ev *binding.Event) { ev.Blind = 10 * time.Minute }
			n.start("a", simA, ue1, slow)
			w.wait(20 * time.Second)
			n.stop("a", slow)
			w.wait(6 * time.Minute)
			n.update("a", simA, ue1, slow) // of before the end, as it may be
			w.silent(ue1, simA)
		}},
		{"a lease that runs out leaves nobody around it in doubt", func(w *tale) {
			const wide, narrow, host = "2001:db8:0:100::/56", "2001:db8:0:103::/64", "2001:db8:0:103::7"
			long := func(_ *gateway, ev *binding.Event) { ev.Lease = 3 * time.Hour }
			w.pgw("one").start("b", simB, wide, long)
			w.pgw("two").start("a", simA, narrow)
			w.nobody(host, "ambiguous/conflict")
			w.now = w.now.Add(61 * time.Minute)
			w.sweeps()
			w.holds(host, simB)
			w.now = w.now.Add(10 * time.Minute) // the grace has run out too
			w.sweeps()
			w.holds(host, simB)
		}},
		{"a restart that a former journal has in the future locks nobody out", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, func(r *binding.SessionRow) { r.Former.Epoch = 2 })
			f.j.nodes[1] = binding.NodeRow{
				ID: 1, Source: binding.SourceRADIUS, Name: formerNode, Former: true, Restarts: 1, Restart: w.now.Add(20 * time.Hour).UnixMilli(),
			}
			n := f.open()
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a restart of ours makes no match possible of an address of which others have parts", func(w *tale) {
			for i := range 8 { // rows are read in any order
				w.configure(func(*Config) {})
				w.gateways = nil
				one, two := w.nas("one"), w.nas("two")
				one.start(fmt.Sprint("a", i), simA, "198.51.100.7")
				two.start(fmt.Sprint("b", i), simB, "198.51.100.7:1024-2047")
				one.start(fmt.Sprint("c", i), simA, "2001:db8:0:1::/64")
				two.start(fmt.Sprint("d", i), simB, "2001:db8:0:1:2::/80")
				w.crash(time.Second)
				w.nobody("198.51.100.7", "ambiguous/conflict")
				w.nobody("198.51.100.7:80", "ambiguous/conflict")
				w.nobody("2001:db8:0:1::9", "ambiguous/conflict")
			}
		}},
		{"nor of a block of ports of which another node's session has a piece", func(w *tale) {
			one, two := w.nas("one"), w.nas("two")
			one.start("a", simA, "198.51.100.7:1000-2999")
			two.start("b", simB, "198.51.100.7:2500-3499")
			w.nobody("198.51.100.7:1500", "ambiguous/conflict")
			w.crash(time.Second)
			w.nobody("198.51.100.7:1500", "ambiguous/conflict")
			w.nobody("198.51.100.7:3400", "ambiguous/conflict")
		}},
		{"an id that is used a third time inherits nothing of a session that named nobody", func(w *tale) {
			n := w.nas("nas")
			n.update("a", simB, ue1, late(3*time.Minute+11*time.Second), delayed(0))
			w.pass(67 * time.Second)
			n.start("a", noSIM, ue1, delayed(0))
			n.update("a", simA, "", delayed(0)) // within the second of the start
			w.wait(38 * time.Second)
			n.update("a", simC, "", delayed(0))
			w.silent(ue1, simC) // is match/bound
		}},
		{"a start on an ended session's id that may be a new one's leaves a doubt", func(w *tale) {
			n := w.newNAS("nas")
			n.update("a", simA, ue1, delayed(0))
			w.now = w.now.Add(42 * time.Second)
			n.start("b", simB, ue1, delayed(0))
			w.now = w.now.Add(30 * time.Second)
			n.start("a", simA, ue1, delayed(19*time.Second))
			w.silent(ue1, simB) // is match/bound
		}},
		{"a SIM that attaches anew with one of its addresses and another bearer has lost the others", func(w *tale) {
			n := w.nas("nas")
			n.update("a", simA, ue1+" 2001:db8:0:2::/64", bearer(7), of("internet"), aged(500*time.Second))
			w.pass(97 * time.Second)
			n.start("b", simA, ue1+" 2001:db8:0:3::/64", bearer(5), of("internet"))
			w.silent("2001:db8:0:2::7", simA) // is match/bound
		}},
		{"a stop of one of two sessions with one id is not forgotten with them", func(w *tale) {
			n := w.nas("nas")
			n.update("a", noSIM, ue1, delayed(0))
			w.pass(5 * time.Second)
			n.start("a", simA, ue1, stamped(-2*time.Second), delayed(6*time.Second))
			w.pass(57 * time.Second)
			n.stop("a", delayed(0))
			w.pass(12 * time.Second)
			n.update("a", simA, ue1, stamped(-9*time.Second), delayed(5*time.Second)) // of before the stop
			w.silent(ue1, simA)                                                       // is match/bound
		}},
		{"a SIM that attaches anew with one of its addresses has lost the others, though its bearer had changed", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue2+" "+ue1, bearer(5), of("internet"))
			w.wait(4 * time.Second)
			n.update("a", simA, "", bearer(6), of("internet"))
			w.wait(36 * time.Second)
			n.start("b", simA, ue1, bearer(5), of("internet"))
			w.silent(ue2, simA) // is match/bound
		}},
		{"a late Start names the session that an Interim without a name told of first", func(w *tale) {
			n := w.newNAS("nas")
			n.update("a", noSIM, ue1, unstamped, delayed(0), aged(5*time.Second))
			w.now = w.now.Add(3135 * time.Millisecond)
			n.start("a", simA, ue1, unstamped, delayed(8*time.Second)) // places the beginning alike
			w.wait(5 * time.Second)
			w.pgw("pgw").start("b", simB, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"at first contact a word that may be a former session's gives the present one no address", func(w *tale) {
			n := w.newNAS("nas")
			n.start("a", simA, ue2, partial)
			w.now = w.now.Add(1030 * time.Millisecond)
			n.update("a", simA, ue1, late(11*time.Second), partial)
			w.silent(ue1, simA)
			w.wait(30 * time.Second)
			n.update("a", simA, ue1, partial)
			w.holds(ue1, simA)
		}},
		{"the stop of whichever of two sessions with an id is an end for other sources", func(w *tale) {
			imsi, msisdn := binding.Subscriber{IMSI: simA.IMSI}, binding.Subscriber{MSISDN: simA.MSISDN}
			g, n := w.pgw("pgw"), w.newNAS("nas")
			g.start("g", noSIM, ue1, ordered(1))
			n.update("a", imsi, ue1, partial)
			n.start("a", noSIM, "")
			w.wait(12 * time.Second)
			g.update("g", msisdn, "", ordered(3))
			w.wait(2 * time.Second)
			n.stop("a", by(imsi))
			w.nobody(ue1, "ambiguous/ending")
		}},
		{"a stop is remembered however often the id was used", func(w *tale) {
			n := w.newNAS("nas")
			n.start("a", simC, ue1, partial)
			w.wait(7500 * time.Millisecond)
			n.stop("a", by(simC), has(ue1))
			w.wait(2 * time.Minute)
			n.update("a", simC, ue1, partial)
			w.wait(time.Minute)
			n.start("a", simA, ue2, partial)
			w.wait(20 * time.Second)
			n.stop("a", by(simC), has(ue1), late(49*time.Second))
			w.wait(90 * time.Second)
			n.stop("a", by(simA), has(ue2))
			w.wait(13 * time.Second)
			n.update("a", simA, ue2, partial, delayed(18*time.Second))
			w.silent(ue2, simA)
		}},
		{"a word that names nobody does not say whose session it was before a restart", func(w *tale) {
			n := w.newNAS("nas")
			n.restart()
			w.now = w.now.Add(4600 * time.Millisecond)
			n.start("a", simA, ue1, partial, delayed(5*time.Second), aged(0))
			w.now = w.now.Add(1800 * time.Millisecond)
			n.update("a", noSIM, ue1, partial, delayed(0), aged(6*time.Second))
			w.silent(ue1, simA)
		}},
		{"a session in a part of an address confirms not the rest of it", func(w *tale) {
			g, one, two := w.pgw("pgw"), w.nas("one"), w.nas("two")
			g.start("g", simA, "10.0.0.8/29", ordered(1))
			w.wait(20 * time.Second)
			one.stop("x", by(simA))
			w.nobody("10.0.0.9", "ambiguous/ending")
			w.wait(20 * time.Second)
			two.start("y", simA, "10.0.0.15")
			w.holds("10.0.0.15", simA)
			w.silent("10.0.0.9", simA)
		}},
		{"who may have been followed by another one goes on by no word that names nobody", func(w *tale) {
			n := w.newNAS("nas")
			n.update("a", simA, ue1)
			w.now = w.now.Add(15 * time.Second)
			n.update("a", simB, "", late(108*time.Second), delayed(3*time.Second))
			n.stop("a", by(simA), has(ue1), late(7*time.Second))
			w.now = w.now.Add(6500 * time.Millisecond)
			n.update("a", noSIM, ue1)
			w.silent(ue1, simB)
			w.silent(ue1, simA)
		}},
		{"a late word of a former session does not name the present one", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, partial)
			w.pass(30 * time.Second)
			n.start("a", noSIM, ue1, partial)
			w.now = w.now.Add(time.Second)
			n.update("a", simA, "", delayed(2*time.Second))
			w.silent(ue1, simA)
		}},
		{"a stop that named nobody may be that of the session whose start comes after it", func(w *tale) {
			n := w.newNAS("nas")
			n.update("a", simB, ue1, partial)
			w.wait(25 * time.Second)
			n.start("a", simB, "", late(34*time.Second))
			w.wait(time.Minute)
			n.stop("a", has(ue2))
			w.now = w.now.Add(6700 * time.Millisecond)
			n.start("a", simA, ue2, partial, delayed(7*time.Second))
			w.silent(ue2, simA)
		}},
		{"an address that a session may have is another node's without a word of it only in conflict", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.start("a", simA, ue2)
			w.wait(103 * time.Second)
			n.start("a", simB, "")
			w.wait(22 * time.Second)
			n.update("a", simB, ue1)
			w.pgw("pgw").start("g", simC, ue1, ordered(1))
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"what a session may have ends nobody's session", func(w *tale) {
			n := w.newNAS("nas")
			n.start("a", simA, ue1, partial)
			w.wait(17 * time.Second)
			n.update("a", simB, "", late(34*time.Second))
			w.wait(86 * time.Second)
			for range 2 {
				n.update("a", noSIM, ue1, partial)
				if got := w.said(ue1, simA); strings.HasPrefix(got, "mismatch") {
					w.t.Errorf("%s of who has it", got)
				}
				w.wait(15 * time.Second)
			}
			if living := w.Status().Sessions; living != 2 {
				w.t.Errorf("%d sessions go on", living)
			}
		}},
		{"a start of before its node's restart that comes after it is an end for other sources", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, ordered(1))
			w.wait(4 * time.Second)
			n.restart()
			w.wait(9 * time.Second)
			n.start("a", simA, ue1, delayed(13*time.Second))
			w.nobody(ue1, "ambiguous/ending")
			w.wait(time.Second)
			g.update("g", simA, ue1, ordered(2))
			w.holds(ue1, simA)
		}},
		{"a start that names a SIM within a second of one that names nobody leaves a doubt", func(w *tale) {
			n := w.newNAS("nas")
			n.start("a", noSIM, ue1, delayed(0), aged(0))
			w.now = w.now.Add(75 * time.Millisecond)
			n.start("a", simA, "", delayed(0), aged(0))
			w.silent(ue1, simA)
		}},
		{"a session of Gx that was terminated does not come back by its own beginning, told once more", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, ordered(1))
			w.wait(5 * time.Second)
			g.stop("a", ordered(2))
			g.start("a", simA, ue1, ordered(1))
			w.silent(ue1, simA)
			w.wait(5 * time.Second)
			g.start("b", simB, ue1, ordered(1))
			w.wait(5 * time.Second)
			g.start("a", simA, ue1, ordered(1))
			w.holds(ue1, simB)
			w.crash(time.Second)
			g.start("a", simA, ue1, ordered(1))
			w.silent(ue1, simA)
			w.holds(ue1, simB)
		}},
		{"nor one that another took the place of", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, ordered(1))
			w.wait(5 * time.Second)
			g.start("b", simB, ue1, ordered(1))
			w.wait(5 * time.Second)
			g.start("a", simA, ue1, ordered(1))
			w.holds(ue1, simB)
		}},
		{"a stop that overtakes its start is one, though the id's former session was over already", func(w *tale) {
			n := w.nas("nas")
			n.start("x", simB, ue2)
			w.pass(2500 * time.Millisecond)
			n.start("y", simC, ue2)
			w.now = w.now.Add(900 * time.Millisecond)
			n.stop("x", has(""))
			w.now = w.now.Add(500 * time.Millisecond)
			n.start("x", simA, ue1, late(700*time.Millisecond))
			w.silent(ue1, simA)
		}},
		{"however often an id was used, a start stands against others", func(w *tale) {
			n := w.nas("nas")
			for i := range 6 {
				n.start("e", oracleSIMs[i%3], fmt.Sprintf("10.0.5.%d", i+1))
				w.now = w.now.Add(20 * time.Millisecond)
				n.stop("e")
				w.now = w.now.Add(20 * time.Millisecond)
			}
			n.start("e", simA, ue1)
			w.now = w.now.Add(20 * time.Millisecond)
			other := w.pgw("other")
			other.start("i", simB, ue1, ordered(1))
			w.wait(3 * time.Second)
			other.update("i", simB, ue1, ordered(2))
			w.silent(ue1, simB)
		}},
		{"of a link, too, a node that tells of two SIMs in turn contradicts itself", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, ordered(1))
			w.wait(3 * time.Second)
			g.start("b", simB, ue1, ordered(1))
			for i := range uint32(2) {
				w.wait(3 * time.Second)
				g.update("a", simA, ue1, ordered(i+2))
				w.nobody(ue1, "ambiguous/conflict")
				w.wait(3 * time.Second)
				g.update("b", simB, ue1, ordered(i+2))
				w.nobody(ue1, "ambiguous/conflict")
			}
			g.stop("a", ordered(4))
			w.wait(3 * time.Second)
			g.update("b", simB, ue1, ordered(4))
			w.holds(ue1, simB)
		}},
		{"a former session of a SIM does not match where the new one may have left", func(w *tale) {
			n := w.nas("nas")
			n.start("h2", simA, ue1, of("internet"), late(500*time.Millisecond))
			n.update("h2", simA, ue2, of("internet"))
			w.now = w.now.Add(2 * time.Second)
			n.start("h1", simA, ue1, of("internet"), late(8*time.Second))
			w.silent(ue1, simA)
		}},
		{"after a restart a word that may be the older one moves no session", func(w *tale) {
			w.configure(func(c *Config) { c.MaxDelay, c.Blind = 8*time.Second, 3*time.Second })
			n := w.newNAS("nas")
			n.mute = true
			n.restart()
			w.wait(2800 * time.Millisecond)
			n.update("s", simA, ue1, aged(time.Second))
			w.wait(1040 * time.Millisecond)
			n.update("s", simA, ue2, aged(0))
			w.silent(ue2, simA)
		}},
		{"a number of a session of Gx that was heard counts as heard, though it was over", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, ordered(1))
			w.wait(time.Second)
			g.start("b", simB, ue1, ordered(1))
			w.wait(time.Second)
			g.stop("b", ordered(2))
			g.update("a", simA, ue1, ordered(2), repeated)
			w.wait(time.Second)
			g.update("a", simA, ue1, ordered(2))
			w.silent(ue1, simA)
		}},
		{"an end is not forgotten before the sweep told it to the blocks inside of its address", func(w *tale) {
			n := w.nas("nas")
			n.update("a", simA, "2001:db8:cafe:203::/64 10.0.0.3:4352-5278")
			w.wait(30 * time.Second)
			n.stop("b", by(simB), has("10.0.0.3"))
			w.silent("10.0.0.3:5000", simA)
			w.now = w.now.Add(10 * time.Minute) // suspended
			w.sweeper.sweep(1<<30, w.now.UnixMilli())
			w.silent("10.0.0.3:5000", simA)
			w.sweeps()
			w.silent("10.0.0.3:5000", simA)
		}},
		{"a number in doubt is settled by a number, not by an IMSI", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			w.wait(3 * time.Second)
			g.start("b", number(simA, simC.MSISDN), ue2, ordered(1))
			w.wait(3 * time.Second)
			n.update("a", sim(simA), ue1)
			w.silent(ue1, simA)
			w.wait(3 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a Gx node is the same in any case, over a crash too", func(w *tale) {
			g, other := w.pgw("PGW1.lab"), w.pgw("pgw1.LAB")
			g.start("a", simA, ue1, ordered(1))
			w.crash(time.Second)
			g.start("b", simB, ue2, ordered(1))
			w.wait(time.Second)
			other.stop("a", ordered(2))
			other.restart()
			w.silent(ue1, simA)
			w.silent(ue2, simB)
		}},
		{"of a session that was not granted it is known who may have its addresses no more", func(w *tale) {
			g := w.pgw("pgw")
			refused := func(_ *gateway, ev *binding.Event) { ev.Refused = true }
			g.start("a", simA, ue1, ordered(1))
			w.wait(3 * time.Second)
			g.start("b", simB, ue1, ordered(1), refused)
			w.nobody(ue1, "ambiguous/order")
			w.wait(3 * time.Second)
			g.start("b", simB, ue1, ordered(1)) // to another server
			w.holds(ue1, simB)
			g.update("b", simB, ue1, ordered(2), refused)
			w.holds(ue1, simB)
		}},
		{"an address that a session names beside a later one of its SIM is a doubt like its others", func(w *tale) {
			n := w.nas("nas")
			n.start("x", simA, ue1, of("internet"))
			n.start("y", simA, ue1, of("internet"))
			n.update("x", simA, "2001:db8:1:3::/64", of("internet"), partial)
			w.silent("2001:db8:1:3::1", simA)
			w.wait(3 * time.Second)
			n.update("y", simA, ue1, of("internet"))
			w.silent("2001:db8:1:3::1", simA)
			w.crash(time.Second)
			w.silent("2001:db8:1:3::1", simA)
		}},
		{"a SIM leaves a stay that another source names by its number alone", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("q", binding.Subscriber{MSISDN: simA.MSISDN}, ue1, of("internet"), ordered(1))
			n.start("a", simA, ue1, of("internet"))
			w.wait(3 * time.Second)
			n.start("b", sim(simA), ue2, of("internet"))
			w.silent(ue1, simA)
		}},
		{"a block of ports goes on beside a later session with the whole address only when it has spoken", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.update("a", simA, "10.0.0.76/31 10.0.64.9:3151-4644", of("internet"), bearer(7))
			w.wait(86 * time.Second)
			n.start("b", simA, "10.0.64.9 10.0.0.74", of("internet"), bearer(5))
			w.silent("10.0.64.9:4441", simA)
			w.wait(time.Second)
			n.stop("b", has("10.0.64.9 10.0.0.74"))
			w.wait(26 * time.Second)
			w.silent("10.0.64.9:4441", simA)
		}},
		{"a session of Gx that went on after a restart does not come back after its end", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, ordered(1), state(7))
			w.wait(time.Second)
			g.update("b", simB, ue2, ordered(1), state(8))
			w.wait(time.Second)
			g.update("a", simA, ue1, ordered(2), state(8))
			w.holds(ue1, simA)
			w.wait(time.Second)
			g.stop("a", ordered(3), state(8))
			w.wait(time.Second)
			g.update("a", simA, ue1, ordered(4), state(8))
			w.silent(ue1, simA)
			w.crash(time.Second)
			g.update("a", simA, ue1, ordered(5), state(8))
			w.silent(ue1, simA)
		}},
		{"what is outside of new pools is held by nobody, in the domain that is named too", func(w *tale) {
			w.pgw("pgw").start("a", simA, ue1, ordered(1))
			w.Registry.names.set([]binding.Domain{{Name: "default", APNs: []string{"*"}, Pools: prefixes("10.1.0.0/16")}})
			q := query(ue1)
			for _, q.Domain = range []string{"", "default"} {
				if a := w.Verify(q, binding.Number{MSISDN: simA.MSISDN}); a.Reason != binding.ReasonOutOfPool {
					w.t.Errorf("domain %q: %v %v", q.Domain, a.Verdict, a.Reason)
				}
			}
		}},
		{"a number that changes back is no more that of the session that changed it", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			w.wait(3 * time.Second)
			other := number(simA, simC.MSISDN)
			g.start("b", other, ue2, ordered(1))
			w.wait(3 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
			w.silent(ue2, other)
			w.wait(3 * time.Second)
			g.update("b", other, ue2, ordered(2))
			w.silent(ue1, simA)
		}},
		{"what was heard of a session after its end may be over by its node's restart, for other sources too", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("r", simA, ue1)
			n.stop("r")
			w.now = w.now.Add(400 * time.Millisecond)
			g.start("x", simA, ue1, ordered(1))
			n.start("r", simA, ue1)
			w.wait(3 * time.Second)
			n.restart()
			w.sweeps()
			w.silent(ue1, simA)
			w.crash(time.Second)
			w.silent(ue1, simA)
		}},
		{"an update that names no APN is refused for none", func(w *tale) {
			w.configure(func(c *Config) {
				c.Domains = []binding.Domain{
					{Name: "one", APNs: []string{"internet"}, Pools: prefixes("10.0.0.0/16")},
					{Name: "two", APNs: []string{"ims"}, Pools: prefixes("10.0.0.0/16")},
				}
			})
			n := w.nas("nas")
			before := w.Status().Counters["refused_domain"]
			n.start("a", simA, ue1, of("internet"))
			w.wait(3 * time.Second)
			n.update("a", simA, ue1)
			if got := w.Status().Counters["refused_domain"]; got != before {
				w.t.Errorf("%d are counted as refused", got-before)
			}
		}},
	})
}

// TestADirectoryNeverMakesTheWrongMatchOverRestarts of ours.
func TestADirectoryNeverMakesTheWrongMatchOverRestarts(t *testing.T) {
	for _, learn := range []bool{false, true} {
		t.Run(fmt.Sprintf("learned numbers count: %v", learn), func(t *testing.T) { directoryHistory(t, learn, true) })
	}
}

// TestOverRestartsToldIsWhatTheChangesSay, too.
func TestOverRestartsToldIsWhatTheChangesSay(t *testing.T) { toldAgrees(t, kind{}) }

// TestFollowersOfNestedAddressesAnswerLikeTheirSites, over restarts of theirs.
func TestFollowersOfNestedAddressesAnswerLikeTheirSites(t *testing.T) {
	t.Run("of one", func(t *testing.T) { followOne(t, kind{steady: true}) })
	t.Run("of one that restarts", func(t *testing.T) { followOne(t, kind{flat: true}) })
	t.Run("of two", func(t *testing.T) { followTwo(t, kind{}) })
}

// TestAFollowerIsNoSurerThanItsSite of an address that the site has withdrawn, in
// a wider one that somebody holds.
func TestAFollowerIsNoSurerThanItsSite(t *testing.T) {
	w := newTale(t, taleConfig)
	n := w.nas("nas")
	n.start("a", simA, "2001:db8:0:103::/64 "+ue1, of("one"))
	n.update("a", simA, "", gone("2001:db8:0:103::/64"), of("one")) // within a second: it may have it
	w.wait(5 * time.Second)
	n.start("w", simA, "2001:db8:0:100::/56", of("two"))
	w.sweeps()
	follower := newReplica(t, taleConfig, "site")
	follower.now = w.now
	follower.on(binding.Event{Kind: binding.NodeUp, Source: binding.SourceFeed, Node: "site", Time: w.now})
	follower.catchUp(t, "site", w.changes)
	follower.sweepAll()
	follower.sweepAll()
	const host = "2001:db8:0:103::7"
	if theirs, ours := w.said(host, simA), follower.verify(host, simA.MSISDN); theirs != ours {
		t.Errorf("the site says %s, its follower %s", theirs, ours)
	}
}
