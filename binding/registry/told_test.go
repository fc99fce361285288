package registry

import (
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
