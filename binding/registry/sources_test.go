package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestIdentityOfTheSpeaker: rule 1.
func TestIdentityOfTheSpeaker(t *testing.T) {
	foreign := func(n *gateway) { n.owner = "somebody else" }
	byAddress := func(n *gateway) { n.name = "192.0.2.1" }
	prove(t, []claim{
		{"another owner never moves an address, by RADIUS", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			rogue := n.as(foreign)
			rogue.settle()
			rogue.start("b", simB, ue1)
			w.nobody(ue1, "ambiguous/conflict")
			n.update("a", simA, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"another owner never moves an address, by Gx", func(w *tale) {
			n := w.pgw("pgw")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.as(foreign).start("b", simB, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"nor ends its session, under its id", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.as(foreign).stop("a")
			w.holds(ue1, simA)
		}},
		{"nor restarts its node", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.as(foreign).restart()
			w.holds(ue1, simA)
		}},
		{"nor sets its clock", func(w *tale) {
			n := w.nas("nas")
			rogue := n.as(foreign)
			rogue.ahead = -time.Hour
			for range 20 {
				rogue.chat()
			}
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"a group of owners is one: a stop that comes by the other way is the same node's", func(w *tale) {
			n := w.pgw("pgw") // the edge names the group
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.as(func(n *gateway) { n.link = 99 }).stop("a")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"a gateway that names itself by name and address, and then by address alone, is one", func(w *tale) {
			n := w.newNAS("nas")
			n.also = "192.0.2.1"
			n.settle()
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.as(byAddress).as(func(n *gateway) { n.also = "" }).stop("a")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"over a crash too", func(w *tale) {
			n := w.newNAS("nas")
			n.also = "192.0.2.1"
			n.settle()
			n.start("a", simA, ue1)
			w.crash(5 * time.Second)
			n.as(byAddress).as(func(n *gateway) { n.also = "" }).stop("a")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"two node records that turn out to be one are joined", func(w *tale) {
			plain := w.nas("192.0.2.1")
			plain.owner = "client nas"
			plain.settle()
			plain.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n := w.newNAS("nas")
			n.also = "192.0.2.1"
			n.settle()
			n.start("b", simB, ue1)
			w.silent(ue1, simA)
			n.stop("a")
			w.wait(5 * time.Second)
			n.update("b", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"a restart of the one name is the other's", func(w *tale) {
			plain := w.nas("192.0.2.1")
			plain.owner = "client nas"
			plain.settle()
			plain.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n := w.newNAS("nas")
			n.also = "192.0.2.1"
			n.settle()
			n.restart()
			w.nobody(ue1, "unknown/ended")
		}},
		{"an address that came with two identifiers is no name", func(w *tale) {
			n := w.newNAS("nas")
			n.also = "192.0.2.1" // a proxy's
			n.settle()
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			other := n.as(func(n *gateway) { n.name = "other" })
			other.settle()
			other.start("b", simB, ue2)
			for _, crash := range []bool{false, true} {
				if crash {
					w.crash(time.Second)
				}
				alone := n.as(byAddress).as(func(n *gateway) { n.also = "" })
				alone.stop("a")
				alone.restart()
				w.holds(ue1, simA)
				w.holds(ue2, simB)
			}
		}},
	})
}

// TestSourcesDisagree: rule 9. Nodes are never ordered.
func TestSourcesDisagree(t *testing.T) {
	both := func(w *tale) (*gateway, *gateway) {
		n, other := w.nas("nas"), w.nas("other")
		n.start("a", simA, ue1)
		w.pass(10 * time.Second)
		other.start("b", simB, ue1)
		w.nobody(ue1, "ambiguous/conflict")
		w.pass(10 * time.Second)
		return n, other
	}
	prove(t, []claim{
		{"a conflict outlives refreshes of either", func(w *tale) {
			n, other := both(w)
			n.update("a", simA, ue1)
			w.nobody(ue1, "ambiguous/conflict")
			other.update("b", simB, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"a conflict outlives late words", func(w *tale) {
			n, other := both(w)
			n.update("a", simA, ue1, late(15*time.Second))
			other.update("b", simB, ue1, late(15*time.Second))
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"a conflict outlives a release, until both have spoken or one ends", func(w *tale) {
			n, other := both(w)
			w.releaseAt(ue1)
			w.silent(ue1, simA)
			w.silent(ue1, simB)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.nobody(ue1, "ambiguous/conflict")
			w.wait(5 * time.Second)
			other.update("b", simB, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"over a crash too", func(w *tale) {
			n, _ := both(w)
			w.releaseAt(ue1)
			w.crash(5 * time.Second)
			n.update("a", simA, ue1)
			w.silent(ue1, simA)
			w.silent(ue1, simB)
			n.settle()
			n.update("a", simA, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"it ends with a stop, and the other one's next word", func(w *tale) {
			n, other := both(w)
			other.stop("b")
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"it ends with a restart of a node, and the other one's next word", func(w *tale) {
			n, other := both(w)
			other.restart()
			w.silent(ue1, simA)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"it ends with a lease", func(w *tale) {
			n, _ := both(w)
			for range 7 {
				w.pass(9 * time.Minute)
				n.update("a", simA, ue1)
			}
			w.holds(ue1, simA)
		}},
		{"any message, however old, keeps a session standing against others for a lease", func(w *tale) {
			n, other := both(w)
			for range 7 {
				w.pass(9 * time.Minute)
				n.update("a", simA, ue1)
				other.update("b", simB, ue1, late(4*time.Minute))
			}
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"a part of an address of another node's is in conflict", func(w *tale) {
			n, other := w.nas("nas"), w.nas("other")
			n.start("a", simA, "2001:db8:0:100::/56")
			w.wait(5 * time.Second)
			other.start("b", simB, "2001:db8:0:103::/64")
			w.nobody("2001:db8:0:103::7", "ambiguous/conflict")
			w.silent("2001:db8:0:1ff::9", simA)
		}},
		{"a block of ports of which another node's session has a piece is in conflict as a whole", func(w *tale) {
			n, other := w.nas("nas"), w.nas("other")
			n.start("a", simA, "198.51.100.7:1000-2999")
			w.wait(5 * time.Second)
			w.holds("198.51.100.7:1500", simA)
			other.start("b", simB, "198.51.100.7:2500-3499")
			for _, port := range []string{"1001", "1500", "2047", "2600", "2999"} {
				w.silent("198.51.100.7:"+port, simA)
				w.silent("198.51.100.7:"+port, simB)
			}
		}},
		{"sessions that name number and SIM alone do not agree with each other", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", binding.Subscriber{MSISDN: simA.MSISDN}, ue1)
			w.wait(5 * time.Second)
			g.start("b", binding.Subscriber{IMSI: simA.IMSI}, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"one that names both joins them", func(w *tale) {
			n, g, other := w.nas("nas"), w.pgw("pgw"), w.pgw("other")
			n.start("a", binding.Subscriber{MSISDN: simA.MSISDN}, ue1)
			g.start("b", binding.Subscriber{IMSI: simA.IMSI}, ue1)
			other.start("c", simA, ue1)
			w.holds(ue1, simA)
		}},
	})
}

// TestSourcesEnd: rule 10.
func TestSourcesEnd(t *testing.T) {
	prove(t, []claim{
		{"after another source's end no word from before it confirms", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.pass(time.Minute)
			g.stop("g")
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(10 * time.Second)
			for _, say := range []detail{late(11 * time.Second), late(70 * time.Second), unstamped, delayed(20 * time.Second)} {
				n.update("a", simA, ue1, say)
				w.want(ue1, simA, "ambiguous/ending")
			}
			w.pass(time.Minute) // longer than linger
			n.update("a", simA, ue1, late(75*time.Second))
			w.want(ue1, simA, "unknown/ended")
			w.crash(time.Second)
			n.update("a", simA, ue1, late(75*time.Second))
			w.want(ue1, simA, "unknown/ended")
		}},
		{"nor by a clock that is ahead", func(w *tale) {
			n, g := w.newNAS("nas"), w.pgw("pgw")
			n.ahead = 10 * time.Minute
			n.settle()
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.pass(time.Minute)
			g.stop("g")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1, late(10*time.Second))
			w.want(ue1, simA, "ambiguous/ending")
		}},
		{"a certain word brings the match back, before linger and after it", func(w *tale) {
			for _, after := range []time.Duration{5 * time.Second, 10 * time.Minute} {
				w.configure(func(*Config) {})
				w.gateways = nil
				n, g := w.nas("nas"), w.pgw("pgw")
				n.start("a", simA, ue1)
				g.start("g", simA, ue1)
				w.pass(time.Minute)
				g.stop("g")
				w.pass(after)
				n.update("a", simA, ue1)
				w.holds(ue1, simA)
			}
		}},
		{"the end of a session at another address is that of another stay", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue2)
			w.pass(time.Minute)
			g.stop("g")
			w.holds(ue1, simA)
		}},
		{"nothing is released for having lingered", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.pass(time.Minute)
			g.stop("g")
			w.changes = nil
			w.pass(30 * time.Minute)
			for _, c := range w.changes {
				if c.Kind == binding.Released {
					w.t.Errorf("%+v", c)
				}
			}
		}},
		{"another session of the same source that goes on keeps its word", func(w *tale) {
			g, other := w.pgw("pgw"), w.pgw("other")
			g.start("g", simA, ue1)
			w.wait(5 * time.Second)
			other.start("h", simA, ue1) // the SIM moved to another gateway of the source
			w.wait(5 * time.Second)
			g.stop("g")
			w.holds(ue1, simA)
		}},
		{"but not the one that is surely the former", func(w *tale) {
			g, other := w.pgw("pgw"), w.pgw("other")
			g.start("g", simA, ue1)
			w.wait(5 * time.Second)
			other.start("h", simA, ue1)
			w.wait(5 * time.Second)
			other.stop("h")
			w.want(ue1, simA, "ambiguous/ending")
		}},
		{"whoever it was that ended, what had begun before must speak", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			g.stop("g", by(simB), has(ue1))
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a node that uses a session's id for another SIM has ended it, also for other sources", func(w *tale) {
			for _, addr := range []string{ue1, ue2} {
				for _, kind := range []binding.Kind{binding.SessionStart, binding.SessionUpdate} {
					w.configure(func(*Config) {})
					w.gateways = nil
					n, g := w.nas("nas"), w.pgw("pgw")
					g.start("g", simA, ue1)
					n.start("a", simA, ue1)
					w.pass(20 * time.Second)
					n.say(kind, "a", simB, addr, nil)
					w.silent(ue1, simA)
					w.pass(20 * time.Second)
					n.stop("a")
					w.want(ue1, simA, "ambiguous/ending")
				}
			}
		}},
		{"both ends release", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.pass(time.Minute)
			g.stop("g")
			n.stop("a")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"what one source gave up another must name again", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1+" "+ue2)
			g.start("g", simA, ue1+" "+ue2)
			w.pass(time.Minute)
			g.update("g", simA, "", gone(ue1))
			w.silent(ue1, simA)
			w.holds(ue2, simA)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1+" "+ue2)
			w.holds(ue1, simA)
			w.holds(ue2, simA)
		}},
	})
}

// TestTwoSourcesTellOfOneChange in any order, and end in a match without a
// deadline.
func TestTwoSourcesTellOfOneChange(t *testing.T) {
	type word struct {
		who  string
		tell func(n, g *gateway)
	}
	nas := []word{
		{"radius stop", func(n, _ *gateway) { n.stop("a") }},
		{"radius start", func(n, _ *gateway) { n.start("b", simB, ue1) }},
	}
	pgw := []word{
		{"gx stop", func(_, g *gateway) { g.stop("g") }},
		{"gx start", func(_, g *gateway) { g.start("h", simB, ue1) }},
	}
	merge(nas, pgw, nil, func(order []word) {
		name := ""
		for i, x := range order {
			if i > 0 {
				name += ", "
			}
			name += x.who
		}
		for _, gap := range []time.Duration{2 * time.Millisecond, 400 * time.Millisecond, 4 * time.Second} {
			t.Run(name+" each after "+gap.String(), func(t *testing.T) {
				w := newTale(t, taleConfig)
				n, g := w.nas("nas"), w.pgw("pgw")
				n.start("a", simA, ue1)
				g.start("g", simA, ue1)
				w.pass(time.Minute)
				w.holds(ue1, simA)
				for _, x := range order {
					w.now = w.now.Add(gap)
					x.tell(n, g)
					w.silent(ue1, simA)
				}
				w.pass(time.Minute) // longer than linger
				w.silent(ue1, simA)
				n.update("b", simB, ue1)
				g.update("h", simB, ue1)
				w.holds(ue1, simB)
				w.fit()
			})
		}
	})
}

// merge visits every order of two lists that keeps each.
func merge[T any](x, y, done []T, visit func([]T)) {
	if len(x)+len(y) == 0 {
		visit(done)
		return
	}
	done = done[:len(done):len(done)]
	if len(x) > 0 {
		merge(x[1:], y, append(done, x[0]), visit)
	}
	if len(y) > 0 {
		merge(x, y[1:], append(done, y[0]), visit)
	}
}

// TestASourceThatCannotRepeatItself, as GTP and PFCP have no refresh, keeps its
// word while it holds the session: seen live with an SMF and its UPF.
func TestASourceThatCannotRepeatItself(t *testing.T) {
	prove(t, []claim{
		{"a user plane that restarts and restores its sessions 2 ms later silences nobody", func(w *tale) {
			g, up := w.tapped(binding.SourceGTPv2, "smf"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			w.now = w.now.Add(10 * time.Millisecond)
			up.start("p", simA, ue1)
			w.pass(time.Minute)
			up.restart()
			w.now = w.now.Add(2 * time.Millisecond)
			up.start("q", simA, ue1)
			w.holds(ue1, simA)
			w.wait(10 * time.Minute)
			w.holds(ue1, simA)
		}},
		{"whom that confirms keeps its word when the user plane says no more", func(w *tale) {
			g, up := w.tapped(binding.SourceGTPv2, "smf"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			up.start("p", simA, ue1)
			w.pass(time.Minute)
			up.restart()
			w.now = w.now.Add(2 * time.Millisecond)
			up.start("q", simA, ue1, func(_ *gateway, ev *binding.Event) { ev.Lease = time.Minute })
			w.wait(2 * time.Minute)
			w.holds(ue1, simA)
		}},
		{"a gateway that tells of each change of bearers confirms by it", func(w *tale) {
			g, up := w.tapped(binding.SourceGTPv2, "smf"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			up.start("p", noSIM, ue1)
			w.pass(time.Minute)
			up.stop("p")
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(time.Second)
			g.update("g", noSIM, "")
			w.holds(ue1, simA)
		}},
	})
}

// TestASessionThatNamesNobody (PFCP without User ID) binds nothing by itself: it
// corroborates, and ends, what others know.
func TestASessionThatNamesNobody(t *testing.T) {
	prove(t, []claim{
		{"alone it binds nothing", func(w *tale) {
			w.tapped(binding.SourcePFCP, "upf").start("p", noSIM, ue1)
			w.nobody(ue1, "unknown/no-msisdn")
		}},
		{"it corroborates what is known", func(w *tale) {
			w.pgw("pgw").start("g", simA, ue1)
			w.now = w.now.Add(10 * time.Millisecond)
			w.tapped(binding.SourcePFCP, "upf").start("p", noSIM, ue1)
			w.holds(ue1, simA)
		}},
		{"it may come first", func(w *tale) {
			w.tapped(binding.SourcePFCP, "upf").start("p", noSIM, ue1)
			w.now = w.now.Add(10 * time.Millisecond)
			w.pgw("pgw").start("g", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"of another source it may be the same stay, whenever it began", func(w *tale) {
			w.pgw("pgw").start("g", simA, ue1)
			w.wait(time.Minute)
			w.tapped(binding.SourcePFCP, "upf").start("p", noSIM, ue1)
			w.holds(ue1, simA)
		}},
		{"of two gateways of one source it is never the same stay", func(w *tale) {
			w.pgw("pgw").start("g", simA, ue1)
			w.pgw("other").start("p", noSIM, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"its end puts what others say in doubt", func(w *tale) {
			g, up := w.pgw("pgw"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			up.start("p", noSIM, ue1)
			w.wait(time.Minute)
			up.stop("p")
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(time.Second)
			g.update("g", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"one that takes its place confirms nothing", func(w *tale) {
			g, up := w.pgw("pgw"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			up.start("p", noSIM, ue1)
			w.wait(time.Minute)
			up.stop("p")
			w.wait(time.Second)
			up.start("q", noSIM, ue1)
			w.silent(ue1, simA)
		}},
		{"both ends release", func(w *tale) {
			g, up := w.pgw("pgw"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			up.start("p", noSIM, ue1)
			w.wait(time.Minute)
			up.stop("p")
			g.stop("g")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"what it leaves when the other one ended is nobody's", func(w *tale) {
			g, up := w.pgw("pgw"), w.tapped(binding.SourcePFCP, "upf")
			g.start("g", simA, ue1)
			up.start("p", noSIM, ue1)
			w.wait(time.Minute)
			g.stop("g")
			w.silent(ue1, simA)
		}},
	})
}
