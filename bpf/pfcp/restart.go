package pfcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/silence"
)

// Who a session belongs to. A Node ID is what a control plane function calls
// itself: anybody can, and two of one name are common where configuration was
// copied. So the owner is the address from which a session was asked for, and to
// which the user plane function granted it; the node is that and the Node ID.
//
// The owner of a session is settled when it begins. A member of an SMF set that
// takes it over (3GPP TS 23.527 clause 4.3.3), or another address of the same
// function, says what becomes of it from then on, under the same name.
//
// A function that speaks from several addresses is several nodes, unless they
// are named as a group. Nothing falls apart by that: each session is ended by
// its own release, and restarts are looked for by function, not by node. Only
// what the Registry would conclude itself needs one node: that a session is over
// when another one begins on its address.

// A node is one as the Registry knows it.
type node struct{ owner, name string }

func nodeOf(s *entry) node { return node{s.Data.owner, s.Node} }

func (n node) event(kind binding.Kind, at time.Time) binding.Event {
	return binding.Event{Kind: kind, Source: binding.SourcePFCP, Owner: n.owner, Node: n.name, Arrived: at}
}

// A peer is one PFCP entity, by the address that it speaks from.
type peer struct {
	owner    string
	name     string // its Node ID, as somebody accepted it
	recovery uint32
	known    bool // the Recovery Time Stamp
	heard    time.Time
	// pulses are of the nodes whose sessions it controls.
	pulses []*silence.Pulse[node]
}

const (
	maxPeers  = 1 << 14
	maxPulses = 64
	// staleRecovery is how long after a Recovery Time Stamp an older one may be
	// a message that was overtaken (3GPP TS 23.007 clause 19A).
	staleRecovery = 5 * time.Second
)

// peer finds or makes the peer at an address; nil if there are too many.
func (f *Follower) peer(at netip.Addr) *peer {
	p := f.peers[at]
	if p != nil {
		return p
	}
	if len(f.peers) >= maxPeers {
		f.counts.Refused++
		return nil
	}
	p = &peer{owner: f.groups.Owner(at)}
	f.peers[at] = p
	return p
}

// named notes a Node ID that was accepted.
func (f *Follower) named(at netip.Addr, name string) {
	if p := f.peer(at); p != nil && name != "" {
		p.name = name
	}
}

// controls notes that the sessions of a node are controlled from an address: what
// is heard from there is a sign of life of that node.
func (f *Follower) controls(cp netip.Addr, n node) {
	p := f.peer(cp)
	if p == nil {
		return
	}
	pulse := f.nodes[n]
	if pulse == nil {
		if pulse = f.watch.Add(n); pulse == nil {
			return
		}
		f.nodes[n] = pulse
	}
	if len(p.pulses) < maxPulses && !slices.Contains(p.pulses, pulse) {
		p.pulses = append(p.pulses, pulse)
	}
}

// heardOrNot tells that a node fell silent, or spoke again (rule T8).
func (f *Follower) heardOrNot(n node, silent bool, at time.Time) {
	kind := binding.NodeUp
	if silent {
		kind = binding.NodeDown
	}
	f.tell(n.event(kind, at))
}

// heard reads what a message says of its sender.
func (f *Follower) heard(from netip.Addr, m *message) {
	p := f.peers[from]
	if p == nil && m.recovers {
		p = f.peer(from)
	}
	if p == nil {
		return
	}
	for _, pulse := range p.pulses {
		f.watch.Heard(pulse, f.now, m.kind == heartbeatRequest || m.kind == heartbeatResponse)
	}
	// Session Retention Information says that sessions outlived the restart.
	if m.recovers && p.restarted(m.recovery, f.now) && !m.retention {
		f.counts.Restarts++
		f.restartOf(from, p)
	}
}

// restarted notes a Recovery Time Stamp and reports whether it tells of a
// restart. An older one is an overtaken message, unless the newer one was last
// heard too long ago for that.
func (p *peer) restarted(recovery uint32, now time.Time) bool {
	had, known, quiet := p.recovery, p.known, now.Sub(p.heard)
	if known && int32(recovery-had) < 0 && quiet < staleRecovery {
		return false
	}
	p.recovery, p.known, p.heard = recovery, true, now
	return known && recovery != had
}

// by reports whether the function at an address controls a session: from there,
// or from another address that began it under the same Node ID and never told a
// Recovery Time Stamp of its own, which a function of its own would.
func (f *Follower) by(at netip.Addr, s *entry) bool {
	if s.Data.cp == at || s.Data.taken {
		return s.Data.cp == at
	}
	p, other := f.peers[at], f.peers[s.Data.cp]
	return p != nil && p.known && p.name == s.Node && (other == nil || !other.known)
}

// between reports that a session is between the functions at two addresses.
func (f *Follower) between(a, b netip.Addr, s *entry) bool {
	return s.Data.up == b && f.by(a, s) || s.Data.up == a && f.by(b, s)
}

// restartOf ends the sessions of a function that restarted, one by one. Those of
// a node end at once, if no other function has some of them, which took them
// over.
func (f *Follower) restartOf(from netip.Addr, p *peer) {
	n := node{p.owner, p.name}
	gone := func(s *entry) bool { return s.Data.up == from || f.by(from, s) }
	whole := f.nodes[n] != nil
	f.sessions.All(func(s *entry) { whole = whole && (nodeOf(s) != n || gone(s)) })
	f.endAll(f.now, func(s *entry) bool {
		if whole && nodeOf(s) == n {
			f.sessions.Remove(s)
			return false
		}
		return gone(s)
	})
	if whole {
		f.tell(n.event(binding.NodeRestart, f.now))
	}
}
