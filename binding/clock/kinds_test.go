package clock

import (
	"encoding/binary"
	"testing"
	"unsafe"
)

func TestWhatAMessageBringsDecidesItsBounds(t *testing.T) {
	l := Defaults()
	const at = start
	stampedOnce := []Word{{Arrived: at - 1, Stamped: true}}
	for _, x := range []struct {
		claim  string
		before []Word
		word   Word
		lo, hi int64 // before the arrival
	}{
		{claim: "neither stamp nor delay: it may be as late as a blind node's", word: Word{}, lo: l.Blind},
		{claim: "the client's own limit for blind nodes counts", word: Word{Blind: 90 * second}, lo: 90 * second},
		{
			claim: "a delay is true to a second, and what carries it is not late",
			word:  Word{Delayed: true, Delay: 7 * second}, lo: 9100, hi: 6 * second,
		},
		{claim: "the delay zero says something too", word: Word{Delayed: true}, lo: 2100},
		{claim: "a delay that is not said is none", word: Word{Delay: 7 * second}, lo: l.Blind},
		{claim: "a first stamp says nothing", word: Word{Stamp: at, Stamped: true}, lo: l.MaxDelay},
		{
			claim:  "a node that stamps is not believed to be quick where it does not",
			before: stampedOnce, word: Word{}, lo: l.MaxDelay,
		},
		{claim: "nor if it tells only a delay", before: stampedOnce, word: Word{Delayed: true}, lo: l.MaxDelay},
		{
			claim: "what says itself that it is older than anything may be is still older",
			word:  Word{Stamped: true, Delayed: true, Delay: hour}, lo: hour + l.MaxDelay, hi: hour - second,
		},
		{claim: "an ordered link is quick", word: Word{Link: 3}, lo: l.Flight},
		{claim: "unless it says that it repeats", word: Word{Link: 3, Repeated: true}, lo: l.MaxDelay},
		{
			claim: "or that it was sent before",
			word:  Word{Link: 3, Delayed: true, Delay: 7 * second}, lo: 8300, hi: 6 * second,
		},
		{claim: "a stamp on a link is not read", word: Word{Link: 3, Stamped: true, Stamp: at - hour}, lo: l.Flight},
	} {
		var c Clock
		for _, w := range x.before {
			c.Hear(w, &l)
		}
		x.word.Arrived = at
		lo, hi, late := c.Hear(x.word, &l)
		if lo.Our != at-x.lo || hi.Our != at-x.hi {
			t.Errorf("%s: lo and hi are %d and %d ms before its arrival, want %d and %d",
				x.claim, at-lo.Our, at-hi.Our, x.lo, x.hi)
		}
		if want := max(x.word.Delay, 0); x.word.Delayed && late != want || !x.word.Delayed && late != 0 {
			t.Errorf("%s: late by %d", x.claim, late)
		}
	}
}

func TestALinkOrdersItsWordsEvenWithinOneMillisecond(t *testing.T) {
	l := Defaults()
	var c Clock
	var last Bound
	for i := range 1000 {
		lo, hi, _ := c.Hear(Word{Arrived: start + int64(i/100), Link: 9}, &l)
		if lo.Node != hi.Node || lo.Epoch != hi.Epoch {
			t.Fatalf("word %d has the node times %+v and %+v", i, lo, hi)
		}
		if i > 0 && (!Before(last, lo) || Before(hi, last)) {
			t.Fatalf("word %d: %+v is not after %+v", i, lo, last)
		}
		if p := Unpack(lo.Pack()); p != lo {
			t.Fatalf("word %d: %+v is packed to %+v", i, lo, p)
		}
		last = hi
	}
	lo, hi, _ := c.Hear(Word{Arrived: start + second, Link: 9, Repeated: true}, &l)
	if lo.Epoch != 0 || !Before(last, Bound{Our: start, Node: hi.Node, Epoch: hi.Epoch}) {
		t.Errorf("a repetition has the bounds %+v and %+v", lo, hi)
	}
}

func TestLinksOfOneNodeAreAliveTogether(t *testing.T) {
	l := Defaults()
	var c Clock
	epochs := map[uint8]bool{}
	for i := range 100 {
		for link := range uint64(5) {
			_, hi, _ := c.Hear(Word{Arrived: start + int64(i), Link: link + 1}, &l)
			epochs[hi.Epoch] = true
			if since := c.SlotSince(hi.Epoch); since != 0 {
				t.Fatalf("link %d has lost its slot at %d", link, since)
			}
		}
	}
	if len(epochs) != 5 {
		t.Errorf("five links are told in %d epochs", len(epochs))
	}
}

func TestTheLeastRecentlyUsedSlotIsUsedAgainAndForgetsWhatWasToldInIt(t *testing.T) {
	l := Defaults()
	var c Clock
	var old [slots + 2]Bound
	now := start
	for link := range uint64(slots) {
		now += second
		_, old[link], _ = c.Hear(Word{Arrived: now, Link: link + 1}, &l)
	}
	now += second
	c.Hear(Word{Arrived: now, Link: 1}, &l) // so the second link is the oldest
	now += second
	_, hi, _ := c.Hear(Word{Arrived: now, Link: 99}, &l)
	if hi.Epoch != old[1].Epoch {
		t.Fatalf("a new link took the slot %d, want %d", hi.Epoch, old[1].Epoch)
	}
	since := c.SlotSince(hi.Epoch)
	if got := old[1].Since(since); got.Epoch != 0 || got.Our != old[1].Our {
		t.Errorf("what was told in the slot before is still %+v", got)
	}
	if hi.Since(since) != hi {
		t.Errorf("what is told in the slot now, %+v, is lost, since %d", hi, since)
	}
	if c.SlotSince(old[0].Epoch) != 0 || c.SlotSince(0) != 0 || c.SlotSince(200) != 0 {
		t.Error("other slots have a new meaning")
	}
}

func TestALinkOfBeforeACrashIsNotThatLinkAnyMore(t *testing.T) {
	l := Defaults()
	var c Clock
	now := start
	var told []Bound
	for link := range uint64(slots) {
		now += second
		_, hi, _ := c.Hear(Word{Arrived: now, Link: link + 1}, &l)
		told = append(told, hi)
	}
	c = Restore(c.Keep())
	now += second
	_, hi, _ := c.Hear(Word{Arrived: now, Link: 1}, &l)
	for _, b := range told {
		if b = b.Since(c.SlotSince(b.Epoch)); b.Epoch == hi.Epoch {
			t.Errorf("%+v is told in the epoch of the new link", b)
		}
	}
	if hi.Since(c.SlotSince(hi.Epoch)) != hi {
		t.Errorf("the first word of the new link has lost its node time, %+v", hi)
	}
}

func TestOnlyANodeThatToldNoTimeSaysSo(t *testing.T) {
	l := Defaults()
	for _, w := range []Word{{Stamped: true}, {Delayed: true}, {Link: 1}} {
		var c Clock
		w.Arrived = start
		c.Hear(Word{Arrived: start}, &l)
		if !c.TellsNoTime() {
			t.Error("a node that told nothing tells time")
		}
		c.Hear(w, &l)
		c = Restore(c.Keep())
		c.Hear(Word{Arrived: start + 1}, &l)
		if c.TellsNoTime() {
			t.Errorf("after %+v the node tells no time", w)
		}
	}
}

func TestOffsetIsHowFarTheNodeIsAhead(t *testing.T) {
	for _, ahead := range []int64{-24 * hour, -2500, 0, 90 * second} {
		ms, ok := settled(t, ahead).clock.Offset()
		if !ok || ms > ahead || ms < ahead-tolerance {
			t.Errorf("a clock ahead by %d is known to be ahead by %d (%v)", ahead, ms, ok)
		}
	}
	if _, ok := new(Clock).Offset(); ok {
		t.Error("a clock that was never heard is known")
	}
}

func TestOnASteadyClockLoIsCloseToTheArrival(t *testing.T) {
	for _, every := range []int64{40, 700, second, 2300, 3000} {
		n := settled(t, -5*hour)
		n.speaks(100, every)
		for i := range int64(200) {
			n.now += every
			w := n.stamped(i % 7 * i % 100)
			lo, _, late := n.hear(w)
			if w.Arrived-lo.Our > late+1200 {
				t.Fatalf("every %d ms, late by %d: lo is %d ms before its arrival", every, late, w.Arrived-lo.Our)
			}
		}
	}
}

func TestAMillionNodesFitIntoAGigabyte(t *testing.T) {
	if size := unsafe.Sizeof(Clock{}); size > 1000 {
		t.Errorf("a Clock has %d bytes", size)
	}
	if binary.Size(State{}) < 0 {
		t.Error("a State is of no fixed size")
	}
}

func TestHearDoesNotAllocate(t *testing.T) {
	n := settled(t, 0)
	if a := testing.AllocsPerRun(1000, func() { n.speaks(1, second) }); a != 0 {
		t.Errorf("%v allocations a word", a)
	}
}

// FuzzHear: whatever the words say, a lo is not above its hi and nothing panics.
// Six bytes are a word: how it is told, then arrival, stamp and delay.
func FuzzHear(f *testing.F) {
	f.Add([]byte("\x01abcde\x01abcdf\x03abcde\x05xyz00\x08\x00\x00\x00\x00\x00\x10abcde"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := Defaults()
		var c Clock
		now := start
		for ; len(b) >= 6; b = b[6:] {
			now += int64(b[1]) << (b[0] >> 5)
			lo, hi, late := c.Hear(Word{
				Arrived: now - int64(b[1]&3),
				Stamped: b[0]&1 != 0, Stamp: (now/second + int64(int8(b[2]))<<(b[3]&31)) * second,
				Delayed: b[0]&2 != 0, Delay: int64(b[4]) << (b[5] & 15) * second,
				Link: uint64(b[0]&4) * uint64(b[3]), Repeated: b[0]&8 != 0,
			}, &l)
			if lo.Our > hi.Our || late < 0 || lo.Epoch > slots || hi.Epoch > slots {
				t.Fatalf("bounds %+v, %+v, late by %d", lo, hi, late)
			}
			if lo.Epoch != 0 && lo.Epoch == hi.Epoch && lo.Node > hi.Node {
				t.Fatalf("bounds %+v, %+v", lo, hi)
			}
			if b[0]&16 != 0 {
				c = Restore(c.Keep())
			}
		}
	})
}

func BenchmarkHear(b *testing.B) {
	l := Defaults()
	for _, x := range []struct {
		name string
		word func(i int64) Word
	}{
		{"steady", func(i int64) Word {
			return Word{Arrived: start + 50*i + i%90, Stamp: (start + 50*i) / second * second, Stamped: true}
		}},
		{"stepping", func(i int64) Word {
			return Word{Arrived: start + 50*i + i%90, Stamp: (start + 50*i + i/200%5*hour) / second * second, Stamped: true}
		}},
		{"link", func(i int64) Word { return Word{Arrived: start + 50*i, Link: uint64(i%4) + 1} }},
		{"blind", func(i int64) Word { return Word{Arrived: start + 50*i} }},
	} {
		b.Run(x.name, func(b *testing.B) {
			var c Clock
			b.ReportAllocs()
			for i := range b.N {
				c.Hear(x.word(int64(i)), &l)
			}
		})
	}
}

func TestALinksWordThatWaitedForItsAnswerIsNotTheLatest(t *testing.T) {
	l := Defaults()
	var c Clock
	hear := func(arrived int64) (lo, hi Bound) {
		lo, hi, _ = c.Hear(Word{Arrived: arrived, Link: 1}, &l)
		return lo, hi
	}
	firstLo, firstHi := hear(start)
	stopLo, stopHi := hear(start + 200)
	lateLo, lateHi := hear(start + 100) // it came before, and its answer after
	nextLo, _ := hear(start + 201)
	for _, x := range []struct {
		claim  string
		before bool
		want   bool
	}{
		{"it is later than what had come before it", Before(firstHi, lateLo), true},
		{"it is not known to be later than what came since", Before(stopHi, lateLo), false},
		{"nor earlier", Before(lateHi, stopLo), false},
		{"what comes next is later", Before(lateHi, nextLo), true},
		{"and nothing is earlier than what it follows", Before(stopHi, firstLo), false},
	} {
		if x.before != x.want {
			t.Errorf("%s: %t", x.claim, x.before)
		}
	}
}
