package gx

import (
	"time"

	"github.com/simbind/simbind/binding"
)

// maxNodes bounds the hosts that are remembered.
const maxNodes = 8192

// A node is what is known of a host.
type node struct {
	// state is the largest Origin-State-Id heard, zero if none.
	state   uint32
	restart time.Time // when the state grew last
}

// nodes are the hosts that spoke, by Origin-Host.
type nodes map[string]node

// hear notes that a host spoke, with its Origin-State-Id or zero. A larger one
// than before tells of its restart (RFC 6733 section 8.16), whoever hears it:
// to believe a restart that was none costs bindings, not to believe one gives
// them to the wrong SIM.
func (f *Follower) hear(name string, state uint32, at time.Time) {
	nd, known := f.nodes[name]
	switch {
	case state <= nd.state, !known && len(f.nodes) >= maxNodes:
		return
	case nd.state != 0:
		nd.restart = at
		f.tell(binding.Event{Kind: binding.NodeRestart, Source: binding.SourceGx, Node: name, Time: at, Arrived: at})
	}
	nd.state = state
	f.nodes[name] = nd
}

// setBack hears a host open a connection. A smaller Origin-State-Id than before
// tells that it was replaced, or lost its clock: a restart too, as the active
// edge has it.
func (f *Follower) setBack(name string, state uint32, at time.Time) {
	nd := f.nodes[name]
	if state == 0 || state >= nd.state {
		return
	}
	nd.state, nd.restart = state, at
	f.nodes[name] = nd
	f.tell(binding.Event{Kind: binding.NodeRestart, Source: binding.SourceGx, Node: name, Time: at, Arrived: at})
}
