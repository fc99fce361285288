package radius

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/simbind/simbind/binding"
)

const (
	// maxNodes bounds the names and addresses of NAS that are remembered.
	maxNodes = 8192
	// maxLinks bounds how many names one address has, and the reverse.
	maxLinks = 64
)

// A node is a name under which sessions are known: a NAS-Identifier or an
// address. Those that came in one request are linked: they are one NAS.
type node struct {
	name   string
	speaks bool // sessions came under this name
	links  []*node
	client *client   // that it was last heard by
	heard  time.Time // when
	down   bool      // the Registry was told so
}

// nodes knows under which names each NAS is known, and when it was heard. All
// lanes share it.
type nodes struct {
	submit binding.SubmitFunc

	mu     sync.Mutex
	byName map[string]*node
	byAddr map[netip.Addr]*node
}

func newNodes(submit binding.SubmitFunc) *nodes {
	return &nodes{submit: submit, byName: map[string]*node{}, byAddr: map[netip.Addr]*node{}}
}

// heard names the node of a request and remembers that it spoke, unless the
// client may not speak for it.
func (n *nodes) heard(f *fields, from netip.Addr, c *client, now time.Time) (name string, ok bool) {
	if len(c.nodes) > 0 {
		if name = nodeName(f, from); !c.allows(name) {
			return name, false
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	nd := n.speaker(f, from)
	if nd == nil {
		return nodeName(f, from), true
	}
	nd.speaks, nd.client = true, c
	n.hearFrom(nd, now)
	return nd.name, true
}

// alive notes a sign of life (Status-Server) of a NAS that spoke before. It
// makes no node: proxies send it under names of their own.
func (n *nodes) alive(f *fields, from netip.Addr, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nd := n.named(f, from)
	if nd == nil {
		return
	}
	n.hearFrom(nd, now)
	for _, other := range nd.links {
		n.hearFrom(other, now)
	}
}

func (n *nodes) hearFrom(nd *node, now time.Time) {
	nd.heard = now
	if nd.down {
		up := binding.Event{Kind: binding.NodeUp, Source: binding.SourceRADIUS, Node: nd.name, Time: now, Arrived: now}
		nd.down = n.submit(up) != nil
	}
}

// named finds the node that a request names, or nil.
func (n *nodes) named(f *fields, from netip.Addr) *node {
	if len(f.nasID) > 0 {
		return n.byName[string(f.nasID)]
	}
	if addr, ok := f.nasAddr(); ok {
		from = addr
	}
	return n.byAddr[from]
}

// speaker finds the node of a request and links its names. It is nil when
// there is no more room.
func (n *nodes) speaker(f *fields, from netip.Addr) *node {
	if len(f.nasID) == 0 {
		addr, named := f.nasAddr()
		if !named {
			addr = from
		}
		return n.address(addr)
	}
	nd := n.identifier(f.nasID)
	for _, value := range [2][]byte{f.nas4, f.nas6} {
		addr, named := nasAddress(value)
		if !named || nd == nil {
			continue
		}
		if at := n.address(addr); at != nil {
			link(nd, at)
		}
	}
	return nd
}

func (n *nodes) identifier(id []byte) *node {
	nd := n.byName[string(id)]
	if nd == nil && n.room() {
		nd = &node{name: printable(id)}
		n.byName[string(id)] = nd
	}
	return nd
}

func (n *nodes) address(addr netip.Addr) *node {
	nd := n.byAddr[addr]
	if nd == nil && n.room() {
		nd = &node{name: addr.String()}
		n.byAddr[addr] = nd
	}
	return nd
}

func (n *nodes) room() bool { return len(n.byName)+len(n.byAddr) < maxNodes }

func link(a, b *node) {
	if slices.Contains(a.links, b) || len(a.links) == maxLinks || len(b.links) == maxLinks {
		return
	}
	a.links, b.links = append(a.links, b), append(b.links, a)
}

// family appends the nodes that a restart of the NAS ends: the one that the
// request names; the address of the NAS, where sessions came under that; and,
// if the request gives only an address, every identifier that came with it.
// Identifiers that merely share an address stay apart.
func (n *nodes) family(f *fields, from netip.Addr, self string, list []string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	list = append(list, self)
	nd := n.named(f, from)
	if nd == nil {
		return list
	}
	for _, other := range nd.links {
		if other.speaks && !slices.Contains(list, other.name) {
			list = append(list, other.name)
		}
	}
	return list
}

// sweep tells the Registry of nodes that have been silent for too long. What
// it does not take is told again.
func (n *nodes) sweep(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, nd := range n.byName {
		n.judge(nd, now)
	}
	for _, nd := range n.byAddr {
		n.judge(nd, now)
	}
}

func (n *nodes) judge(nd *node, now time.Time) {
	if !nd.speaks || nd.down || nd.client.LossTimeout == 0 || now.Sub(nd.heard) < nd.client.LossTimeout {
		return
	}
	down := binding.Event{Kind: binding.NodeDown, Source: binding.SourceRADIUS, Node: nd.name, Time: now, Arrived: now}
	nd.down = n.submit(down) == nil
}
