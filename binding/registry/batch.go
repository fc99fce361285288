package registry

import (
	"time"

	"github.com/simbind/simbind/binding"
)

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
