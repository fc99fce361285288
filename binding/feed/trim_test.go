package feed

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/simbind/simbind/binding"
)

func TestTrimmerHoldsWhatIsTooFresh(t *testing.T) {
	start := testTime
	tr := trimmer{hold: 10 * time.Second}
	tr.stored(5, start)
	tr.stored(9, start.Add(4*time.Second))
	steps := []struct {
		after time.Duration
		upto  uint64
		next  time.Duration
	}{
		{0, 0, 10 * time.Second},
		{9 * time.Second, 0, time.Second},
		{10 * time.Second, 5, 4 * time.Second},
		{13500 * time.Millisecond, 0, time.Second}, // not more often than trimStep
		{14 * time.Second, 9, 0},
		{20 * time.Second, 0, 0},
	}
	for _, s := range steps {
		upto, next := tr.due(start.Add(s.after))
		if upto != s.upto || next != s.next {
			t.Errorf("after %v: %d, %v; want %d, %v", s.after, upto, next, s.upto, s.next)
		}
	}
}

func TestTrimmerStaysSmall(t *testing.T) {
	tr := trimmer{hold: 10 * time.Second}
	now := testTime
	var trimmed uint64
	for seq := uint64(1); seq <= 100000; seq++ { // 1 ms apart
		now = now.Add(time.Millisecond)
		tr.stored(seq, now)
		if upto, _ := tr.due(now); upto > 0 {
			if held := now.Sub(testTime.Add(time.Duration(upto) * time.Millisecond)); held < tr.hold || held > tr.hold+2*trimStep {
				t.Fatalf("%d was held for %v", upto, held)
			}
			trimmed = upto
		}
	}
	if len(tr.marks) > 13 || trimmed < 85000 {
		t.Errorf("%d marks, trimmed up to %d", len(tr.marks), trimmed)
	}
}

// A fakeSender stores in memory what it is given.
type fakeSender struct {
	stored uint64
	err    error
}

func (s *fakeSender) store(_ context.Context, _ string, expect uint64, rows []binding.Change) (uint64, error) {
	if s.err != nil {
		return 0, s.err
	}
	s.stored = rows[len(rows)-1].Seq
	return expect + uint64(len(rows)), nil
}

func (s *fakeSender) close() {}

func TestTheOutboxKeepsAChangeForTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outbox := newFakeOutbox()
		p, done := drainTo(t, outbox, &fakeSender{}, 30*time.Second)
		outbox.fill(1, 5)
		time.Sleep(20 * time.Second)
		outbox.fill(6, 9)
		time.Sleep(10*time.Second - time.Millisecond)
		if outbox.size() != 9 {
			t.Errorf("%d changes are left, want all 9 within the hold", outbox.size())
		}
		time.Sleep(2 * time.Millisecond)
		if outbox.size() != 4 {
			t.Errorf("%d changes are left, want 6 to 9", outbox.size())
		}
		time.Sleep(20 * time.Second)
		if outbox.size() != 0 {
			t.Errorf("%d changes are left in the end", outbox.size())
		}
		done()
		if p.pos.after != 9 {
			t.Errorf("at change %d", p.pos.after)
		}
	})
}

func TestNothingIsTrimmedWithoutAnAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outbox := newFakeOutbox()
		outbox.fill(1, 5)
		p := newTestPublisher(outbox, &fakeSender{err: errNoAnswer}, time.Second)
		if err := p.drain(t.Context()); !errors.Is(err, errNoAnswer) {
			t.Errorf("drain: %v", err)
		}
		if outbox.size() != 5 || p.pos.after != 0 {
			t.Errorf("%d changes are left, position %d", outbox.size(), p.pos.after)
		}
	})
}

func newTestPublisher(outbox Outbox, s sender, hold time.Duration) *publisher {
	return &publisher{
		cfg: Config{Site: "lab"}, outbox: outbox, log: testDiscard, state: &health{},
		send: s, pos: position{incarnation: "abc"}, trim: trimmer{hold: hold},
	}
}

// drainTo drains in the background until done is called.
func drainTo(t *testing.T, outbox Outbox, s sender, hold time.Duration) (p *publisher, done func()) {
	ctx, cancel := context.WithCancel(t.Context())
	p = newTestPublisher(outbox, s, hold)
	ended := make(chan error, 1)
	go func() { ended <- p.drain(ctx) }()
	return p, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("drain: %v", err)
		}
	}
}
