package diameter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding"
)

const (
	// maxLearning bounds the events that wait for the Registry in relay mode.
	maxLearning = 1 << 16
	// learnPause is how long events are gathered: each handed over by itself would
	// wake the Registry, and make it commit, between two messages that are on
	// their way.
	learnPause = 2 * time.Millisecond
	// learnAgain is how long a Registry that is busy is left alone.
	learnAgain = 5 * time.Millisecond
	// learnLast is how often it is asked again when the server has stopped.
	learnLast = 200
)

// A learner hands events to the Registry in relay mode, where nobody repeats
// what it does not take: they are gathered for a moment, and wait in their
// order. If even that is too much, the nodes whose events were lost count as
// restarted: what is known of them may be over, so that nothing may be said of
// it.
type learner struct {
	submit binding.SubmitFunc
	now    func() time.Time
	lost   atomic.Uint64

	mu      sync.Mutex
	waiting []binding.Event
	handed  int                 // of waiting, that the Registry has taken
	missed  map[NodeName]uint64 // nodes, and the connection that brought the last of what was lost
	wake    chan struct{}
}

func newLearner(submit binding.SubmitFunc, now func() time.Time) *learner {
	return &learner{submit: submit, now: now, missed: map[NodeName]uint64{}, wake: make(chan struct{}, 1)}
}

// tell never blocks and never fails.
func (l *learner) tell(ev binding.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := NodeName{ev.Owner, ev.Node}
	_, missed := l.missed[of]
	switch {
	case len(l.waiting)-l.handed < maxLearning && !missed:
		l.waiting = append(l.waiting, ev)
		if ev.Refused || len(ev.Gone) > 0 || ev.Kind != binding.SessionStart && ev.Kind != binding.SessionUpdate {
			l.hand() // nobody may be matched with what has ended
			break
		}
		signal(l.wake)
	default:
		l.missed[of] = ev.Link
		l.lost.Add(1)
		signal(l.wake)
	}
}

// run hands over what waits until ctx ends. What connections still learn while
// they end is for finish.
func (l *learner) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
			pause(ctx, learnPause)
		}
		for !l.drain() && pause(ctx, learnAgain) {
		}
	}
}

// finish hands over the last that was learned; the Registry stops after us. If
// it takes nothing for a second, that is lost.
func (l *learner) finish() {
	for n := 0; !l.drain() && n < learnLast; n++ {
		pause(context.Background(), learnAgain)
	}
}

// drain reports that nothing waits any more.
func (l *learner) drain() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hand()
}

// hand is drain for who holds the lock. What cannot be handed over is tried
// again.
func (l *learner) hand() bool {
	for l.handed < len(l.waiting) && l.submit(l.waiting[l.handed]) == nil {
		l.waiting[l.handed] = binding.Event{}
		l.handed++
	}
	// Readers of connections wait for the lock: what still waits is moved only
	// when as much in front of it is free.
	if l.handed >= len(l.waiting)-l.handed {
		n := copy(l.waiting, l.waiting[l.handed:])
		clear(l.waiting[n:])
		l.waiting, l.handed = l.waiting[:n], 0
	}
	if len(l.waiting) > 0 {
		signal(l.wake)
		return false
	}
	return l.restart()
}

// restart tells of the nodes of which events were lost.
func (l *learner) restart() bool {
	for of, link := range l.missed {
		ev := binding.Event{
			Kind: binding.NodeRestart, Source: binding.SourceGx, Owner: of.Owner, Node: of.Node, Arrived: l.now(), Link: link,
		}
		if l.submit(ev) != nil {
			signal(l.wake)
			return false
		}
		delete(l.missed, of)
	}
	return true
}
