package registry

import (
	"context"
	"time"

	"github.com/simbind/simbind/binding"
)

// commitLoop makes sealed batches durable, one at a time, tells who waited,
// and shows the changes to watchers. While the journal fails it tries again
// and again; the writer goes on until its batch is full.
func (r *Registry) commitLoop(ctx context.Context) {
	touch := time.NewTicker(touchEvery)
	defer touch.Stop()
	for {
		select {
		case b, ok := <-r.sealed:
			if !ok {
				return
			}
			r.commit(ctx, b)
			b.reset()
			r.idle <- b
		case <-touch.C:
			if err := r.journal.Touch(r.cfg.Now().UnixMilli()); err != nil {
				r.log.Debug("touch the journal", "err", err)
			}
		}
	}
}

func (r *Registry) commit(ctx context.Context, b *batch) {
	for {
		start := time.Now()
		err := r.journal.Commit(&b.Batch)
		if err == nil {
			r.commitTime.Store(int64(time.Since(start)))
			break
		}
		r.failing(err)
		select {
		case <-ctx.Done():
			r.giveUp(b, binding.ErrJournal)
			return
		case <-time.After(commitRetry):
		}
	}
	r.recovered()
	r.commits.Add(1)
	if n := len(b.Changes); n > 0 {
		r.committed.Store(b.Changes[n-1].Seq)
	}
	for _, w := range b.acks {
		w.ack.Acknowledge(w.token, w.err)
	}
	r.show(b)
	r.ring.add(b.trace)
}

// show tells watchers what changed, in the order in which it did.
func (r *Registry) show(b *batch) {
	done := 0
	for i := range b.notices {
		n := &b.notices[i]
		r.hub.publish(b.Changes[done:n.after], r.counters)
		r.hub.publish([]binding.Change{n.Change}, r.counters)
		done = n.after
	}
	r.hub.publish(b.Changes[done:], r.counters)
}

// failing notes since when news cannot be taken in: T12 counts it like an
// absence.
func (r *Registry) failing(err error) {
	r.journalErr.Store(&err)
	if now := r.cfg.Now().UnixMilli(); r.journalDown.CompareAndSwap(0, now) {
		r.m.SetRefusedSince(now)
		r.log.Error("the journal cannot commit: peers get no answer until it can", "err", err)
	}
}

func (r *Registry) recovered() {
	since := r.journalDown.Load()
	if since == 0 {
		return
	}
	now := r.cfg.Now().UnixMilli()
	r.distrust(since, now)
	r.m.SetRefusedSince(0)
	r.journalDown.Store(0)
	r.log.Info("the journal commits again", "after", time.Duration(now-since)*time.Millisecond)
}
