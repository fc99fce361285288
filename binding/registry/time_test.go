package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
)

// bounds are those of a word of this moment, which teaches the clock and
// changes nothing else.
func (n *gateway) bounds(details ...detail) (lo, hi clock.Bound) {
	ev := n.word(binding.SessionUpdate, "probe", noSIM, "", details)
	var f fact
	if !f.read(&ev, n.w.now.UnixMilli()) || !n.w.nodes.hear(&f) {
		n.w.t.Fatal("the word is refused")
	}
	return f.lo, f.hi
}

// TestTheBoundsOfAMessage: section 1. Whatever the clock shows, a message is of
// no moment that its bounds exclude: they enclose when it was sent or, if it is
// told with a delay, either reading of that.
func TestTheBoundsOfAMessage(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		clock string
		steps []time.Duration // by which it is set, after so many words each
		every int
	}{
		{"a steady clock", nil, 8},
		{"a clock that is set ahead by three seconds", []time.Duration{3 * time.Second}, 12},
		{"a clock that is set back by three seconds", []time.Duration{-3 * time.Second}, 12},
		{"a clock that is set ahead by a day, and back", []time.Duration{day, -day}, 12},
		{"a clock that is set back by an hour, and ahead", []time.Duration{-time.Hour, time.Hour}, 12},
		{"a clock that is set back by less than max_delay", []time.Duration{-4 * time.Minute}, 12},
		{"a clock that is set before it settled", []time.Duration{time.Hour, -2 * time.Hour}, 3},
		{"a clock that is set again and again",
			[]time.Duration{time.Hour, -time.Minute, day, 5 * time.Second, -day, -time.Hour, time.Minute, -day, time.Hour,
				day}, 4},
	} {
		t.Run(tt.clock, func(t *testing.T) {
			w := newTale(t, taleConfig)
			n := w.newNAS("nas")
			for _, step := range append(tt.steps, 0) {
				for i := range tt.every {
					w.now = w.now.Add(5 * time.Second)
					n.enclosed(t, fmt.Sprint(step, " ", i), 0)
					// Late words come as often, and are of the present clock: one of before
					// the step that comes after it is in the clock's own tests.
					if since := time.Duration(i) * 5 * time.Second; i%3 == 2 {
						n.enclosed(t, fmt.Sprint(step, " ", i, " late"), min(since, 14*time.Second))
					}
				}
				n.ahead += step
			}
		})
	}
}

// enclosed has the gateway send a word that arrives late.
func (n *gateway) enclosed(t *testing.T, what string, by time.Duration) {
	t.Helper()
	lo, hi := n.bounds(late(by))
	at, arrived := n.w.now.Add(-by).UnixMilli(), n.w.now.UnixMilli()
	if lo.Our > at {
		t.Errorf("%s: not before %d ms after it was sent", what, lo.Our-at)
	}
	if hi.Our != arrived {
		t.Errorf("%s: it arrived %d ms after its upper bound", what, arrived-hi.Our)
	}
}

func TestTime(t *testing.T) {
	bounds := func(w *tale, what string, lo, hi clock.Bound, from, to time.Duration) {
		w.t.Helper()
		now := w.now.UnixMilli()
		if got := time.Duration(now-lo.Our) * time.Millisecond; got != from {
			w.t.Errorf("%s: not before %v ago, want %v", what, got, from)
		}
		if got := time.Duration(now-hi.Our) * time.Millisecond; got != to {
			w.t.Errorf("%s: not after %v ago, want %v", what, got, to)
		}
	}
	const maxDelay, blind, flight = 5 * time.Minute, 30 * time.Second, 300 * time.Millisecond
	prove(t, []claim{
		{"a late message keeps its arrival as the upper bound", func(w *tale) {
			n := w.nas("nas")
			for _, by := range []time.Duration{0, time.Second, time.Minute, 4 * time.Minute} {
				_, hi := n.bounds(late(by))
				if hi.Our != w.now.UnixMilli() {
					w.t.Errorf("late by %v: %d ms before its arrival", by, w.now.UnixMilli()-hi.Our)
				}
				if hi.Epoch != 0 && hi.Node < n.clock(w.now.Add(-by)).UnixMilli() {
					w.t.Errorf("late by %v: by the node's clock before its stamp", by)
				}
			}
		}},
		{"a message with a delay happened at most that and a second before its arrival, by what it says", func(w *tale) {
			n := w.nas("nas")
			lo, hi := n.bounds(delayed(20 * time.Second))
			if at := w.now.Add(-20 * time.Second).UnixMilli(); lo.Our > at-1000 || lo.Our < at-5000 {
				w.t.Errorf("not before %d ms of its sending", at-lo.Our)
			}
			bounds(w, "a delay of 20 s", lo, hi, time.Duration(w.now.UnixMilli()-lo.Our)*time.Millisecond, 19*time.Second)
		}},
		{"both readings of Acct-Delay-Time are inside", func(w *tale) {
			n := w.nas("nas")
			// The stamp is of the event, and the delay since then (RFC 2869), or of the
			// sending, and the event that much before it: 20 s ago in either case.
			for _, read := range []struct {
				what string
				say  []detail
			}{
				{"the stamp is of the event", []detail{late(20 * time.Second), delayed(20 * time.Second)}},
				{"the stamp is of the sending", []detail{delayed(20 * time.Second)}},
			} {
				lo, hi := n.bounds(read.say...)
				if at := w.now.Add(-20 * time.Second); lo.Our > at.UnixMilli() || hi.Our < at.UnixMilli() {
					w.t.Errorf("%s: %d ms to %d ms ago", read.what, w.now.UnixMilli()-lo.Our, w.now.UnixMilli()-hi.Our)
				} else if hi.Epoch != 0 && hi.Node < n.clock(at).UnixMilli() {
					w.t.Errorf("%s: by the node's clock before it happened", read.what)
				} else if lo.Epoch != 0 && lo.Node > n.clock(at).UnixMilli() {
					w.t.Errorf("%s: by the node's clock after it happened", read.what)
				}
			}
		}},
		{"without a stamp a delay alone tells when", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			lo, hi := n.bounds(delayed(20 * time.Second))
			bounds(w, "a delay of 20 s", lo, hi, 20*time.Second+2100*time.Millisecond, 19*time.Second)
			lo, hi = n.bounds(delayed(0))
			bounds(w, "a delay of zero", lo, hi, 2100*time.Millisecond, 0)
		}},
		{"a node that tells no time is late by blind_delay at most, or by its client's own", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			lo, hi := n.bounds()
			bounds(w, "no time", lo, hi, blind, 0)
			lo, hi = n.bounds(func(_ *gateway, ev *binding.Event) { ev.Blind = 2 * time.Minute })
			bounds(w, "no time, of a slow client", lo, hi, 2*time.Minute, 0)
		}},
		{"a node that could tell the time and does not may be as late as anything", func(w *tale) {
			n := w.nas("nas")
			lo, hi := n.bounds(unstamped)
			bounds(w, "no stamp", lo, hi, maxDelay, 0)
		}},
		{"until its clock settled a stamp says nothing by our clock", func(w *tale) {
			n := w.newNAS("nas")
			for i := range 8 {
				lo, hi := n.bounds()
				if i < 7 {
					bounds(w, fmt.Sprint("word ", i), lo, hi, maxDelay, 0)
				} else if now := w.now.UnixMilli(); lo.Our < now-5000 {
					w.t.Errorf("the eighth is not before %d ms ago", now-lo.Our)
				}
				w.now = w.now.Add(time.Second)
			}
		}},
		{"at first contact the node's own time orders its words", func(w *tale) {
			n := w.newNAS("nas")
			_, hi := n.bounds()
			w.now = w.now.Add(3 * time.Second)
			lo, _ := n.bounds()
			if !clock.Before(hi, lo) {
				w.t.Error("two words 3 s apart are in unknown order")
			}
		}},
		{"words within the resolution of stamps are in unknown order", func(w *tale) {
			n := w.nas("nas")
			_, hi := n.bounds()
			w.now = w.now.Add(900 * time.Millisecond)
			lo, _ := n.bounds()
			if clock.Before(hi, lo) {
				w.t.Error("two words 0.9 s apart are in order")
			}
		}},
		{"the words of a link are in their order, but what is repeated", func(w *tale) {
			n := w.pgw("pgw")
			_, first := n.bounds()
			lo, hi := n.bounds()
			if !clock.Before(first, lo) || hi.Our-lo.Our != flight.Milliseconds() {
				w.t.Errorf("the second is of %d ms to 0 ms before its arrival", hi.Our-lo.Our)
			}
			lo, hi = n.bounds(repeated)
			bounds(w, "a repetition", lo, hi, maxDelay, 0)
			if clock.Before(first, lo) {
				w.t.Error("a repetition is in order")
			}
		}},
		{"the words of two links are in no order but by our clock", func(w *tale) {
			n := w.pgw("pgw")
			_, hi := n.bounds()
			lo, _ := n.as(func(n *gateway) { n.link = 77 }).bounds()
			if clock.Before(hi, lo) {
				w.t.Error("two words of one moment are in order")
			}
		}},
		{"state after a crash gives bounds at least as wide as before", func(w *tale) {
			n := w.nas("nas")
			w.pass(time.Minute)
			w.crash(0)
			kept := w.journal // what both are restored from
			for _, say := range [][]detail{nil, {late(time.Minute)}, {delayed(20 * time.Second)}, {stamped(time.Hour)},
				{unstamped}} {
				before := &tale{rig: w.rig, t: w.t}
				lo, hi := n.as(func(n *gateway) { n.w = before }).bounds(say...)
				after := &tale{rig: &rig{now: w.now, journal: kept}, t: w.t}
				after.boot(w.t, w.cfg)
				loAfter, hiAfter := n.as(func(n *gateway) { n.w = after }).bounds(say...)
				if loAfter.Our > lo.Our || hiAfter.Our < hi.Our || loAfter.Epoch != 0 && loAfter.Epoch == lo.Epoch &&
					loAfter.Node > lo.Node ||
					hiAfter.Epoch != 0 && hiAfter.Epoch == hi.Epoch && hiAfter.Node < hi.Node {
					w.t.Errorf("%v to %v before, %v to %v after", lo, hi, loAfter, hiAfter)
				}
			}
		}},
		{"one bad stamp changes no verdict after eight messages", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("b", simB, ue2, stamped(20*time.Hour))
			for range 8 {
				w.wait(5 * time.Second)
				n.chat()
			}
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			n.update("b", simB, ue2)
			w.holds(ue1, simA)
			w.holds(ue2, simB)
			w.wait(5 * time.Second)
			n.start("c", simC, ue2) // the session with the bad stamp has no more weight
			w.holds(ue2, simC)
			w.wait(5 * time.Second)
			n.restart()
			w.nobody(ue1, "unknown/ended")
			w.nobody(ue2, "unknown/ended")
		}},
		{"a restart that is stamped ahead does not lock its node out", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.restart(stamped(20 * time.Hour))
			for range 8 {
				w.wait(5 * time.Second)
				n.chat()
			}
			w.wait(5 * time.Second)
			n.start("b", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"a clock minutes behind takes nothing from the holder by a repetition", func(w *tale) {
			n := w.newNAS("nas")
			n.ahead = -7 * time.Minute
			n.settle()
			n.start("a", simA, ue1)
			w.pass(30 * time.Second)
			n.start("b", simB, ue1)
			w.holds(ue1, simB)
			w.pass(20 * time.Second)
			n.start("a", simA, ue1, late(50*time.Second))
			w.silent(ue1, simA)
			w.pass(10 * time.Second)
			n.update("b", simB, ue1)
			w.holds(ue1, simB)
		}},
	})
}

// TestAStepRenewsLeasesAndHidesNoStop: a step of a node's clock in either
// direction neither lets a lease run out nor keeps a session alive.
func TestAStepRenewsLeasesAndHidesNoStop(t *testing.T) {
	for _, step := range []time.Duration{
		-24 * time.Hour, -time.Hour, -4 * time.Minute, -3 * time.Second, 3 * time.Second, 4 * time.Minute, time.Hour,
		24 * time.Hour,
	} {
		t.Run(step.String(), func(t *testing.T) {
			w := newTale(t, taleConfig)
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.start("b", simB, ue2)
			w.pass(59 * time.Minute)
			n.ahead += step
			n.update("a", simA, ue1)
			w.pass(5 * time.Minute) // longer than the lease since the start
			w.want(ue1, simA, "match/bound")
			w.want(ue2, simB, "stale/lease")
			w.pass(10 * time.Minute)
			n.update("a", simA, ue1)
			w.pass(59 * time.Minute)
			w.holds(ue1, simA)
			n.ahead -= step
			n.stop("a")
			w.nobody(ue1, "unknown/no-binding")
			w.fit()
		})
	}
}

// TestDoubtAfterAStepEndsWithinTwoWords: a step costs eight messages of the node and, of what
// overlaps it, a word of the session.
func TestDoubtAfterAStepEndsWithinTwoWords(t *testing.T) {
	for _, step := range []time.Duration{-24 * time.Hour, -time.Hour, -3 * time.Second, 3 * time.Second, time.Hour,
		24 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			w := newTale(t, taleConfig)
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(time.Minute)
			n.ahead += step
			n.start("b", simB, ue1) // the address changes hands while nobody knows the clock
			w.silent(ue1, simA)
			w.pass(90 * time.Second)
			n.update("b", simB, ue1)
			w.wait(3 * time.Second)
			n.update("b", simB, ue1)
			w.holds(ue1, simB)
			w.fit()
		})
	}
}
