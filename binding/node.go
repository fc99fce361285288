package binding

import "sync/atomic"

// Words of a node's record.
const (
	nodeEpoch    = iota
	nodeRestart  // unix ms, network's time of the last restart; of a followed site, ours: what was not told since has ended
	nodeSpares   // unix ms: sessions of an earlier epoch survive only if they started after this
	nodeDown     // unix ms since when it is lost, 0 if it is not
	nodeHeard    // unix ms of the last event
	nodeSessions // live sessions
	nodeEvents
	nodeSource  // Source | flags << 8 | unix ms since when it is observed << 16
	nodeCurrent // of a followed site: 1 while all its news was heard
	nodeWhole   // of a followed site: unix ms of its last heartbeat by which all its news was heard
	nodeTold    // of a followed site: unix ms of what it told last, see toldAt
	nodeAnew    // of a followed site: unix ms since when it tells all anew, 0 if it does not
	nodeForgot  // unix ms, network's time of the last stop whose tombstone had to make room
)

// Flags of a node.
const (
	nodeObserved = 1 << 8 // only overheard: what we miss is not repeated
	nodeDirect   = 1 << 9 // it spoke to us since the daemon started
)

// A node is the working copy of a node's record.
type node struct {
	epoch    uint32
	source   Source
	observed bool
	restart  int64
	spares   int64
	down     int64
}

func (m *memory) nodeWord(id uint16, w int) *uint64 { return &m.nodes[int(id)*nodeWords+w] }

func (m *memory) loadNode(id uint16, w int) uint64 { return atomic.LoadUint64(m.nodeWord(id, w)) }

func (m *memory) storeNode(id uint16, w int, v uint64) { atomic.StoreUint64(m.nodeWord(id, w), v) }

func (m *memory) node(id uint16) node {
	what := m.loadNode(id, nodeSource)
	return node{
		epoch:    uint32(m.loadNode(id, nodeEpoch)),
		source:   Source(what),
		observed: what&nodeObserved != 0,
		restart:  int64(m.loadNode(id, nodeRestart)),
		spares:   int64(m.loadNode(id, nodeSpares)),
		down:     int64(m.loadNode(id, nodeDown)),
	}
}

// lost: rule T8.
func (n *node) lost(now, timeout int64) bool { return n.down != 0 && now-n.down > timeout }

// nodeKey names a node among the known ones.
type nodeKey struct {
	source Source
	name   string
}

// nodeNames is the list of known nodes by id (index 0 is unused), replaced as a
// whole when one is added.
type nodeNames []nodeKey

func (names nodeNames) of(id uint16) nodeKey {
	if int(id) < len(names) {
		return names[id]
	}
	return nodeKey{}
}
