package binding

import (
	"time"

	"github.com/simbind/simbind/binding/index"
)

// pending is what one group of events changed: a Batch for the journal, and
// who waits for it. While the group grows, sessions are only marked; seal
// makes their rows.
type pending struct {
	Batch
	dirty     []uint32 // session records; may repeat, may have been freed
	forgotten [][2]uint64
	acks      []pendingAck
	trace     []TraceEntry
	events    int
	holds     []HoldRow // backs the rows' Holds
	notices   []notice
}

// A notice is a change for watchers alone, after so many of the batch's
// Changes.
type notice struct {
	Change
	after int
}

type pendingAck struct {
	ack   Acknowledger
	token uint64
	err   error
}

func (p *pending) empty() bool {
	return p.events == 0 && len(p.dirty) == 0 && len(p.forgotten) == 0 && len(p.Changes) == 0 &&
		len(p.Nodes) == 0 && len(p.APNs) == 0 && len(p.Domains) == 0 && len(p.Subscribers) == 0 && len(p.Blocks) == 0 &&
		len(p.Memos) == 0 && len(p.notices) == 0
}

// reset makes a committed batch ready for the next group.
func (p *pending) reset() {
	b := &p.Batch
	*p = pending{
		Batch: Batch{
			Sessions: b.Sessions[:0], Forgotten: b.Forgotten[:0], Nodes: b.Nodes[:0], APNs: b.APNs[:0],
			Domains: b.Domains[:0], Subscribers: b.Subscribers[:0], Blocks: b.Blocks[:0], Memos: b.Memos[:0],
			Changes: b.Changes[:0],
		},
		dirty: p.dirty[:0], forgotten: p.forgotten[:0], acks: p.acks[:0], trace: p.trace[:0], holds: p.holds[:0], notices: p.notices[:0],
	}
}

// dirty marks a session for the batch.
func (a *arbiter) dirty(id uint32) {
	w := a.m.sessions.Load(id, 4)
	if w>>56&flagDirty != 0 {
		return
	}
	a.m.sessions.Store(id, 4, w|flagDirty<<56)
	a.batch.dirty = append(a.batch.dirty, id)
}

// seal makes the rows of everything marked, as it stands now.
func (a *arbiter) seal(now int64) {
	a.saveTrust()
	b := a.batch
	b.Alive = now
	for _, id := range b.dirty {
		if a.m.sessions.Load(id, 0) == 0 {
			continue // freed since
		}
		s := a.m.session(id)
		if s.flags&flagDirty == 0 {
			continue // made again since, or marked twice
		}
		s.flags &^= flagDirty
		a.m.putSession(id, &s)
		b.Sessions = append(b.Sessions, a.row(id, &s))
	}
	for _, key := range b.forgotten {
		if _, again := a.m.findSession(key); !again {
			b.Forgotten = append(b.Forgotten, (&session{key: key}).rowKey())
		}
	}
	b.Subscribers = lastOfEach(b.Subscribers, func(r *SubscriberRow) uint64 { return numberHash(r.Subscriber) })
	b.Nodes = lastOfEach(b.Nodes, func(r *NodeRow) uint16 { return r.ID })
	b.Memos = lastOfEach(b.Memos, func(r *MemoRow) SessionKey { return r.Key })
	b.Blocks = lastOfEach(b.Blocks, func(r *BlockRow) blockKey { return blockKey{r.Domain, r.Addr} })
}

type blockKey struct {
	domain uint16
	addr   Address
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

func (a *arbiter) row(id uint32, s *session) SessionRow {
	who := a.m.identity(s)
	row := SessionRow{
		Key: s.rowKey(), Node: s.node, Epoch: s.epoch, Start: s.start, Last: s.last, Seen: s.seen, Lease: s.lease,
		Contexts: s.contexts, Ended: s.ended(), MSISDN: who.MSISDN, IMSI: who.IMSI, IMEI: who.IMEI, APN: s.apn, RAT: s.rat, Directory: s.flags&flagDirectory != 0, Doubt: s.doubt(),
	}
	if a.m.node(s.node).source == SourceFeed {
		row.Contexts, row.Via = 0, s.contexts
	}
	b := a.batch
	first := len(b.holds)
	for _, k := range a.keys(id) {
		h, _ := a.m.holding(k)
		hold := HoldRow{Domain: domainOf(k), Addr: addressOf(k), Since: h.since, Version: h.version, Told: h.told, Ending: int64(h.deadline) * 1000}
		if h.shared && hold.Ending == 0 {
			hold.Ending = HoldShared
		}
		b.holds = append(b.holds, hold)
	}
	row.Holds = b.holds[first:len(b.holds):len(b.holds)]
	return row
}

func (a *arbiter) saveNode(id uint16) {
	n, k := a.m.node(id), a.nodeNames.Load().of(id)
	a.batch.Nodes = append(a.batch.Nodes, NodeRow{
		ID: id, Source: k.source, Name: k.name, Epoch: n.epoch, Restart: n.restart, Restarts: uint64(n.epoch) - 1,
		Observed: n.observed, Forgot: int64(a.m.loadNode(id, nodeForgot)), Down: n.down, Trust: int64(a.m.loadTrust(k.source)),
	})
}

// saveTrust keeps since when which sources are trusted, where that has changed.
func (a *arbiter) saveTrust() {
	for s := SourceGx; s < sourceCount; s++ {
		floor := a.m.loadTrust(s)
		if floor == a.savedTrust[s] {
			continue
		}
		a.savedTrust[s] = floor
		for id, k := range *a.nodeNames.Load() {
			if k.source == s {
				a.saveNode(uint16(id))
			}
		}
	}
}

func (a *arbiter) saveSubscriber(sub *subscriber) {
	a.batch.Subscribers = append(a.batch.Subscribers, SubscriberRow{
		Subscriber: sub.Subscriber, SIMSince: int64(sub.simSince), DeviceSince: int64(sub.deviceSince),
	})
}

func (a *arbiter) saveBlock(k index.Key, h *holding, gone bool) {
	a.batch.Blocks = append(a.batch.Blocks, BlockRow{
		Domain: domainOf(k), Addr: addressOf(k), Since: h.since, Until: int64(h.deadline) * 1000, Gone: gone,
	})
}

// emit numbers a change and puts it into the batch. What rests on other sites
// alone is theirs to publish: it has no number, and only watchers see it.
func (a *arbiter) emit(c Change, f *fact, followed bool) {
	c.At, c.EventTime = time.UnixMilli(f.now).UTC(), time.UnixMilli(f.t).UTC()
	if followed {
		a.batch.notices = append(a.batch.notices, notice{c, len(a.batch.Changes)})
		return
	}
	a.seq++
	c.Seq = a.seq
	a.batch.Changes = append(a.batch.Changes, c)
	a.counters.change(c.Kind)
}

// hear notes that a node spoke, which proves that it is not lost (T8).
func (a *arbiter) hear(f *fact) {
	a.m.storeNode(f.node, nodeHeard, uint64(f.now))
	a.m.storeNode(f.node, nodeEvents, a.m.loadNode(f.node, nodeEvents)+1)
	a.overhear(f)
	// A followed site is heard by its heartbeat alone.
	if f.Source != SourceFeed && f.Kind != NodeDown && f.Kind != NodeUp && a.m.loadNode(f.node, nodeDown) != 0 {
		a.m.storeNode(f.node, nodeDown, 0)
		a.saveNode(f.node)
	}
}
