package crowdtest

import (
	"container/heap"
	"context"
	"maps"
	"slices"
	"time"
)

// A Kind is what a step does.
type Kind uint8

// The kinds. A Restart is of the node, not of a subscriber.
const (
	Attach Kind = iota
	Refresh
	Detach
	Restart
)

// A Step is what a subscriber does next.
type Step struct {
	Kind       Kind
	At         time.Time
	Since      time.Time // of the session
	Subscriber int
	// Visit counts the sessions of the subscriber before this one.
	Visit int
}

// An agenda is a heap of steps, the soonest first.
type agenda []Step

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].At.Before(a[j].At) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push is for package heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(Step)) }

// Pop is for package heap.
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// A drive is one run of a plan.
type drive struct {
	Plan
	tally    *Tally
	due      agenda
	first    int          // who has not come yet
	attached map[int]bool // who is there
	visits   map[int]int  // of subscribers whose session ended at least once
	ends     int          // steps due that are no refreshes
}

// Drive calls take for the steps as they are due, from the beginning of the
// tally, whose Attached it keeps. It returns when the plan is carried out, when
// ctx ends, which is no error, or when take fails. The defaults are filled in
// before.
func (p Plan) Drive(ctx context.Context, t *Tally, take func(ctx context.Context, s Step) error) error {
	if p.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, t.Began.Add(p.Duration))
		defer cancel()
	}
	d := &drive{Plan: p, tally: t, attached: map[int]bool{}, visits: map[int]int{}}
	if p.Restart > 0 {
		d.plan(Step{Kind: Restart, At: t.Began.Add(p.Restart)})
	}
	for d.goesOn() {
		next := d.next()
		if !until(ctx, next.At) {
			return nil
		}
		switch err := take(ctx, next); {
		case err == nil:
			d.follow(next)
		case ctx.Err() != nil:
			return nil
		default:
			return err
		}
	}
	if p.Duration > 0 {
		<-ctx.Done()
	}
	return nil
}

func (d *drive) plan(s Step) {
	if s.Kind != Refresh {
		d.ends++
	}
	heap.Push(&d.due, s)
}

// goesOn: refreshes keep a run going only for its duration.
func (d *drive) goesOn() bool {
	return d.first < d.Subscribers || d.ends > 0 || d.Duration > 0 && len(d.due) > 0
}

// next takes the step that is due first.
func (d *drive) next() Step {
	at := d.tally.Began.Add(time.Duration(float64(d.first) / d.Rate * float64(time.Second)))
	if d.first < d.Subscribers && (len(d.due) == 0 || !d.due[0].At.Before(at)) {
		d.first++
		return Step{Kind: Attach, At: at, Since: at, Subscriber: d.first - 1}
	}
	s := heap.Pop(&d.due).(Step)
	if s.Kind != Refresh {
		d.ends--
	}
	return s
}

// follow notes what a step that was taken leads to.
func (d *drive) follow(s Step) {
	again := func(kind Kind, after time.Duration) {
		d.plan(Step{Kind: kind, At: s.At.Add(after), Since: s.Since, Subscriber: s.Subscriber, Visit: s.Visit})
	}
	switch s.Kind {
	case Attach:
		d.attached[s.Subscriber] = true
		if d.Hold > 0 {
			again(Detach, d.Hold)
		}
		if d.Refresh > 0 && (d.Hold == 0 || d.Refresh < d.Hold) {
			again(Refresh, d.Refresh)
		}
	case Refresh:
		if d.Hold == 0 || s.At.Add(d.Refresh).Before(s.Since.Add(d.Hold)) {
			again(Refresh, d.Refresh)
		}
	case Detach:
		d.leave(s.Subscriber)
		if d.Duration > 0 {
			d.comeBack(s.Subscriber, s.At.Add(time.Second))
		}
	case Restart:
		d.restart(s.At)
	}
	d.tally.Attached.Store(int64(len(d.attached)))
}

func (d *drive) leave(subscriber int) {
	delete(d.attached, subscriber)
	d.visits[subscriber]++
}

func (d *drive) comeBack(subscriber int, at time.Time) {
	d.plan(Step{Kind: Attach, At: at, Since: at, Subscriber: subscriber, Visit: d.visits[subscriber]})
}

// restart ends all sessions and lets their subscribers attach again at the
// rate of the plan.
func (d *drive) restart(at time.Time) {
	kept := slices.DeleteFunc(d.due, func(s Step) bool { return d.attached[s.Subscriber] })
	d.due, d.ends = nil, 0
	for _, s := range kept {
		d.plan(s)
	}
	for n, subscriber := range slices.Sorted(maps.Keys(d.attached)) {
		d.leave(subscriber)
		d.comeBack(subscriber, at.Add(time.Duration(float64(n)/d.Rate*float64(time.Second))))
	}
}

// until waits for a moment; false: ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
