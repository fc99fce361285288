package registry

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
	"github.com/simbind/simbind/binding/worldtest"
)

var last *witness // whose history was the last

// A witness is a Registry as a subject of the world that knows the truth.
type witness struct {
	*rig
	t   testing.TB
	c   Config
	log []string // what became of each event
}

func newWitness(t testing.TB) worldtest.Factory {
	return func(s worldtest.Setup) worldtest.Subject {
		c := Config{
			Capacity: s.Capacity, Addresses: 2 * s.Capacity, Lease: s.Lease, MaxDelay: s.MaxDelay, Blind: s.BlindDelay, Learn: true,
		}
		for _, d := range s.Domains {
			c.Domains = append(c.Domains, binding.Domain{Name: d.Name, APNs: d.APNs, Pools: d.Pools})
		}
		w := &witness{rig: &rig{now: s.Start, journal: newMemJournal()}, t: t, c: c}
		w.boot(t, c)
		last = w
		return w
	}
}

func (w *witness) Hear(ev binding.Event) {
	w.now = ev.Arrived
	outcome := w.on(ev)
	if os.Getenv("SIMBIND_ORACLE_EXPLAIN") != "" {
		w.log = append(w.log, fmt.Sprintf("%s %v %v/%s/%s %v %v: %s", ev.Arrived.Format("15:04:05.000"), ev.Kind, ev.Source, ev.Node, ev.Session, ev.Addrs, ev.MSISDN, outcome))
		w.explain(ev)
	}
	w.commit(w.t)
	if fault := w.audit(); fault != "" {
		w.t.Fatal(fault)
	}
}

// explain adds what is known of the event's session and of the others on its
// addresses.
func (w *witness) explain(ev binding.Event) {
	ms := func(b clock.Bound) string {
		return fmt.Sprintf("%s/%d/%d", time.UnixMilli(b.Our).UTC().Format("05.000"), b.Node-b.Our, b.Epoch)
	}
	show := func(what string, id uint32, held table.Hold) {
		s := w.m.Session(id)
		w.log = append(w.log, fmt.Sprintf("   %s #%d %v: by %b begun %s-%s held %s (%s-%s) last %s after %s %v flags %x age %d seq %d %v", what, id, w.m.NodeNames.Load().Of(s.Node).Name, s.EndedBy,
			ms(s.BegunFrom), ms(s.BegunBy), ms(s.HeldAt), ms(held.By), ms(held.At), ms(s.Last), ms(s.After), s.Doubt, s.Flags, s.Age, s.Order, w.m.Identity(&s).MSISDN))
	}
	name := table.NodeName{Source: ev.Source, Owner: ev.Owner, Name: ev.Node}
	if id, ok := w.m.FindSession(table.NewSessionKey(&name, ev.Session)); ok {
		show("of it", id, table.Hold{})
	}
	for _, a := range ev.Addrs {
		d, _ := w.m.Domains.Load().Of(binding.CanonicalAPN(ev.APN), a.Prefix)
		if d == nil {
			break
		}
		for _, k := range table.Keys(d.ID, a)[:1] {
			h, _ := w.m.Holding(k)
			w.log = append(w.log, fmt.Sprintf("   %v: %+v", table.AddressOf(k), h))
			for o := w.places.overlapping(k); o.next(); {
				show("   "+table.AddressOf(o.key).String(), o.id, o.held)
			}
		}
	}
}

func (w *witness) Advance(now time.Time) {
	w.now = now
	w.sweeper.sweep(512, now.UnixMilli())
}

func (w *witness) Kill(gap time.Duration) {
	w.commit(w.t)
	w.now = w.now.Add(gap)
	w.boot(w.t, w.c)
}

func (w *witness) Release(q binding.Query) {
	w.release(q, "", "")
	w.commit(w.t)
}

// TestOracle has worlds of every kind told to a Registry. SIMBIND_ORACLE_TURNS
// sets how long each is, SIMBIND_ORACLE_SEED the seed, SIMBIND_ORACLE_PROFILE
// chooses one, SIMBIND_ORACLE_HISTORY plays one history of a run alone,
// SIMBIND_ORACLE_EXPLAIN shows what was known when one went wrong, and with
// SIMBIND_ORACLE_STRICT a right answer that is withheld on a quiet line is a
// failure too: see docs/oracle.md.
func TestOracle(t *testing.T) {
	turns := 10_000
	if testing.Short() {
		turns = 1_000
	}
	asked := worldtest.Asks(t, turns)
	for _, p := range worldtest.Profiles() {
		if !asked.For(p.Name) {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			p.Strict = asked.Strict
			report := asked.Play(p, newWitness(t))
			t.Log(&report)
			if report.Failure != nil && asked.Explain {
				report.Failure.Replay(newWitness(t))
				t.Log(strings.Join(last.log, "\n"))
			}
			if report.Failure != nil {
				t.Errorf("%d wrong, %d denied", report.Wrong, report.Denied)
			}
		})
	}
	asked.Done(t)
}
