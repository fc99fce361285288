package main

import (
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/diameter"
)

// owners are those who may bring events by the configuration that is in force:
// clients, peers, groups, and senders on the wire.
type owners struct{ cfg atomic.Pointer[config.Config] }

func newOwners(cfg config.Config) *owners {
	o := &owners{}
	o.cfg.Store(&cfg)
	return o
}

// reload takes over what a reload changes of sections that are on.
func (o *owners) reload(next config.Config) {
	cfg := *o.cfg.Load()
	if cfg.RADIUS != nil && next.RADIUS != nil {
		cfg.RADIUS = next.RADIUS
	}
	if cfg.Diameter != nil && next.Diameter != nil {
		cfg.Diameter = next.Diameter
	}
	o.cfg.Store(&cfg)
}

// has reports whether anybody may still bring events of a node.
func (o *owners) has(n *binding.Node) bool {
	cfg := o.cfg.Load()
	switch {
	case n.Owner == "" || n.Source == binding.SourceFeed:
		return true
	case cfg.Tap != nil && overhears(cfg, n.Owner):
		return true
	case n.Source == binding.SourceRADIUS && cfg.RADIUS != nil:
		for _, c := range cfg.RADIUS.Clients {
			if c.Owner() == n.Owner {
				return true
			}
		}
	case n.Source == binding.SourceGx && cfg.Diameter != nil:
		return diameter.MayOwn(cfg.Diameter.Peers, n.Owner)
	}
	return false
}

// overhears reports that the tap may bring what has an owner.
func overhears(cfg *config.Config, owner string) bool {
	if _, err := netip.ParseAddr(owner); err == nil {
		return true // a sender of no group
	}
	for _, g := range cfg.Tap.Groups {
		if g.Name == owner {
			return true
		}
	}
	for _, c := range cfg.Tap.Accounting.Clients {
		if c.Owner() == owner {
			return true
		}
	}
	return false
}

// mark marks the nodes with sessions of which nobody is the owner any more.
func (o *owners) mark(nodes []binding.Node) {
	for i := range nodes {
		nodes[i].Orphaned = nodes[i].Sessions > 0 && !o.has(&nodes[i])
	}
}

// ownersTold bounds the lines of the log about them.
const ownersTold = 10

// tell logs of whom sessions are left that nobody can go on with.
func (o *owners) tell(nodes []binding.Node, log *slog.Logger) {
	type whose struct {
		source binding.Source
		owner  string
	}
	left := map[whose]int{}
	var order []whose
	o.mark(nodes)
	for i := range nodes {
		if n := &nodes[i]; n.Orphaned {
			at := whose{n.Source, n.Owner}
			if left[at] == 0 {
				order = append(order, at)
			}
			left[at] += n.Sessions
		}
	}
	for i, at := range order {
		if i == ownersTold {
			log.Warn("there are more such owners: simbind doctor names them", "more", len(order)-i)
			return
		}
		log.Warn("sessions have an owner that is not in the configuration: give it that group again, or they count until their lease",
			"owner", at.owner, "source", at.source, "sessions", left[at])
	}
}
