package pfcp

import (
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
)

// A peer is one PFCP entity, by the address that it speaks from.
type peer struct {
	recovery uint32
	known    bool
	heard    time.Time
	node     string // under which its sessions are told, if it asks for sessions
}

const (
	maxPeers = 1 << 14
	// staleRecovery is how long after a Recovery Time Stamp an older one may be
	// a message that was overtaken (3GPP TS 23.007 clause 19A).
	staleRecovery = 5 * time.Second
)

// heard reads what a message says of its sender.
func (f *Follower) heard(from netip.Addr, m *message) {
	if !m.recovers && m.kind != establishmentRequest {
		return
	}
	p := f.peers[from]
	if p == nil {
		if len(f.peers) >= maxPeers {
			f.counts.Refused++
			return
		}
		p = &peer{}
		f.peers[from] = p
	}
	if m.kind == establishmentRequest {
		if m.node != "" {
			p.node = m.node
		}
		return
	}
	// Session Retention Information says that sessions outlived the restart.
	if p.restarted(m.recovery, f.now) && !m.retention {
		f.counts.Restarts++
		f.restartOf(from, p.node)
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

// restartOf ends the sessions of a function that restarted: of a user plane
// function one by one; of a control plane function those of its node, unless
// another member of its set took some over.
func (f *Follower) restartOf(from netip.Addr, node string) {
	whole := node != ""
	f.sessions.All(func(s *entry) { whole = whole && (s.Node != node || s.Data.cp == from) })
	f.endAll(func(s *entry) bool {
		if whole && s.Node == node {
			f.sessions.Remove(s)
			return false
		}
		return s.Data.cp == from || s.Data.up == from
	})
	if whole {
		f.tell(binding.Event{Kind: binding.NodeRestart, Source: binding.SourcePFCP, Node: node, Time: f.now, Arrived: f.now})
	}
}
