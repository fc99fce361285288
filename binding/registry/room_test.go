package registry

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// forget has all that ended give way at once, as when room is needed.
func (w *tale) forget() {
	for w.sessions.oldest != 0 {
		w.sessions.forget(w.sessions.oldest, w.now.UnixMilli())
		w.places.settle(own(w.now.UnixMilli(), ""))
	}
	w.commit(w.t)
}

// TestForgettingNeverMakesAMatchPossible that was not: rule 17. What gives way
// before its time leaves its bounds, over a crash too.
func TestForgettingNeverMakesAMatchPossible(t *testing.T) {
	const wide, narrow, host = "2001:db8:0:100::/56", "2001:db8:0:103::/64", "2001:db8:0:103::7"
	for _, tt := range []struct {
		claim string
		tell  func(w *tale, n *gateway) // up to what is forgotten
		late  func(n *gateway)          // says what was over by then
		addr  string
		then  func(n *gateway) // a certain word
	}{
		{"the end of a session with this id", func(w *tale, n *gateway) {
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.stop("a")
		}, func(n *gateway) {
			n.update("a", simA, ue2, late(20*time.Second))
		}, ue2, func(n *gateway) { n.update("a", simA, ue2) }},
		{"the end of one that was never heard of", func(_ *tale, n *gateway) {
			n.stop("a")
		}, func(n *gateway) {
			n.update("a", simA, ue1, late(20*time.Second))
		}, ue1, func(n *gateway) { n.update("a", simA, ue1) }},
		{"the beginning of a session on the address", func(w *tale, n *gateway) {
			n.start("b", simB, ue1)
			w.pass(20 * time.Second)
			n.stop("b")
		}, func(n *gateway) {
			n.start("a", simA, ue1, late(50*time.Second))
		}, ue1, func(n *gateway) { n.update("a", simA, ue1) }},
		{"that of a session on a narrower one", func(w *tale, n *gateway) {
			n.start("b", simB, narrow)
			w.pass(20 * time.Second)
			n.stop("b")
		}, func(n *gateway) {
			n.start("a", simA, wide, late(50*time.Second))
		}, host, func(n *gateway) { n.update("a", simA, wide) }},
		{"that of a session on a wider one", func(w *tale, n *gateway) {
			n.start("b", simB, wide)
			w.pass(20 * time.Second)
			n.stop("b")
		}, func(n *gateway) {
			n.start("a", simA, narrow, late(50*time.Second))
		}, host, func(n *gateway) { n.update("a", simA, narrow) }},
		{"that of a session on a block of ports", func(w *tale, n *gateway) {
			n.start("b", simB, "198.51.100.7:1024-2047")
			w.pass(20 * time.Second)
			n.stop("b")
		}, func(n *gateway) {
			n.start("a", simA, "198.51.100.7", late(50*time.Second))
		}, "198.51.100.7:1500", func(n *gateway) { n.update("a", simA, "198.51.100.7") }},
		{"that of a session on the whole address", func(w *tale, n *gateway) {
			n.start("b", simB, "198.51.100.7")
			w.pass(20 * time.Second)
			n.stop("b")
		}, func(n *gateway) {
			n.start("a", simA, "198.51.100.7:1024-2047", late(50*time.Second))
		}, "198.51.100.7:1500", func(n *gateway) { n.update("a", simA, "198.51.100.7:1024-2047") }},
		{"that of one which gave the address up", func(w *tale, n *gateway) {
			n.start("b", simB, ue1+" "+ue2)
			w.pass(20 * time.Second)
			n.update("b", simB, "", gone(ue1))
		}, func(n *gateway) {
			n.start("a", simA, ue1, late(50*time.Second))
		}, ue1, func(n *gateway) { n.update("a", simA, ue1) }},
		{"the end of another source's session on the address", func(w *tale, n *gateway) {
			g := w.pgw("pgw")
			g.start("g", simA, ue1)
			w.pass(20 * time.Second)
			g.stop("g")
		}, func(n *gateway) {
			n.start("a", simA, ue1, late(25*time.Second))
		}, ue1, func(n *gateway) { n.update("a", simA, ue1) }},
		{"who had the address before a restart, by what was heard after it", func(w *tale, n *gateway) {
			n.restart()
			w.now = w.now.Add(5 * time.Second)
			n.update("b", simB, ue1, late(20*time.Second))
		}, func(n *gateway) {
			n.start("a", simA, ue1, late(10*time.Second))
		}, ue1, func(n *gateway) { n.update("a", simA, ue1) }},
	} {
		for _, crash := range []bool{false, true} {
			name := tt.claim
			if crash {
				name += ", over a crash"
			}
			t.Run(name, func(t *testing.T) {
				w := newTale(t, taleConfig)
				n := w.nas("nas")
				n.start("warm", simC, ue3)
				w.pass(time.Minute)
				tt.tell(w, n)
				w.forget()
				if crash {
					w.crash(0)
					n.settle()
				}
				tt.late(n)
				w.silent(tt.addr, simA)
				w.pass(10 * time.Second)
				w.silent(tt.addr, simA)
				tt.then(n)
				w.sweeps()
				w.holds(tt.addr, simA)
				w.fit()
			})
		}
	}
}

// full is a Registry that has room for no session more: the first has ue1.
func full(w *tale, rooms int) *gateway {
	w.configure(func(c *Config) { c.Capacity, c.Addresses = rooms, 4*rooms })
	n := w.pgw("pgw")
	n.start("0", simA, ue1)
	for i := 1; i < rooms; i++ {
		n.start(fmt.Sprint(i), simC, fmt.Sprintf("10.0.7.%d", i))
	}
	w.wait(10 * time.Second)
	return n
}

func TestRoom(t *testing.T) {
	prove(t, []claim{
		{"a session for which there is no room is refused, and nothing old is kept alive on its address", func(w *tale) {
			n := full(w, 8)
			if got := n.start("new", simB, ue1); got != RefusedCapacity {
				w.t.Fatalf("it is %q", got)
			}
			w.silent(ue1, simA)
			w.crash(time.Second)
			w.silent(ue1, simA)
			n.update("0", simA, ue1, repeated)
			w.silent(ue1, simA)
		}},
		{"an address of which a session was refused says so", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue2)
			w.nobody(ue2, "unknown/capacity")
		}},
		{"until it stops, for which there is no room either", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue2)
			w.wait(time.Second)
			w.nobody(ue2, "unknown/capacity")
			n.stop("new", has(ue2))
			w.nobody(ue2, "unknown/no-binding")
			n.start("new", simB, ue2)
			w.nobody(ue2, "unknown/capacity")
		}},
		{"and goes on to, when only one of two that were refused has stopped", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue2)
			n.start("newer", simC, ue2)
			w.wait(time.Second)
			n.stop("new", has(ue2))
			w.nobody(ue2, "unknown/capacity")
		}},
		{"one that stopped leaves no match behind", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue1)
			w.wait(time.Second)
			n.stop("new", has(ue1))
			w.silent(ue1, simA)
			w.silent(ue1, simB)
		}},
		{"other sources' sessions there must speak again", func(w *tale) {
			n := full(w, 8)
			w.wait(time.Second)
			w.pgw("other").start("new", simB, ue1)
			w.want(ue1, simA, "unknown/capacity")
			w.wait(time.Second)
			n.update("0", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a stop for which there is no room is not forgotten", func(w *tale) {
			n := full(w, 8)
			n.stop("new", has(ue2))
			w.wait(time.Second)
			n.stop("3")
			w.wait(time.Second)
			n.start("new", simB, ue2, repeated)
			w.silent(ue2, simB)
		}},
		{"one node's pressure silences no other session of it", func(w *tale) {
			n := full(w, 8)
			for i := range 100 {
				n.start(fmt.Sprint("new", i), simB, ue2)
			}
			w.holds(ue1, simA)
			w.holds("10.0.7.1", simC)
		}},
		{"a clock that is ahead cannot reach into what is remembered", func(w *tale) {
			n := w.newNAS("nas")
			n.ahead = 24 * time.Hour
			n.settle()
			n.start("b", simB, ue1)
			w.pass(20 * time.Second)
			n.stop("b")
			w.forget()
			w.pass(10 * time.Second)
			n.ahead = 0
			n.settle()
			n.start("c", simC, ue1)
			w.holds(ue1, simC)
		}},
		{"an address for which the index has no room is nobody's, nor a wider one's", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 64, 4 })
			n := w.pgw("pgw")
			n.start("wide", simA, "10.0.1.0/25")
			for i := 1; i < 60; i++ {
				w.wait(time.Second)
				at := fmt.Sprintf("10.0.1.%d", i)
				n.start(fmt.Sprint(i), simB, at)
				w.silent(at, simA)
			}
			if w.counters.n[countRefusedCapacity].Load() == 0 {
				w.t.Error("there was room for all")
			}
		}},
		{"an address that more claim than fit is nobody's, and the refused one binds when they have ended", func(w *tale) {
			var all []*gateway
			for i := range table.MaxClaims {
				g := w.pgw(fmt.Sprint("pgw", i))
				all = append(all, g)
				g.start("a", simA, ue1)
			}
			w.holds(ue1, simA)
			w.wait(time.Second)
			g := w.pgw("one more")
			if got := g.start("b", simB, ue1); got != RefusedCapacity {
				w.t.Errorf("it is %q", got)
			}
			w.nobody(ue1, "unknown/capacity")
			w.wait(time.Second)
			for _, other := range all {
				other.stop("a")
			}
			w.silent(ue1, simB)
			w.wait(time.Second)
			g.update("b", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"a session refused leaves its node's words counted", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue2)
			if got := w.Nodes()[0]; got.Sessions != 8 {
				w.t.Errorf("%d sessions", got.Sessions)
			}
		}},
	})
}

// TestHealthNames what is refused.
func TestHealthNames(t *testing.T) {
	prove(t, []claim{
		{"that capacity is reached", func(w *tale) {
			full(w, 8)
			if p := w.problems(); len(p) != 1 || !strings.Contains(p[0], "capacity 8 is reached") {
				w.t.Errorf("problems %q", p)
			}
		}},
		{"that a session was refused, for a while", func(w *tale) {
			n := full(w, 8)
			n.start("new", simB, ue2)
			n.stop("3")
			if p := w.problems(); len(p) != 1 || !strings.Contains(p[0], "no room for a session or address") {
				w.t.Errorf("problems %q", p)
			}
			if got := w.Status(); got.Healthy || got.Counters["refused_capacity"] != 1 {
				w.t.Errorf("healthy %v, %d refused", got.Healthy, got.Counters["refused_capacity"])
			}
			w.wait(2 * time.Minute)
			if p := w.problems(); len(p) != 0 {
				w.t.Errorf("after two minutes: %q", p)
			}
		}},
		{"that a session was refused is logged, masked, and not each", func(w *tale) {
			n := full(w, 8)
			var log strings.Builder
			w.Registry.log = slog.New(slog.NewTextHandler(&log, nil))
			refuse := func(session string) {
				ev := n.word(binding.SessionStart, session, simB, ue2, nil)
				w.take(&ev)
			}
			for i := range 10 {
				refuse(fmt.Sprint("new", i))
			}
			w.wait(time.Minute)
			refuse("another")
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "refused=1") || !strings.Contains(lines[1], "refused=10") {
				w.t.Errorf("logged: %s", &log)
			}
			for _, number := range []string{simB.MSISDN.String(), simB.IMSI.String()} {
				if strings.Contains(log.String(), number) {
					w.t.Errorf("%s is in clear: %s", number, &log)
				}
			}
		}},
		{"what was forgotten early is counted", func(w *tale) {
			n := w.pgw("pgw")
			n.start("a", simA, ue1)
			n.stop("a")
			w.forget()
			if got := w.Status().Counters["forgotten_early"]; got != 1 {
				w.t.Errorf("%d", got)
			}
		}},
		{"what decides about nothing any more is forgotten without a trace", func(w *tale) {
			n := w.pgw("pgw")
			n.start("a", simA, ue1)
			n.stop("a")
			if got := w.Status(); got.Tombstones != 1 || got.Sessions != 0 {
				w.t.Errorf("%d remembered, %d living", got.Tombstones, got.Sessions)
			}
			w.wait(6 * time.Minute)
			if got := w.Status(); got.Tombstones != 0 || got.Counters["forgotten_early"] != 0 || got.Addresses != 0 {
				w.t.Errorf("%d remembered, %d forgotten early, %d addresses", got.Tombstones, got.Counters["forgotten_early"],
					got.Addresses)
			}
			delete(w.journal.remains, [2]uint32{remainsHorizon}) // when that was
			if len(w.journal.remains) != 0 || len(w.journal.sessions) != 0 {
				w.t.Errorf("%d and %d rows are left", len(w.journal.remains), len(w.journal.sessions))
			}
		}},
		{"that the queue is full", func(w *tale) {
			w.configure(func(c *Config) { c.Queue = 1 })
			if err := w.Submit(binding.Event{}); err != nil {
				w.t.Fatal(err)
			}
			if p := w.problems(); len(p) != 1 || !strings.Contains(p[0], "queue is full") {
				w.t.Errorf("problems %q", p)
			}
		}},
	})
}

// TestClaimsAreBounded: rule 16.
func TestClaimsAreBounded(t *testing.T) {
	wide := func(w *tale, claim, addr string) {
		w.t.Helper()
		n := w.pgw("pgw")
		n.start("holder", simA, ue1+" 2001:db8:1::/64")
		w.wait(time.Second)
		if got := n.start(claim, simB, addr); got != RefusedWide {
			w.t.Errorf("%s is %q", addr, got)
		}
		w.holds(ue1, simA)
		w.holds("2001:db8:1::5", simA)
		w.silent("10.0.5.5", simB)
		w.silent("2001:db8:5::5", simB)
		if got := w.Status().Counters["refused_wide"]; got != 1 {
			w.t.Errorf("%d counted", got)
		}
	}
	pool := func(pools ...string) func(*Config) {
		return func(c *Config) {
			c.Domains = []binding.Domain{{Name: "default", APNs: []string{"*"}, Pools: prefixes(pools...)}}
		}
	}
	prove(t, []claim{
		{"a route as large as the pool is refused", func(w *tale) {
			w.configure(pool("10.0.0.0/24", "2001:db8::/32"))
			wide(w, "route", "10.0.0.0/24")
		}},
		{"no route is wider than /24", func(w *tale) { wide(w, "route", "10.0.0.0/23") }},
		{"no prefix is shorter than /48", func(w *tale) { wide(w, "route", "2001:db8::/47") }},
		{"a route of /24 in a wider pool is taken", func(w *tale) {
			w.pgw("pgw").start("a", simA, "10.0.3.0/24")
			w.holds("10.0.3.9", simA)
		}},
		{"how wide is configurable", func(w *tale) {
			w.configure(func(c *Config) {
				c.Domains = []binding.Domain{{Name: "default", APNs: []string{"*"}, Pools: prefixes("10.0.0.0/8"), Widest4: 16}}
			})
			w.pgw("pgw").start("a", simA, "10.1.0.0/16")
			w.holds("10.1.3.9", simA)
		}},
		{"a pool of one address can be held", func(w *tale) {
			w.configure(pool("10.0.0.1/32"))
			w.pgw("pgw").start("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"an address outside the pools is refused", func(w *tale) {
			g := w.pgw("pgw")
			if got := g.start("a", simA, "192.0.2.1"); got != RefusedPool {
				w.t.Errorf("it is %q", got)
			}
			w.nobody("192.0.2.1", "unknown/out-of-pool")
			if got := w.Status().Counters["refused_pool"]; got != 1 {
				w.t.Errorf("%d counted", got)
			}
		}},
		{"a session of an APN without a domain is refused", func(w *tale) {
			w.configure(func(c *Config) {
				c.Domains = []binding.Domain{{Name: "internet", APNs: []string{"internet"}, Pools: prefixes("10.0.0.0/16")}}
			})
			if got := w.pgw("pgw").start("a", simA, ue1, of("ims")); got != RefusedDomain {
				w.t.Errorf("it is %q", got)
			}
		}},
		{"without an APN the only domain that has the address is the session's", func(w *tale) {
			w.configure(func(c *Config) {
				c.Domains = []binding.Domain{
					{Name: "internet", APNs: []string{"internet"}, Pools: prefixes("10.1.0.0/16")},
					{Name: "corp", APNs: []string{"corp"}, Pools: prefixes("10.2.0.0/16")},
				}
			})
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("a", simA, "10.1.0.1", of("internet"), ordered(1))
			n.start("b", simA, "10.1.0.3", of("internet"))
			w.wait(3 * time.Second)
			g.update("c", simB, "10.1.0.1", of(""), ordered(2)) // the end of a and its start were lost
			n.stop("d", by(simB), has("10.1.0.3"), of(""))
			w.holds("10.1.0.1", simB)
			w.silent("10.1.0.3", simA)
		}},
		{"where several domains have it, who has it in one must speak", func(w *tale) {
			w.configure(func(c *Config) {
				c.Domains = []binding.Domain{
					{Name: "internet", APNs: []string{"internet"}, Pools: prefixes("10.1.0.0/16")},
					{Name: "corp", APNs: []string{"corp"}, Pools: prefixes("10.1.0.0/16")},
				}
			})
			g := w.pgw("pgw")
			g.start("a", simA, "10.1.0.1", of("internet"), ordered(1))
			w.wait(3 * time.Second)
			if got := g.update("c", simB, "10.1.0.1", of(""), ordered(2)); got != RefusedDomain {
				w.t.Errorf("it is %q", got)
			}
			q := query("10.1.0.1")
			q.Domain = "internet"
			if a := w.Verify(q, binding.Number{MSISDN: simA.MSISDN}); a.Verdict != binding.Ambiguous {
				w.t.Errorf("it is %v %v", a.Verdict, a.Reason)
			}
			w.wait(time.Second)
			g.update("a", simA, "10.1.0.1", ordered(2))
			if a := w.Verify(q, binding.Number{MSISDN: simA.MSISDN}); a.Verdict != binding.Match {
				w.t.Errorf("after its next word it is %v %v", a.Verdict, a.Reason)
			}
		}},
		{"the key is the prefix", func(w *tale) {
			w.pgw("pgw").start("a", simA, "2001:db8:0:ff00::/56")
			w.holds("2001:db8:0:ff12::1", simA)
			w.nobody("2001:db8:0:fe00::1", "unknown/no-binding")
		}},
	})
}
