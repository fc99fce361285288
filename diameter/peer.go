package diameter

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxPeers bounds the hosts that ever connected.
const maxPeers = 4096

// A peer is a host that is, or was, connected.
type peer struct {
	host   string
	name   string // host in lower case
	realm  atomic.Pointer[string]
	counts peerCounts

	conn  atomic.Pointer[conn] // that is open, or nil
	since atomic.Int64         // unix ms, of being open or not
	state atomic.Uint32        // Origin-State-Id, zero if it tells none
	trip  atomic.Int64         // ns, of the last watchdog
	fails atomic.Bool          // its last connection failed (RFC 3539: reopen)
}

func (p *peer) isOpen() bool { return p.conn.Load() != nil }

// peers are the hosts by name, in lower case. Connections come and go under
// the mutex, so that a host has one at most.
type peers struct {
	self []byte // our Origin-Host in lower case

	mu     sync.Mutex
	byHost map[string]*peer
}

func newPeers(self string) *peers {
	return &peers{self: []byte(strings.ToLower(self)), byHost: map[string]*peer{}}
}

// list is every peer, in no order.
func (p *peers) list() []*peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*peer, 0, len(p.byHost))
	for _, one := range p.byHost {
		all = append(all, one)
	}
	return all
}

// get finds or makes the peer of a host; nil if there are too many.
func (p *peers) get(host string) *peer {
	key := strings.ToLower(host)
	one := p.byHost[key]
	if one == nil && len(p.byHost) < maxPeers {
		one = &peer{host: host, name: key}
		p.byHost[key] = one
	}
	return one
}

// find is the peer of a host that is known, or nil.
func (p *peers) find(host []byte) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.byHost[string(host)]; one != nil {
		return one
	}
	return p.byHost[strings.ToLower(string(host))]
}

// open makes c the connection of the peer that it leads to. A host has one
// connection (RFC 6733 section 2.1): if another is open, it stays unless it is
// known to be dead, or c tells of a restart since. Then the one that loses the
// election is to be closed.
func (p *peers) open(c *conn, host, realm string, state uint32, now time.Time) (one *peer, loser *conn, result resultCode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one = p.get(host)
	if one == nil {
		return nil, nil, resultUnknownPeer
	}
	old := one.conn.Load()
	if old != nil && !p.replaces(c, old, state) {
		return one, old, resultElectionLost
	}
	one.conn.Store(c)
	one.realm.Store(&realm)
	one.since.Store(now.UnixMilli())
	one.state.Store(state)
	return one, old, resultSuccess
}

// replaces reports whether c takes the place of the open connection old.
func (p *peers) replaces(c, old *conn, state uint32) bool {
	switch {
	case old.suspect() || old.ended() || old.leaving.Load():
		return true
	case state != 0 && old.peer.state.Load() != 0 && state > old.peer.state.Load():
		return true // it restarted: nobody is at the other end of the old one
	case c.initiator == old.initiator:
		return false
	}
	// Each side opened one: the election of RFC 6733 section 5.6.4. Whose
	// Origin-Host is higher keeps the connection that it accepted.
	win := bytes.Compare(p.self, []byte(strings.ToLower(old.peer.host))) > 0
	return win != c.initiator
}

// closed notes that c ended. It reports whether c was still its peer's
// connection.
func (p *peers) closed(c *conn, failed bool, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.peer.conn.CompareAndSwap(c, nil) {
		return false
	}
	c.peer.since.Store(now.UnixMilli())
	c.peer.fails.Store(failed)
	return true
}
