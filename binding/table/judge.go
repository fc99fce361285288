package table

import (
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
)

// A Life is how alive a session is at some moment.
type Life uint8

// The lives. What is doubtful or stale cannot be trusted, and still stands
// against others.
const (
	Fresh    Life = iota // its word counts
	Doubtful             // it may be over
	Stale                // it may be over without our having heard of it
	Expired              // its lease ran out: it holds nothing against others
	Gone                 // expired for longer than the grace
	Over                 // it ended, or its node's restart ended it
)

// Times are the configured durations in milliseconds, and what else of the
// configuration decides a verdict.
type Times struct {
	Lease, Grace, Linger, Loss, TrustGap int64

	Silent    int64 // how long a followed site may be without a heartbeat that is whole
	MarkOnly  bool  // a loss of what is overheard only marks the nodes
	Ambiguous bool  // a number that several SIMs have is nobody's
}

// heartbeatsMissed is how long a followed site may be silent at least, however
// short the loss timeout is.
const heartbeatsMissed = 3 * time.Second

// SilentAfter is Times.Silent for a loss timeout.
func SilentAfter(loss time.Duration) int64 { return max(loss, heartbeatsMissed).Milliseconds() }

// Judge decides about one session at a moment (unix ms) from words alone: rules
// T7, T8, T9 and T12, and the doubt that the writer has noted. The reason is
// why it is not fresh.
func (m *Memory) Judge(s *Session, now int64, t *Times) (Life, binding.Reason) {
	over, why := m.restarted(s)
	switch {
	case s.Ended(), over:
		return Over, binding.ReasonEnded
	case m.SourceOf(s.Node) == binding.SourceFeed:
		return m.judgeFollowed(s, now, t)
	}
	expires := s.Seen + int64(s.Lease)*1000
	trust, observed := m.Trust(m.SourceOf(s.Node)), int64(0)
	if m.Node(m.Root(s.Node), NodeWhat)&NodeObserved != 0 {
		observed, _ = m.Overheard()
	}
	switch {
	case now > expires+t.Grace:
		return Gone, binding.ReasonEnded
	case now > expires:
		return Expired, binding.ReasonLease
	case s.Doubt != binding.ReasonBound:
		return s.doubt(now, t)
	case why != binding.ReasonBound:
		return Doubtful, why
	case m.lost(m.Root(s.Node), now, t.Loss):
		return Stale, binding.ReasonNodeLost
	case s.Seen < max(trust, observed):
		return Stale, binding.ReasonUnconfirmed
	}
	if since := m.RefusedSince(); since != 0 && now-since > t.TrustGap {
		return Stale, binding.ReasonNotIngesting
	}
	return Fresh, binding.ReasonBound
}

// Lingers reports that a session is taken for ended, as nothing has shown for long
// that it did not end with another one.
func (m *Memory) Lingers(s *Session, now int64, t *Times) bool {
	l, why := m.Judge(s, now, t)
	return l == Doubtful && why == binding.ReasonEnded
}

// doubt is what the session's doubt comes to. Nobody waits for long for a word
// that shows that it did not end with another source's session.
func (s *Session) doubt(now int64, t *Times) (Life, binding.Reason) {
	switch {
	case s.Doubt.Verdict() == binding.Stale:
		return Stale, s.Doubt
	case s.Doubt == binding.ReasonEnding && now-s.After.Our > t.Linger:
		return Doubtful, binding.ReasonEnded
	}
	return Doubtful, s.Doubt
}

// restarted: rule T7, decided in O(1) for all sessions of a node. A restart
// ends what has not spoken since, and leaves in doubt what has, but perhaps of
// before. What a followed site knows ends if it was not told again when all
// was.
func (m *Memory) restarted(s *Session) (over bool, doubt binding.Reason) {
	root := m.Root(s.Node)
	if m.SourceOf(root) == binding.SourceFeed {
		return s.Seen < int64(m.Node(root, NodeRestart)), binding.ReasonBound
	}
	by, told := m.RestartBy(root)
	if !told || clock.Before(by, s.HeldAt) {
		return false, binding.ReasonBound
	}
	if s.Restarts != uint16(m.Node(root, NodeRestarts)) {
		return true, binding.ReasonBound
	}
	return false, binding.ReasonRestarted
}

// MayHaveRestarted reports that a restart of its node may have ended the session.
func (m *Memory) MayHaveRestarted(s *Session) bool {
	_, doubt := m.restarted(s)
	return doubt != binding.ReasonBound
}

// MayHaveEnded is the upper bound of the end of a session that is over, or that a
// restart of its node may have ended.
func (m *Memory) MayHaveEnded(s *Session) (end clock.Bound, may bool) {
	if end, over := m.EndOf(s); over || !m.MayHaveRestarted(s) {
		return end, over
	}
	end, _ = m.RestartBy(m.Root(s.Node))
	return end, true
}

// EndOf is the upper bound of the end of a session that is over.
func (m *Memory) EndOf(s *Session) (end clock.Bound, over bool) {
	if s.Ended() {
		return s.After, true
	}
	if over, _ := m.restarted(s); over {
		by, _ := m.RestartBy(m.Root(s.Node))
		return by, true
	}
	return clock.Bound{}, false
}

// judgeFollowed is Judge for a session of a followed site. Readers hold their
// own clock against its last heartbeat, so that it is lost also while nobody
// looks whether it is: the program may be suspended, or busy.
func (m *Memory) judgeFollowed(s *Session, now int64, t *Times) (Life, binding.Reason) {
	switch {
	case m.lost(s.Node, now, t.Loss):
		return Stale, binding.ReasonNodeLost
	case m.Node(s.Node, NodeCurrent) == 0:
		return Stale, binding.ReasonUnconfirmed
	}
	// A clock that was set back by that much says nothing about how long ago.
	if ago := now - int64(m.Node(s.Node, NodeWhole)); ago > t.Silent || ago < -t.Silent {
		return Stale, binding.ReasonNodeLost
	}
	if s.Doubt != binding.ReasonBound {
		return Stale, s.Doubt // in the site's own words
	}
	if since := m.RefusedSince(); since != 0 && now-since > t.TrustGap {
		return Stale, binding.ReasonNotIngesting
	}
	return Fresh, binding.ReasonBound
}

// An Effect is what one session means for another.
type Effect uint8

// The effects.
const (
	Nothing Effect = iota
	Doubts         // it must speak after the bound
	Ends           // it was over before the other one held the address
	Opposes        // another node's living session is another SIM's: conflict (rule T5)
)

// Against is what y means for x, a living session on an address that overlaps
// one of y's: rules T4 to T6. xHold and yHold are when they held
// these. The bound is what x must speak after, or, if it is
// over, that of its end.
//
// At one node sessions of different SIMs exclude each other. So one point of x
// that is surely before one point of y is enough to know that x is over before
// y is, and if neither is, or both are, the order is in doubt until x speaks
// after y had begun. Of one SIM two may live for a while (a handover): the one
// that began later counts, the other must speak again.
//
// Different nodes are never ordered. But who ended is asked about: x must have
// spoken after the end by our clock, whoever it was that ended, unless it is
// the same source's session of the same SIM, and surely the former one.
func (m *Memory) Against(x *Session, xHold Hold, y *Session, yHold Hold) (Effect, clock.Bound, binding.Reason) {
	end, over := m.EndOf(y)
	if m.Root(x.Node) != m.Root(y.Node) {
		return m.acrossNodes(x, y, end, over)
	}
	if m.SourceOf(x.Node) == binding.SourceFeed {
		return Nothing, clock.Bound{}, 0 // its site has judged
	}
	if m.OneSIM(x, y) {
		switch {
		case over && y.Flags&Stopped == 0 && sameID(x, y):
			// It took the place of y, or is y.
		case x.Contexts != 0 && y.Contexts != 0 && x.Contexts&y.Contexts == 0:
			// Secondary contexts share the address (3GPP TS 29.061).
		case clock.Before(x.BegunBy, y.BegunFrom) && !clock.Before(y.BegunBy, xHold.At):
			return Doubts, y.BegunBy, binding.ReasonEnding
		case over && !clock.Before(y.BegunBy, x.BegunFrom) && !clock.Before(end, xHold.At):
			return Doubts, end, binding.ReasonEnding
		}
		return Nothing, clock.Bound{}, 0
	}
	xOver, yOver := clock.Before(xHold.By, yHold.At), clock.Before(yHold.By, xHold.At)
	switch {
	case xOver && !yOver:
		return Ends, y.Last, binding.ReasonEnded
	case yOver && !xOver:
		return Nothing, clock.Bound{}, 0
	case xOver && !over:
		return Doubts, clock.Upper(y.Last, x.Last), binding.ReasonConflict // the node contradicts itself
	case xOver && clock.Before(end, xHold.At):
		return Nothing, clock.Bound{}, 0
	case xOver:
		return Doubts, end, binding.ReasonOrder
	case over:
		return Doubts, yHold.By, binding.ReasonOrder
	}
	return Doubts, yHold.By, binding.ReasonConflict
}

// TwoStays reports of sessions at different nodes of one source, of which one does
// not say whose it is, that they are not one stay of one SIM told twice. Of
// different sources they may be: what observes the user plane names nobody, ever.
func (m *Memory) TwoStays(x, y *Session) bool {
	return (x.Sub == 0) != (y.Sub == 0) && m.Root(x.Node) != m.Root(y.Node) && m.SourceOf(x.Node) == m.SourceOf(y.Node)
}

// acrossNodes is Against for sessions of different nodes.
func (m *Memory) acrossNodes(x, y *Session, end clock.Bound, over bool) (Effect, clock.Bound, binding.Reason) {
	agree := Agree(m.Identity(x), m.Identity(y)) && !m.TwoStays(x, y)
	if !over && !agree {
		return Opposes, clock.Bound{}, binding.ReasonConflict
	}
	if !over {
		end, over = m.MayHaveEnded(y)
	}
	if !over || y.Untold() {
		return Nothing, clock.Bound{}, 0
	}
	if !agree && m.SourceOf(y.Node) != binding.SourceFeed {
		end = clock.Upper(end, y.Last) // what it said last may be of one that has its id by now
	}
	end.Epoch = 0 // only our clock is both nodes'
	source := m.SourceOf(x.Node)
	handover := source == m.SourceOf(y.Node) && source != binding.SourceFeed && m.OneSIM(x, y)
	if clock.Before(end, x.HeldAt) || handover && y.BegunBy.Our < x.BegunFrom.Our {
		return Nothing, clock.Bound{}, 0
	}
	return Doubts, end, binding.ReasonEnding
}
