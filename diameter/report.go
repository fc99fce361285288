package diameter

import (
	"slices"
	"strings"
	"time"
)

// A PeerReport is what is known of one peer, for people.
type PeerReport struct {
	Host, Realm string
	// Address is where it is connected from, or was to be reached at.
	Address string
	// Upstream: we forward to it.
	Upstream bool
	Open     bool
	// State is "okay", "suspect" or "reopen" (RFC 3539 section 3.4.1), "leaving"
	// or "closed".
	State string
	// Since is when it opened or closed; zero if it never was open.
	Since time.Time
	// RoundTrip is that of the last watchdog, zero if there was none.
	RoundTrip time.Duration
	// OriginState is its Origin-State-Id, zero if it tells none.
	OriginState uint32
	// Open requests of it that wait for their commit, and requests forwarded
	// to it that wait for its answer.
	Waiting, Pending int
	// Results are the answers to its requests by result code; 0 stands for all
	// others.
	Results map[uint32]uint64
}

// Peers reports on every peer that is, or ever was, connected, and on every
// upstream, by name.
func (s *Server) Peers() []PeerReport {
	var list []PeerReport
	for _, p := range s.peers.list() {
		list = append(list, s.report(p))
	}
	slices.SortFunc(list, func(a, b PeerReport) int { return strings.Compare(a.Host, b.Host) })
	return list
}

func (s *Server) report(p *peer) PeerReport {
	r := PeerReport{
		Host: p.host, State: "closed", RoundTrip: time.Duration(p.trip.Load()), OriginState: p.state.Load(),
		Upstream: s.isUpstream(p), Results: p.counts.byResult(),
	}
	if realm := p.realm.Load(); realm != nil {
		r.Realm = *realm
	}
	if since := p.since.Load(); since != 0 {
		r.Since = time.UnixMilli(since).UTC()
	}
	if c := p.conn.Load(); c != nil {
		r.Open, r.State, r.Address = true, c.state(), c.raw.RemoteAddr().String()
		r.Waiting, r.Pending = c.open.waiting(), c.pending.waiting()
	}
	return r
}

func (c *conn) state() string {
	if c.leaving.Load() {
		return "leaving"
	}
	c.watchMu.Lock()
	defer c.watchMu.Unlock()
	return c.watch.state.String()
}
