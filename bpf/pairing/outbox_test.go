package pairing

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

func newTestOutbox(room func() bool) (*Outbox[int], *[]string) {
	var told []string
	o := NewOutbox(func(ev binding.Event) { told = append(told, ev.Session) }, room,
		func(s *Session[int], at time.Time) (binding.Event, bool) {
			return binding.Event{Session: fmt.Sprint("end ", s.Data, " ", at.Unix())}, s.Data != 0
		})
	return &o, &told
}

func TestWhatIsToldAfterAnEndWaitsBehindIt(t *testing.T) {
	room := false
	o, told := newTestOutbox(func() bool { return room })
	start := func(n int) { o.Tell(binding.Event{Session: fmt.Sprint("start ", n)}) }
	start(1)
	for n := range 4 {
		o.End(&Session[int]{Data: n}, time.Unix(7, 0)) // of 0 nothing was told
	}
	o.Drain(10)
	start(5)
	if want := []string{"start 1"}; !slices.Equal(*told, want) {
		t.Fatalf("without room: %q, want %q", *told, want)
	}
	room = true
	o.Drain(2)
	start(6)
	if want := []string{"start 1", "end 1 7"}; !slices.Equal(*told, want) {
		t.Fatalf("two of them: %q, want %q", *told, want)
	}
	o.Drain(10)
	start(7)
	want := []string{"start 1", "end 1 7", "end 2 7", "end 3 7", "start 5", "start 6", "start 7"}
	if !slices.Equal(*told, want) || o.Len() != 0 {
		t.Errorf("all: %q, want %q; %d wait", *told, want, o.Len())
	}
}

func TestWhatWaitsBehindEndsIsBounded(t *testing.T) {
	o, told := newTestOutbox(func() bool { return false })
	for n := range 10 {
		o.End(&Session[int]{Data: n + 1}, time.Unix(7, 0))
	}
	for n := range maxBehind + 3 {
		o.Tell(binding.Event{Session: fmt.Sprint(n)})
	}
	if n := len(*told); n != 13 || (*told)[9] != "end 10 7" || (*told)[10] != "0" || o.Len() != maxBehind {
		t.Errorf("%d were handed on, %d wait: %q", n, o.Len(), *told)
	}
}
