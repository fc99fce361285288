package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// TestTakeover shows what it takes to be believed after another daemon took over.
func TestTakeover(t *testing.T) {
	takeOver := func(w *tale) {
		w.doubtPlace(binding.Place{Domain: "default", Addr: addrList(ue1)[0]}, own(w.now.UnixMilli(), whyTakeover))
		w.commit(w.t)
	}
	prove(t, []claim{
		{"a word of before it does not confirm what it left in doubt", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(20 * time.Second)
			takeOver(w)
			w.now = w.now.Add(time.Second)
			n.update("a", simA, ue1, late(16*time.Second))
			w.silent(ue1, simA)
			w.wait(2 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"over a crash neither", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(20 * time.Second)
			takeOver(w)
			w.crash(time.Second)
			n.update("a", simA, ue1, late(16*time.Second))
			w.silent(ue1, simA)
		}},
		{"nor what was in doubt before", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1, ordered(1))
			w.pass(20 * time.Second)
			g.stop("g", ordered(2))
			w.pass(20 * time.Second)
			takeOver(w)
			w.now = w.now.Add(time.Second)
			n.update("a", simA, ue1, late(10*time.Second))
			w.silent(ue1, simA)
			w.wait(time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"nor where an end of before it is heard of later", func(w *tale) {
			n, other := w.nas("nas"), w.nas("other")
			n.start("a", simA, ue1)
			other.start("b", simA, ue1)
			w.pass(20 * time.Second)
			takeOver(w)
			w.now = w.now.Add(time.Second)
			other.stop("b", delayed(12*time.Second))
			n.update("a", simA, ue1, late(5*time.Second))
			w.silent(ue1, simA)
			w.wait(2 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
	})
}

// TestWhileTheJournalIsLoaded asks when the row of one SIM has been read, and no
// other.
func TestWhileTheJournalIsLoaded(t *testing.T) {
	const host = "2001:db8:0:103::7"
	ambiguous := taleConfig
	ambiguous.MultiSIM = MultiSIMAmbiguous
	for _, c := range []struct {
		name   string
		config Config
		gap    time.Duration // for which we were away
		addr   string
		tell   func(w *tale)
	}{
		{"what is quiet and steady", taleConfig, time.Second, ue1, func(w *tale) {
			w.pgw("g").start("a", simA, ue1, ordered(1))
		}},
		{"we may have been away for too long", taleConfig, 10 * time.Minute, ue1, func(w *tale) {
			w.pgw("g").start("a", simA, ue1, ordered(1))
		}},
		{"any absence is too long for what is overheard", taleConfig, 20 * time.Second, ue1, func(w *tale) {
			w.tapped(binding.SourceGTPv2, "smf").start("a", simA, ue1)
		}},
		{"its number may be several SIMs'", ambiguous, time.Second, ue1, func(w *tale) {
			g := w.pgw("g")
			g.start("a", simA, ue1, ordered(1))
			g.start("b", number(simB, simA.MSISDN), ue2, ordered(1))
		}},
		{"a wider address may be another's", taleConfig, time.Second, host, func(w *tale) {
			w.pgw("one").start("a", simA, "2001:db8:0:103::/64", ordered(1))
			w.pgw("two").start("b", simB, "2001:db8:0:100::/56", ordered(1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTale(t, c.config)
			c.tell(w)
			w.now = w.now.Add(c.gap)
			asked := 0
			w.whileLoading(simA, func(r *Registry) {
				asked++
				for _, who := range oracleSIMs {
					if a := r.Verify(query(c.addr), binding.Number{MSISDN: who.MSISDN}); a.Verdict != binding.Unknown || a.Reason != binding.ReasonWarming {
						t.Errorf("%v: %v/%v", who.MSISDN, a.Verdict, a.Reason)
					}
				}
			})
			if asked == 0 {
				t.Error("nothing was asked")
			}
		})
	}
}

// whileLoading boots a Registry and asks when it has read the session of one SIM.
func (w *tale) whileLoading(first binding.Subscriber, ask func(*Registry)) {
	c := w.cfg
	c.Now = func() time.Time { return w.now }
	m := table.New(c.sizes(), make([]uint64, table.Words(c.sizes())))
	j := &halfRead{memJournal: w.journal, first: first}
	r := newRegistry(c, m, j, w.log)
	j.ask = func() { ask(r) }
	if _, err := r.load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// halfRead is a journal that has one SIM's session first, and asks behind it.
type halfRead struct {
	*memJournal
	first binding.Subscriber
	ask   func()
}

func (j *halfRead) Load(l binding.Loader) error {
	all := j.sessions
	one, rest := map[binding.SessionKey]binding.SessionRow{}, map[binding.SessionKey]binding.SessionRow{}
	for key, row := range all {
		if row.MSISDN == j.first.MSISDN && row.IMSI == j.first.IMSI {
			one[key] = row
		} else {
			rest[key] = row
		}
	}
	j.sessions = one
	err := j.memJournal.Load(l)
	if j.sessions = all; err != nil {
		return err
	}
	if err := l.(*loader).finish(); err != nil {
		return err
	}
	j.ask()
	for _, row := range rest {
		if err := l.Session(&row); err != nil {
			return err
		}
	}
	return nil
}

// site is what another site says of an address, decided so long ago.
func (w *tale) site(kind binding.Kind, who binding.Subscriber, addr string, ago time.Duration) {
	ev := binding.Event{
		Kind: kind, Source: binding.SourceFeed, Node: "site", Time: w.now.Add(-ago), Session: addr, Domain: "default",
		MSISDN: who.MSISDN, IMSI: who.IMSI, Addrs: addrList(addr), Complete: addr != "",
	}
	w.on(ev)
	w.commit(w.t)
}

// siteIsHeard has another site be followed, and heard at this moment.
func (w *tale) siteIsHeard() {
	w.site(binding.NodeUp, noSIM, "", 0)
	w.site(binding.NodeCurrent, noSIM, "", 0)
}

// TestWhatASiteTells shows what another site's word means for ours, and ours for it.
func TestWhatASiteTells(t *testing.T) {

	prove(t, []claim{
		{"what was taken for over and is told anew stands against others", func(w *tale) {
			n := w.nas("nas")
			w.siteIsHeard()
			w.site(binding.SessionStart, simB, ue1, 0)
			w.holds(ue1, simB)
			w.now = w.now.Add(time.Second)
			w.site(binding.NodeRestart, noSIM, "", 0)
			n.start("a", simA, ue1) // before the sweep has been around
			w.now = w.now.Add(time.Second)
			w.siteIsHeard()
			w.site(binding.SessionStart, simB, ue1, 0)
			w.nobody(ue1, "ambiguous/conflict")
			w.crash(time.Second)
			w.siteIsHeard()
			w.nobody(ue1, "ambiguous/conflict")
		}},
		{"what a site has released a word of before it does not bind", func(w *tale) {
			n := w.nas("nas")
			w.siteIsHeard()
			w.site(binding.SessionStart, simA, ue1, 0)
			w.pass(20 * time.Second)
			w.site(binding.SessionStop, simA, ue1, 0)
			w.wait(time.Second)
			n.update("a", simA, ue1, late(15*time.Second))
			w.silent(ue1, simA)
			w.pass(10 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"nor one that names nobody before, over a crash neither", func(w *tale) {
			n := w.nas("nas")
			w.siteIsHeard()
			w.site(binding.SessionStart, simB, ue1, 0)
			w.pass(20 * time.Second)
			w.site(binding.SessionStop, simB, ue1, 0)
			w.crash(time.Second)
			n.update("a", simA, ue1, late(15*time.Second))
			w.silent(ue1, simA)
		}},
		{"nor when that was forgotten", func(w *tale) {
			n := w.nas("nas")
			w.siteIsHeard()
			w.site(binding.SessionStart, simB, ue1, 0)
			w.pass(20 * time.Second)
			w.site(binding.SessionStop, simB, ue1, 0)
			w.forget()
			n.update("a", simA, ue1, late(15*time.Second))
			w.silent(ue1, simA)
			w.site(binding.SessionStart, simB, ue1, time.Millisecond)
			w.silent(ue1, simA)
		}},
		{"what it says again counts at once", func(w *tale) {
			w.siteIsHeard()
			w.site(binding.SessionStart, simA, ue1, 0)
			w.site(binding.SessionStop, simA, ue1, 0)
			w.site(binding.SessionStart, simA, ue1, time.Millisecond)
			w.holds(ue1, simA)
			w.site(binding.SessionStop, simA, ue1, 0)
			w.site(binding.SessionStart, simB, ue1, 0)
			w.holds(ue1, simB)
			w.site(binding.SessionStop, simB, ue1, 0)
			w.forget()
			w.site(binding.SessionStart, simB, ue1, time.Millisecond)
			w.holds(ue1, simB)
		}},
		{"a row told anew does not confirm what another source has ended", func(w *tale) {
			g := w.pgw("pgw")
			w.siteIsHeard()
			w.site(binding.SessionStart, simA, ue1, 0)
			g.start("g", simA, ue1, ordered(1))
			w.wait(2 * time.Second)
			w.siteIsHeard()
			g.stop("g", ordered(2))
			w.silent(ue1, simA)
			w.wait(time.Second)
			w.siteIsHeard()
			w.site(binding.SessionStart, simA, ue1, 3*time.Second)
			w.silent(ue1, simA)
			w.site(binding.SessionStart, simA, ue1, 0)
			w.holds(ue1, simA)
		}},
		{"nor does a row that is told first", func(w *tale) {
			g := w.pgw("pgw")
			g.start("g", simA, ue1, ordered(1))
			w.wait(2 * time.Second)
			g.stop("g", ordered(2))
			w.wait(time.Second)
			w.siteIsHeard()
			w.site(binding.SessionStart, simA, ue1, 3*time.Second)
			w.silent(ue1, simA)
		}},
		{"an update says nothing of when its holder was heard", func(w *tale) {
			w.siteIsHeard()
			w.site(binding.SessionStart, simA, ue1, 0)
			w.now = w.now.Add(time.Second)
			w.releaseAt(ue1)
			w.now = w.now.Add(time.Second)
			w.siteIsHeard()
			w.site(binding.SessionUpdate, simA, ue1, 0)
			w.nobody(ue1, "unknown/released")
			w.site(binding.SessionStart, simA, ue1, 0)
			w.holds(ue1, simA)
		}},
		{"what is over leaves room for what a site tells", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 4, 4 })
			w.siteIsHeard()
			for i := range 40 {
				at := fmt.Sprintf("10.0.1.%d", i+1)
				w.site(binding.SessionStart, simA, at, 0)
				w.holds(at, simA)
				w.site(binding.SessionStop, simA, at, 0)
				w.fit()
			}
		}},
	})

}

// TestNumbersThatWereTold shows what a number is worth that others than the session's
// own signalling have told.
func TestNumbersThatWereTold(t *testing.T) {
	imsiA := binding.Subscriber{IMSI: simA.IMSI}
	meaningless := func(c *Config) { c.Placeholders = []string{simB.MSISDN.String()} }
	prove(t, []claim{
		{"a SIM that signalling names with another number has not the directory's", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("g", imsiA, ue1, ordered(1))
			w.knows(simA.IMSI, simB.MSISDN)
			w.want(ue1, simB, "match/bound")
			w.pass(20 * time.Second)
			n.start("x", number(simA, simC.MSISDN), ue2)
			w.nobody(ue1, "unknown/no-msisdn")
			w.wait(2 * time.Second)
			g.update("g", imsiA, ue1, ordered(2))
			w.nobody(ue1, "unknown/no-msisdn")
			w.knows(simA.IMSI, simC.MSISDN)
			w.holds(ue1, number(simA, simC.MSISDN))
		}},
		{"a word that may be older than the directory's gives no other number", func(w *tale) {
			n := w.nas("nas")
			n.start("a", imsiA, ue1)
			w.pass(20 * time.Second)
			w.knows(simA.IMSI, simB.MSISDN)
			w.commit(w.t)
			w.want(ue1, simB, "match/bound")
			n.update("a", simA, ue1, late(15*time.Second))
			w.nobody(ue1, "ambiguous/number")
			w.crash(time.Second)
			w.nobody(ue1, "ambiguous/number")
			n.update("a", simA, ue1, late(15*time.Second))
			w.nobody(ue1, "ambiguous/number")
		}},
		{"its next word does", func(w *tale) {
			n := w.nas("nas")
			n.start("a", imsiA, ue1)
			w.pass(20 * time.Second)
			w.knows(simA.IMSI, simB.MSISDN)
			n.update("a", simA, ue1)
			w.nobody(ue1, "ambiguous/number")
			w.pass(10 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"one that says the same confirms it at once", func(w *tale) {
			n := w.nas("nas")
			n.start("a", imsiA, ue1)
			w.pass(20 * time.Second)
			w.knows(simA.IMSI, simA.MSISDN)
			n.update("a", simA, ue1, late(15*time.Second))
			w.holds(ue1, simA)
		}},
		{"a number that means nothing is none, if a directory says it", func(w *tale) {
			w.configure(meaningless)
			w.pgw("pgw").start("g", imsiA, ue1, ordered(1))
			w.knows(simA.IMSI, simB.MSISDN)
			w.nobody(ue1, "unknown/no-msisdn")
		}},
		{"if another site says it", func(w *tale) {
			w.configure(meaningless)
			w.siteIsHeard()
			w.site(binding.SessionStart, simB, ue1, 0)
			w.nobody(ue1, "unknown/no-msisdn")
		}},
		{"and if it meant something before", func(w *tale) {
			g := w.pgw("pgw")
			g.start("g", simB, ue1, ordered(1))
			w.pgw("other").start("x", imsiA, ue2, ordered(1))
			w.knows(simA.IMSI, simC.MSISDN)
			w.commit(w.t)
			w.cfg.Placeholders = []string{simB.MSISDN.String(), simC.MSISDN.String()}
			w.crash(time.Second)
			w.nobody(ue1, "unknown/no-msisdn")
			w.nobody(ue2, "unknown/no-msisdn")
			w.wait(time.Second)
			g.update("g", simB, ue1, ordered(2))
			w.nobody(ue1, "unknown/no-msisdn")
		}},
		{"one that a directory gave to two SIMs is neither's, over a crash too", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", imsiA, ue1)
			g.start("b", sim(simB), ue2)
			for i, who := range []binding.Subscriber{simA, simB, simA, simA} {
				w.wait(time.Second)
				if i == 3 {
					w.crash(time.Second)
				}
				w.knows(who.IMSI, simA.MSISDN)
				w.commit(w.t)
				if i > 0 {
					w.nobody(ue1, "unknown/no-msisdn")
				}
			}
			w.knows(simA.IMSI, simA.MSISDN)
			w.nobody(ue1, "unknown/no-msisdn")
			w.wait(disputeTime)
			g.update("a", imsiA, ue1)
			w.knows(simA.IMSI, simA.MSISDN)
			w.holds(ue1, simA)
		}},
		{"who is given another one has that", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", imsiA, ue1)
			g.start("b", sim(simB), ue2)
			w.knows(simA.IMSI, simA.MSISDN)
			w.knows(simB.IMSI, simA.MSISDN)
			w.commit(w.t)
			w.crash(time.Second)
			w.knows(simB.IMSI, simB.MSISDN)
			w.holds(ue2, simB)
		}},
		{"a number is several SIMs', whoever else names the address", func(w *tale) {
			w.configure(func(c *Config) { c.MultiSIM = MultiSIMAmbiguous })
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", imsiA, ue1, ordered(1))
			n.start("b", number(simB, simA.MSISDN), ue2)
			w.want(ue1, simA, "ambiguous/multi-sim")
		}},
	})
}

// TestTwoNamesOfOneNode shows what becomes of sessions when two names turn out to be
// one node's, or one name to be several's.
func TestTwoNamesOfOneNode(t *testing.T) {
	const address = "192.0.2.9"
	byAddress := func(n *gateway) *gateway { return n.as(func(g *gateway) { g.name = address }) }
	names := func(n *gateway) { n.also = address; n.chat() }
	prove(t, []claim{
		{"however often an id was used by one name, the session by the other is found", func(w *tale) {
			n := w.nas("nas")
			m := byAddress(n)
			m.settle()
			for i := range 4 {
				n.start("a", oracleSIMs[i%3], "10.0.5.1")
				w.pass(5 * time.Second)
				n.stop("a")
				w.pass(5 * time.Second)
			}
			m.start("a", simA, ue1)
			w.pass(5 * time.Second)
			names(n)
			w.pass(10 * time.Second)
			n.stop("a")
			w.silent(ue1, simA)
		}},
		{"a name that is none any more has another clock", func(w *tale) {
			n, o := w.nas("nas"), w.nas("other")
			o.owner = n.owner
			m := byAddress(n)
			m.settle()
			m.start("a", simA, ue1)
			w.now = w.now.Add(20 * time.Second)
			m.stop("a")
			w.now = w.now.Add(5 * time.Second)
			names(n)
			w.now = w.now.Add(5 * time.Second)
			names(o)
			w.now = w.now.Add(5 * time.Second)
			m.update("a", simA, ue1, late(25*time.Second)) // of 10 s before the stop
			w.silent(ue1, simA)
		}},
		{"over a crash too", func(w *tale) {
			n, o := w.nas("nas"), w.nas("other")
			o.owner = n.owner
			m := byAddress(n)
			m.settle()
			m.start("a", simA, ue1)
			w.now = w.now.Add(20 * time.Second)
			m.stop("a")
			w.now = w.now.Add(5 * time.Second)
			names(n)
			w.now = w.now.Add(5 * time.Second)
			names(o)
			w.crash(5 * time.Second)
			m.update("a", simA, ue1, late(25*time.Second))
			w.silent(ue1, simA)
		}},
		{"and none of the times that were told before", func(w *tale) {
			n, o := w.newNAS("nas"), w.nas("other")
			o.owner = n.owner
			m := byAddress(n)
			n.update("chat", noSIM, "", late(200*time.Second)) // its clock seems to be behind
			names(n)
			n.settle()
			m.start("a", simA, ue1)
			w.pass(10 * time.Second)
			names(o)
			m.settle()
			m.stop("a")
			w.silent(ue1, simA)
		}},
		{"its sessions go with it", func(w *tale) {
			n, o := w.nas("nas"), w.nas("other")
			o.owner = n.owner
			m := byAddress(n)
			names(n)
			w.pass(10 * time.Second)
			m.start("a", simA, ue1)
			w.pass(10 * time.Second)
			names(o)
			w.holds(ue1, simA)
			w.pass(10 * time.Second)
			m.stop("a")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"and what a restart has ended stays over", func(w *tale) {
			n, o := w.nas("nas"), w.nas("other")
			o.owner = n.owner
			m := byAddress(n)
			names(n)
			w.pass(10 * time.Second)
			m.start("a", simA, ue1)
			w.pass(10 * time.Second)
			n.restart()
			w.now = w.now.Add(time.Second)
			w.nobody(ue1, "unknown/ended")
			names(o) // before the sweep has been around
			w.nobody(ue1, "unknown/ended")
		}},
		{"two clocks' times are never one", func(w *tale) {
			n := w.nas("nas")
			m := byAddress(n)
			m.update("chat", noSIM, "", late(200*time.Second))
			w.now = w.now.Add(time.Second)
			m.start("a", simA, ue1, partial)
			names(n)
			w.pass(10 * time.Second)
			n.update("a", simA, ue1, partial)
			w.pass(10 * time.Second)
			n.update("a", simA, ue1, partial)
			n.update("a", simA, ue2) // within a second: all that it has
			w.silent(ue1, simA)
		}},
		{"nor if the names came together within the millisecond", func(w *tale) {
			n := w.newNAS("nas")
			n.update("chat", noSIM, "", late(200*time.Second))
			m := byAddress(n)
			m.settle()
			m.start("a", simA, ue1)
			w.now = w.now.Add(20 * time.Second)
			m.stop("a")
			names(n)
			w.now = w.now.Add(time.Second)
			n.update("a", simA, ue1, late(10*time.Second))
			w.silent(ue1, simA)
		}},
		{"what is only overheard is so by either name", func(w *tale) {
			g := w.tapped(binding.SourceGx, "pgw")
			names(g)
			byAddress(g).start("a", simA, ue1)
			w.holds(ue1, simA)
			w.crash(20 * time.Second)
			w.nobody(ue1, "stale/unconfirmed")
		}},
		{"a node with two names that is quiet and steady is answered by either", func(w *tale) {
			n := w.nas("nas")
			names(n)
			m := byAddress(n)
			m.also = "nas"
			m.start("a", simA, ue1)
			n.start("b", simB, ue2)
			w.pass(10 * time.Second)
			w.holds(ue1, simA)
			w.holds(ue2, simB)
			n.update("a", simA, ue1)
			m.update("b", simB, ue2)
			w.holds(ue1, simA)
			w.holds(ue2, simB)
			w.crash(time.Second)
			w.pass(10 * time.Second)
			m.stop("a")
			n.stop("b")
			w.nobody(ue1, "unknown/no-binding")
			w.nobody(ue2, "unknown/no-binding")
		}},
	})
}
