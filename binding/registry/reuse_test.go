package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestReuse holds claims about words that may be of another session with the id
// than the known one, and about what is known of sessions that are over.
func TestReuse(t *testing.T) {
	const ms = time.Millisecond
	mayHaveStopped := func(gap time.Duration, crash bool) func(w *tale) {
		return func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.now = w.now.Add(200 * ms)
			n.start("a", simA, ue2)
			w.now = w.now.Add(40 * time.Second)
			w.releaseAt(ue1)
			w.releaseAt(ue2)
			n.stop("a", late(gap), delayed(gap))
			if crash {
				w.crash(0)
			}
			n.settle()
			n.start("a", simA, ue3, late(31*time.Second)) // of before the stop
			w.silent(ue3, simA)
		}
	}
	prove(t, []claim{
		{"a stop of which of two sessions nobody knows holds back a start of before it", mayHaveStopped(12*time.Second, false)},
		{"and over a crash too", mayHaveStopped(12*time.Second, true)},
	})
}

// TestTheAPNOfASession holds claims about a word of unknown order that names
// another APN than its session has.
func TestTheAPNOfASession(t *testing.T) {
	twoDomains := func(c *Config) {
		c.Domains = []binding.Domain{
			{Name: "one", APNs: []string{"internet"}, Pools: prefixes("10.0.0.0/16")},
			{Name: "two", APNs: []string{"ims"}, Pools: prefixes("10.0.0.0/16")},
		}
	}
	in := func(domain string) binding.Query {
		q := query(ue1)
		q.Domain = domain
		return q
	}
	stays := func(w *tale) {
		w.t.Helper()
		if got := w.verifyAt(in("two"), simB.MSISDN); got != "match/bound" {
			w.t.Errorf("who has the address in two: %s", got)
		}
		if got := w.verifyAt(in("one"), simA.MSISDN); got != "match/bound" {
			w.t.Errorf("who has the address in one: %s", got)
		}
	}
	prove(t, []claim{
		{"it moves it to no other domain, at first contact", func(w *tale) {
			w.configure(twoDomains)
			n := w.newNAS("nas")
			n.start("b", simB, ue1, of("ims"))
			n.start("a", simA, ue1, of("internet"))
			w.now = w.now.Add(time.Second)
			n.update("a", simA, ue2, late(11*time.Second), of("ims"), partial)
			w.wait(10 * time.Second)
			n.update("b", simB, ue1, of("ims"))
			w.wait(10 * time.Second)
			n.update("a", simA, ue1)
			stays(w)
		}},
		{"nor within a second", func(w *tale) {
			w.configure(twoDomains)
			n := w.nas("nas")
			n.start("b", simB, ue1, of("ims"))
			w.pass(10 * time.Second)
			n.start("a", simA, ue1, of("internet"))
			n.update("a", simA, ue2, of("ims"), late(500*time.Millisecond), partial)
			w.pass(10 * time.Second)
			n.update("b", simB, ue1, of("ims"))
			w.pass(10 * time.Second)
			n.update("a", simA, ue1)
			stays(w)
		}},
		{"it hides no session from its SIM's next one", func(w *tale) {
			n := w.newNAS("nas")
			n.start("a", simA, ue1, of("internet"))
			w.now = w.now.Add(time.Second)
			n.update("a", simA, "", late(11*time.Second), of("ims"))
			w.wait(20 * time.Second)
			n.update("a", simA, ue1)
			w.wait(20 * time.Second)
			n.start("c", simA, ue3, of("internet"))
			w.silent(ue1, simA)
		}},
		{"a word that is surely later changes it", func(w *tale) {
			w.configure(twoDomains)
			n := w.nas("nas")
			n.start("a", simA, ue2, of("internet"))
			w.pass(10 * time.Second)
			n.update("a", simA, ue1, of("ims"))
			n.update("a", simA, "", late(5*time.Second))
			if got := w.verifyAt(in("two"), simA.MSISDN); got != "match/bound" {
				w.t.Errorf("by its new APN: %s", got)
			}
		}},
	})
}

// TestTakenForOver holds claims about sessions that were taken for over, by their
// lease or by what another one said, and speak of their end later.
func TestTakenForOver(t *testing.T) {
	long := func(_ *gateway, ev *binding.Event) { ev.Lease = 3 * time.Hour }
	prove(t, []claim{
		{"a stop is one also after the lease had run out", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, long, ordered(1))
			n.start("a", simA, ue1)
			w.wait(65 * time.Minute) // expired, within its grace
			g.update("g", simA, ue1, long, ordered(2))
			w.wait(10 * time.Second)
			n.stop("a")
			w.silent(ue1, simA)
			w.wait(10 * time.Second)
			g.update("g", simA, ue1, long, ordered(3))
			w.holds(ue1, simA)
		}},
		{"that of a session that names nobody too", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, long, ordered(1))
			n.start("a", noSIM, ue1)
			w.wait(65 * time.Minute)
			g.update("g", simA, ue1, long, ordered(2))
			w.wait(10 * time.Second)
			n.stop("a")
			w.silent(ue1, simA)
		}},
		{"by a link too", func(w *tale) {
			g, n := w.pgw("pgw"), w.tapped(binding.SourceGTPv2, "smf")
			g.start("g", simA, ue1, long, ordered(1))
			n.start("a", simA, ue1)
			w.now = w.now.Add(71 * time.Minute)
			n.stop("a")
			w.silent(ue1, simA)
		}},
		{"one of unknown order too", func(w *tale) {
			g, n := w.pgw("pgw"), w.newNAS("nas")
			g.start("g", simA, ue1, long, ordered(1))
			n.start("a", simA, ue1, func(_ *gateway, ev *binding.Event) { ev.Lease = time.Minute })
			w.wait(2 * time.Minute)
			g.update("g", simA, ue1, long, ordered(2))
			w.wait(10 * time.Second)
			n.stop("a")
			w.silent(ue1, simA)
		}},
		{"or after another one had its address", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1+" "+ue2, ordered(1))
			n.start("a", simA, ue2)
			w.pass(10 * time.Second)
			n.start("b", simB, ue2)
			w.pass(5 * time.Second)
			n.stop("b")
			w.pass(5 * time.Second)
			g.update("g", simA, ue1+" "+ue2, ordered(2))
			w.pass(5 * time.Second)
			n.stop("a")
			w.silent(ue2, simA)
		}},
		{"a SIM's other sessions of other sources must speak after it", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, long, ordered(1))
			n.start("a", simA, "")
			w.now = w.now.Add(71 * time.Minute)
			g.update("g", simA, ue1, long, ordered(2))
			w.wait(10 * time.Second)
			n.stop("a")
			w.silent(ue1, simA)
		}},
		{"its node's restart ends it as well", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, long, ordered(1))
			n.start("a", simA, ue1)
			w.wait(65 * time.Minute)
			g.update("g", simA, ue1, long, ordered(2))
			w.wait(10 * time.Second)
			n.restart()
			w.sweeps()
			w.silent(ue1, simA)
			w.wait(10 * time.Second)
			g.update("g", simA, ue1, long, ordered(3))
			w.holds(ue1, simA)
		}},
		{"a stop of another SIM is not its", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("g", simA, ue1, long, ordered(1))
			n.start("a", simA, ue1)
			w.wait(65 * time.Minute)
			g.update("g", simA, ue1, long, ordered(2))
			w.wait(10 * time.Second)
			n.stop("a", by(simB), has(ue2))
			w.holds(ue1, simA)
		}},
	})
}

// TestWordsThatMayBeOfTheNext holds claims about a word that may be of the session
// that has an id next: one that is not surely later does not take its place.
func TestWordsThatMayBeOfTheNext(t *testing.T) {
	newA := number(simA, simB.MSISDN)
	mute := func(w *tale) *gateway { n := w.newNAS("nas"); n.mute = true; return n }
	stopped := func(w *tale) *gateway {
		n := mute(w)
		n.start("a", simA, ue3)
		w.wait(40 * time.Second)
		n.stop("a")
		w.now = w.now.Add(25 * time.Second)
		return n
	}
	prove(t, []claim{
		{"nor its number", func(w *tale) {
			n := stopped(w)
			n.update("a", newA, ue1) // of now, a new session
			w.now = w.now.Add(10 * time.Second)
			n.update("a", simA, ue1) // of 15 s ago
			w.silent(ue1, simA)
		}},
		{"nor its address", func(w *tale) {
			n := stopped(w)
			n.update("a", simA, ue2)
			w.now = w.now.Add(10 * time.Second)
			n.update("a", simA, ue1) // of 15 s ago
			w.silent(ue1, simA)
			w.wait(45 * time.Second)
			n.update("a", simA, ue2)
			w.silent(ue1, simA)
			w.wait(45 * time.Second)
			n.update("a", simA, ue2)
			w.holds(ue2, simA)
		}},
		{"who says the same all the time is believed again after a restart", func(w *tale) {
			n := mute(w)
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			n.restart()
			for range 8 {
				w.wait(10 * time.Second)
				n.update("a", simA, ue1)
			}
			w.holds(ue1, simA)
		}},
		{"and what says something else is of after that", func(w *tale) {
			n := mute(w)
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			n.restart()
			w.wait(25 * time.Second)
			n.update("a", simA, ue1)
			w.wait(10 * time.Second)
			n.update("a", simA, ue2) // of 15 s ago
			w.silent(ue2, simA)
		}},
		{"and after a stop", func(w *tale) {
			n := stopped(w)
			for range 12 {
				w.wait(10 * time.Second)
				n.update("a", simA, ue1)
			}
			w.holds(ue1, simA)
		}},
		{"by a steady clock after a stop", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue3)
			w.pass(10 * time.Second)
			n.stop("a")
			w.now = w.now.Add(22 * time.Second)
			n.update("a", simA, ue2, late(12*time.Second), delayed(12*time.Second)) // 10 s after the stop
			w.now = w.now.Add(1 * time.Second)
			n.update("a", simA, ue1, late(18*time.Second)) // 5 s after it
			w.silent(ue1, simA)
		}},
		{"after a restart, the number", func(w *tale) {
			n := w.nas("nas")
			w.pass(10 * time.Second)
			n.restart()
			w.now = w.now.Add(1 * time.Second)
			n.start("a", simA, ue1, late(3*time.Second))
			w.now = w.now.Add(21 * time.Second)
			n.update("a", newA, ue1, late(12*time.Second), delayed(12*time.Second))
			w.now = w.now.Add(1 * time.Second)
			n.update("a", simA, ue1, late(18*time.Second))
			w.silent(ue1, simA)
		}},
		{"beside two that have the id", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.now = w.now.Add(200 * time.Millisecond)
			n.start("a", simA, ue2)
			w.now = w.now.Add(20 * time.Second)
			n.update("a", simA, "", gone(ue1), delayed(12*time.Second), late(12*time.Second)) // of 8 s
			w.now = w.now.Add(1 * time.Second)
			n.update("a", simA, ue1, late(16*time.Second)) // of 5 s
			w.silent(ue1, simA)
		}},
		{"as a SIM's that attaches anew", func(w *tale) {
			n := mute(w)
			n.start("a", simA, ue3, of("internet"))
			w.wait(40 * time.Second)
			n.stop("a")
			w.now = w.now.Add(25 * time.Second)
			n.start("z", simA, ue1, of("internet"))
			w.now = w.now.Add(2 * time.Second)
			n.update("a", simA, ue2, of("internet")) // of now
			w.silent(ue1, simA)
		}},
		{"though it was forgotten early", func(w *tale) {
			n := stopped(w)
			n.update("a", newA, ue1)
			w.forget()
			w.now = w.now.Add(10 * time.Second)
			n.update("a", simA, ue1) // of 15 s ago
			w.silent(ue1, simA)
		}},
		{"though it found no room", func(w *tale) {
			n := full(w, 8)
			m := mute(w)
			m.update("new", newA, ue1)
			n.stop("3")
			w.now = w.now.Add(10 * time.Second)
			m.update("new", simA, ue1) // of 15 s ago
			w.silent(ue1, simA)
		}},
		{"though it named an address outside of the pools", func(w *tale) {
			m := mute(w)
			m.update("new", newA, "192.0.2.1")
			w.now = w.now.Add(10 * time.Second)
			m.update("new", simA, ue1) // of 15 s ago
			w.silent(ue1, simA)
		}},
		{"though it found no room, and its id was another SIM's before", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 4, 16 })
			n, g := w.nas("nas"), w.pgw("pgw")
			for i := 0; w.Status().Sessions < 4; i++ {
				g.start(fmt.Sprint(i), simC, fmt.Sprintf("10.0.7.%d", i+1), ordered(1))
			}
			w.wait(10 * time.Second)
			if got := n.start("a", simB, ue1); got != RefusedCapacity {
				w.t.Fatal(got)
			}
			w.wait(time.Second)
			g.stop("0", ordered(2))
			w.wait(time.Second)
			n.start("a", simA, ue1, late(9*time.Second))
			w.silent(ue1, simA)
			w.wait(10 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
	})
}

// TestTheAgeOfASession holds claims about Acct-Session-Time: it orders words of one
// session, not of two that had the id.
func TestTheAgeOfASession(t *testing.T) {
	onlyA, onlyB := binding.Subscriber{MSISDN: simA.MSISDN}, binding.Subscriber{MSISDN: simB.MSISDN}
	prove(t, []claim{
		{"where no clock tells when, no number is the later", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.start("a", onlyB, ue1, aged(0))
			w.wait(15 * time.Second)
			n.update("a", onlyA, ue1, aged(15*time.Second)) // of 5 s before the start, a former session's
			w.silent(ue1, simA)
		}},
		{"nor an address", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.start("a", simA, ue1, aged(0))
			w.wait(15 * time.Second)
			n.update("a", simA, ue2, aged(15*time.Second))
			w.silent(ue2, simA)
			w.wait(40 * time.Second)
			n.update("a", simA, ue2, aged(55*time.Second))
			w.holds(ue2, simA)
		}},
		{"nor at first contact", func(w *tale) {
			n := w.newNAS("nas")
			n.start("a", onlyB, ue1, aged(0))
			w.wait(15 * time.Second)
			n.update("a", onlyA, ue1, aged(15*time.Second), late(20*time.Second))
			w.silent(ue1, simA)
		}},
		{"nor after a crash", func(w *tale) {
			n := w.nas("nas")
			w.crash(time.Second)
			n.start("a", simA, ue1, aged(0))
			w.wait(15 * time.Second)
			n.update("a", simA, ue2, aged(15*time.Second), late(20*time.Second))
			w.silent(ue2, simA)
		}},
		{"within a second it tells", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, aged(0))
			w.pass(20 * time.Second)
			n.update("a", simA, ue1, aged(20*time.Second))
			n.update("a", simA, ue2, aged(21*time.Second))
			w.holds(ue2, simA)
		}},
	})
}

// TestAWordOfTheSecondInWhichASessionBegan holds claims about words that may be of
// before the beginning of their session: then they are a former one's.
func TestAWordOfTheSecondInWhichASessionBegan(t *testing.T) {
	const ms = time.Millisecond
	prove(t, []claim{
		{"it names nobody for sure", func(w *tale) {
			n := w.nas("nas")
			n.start("a", noSIM, ue1)
			w.now = w.now.Add(200 * ms)
			n.update("a", simA, "", late(700*ms)) // a former session's
			w.silent(ue1, simA)
			w.wait(10 * time.Second)
			n.update("a", simA, "")
			w.holds(ue1, simA)
		}},
		{"it gives no address for sure", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, partial)
			w.now = w.now.Add(200 * ms)
			n.update("a", simA, ue2, partial, late(700*ms))
			w.silent(ue2, simA)
			w.holds(ue1, simA)
			w.wait(10 * time.Second)
			n.update("a", simA, ue2, partial)
			w.holds(ue2, simA)
		}},
		{"a start that names other addresses than one that names nobody is another's", func(w *tale) {
			n := w.nas("nas")
			n.start("a", noSIM, ue1)
			w.now = w.now.Add(time.Second)
			n.start("a", simA, "2001:db8:0:1::/64")
			w.pass(20 * time.Second)
			n.update("a", simA, "")
			w.silent(ue1, simA)
		}},
		{"a session that had begun before takes both at once", func(w *tale) {
			n := w.nas("nas")
			n.start("a", noSIM, ue1, partial)
			w.now = w.now.Add(5 * time.Second)
			n.update("a", noSIM, "")
			n.update("a", simA, ue2, partial)
			w.holds(ue1, simA)
			w.holds(ue2, simA)
		}},
	})
}

// TestAWordOfBeforeWhatIsForgotten holds claims about a word so old that others
// which had the address since may be forgotten.
func TestAWordOfBeforeWhatIsForgotten(t *testing.T) {
	prove(t, []claim{
		{"a session gets no address by it", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue2)
			w.pass(3 * time.Minute)
			n.start("b", simB, ue1)
			w.pass(time.Minute)
			n.stop("b")
			w.pass(17 * time.Minute)
			n.update("a", simA, ue1, delayed(20*time.Minute))
			w.silent(ue1, simA)
			n.update("a", simA, ue1, delayed(19*time.Minute+30*time.Second))
			w.silent(ue1, simA)
			w.pass(10 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"nor one beside those that it has", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "")
			w.pass(3 * time.Minute)
			n.start("b", simB, ue1)
			w.pass(time.Minute)
			n.stop("b")
			w.pass(17 * time.Minute)
			n.update("a", simA, ue1, partial, delayed(20*time.Minute))
			w.silent(ue1, simA)
		}},
		{"nor after max_delay was raised", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(20 * time.Second)
			n.stop("a")
			w.pass(6 * time.Minute)
			w.cfg.MaxDelay = 10 * time.Minute
			w.crash(time.Second)
			n.update("a", simA, ue1, late(6*time.Minute+15*time.Second))
			w.silent(ue1, simA)
		}},
	})
}
