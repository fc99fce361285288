package gtp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/silence"
)

// peers are the nodes that were heard, by the address that they speak from.
type peers struct {
	byAddr map[netip.Addr]*peer
	watch  *silence.Watch[node]
}

// A node is one as the Registry knows it: an address at which there are sessions
// of GTPv1 or of GTPv2.
type node struct {
	addr    netip.Addr
	version uint8
}

func (n node) event(kind binding.Kind, at time.Time) binding.Event {
	return binding.Event{Kind: kind, Source: sourceOf(n.version), Node: n.addr.String(), Arrived: at}
}

// A peer is one GTP-C entity.
type peer struct {
	addr     netip.Addr
	counter  counter
	heard    time.Time // the counter, last
	gateways []*peer   // whose sessions it answers for, from an address of its own
	// Sessions of GTPv1, GTPv2 belong to this address, and how it speaks of them.
	isGateway [2]bool
	pulses    [2]*silence.Pulse[node]
}

const (
	maxPeers    = 1 << 14
	maxGateways = 64
	// staleCounter is how long after a restart counter a smaller one may be a
	// message that was overtaken (3GPP TS 23.007 clause 18).
	staleCounter = 5 * time.Second
)

func newPeers(quiet time.Duration, tell func(n node, silent bool, at time.Time)) peers {
	return peers{byAddr: map[netip.Addr]*peer{}, watch: silence.New(maxPeers, quiet, tell)}
}

func (ps *peers) at(addr netip.Addr) *peer {
	p := ps.byAddr[addr]
	if p == nil && len(ps.byAddr) < maxPeers && addr.IsValid() {
		p = &peer{addr: addr}
		ps.byAddr[addr] = p
	}
	return p
}

// gateway notes that sessions belong to an address.
func (ps *peers) gateway(addr netip.Addr, version uint8) {
	if p := ps.at(addr); p != nil && !p.isGateway[version-1] {
		p.isGateway[version-1] = true
		p.pulses[version-1] = ps.watch.Add(node{addr, version})
	}
}

// answersFor notes that a node that speaks from one address owns sessions at
// another.
func (ps *peers) answersFor(from, addr netip.Addr) {
	p, owner := ps.at(from), ps.at(addr)
	if p != nil && owner != nil && p != owner && len(p.gateways) < maxGateways && !slices.Contains(p.gateways, owner) {
		p.gateways = append(p.gateways, owner)
	}
}

// heard notes that a node spoke: a sign of life of it, and of those for which it
// answers.
func (ps *peers) heard(from netip.Addr, echo bool, at time.Time) {
	p := ps.byAddr[from]
	if p == nil {
		return
	}
	ps.alive(p, echo, at)
	for _, owner := range p.gateways {
		ps.alive(owner, echo, at)
	}
}

func (ps *peers) alive(p *peer, echo bool, at time.Time) {
	for _, pulse := range p.pulses {
		ps.watch.Heard(pulse, at, echo)
	}
}

// heardOrNot tells that a gateway fell silent, or spoke again (rule T8).
func (f *Follower) heardOrNot(n node, silent bool, at time.Time) {
	kind := binding.NodeUp
	if silent {
		kind = binding.NodeDown
	}
	f.tell(n.event(kind, at))
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
	f.restartOf(p)
	for _, owner := range p.gateways {
		f.restartOf(owner)
	}
	if version == 1 {
		// The contexts that an SGSN served are gone (TS 23.007 clause 9).
		f.endAll(1, f.now, func(s *entry) bool { return s.Data.served == from })
	}
}

// restartOf ends the sessions of a gateway; p may be nil.
func (f *Follower) restartOf(p *peer) {
	if p == nil {
		return
	}
	for i, is := range p.isGateway {
		if !is {
			continue
		}
		table := f.sessions[i]
		table.All(func(s *entry) {
			if s.Data.server == p.addr {
				table.Remove(s)
			}
		})
		f.tell(node{p.addr, uint8(i + 1)}.event(binding.NodeRestart, f.now))
	}
}
