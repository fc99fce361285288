package radius

import (
	"errors"
	"sync"

	"github.com/simbind/simbind/binding"
)

// An outcome is what became of one thing that an answer waits for.
type outcome uint8

const (
	outcomeDurable  outcome = iota // the event is committed, or there was none
	outcomeRepeat                  // not an outcome: send the earlier answer again
	outcomeBusy                    // the Registry's queue is full
	outcomeClosed                  // the Registry is stopping
	outcomeCapacity                // no room for the session
	outcomeJournal                 // nothing can be made durable
	outcomeOther                   // any other refusal
	outcomeHomeBusy                // the home server has too many requests open
	outcomeHomeLost                // the home server did not answer
	outcomeCount
)

var outcomeNames = [outcomeCount]string{"durable", "repeat", "busy", "closed", "capacity", "journal", "other", "home-busy", "home-timeout"}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return outcomeDurable
	case errors.Is(err, binding.ErrBusy):
		return outcomeBusy
	case errors.Is(err, binding.ErrClosed):
		return outcomeClosed
	case errors.Is(err, binding.ErrCapacity):
		return outcomeCapacity
	case errors.Is(err, binding.ErrJournal):
		return outcomeJournal
	}
	return outcomeOther
}

// A completion tells the sender of a lane about one outcome.
type completion struct {
	token   uint64
	outcome outcome
}

// completions is the queue to the sender of a lane. Anyone may put; one
// goroutine takes.
type completions struct {
	mu   sync.Mutex
	list []completion
	wake chan struct{} // holds one when the list is not empty
}

func newCompletions() *completions { return &completions{wake: make(chan struct{}, 1)} }

// put never blocks. Repeats, which a peer can cause at will, are dropped when
// limit are waiting; outcomes are bounded by the open transactions.
func (q *completions) put(c completion, limit int) {
	q.mu.Lock()
	if c.outcome == outcomeRepeat && len(q.list) >= limit {
		q.mu.Unlock()
		return
	}
	q.list = append(q.list, c)
	first := len(q.list) == 1
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// take returns what waits and keeps spare for what comes.
func (q *completions) take(spare []completion) []completion {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = spare[:0]
	return list
}
