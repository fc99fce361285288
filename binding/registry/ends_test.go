package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestAStopEndsItsSessionUnderEveryClock: rule 3 of docs/rules.md. A stop of a session that lives
// ends it, whatever its stamp says.
func TestAStopEndsItsSessionUnderEveryClock(t *testing.T) {
	set := func(n *gateway, by time.Duration) { n.ahead += by }
	for _, tt := range []struct {
		clock string
		tell  func(n *gateway)
	}{
		{"a steady one", func(*gateway) {}},
		{"one that was 20 hours ahead and is set back", func(n *gateway) { set(n, -20*time.Hour) }},
		{"one that is set back by three seconds", func(n *gateway) { set(n, -3*time.Second) }},
		{"one that is set back by less than max_delay", func(n *gateway) { set(n, -4*time.Minute) }},
		{"one that is set ahead by three seconds", func(n *gateway) { set(n, 3*time.Second) }},
		{"one that is set ahead by a day", func(n *gateway) { set(n, 24*time.Hour) }},
		{"one that stamps no more", func(n *gateway) { n.mute = true }},
		{"one that is set twice between two words", func(n *gateway) {
			set(n, time.Hour)
			n.chat()
			set(n, -2*time.Hour)
		}},
		{"one that is forgotten over a crash", func(n *gateway) { n.w.crash(time.Second) }},
		{"one that is forgotten over a crash, and set back", func(n *gateway) {
			n.w.crash(time.Second)
			set(n, -time.Hour)
		}},
	} {
		for kind, known := range map[string]bool{"known": true, "at first contact": false} {
			t.Run(tt.clock+", "+kind, func(t *testing.T) {
				w := newTale(t, taleConfig)
				n := w.newNAS("nas")
				n.ahead = 20 * time.Hour
				if known {
					n.settle()
				}
				n.start("a", simA, ue1)
				w.wait(30 * time.Second)
				n.update("a", simA, ue1)
				w.holds(ue1, simA)
				w.wait(30 * time.Second)
				tt.tell(n)
				if got := n.stop("a"); got != Applied {
					t.Errorf("the stop is %q", got)
				}
				w.nobody(ue1, "unknown/no-binding")
				w.fit()
			})
		}
	}
}

// TestNothingFromBeforeAnEndRevives: rule 4, by any field, after any time, with
// and without a crash in between.
func TestNothingFromBeforeAnEndRevives(t *testing.T) {
	type old struct {
		name string
		say  func(n *gateway, since time.Duration) // the word is as old as the end and some more
	}
	sent := func(n *gateway, since time.Duration) detail {
		at := n.clock(n.w.now.Add(-since - 5*time.Second))
		return func(_ *gateway, ev *binding.Event) { ev.Time = at }
	}
	words := []old{
		{"a repetition of its start", func(n *gateway, since time.Duration) {
			n.start("a", simA, ue1, late(since+100*time.Second))
		}},
		{"an interim that was late", func(n *gateway, since time.Duration) {
			n.update("a", simA, ue1, late(since+5*time.Second))
		}},
		{"an interim with its age", func(n *gateway, since time.Duration) {
			n.update("a", simA, ue1, late(since+5*time.Second), aged(85*time.Second))
		}},
		{"an interim whose fixed stamp and delay both tell", func(n *gateway, since time.Duration) {
			n.update("a", simA, ue1, sent(n, since), delayed((since + 5*time.Second).Truncate(time.Second)))
		}},
		{"an interim whose stamp is of its sending", func(n *gateway, since time.Duration) {
			n.update("a", simA, ue1, delayed((since + 5*time.Second).Truncate(time.Second)))
		}},
		{"an interim with a delay alone", func(n *gateway, since time.Duration) {
			n.update("a", simA, ue1, unstamped, delayed((since + 2*time.Second).Truncate(time.Second)))
		}},
		{"an interim of the second of the end", func(n *gateway, since time.Duration) {
			n.update("a", simA, ue1, late(since+500*time.Millisecond))
		}},
	}
	for _, word := range words {
		for _, since := range []time.Duration{500 * time.Millisecond, 10 * time.Second, 3 * time.Minute} {
			for _, crash := range []bool{false, true} {
				name := word.name + " after " + since.String()
				if crash {
					name += " and a crash"
				}
				t.Run(name, func(t *testing.T) {
					w := newTale(t, taleConfig)
					n := w.nas("nas")
					n.start("a", simA, ue1)
					w.pass(90 * time.Second)
					n.stop("a")
					w.now = w.now.Add(since)
					if crash {
						w.crash(0)
					}
					word.say(n, since)
					w.nobody(ue1, "unknown/no-binding")
					w.wait(0)
					word.say(n, since)
					w.nobody(ue1, "unknown/no-binding")
					w.fit()
				})
			}
		}
	}
}

func TestEnds(t *testing.T) {
	prove(t, []claim{
		{"nothing of a node that tells no time revives within blind_delay, its age neither", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.start("a", simA, ue1)
			w.wait(600 * time.Second)
			n.stop("a", aged(600*time.Second))
			w.wait(20 * time.Second)
			n.update("a", simA, ue1, aged(590*time.Second))
			w.nobody(ue1, "unknown/no-binding")
			n.update("a", simA, ue1, aged(600*time.Second))
			w.nobody(ue1, "unknown/no-binding")
			n.update("a", simA, ue1)
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"a delay that is rounded down to a second does not revive, where it is all that is told", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.start("a", simA, ue1, delayed(0))
			w.wait(20 * time.Second)
			n.stop("a", delayed(0))
			w.now = w.now.Add(1900 * time.Millisecond)
			n.update("a", simA, ue1, delayed(time.Second)) // of 0.1 s before the end
			w.nobody(ue1, "unknown/no-binding")
			w.now = w.now.Add(8 * time.Second)
			n.update("a", simA, ue1, delayed(9*time.Second))
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"a session of Gx that was terminated does not come back, over a crash neither", func(w *tale) {
			n := w.pgw("pgw")
			n.start("a", simA, ue1, ordered(1))
			w.wait(time.Second)
			n.update("a", simA, ue1, ordered(3))
			w.wait(time.Second)
			n.stop("a", ordered(4))
			w.nobody(ue1, "unknown/no-binding")
			w.wait(time.Second)
			n.update("a", simA, ue1, ordered(2), repeated)
			w.nobody(ue1, "unknown/no-binding")
			w.crash(time.Second)
			n.update("a", simA, ue1, ordered(2))
			w.nobody(ue1, "unknown/no-binding")
			n.update("a", simA, ue1, ordered(3), repeated)
			w.nobody(ue1, "unknown/no-binding")
			n.update("a", simA, ue1, ordered(5))
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"a stop that carries no address ends all that its session holds", func(w *tale) {
			n := w.pgw("pgw")
			n.start("a", simA, ue1+" 2001:db8:1::/64")
			w.wait(time.Second)
			n.stop("a")
			w.nobody(ue1, "unknown/no-binding")
			w.nobody("2001:db8:1::9", "unknown/no-binding")
		}},
		{"a start after the end is a new session", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.stop("a")
			w.wait(5 * time.Second)
			n.start("a", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"an interim makes up for a lost start", func(w *tale) {
			n := w.nas("nas")
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a reused id never inherits the former SIM", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.start("a", noSIM, ue1)
			w.nobody(ue1, "unknown/no-msisdn")
		}},
		{"nor when an interim says that it began later", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(10 * time.Minute)
			n.update("a", noSIM, ue1, aged(30*time.Second))
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
		{"a word of another SIM is of another session with the id, before it or after it", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, partial)
			n.update("a", simB, ue2, partial) // within a second
			w.silent(ue1, simA)
			w.silent(ue2, simB)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1, partial)
			w.silent(ue1, simB)
			w.silent(ue2, simA)
			w.silent(ue2, simB)
		}},
		{"a start that says something else is perhaps that of another session with the id", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.start("a", simA, ue2, partial) // within a second
			w.silent(ue1, simA)
			w.silent(ue2, simA)
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
		{"a session whose end is in doubt still stands against others", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.start("a", simB, ue1)
			w.wait(5 * time.Second)
			other := w.nas("other")
			n.stop("a", late(30*time.Second))
			other.start("x", simA, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"the end of an unknown session ends the older holder", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.stop("b", has(ue1)) // its start was lost
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"whose age says that it began before does not end the younger", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
			w.wait(3 * time.Second)
			n.stop("b", has(ue1), late(90*time.Second), aged(10*time.Minute))
			w.want(ue1, simA, "ambiguous/order") // it was late: who knows
			w.wait(3 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a start that its own stop overtook does not bind, and ends older holders", func(w *tale) {
			n := w.nas("nas")
			n.start("old", simB, ue1)
			w.pass(20 * time.Second)
			n.stop("a")
			w.holds(ue1, simB)
			w.wait(time.Second)
			n.start("a", simA, ue1, late(4*time.Second))
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"what comes after the end still says who had the address", func(w *tale) {
			n := w.nas("nas")
			n.start("old", simB, ue2)
			w.pass(20 * time.Second)
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.stop("a")
			w.wait(5 * time.Second)
			n.update("a", simA, ue2, late(7*time.Second)) // it had moved to the other's address
			w.nobody(ue1, "unknown/no-binding")
			w.nobody(ue2, "unknown/no-binding")
		}},
		{"who had an address by a session that was over when it was heard of had it after what is older", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simB, ue3)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1, aged(25*time.Second)) // of a session that had the id before
			n.start("c", simC, ue1, late(8*time.Second))
			w.want(ue1, simC, "ambiguous/order")
			w.crash(time.Second)
			w.want(ue1, simC, "ambiguous/order")
			n.update("c", simC, ue1)
			w.silent(ue1, simC)
			n.settle()
			n.update("c", simC, ue1)
			w.holds(ue1, simC)
		}},
		{"the end of an unknown session without addresses leaves other sources' sessions of its SIM in doubt", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			g.stop("x", by(simA))
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"and those that are heard of later", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.stop("x", by(simA))
			w.wait(5 * time.Second)
			n.start("a", simA, ue1, late(20*time.Second))
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"but none of another APN", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1, of("internet"))
			w.wait(10 * time.Second)
			g.stop("x", by(simA), of("ims"))
			w.holds(ue1, simA)
		}},
	})
}

// TestContextsOfOneSession: 3GPP TS 29.061 clause 16.4.7.2.
func TestContextsOfOneSession(t *testing.T) {
	prove(t, []claim{
		{"the stop of one context leaves a doubt that the session's next word ends", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, bearer(5))
			w.wait(3 * time.Second)
			n.update("a", simA, ue1, bearer(6), late(0))
			w.wait(3 * time.Second)
			n.update("a", simA, ue1, bearer(5))
			w.wait(3 * time.Second)
			if got := n.stop("a", bearer(6)); got != OneContext {
				w.t.Errorf("the stop of one context is %q", got)
			}
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(3 * time.Second)
			n.update("a", simA, ue1, bearer(5))
			w.holds(ue1, simA)
			w.wait(3 * time.Second)
			n.stop("a", bearer(5))
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"a context that got another number at a handover does not keep the session alive", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, bearer(5))
			w.wait(3 * time.Second)
			n.stop("a", bearer(6))
			w.silent(ue1, simA)
		}},
		{"the last stop ends the sessions of all contexts", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, bearer(5))
			w.wait(3 * time.Second)
			n.start("b", simA, ue1, bearer(6))
			w.holds(ue1, simA)
			w.wait(3 * time.Second)
			n.stop("b", bearer(6), lastBearer)
			w.silent(ue1, simA)
		}},
		{"secondary contexts share the address", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, bearer(5))
			w.wait(3 * time.Second)
			n.start("b", simA, ue1, bearer(6))
			w.wait(3 * time.Second)
			n.update("a", simA, ue1, bearer(5))
			w.wait(3 * time.Second)
			n.stop("b", bearer(6))
			w.holds(ue1, simA)
		}},
	})
}
