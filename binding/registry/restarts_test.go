package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestRestarts: rule 6.
func TestRestarts(t *testing.T) {
	// restarted has a session of before the restart, on ue1, and one minute after
	// it.
	restarted := func(w *tale) *gateway {
		n := w.nas("nas")
		n.start("a", simA, ue1)
		w.pass(time.Minute)
		n.restart()
		w.nobody(ue1, "unknown/ended")
		w.wait(time.Second)
		w.nobody(ue1, "unknown/no-binding")
		return n
	}
	prove(t, []claim{
		{"no session from before a restart matches", func(w *tale) {
			n := restarted(w)
			w.pass(10 * time.Second)
			n.update("a", simA, ue1, late(15*time.Second))
			w.silent(ue1, simA)
			n.update("b", simB, ue2, late(15*time.Second)) // heard of for the first time
			w.silent(ue2, simB)
			n.start("c", simC, ue3, late(40*time.Second))
			w.silent(ue3, simC)
			w.crash(time.Second)
			n.update("a", simA, ue1, late(20*time.Second))
			w.silent(ue1, simA)
		}},
		{"what surely is of before a restart begins nothing, and says who had the address", func(w *tale) {
			n := restarted(w)
			w.pass(20 * time.Second)
			n.update("b", simB, ue2, delayed(40*time.Second))
			w.nobody(ue2, "unknown/no-binding")
			n.start("c", simC, ue2, late(25*time.Second)) // perhaps of before that
			w.silent(ue2, simC)
		}},
		{"one of which it is not known is restarted, and stands against others", func(w *tale) {
			n := restarted(w)
			n.start("b", simB, ue2, late(2*time.Second))
			w.want(ue2, simB, "unknown/restarted")
			other := w.nas("other")
			other.start("x", simA, ue2)
			w.nobody(ue2, "ambiguous/conflict")
		}},
		{"one from after it matches after one certain word", func(w *tale) {
			n := restarted(w)
			n.start("b", simB, ue2, late(2*time.Second))
			w.wait(5 * time.Second)
			n.update("b", simB, ue2)
			w.holds(ue2, simB)
		}},
		{"one that surely began after it matches at once", func(w *tale) {
			n := restarted(w)
			w.wait(4 * time.Second)
			n.start("b", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"a repetition that tells its delay undoes nothing that has spoken since", func(w *tale) {
			n := restarted(w)
			w.pass(10 * time.Second)
			n.start("b", simB, ue1)
			w.pass(20 * time.Second)
			n.restart(delayed(31 * time.Second))
			w.holds(ue1, simB)
			n.restart(late(31*time.Second), delayed(31*time.Second)) // its stamp is fixed
			w.holds(ue1, simB)
		}},
		{"over a crash neither", func(w *tale) {
			n := restarted(w)
			w.pass(10 * time.Second)
			n.start("b", simB, ue1)
			w.crash(20 * time.Second)
			n.restart(delayed(31 * time.Second))
			w.holds(ue1, simB)
			n.update("a", simA, ue1, delayed(40*time.Second))
			w.silent(ue1, simA)
		}},
		{"the same octets of a second reboot are a second restart", func(w *tale) {
			n := restarted(w)
			n.mute = true
			n.restart()
			w.wait(5 * time.Minute)
			n.mute = false
			n.start("b", simB, ue1)
			w.holds(ue1, simB)
			n.mute = true
			w.wait(5 * time.Second)
			n.restart() // tells no time, as the last one
			w.silent(ue1, simB)
		}},
		{"a clock that comes back ten days behind hides no restart", func(w *tale) {
			n := restarted(w)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1)
			w.pass(time.Minute)
			n.ahead -= 10 * 24 * time.Hour
			n.restart()
			w.nobody(ue1, "unknown/ended")
			n.settle()
			n.start("c", simC, ue1)
			w.holds(ue1, simC)
		}},
		{"one that comes back two minutes behind neither", func(w *tale) {
			n := restarted(w)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1)
			w.pass(time.Minute)
			n.ahead -= 2 * time.Minute
			n.restart()
			w.nobody(ue1, "unknown/ended")
		}},
		{"what a restart ended is over for other sources", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.pass(time.Minute)
			n.restart()
			w.want(ue1, simA, "ambiguous/ending") // before the sweep
			w.wait(time.Second)
			w.want(ue1, simA, "ambiguous/ending")
			g.update("g", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"after linger that is an end", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.pass(time.Minute)
			n.restart()
			w.now = w.now.Add(31 * time.Second)
			w.want(ue1, simA, "unknown/ended")
			w.wait(time.Second)
			w.want(ue1, simA, "unknown/ended")
		}},
		{"a restart that is told by a greater Origin-State-Id ends what was before, and not its own event's session",
			func(w *tale) {
				g := w.pgw("pgw")
				g.start("a", simA, ue1, state(7))
				w.wait(time.Minute)
				g.start("b", simB, ue2, state(8))
				w.nobody(ue1, "unknown/ended")
				w.holds(ue2, simB)
				w.wait(time.Second)
				w.nobody(ue1, "unknown/no-binding")
			}},
		{"the Origin-State-Id is in the commit of its event", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, state(7))
			w.crash(30 * time.Second) // the gateway restarts meanwhile
			g.update("x", simC, ue3, state(8))
			w.nobody(ue1, "unknown/ended")
		}},
		{"what comes with a smaller one is of before the restart", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, state(7))
			w.wait(time.Minute)
			g.restart(state(8))
			g.update("a", simA, ue1, state(7), repeated)
			w.nobody(ue1, "unknown/no-binding")
			w.wait(time.Second)
			g.start("b", simB, ue1, state(8))
			w.holds(ue1, simB)
		}},
		{"the same one twice is no restart", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, state(7))
			w.wait(time.Minute)
			if got := g.restart(state(7)); got != Duplicate {
				w.t.Errorf("%q", got)
			}
			w.holds(ue1, simA)
		}},
		{"the first one that is told is no restart", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1)
			w.wait(time.Minute)
			g.update("x", simC, ue3, state(7))
			w.holds(ue1, simA)
		}},
		{"two senders that use one name do not restart each other", func(w *tale) {
			g := w.pgw("string")
			g.start("a", simA, ue1, state(100))
			w.wait(time.Second)
			g.start("b", simB, ue2, state(50)) // another one of the pair
			w.wait(time.Second)
			g.update("x", simC, ue3, state(100))
			w.wait(time.Second)
			g.update("y", simC, ue3, state(50))
			w.holds(ue1, simA)
			w.holds(ue2, simB)
			if n := w.counters.n[countContradictedState].Load(); n != 1 {
				w.t.Errorf("%d contradictions counted", n)
			}
		}},
		{"a forged state that living traffic contradicts ends no more", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, state(7))
			w.wait(time.Minute)
			g.update("forged", noSIM, "", state(1000))
			w.silent(ue1, simA)
			w.wait(10 * time.Second)
			g.update("a", simA, ue1, state(7)) // the living one goes on with its own
			w.holds(ue1, simA)
			w.wait(10 * time.Second)
			g.update("forged", noSIM, "", state(1001))
			w.holds(ue1, simA)
		}},
	})
}

// TestReleases: rule 14.
func TestReleases(t *testing.T) {
	prove(t, []claim{
		{"a release ends a binding by an operator's word", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			w.releaseAt(ue1)
			w.nobody(ue1, "unknown/released")
		}},
		{"a repetition of the old start does not undo it, over a crash neither", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			w.releaseAt(ue1)
			w.wait(5 * time.Second)
			n.start("a", simA, ue1, late(15*time.Second))
			w.nobody(ue1, "unknown/released")
			w.crash(time.Second)
			n.start("a", simA, ue1, late(16*time.Second))
			w.nobody(ue1, "unknown/released")
			n.start("a", simA, ue1, delayed(16*time.Second))
			w.nobody(ue1, "unknown/released")
		}},
		{"nor what a session says of before it that was not heard of then", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			w.releaseAt(ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1, late(10*time.Second))
			w.silent(ue1, simB)
			w.crash(time.Second)
			w.silent(ue1, simB)
		}},
		{"nor that of an address that nobody held", func(w *tale) {
			n := w.nas("nas")
			w.releaseAt(ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1, late(10*time.Second))
			w.want(ue1, simB, "unknown/released")
		}},
		{"a word of after it does", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			w.releaseAt(ue1)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"of two sources that agree one has spoken: the other's word is not needed", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.wait(10 * time.Second)
			w.releaseAt(ue1)
			w.nobody(ue1, "unknown/released")
			w.wait(5 * time.Second)
			g.update("g", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a marked session still stands against others", func(w *tale) {
			n, other := w.nas("nas"), w.nas("other")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			w.releaseAt(ue1)
			w.wait(5 * time.Second)
			other.start("x", simB, ue1)
			w.silent(ue1, simB)
			other.update("x", simB, ue1)
			w.silent(ue1, simB)
			n.stop("a")
			w.wait(5 * time.Second)
			other.update("x", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"whoever holds a wider address around it must speak too", func(w *tale) {
			n := w.nas("nas")
			n.start("b", simA, "2001:db8:0:103::/64")
			w.wait(10 * time.Second)
			n.start("a", simA, "2001:db8:0:100::/56") // the later one: the end of b leaves no doubt of it
			w.wait(10 * time.Second)
			n.update("b", simA, "2001:db8:0:103::/64")
			w.wait(10 * time.Second)
			w.releaseAt("2001:db8:0:103::7")
			w.silent("2001:db8:0:103::7", simA)
			n.stop("b")
			w.silent("2001:db8:0:103::7", simA)
		}},
		{"an address that nobody holds cannot be released", func(w *tale) {
			if w.release(query(ue1), "test", "uid=0") {
				w.t.Error("it is")
			}
		}},
		{"it is in the trace, with who said so and why", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.batch.trace = nil
			w.release(query(ue1), "stolen phone", "uid=0")
			w.ring.add(w.batch.trace)
			found, err := w.Trace(ue1, 1)
			if err != nil || len(found) != 1 || found[0].Node != "uid=0" || found[0].Outcome != "stolen phone" ||
				found[0].MSISDN != simA.MSISDN {
				w.t.Errorf("%+v %v", found, err)
			}
		}},
	})
}

// TestLeases, and losses of a node, of news and of ourselves: rule 15.
func TestLeases(t *testing.T) {
	prove(t, []claim{
		{"a lease runs out to stale, and holds nothing after its grace", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(59 * time.Minute)
			w.holds(ue1, simA)
			w.pass(2 * time.Minute)
			w.want(ue1, simA, "stale/lease")
			w.now = w.now.Add(10 * time.Minute)
			w.want(ue1, simA, "unknown/ended")
			w.wait(0)
			w.want(ue1, simA, "unknown/no-binding")
		}},
		{"a lease runs from the emission", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(30 * time.Minute)
			n.update("a", simA, ue1, late(4*time.Minute))
			w.pass(55 * time.Minute)
			w.holds(ue1, simA)
			w.pass(2 * time.Minute)
			w.want(ue1, simA, "stale/lease")
		}},
		{"a node may have a lease of its own", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, func(_ *gateway, ev *binding.Event) { ev.Lease = time.Minute })
			w.wait(61 * time.Second)
			w.want(ue1, simA, "stale/lease")
		}},
		{"what is not newer by its session's own count does not renew it", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, ordered(1))
			w.wait(time.Minute)
			g.update("a", simA, ue1, ordered(2))
			w.wait(59 * time.Minute)
			g.update("a", simA, ue1, ordered(2), repeated)
			w.wait(2 * time.Minute)
			w.want(ue1, simA, "stale/lease")
		}},
		{"nor by its own clock", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(30 * time.Minute)
			n.update("a", simA, ue1, aged(30*time.Minute))
			w.pass(time.Minute)
			n.update("a", simA, ue1, late(3*time.Minute), aged(28*time.Minute))
			w.pass(58 * time.Minute)
			w.holds(ue1, simA)
			w.pass(2 * time.Minute)
			w.want(ue1, simA, "stale/lease")
		}},
		{"an expired session holds nothing against one that speaks", func(w *tale) {
			n, other := w.nas("nas"), w.nas("other")
			n.start("a", simA, ue1)
			w.pass(61 * time.Minute)
			other.start("b", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"a lost node's bindings are stale, and recover when it is heard", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.say(binding.NodeDown, "", noSIM, "", nil)
			w.holds(ue1, simA)
			w.wait(5*time.Minute + time.Second)
			w.want(ue1, simA, "stale/node-lost")
			n.say(binding.NodeUp, "", noSIM, "", nil)
			w.holds(ue1, simA)
		}},
		{"a lost one that speaks is not lost", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.say(binding.NodeDown, "", noSIM, "", nil)
			w.wait(5*time.Minute + time.Second)
			n.chat()
			w.holds(ue1, simA)
		}},
		{"a lost one is lost over a crash too", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.say(binding.NodeDown, "", noSIM, "", nil)
			w.wait(6 * time.Minute)
			w.crash(time.Second)
			w.want(ue1, simA, "stale/node-lost")
		}},
		{"one that is only overheard is lost as well", func(w *tale) {
			up := w.tapped(binding.SourceGTPv2, "smf")
			up.start("a", simA, ue1)
			up.say(binding.NodeDown, "", noSIM, "", nil) // its watchdogs stopped
			w.wait(6 * time.Minute)
			w.want(ue1, simA, "stale/node-lost")
		}},
		{"a short absence of ours counts for a source that retransmits", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.crash(30 * time.Second)
			w.holds(ue1, simA)
		}},
		{"a long one does not, until the session is heard of again", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.crash(2 * time.Minute)
			w.want(ue1, simA, "stale/unconfirmed")
			w.now = w.now.Add(time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a short one does not undo the doubt of a long one before it", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.crash(time.Hour / 2)
			w.want(ue1, simA, "stale/unconfirmed")
			w.commit(w.t)
			w.crash(2 * time.Second)
			w.want(ue1, simA, "stale/unconfirmed")
		}},
		{"any absence is too long for what is only overheard", func(w *tale) {
			up, n := w.tapped(binding.SourceGTPv2, "smf"), w.nas("nas")
			up.start("a", simA, ue1)
			n.start("b", simB, ue2)
			n.as(func(n *gateway) { n.name, n.owner, n.seen = "seen", "", true }).start("c", simC, ue3)
			w.crash(time.Second)
			w.want(ue1, simA, "stale/unconfirmed")
			w.holds(ue2, simB)
			w.want(ue3, simC, "stale/unconfirmed")
			w.now = w.now.Add(time.Second)
			up.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"after a loss what was overheard before is not trusted, what is heard since is", func(w *tale) {
			up, n := w.tapped(binding.SourceGTPv2, "smf"), w.nas("nas")
			up.start("a", simA, ue1)
			up.start("b", simB, ue2)
			n.start("c", simC, ue3)
			w.wait(time.Second)
			w.on(binding.Event{Kind: binding.NewsLost})
			w.want(ue1, simA, "stale/unconfirmed")
			w.want(ue2, simB, "stale/unconfirmed")
			w.holds(ue3, simC)
			w.wait(time.Second)
			up.update("a", simA, ue1)
			w.holds(ue1, simA)
			w.want(ue2, simB, "stale/unconfirmed")
		}},
		{"a loss takes nothing from those who speak to us as well", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(3 * time.Second)
			n.as(func(n *gateway) { n.seen = true }).update("a", simA, ue1)
			w.on(binding.Event{Kind: binding.NewsLost})
			w.holds(ue1, simA)
		}},
		{"another source that lost nothing vouches for the binding", func(w *tale) {
			up, g := w.tapped(binding.SourceGTPv2, "smf"), w.pgw("pgw")
			up.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.wait(time.Second)
			w.on(binding.Event{Kind: binding.NewsLost})
			w.holds(ue1, simA)
		}},
		{"a loss may be only marked", func(w *tale) {
			w.configure(func(c *Config) { c.MarkOnLoss = true })
			w.tapped(binding.SourceGTPv2, "smf").start("a", simA, ue1)
			w.wait(time.Second)
			w.on(binding.Event{Kind: binding.NewsLost})
			w.holds(ue1, simA)
		}},
		{"the nodes tell of a loss until all that was before has run out", func(w *tale) {
			degraded := func() (names string) {
				for _, n := range w.Nodes() {
					if !n.Degraded.IsZero() {
						names += n.Name
					}
				}
				return names
			}
			w.tapped(binding.SourceGTPv2, "a").start("1", simA, ue1)
			w.pgw("b").start("2", simB, ue2)
			if got := degraded(); got != "" {
				w.t.Errorf("before a loss: %q", got)
			}
			w.wait(time.Minute)
			w.on(binding.Event{Kind: binding.NewsLost})
			w.wait(time.Second)
			w.tapped(binding.SourceGTPv2, "c").start("3", simC, ue3)
			if got := degraded(); got != "a" {
				w.t.Errorf("after a loss: %q, want those that were overheard before", got)
			}
			w.wait(2 * time.Hour)
			if got := degraded(); got != "" {
				w.t.Errorf("when all sessions of before have run out: %q", got)
			}
		}},
		{"while the journal is loaded nothing is said", func(w *tale) {
			n := w.nas("nas")
			w.m.Warming.Store(true)
			n.start("a", simA, ue1)
			w.nobody(ue1, "unknown/warming")
			w.nobody(ue2, "unknown/warming")
			w.m.Warming.Store(false)
			w.holds(ue1, simA)
		}},
	})
}
