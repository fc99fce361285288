package pairing

import (
	"time"

	"github.com/simbind/simbind/binding"
)

// maxBehind bounds the events that wait behind ends.
const maxBehind = 1 << 16

// An Outbox hands events on in the order in which they happened. A restart may
// end very many sessions at once, more than there is room for: their ends wait,
// and whatever is told after them waits behind them. An end that came after the
// beginning of the next session on the same address would end it, as far as
// anybody can see. It is owned by one goroutine.
type Outbox[T any] struct {
	emit   func(binding.Event)
	room   func() bool
	stop   func(s *Session[T], at time.Time) (ev binding.Event, ok bool)
	queue  []parcel[T]
	taken  int // of the queue
	events int // of the queue, that are no ends
}

// A parcel is the end of a session, of which the event is made when its turn
// comes, or an event.
type parcel[T any] struct {
	ended *Session[T]
	at    time.Time
	event *binding.Event
}

// NewOutbox makes an Outbox that hands events to emit. room, if it is not nil,
// says whether ends that wait can be handed on. stop makes the event of an end;
// not ok: there is nothing to tell.
func NewOutbox[T any](
	emit func(binding.Event), room func() bool, stop func(*Session[T], time.Time) (binding.Event, bool),
) Outbox[T] {
	if room == nil {
		room = func() bool { return true }
	}
	return Outbox[T]{emit: emit, room: room, stop: stop}
}

// Tell hands an event on, behind what waits.
func (o *Outbox[T]) Tell(ev binding.Event) {
	if o.Len() == 0 {
		o.emit(ev)
		return
	}
	o.queue = append(o.queue, parcel[T]{event: &ev})
	for o.events++; o.events > maxBehind; { // whoever takes it counts what it loses
		o.next()
	}
}

// End has the end of a session told, which happened at that time; Drain does it.
func (o *Outbox[T]) End(s *Session[T], at time.Time) {
	o.queue = append(o.queue, parcel[T]{ended: s, at: at})
}

// Drain hands on what waits, at most most of it, while there is room.
func (o *Outbox[T]) Drain(most int) {
	for range most {
		if o.Len() == 0 || !o.room() {
			return
		}
		o.next()
	}
}

// Len is how much waits.
func (o *Outbox[T]) Len() int { return len(o.queue) - o.taken }

func (o *Outbox[T]) next() {
	p := o.queue[o.taken]
	o.queue[o.taken] = parcel[T]{}
	switch o.taken++; {
	case o.taken == len(o.queue):
		o.queue, o.taken = nil, 0
	case o.taken >= len(o.queue)-o.taken: // what is moved is less than what was taken
		n := copy(o.queue, o.queue[o.taken:])
		clear(o.queue[n:])
		o.queue, o.taken = o.queue[:n], 0
	}
	if p.event != nil {
		o.events--
		o.emit(*p.event)
	} else if ev, ok := o.stop(p.ended, p.at); ok {
		o.emit(ev)
	}
}
