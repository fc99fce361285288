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
)

// A node is a host that owns sessions: the Origin-Host of requests, which is
// the peer itself or stands behind it.
type node struct {
	name string
	// speaks: sessions came under this name, so that the Registry knows it.
	speaks bool
	// state is the largest Origin-State-Id heard, zero if none.
	state   atomic.Uint32
	restart atomic.Int64 // unix ms when the state grew last, zero if it did not
	// owed is a larger state of which the Registry still has to be told.
	owed  atomic.Uint32
	paths []*peer // through which it was heard
	down  atomic.Bool
}

// nodes knows the state of each node, and through whom it is heard. All
// connections share it.
type nodes struct {
	submit func(binding.Event) error
	states *states

	mu     sync.Mutex
	byName map[string]*node
}

func newNodes(submit func(binding.Event) error, states *states) *nodes {
	return &nodes{submit: submit, states: states, byName: map[string]*node{}}
}

// expect makes nodes that were not heard yet, though the Registry has sessions
// of theirs, with the states that are kept of them.
func (n *nodes) expect(names []string) {
	kept := n.states.all()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range names {
		if n.byName[name] == nil && len(n.byName) < maxNodes {
			nd := &node{name: name, speaks: true}
			nd.state.Store(kept[name])
			n.byName[name] = nd
		}
	}
}

// hear notes that a node spoke through a peer, with an Origin-State-Id or
// zero; speaks says that it did so of a session. If that tells of a restart, the Registry is told first; an error means
// that it did not take it, and the request must not be taken either. The node
// is nil if there are too many.
func (n *nodes) hear(name string, via *peer, state uint32, speaks bool, now time.Time) (*node, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nd := n.byName[name]
	if nd == nil {
		if len(n.byName) >= maxNodes {
			return nil, nil
		}
		nd = &node{name: name}
		n.byName[name] = nd
	}
	nd.speaks = nd.speaks || speaks
	if err := n.advance(nd, max(state, nd.owed.Load()), now); err != nil {
		return nil, err
	}
	nd.leadsVia(via)
	if nd.down.Load() {
		nd.down.Store(n.tell(binding.NodeUp, nd, now) != nil)
	}
	return nd, nil
}

// leadsVia notes a path to a node. The caller holds the mutex. Those that are
// not open give way when there are too many.
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

// advance takes an Origin-State-Id; zero tells nothing.
func (n *nodes) advance(nd *node, state uint32, now time.Time) error {
	old := nd.state.Load()
	if state <= old {
		return nil
	}
	if old != 0 {
		nd.owed.Store(state)
		if err := n.tellRestart(nd, state, now); err != nil {
			return err
		}
		nd.restart.Store(now.UnixMilli())
	}
	if old == 0 {
		n.states.keep(nd.name, state)
	}
	nd.state.Store(state)
	nd.owed.Store(0)
	return nil
}

// setBack is told of each connection that a node opens itself. Its
// Origin-State-Id must not be smaller than before (RFC 6733 section 8.16), but
// is when the node was replaced, or lost its clock. That is a restart too:
// else all that it says from now on would count as said before its last one.
func (n *nodes) setBack(name string, state uint32, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	nd := n.byName[name]
	if nd == nil || state == 0 || state >= nd.state.Load() {
		return nil
	}
	if err := n.tellRestart(nd, state, now); err != nil {
		return err
	}
	nd.restart.Store(now.UnixMilli())
	nd.state.Store(state)
	nd.owed.Store(0)
	return nil
}

// current reports that hear would change nothing.
func (nd *node) current(name string, state uint32) bool {
	return nd != nil && nd.name == name && (state == 0 || state == nd.state.Load()) && !nd.down.Load() && nd.owed.Load() == 0
}

// paths are the peers through which a host was heard.
func (n *nodes) paths(name []byte) []*peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	if nd := n.byName[string(name)]; nd != nil {
		return slices.Clone(nd.paths)
	}
	return nil
}

// judge tells the Registry of nodes that no open peer leads to any more, and of
// those that one leads to again (rule T8). It ends nothing. What the Registry
// does not take is told again with the next call.
func (n *nodes) judge(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, nd := range n.byName {
		_ = n.advance(nd, nd.owed.Load(), now) // if not, the next time
		open := slices.ContainsFunc(nd.paths, (*peer).isOpen)
		switch down := nd.down.Load(); {
		case down && open:
			nd.down.Store(n.tell(binding.NodeUp, nd, now) != nil)
		case !down && !open:
			nd.down.Store(n.tell(binding.NodeDown, nd, now) == nil)
		}
	}
}

// tell leaves out nodes of which the Registry has no session.
func (n *nodes) tell(kind binding.Kind, nd *node, now time.Time) error {
	if !nd.speaks {
		return nil
	}
	ev := binding.Event{Kind: kind, Source: binding.SourceGx, Node: nd.name, Time: now, Arrived: now}
	return n.submit(ev)
}

// tellRestart says that a node restarted, and has that Origin-State-Id now.
func (n *nodes) tellRestart(nd *node, state uint32, now time.Time) error {
	if !nd.speaks {
		n.states.keep(nd.name, state)
		return nil
	}
	token := n.states.await(nd.name, state)
	err := n.submit(binding.Event{
		Kind: binding.NodeRestart, Source: binding.SourceGx, Node: nd.name, Time: now, Arrived: now, Ack: n.states, Token: token,
	})
	if err != nil {
		n.states.Acknowledge(token, err) // nobody else will
	}
	return err
}
