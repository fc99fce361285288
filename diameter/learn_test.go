package diameter

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/simbind/simbind/binding"
)

// A taker is a Registry with room for so many events.
type taker struct {
	room  int
	taken []string
}

func (r *taker) submit(ev binding.Event) error {
	if r.room == 0 {
		return binding.ErrBusy
	}
	r.room--
	r.taken = append(r.taken, fmt.Sprint(ev.Kind, " ", ev.Session))
	return nil
}

func started(session string) binding.Event {
	return binding.Event{Kind: binding.SessionStart, Source: binding.SourceGx, Node: "pgw1.lab", Session: session}
}

func stopped(session string) binding.Event {
	return binding.Event{Kind: binding.SessionStop, Source: binding.SourceGx, Node: "pgw1.lab", Session: session}
}

func TestStartsAreGatheredForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &taker{room: 10}
		l := newLearner(r.submit, time.Now)
		taken := func() []string { // the learner hands over with its lock held
			l.mu.Lock()
			defer l.mu.Unlock()
			return slices.Clone(r.taken)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.run(ctx)
		l.tell(started("1"))
		l.tell(started("2"))
		synctest.Wait()
		if got := taken(); len(got) > 0 {
			t.Errorf("handed over at once: %q", got)
		}
		time.Sleep(learnPause)
		synctest.Wait()
		want := []string{fmt.Sprint(binding.SessionStart, " 1"), fmt.Sprint(binding.SessionStart, " 2")}
		if got := taken(); !slices.Equal(got, want) {
			t.Errorf("handed over: %q, want %q", got, want)
		}
	})
}

func TestAnEndIsHandedOverAtOnceBehindWhatWaited(t *testing.T) {
	r := &taker{room: 10}
	l := newLearner(r.submit, time.Now)
	l.tell(started("1"))
	l.tell(stopped("1"))
	want := []string{fmt.Sprint(binding.SessionStart, " 1"), fmt.Sprint(binding.SessionStop, " 1")}
	if !slices.Equal(r.taken, want) {
		t.Errorf("handed over: %q, want %q", r.taken, want)
	}
}

// A message on its way waits for the lock under which events are handed over.
func TestWhatIsTakenOfALongQueueDoesNotMoveTheRest(t *testing.T) {
	r := &taker{}
	l := newLearner(r.submit, time.Now)
	for i := range 1000 {
		l.tell(started(fmt.Sprint(i)))
	}
	moved := 0
	for i := range 2000 {
		first := &l.waiting[0]
		before := l.handed
		r.room = 1
		l.tell(stopped(fmt.Sprint(1000 + i)))
		if l.handed <= before || &l.waiting[0] != first {
			moved++
		}
	}
	if moved > 10 {
		t.Errorf("2000 events were taken, and what waited was moved %d times", moved)
	}
	if n := len(l.waiting) - l.handed; n != 1000 {
		t.Errorf("%d events wait, want 1000", n)
	}
	r.room = 1000
	if !l.drain() || len(r.taken) != 3000 {
		t.Fatalf("%d events were handed over", len(r.taken))
	}
	for i, one := range r.taken {
		kind := binding.SessionStart
		if i >= 1000 {
			kind = binding.SessionStop
		}
		if one != fmt.Sprint(kind, " ", i) {
			t.Fatalf("event %d is %q", i, one)
		}
	}
}

// What one owner lost is nothing to another one's node of the same name.
func TestTheRestartOfWhatWasLostIsItsOwners(t *testing.T) {
	var taken []binding.Event
	full := true
	l := newLearner(func(ev binding.Event) error {
		if full {
			return binding.ErrBusy
		}
		taken = append(taken, ev)
		return nil
	}, time.Now)
	for i := range maxLearning + 1 {
		ev := started(fmt.Sprint(i))
		ev.Owner, ev.Node, ev.Link, ev.OriginState = "dra1.lab", "pgw1.lab", 7, 5
		l.tell(ev)
	}
	full = false
	l.drain()
	ev := started("another")
	ev.Owner, ev.Node = "dra2.lab", "pgw1.lab"
	l.tell(ev)
	l.drain()
	restart, last := taken[maxLearning], taken[maxLearning+1]
	if restart.Kind != binding.NodeRestart || restart.Owner != "dra1.lab" || restart.Node != "pgw1.lab" || restart.Link != 7 || restart.OriginState != 0 {
		t.Errorf("%+v", restart)
	}
	if last.Session != "another" || len(taken) != maxLearning+2 {
		t.Errorf("%d events, the last %+v", len(taken), last)
	}
}

func TestANodeOfWhichEventsWereLostHasRestarted(t *testing.T) {
	r := &taker{}
	l := newLearner(r.submit, time.Now)
	for i := range maxLearning + 10 {
		l.tell(started(fmt.Sprint(i)))
	}
	if n := l.lost.Load(); n != 10 {
		t.Errorf("%d events were lost, want 10", n)
	}
	r.room = maxLearning
	if l.drain() {
		t.Error("nothing waits, though the restart was not taken")
	}
	r.room = 1
	if !l.drain() || r.taken[maxLearning] != fmt.Sprint(binding.NodeRestart, " ") {
		t.Errorf("the last that came is %q", r.taken[len(r.taken)-1])
	}
}
