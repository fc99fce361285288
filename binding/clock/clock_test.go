package clock

import (
	"fmt"
	"math"
	"testing"
)

// start is when the histories of these tests begin, by our clock: on a whole
// second.
const start = int64(1_700_000_000_000)

// A node sends words whose times are exact: its clock is ahead of ours, its
// stamps lose what is below a second, and nothing is on its way for long unless
// that is said.
type node struct {
	t      *testing.T
	clock  Clock
	limits Limits
	now    int64
	ahead  int64
}

func newNode(t *testing.T) *node {
	return &node{t: t, limits: Defaults(), now: start}
}

// stamped is a word of now that arrives late ms later.
func (n *node) stamped(late int64) Word {
	return Word{Arrived: n.now + late, Stamp: (n.now + n.ahead) / second * second, Stamped: true}
}

func (n *node) hear(w Word) (lo, hi Bound, late int64) { return n.clock.Hear(w, &n.limits) }

// speaks lets count words be heard, one every ms, each on time.
func (n *node) speaks(count int, every int64) (lo, hi Bound) {
	for range count {
		n.now += every
		lo, hi, _ = n.hear(n.stamped(0))
	}
	return lo, hi
}

// settled is a node whose clock is known.
func settled(t *testing.T, ahead int64) *node {
	n := newNode(t)
	n.ahead = ahead
	n.speaks(20, second+70)
	if _, ok := n.clock.Offset(); !ok {
		t.Fatal("twenty words on time do not settle a clock")
	}
	return n
}

func (n *node) wantUnstamped(what string, lo Bound, arrived int64) {
	n.t.Helper()
	if lo != (Bound{Our: arrived - n.limits.MaxDelay}) {
		n.t.Errorf("%s: lo is %+v, %d ms before its arrival; want it to say nothing", what, lo, arrived-lo.Our)
	}
}

// wantClose wants a lo that lies by less than within ms before its arrival.
func (n *node) wantClose(what string, lo Bound, arrived, within int64) {
	n.t.Helper()
	if arrived-lo.Our > within {
		n.t.Errorf("%s: lo is %d ms before its arrival, want at most %d", what, arrived-lo.Our, within)
	}
}

func TestALateMessageNeverGetsAHiBeforeItsArrivalLessItsDelay(t *testing.T) {
	n := settled(t, 0)
	for _, late := range []int64{0, 500, 5 * second, minute, 5 * minute, hour, 24 * hour} {
		for _, delay := range []int64{0, second, 40 * second, hour} {
			w := n.stamped(late)
			w.Delayed, w.Delay = true, delay
			c := n.clock
			lo, hi, _ := c.Hear(w, &n.limits)
			if hi.Our < w.Arrived-delay {
				t.Errorf("late by %d, delay %d: hi is %d ms before its arrival", late, delay, w.Arrived-hi.Our)
			}
			if lo.Our > hi.Our {
				t.Errorf("late by %d, delay %d: lo %+v is above hi %+v", late, delay, lo, hi)
			}
		}
	}
}

func TestOneBadStampChangesNoVerdictAfterEightMessages(t *testing.T) {
	for _, wrong := range []int64{
		-24 * hour, -hour, -11 * minute, -4 * minute, -30 * second, -3 * second, -second,
		second, 3 * second, 30 * second, 4 * minute, 11 * minute, hour, 20 * hour,
	} {
		t.Run(fmt.Sprintf("%+d s", wrong/second), func(t *testing.T) {
			n, m := settled(t, 0), settled(t, 0) // m sends no bad stamp
			for _, x := range []*node{n, m} {
				x.now += second
				w := x.stamped(0)
				if x == n {
					w.Stamp += wrong
				}
				lo, hi, _ := x.hear(w)
				if lo.Our > w.Arrived || hi.Our < w.Arrived {
					t.Errorf("the bad stamp itself has the bounds %+v, %+v at %d", lo, hi, w.Arrived)
				}
			}
			n.speaks(8, second)
			m.speaks(8, second)
			since := n.now
			// A clock that really was set ahead, and back again, may still have words
			// on their way; so long lo is earlier, by no more than the step. And what is
			// below the resolution may be true of any clock.
			until := since
			switch {
			case wrong > 0 && wrong < tolerance:
				until = math.MaxInt64
			case wrong > 0 && wrong < 2*n.limits.MaxDelay:
				until += n.limits.MaxDelay + 9*second
			}
			for range 2 * n.limits.MaxDelay / second {
				lo, hi := n.speaks(1, second)
				want, wantHi := m.speaks(1, second)
				wider := n.now <= until && lo.Our <= want.Our && lo.Our >= want.Our-wrong-tolerance && hi.Our == wantHi.Our
				if !wider && (lo != want || hi != wantHi) {
					t.Fatalf("%d ms later the bounds are %+v and %+v, without it %+v and %+v", n.now-since, lo, hi, want, wantHi)
				}
			}
		})
	}
}

func TestAStepInEitherDirectionRenewsLeasesAndNeverHidesAStop(t *testing.T) {
	for _, step := range []int64{-24 * hour, -hour, -4 * minute, -3 * second, 3 * second, 4 * minute, hour, 24 * hour} {
		n := settled(t, 0)
		lived, _ := n.speaks(1, second)
		n.ahead += step
		for i := range 1000 {
			n.now += second
			w := n.stamped(0)
			lo, hi, late := n.hear(w)
			switch {
			case late > n.limits.MaxDelay:
				t.Fatalf("step %d: word %d renews a lease from %d ms before its arrival", step, i, late)
			case hi.Our != w.Arrived || Before(hi, lived):
				t.Fatalf("step %d: the Stop %d at %d has the hi %+v, a word before it the lo %+v", step, i, w.Arrived, hi, lived)
			case lo.Our < w.Arrived-n.limits.MaxDelay:
				t.Fatalf("step %d: word %d lives not before %d ms ago", step, i, w.Arrived-lo.Our)
			}
			lived = Later(lived, lo)
		}
	}
}

func TestAfterOneStepStampsCountAgainFromTheEighthMessage(t *testing.T) {
	for _, step := range []int64{-24 * hour, -hour, -11 * minute, 3 * second, 4 * minute, hour, 24 * hour} {
		n := settled(t, 0)
		n.ahead += step
		for range 7 {
			lo, _ := n.speaks(1, second+70)
			n.wantUnstamped(fmt.Sprintf("a word after the step by %d", step), lo, n.now)
		}
		lo, hi := n.speaks(1, second+70)
		n.wantClose(fmt.Sprintf("the eighth word after the step by %d", step), lo, n.now, 2200)
		if lo.Epoch == 0 || lo.Epoch != hi.Epoch {
			t.Errorf("the eighth word after the step by %d has no node time: %+v, %+v", step, lo, hi)
		}
	}
}

func TestASmallStepBackCostsItsSizeUntilItIsSure(t *testing.T) {
	n := settled(t, 0)
	n.ahead -= 40 * second
	from := n.now
	for n.now < from+3*n.limits.MaxDelay {
		lo, _ := n.speaks(1, second)
		cost := n.now - lo.Our
		switch {
		case cost > 43*second:
			t.Fatalf("%d s after it lo is %d ms before the arrival", (n.now-from)/second, cost)
		case n.now < from+2*n.limits.MaxDelay && cost < 39*second:
			t.Fatalf("%d s after it a word that looks late is taken to be on time", (n.now-from)/second)
		case n.now > from+2*n.limits.MaxDelay+30*second && cost > 2200:
			t.Fatalf("%d s after it lo is still %d ms before the arrival", (n.now-from)/second, cost)
		}
	}
}

func TestBothReadingsOfAcctDelayTimeAreInside(t *testing.T) {
	l := Defaults()
	nodes := []*node{settled(t, 0), settled(t, hour), tightNode(t), newNode(t)}
	for _, gone := range []int64{1000, 1999, 2001, 60_499, 120_000, 290_000} {
		for _, delay := range []int64{gone / second * second, (gone + second - 1) / second * second} {
			for _, phase := range []int64{1, 900} {
				for _, atSend := range []int64{0, 1} {
					for _, n := range nodes {
						c := n.clock
						happened := start + 30*second + phase
						stamp := happened + gone*atSend + n.ahead
						w := Word{
							Arrived: happened + gone + 20,
							Stamp:   stamp / second * second, Stamped: true,
							Delay: delay, Delayed: true,
						}
						lo, hi, _ := c.Hear(w, &l)
						if lo.Our > happened || hi.Our < happened {
							t.Errorf("resent after %d ms with the delay %d, stamped then: %d: bounds %d and %d about it",
								gone, delay, atSend, lo.Our-happened, hi.Our-happened)
						}
					}
				}
			}
		}
	}
}

func TestStateAfterACrashGivesBoundsAtLeastAsWideAsBefore(t *testing.T) {
	for seed := range uint64(400) {
		p := newPlan(kinds[seed%uint64(len(kinds))], seed)
		p.restarts = 0
		h := newHistory(p)
		var c Clock
		for i := range h.words {
			if i%7 == 0 {
				crashed := Restore(c.Keep())
				before := c
				for k, m := range h.words[i:min(i+7, len(h.words))] {
					lo, hi, _ := before.Hear(m.Word, &h.limits)
					lo2, hi2, _ := crashed.Hear(m.Word, &h.limits)
					if lo2.Our > lo.Our || hi2.Our < hi.Our || lo2.Epoch != 0 || hi2.Epoch != 0 {
						t.Fatalf("%s seed %d: word %d after a crash at %d has the bounds %+v, %+v, without it %+v, %+v",
							p.kind, seed, k, i, lo2, hi2, lo, hi)
					}
				}
			}
			c.Hear(h.words[i].Word, &h.limits)
		}
	}
}

func TestARestoredNodeIsNotAtFirstContact(t *testing.T) {
	n := settled(t, 0)
	n.clock = Restore(n.clock.Keep())
	if n.clock.Changed() {
		t.Error("what was restored differs from what was kept")
	}
	for range 7 {
		lo, hi := n.speaks(1, second+70)
		n.wantUnstamped("a word after a restart of ours", lo, n.now)
		if hi.Epoch != 0 {
			t.Errorf("its hi has the node time %+v", hi)
		}
	}
	lo, hi := n.speaks(1, second+70)
	n.wantClose("the eighth word", lo, n.now, 2200)
	if hi.Epoch != 1 {
		t.Errorf("the eighth word is told in the epoch %d, want that of before", hi.Epoch)
	}
	fresh := newNode(t)
	fresh.clock = Restore(State{})
	if lo, hi := fresh.speaks(1, second); lo.Epoch != 0 || hi.Epoch != 0 {
		t.Errorf("the first word of a node that was restored without stamps has the node times %+v, %+v", lo, hi)
	}
}

func TestAtFirstContactTheNodeOrdersItsOwnWordsOnly(t *testing.T) {
	n := newNode(t)
	n.ahead = 7 * hour
	_, last, _ := n.hear(n.stamped(20 * second)) // the first is late
	n.now += 20 * second
	for i := range 7 {
		n.now += 3 * second
		lo, hi, _ := n.hear(n.stamped(0))
		if lo.Our != n.now-n.limits.MaxDelay {
			t.Errorf("word %d says by our clock %+v", i, lo)
		}
		if !Before(last, lo) || Before(hi, last) {
			t.Errorf("word %d: %+v is not after %+v", i, lo, last)
		}
		last = hi
	}
	// Two words that come together, the second from before the first.
	a := n.stamped(20 * second)
	n.now -= 10 * second
	b := n.stamped(30 * second)
	lo, _, _ := n.hear(a)
	_, hi, _ := n.hear(b)
	if hi.Epoch != 1 || Before(hi, lo) {
		t.Errorf("a word that came late is taken to be early, which nobody knows: %+v, %+v", hi, lo)
	}
}
