package radius

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/simbind/simbind/binding"
)

const (
	// maxNodes bounds the names of nodes that are remembered.
	maxNodes = 8192
	// remembered is for how long a name is, of a node that cannot be lost.
	remembered = time.Hour
)

// A nodeName is the name of a node of one owner: two owners that use one name
// are two nodes.
type nodeName struct{ owner, name string }

// A node is what is remembered of a name: when it was heard. Which names are
// one NAS is the Registry's to know; here it only means that a NAS which goes
// on under another one of its names is not lost.
type node struct {
	speaks  bool          // it was the node of a request, not only a second name
	timeout time.Duration // of the client that it was last heard by; zero: it cannot be lost
	heard   time.Time     // when, by this name
	beside  time.Time     // when, as the second name of another node
	also    *node         // its own second name, nil for none
	down    bool          // the Registry was told so
}

// last is when the NAS was last heard, by any of its names.
func (nd *node) last() time.Time {
	last := later(nd.heard, nd.beside)
	if nd.also != nil {
		last = later(last, nd.also.heard)
	}
	return last
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// nodes knows when each node was heard. All lanes share it.
type nodes struct {
	submit binding.SubmitFunc

	mu    sync.Mutex
	known map[nodeName]*node
}

func newNodes(submit binding.SubmitFunc) *nodes {
	return &nodes{submit: submit, known: map[nodeName]*node{}}
}

// heard remembers that the NAS of a client's request spoke.
func (n *nodes) heard(c *client, who nas, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := nodeName{c.owner, who.node}
	nd := n.named(name)
	if nd == nil {
		return
	}
	nd.speaks, nd.timeout, nd.heard = true, c.LossTimeout, later(nd.heard, now)
	n.judge(name, nd, now)
	if who.also == "" {
		return
	}
	name.name = who.also
	if other := n.named(name); other != nil {
		nd.also, other.beside = other, later(other.beside, now)
		n.judge(name, other, now)
	}
}

// alive notes a sign of life (Status-Server) of a NAS that spoke before. It
// makes no node: proxies send it under names of their own.
func (n *nodes) alive(c *client, who nas, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := nodeName{c.owner, who.node}
	if nd := n.known[name]; nd != nil {
		nd.heard = later(nd.heard, now)
		n.judge(name, nd, now)
	}
}

// named finds a name, or makes it; it is nil when there is no more room.
func (n *nodes) named(name nodeName) *node {
	nd := n.known[name]
	if nd == nil && len(n.known) < maxNodes {
		nd = &node{}
		n.known[name] = nd
	}
	return nd
}

// judge tells the Registry of a node that has been silent for too long, and of
// one that is heard again. What it does not take is told again.
func (n *nodes) judge(name nodeName, nd *node, now time.Time) {
	lost := nd.timeout > 0 && now.Sub(nd.last()) >= nd.timeout
	if !nd.speaks || lost == nd.down {
		return
	}
	kind := binding.NodeUp
	if lost {
		kind = binding.NodeDown
	}
	ev := binding.Event{Kind: kind, Source: binding.SourceRADIUS, Owner: name.owner, Node: name.name, Arrived: now}
	if n.submit(ev) == nil {
		nd.down = lost
	}
}

// sweep looks for nodes that have been silent for too long, and forgets names
// that have been and cannot be lost.
func (n *nodes) sweep(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, nd := range n.known {
		n.judge(name, nd, now)
		if !nd.down && (!nd.speaks || nd.timeout == 0) && now.Sub(nd.last()) >= remembered {
			delete(n.known, name)
		}
	}
}

// spoken has the owners of each node that was heard of late.
func (n *nodes) spoken(now time.Time) map[string][]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	owners := map[string][]string{}
	for name, nd := range n.known {
		if nd.speaks && now.Sub(nd.heard) < remembered {
			owners[name.name] = append(owners[name.name], name.owner)
		}
	}
	return owners
}

// A SharedName is the name of a node that several owners speak for. To the
// Registry it is a node of each of them. Where they are the ways of one NAS,
// their clients belong in one group; where not, Client.Nodes keeps them apart.
type SharedName struct {
	Node   string
	Owners []string // groups, or names of clients without one; sorted
}

// SharedNames are the names of nodes that more than one owner has spoken for
// within the last hour, as far as the clients of now still may; sorted.
func (s *Server) SharedNames() []SharedName {
	table := s.clients.Load()
	var list []SharedName
	for name, owners := range s.nodes.spoken(s.now()) {
		owners = slices.DeleteFunc(owners, func(owner string) bool { return !table.mayBring(owner, name) })
		if len(owners) > 1 {
			slices.Sort(owners)
			list = append(list, SharedName{name, owners})
		}
	}
	slices.SortFunc(list, func(a, b SharedName) int { return strings.Compare(a.Node, b.Node) })
	return list
}
