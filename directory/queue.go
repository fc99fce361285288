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

// A question is for one SIM: has is the number that the Registry has of it, zero
// if none. Void: that is not right, or may not be.
type question struct {
	imsi binding.IMSI
	has  binding.MSISDN
	void bool
	from place
}

// A place is where questions for a SIM are, as bits.
type place uint8

const (
	inFirst place = 1 << iota
	inVoid
	inChecks
	underWay
)

// A queue has the questions that wait: for SIMs that have no number, for those
// whose number is void, and checks. For a SIM one of each waits.
type queue struct {
	first, void, checks chan question
	dropped             atomic.Uint64 // of the former two
	turn                atomic.Uint64

	mu    sync.Mutex
	where map[binding.IMSI]place
}

func newQueue(limit int) *queue {
	return &queue{
		first: make(chan question, limit), void: make(chan question, limit), checks: make(chan question, min(limit, maxChecks)),
		where: map[binding.IMSI]place{},
	}
}

// put adds a question, unless one waits that serves as well, or there is no room.
// One under way serves too, but not if what it finds may be void.
func (q *queue) put(one question) {
	var lane chan question
	var served place
	switch {
	case one.void:
		one.from, lane = inVoid, q.void
	case one.has == 0:
		one.from, lane, served = inFirst, q.first, inVoid|underWay
	default:
		one.from, lane, served = inChecks, q.checks, inVoid|inFirst|underWay
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.where[one.imsi]&(served|one.from) != 0 {
		return
	}
	select {
	case lane <- one:
		q.where[one.imsi] |= one.from
	default:
		if one.from != inChecks {
			q.dropped.Add(1)
		}
	}
}

// wait adds a question about a void number when there is room, or gives up when
// ctx ends.
func (q *queue) wait(ctx context.Context, one question) {
	select {
	case q.void <- one:
	case <-ctx.Done():
	}
}

// checkShare: one in so many questions may be a check while others wait.
const checkShare = 8

// next waits for a question. Not ok: ctx ended.
func (q *queue) next(ctx context.Context) (one question, ok bool) {
	checks := q.checks
	if len(q.first)+len(q.void) > 0 && q.turn.Add(1)%checkShare != 0 {
		checks = nil
	}
	select {
	case one = <-q.first:
	case one = <-q.void:
	case one = <-checks:
	case <-ctx.Done():
		return one, false
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

func (q *queue) waiting() int { return len(q.first) + len(q.void) + len(q.checks) }

// maxVoids bounds how many SIMs are remembered whose number is void and about
// which nobody has answered since.
const maxVoids = 65536

// voids are those.
type voids struct {
	mu  sync.Mutex
	all map[binding.IMSI]uint64 // by when it became so
	n   uint64
}

func (v *voids) add(imsi binding.IMSI) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil {
		v.all = map[binding.IMSI]uint64{}
	}
	if v.n++; len(v.all) < maxVoids || v.all[imsi] != 0 {
		v.all[imsi] = v.n
	}
}

// since is when the number became void, zero if it is not.
func (v *voids) since(imsi binding.IMSI) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all[imsi]
}

// remove forgets that it was, unless it became so again.
func (v *voids) remove(imsi binding.IMSI, since uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all[imsi] == since {
		delete(v.all, imsi)
	}
}
