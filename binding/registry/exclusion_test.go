package registry

import (
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// ranges are two that overlap, and where they do and do not.
var ranges = []struct {
	name, x, y string
	both       string // in both
	onlyX      string // in x alone, if there is such
}{
	{"one address", ue1, ue1, ue1, ""},
	{"a prefix in a prefix", "2001:db8:0:100::/56", "2001:db8:0:103::/64", "2001:db8:0:103::7", "2001:db8:0:1ff::9"},
	{"a long prefix in a /64", "2001:db8:0:103::/64", "2001:db8:0:103:1::/80", "2001:db8:0:103:1::7",
		"2001:db8:0:103:2::7"},
	{"an address in a route", "10.0.1.0/25", "10.0.1.9", "10.0.1.9", "10.0.1.10"},
	{"a block of ports of an address", "198.51.100.7", "198.51.100.7:1024-2047", "198.51.100.7:1500", "198.51.100.7:4000"},
	{"a block of ports in another one", "198.51.100.7:1024-4095", "198.51.100.7:2048-3071", "198.51.100.7:2500",
		"198.51.100.7:1500"},
	{"blocks of ports that are not aligned", "198.51.100.7:1000-2999", "198.51.100.7:2500-3499", "198.51.100.7:2600",
		"198.51.100.7:1500"},
}

// within has a gateway's clock known, and two ranges, either of which may come
// first.
func eachOrder(t *testing.T, tell func(w *tale, n *gateway, first, second, both, onlyFirst string)) {
	for _, r := range ranges {
		t.Run(r.name, func(t *testing.T) {
			w := newTale(t, taleConfig)
			tell(w, w.nas("nas"), r.x, r.y, r.both, r.onlyX)
			w.fit()
		})
		if r.x == r.y {
			continue
		}
		t.Run(r.name+", the other way round", func(t *testing.T) {
			w := newTale(t, taleConfig)
			tell(w, w.nas("nas"), r.y, r.x, r.both, "")
			w.fit()
		})
	}
}

// TestAtMostOneOfTwoSIMsMatches anywhere in overlapping ranges of one node: rules
// 8 and 10. What lies inside of a range and cannot be enumerated the sweep finds;
// until then nobody is matched.
func TestAtMostOneOfTwoSIMsMatches(t *testing.T) {
	eachOrder(t, func(w *tale, n *gateway, first, second, both, onlyFirst string) {
		n.start("a", simA, first)
		w.holds(both, simA)
		w.wait(10 * time.Second)
		n.start("b", simB, second)
		w.silent(both, simA)
		if onlyFirst != "" {
			w.silent(onlyFirst, simA)
		}
		w.sweeps()
		w.holds(both, simB)
		w.wait(10 * time.Second)
		n.start("c", simC, first)
		w.silent(both, simB)
		w.sweeps()
		w.holds(both, simC)
		if onlyFirst != "" {
			w.holds(onlyFirst, simC)
		}
		w.wait(10 * time.Second)
		n.update("c", simC, first)
		w.holds(both, simC)
	})
}

// TestAFormerHolderNeverReturns by the end of the newer one, wherever prefixes or
// ports are nested.
func TestAFormerHolderNeverReturns(t *testing.T) {
	eachOrder(t, func(w *tale, n *gateway, first, second, both, onlyFirst string) {
		n.start("a", simA, first)
		w.pass(20 * time.Second) // its stop is lost
		n.start("b", simB, second)
		w.pass(20 * time.Second)
		n.stop("b")
		w.silent(both, simA)
		if onlyFirst != "" {
			w.silent(onlyFirst, simA)
		}
		n.update("a", simA, first, late(30*time.Second)) // from before b began
		w.silent(both, simA)
		w.crash(time.Second)
		w.silent(both, simA)
		n.update("a", simA, first, late(30*time.Second))
		w.silent(both, simA)
	})
}

// TestAFormerHolderMayHaveItAgain by a word that is surely of after the other
// one's end.
func TestAFormerHolderMayHaveItAgain(t *testing.T) {
	eachOrder(t, func(w *tale, n *gateway, first, second, both, _ string) {
		n.start("a", simA, first)
		w.pass(20 * time.Second)
		n.start("b", simB, second)
		w.pass(20 * time.Second)
		n.stop("b")
		w.pass(20 * time.Second)
		n.start("c", simA, first)
		w.sweeps()
		w.holds(both, simA)
	})
}

// TestWordsWithinOneSecondAreInUnknownOrder: a change within the resolution of
// stamps is in doubt until the next word.
func TestWordsWithinOneSecondAreInUnknownOrder(t *testing.T) {
	eachOrder(t, func(w *tale, n *gateway, first, second, both, onlyFirst string) {
		n.start("a", simA, first)
		n.start("b", simB, second)
		for _, x := range []string{both, onlyFirst} {
			if x != "" {
				w.silent(x, simA)
				w.silent(x, simB)
			}
		}
		w.wait(5 * time.Second)
		n.update("b", simB, second)
		w.sweeps()
		w.holds(both, simB)
	})
}

func TestExclusion(t *testing.T) {
	prove(t, []claim{
		{"a newer session on the same address wins at its node", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1)
			w.holds(ue1, simB)
			w.wait(5 * time.Second)
			n.start("c", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a late stop of the former holder leaves the new one alone", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1)
			w.wait(5 * time.Second)
			n.stop("a", late(8*time.Second))
			w.holds(ue1, simB)
			w.wait(5 * time.Second)
			n.stop("b")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"a late start changes nobody, and the holder's next word resolves it", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1, late(20*time.Second))
			w.nobody(ue1, "ambiguous/conflict") // late, or of a clock that was set back
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a late start of before the holder's last word is over by arrival", func(w *tale) {
			n := w.pgw("pgw")
			n.start("a", simA, ue1, ordered(1))
			w.wait(20 * time.Second)
			n.start("b", simB, ue1, ordered(1), repeated)
			w.nobody(ue1, "ambiguous/conflict")
			w.wait(time.Second)
			n.update("a", simA, ue1, ordered(2))
			w.holds(ue1, simA)
		}},
		{"against one that ended the doubt is one of order, until the holder speaks again", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.stop("b", by(simB), has(ue1))
			w.want(ue1, simA, "ambiguous/order")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a session that is over and surely speaks later has the address again", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue1)
			w.holds(ue1, simB)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.silent(ue1, simB)
		}},
		{"a node that contradicts itself has a conflict, until one speaks again", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			n.update("a", simA, ue1)
			w.wait(3 * time.Second)
			n.start("b", simB, ue1, delayed(9*time.Second)) // surely between the two
			w.nobody(ue1, "ambiguous/conflict")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.silent(ue1, simB)
			w.wait(5 * time.Second)
			n.stop("b")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a handover never loses the newer session", func(w *tale) {
			n := w.nas("nas")
			n.start("3g", simA, ue1)
			w.wait(5 * time.Second)
			n.start("4g", simA, ue1)
			w.holds(ue1, simA)
			w.wait(5 * time.Second)
			n.stop("3g")
			w.holds(ue1, simA)
			w.wait(5 * time.Second)
			n.stop("4g")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"nor loses the older one what the newer one's end leaves: that must speak", func(w *tale) {
			n := w.nas("nas")
			n.start("3g", simA, ue1)
			w.wait(5 * time.Second)
			n.start("4g", simA, ue1)
			w.wait(5 * time.Second)
			n.stop("4g")
			w.want(ue1, simA, "ambiguous/ending")
			w.wait(5 * time.Second)
			n.update("3g", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a session that names nobody counts as another SIM's", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("b", noSIM, ue1)
			w.nobody(ue1, "unknown/no-msisdn")
			w.wait(5 * time.Second)
			n.stop("b")
			w.silent(ue1, simA)
		}},
		{"a question without a port asks for the whole address", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "198.51.100.7")
			w.holds("198.51.100.7", simA)
			w.wait(5 * time.Second)
			n.start("b", simB, "198.51.100.7:1024-2047")
			w.silent("198.51.100.7", simA)
			w.holds("198.51.100.7:1500", simB)
			w.wait(5 * time.Second)
			n.stop("b")
			w.silent("198.51.100.7", simA)
		}},
		{"of an address that is given out in blocks the port is asked for", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "198.51.100.7:1024-2031")
			n.start("b", simB, "198.51.100.7:2032-3039")
			w.nobody("198.51.100.7", "unknown/port-needed")
			for addr, who := range map[string]string{
				"198.51.100.7:1024": "a", "198.51.100.7:2031": "a", "198.51.100.7:2032": "b", "198.51.100.7:3039": "b",
			} {
				if who == "a" {
					w.holds(addr, simA)
				} else {
					w.holds(addr, simB)
				}
			}
			w.nobody("198.51.100.7:3040", "unknown/no-binding")
			w.nobody("198.51.100.7:1023", "unknown/no-binding")
		}},
		{"a wider claim of which a node gave a part to another is not matched in the rest of it", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "2001:db8:0:100::/56")
			w.wait(5 * time.Second)
			n.start("b", simB, "2001:db8:0:103::/64")
			w.holds("2001:db8:0:103::7", simB)
			w.silent("2001:db8:0:1ff::9", simA)
		}},
		{"a wider claim ends at once what lies inside of it and can be enumerated", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "2001:db8:0:103::/64")
			n.start("c", simC, "10.0.1.9")
			w.now = w.now.Add(5 * time.Second)
			n.start("b", simB, "2001:db8:0:100::/56 10.0.1.0/25")
			w.holds("2001:db8:0:103::7", simB)
			w.holds("10.0.1.9", simB)
			if got := w.Nodes()[0].Sessions; got != 2 { // it, and the one that nobody asks for
				w.t.Errorf("%d sessions", got)
			}
		}},
		{"a SIM has a part of what it has", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "2001:db8:0:100::/56")
			w.wait(5 * time.Second)
			n.start("b", simA, "2001:db8:0:103::/64")
			w.holds("2001:db8:0:103::7", simA)
			w.want("2001:db8:0:1ff::9", simA, "ambiguous/ending") // it may have attached anew
			w.wait(5 * time.Second)
			n.update("a", simA, "2001:db8:0:100::/56")
			w.holds("2001:db8:0:103::7", simA)
			w.holds("2001:db8:0:1ff::9", simA)
		}},
		{"an expired session hides no wider one that is fresh", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "2001:db8:0:103::/64")
			w.pass(61 * time.Minute)
			w.want("2001:db8:0:103::7", simA, "stale/lease")
			n.start("b", simB, "2001:db8:0:100::/56")
			w.holds("2001:db8:0:103::7", simB)
			w.holds("2001:db8:0:1ff::9", simB)
			w.wait(30 * time.Minute)
			w.holds("2001:db8:0:103::7", simB)
		}},
		{"when a narrower one of another node expires the sweep leaves the wider one", func(w *tale) {
			one, two := w.pgw("one"), w.pgw("two")
			one.start("b", simB, "2001:db8:0:100::/56", func(_ *gateway, ev *binding.Event) { ev.Lease = 3 * time.Hour })
			two.start("a", simA, "2001:db8:0:103::/64")
			w.nobody("2001:db8:0:103::7", "ambiguous/conflict")
			w.now = w.now.Add(61 * time.Minute)
			w.silent("2001:db8:0:103::7", simA)
			w.sweeps()
			w.holds("2001:db8:0:103::7", simB)
			w.holds("2001:db8:0:1ff::9", simB)
		}},
		{"if the wider one is expired too, the narrower one's lease is told", func(w *tale) {
			n := w.nas("nas")
			n.start("b", simB, "2001:db8:0:100::/56")
			w.wait(5 * time.Second)
			n.start("a", simB, "2001:db8:0:103::/64")
			w.pass(61 * time.Minute)
			w.want("2001:db8:0:103::7", simB, "stale/lease")
		}},
		{"an address that a session gave up is nobody's", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1+" 2001:db8:1::/64")
			w.wait(5 * time.Second)
			n.update("a", simA, "", gone(ue1))
			w.nobody(ue1, "unknown/no-binding")
			w.holds("2001:db8:1::5", simA)
		}},
		{"one that it gave up and was given again is its own", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1+" "+ue2)
			g.update("a", simA, "", gone(ue1))
			w.nobody(ue1, "unknown/no-binding")
			g.update("a", simA, ue1, partial)
			w.holds(ue1, simA)
			w.holds(ue2, simA)
		}},
		{"one that it may have given up counts no more until it is named again", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(30 * time.Second)
			n.update("a", simA, ue2, late(29*time.Second), partial) // within a second of the start
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
			w.nobody(ue2, "unknown/no-binding")
		}},
		{"a session that names all its addresses has left the former one", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.update("a", simA, ue2)
			w.nobody(ue1, "unknown/no-binding")
			w.holds(ue2, simA)
		}},
		{"even if the new one is refused", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.update("a", simA, "192.168.0.1")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"who lost a piece of a block of ports must name the rest of it again", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "198.51.100.7:1000-2999")
			w.wait(5 * time.Second)
			n.start("b", simB, "198.51.100.7:2500-3499")
			w.silent("198.51.100.7:1500", simA)
			w.wait(5 * time.Second)
			n.update("a", simA, "")
			w.silent("198.51.100.7:1500", simA)
			w.holds("198.51.100.7:2600", simB)
		}},
		{"an interim that names no ports leaves its session the blocks", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, "198.51.100.7:1024-2047")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds("198.51.100.7:1500", simA)
			w.wait(5 * time.Second)
			n.update("a", simA, "", gone("198.51.100.7"))
			w.nobody("198.51.100.7:1500", "unknown/no-binding")
		}},
	})
}

// TestMoreThanCanBeEnumeratedCountsFromTheSweepOn: of a wide claim inside of
// which too many narrower ones could lie, a match waits until the sweep has
// compared them.
func TestMoreThanCanBeEnumeratedCountsFromTheSweepOn(t *testing.T) {
	w := newTale(t, taleConfig)
	n := w.nas("nas")
	n.start("b", simB, "2001:db8:0:103::/64")
	w.now = w.now.Add(5 * time.Second)
	n.start("a", simA, "2001:db8::/48")
	w.silent("2001:db8:0:1ff::9", simA)
	w.sweeps()
	if got := w.said("2001:db8:0:1ff::9", simA); !strings.HasPrefix(got, "match") {
		t.Errorf("after the sweep: %s", got)
	}
	w.silent("2001:db8:0:103::7", simB)
	w.fit()
}
