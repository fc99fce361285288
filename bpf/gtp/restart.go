package gtp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
)

// peers are the nodes that were heard, by the address that they speak from.
type peers struct {
	byAddr map[netip.Addr]*peer
}

// A peer is one GTP-C entity.
type peer struct {
	counter   counter
	heard     time.Time // the counter, last
	gateways  []netip.Addr
	isGateway [2]bool // sessions of GTPv1, GTPv2 belong to this address
}

const (
	maxPeers    = 1 << 14
	maxGateways = 64
	// staleCounter is how long after a restart counter a smaller one may be a
	// message that was overtaken (3GPP TS 23.007 clause 18).
	staleCounter = 5 * time.Second
)

func (ps *peers) at(addr netip.Addr) *peer {
	p := ps.byAddr[addr]
	if p == nil && len(ps.byAddr) < maxPeers && addr.IsValid() {
		p = &peer{}
		ps.byAddr[addr] = p
	}
	return p
}

// gateway notes that sessions belong to an address.
func (ps *peers) gateway(addr netip.Addr, version uint8) {
	if p := ps.at(addr); p != nil {
		p.isGateway[version-1] = true
	}
}

// answersFor notes that a node that speaks from one address owns sessions at
// another.
func (ps *peers) answersFor(from, gateway netip.Addr) {
	p := ps.at(from)
	if p != nil && from != gateway && len(p.gateways) < maxGateways && !slices.Contains(p.gateways, gateway) {
		p.gateways = append(p.gateways, gateway)
	}
}

// changed notes a restart counter and reports whether it tells of a restart. A
// smaller one is an overtaken message, unless the former one was last heard too
// long ago for that.
func (p *peer) changed(c counter, now time.Time) bool {
	had, quiet := p.counter, now.Sub(p.heard)
	if had.ok && had.value != c.value && int8(c.value-had.value) < 0 && quiet < staleCounter {
		return false
	}
	p.counter, p.heard = c, now
	return had.ok && had.value != c.value
}

// restarted reads the restart counter that a node sent of itself.
func (f *Follower) restarted(from netip.Addr, c counter, version uint8) {
	if !c.ok {
		return
	}
	p := f.peers.at(from)
	if p == nil {
		f.counts.Refused++
		return
	}
	if !p.changed(c, f.now) {
		return
	}
	f.counts.Restarts++
	f.restartOf(from)
	for _, gateway := range p.gateways {
		f.restartOf(gateway)
	}
	if version == 1 {
		// The contexts that an SGSN served are gone (TS 23.007 clause 9).
		f.endAll(1, func(s *entry) bool { return s.Data.served == from })
	}
}

// restartOf ends the sessions of a gateway.
func (f *Follower) restartOf(gateway netip.Addr) {
	p := f.peers.byAddr[gateway]
	if p == nil {
		return
	}
	for i, source := range [2]binding.Source{binding.SourceGTPv1, binding.SourceGTPv2} {
		if !p.isGateway[i] {
			continue
		}
		table := f.sessions[i]
		table.All(func(s *entry) {
			if s.Data.server == gateway {
				table.Remove(s)
			}
		})
		f.tell(binding.Event{Kind: binding.NodeRestart, Source: source, Node: gateway.String(), Time: f.now, Arrived: f.now})
	}
}
