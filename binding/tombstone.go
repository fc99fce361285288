package binding

import "sync/atomic"

// tombstones is the list of ended sessions, oldest first (rule T3), threaded
// through their records.
type tombstones struct {
	head, tail uint32
	limit      int
	count      atomic.Int64 // any goroutine may read it
}

// entomb makes a session's record a tombstone: it stopped at a time of the
// network's, and that was heard at a time of ours.
func (a *arbiter) entomb(id uint32, stopped, heard int64) {
	a.forgetMemo(id)
	s := a.m.session(id)
	s.flags |= flagEnded
	s.last, s.seen, s.sub, s.claim, s.imsi = stopped, heard, 0, 0, 0
	s.next, s.prev = 0, a.tombs.tail
	a.m.putSession(id, &s)
	if a.tombs.tail != 0 {
		a.update(a.tombs.tail, func(t *session) { t.next = id })
	} else {
		a.tombs.head = id
	}
	a.tombs.tail = id
	a.tombs.count.Add(1)
	a.dirty(id)
	for a.tombCount() > a.tombs.limit {
		a.evictTombstone()
	}
}

// evictTombstone forgets the oldest one before its time.
func (a *arbiter) evictTombstone() {
	s := a.m.session(a.tombs.head)
	a.forgetStop(s.node, s.last)
	a.forget(a.tombs.head)
}

// forgetStop notes that there is no tombstone for a stop of the node at t. From
// then on what the node says of before it begins no session: it might be that
// one.
func (a *arbiter) forgetStop(node uint16, t int64) {
	if uint64(t) > a.m.loadNode(node, nodeForgot) {
		a.m.storeNode(node, nodeForgot, uint64(t))
		a.saveNode(node)
	}
}

// bringTombstone remembers the stop of a session that was never heard of: its
// start may still be on its way.
func (a *arbiter) bringTombstone(f *fact) {
	id, ok := a.allocSession()
	if !ok {
		a.forgetStop(f.node, f.t)
		return
	}
	s := session{key: f.key, start: f.t, last: f.t, seen: f.now, node: f.node, epoch: a.m.node(f.node).epoch & epochMask}
	a.m.putSession(id, &s)
	a.m.bySession.Insert(s.key[0], id)
	a.entomb(id, f.t, f.now)
}

// forget frees a tombstone.
func (a *arbiter) forget(id uint32) {
	s := a.m.session(id)
	if s.prev != 0 {
		a.update(s.prev, func(t *session) { t.next = s.next })
	} else {
		a.tombs.head = s.next
	}
	if s.next != 0 {
		a.update(s.next, func(t *session) { t.prev = s.prev })
	} else {
		a.tombs.tail = s.prev
	}
	a.tombs.count.Add(-1)
	a.free(id)
}

// free gives a session's record back.
func (a *arbiter) free(id uint32) {
	a.forgetMemo(id)
	s := a.m.session(id)
	a.m.bySession.Remove(s.key[0], id)
	a.batch.forgotten = append(a.batch.forgotten, s.key)
	a.m.sessions.Free(id)
}

// update changes a session's record.
func (a *arbiter) update(id uint32, change func(*session)) {
	s := a.m.session(id)
	change(&s)
	a.m.putSession(id, &s)
}

func (a *arbiter) tombCount() int { return int(a.tombs.count.Load()) }
