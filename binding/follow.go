package binding

import (
	"slices"
	"sync/atomic"

	"github.com/simbind/simbind/binding/index"
)

// What other sites say. A followed site is a node of SourceFeed, and each
// address that it knows is a session of that node. The site has decided
// already, in one order: T1 to T4 do not ask again, its last word counts. That
// it disagrees with others is T5, that it is lost T8; leases are its own (T9).

// follow applies an event of a followed site.
func (a *arbiter) follow(f *fact) Outcome {
	switch f.Kind {
	case SessionStart, SessionUpdate:
		return a.mirror(f)
	case SessionStop:
		id, known := a.m.findSession(f.key)
		if !known {
			return a.count(countUnknownStop, Late)
		}
		a.end(id, f, ending{why: endStop.why, said: true}) // none overtakes it: no tombstone
		return Applied
	case NodeRestart:
		return a.endUntold(f)
	case NodeUp:
		a.heardWhole(f)
	case NodeCurrent:
		a.heardWhole(f)
		a.m.storeNode(f.node, nodeCurrent, 1)
		a.m.storeNode(f.node, nodeAnew, 0)
		return Applied
	case NodeBehind:
		a.m.storeNode(f.node, nodeCurrent, 0)
		a.m.storeNode(f.node, nodeAnew, uint64(a.toldAt(f, 1)))
		return Applied
	}
	return a.transport(f)
}

// heardWhole notes a heartbeat. Readers hold their own clock against it, so that
// a site is lost also while nobody looks whether it is: the program may be
// suspended, or busy.
func (a *arbiter) heardWhole(f *fact) {
	if !f.Time.IsZero() {
		a.m.storeNode(f.node, nodeWhole, uint64(f.t))
	}
}

// endUntold ends what the site has not told since it was behind or, if it was
// not, all that it has told: rule T7, in O(1).
func (a *arbiter) endUntold(f *fact) Outcome {
	since := a.m.loadNode(f.node, nodeAnew)
	if since == 0 {
		since = uint64(a.toldAt(f, 1))
	}
	a.m.storeNode(f.node, nodeRestart, since)
	a.saveNode(f.node)
	return Applied
}

// toldAt is the moment (unix ms, our clock) at which a site tells something, so
// long after what it told before at least. A clock that is set back does not
// make the new the older.
func (a *arbiter) toldAt(f *fact, after int64) int64 {
	at := max(f.now, int64(a.m.loadNode(f.node, nodeTold))+after)
	a.m.storeNode(f.node, nodeTold, uint64(at))
	return at
}

// mirror makes a session what its site says.
func (a *arbiter) mirror(f *fact) Outcome {
	id, known := a.m.findSession(f.key)
	if !known {
		return a.begin(f)
	}
	keys, refused := a.admit(f, "", f.Addrs)
	if len(keys) == 0 { // our pools have changed
		a.end(id, f, endSuperseded)
		return refused
	}
	claimed := a.openAll(id)
	changed := a.restate(id, f)
	for i := range claimed {
		seq, notices := a.seq, len(a.batch.notices)
		o := &claimed[i]
		o.changed = true
		a.settle(o, f, o.confirmed(id, f, a.times.linger))
		if _, who, ok := o.holder(); changed && a.seq == seq && len(a.batch.notices) == notices && ok {
			a.emitAddress(Updated, o, who, id, f)
		}
	}
	missing := slices.DeleteFunc(keys, func(k index.Key) bool {
		return slices.ContainsFunc(claimed, func(o address) bool { return o.key == k })
	})
	return a.claimAll(id, missing, f, refused)
}

// restate writes what the site says into the session's record. It reports
// whether an attribute changed that is published.
func (a *arbiter) restate(id uint32, f *fact) bool {
	s := a.m.session(id)
	was := s
	if f.Kind == SessionStart { // only that says since when
		s.start = max(f.t-f.Age.Milliseconds(), 1)
	}
	s.last, s.seen = f.t, a.toldAt(f, 0)
	s.epoch = a.m.node(f.node).epoch & epochMask
	s.apn, s.rat, s.contexts = a.apnID(canonicalAPN(f.APN)), f.RAT, a.apnID(f.Via)
	s.flags = s.flags&^(doubtMask|flagDirectory) | doubtFlags(f.Doubt)
	a.m.putSession(id, &s)
	who, now := a.m.identity(&s), f.identity()
	if who != now {
		a.adopt(id, now, f)
	}
	a.dirty(id)
	return who != now || s.apn != was.apn || s.rat != was.rat || s.contexts != was.contexts
}

// judgeFollowed is judge for a session of a followed site: ReasonBound, or why
// it is not to be relied on.
func (m *memory) judgeFollowed(s *session, n *node, now int64, t *times) Reason {
	switch {
	case n.lost(now, t.loss):
		return ReasonNodeLost
	case atomic.LoadUint64(m.nodeWord(s.node, nodeCurrent)) == 0:
		return ReasonUnconfirmed
	}
	// A clock that was set back by that much says nothing about how long ago.
	if ago := now - int64(m.loadNode(s.node, nodeWhole)); ago > t.silent || ago < -t.silent {
		return ReasonNodeLost
	}
	return s.doubt()
}

// doubts are the doubts that a site can have of its own session, by the bits
// in its record.
var doubts = [8]Reason{ReasonBound, ReasonConflict, ReasonEnding, ReasonLease, ReasonNodeLost, ReasonUnconfirmed, ReasonNotIngesting, ReasonEnded}

// IsDoubt reports whether a site may have it of its own binding (Event.Doubt).
func (r Reason) IsDoubt() bool { return slices.Contains(doubts[:], r) }

func (s *session) doubt() Reason { return doubts[s.flags&doubtMask>>doubtShift] }

// worse is the worse of a doubt and the one that a followed site has of its
// claim, of those that stay whatever others say: that it cannot tell who
// (conflict, T5), or that one of its own sources has ended it (ending, T6).
func worse(told Reason, s *session) Reason {
	if s.flags&doubtMask == 0 || told == ReasonConflict {
		return told
	}
	switch s.doubt() {
	case ReasonConflict:
		return ReasonConflict
	case ReasonEnding, ReasonEnded:
		return ReasonEnding
	}
	return told
}

func doubtFlags(why Reason) uint8 { return uint8(max(slices.Index(doubts[:], why), 0)) << doubtShift }

// saidBy names the node that a session is of and, if another site told us, that
// site.
func (a *arbiter) saidBy(s *session) (node, site string) {
	k := a.nodeNames.Load().of(s.node)
	if k.source != SourceFeed {
		return k.name, ""
	}
	return a.apnName(s.contexts), k.name
}

// version is the version of a holding that the event makes: the number of the
// site's own change, or next.
func (f *fact) version(next uint64) uint64 {
	if f.Source == SourceFeed && f.Version != 0 {
		return f.Version
	}
	return next
}
