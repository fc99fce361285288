package gx

import (
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/silence"
)

const (
	// maxNodes bounds the hosts that are remembered.
	maxNodes = 8192
	// maxShowings bounds the connections of which it is remembered what they
	// showed of one host.
	maxShowings = 16
)

// An Origin-State-Id that grew tells that a host restarted, and that all its
// sessions are over (RFC 6733 section 8.16). Who can put one packet on the
// observed wire must not be able to say so for another. Therefore a message
// counts when the other end answered it, within its connection, which one packet
// does not achieve; and beyond that, how soon it is believed depends on what it
// is.
//
// A connection that was just opened, or a request of a session, is the node's own
// business: believed at once. A watchdog goes on where a connection is, so that a
// larger state in one is odd: it is believed when every connection that the
// sender has shows it too, and one that showed a smaller one before does so
// twice. If one of them shows a smaller one again, it is contradicted, and
// forgotten.

// A proof is in what kind of message a state is shown.
type proof uint8

const (
	watchdog      proof = iota // Device-Watchdog, Disconnect-Peer
	creditControl              // a request of a session
	opening                    // Capabilities-Exchange
)

// A nodeKey names a node: its Origin-Host, and who sends under that name.
type nodeKey struct{ owner, host string }

// A node is what is known of a host, as one sender brings it.
type node struct {
	nodeKey
	speaks bool // sessions came under this name, so that the Registry knows it
	// state is the Origin-State-Id that is believed, zero if none; proven, that
	// more than watchdogs told it.
	state  uint32
	proven bool
	// doubt is a larger one that only watchdogs showed, zero if there is none.
	doubt uint32
	shown []showing
}

// A showing is what a connection showed last.
type showing struct {
	link  *link
	state uint32
	times int  // in a row
	rose  bool // from a smaller one
}

// note remembers what a connection shows. It is false if there are too many
// connections.
func (nd *node) note(l *link, state uint32) bool {
	for i := range nd.shown {
		s := &nd.shown[i]
		switch {
		case s.link != l:
			continue
		case s.state == state:
			s.times++
		default:
			*s = showing{l, state, 1, state > s.state}
		}
		return true
	}
	nd.shown = slices.DeleteFunc(nd.shown, func(s showing) bool { return s.link.closed })
	if len(nd.shown) == maxShowings {
		return false
	}
	nd.shown = append(nd.shown, showing{link: l, state: state, times: 1})
	return true
}

// agreed reports whether all connections of the sender show what is in doubt.
func (nd *node) agreed() bool {
	return !slices.ContainsFunc(nd.shown, func(s showing) bool {
		return !s.link.closed && (s.state < nd.doubt || s.rose && s.times < 2)
	})
}

// show takes a state that a connection shows in some way. It reports whether the
// node restarted, and whether a restart that was in doubt is none.
func (nd *node) show(l *link, state uint32, how proof) (restarted, contradicted bool) {
	if state == 0 {
		return false, false
	}
	known, noted := nd.state, nd.note(l, state)
	if state < nd.doubt {
		nd.doubt, contradicted = 0, true
	}
	switch {
	case how == opening:
		// A smaller one tells that the node was replaced, or lost its clock: a restart
		// too, as the active edge has it.
		restarted = known != 0 && (state > known || state < known && nd.proven)
		nd.state, nd.proven, nd.doubt = state, true, 0
	case how == creditControl && (state > known || !nd.proven):
		restarted = known != 0 && state > known
		nd.state, nd.proven, nd.doubt = state, true, 0
	case known == 0:
		nd.state = state
	case how == watchdog && state > known:
		nd.doubt = state
		if noted && nd.agreed() {
			restarted, nd.state, nd.doubt = true, state, 0
		}
	}
	return restarted, contradicted
}

// node finds or makes a node; nil if there are too many.
func (f *Follower) node(owner, host string) *node {
	key := nodeKey{owner, host}
	nd := f.nodes[key]
	if nd == nil && len(f.nodes) < maxNodes {
		nd = &node{nodeKey: key}
		f.nodes[key] = nd
	}
	return nd
}

// shows takes what a connection shows of the state of a host, in a message that
// was answered. The restart is told with the event that comes with it, if there
// is one.
func (f *Follower) shows(nd *node, l *link, state uint32, how proof, at time.Time, event bool) {
	restarted, contradicted := nd.show(l, state, how)
	if contradicted {
		f.counts.add(contradictions)
	}
	if !restarted {
		return
	}
	f.counts.add(restarts)
	if nd.speaks && !event {
		f.tell(binding.Event{
			Kind: binding.NodeRestart, Source: binding.SourceGx, Owner: nd.owner, Node: nd.host,
			Arrived: at, Link: l.id, OriginState: nd.state,
		})
	}
}

// A speaker is a sender that brings sessions.
type speaker struct {
	pulse *silence.Pulse[*speaker]
	nodes []*node
}

// speaks notes that a session came under the name of a node.
func (f *Follower) speaks(nd *node) {
	if nd.speaks {
		return
	}
	nd.speaks = true
	s := f.speakers[nd.owner]
	if s == nil {
		s = &speaker{}
		s.pulse = f.watch.Add(s)
		f.speakers[nd.owner] = s
	}
	s.nodes = append(s.nodes, nd)
}

// heardOrNot tells that nothing is heard of a sender's nodes any more, or again
// (rule T8). A node behind an agent is heard as long as the agent is: of its own
// it may be silent for hours.
func (f *Follower) heardOrNot(s *speaker, silent bool, at time.Time) {
	kind := binding.NodeUp
	if silent {
		kind = binding.NodeDown
		f.counts.add(silences)
	}
	for _, nd := range s.nodes {
		f.tell(binding.Event{Kind: kind, Source: binding.SourceGx, Owner: nd.owner, Node: nd.host, Arrived: at})
	}
}
