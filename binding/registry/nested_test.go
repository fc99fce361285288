package registry

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// wideDomain lets a session claim more than others.
func wideDomain(c *Config) {
	c.Domains = []binding.Domain{{Name: "default", APNs: []string{"*"}, Pools: prefixes("10.0.0.0/8", "2001:db8::/32"), Widest4: 16, Widest6: 40}}
}

// TestNested holds claims on addresses that lie within each other.
func TestNested(t *testing.T) {
	prove(t, slices.Concat(nestedRemains(), boundedTogether(), untilTheSweep(), otherNodes()))
}

// nestedRemains are of what is forgotten, or an operator's word.
func nestedRemains() []claim {
	return []claim{
		{"a release of one port holds for the block that it lies in", func(w *tale) {
			n := w.nas("nas")
			w.releaseAt("198.51.100.7:1100")
			n.start("a", simA, "198.51.100.7:1024-2047", late(10*time.Second))
			w.nobody("198.51.100.7:1100", "unknown/released")
			w.wait(10 * time.Second)
			n.update("a", simA, "")
			w.holds("198.51.100.7:1100", simA)
		}},
		{"and one of a host for the prefix that it lies in", func(w *tale) {
			n := w.nas("nas")
			w.releaseAt("2001:db8:0:1:2::7")
			n.start("a", simA, "2001:db8:0:1:2::/80", late(10*time.Second))
			w.nobody("2001:db8:0:1:2::7", "unknown/released")
		}},
		{"also if another block was held there, which has ended since, and over a crash", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "198.51.100.7:1024-2047")
			w.pass(10 * time.Second)
			w.releaseAt("198.51.100.7:1100")
			w.crash(time.Second)
			n.settle()
			n.stop("a")
			n.start("b", simA, "198.51.100.7:1024-1535", late(15*time.Second))
			w.silent("198.51.100.7:1100", simA)
		}},
		{"a forgotten block of ports stands against a larger one", func(w *tale) {
			n := w.nas("nas")
			n.start("b", simB, "198.51.100.7:1024-1535")
			w.wait(20 * time.Second)
			n.stop("b")
			w.wait(5 * time.Second)
			w.forget()
			n.start("a", simA, "198.51.100.7:1024-2047", late(time.Minute))
			w.nobody("198.51.100.7:1100", "unknown/capacity")
			w.wait(10 * time.Second)
			n.update("a", simA, "")
			w.holds("198.51.100.7:1100", simA)
		}},
		{"and against a smaller one", func(w *tale) {
			n := w.nas("nas")
			n.start("b", simB, "198.51.100.7:1024-2047")
			w.wait(20 * time.Second)
			n.stop("b")
			w.wait(5 * time.Second)
			w.forget()
			n.start("a", simA, "198.51.100.7:1024-1535", late(time.Minute))
			w.silent("198.51.100.7:1100", simA)
		}},
		{"a forgotten claim stands against what lies in it, however wide it is", func(w *tale) {
			w.configure(wideDomain)
			n := w.nas("nas")
			n.start("b", simB, "10.0.16.0/20 2001:db8:100::/44")
			w.wait(20 * time.Second)
			n.stop("b")
			w.wait(5 * time.Second)
			w.forget()
			n.start("a", simA, "10.0.16.1 2001:db8:101:5::/64", late(time.Minute))
			w.silent("10.0.16.1", simA)
			w.silent("2001:db8:101:5::1", simA)
		}},
		{"a release holds for what it lies in, however wide that is", func(w *tale) {
			w.configure(wideDomain)
			n := w.nas("nas")
			w.releaseAt("10.0.16.1")
			w.releaseAt("2001:db8:101:5::1")
			n.start("a", simA, "10.0.16.0/20 2001:db8:100::/44", late(time.Minute))
			w.sweeps()
			w.sweeps()
			w.silent("10.0.16.1", simA)
			w.silent("2001:db8:101:5::1", simA)
			w.wait(10 * time.Second)
			n.update("a", simA, "")
			w.holds("10.0.16.1", simA)
		}},
		{"what is forgotten of a block of ports concerns no other address, nor of an address others of its network", func(w *tale) {
			n := w.nas("nas")
			n.start("b", simB, "198.51.100.7:1024-1535 "+ue1)
			w.wait(20 * time.Second)
			n.stop("b")
			w.wait(5 * time.Second)
			w.forget()
			n.start("a", simA, "198.51.100.8:1024-1535 "+ue2, late(time.Minute))
			w.holds("198.51.100.8:1024", simA)
			w.holds(ue2, simA)
		}},
	}
}

// boundedTogether are of what one session may have in all: rule 16.
func boundedTogether() []claim {
	return []claim{
		{"two halves of a pool are a whole pool", func(w *tale) {
			n := w.nas("nas")
			if got := n.start("a", simA, "198.51.100.0/25 198.51.100.128/25"); got != RefusedWide {
				w.t.Errorf("that is %q", got)
			}
			w.sweeps()
			w.silent("198.51.100.77", simA)
			w.silent("198.51.100.177", simA)
		}},
		{"also if they come one after the other", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "198.51.100.0/25")
			w.pass(20 * time.Second)
			if got := n.update("a", simA, "198.51.100.128/25", partial); got != RefusedWide {
				w.t.Errorf("that is %q", got)
			}
			w.sweeps()
			w.holds("198.51.100.77", simA)
			w.silent("198.51.100.177", simA)
		}},
		{"many prefixes are together no wider than one may be", func(w *tale) {
			n := w.nas("nas")
			for i := range 20 {
				n.update("a", simA, fmt.Sprintf("10.0.%d.0/24 2001:db8:%x::/48", i, i), partial)
				w.pass(10 * time.Second)
			}
			w.sweeps()
			for i := range 20 {
				if i > 0 {
					w.silent(fmt.Sprintf("10.0.%d.9", i), simA)
					w.silent(fmt.Sprintf("2001:db8:%x::9", i), simA)
					continue
				}
				w.holds("10.0.0.9", simA)
				w.holds("2001:db8::9", simA)
			}
		}},
		{"an older word brings no more either", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "10.0.1.0/24", partial)
			w.pass(20 * time.Second)
			n.update("a", simA, "")
			n.update("a", simA, "10.0.2.0/24", delayed(10*time.Second), partial)
			w.sweeps()
			w.holds("10.0.1.9", simA)
			w.silent("10.0.2.9", simA)
		}},
		{"addresses beside a prefix, and what lies in it, are not counted", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "10.0.1.0/24 10.0.1.128/25 10.0.2.1 2001:db8:0:100::/56 2001:db8:1:1::/64")
			w.sweeps()
			for _, at := range []string{"10.0.1.9", "10.0.1.200", "10.0.2.1", "2001:db8:0:103::9", "2001:db8:1:1::9"} {
				w.holds(at, simA)
			}
		}},
		{"a session that is given another prefix for its own has it", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "10.0.1.0/24")
			w.pass(20 * time.Second)
			n.update("a", simA, "10.0.2.0/24")
			w.sweeps()
			w.holds("10.0.2.9", simA)
		}},
	}
}

// untilTheSweep are of what the sweep finds, and readers before it.
func untilTheSweep() []claim {
	const wide, narrow, host, rest = "2001:db8:0:100::/56", "2001:db8:0:103::/64", "2001:db8:0:103::7", "2001:db8:0:104::7"
	return []claim{
		{"a restart concerns other sources at once, also around the addresses that it ended", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("x", simA, wide, ordered(1))
			n.start("y", simA, narrow)
			w.pass(20 * time.Second)
			w.holds(host, simA)
			n.restart()
			w.silent(host, simA)
			w.silent(rest, simA)
			w.sweeps()
			w.silent(host, simA)
			w.silent(rest, simA)
			w.wait(10 * time.Second)
			g.update("x", simA, "", ordered(2))
			w.holds(host, simA)
			w.holds(rest, simA)
		}},
		{"and of sessions that the SIM alone joins", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("x", binding.Subscriber{IMSI: simA.IMSI}, ue1, ordered(1))
			g.start("z", simB, ue3, ordered(1))
			w.knows(simA.IMSI, simA.MSISDN)
			n.start("y", simA, "")
			w.pass(20 * time.Second)
			w.holds(ue1, simA)
			n.restart()
			w.nobody(ue1, "ambiguous/ending")
			w.holds(ue3, simB)
			w.crash(0)
			w.nobody(ue1, "ambiguous/ending")
			w.sweeps()
			w.nobody(ue1, "ambiguous/ending")
			w.holds(ue3, simB)
		}},
		{"what a restart may have ended concerns narrower addresses of other sources too", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("g", simA, narrow, ordered(1))
			w.pass(20 * time.Second)
			n.restart()
			w.now = w.now.Add(5 * time.Second)
			n.update("a", simA, wide, late(7*time.Second), delayed(7*time.Second))
			w.sweeps()
			w.nobody(host, "ambiguous/ending")
			w.wait(10 * time.Second)
			n.update("a", simA, wide)
			w.holds(host, simA)
			w.holds(rest, simA)
		}},
		{"and those that the SIM alone joins", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			g.start("g", simA, ue1, ordered(1))
			w.pass(20 * time.Second)
			n.restart()
			w.now = w.now.Add(5 * time.Second)
			n.update("a", simA, "", late(7*time.Second), delayed(7*time.Second))
			w.sweeps()
			w.nobody(ue1, "ambiguous/ending")
		}},
		{"a part of an address stands against a new prefix around it", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, "2001:db8:0:103:1::/80 10.0.1.9:1024-2047")
			w.pass(10 * time.Second)
			g.start("b", simB, wide+" 10.0.1.0/25", ordered(1))
			for _, at := range []string{"2001:db8:0:103::1", "2001:db8:0:101::1", "10.0.1.9", "10.0.1.9:5000", "10.0.1.10"} {
				w.silent(at, simB)
			}
		}},
		{"also of the same node, if the word of the prefix is late", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "2001:db8:0:103:1::/80")
			w.now = w.now.Add(10 * time.Second)
			n.start("b", simB, wide, late(20*time.Second))
			w.silent("2001:db8:0:103::1", simB)
			w.silent("2001:db8:0:101::1", simB)
		}},
		{"a new prefix in which nobody has a part matches at once", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, "2001:db8:0:203:1::/80 2001:db8:0:103::/64")
			g.start("b", simA, wide, ordered(1))
			w.holds(rest, simA)
		}},
	}
}

// otherNodes are of what is forgotten of, or refused to, sessions at one node, for
// those at others.
func otherNodes() []claim {
	return []claim{
		{"a forgotten end counts for other nodes of its source too", func(w *tale) {
			g1, g2 := w.pgw("g1"), w.pgw("g2")
			g1.start("y", simB, ue1, ordered(1))
			w.wait(20 * time.Second)
			g1.stop("y", ordered(2))
			w.wait(time.Second)
			w.forget()
			g2.start("z", simA, ue1, ordered(1), repeated)
			w.nobody(ue1, "unknown/capacity")
			w.wait(time.Second)
			g2.update("z", simA, "", ordered(2))
			w.holds(ue1, simA)
		}},
		{"and who must speak after it confirms nobody", func(w *tale) {
			n, g1, g2 := w.nas("nas"), w.pgw("g1"), w.pgw("g2")
			n.start("x", simA, ue1)
			g1.start("y", simA, ue1, ordered(1))
			w.wait(20 * time.Second)
			g1.stop("y", ordered(2))
			w.forget()
			w.wait(time.Second)
			g2.start("z", simA, ue1, ordered(1), repeated)
			w.silent(ue1, simA)
		}},
		{"a session that finds no room for an address stands against another node's that was there before", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 16, 3 })
			n, g, h := w.nas("nas"), w.pgw("g"), w.pgw("h")
			for i := range 3 {
				g.start(fmt.Sprint(i), simC, fmt.Sprintf("10.0.7.%d", i+1), ordered(1))
			}
			w.wait(10 * time.Second)
			if got := h.start("b", simB, ue1, ordered(1)); got != RefusedCapacity {
				w.t.Errorf("that is %q", got)
			}
			w.wait(time.Second)
			g.stop("0", ordered(2))
			w.wait(time.Second)
			n.start("a", simA, ue1, late(9*time.Second))
			w.nobody(ue1, "unknown/capacity")
			w.wait(10 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"also if there is no room for the session", func(w *tale) {
			w.configure(func(c *Config) { c.Capacity, c.Addresses = 4, 16 })
			n, g, h := w.nas("nas"), w.pgw("g"), w.pgw("h")
			for i := 0; w.Status().Sessions < 4; i++ {
				g.start(fmt.Sprint(i), simC, fmt.Sprintf("10.0.7.%d", i+1), ordered(1))
			}
			w.wait(10 * time.Second)
			h.start("b", simB, ue1, ordered(1))
			w.wait(time.Second)
			g.stop("0", ordered(2))
			w.wait(time.Second)
			n.start("a", simA, ue1, late(9*time.Second))
			w.nobody(ue1, "unknown/capacity")
		}},
		{"an address that a former journal has as blocked is nobody's by a word of before", func(w *tale) {
			f := newFormer(w)
			f.j.blocks = []binding.BlockRow{{Domain: 1, Addr: addresses(ue1)[0], Since: w.now.UnixMilli()}}
			n := f.open()
			n.start("a", simA, ue1, late(time.Minute))
			w.nobody(ue1, "unknown/capacity")
			w.commit(w.t)
			w.wait(10 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"an end at the session's own node does not hinder it", func(w *tale) {
			g := w.pgw("g1")
			g.start("y", simB, ue1, ordered(1))
			w.wait(20 * time.Second)
			g.stop("y", ordered(2))
			w.forget()
			g.start("z", simA, ue1, ordered(1))
			w.holds(ue1, simA)
		}},
	}
}

// TestAFollowerHearsOfAWiderClaimAtOnce: its site does not match there any more.
func TestAFollowerHearsOfAWiderClaimAtOnce(t *testing.T) {
	const host = "2001:db8:0:103::7"
	w := newTale(t, taleConfig)
	n, g := w.nas("nas"), w.pgw("pgw")
	n.start("a", simA, "2001:db8:0:103::/64")
	w.sweeps()
	follower := newReplica(t, taleConfig, "site")
	follower.now = w.now
	follower.on(binding.Event{Kind: binding.NodeUp, Source: binding.SourceFeed, Node: "site", Time: w.now})
	follower.catchUp(t, "site", w.changes)
	if got := follower.verify(host, simA.MSISDN); got != "match/bound" {
		t.Fatal(got)
	}
	told := len(w.changes)
	g.start("b", simB, "2001:db8:0:100::/56", ordered(1))
	follower.catchUp(t, "site", w.changes[told:])
	for who, got := range map[string]string{"site": w.said(host, simA), "follower": follower.verify(host, simA.MSISDN)} {
		if got != "ambiguous/conflict" {
			t.Errorf("the %s says %s", who, got)
		}
	}
}

// TestASweepMissesNoAddress that is shown anew on the way: what it means on a wider
// one goes on.
func TestASweepMissesNoAddress(t *testing.T) {
	const wide, narrow, rest = "2001:db8:0:100::/56", "2001:db8:0:103::/64", "2001:db8:0:1ff::9"
	for seed := range int64(4) {
		rnd := rand.New(rand.NewSource(seed))
		w := newTale(t, taleConfig)
		one, two, g := w.pgw("one"), w.nas("two"), w.pgw("g")
		one.start("a", simA, wide, ordered(1))
		for i := range 10 {
			one.start(fmt.Sprint("f", i), simC, fmt.Sprintf("10.0.7.%d", i+1), ordered(1))
		}
		two.start("b", binding.Subscriber{IMSI: simB.IMSI}, narrow)
		g.start("gb", binding.Subscriber{IMSI: simB.IMSI}, narrow, ordered(1))
		w.sweeps()
		w.nobody(rest, "ambiguous/conflict")
		for n := uint32(2); n < 1000; n++ {
			w.now = w.now.Add(20 * time.Millisecond)
			w.sweeper.sweep(1+rnd.Intn(3), w.now.UnixMilli())
			if rnd.Intn(6) == 0 {
				w.knows(simB.IMSI, simB.MSISDN+binding.MSISDN(n%3))
			}
			if rnd.Intn(6) == 0 {
				one.update(fmt.Sprint("f", rnd.Intn(10)), number(simC, simC.MSISDN+binding.MSISDN(n)), "", ordered(n))
			}
			w.commit(t)
			if w.silent(rest, simA); t.Failed() {
				t.Fatalf("seed %d, piece %d", seed, n)
			}
		}
		two.stop("b")
		g.stop("gb", ordered(2))
		w.wait(10 * time.Second)
		one.update("a", simA, "", ordered(2))
		w.sweeps()
		w.sweeps()
		w.holds(rest, simA)
	}
}
