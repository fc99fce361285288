package registry

import (
	"context"
	"slices"
	"sync"
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

// A batch is what one group of events changed: a binding.Batch for the journal,
// and who waits for it. While the group grows, sessions are only marked; seal
// makes their rows.
type batch struct {
	binding.Batch
	dirty     []uint32 // session records; may repeat, may have been freed
	forgotten [][2]uint64
	remains   []remainsAt // entries that changed; may repeat
	acks      []waiting
	trace     []binding.TraceEntry
	events    int
	holds     []binding.HoldRow // backs the rows' Holds
	notices   []notice
}

// A notice is a change for watchers alone, after so many of the batch's
// Changes.
type notice struct {
	binding.Change
	after int
}

// waiting is who waits for the commit of an event.
type waiting struct {
	ack   binding.Acknowledger
	token uint64
	err   error
}

func (b *batch) empty() bool {
	return b.events == 0 && len(b.dirty) == 0 && len(b.forgotten) == 0 && len(b.Changes) == 0 &&
		len(b.Nodes) == 0 && len(b.APNs) == 0 && len(b.Domains) == 0 && len(b.Subscribers) == 0 && len(b.Blocks) == 0 &&
		len(b.remains) == 0 && len(b.Memos) == 0 && len(b.notices) == 0
}

// reset makes a committed batch ready for the next group.
func (b *batch) reset() {
	r := &b.Batch
	*b = batch{
		Batch: binding.Batch{
			Sessions: r.Sessions[:0], Forgotten: r.Forgotten[:0], Nodes: r.Nodes[:0], APNs: r.APNs[:0],
			Domains: r.Domains[:0], Subscribers: r.Subscribers[:0], Blocks: r.Blocks[:0], Remains: r.Remains[:0], Memos: r.Memos[:0],
			Changes: r.Changes[:0],
		},
		dirty: b.dirty[:0], forgotten: b.forgotten[:0], remains: b.remains[:0], acks: b.acks[:0], trace: b.trace[:0],
		holds: b.holds[:0], notices: b.notices[:0],
	}
}

// lastOfEach keeps the last row of each key.
func lastOfEach[R any, K comparable](rows []R, key func(*R) K) []R {
	if len(rows) < 2 {
		return rows
	}
	last := make(map[K]int, len(rows))
	for i := range rows {
		last[key(&rows[i])] = i
	}
	if len(last) == len(rows) {
		return rows
	}
	kept := rows[:0]
	for i := range rows {
		if last[key(&rows[i])] == i {
			kept = append(kept, rows[i])
		}
	}
	return kept
}

// emit numbers a change and puts it into the batch. What rests on other sites
// alone is theirs to publish: it has no number, and only watchers see it.
func (c *core) emit(ch binding.Change, f *fact, followed bool) {
	ch.At, ch.EventTime = time.UnixMilli(f.now).UTC(), time.UnixMilli(f.at).UTC()
	if followed {
		c.batch.notices = append(c.batch.notices, notice{ch, len(c.batch.Changes)})
		return
	}
	c.seq++
	ch.Seq = c.seq
	c.batch.Changes = append(c.batch.Changes, ch)
	c.counters.change(ch.Kind)
}

// A hub shows committed changes to watchers. It never waits for one: a watcher
// that lags loses its channel.
type hub struct {
	mu       sync.Mutex
	watchers []chan binding.Change
}

// Watch returns committed changes from now on. The channel is closed when more
// than buffer changes wait in it, and by cancel; when the Registry stops nothing
// comes any more.
func (r *Registry) Watch(buffer int) (changes <-chan binding.Change, cancel func()) {
	ch := make(chan binding.Change, max(buffer, 1))
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.watchers = append(r.hub.watchers, ch)
	return ch, func() { r.hub.remove(ch) }
}

func (h *hub) remove(ch chan binding.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.watchers, ch); i >= 0 {
		h.watchers = slices.Delete(h.watchers, i, i+1)
		close(ch)
	}
}

func (h *hub) publish(changes []binding.Change, cs *counters) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers = slices.DeleteFunc(h.watchers, func(ch chan binding.Change) bool {
		for _, c := range changes {
			select {
			case ch <- c:
			default:
				close(ch)
				cs.add(countWatchersLagged)
				return true
			}
		}
		return false
	})
}
