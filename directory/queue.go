package directory

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/simbind/simbind/binding"
)

// maxChecks is how many questions wait for SIMs that have a number. The sweep
// asks for these again, so that more would be of no use.
const maxChecks = 1024

// A question is for one SIM. Check: it has a number, which may be right. Void: it
// has one that is not, or may not be.
type question struct {
	imsi        binding.IMSI
	check, void bool
	from        place
}

// A place is where questions for a SIM are, as bits.
type place uint8

const (
	inFirst place = 1 << iota
	inChecks
	underWay
)

// A queue has the questions that wait: first those for SIMs that have no number or
// one that is void, then checks. For a SIM one of each waits.
type queue struct {
	first, checks chan question
	dropped       atomic.Uint64 // of the first

	mu    sync.Mutex
	where map[binding.IMSI]place
}

func newQueue(limit int) *queue {
	return &queue{first: make(chan question, limit), checks: make(chan question, min(limit, maxChecks)), where: map[binding.IMSI]place{}}
}

// put adds a question, unless one waits that serves as well, or there is no room.
// One under way serves too, but not if what it finds may be void.
func (q *queue) put(one question) {
	served, lane := inFirst|underWay, q.first
	one.from = inFirst
	switch {
	case one.void:
		served = inFirst
	case one.check:
		served, one.from, lane = inFirst|inChecks|underWay, inChecks, q.checks
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.where[one.imsi]&served != 0 {
		return
	}
	select {
	case lane <- one:
		q.where[one.imsi] |= one.from
	default:
		if !one.check {
			q.dropped.Add(1)
		}
	}
}

// wait adds a check when there is room, or gives up when ctx ends.
func (q *queue) wait(ctx context.Context, one question) {
	select {
	case q.checks <- one:
	case <-ctx.Done():
	}
}

// next waits for a question. Not ok: ctx ended.
func (q *queue) next(ctx context.Context) (one question, ok bool) {
	select {
	case one = <-q.first:
	default:
		select {
		case one = <-q.first:
		case one = <-q.checks:
		case <-ctx.Done():
			return one, false
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.where[one.imsi] = q.where[one.imsi]&^one.from | underWay
	return one, ctx.Err() == nil
}

// done tells that the question was answered.
func (q *queue) done(one question) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.where[one.imsi] &^= underWay; q.where[one.imsi] == 0 {
		delete(q.where, one.imsi)
	}
}

func (q *queue) waiting() int { return len(q.first) + len(q.checks) }

// maxVoids bounds how many SIMs are remembered whose number is void and about
// which nobody has answered since.
const maxVoids = 65536

// voids are those.
type voids struct {
	mu  sync.Mutex
	all map[binding.IMSI]struct{}
}

func (v *voids) add(imsi binding.IMSI) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil {
		v.all = map[binding.IMSI]struct{}{}
	}
	if len(v.all) < maxVoids {
		v.all[imsi] = struct{}{}
	}
}

func (v *voids) has(imsi binding.IMSI) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, has := v.all[imsi]
	return has
}

func (v *voids) remove(imsi binding.IMSI) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.all, imsi)
}
