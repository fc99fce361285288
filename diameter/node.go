package diameter

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding"
)

const (
	// maxNodes bounds the hosts that are remembered.
	maxNodes = 8192
	// maxPaths bounds the peers through which one host is heard.
	maxPaths = 16
	// maxShared bounds the list of hosts that are heard through two owners.
	maxShared = 64
)

// A NodeName names a node: its Origin-Host, and who brings it, as
// [binding.Event] has it.
type NodeName struct{ Owner, Node string }

// A node is a host that owns sessions, as one owner brings it: the Origin-Host
// of requests, which is the peer itself or stands behind it.
type node struct {
	owner, name string
	// speaks: sessions came under this name, so that the Registry knows it; known:
	// it did so before we started.
	speaks, known bool
	// passed is the Origin-State-Id that the Registry was given last, zero if
	// none was.
	passed atomic.Uint32
	owed   *binding.Event // a NodeRestart that it did not take yet
	paths  []*peer        // through which the host was heard
	down   atomic.Bool
}

// newer reports an Origin-State-Id that the Registry has to be told, as it may
// have sessions of a smaller one.
func (nd *node) newer(state uint32) bool {
	passed := nd.passed.Load()
	return state > passed && (passed != 0 || nd.known)
}

// current reports that hear would change nothing.
func (nd *node) current(owner, name string) bool {
	return nd != nil && nd.name == name && nd.owner == owner && !nd.down.Load()
}

// pass notes that the Registry was given an Origin-State-Id.
func (nd *node) pass(state uint32) {
	for {
		old := nd.passed.Load()
		if state <= old || nd.passed.CompareAndSwap(old, state) {
			return
		}
	}
}

// leadsVia notes a path to a node. Those that are not open give way when there
// are too many. The caller holds the mutex.
func (nd *node) leadsVia(via *peer) {
	if slices.Contains(nd.paths, via) {
		return
	}
	if len(nd.paths) == maxPaths {
		nd.paths = slices.DeleteFunc(nd.paths, func(p *peer) bool { return !p.isOpen() })
	}
	if len(nd.paths) < maxPaths {
		nd.paths = append(nd.paths, via)
	}
}

// nodes knows through whom each node is heard, and what the Registry was told
// of its state. All connections share it.
type nodes struct {
	submit func(binding.Event) error

	mu     sync.Mutex
	byName map[string][]*node // one for each owner
	count  int
}

func newNodes(submit func(binding.Event) error) *nodes {
	return &nodes{submit: submit, byName: map[string][]*node{}}
}

// find is a node that is known, or nil. The caller holds the mutex.
func (n *nodes) find(owner, name string) *node {
	for _, nd := range n.byName[name] {
		if nd.owner == owner {
			return nd
		}
	}
	return nil
}

// get finds or makes a node; nil if there are too many. The caller holds the
// mutex.
func (n *nodes) get(owner, name string) *node {
	nd := n.find(owner, name)
	if nd == nil && n.count < maxNodes {
		nd = &node{owner: owner, name: name}
		n.byName[name] = append(n.byName[name], nd)
		n.count++
	}
	return nd
}

// expect makes nodes that were not heard yet, though the Registry has sessions
// of theirs.
func (n *nodes) expect(list []NodeName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range list {
		if nd := n.get(k.Owner, k.Node); nd != nil {
			nd.speaks, nd.known = true, true
		}
	}
}

// hear notes that a node spoke through a peer; speaks says that it did so of a
// session. The node is nil if there are too many.
func (n *nodes) hear(owner, name string, via *peer, speaks bool, now time.Time) *node {
	n.mu.Lock()
	defer n.mu.Unlock()
	nd := n.get(owner, name)
	if nd == nil {
		return nil
	}
	nd.speaks = nd.speaks || speaks
	nd.leadsVia(via)
	if nd.down.Load() {
		nd.down.Store(n.tell(binding.NodeUp, nd, now) != nil)
	}
	return nd
}

// regain notes that a peer is back that led to nodes before we started: those of
// its owner that were not heard since, and that it may speak for. That it leads
// to them still is as likely as it was before.
func (n *nodes) regain(owner string, via *peer, allows func(node string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, list := range n.byName {
		for _, nd := range list {
			if nd.owner == owner && nd.known && !slices.ContainsFunc(nd.paths, (*peer).isOpen) && allows(nd.name) {
				nd.leadsVia(via)
			}
		}
	}
}

// restarted passes on an Origin-State-Id that no event of a session brings, as
// a NodeRestart, if it differs from the last one. A smaller one counts only if
// the node shows it anew, in opening a connection: it must not be smaller than
// before (RFC 6733 section 8.16), but is when the node was replaced, or lost its
// clock. The error is that of a smaller one that the Registry did not take; a
// larger one is told again.
func (n *nodes) restarted(ev binding.Event, anew bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	nd := n.find(ev.Owner, ev.Node)
	if nd == nil || !nd.speaks || ev.OriginState == 0 {
		return nil
	}
	passed := nd.passed.Load()
	if ev.OriginState == passed || ev.OriginState < passed && !anew {
		return nil
	}
	err := n.submit(ev)
	switch {
	case err == nil:
		nd.passed.Store(ev.OriginState)
		nd.owed = nil
	case ev.OriginState > passed:
		nd.owed, err = &ev, nil
	}
	return err
}

// leave takes a peer off the paths of an owner's nodes, for whom it does not
// speak any more.
func (n *nodes) leave(owner string, via *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, list := range n.byName {
		for _, nd := range list {
			if nd.owner == owner {
				nd.paths = slices.DeleteFunc(nd.paths, func(p *peer) bool { return p == via })
			}
		}
	}
}

// paths are the peers through which a host was heard, whoever brought it.
func (n *nodes) paths(name []byte) (list []*peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, nd := range n.byName[string(name)] {
		list = append(list, nd.paths...)
	}
	return list
}

// shared lists hosts whose sessions are heard through two owners, by name.
func (n *nodes) shared() (list []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, nodes := range n.byName {
		owners := 0
		for _, nd := range nodes {
			if nd.speaks && len(nd.paths) > 0 {
				owners++
			}
		}
		if owners > 1 {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list[:min(len(list), maxShared)]
}

// judge tells the Registry of nodes that no open peer leads to any more, and of
// those that one leads to again (rule T8). It ends nothing. What the Registry
// does not take is told again with the next call.
func (n *nodes) judge(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, list := range n.byName {
		for _, nd := range list {
			n.settle(nd)
			open := slices.ContainsFunc(nd.paths, (*peer).isOpen)
			switch down := nd.down.Load(); {
			case down && open:
				nd.down.Store(n.tell(binding.NodeUp, nd, now) != nil)
			case !down && !open:
				nd.down.Store(n.tell(binding.NodeDown, nd, now) == nil)
			}
		}
	}
}

// settle tells of a restart that is owed, unless a session's event brought its
// Origin-State-Id since.
func (n *nodes) settle(nd *node) {
	switch {
	case nd.owed == nil:
	case nd.passed.Load() >= nd.owed.OriginState:
		nd.owed = nil
	case n.submit(*nd.owed) == nil:
		nd.pass(nd.owed.OriginState)
		nd.owed = nil
	}
}

// tell leaves out nodes of which the Registry has no session.
func (n *nodes) tell(kind binding.Kind, nd *node, now time.Time) error {
	if !nd.speaks {
		return nil
	}
	return n.submit(binding.Event{Kind: kind, Source: binding.SourceGx, Owner: nd.owner, Node: nd.name, Arrived: now})
}
