package journal

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/simbind/simbind/binding"
)

// Commit makes the batch durable as one atomic step and returns after the
// sync. Its changes continue the numbering of the last acknowledged ones
// (Meta().Seq) without gaps.
//
// After an error that wraps the cause (ENOSPC, EIO…), nothing of the batch is
// shown by Meta and ReadOutbox; the same batch, possibly with further changes
// behind its own, is to be committed again. Each such call first tries to open
// the store again, so the caller sets the pace. A call may take seconds while
// the disk is slow or the store recovers.
func (j *Journal) Commit(b *binding.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	start := time.Now()
	j.committing.Store(true)
	err := j.commit(b)
	j.failing.Store(err != nil)
	j.committing.Store(false)
	j.counts.commit(b, time.Since(start), err)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if len(b.Changes) != 0 {
		j.signal()
	}
	return nil
}

// signal wakes the reader of the outbox.
func (j *Journal) signal() {
	select {
	case j.notify <- struct{}{}:
	default:
	}
}

func (j *Journal) commit(b *binding.Batch) error {
	if j.closing.Load() {
		return ErrClosed
	}
	seq := j.committed.Load()
	if err := checkNumbers(b.Changes, seq); err != nil {
		return err
	}
	seq += uint64(len(b.Changes))
	s, err := j.ready()
	if err != nil {
		return err
	}
	if j.w.batch == nil {
		j.w.batch = s.db.NewBatch(pebble.WithMaxRetainedSizeBytes(maxRetained))
	}
	beat := heartbeat{j.nextTick(), b.Alive}
	if j.unsure {
		j.w.wipeOutbox(j.committed.Load() + 1)
	}
	j.w.rows(b)
	j.w.outbox(b.Changes)
	j.w.state(seq, beat)
	if err := j.w.commit(s); err != nil {
		j.unsure = true
		j.w.batch = nil
		return err
	}
	j.unsure = false
	j.tick = beat.tick
	j.recorded(beat)
	j.committed.Store(seq)
	return nil
}

func checkNumbers(changes []binding.Change, last uint64) error {
	for i := range changes {
		if want := last + 1 + uint64(i); changes[i].Seq != want {
			return fmt.Errorf("change %d where %d is next", changes[i].Seq, want)
		}
	}
	return nil
}

// ready returns a store that can be written to. It must hold mu.
func (j *Journal) ready() (*store, error) {
	if s := j.store; s != nil && s.failed() == nil { // only changed under mu
		return s, nil
	}
	j.w.batch = nil
	return j.reopen()
}

// maxRetained bounds the memory that is kept for the next batch.
const maxRetained = 4 << 20

// A writer turns a binding.Batch into a Pebble batch. Its buffers are reused.
type writer struct {
	batch      *pebble.Batch
	key, value []byte
	err        error
}

// put adds the row in key and value.
func (w *writer) put() {
	if err := w.batch.Set(w.key, w.value, nil); err != nil && w.err == nil {
		w.err = err
	}
}

// drop deletes the row in key.
func (w *writer) drop() {
	if err := w.batch.Delete(w.key, nil); err != nil && w.err == nil {
		w.err = err
	}
}

// dropRange deletes the rows from key up to, without, value.
func (w *writer) dropRange() {
	if err := w.batch.DeleteRange(w.key, w.value, nil); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *writer) rows(b *binding.Batch) {
	w.names(b)
	for i := range b.Subscribers {
		w.key = appendSubscriberKey(w.key[:0], &b.Subscribers[i].Subscriber)
		w.value = appendSubscriberRow(w.value[:0], &b.Subscribers[i])
		w.put()
	}
	for i := range b.Blocks {
		if r := &b.Blocks[i]; r.Gone {
			w.key = appendBlockKey(w.key[:0], r.Domain, &r.Addr)
			w.drop()
		}
	}
	for i := range b.Remains {
		r := &b.Remains[i]
		w.key = appendForgottenKey(w.key[:0], r)
		if r.At == 0 {
			w.drop()
			continue
		}
		w.value = appendForgotten(w.value[:0], r)
		w.put()
	}
	for i := range b.Sessions {
		w.key = appendSessionKey(w.key[:0], &b.Sessions[i].Key)
		w.value = appendSession(w.value[:0], &b.Sessions[i])
		w.put()
	}
	for i := range b.Forgotten {
		w.key = appendSessionKey(w.key[:0], &b.Forgotten[i])
		w.drop()
	}
	w.memos(b.Memos)
}

func (w *writer) memos(rows []binding.MemoRow) {
	for i := range rows {
		r := &rows[i]
		w.key = appendMemoKey(w.key[:0], &r.Key)
		if r.Gone {
			w.drop()
			continue
		}
		w.value = appendMemo(w.value[:0], r)
		w.put()
	}
}

func (w *writer) names(b *binding.Batch) {
	for i := range b.Nodes {
		w.key = appendIDKey(w.key[:0], kindNode, b.Nodes[i].ID)
		w.value = appendNode(w.value[:0], &b.Nodes[i])
		w.put()
	}
	for i := range b.APNs {
		w.key = appendIDKey(w.key[:0], kindAPN, b.APNs[i].ID)
		w.value = appendName(w.value[:0], &b.APNs[i])
		w.put()
	}
	for i := range b.Domains {
		w.key = appendIDKey(w.key[:0], kindDomain, b.Domains[i].ID)
		w.value = appendName(w.value[:0], &b.Domains[i])
		w.put()
	}
}

func (w *writer) outbox(changes []binding.Change) {
	for len(changes) != 0 {
		n := min(len(changes), groupMax)
		w.key = appendOutboxKey(w.key[:0], changes[0].Seq)
		w.value = appendGroup(w.value[:0], changes[:n])
		w.put()
		changes = changes[n:]
	}
}

// wipeOutbox deletes what a batch that was not acknowledged may have left.
func (w *writer) wipeOutbox(first uint64) {
	w.key = appendOutboxKey(w.key[:0], first)
	w.value = append(w.value[:0], kindOutbox+1)
	w.dropRange()
}

func (w *writer) state(seq uint64, beat heartbeat) {
	w.key = append(w.key[:0], keyState...)
	w.value = appendState(w.value[:0], seq, beat)
	w.put()
}

// commit writes and syncs the batch, and makes the writer ready for the next.
func (w *writer) commit(s *store) error {
	err := w.err
	w.err = nil
	if err == nil {
		err = s.db.Apply(w.batch, pebble.Sync)
	}
	if cause := s.failed(); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	w.batch.Reset()
	return nil
}
