package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
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

// TestWhatAFormerSessionHad counts for every source, and for those that are heard
// of later.
func TestWhatAFormerSessionHad(t *testing.T) {
	const sec = time.Second
	prove(t, []claim{
		{"a late start of a former session, on another node's address", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, ordered(1))
			w.pass(20 * sec)
			n.start("a", simC, ue2)
			w.now = w.now.Add(2 * sec)
			n.start("a", simB, ue1, delayed(15*sec))
			w.silent(ue1, simA)
			w.wait(sec)
			g.update("g", simA, ue1, ordered(2))
			w.holds(ue1, simA)
		}},
		{"a stop of before its node's restart", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, ordered(1))
			w.pass(16 * sec)
			n.restart()
			w.now = w.now.Add(4 * sec)
			n.stop("a", by(simA), has(ue1), delayed(8*sec))
			w.silent(ue1, simA)
		}},
		{"a start of before the restart, whose id was used since", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, ordered(1))
			w.wait(4 * sec)
			n.restart()
			w.wait(4 * sec)
			n.start("a", simB, ue2)
			w.wait(5 * sec)
			n.start("a", simA, ue1, delayed(13*sec))
			w.silent(ue1, simA)
		}},
		{"a former session's stop, by its age", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, ordered(1))
			w.pass(60 * sec)
			n.start("a", simB, ue2)
			w.pass(10 * sec)
			n.stop("a", by(simA), has(ue1), aged(40*sec), late(15*sec))
			w.silent(ue1, simA)
		}},
		{"a stop that may be a former session's", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(10 * sec)
			g.start("g", simC, ue3, ordered(1))
			w.pass(10 * sec)
			n.start("a", simB, ue2)
			w.now = w.now.Add(500 * time.Millisecond)
			n.stop("a", has(ue3), delayed(2*sec))
			w.silent(ue3, simC)
		}},
		{"a second stop of a session that is over", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, ordered(1))
			w.pass(10 * sec)
			n.stop("a", by(simB))
			w.holds(ue1, simA)
			w.now = w.now.Add(500 * time.Millisecond)
			n.stop("a", by(simB), has(ue1))
			w.silent(ue1, simA)
		}},
		{"who is heard of later must have spoken after it", func(w *tale) {
			for _, crash := range []bool{false, true} {
				w.gateways = nil
				w.configure(func(*Config) {})
				n, m := w.nas("nas"), w.nas("other")
				n.start("a", simC, ue2)
				w.now = w.now.Add(2 * sec)
				n.start("a", simB, ue1, delayed(15*sec))
				w.now = w.now.Add(2 * sec)
				if crash {
					w.crash(0)
				}
				m.start("g", simA, ue1, delayed(22*sec))
				w.silent(ue1, simA)
				m.settle()
				m.update("g", simA, ue1)
				w.holds(ue1, simA)
			}
		}},
		{"an end that was told at no address is confirmed by no word from before it", func(w *tale) {
			n1, n2, g := w.nas("n1"), w.nas("n2"), w.pgw("g")
			n1.start("z", simA, ue1)
			g.start("x", simA, ue1, ordered(1))
			w.pass(20 * sec)
			g.stop("s5", by(simA))
			n2.stop("y", by(simA))
			w.silent(ue1, simA)
			w.wait(sec)
			n1.update("z", simA, "", late(10*sec))
			w.silent(ue1, simA)
			w.pass(10 * sec)
			n1.update("z", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"nor one at another address", func(w *tale) {
			n1, n2, g := w.nas("n1"), w.nas("n2"), w.pgw("g")
			n1.start("z", simA, ue1)
			g.start("x", simA, ue1, ordered(1))
			n2.start("y", simA, "2001:db8:1:1::/64")
			w.pass(20 * sec)
			g.stop("s5", by(simA))
			n2.stop("y")
			w.silent(ue1, simA)
			w.wait(sec)
			n1.update("z", simA, "", late(10*sec))
			w.silent(ue1, simA)
		}},
	})
}

// TestWhatAWordSaysOfItsSIM counts whatever becomes of its own session.
func TestWhatAWordSaysOfItsSIM(t *testing.T) {
	const sec = time.Second
	newA := number(simA, simB.MSISDN)
	refused := func(w *tale, room int) (g, n *gateway) {
		w.configure(func(c *Config) { c.Capacity, c.Addresses = room, 20 })
		g, n = w.pgw("pgw"), w.newNAS("nas")
		g.start("g", simA, ue1, of("internet"), ordered(1))
		n.start("a", simC, "10.0.7.9", of("internet"))
		for i := range 3 {
			g.start(fmt.Sprint(i), simC, fmt.Sprintf("10.0.7.%d", i+1))
		}
		w.wait(10 * sec)
		return g, n
	}
	prove(t, []claim{
		{"it attaches anew and finds no room", func(w *tale) {
			g, _ := refused(w, 5)
			g.start("new", simA, ue2, of("internet"))
			w.silent(ue1, simA)
		}},
		{"or has an address outside of the pools", func(w *tale) {
			g, _ := refused(w, 20)
			g.start("new", simA, "192.0.2.1", of("internet"))
			w.silent(ue1, simA)
			w.wait(sec)
			g.update("g", simA, ue1, ordered(2))
			w.holds(ue1, simA)
			w.wait(sec)
			g.update("new", simA, "192.0.2.1", of("internet"))
			w.holds(ue1, simA)
		}},
		{"it has another number and finds no room", func(w *tale) {
			_, n := refused(w, 5)
			n.start("new", newA, ue2, of("ims"))
			w.silent(ue1, simA)
		}},
		{"or is outside of the pools", func(w *tale) {
			_, n := refused(w, 20)
			n.start("new", newA, "192.0.2.1", of("ims"))
			w.silent(ue1, simA)
		}},
		{"it had another number in a session that is over", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, of("internet"))
			w.pass(10 * sec)
			n.start("b", sim(simA), ue2, of("ims"))
			w.pass(10 * sec)
			n.stop("b")
			n.update("b", newA, ue2, late(3*sec), of("ims"))
			w.silent(ue1, simA)
		}},
		{"also if that had said another one before", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, of("internet"))
			w.pass(10 * sec)
			n.start("b", simA, ue2, of("ims"))
			w.pass(10 * sec)
			n.stop("b")
			n.update("b", newA, ue2, late(3*sec), of("ims"))
			w.silent(ue1, simA)
		}},
		{"it had another number in a former session with the id", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, of("internet"))
			w.pass(30 * sec)
			n.start("b", simC, ue2, of("ims"))
			w.now = w.now.Add(2 * sec)
			n.update("b", newA, ue2, delayed(10*sec), of("ims"))
			w.silent(ue1, simA)
		}},
		{"an unknown session of it ended elsewhere, without room", func(w *tale) {
			_, n := refused(w, 5)
			n.stop("x", by(simA))
			w.silent(ue1, simA)
		}},
		{"the number of a session that has ended counts against an older word with another one", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", number(simA, simC.MSISDN), ue2)
			w.pass(10 * sec)
			n.stop("a")
			w.wait(5 * sec)
			g.start("x", simA, ue1, ordered(1), repeated)
			w.silent(ue1, simA)
		}},
		{"an end elsewhere that was forgotten", func(w *tale) {
			for _, crash := range []bool{false, true} {
				w.gateways = nil
				w.configure(func(*Config) {})
				n, g := w.nas("nas"), w.pgw("pgw")
				g.stop("x", by(simA))
				w.wait(5 * sec)
				w.forget()
				if crash {
					w.crash(0)
				}
				n.start("a", simA, ue1, late(20*sec))
				w.silent(ue1, simA)
				n.settle()
				n.update("a", simA, ue1)
				w.holds(ue1, simA)
			}
		}},
		{"of a number alone, too", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.stop("x", by(binding.Subscriber{MSISDN: simA.MSISDN}))
			w.wait(5 * sec)
			w.forget()
			n.start("a", simA, ue1, late(20*sec))
			w.silent(ue1, simA)
		}},
		{"a new session at its node that was forgotten", func(w *tale) {
			n := w.nas("nas")
			n.start("y", simA, ue2, of("internet"))
			w.pass(10 * sec)
			n.stop("y")
			w.forget()
			n.start("x", simA, ue1, of("internet"), late(60*sec))
			w.silent(ue1, simA)
		}},
	})
}

// TestWhoMayBeOver counts as over against another source's older word that is
// heard of later.
func TestWhoMayBeOver(t *testing.T) {
	const sec = time.Second
	for _, c := range []struct {
		name string
		tell func(w *tale, n *gateway)
	}{
		{"it may have given the address up", func(w *tale, n *gateway) {
			n.start("z", simA, ue1)
			n.update("z", simA, ue2)
			w.wait(5 * sec)
		}},
		{"one of its contexts stopped", func(w *tale, n *gateway) {
			n.start("a", simA, ue1, bearer(5))
			n.update("a", simA, ue1, bearer(6))
			w.pass(20 * sec)
			n.stop("a", bearer(5))
			w.wait(sec)
		}},
		{"its SIM attached anew", func(w *tale, n *gateway) {
			n.start("a", simA, ue1, of("internet"))
			w.pass(20 * sec)
			n.start("b", simA, ue2, of("internet"))
			w.wait(sec)
		}},
		{"another session with its id may have followed it", func(w *tale, n *gateway) {
			n.start("a", simA, ue1)
			w.pass(20 * sec)
			n.start("a", simB, ue2, late(20*sec))
			w.wait(sec)
		}},
		{"a restart may have ended it", func(w *tale, n *gateway) {
			w.pass(20 * sec)
			n.restart()
			w.now = w.now.Add(2 * sec)
			n.update("a", simA, ue1, late(2*sec))
			w.wait(2 * sec)
		}},
	} {
		prove(t, []claim{
			{c.name, func(w *tale) {
				n, g := w.nas("nas"), w.pgw("pgw")
				c.tell(w, n)
				g.start("g", simA, ue1, of("internet"), ordered(1), repeated)
				w.silent(ue1, simA)
				n.update("a", simA, ue2, of("internet"))
				n.update("z", simA, ue2)
				w.silent(ue1, simA)
			}},
			{c.name + ", and what is of after it holds", func(w *tale) {
				n, g := w.nas("nas"), w.pgw("pgw")
				c.tell(w, n)
				w.wait(sec)
				g.start("g", simA, ue1, of("internet"), ordered(1))
				if s := w.m.Session(w.latest()); s.Doubt != binding.ReasonBound {
					w.t.Errorf("it is in doubt: %v", s.Doubt)
				}
			}},
		})
	}
}

// TestWhoseSIMMayHaveLeft a session must speak after that, though they share no
// address, and it is heard of later.
func TestWhoseSIMMayHaveLeft(t *testing.T) {
	const sec = time.Second
	prove(t, []claim{
		{"its SIM is named by an older word", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			onlyA := binding.Subscriber{MSISDN: simA.MSISDN}
			g.start("x", onlyA, ue1, ordered(1))
			g.update("x", onlyA, ue1, ordered(3))
			w.pass(20 * sec)
			n.stop("y", by(sim(simA)))
			w.holds(ue1, simA)
			w.wait(5 * sec)
			g.update("x", simA, ue1, ordered(2), repeated)
			w.silent(ue1, simA)
		}},
		{"by a directory", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("x", sim(simA), ue1, ordered(1))
			w.pass(20 * sec)
			n.stop("y", by(binding.Subscriber{MSISDN: simA.MSISDN}))
			w.wait(5 * sec)
			w.knows(simA.IMSI, simA.MSISDN)
			w.commit(w.t)
			w.silent(ue1, simA)
		}},
		{"it attached anew", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, "", of("internet"))
			w.pass(20 * sec)
			n.start("b", simA, ue2, of("internet"))
			w.wait(sec)
			g.start("g", simA, ue1, of("internet"), ordered(1), repeated)
			w.silent(ue1, simA)
			w.wait(sec)
			g.update("g", simA, ue1, of("internet"), ordered(2))
			w.holds(ue1, simA)
		}},
		{"and from another address: that is another stay", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue3)
			n.update("a", simA, ue3, bearer(5))
			n.update("a", simA, ue3, bearer(6))
			w.pass(20 * sec)
			n.stop("a", bearer(5))
			w.wait(sec)
			g.start("g", simA, ue1, ordered(1), repeated)
			w.holds(ue1, simA)
		}},
	})
}

// TestWhoMayBeOverWhenHeardOf counts as over for those who live there.
func TestWhoMayBeOverWhenHeardOf(t *testing.T) {
	const sec = time.Second
	prove(t, []claim{
		{"as the stop of a session with its id, which was forgotten, may be its own", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("g", simA, ue1, ordered(1))
			w.wait(10 * sec)
			n.stop("a")
			w.forget()
			w.wait(sec)
			n.start("a", simA, ue1, late(5*sec))
			w.silent(ue1, simA)
			w.wait(sec)
			g.update("g", simA, ue1, ordered(2))
			w.holds(ue1, simA)
		}},
		{"as it names an address by a word of before its SIM attached anew", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			who := binding.Subscriber{MSISDN: simA.MSISDN}
			g.start("g", who, ue1, of("internet"), ordered(1))
			n.start("a", simA, "", of("internet"))
			w.pass(20 * sec)
			g.update("g", who, ue1, of("internet"), ordered(2))
			w.wait(sec)
			n.start("b", simA, ue2, of("internet"))
			n.update("a", simA, ue1, of("internet"), late(10*sec))
			w.silent(ue1, simA)
		}},
	})
}

// latest is the session that was made last.
func (w *tale) latest() uint32 {
	for id := w.m.Sessions.Limit(); ; id-- {
		if w.m.Sessions.Load(id, 0) != 0 {
			return id
		}
	}
}

// TestWhatASessionMayLack it has again by a word that is of after what may have
// taken it.
func TestWhatASessionMayLack(t *testing.T) {
	const sec = time.Second
	const both = ue1 + " " + ue2
	prove(t, []claim{
		{"another source's account of a stay that its SIM left", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("x", simA, both, of("internet"))
			g.start("g", simA, both, of("internet"), ordered(1))
			w.now = w.now.Add(10 * sec)
			n.start("y", simA, ue1, of("internet"))
			w.silent(ue2, simA)
			w.now = w.now.Add(sec)
			g.update("g", simA, both, of("internet"), ordered(2), repeated)
			w.silent(ue2, simA)
			w.crash(0)
			g.update("g", simA, both, of("internet"), ordered(3), repeated)
			w.silent(ue2, simA)
			w.wait(sec)
			g.update("g", simA, ue1, of("internet"), ordered(4))
			n.stop("x")
			w.wait(sec)
			g.update("g", simA, both, of("internet"), ordered(5))
			w.holds(ue2, simA)
		}},
		{"a session at the node where its SIM attached anew", func(w *tale) {
			n := w.nas("nas")
			n.start("x", simA, both, of("internet"))
			w.pass(20 * sec)
			n.start("y", simA, ue1, of("internet"))
			w.now = w.now.Add(sec)
			n.update("x", simA, both, of("internet"), late(10*sec))
			w.silent(ue2, simA)
			w.pass(10 * sec)
			n.update("x", simA, both, of("internet"))
			w.holds(ue2, simA)
		}},
		{"also if it is not known which of the two began later", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.start("x", simA, both, of("internet"))
			w.wait(5 * sec)
			n.start("y", simA, ue1, of("internet"))
			w.silent(ue2, simA)
			w.wait(27 * sec)
			n.update("x", simA, both, of("internet")) // perhaps of before y
			w.silent(ue2, simA)
			w.crash(0)
			n.update("x", simA, both, of("internet"))
			w.silent(ue2, simA)
			w.wait(40 * sec)
			n.update("x", simA, both, of("internet"))
			w.holds(ue2, simA)
		}},
		{"what was not confirmed with another address", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("y", simA, both)
			g.start("g", simA, both, ordered(1))
			w.pass(20 * sec)
			n.stop("y")
			w.pass(10 * sec)
			n.start("z", simA, ue1)
			w.holds(ue1, simA)
			w.silent(ue2, simA)
			g.update("g", simA, both, ordered(2), repeated)
			w.silent(ue2, simA)
			w.wait(sec)
			g.update("g", simA, both, ordered(3))
			w.holds(ue2, simA)
		}},
	})
}

// TestStaysAreComparedByWhatOverlaps and only whole IPv4 addresses tell two of one
// SIM apart.
func TestStaysAreComparedByWhatOverlaps(t *testing.T) {
	const sec = time.Second
	prove(t, []claim{
		{"two prefixes may be of one stay", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, "2001:db8:1::/56")
			g.start("g", simA, "2001:db8:2:1::/64", ordered(1))
			w.wait(20 * sec)
			n.stop("a")
			w.silent("2001:db8:2:1::7", simA)
		}},
		{"so may two blocks of ports", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, "198.51.100.7:1024-2047")
			g.start("g", simA, "198.51.100.8:1024-2047", ordered(1))
			w.wait(20 * sec)
			n.stop("a")
			w.silent("198.51.100.8:1024", simA)
		}},
		{"an address that one may not have tells nothing", func(w *tale) {
			n, g := w.newNAS("nas"), w.pgw("pgw")
			n.start("a", simA, "")
			w.wait(sec)
			g.start("g", simA, ue1, ordered(1))
			w.wait(sec)
			n.update("a", simA, ue2, late(12*sec))
			w.wait(10 * sec)
			n.stop("a")
			w.silent(ue1, simA)
		}},
		{"two addresses are of two stays", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue2)
			g.start("g", simA, ue1, ordered(1))
			w.wait(20 * sec)
			n.stop("a")
			w.holds(ue1, simA)
		}},
		{"a prefix within that of the session that its SIM left is of that stay", func(w *tale) {
			n, g := w.newNAS("nas"), w.pgw("pgw")
			n.start("a", simA, "2001:db8:0:100::/56", of("internet"))
			g.start("g", simA, "2001:db8:0:103::/64", of("internet"), ordered(1))
			w.wait(20 * sec)
			n.start("b", simA, "2001:db8:0:200::/56", of("internet"))
			w.silent("2001:db8:0:103::7", simA)
		}},
	})
}
