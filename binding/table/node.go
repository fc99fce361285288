package table

import (
	"strings"
	"sync/atomic"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
)

// Words of a node's record.
const (
	NodeRestarts    = iota // how many restarts were told
	NodeRestartFrom        // bounds of the last restart, packed; 0 if there was none
	NodeRestartBy
	NodeRestart  // unix ms, for people; of a followed site, ours: what was not told since has ended
	NodeDown     // unix ms since when it is lost, 0 if it is not
	NodeHeard    // unix ms of the last event
	NodeSessions // living sessions
	NodeEvents
	NodeWhat    // Source | flags << 8 | unix ms since when it is observed << 16
	NodeSame    // the node that this one is another name of, 0 if it is itself
	NodeCurrent // of a followed site: 1 while all its news was heard
	NodeWhole   // of a followed site: unix ms of its last heartbeat by which all its news was heard
	NodeTold    // of a followed site: unix ms of what it told last
	NodeAnew    // of a followed site: unix ms since when it tells all anew, 0 if it does not
	NodeOffset  // ms that its clock is ahead of ours, shifted by 1 << 62; 0 if that is not known
	nodeSlots   // of its clock's epochs: our ms since when each has its present meaning
	nodeWords   = nodeSlots + clock.Slots
)

// Flags of a node, in NodeWhat.
const (
	NodeObserved = 1 << 8  // only overheard: what we miss is not repeated
	NodeDirect   = 1 << 9  // it spoke to us since the daemon started
	NodeTimeless = 1 << 10 // its words tell no time
)

// A NodeName says which node a record is of.
type NodeName struct {
	Source binding.Source
	Owner  string // see binding.Event
	Name   string
	// Plain: it was known before owners were, and its sessions are named without
	// one.
	Plain bool
}

// NodeNames is the list of known nodes by id; the first entry is nobody's.
type NodeNames []NodeName

// Of is the name of a node; zero if there is none.
func (names NodeNames) Of(id uint16) NodeName {
	if int(id) < len(names) {
		return names[id]
	}
	return NodeName{}
}

// Fold is the Gx node whose name is the same but for case, zero if there is none:
// a DiameterIdentity is a domain name (RFC 6733 section 4.3.1).
func (names NodeNames) Fold(name NodeName) uint16 {
	if name.Source != binding.SourceGx {
		return 0
	}
	for id, known := range names {
		if known.Source == name.Source && strings.EqualFold(known.Name, name.Name) && strings.EqualFold(known.Owner, name.Owner) {
			return uint16(id)
		}
	}
	return 0
}

// Node reads one word of a node's record; SetNode writes it. Only the writer may
// write, but for who tells of heartbeats.
func (m *Memory) Node(id uint16, word int) uint64 {
	return atomic.LoadUint64(&m.nodes[int(id)*nodeWords+word])
}

// SetNode writes one word of a node's record.
func (m *Memory) SetNode(id uint16, word int, v uint64) {
	atomic.StoreUint64(&m.nodes[int(id)*nodeWords+word], v)
}

// SourceOf is the source of a node.
func (m *Memory) SourceOf(id uint16) binding.Source { return binding.Source(m.Node(id, NodeWhat)) }

// Root is the node that a node is another name of, or itself: sessions of both
// are one node's, which has one clock and one last restart.
func (m *Memory) Root(id uint16) uint16 {
	if same := m.Node(id, NodeSame); same != 0 {
		return uint16(same)
	}
	return id
}

// SlotSince is since when a slot of the clock's epochs has its present meaning
// for the sessions of a node.
func (m *Memory) SlotSince(id uint16, slot uint8) int64 {
	return int64(m.Node(id, nodeSlots+int(slot)))
}

// SetSlotSince says so. Writer only.
func (m *Memory) SetSlotSince(id uint16, slot uint8, ms int64) {
	m.SetNode(id, nodeSlots+int(slot), uint64(ms))
}

// RestartBy is the upper bound of a node's last restart; false if it told none.
func (m *Memory) RestartBy(root uint16) (clock.Bound, bool) {
	w := m.Node(root, NodeRestartBy)
	if w == 0 {
		return clock.Bound{}, false
	}
	return m.bound(root, w), true
}

// RestartFrom is its lower bound.
func (m *Memory) RestartFrom(root uint16) clock.Bound {
	return m.bound(root, m.Node(root, NodeRestartFrom))
}

// lost: rule T8.
func (m *Memory) lost(id uint16, now, timeout int64) bool {
	down := int64(m.Node(id, NodeDown))
	return down != 0 && now-down > timeout
}

// Degraded is since when (unix ms) news of a node is missing, 0 if none is. It
// ends when every session of before has either spoken again or run out.
func (m *Memory) Degraded(id uint16, now int64, t *Times) int64 {
	what := m.Node(id, NodeWhat)
	_, loss := m.Overheard()
	since := int64(what >> 16)
	if what&NodeObserved == 0 || loss == 0 || loss < since || now > loss+t.Lease+t.Grace {
		return 0
	}
	return loss
}
