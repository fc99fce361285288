package diameter

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

func TestOrderOfRequests(t *testing.T) {
	base := time.UnixMilli(1767323045123)
	type step struct {
		session string
		kind    binding.Kind
		number  uint32
		state   uint32
		at      time.Duration
		want    time.Duration // the event's time
	}
	const (
		first  = binding.SessionStart
		update = binding.SessionUpdate
		last   = binding.SessionStop
	)
	for _, c := range []struct {
		claim string
		steps []step
	}{
		{"requests in order have their own time", []step{{"a", first, 0, 0, 0, 0}, {"a", update, 1, 0, time.Second, time.Second}, {"a", last, 2, 0, 2 * time.Second, 2 * time.Second}}},
		{"a repetition has the time of the first", []step{{"a", first, 0, 0, 0, 0}, {"a", first, 0, 0, 9 * time.Second, 0}}},
		{"a late repetition stays before the termination", []step{{"a", last, 1, 0, 5 * time.Second, 5 * time.Second}, {"a", first, 0, 0, 9 * time.Second, 5*time.Second - time.Millisecond}}},
		{"a late update stays before the later one", []step{{"a", update, 3, 0, 5 * time.Second, 5 * time.Second}, {"a", update, 2, 0, 9 * time.Second, 5*time.Second - time.Millisecond}}},
		{"sessions do not mix", []step{{"a", last, 1, 0, 0, 0}, {"b", first, 0, 0, time.Second, time.Second}}},
		{"after a restart a session id may come again", []step{{"a", last, 1, 7, 0, 0}, {"a", first, 0, 8, time.Second, time.Second}}},
		{"numbers that never change still have an order", []step{{"a", first, 0, 0, 0, 0}, {"a", last, 0, 0, time.Second, time.Second}, {"a", first, 0, 0, 2 * time.Second, time.Second - time.Millisecond}}},
		{"after four minutes nothing is a repetition any more", []step{{"a", last, 1, 0, 0, 0}, {"a", first, 0, 0, 5 * time.Minute, 5 * time.Minute}}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			o := newOrder()
			for i, s := range c.steps {
				r := Request{Numbered: true, Number: s.number, Event: binding.Event{Kind: s.kind, Node: "pgw1.lab", Session: s.session, Time: base.Add(s.at), Arrived: base.Add(s.at)}}
				o.put(&r, s.state)
				if got := r.Event.Time.Sub(base); got != s.want {
					t.Errorf("step %d: time %v, want %v", i, got, s.want)
				}
			}
		})
	}
}

func TestOrderRemembersManySessions(t *testing.T) {
	o, now := newOrder(), time.Now()
	put := func(i int, kind binding.Kind, at time.Time) time.Time {
		r := Request{Numbered: true, Number: uint32(kind), Event: binding.Event{Kind: kind, Node: "pgw1.lab", Session: fmt.Sprint(i), Time: at, Arrived: at}}
		o.put(&r, 0)
		return r.Event.Time
	}
	const n = 100000
	for i := range n {
		put(i, binding.SessionStop, now.Add(time.Duration(i)*time.Microsecond))
	}
	kept := 0
	for i := range n {
		if put(i, binding.SessionStart, now.Add(time.Second)).Before(now.Add(time.Second)) {
			kept++
		}
	}
	if kept < n*9/10 {
		t.Errorf("of %d sessions %d were remembered", n, kept)
	}
}
