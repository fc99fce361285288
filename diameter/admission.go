package diameter

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// An admission says who may connect, and what it may say. It can change while
// connections are open.
type admission struct {
	mu    sync.Mutex // held while connections are given their entries
	peers atomic.Pointer[[]Peer]
}

// nobody is the entry of a peer that is not admitted any more: it may speak for
// no node, as none has an empty name.
var nobody = &Peer{Nodes: []string{""}}

// ruleFor finds the entry of a peer, or nil. Nobody is admitted who calls
// itself like a group that it is not of: it would be taken for its owner.
func (a *admission) ruleFor(host, realm string, from netip.Addr) *Peer {
	list := *a.peers.Load()
	i := slices.IndexFunc(list, func(p Peer) bool { return p.admits(host, realm, from) })
	if i < 0 {
		return nil
	}
	rule := &list[i]
	if !strings.EqualFold(rule.Group, host) && slices.ContainsFunc(list, func(p Peer) bool { return strings.EqualFold(p.Group, host) }) {
		return nil
	}
	return rule
}

// SetPeers replaces Config.Peers, which must not be changed any more. It counts
// for the next request of peers that are connected; those that no entry admits
// any more are asked to disconnect (RFC 6733 section 5.4) and not believed any
// longer. Connections to upstreams stay. What was learned stays too: it grows
// stale as that of any node that is gone.
func (s *Server) SetPeers(list []Peer) {
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	s.admission.peers.Store(&list)
	for _, one := range s.peers.list() {
		// Who is being admitted looks again itself.
		if c := one.conn.Load(); c != nil && c.ready() {
			c.reconsider(one)
		}
	}
}

// settle looks at the entries again now that SetPeers knows this connection.
func (c *conn) settle(one *peer) {
	c.server.admission.mu.Lock()
	defer c.server.admission.mu.Unlock()
	c.reconsider(one)
}

// reconsider gives the connection of a peer its entry; the caller holds the
// mutex.
func (c *conn) reconsider(one *peer) {
	if c.initiator {
		return
	}
	owner := c.owner()
	rule := c.server.admission.ruleFor(one.host, *one.realm.Load(), c.from)
	if rule == nil {
		c.log.Warn("the peer is not admitted any more", "host", one.host)
		c.rule.Store(nobody)
		c.disconnect(causeUnwanted)
		return
	}
	if c.rule.Store(rule); c.owner() != owner {
		c.server.nodes.leave(owner, one)
	}
}
