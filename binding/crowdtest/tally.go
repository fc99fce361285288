package crowdtest

import (
	"context"
	"sync/atomic"
	"time"
)

// A Tally counts what became of the requests of a crowd. Began is set once; the
// rest is for anyone to add to.
type Tally struct {
	Began time.Time
	// Sent are requests, repetitions not counted; Lost were given up.
	Sent, Answered, Lost, Retransmitted atomic.Uint64
	Attached                            atomic.Int64
	// Latencies are from the first transmission to the answer.
	Latencies Latencies
}

// Progress is a tally at one moment.
type Progress struct {
	Elapsed       time.Duration
	Sent          uint64 // requests, repetitions not counted
	Answered      uint64
	Lost          uint64 // given up
	Retransmitted uint64
	Attached      int // subscribers whose attach was sent and whose detach was not
}

// Progress is the tally now.
func (t *Tally) Progress() Progress {
	return Progress{
		Elapsed: time.Since(t.Began), Sent: t.Sent.Load(), Answered: t.Answered.Load(), Lost: t.Lost.Load(),
		Retransmitted: t.Retransmitted.Load(), Attached: int(t.Attached.Load()),
	}
}

// Report calls progress once a second until ctx ends.
func (t *Tally) Report(ctx context.Context, progress func(Progress)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			progress(t.Progress())
		}
	}
}
