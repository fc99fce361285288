package clock

import "testing"

// What these tests tell of are histories that random ones seldom have. Clocks of
// their nodes show a second about to end when a word is on time, so that the
// offset is known as badly as A4 lets it be, and one just begun when it is late.

// at goes on to the next moment at which the node's clock shows so many ms of a
// second.
func (n *node) at(ms int64) {
	n.now++
	n.now += ((ms-n.now-n.ahead)%second + second) % second
}

// tight lets count words be heard, one every ms, as late as on time may be.
func (n *node) tight(count int, every int64) (lo, hi Bound) {
	for range count {
		n.now += every - 1
		n.at(999)
		lo, hi, _ = n.hear(n.stamped(prompt - 1))
	}
	return lo, hi
}

// late is a word of the next full second, to be heard later.
func (n *node) late() (w Word, happened int64) {
	n.at(0)
	return n.stamped(0), n.now
}

// hears takes a word now and wants it to be after the truth by neither clock.
func (n *node) hears(what string, w Word, happened int64) {
	n.t.Helper()
	w.Arrived = n.now
	lo, hi, _ := n.hear(w)
	if lo.Our > happened || hi.Our < happened {
		n.t.Errorf("%s: lo and hi lie %d and %d ms after it happened", what, lo.Our-happened, hi.Our-happened)
	}
}

func tightNode(t *testing.T) *node {
	n := newNode(t)
	n.tight(20, second)
	return n
}

func TestASecondStepThatHidesInTheFirstIsSeen(t *testing.T) {
	for _, delay := range []int64{0, 3 * second} {
		n := tightNode(t)
		n.ahead -= 100 * second // unseen: all looks late
		n.tight(20, second)
		n.ahead += 150 * second
		w, happened := n.late()
		happened -= delay
		w.Delayed, w.Delay = true, delay
		n.now += 80 * second // looks late by 30
		n.hears("the first word after the second step", w, happened)
		n.hears("the same again", w, happened)
	}
}

func TestALateWordOfAFormerClockCostsItsEightWordsAndNoMore(t *testing.T) {
	n := tightNode(t)
	w, happened := n.late()
	n.ahead -= 400 * second
	n.tight(20, second)
	n.hears("the late word", w, happened)
	for range 7 {
		lo, _ := n.tight(1, second)
		n.wantUnstamped("a word after it", lo, n.now+prompt-1)
	}
	n.tight(10+int(n.limits.MaxDelay/second), second)
	lo, hi := n.tight(1, second)
	n.wantClose("a word after MaxDelay", lo, n.now, 2200)
	if hi.Epoch == 0 {
		t.Error("it has no node time")
	}
}

// between is a node whose clock was set back by ms, which is known, while the
// clock of before may still matter.
func between(t *testing.T, ms int64) *node {
	n := tightNode(t)
	n.ahead -= ms
	n.tight(20+int(n.limits.MaxDelay/second), second)
	if known, ok := n.clock.Offset(); !ok || known > -ms+tolerance {
		t.Fatalf("the offset is taken to be %d", known)
	}
	return n
}

func TestAFormerClockThatCameBackMattersUntilAnotherIsSure(t *testing.T) {
	n := between(t, 200*second)
	n.ahead += 200 * second
	n.tight(1, second)
	n.now += n.limits.MaxDelay + 10*second // silence, but for one word that is late
	w, happened := n.late()
	n.ahead -= 200 * second
	n.tight(8, second)
	n.now += 200 * second
	n.hears("the late word", w, happened)
}

func TestAFormerClockThatCameBackIsKnownAnew(t *testing.T) {
	n := between(t, 3*second)
	n.ahead += 3*second + 900
	n.at(900)
	n.hear(n.stamped(1))
	w, happened := n.late()
	n.ahead -= 3*second + 900
	n.tight(8, 100)
	n.now = happened + 4*second
	n.hears("the late word", w, happened)
}

func TestAClockThatOneWrongStampReplacedMattersUntilAnotherIsSure(t *testing.T) {
	n := tightNode(t)
	n.at(0)
	wrong := n.stamped(0)
	wrong.Stamp -= 400 * second
	n.hear(wrong)
	n.now += n.limits.MaxDelay + 10*second
	w, happened := n.late()
	n.ahead -= 150 * second
	n.tight(8, second)
	n.now += 180 * second
	n.hears("the late word", w, happened)
}

func TestAClockThatRunsAheadBetweenTwoWordsIsAllowedFor(t *testing.T) {
	n := tightNode(t)
	n.now += 20 * minute
	n.ahead += second // by less than a thousandth
	w, happened := n.late()
	n.ahead -= second
	n.tight(30, second)
	n.now = happened + 200*second
	n.hears("the late word", w, happened)
}

func TestAClockThatRanAheadWhileNobodyListenedIsNotTrusted(t *testing.T) {
	for _, wrongBefore := range []bool{false, true} {
		n := tightNode(t)
		wrong := func() {
			n.at(0)
			w := n.stamped(0)
			w.Stamp -= 400 * second
			n.hear(w)
		}
		if wrongBefore {
			wrong()
		}
		n.clock = Restore(n.clock.Keep())
		n.now += 20 * minute
		n.ahead += 4 * second
		w, happened := n.late()
		if !wrongBefore {
			wrong()
		}
		n.ahead -= 150 * second
		n.tight(8, second)
		n.now = happened + 170*second
		n.hears("the late word", w, happened)
	}
}

func TestAClockThatCameBackBeforeACrashIsNotTrustedAfterIt(t *testing.T) {
	n := between(t, 200*second)
	n.ahead += 200 * second
	n.tight(1, second)
	n.clock = Restore(n.clock.Keep())
	n.now += 20 * minute
	n.ahead += 4 * second
	w, happened := n.late()
	n.ahead -= 204 * second
	n.tight(8, second)
	n.now = happened + 250*second
	n.hears("the late word", w, happened)
}

func TestWordsOfTwoClocksInTurnSettleNeither(t *testing.T) {
	n := between(t, 200*second)
	var old []Word
	for range 14 {
		n.at(999)
		old = append(old, n.stamped(0))
	}
	n.ahead += 200 * second
	for i, w := range old {
		if i%7 == 0 {
			n.tight(1, second)
		}
		n.now += 100
		w.Arrived = n.now
		n.hear(w)
		if _, ok := n.clock.Offset(); ok {
			t.Fatalf("the clock is settled by late word %d of another", i)
		}
	}
}

func TestAClockThatHidInAFormerOneMattersWhateverComesBetween(t *testing.T) {
	n := tightNode(t)
	n.ahead -= 260 * second // unseen
	n.tight(9, second)
	w, happened := n.late()
	for _, step := range []int64{260, 250, -550} {
		n.ahead += step * second
		n.tight(8, second)
	}
	n.now = happened + 150*second
	n.hears("the late word", w, happened)
}

func TestAClockThatIsSetToAboutAFormerOneIsKnownAfterEightWords(t *testing.T) {
	n := tightNode(t)
	n.ahead += hour
	n.tight(20, second)
	n.ahead -= hour + 50*second
	n.tight(8, second)
	if known, ok := n.clock.Offset(); !ok || known > -49*second {
		t.Errorf("the offset is taken to be %d (%v)", known, ok)
	}
}

func TestAFormerClockIsNotBackByWordsOfWhichTheLastTellOfAnotherStep(t *testing.T) {
	n := tightNode(t)
	n.ahead -= 600 * second
	n.tight(10, second)
	n.ahead += 550 * second
	n.tight(6, second)
	n.ahead += 55 * second
	for _, late := range []int64{30 * second, 10 * second} {
		w, happened := n.late()
		n.now += late
		n.hears("a late word after the third step", w, happened)
	}
}

func TestAWordThatIsSentAgainAfterAStepIsNotAfterItself(t *testing.T) {
	n := newNode(t)
	n.tight(3, second)
	n.at(999)
	first := n.stamped(0)
	first.Delayed = true
	_, hi, _ := n.hear(first)
	n.ahead += 20 * second
	n.tight(1, 2*second)
	n.now += 3 * second
	again := n.stamped(0)
	again.Delayed, again.Delay = true, 5*second
	if lo, _, _ := n.hear(again); Before(hi, lo) {
		t.Errorf("it happened before %+v and after %+v", hi, lo)
	}
}

func TestAFormerClockMattersForEightWordsMoreHoweverSeldomTheyCome(t *testing.T) {
	n := tightNode(t)
	old, happened := n.late()
	n.ahead -= 200 * second
	n.tight(4, 45*second)
	n.hears("a word that is late by a little less than the step", old, happened)
	n.tight(4, 45*second) // now it looks as if it had shown the offset
	n.tight(2, 200*second)
	n.ahead += 50 * second
	w, happened := n.late()
	n.now += 45 * second
	n.hears("the first word after the second step", w, happened)
}

func TestWordsWithADelayShowNoOffset(t *testing.T) {
	n := tightNode(t)
	known, _ := n.clock.Offset()
	for range n.limits.MaxDelay / second * 2 {
		n.now += second
		w := n.stamped(0)
		w.Stamp -= minute // it was a minute ago
		w.Delayed, w.Delay = true, minute
		n.hear(w)
	}
	if now, ok := n.clock.Offset(); !ok || now != known {
		t.Errorf("the offset was %d and is %d (%v)", known, now, ok)
	}
}

func TestAfterAStepLateWordsDoNotBringTheFormerClockBack(t *testing.T) {
	n := tightNode(t)
	n.ahead += 10 * second
	_, hi := n.tight(20, second)
	for i := range 200 {
		n.at(999)
		if _, now, _ := n.hear(n.stamped(prompt - 1 + int64(i%4)/3*20*second)); now.Epoch != hi.Epoch {
			t.Fatalf("word %d is told in the epoch %d, the clock's is %d", i, now.Epoch, hi.Epoch)
		}
	}
}

func TestAfterAStepOldWordsDoNotUnsettleTheClock(t *testing.T) {
	n := tightNode(t)
	w, _ := n.late()
	n.ahead += hour
	n.tight(20, second)
	w.Arrived = n.now
	n.hear(w)
	if lo, _ := n.tight(1, second); lo.Epoch == 0 {
		t.Errorf("the next word has the lo %+v", lo)
	}
}

func TestLateWordsAmongOthersDoNotMoveTheClock(t *testing.T) {
	n := tightNode(t)
	known, _ := n.clock.Offset()
	for i := range 2000 {
		n.at(999)
		n.hear(n.stamped(prompt - 1 + int64(i%4)/3*20*second))
	}
	for range 30 { // and a burst of them
		n.at(999)
		n.hear(n.stamped(20 * second))
	}
	if now, ok := n.clock.Offset(); !ok || now != known {
		t.Errorf("the offset was %d and is %d (%v)", known, now, ok)
	}
}

func TestALateWordOfBeforeAnUnseenStepIsNoOffset(t *testing.T) {
	n := tightNode(t)
	w, _ := n.late()
	n.ahead -= 200 * second
	n.tight(10, second)
	w.Arrived = n.now
	n.hear(w) // late by 10 s
	n.tight(20+int(n.limits.MaxDelay/second), second)
	if known, ok := n.clock.Offset(); !ok || known > -200*second+tolerance {
		t.Errorf("the offset is taken to be %d (%v)", known, ok)
	}
}

func TestWhenMoreFormerClocksMatterThanAreKeptStampsSayNothing(t *testing.T) {
	n := settled(t, 0)
	for range 12 {
		n.ahead += hour
		n.speaks(8, 500)
	}
	n.ahead -= 6 * hour
	n.speaks(8, 500)
	lo, _ := n.speaks(1, 500)
	n.wantUnstamped("a word while too many former clocks matter", lo, n.now)
	n.now += n.limits.MaxDelay
	lo, _ = n.speaks(9, 500)
	n.wantClose("a word after that", lo, n.now, 2200)
}

func TestTheClocksEpochKeepsItsSlotWhateverLinksThereAre(t *testing.T) {
	n := settled(t, 0)
	_, before := n.speaks(1, second)
	for link := range uint64(40) {
		n.now += second
		n.hear(Word{Arrived: n.now, Link: link + 1})
	}
	lo, hi := n.speaks(1, second)
	if hi.Epoch != before.Epoch || lo.Epoch != before.Epoch || n.clock.SlotSince(hi.Epoch) != 0 {
		t.Errorf("node time was told in %+v, and after forty links in %+v", before, hi)
	}
}
