package binding

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// commitLoop makes sealed batches durable, one at a time, tells who waited,
// and shows the changes to watchers. While the journal fails it tries again
// and again; the writer goes on until its batch is full.
func (r *Registry) commitLoop(ctx context.Context) {
	touch := time.NewTicker(touchEvery)
	defer touch.Stop()
	for {
		select {
		case p, ok := <-r.sealed:
			if !ok {
				return
			}
			r.commit(ctx, p)
			p.reset()
			r.idle <- p
		case <-touch.C:
			if err := r.journal.Touch(r.cfg.Now().UnixMilli()); err != nil {
				r.log.Debug("touch the journal", "err", err)
			}
		}
	}
}

func (r *Registry) commit(ctx context.Context, p *pending) {
	for {
		start := time.Now()
		err := r.journal.Commit(&p.Batch)
		if err == nil {
			r.commitTime.Store(int64(time.Since(start)))
			break
		}
		r.failing(err)
		select {
		case <-ctx.Done():
			r.giveUp(p, ErrJournal)
			return
		case <-time.After(commitRetry):
		}
	}
	r.recovered()
	r.commits.Add(1)
	if n := len(p.Changes); n > 0 {
		r.committed.Store(p.Changes[n-1].Seq)
	}
	for _, w := range p.acks {
		w.ack.Acknowledge(w.token, w.err)
	}
	r.show(p)
	r.ring.add(p.trace)
}

// show tells watchers what changed, in the order in which it did.
func (r *Registry) show(p *pending) {
	done := 0
	for i := range p.notices {
		n := &p.notices[i]
		r.hub.publish(p.Changes[done:n.after], r.counters)
		r.hub.publish([]Change{n.Change}, r.counters)
		done = n.after
	}
	r.hub.publish(p.Changes[done:], r.counters)
}

// failing notes since when news cannot be taken in: T12 counts it like an
// absence.
func (r *Registry) failing(err error) {
	r.journalErr.Store(&err)
	if now := r.cfg.Now().UnixMilli(); r.journalDown.CompareAndSwap(0, now) {
		atomic.StoreUint64(&r.m.ingest[0], uint64(now))
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
	atomic.StoreUint64(&r.m.ingest[0], 0)
	r.journalDown.Store(0)
	r.log.Info("the journal commits again", "after", time.Duration(now-since)*time.Millisecond)
}

// problems says what keeps the Registry from being healthy.
func (r *Registry) problems() []string {
	var list []string
	if since := r.journalDown.Load(); since != 0 {
		list = append(list, fmt.Sprintf("the journal cannot commit since %s: %v", millis(since).Format(time.RFC3339), *r.journalErr.Load()))
	}
	if used, room := r.m.sessions.Len()-r.tombCount(), r.m.sessions.Cap(); used >= room {
		list = append(list, fmt.Sprintf("capacity %d is reached: new sessions are refused; raise capacity", room))
	}
	if len(r.queue) == cap(r.queue) {
		list = append(list, "the event queue is full: peers are told to repeat")
	}
	return list
}
