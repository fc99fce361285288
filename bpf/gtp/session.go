package gtp

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
)

// A session is what must be known of one to recognise its end.
type session struct {
	version uint8
	began   int64          // unix ms; zero if the journal kept it
	gateway pairing.Handle // the PGW's or GGSN's control endpoint
	// direct: the gateway's own interface was seen to name it.
	direct   bool
	contexts uint16 // NSAPIs in use, GTPv1
	server   netip.Addr

	imsi  binding.IMSI
	addrs []binding.Address
	sets  []uint64
	// client is the endpoint of the gateway's peer (SGW S5/S8, SGSN).
	client pairing.Handle
	served netip.Addr // the address of client
	// accesses are those that were seen on S11.
	accesses []access
}

// An access is one way to a session through an SGW (S11).
type access struct {
	server, client pairing.Handle
}

func (s *session) source() binding.Source { return sourceOf(s.version) }

func sourceOf(version uint8) binding.Source {
	if version == 1 {
		return binding.SourceGTPv1
	}
	return binding.SourceGTPv2
}

// same reports that a grant is one that is already known: S11 shows what S5/S8
// showed, or a response was lost and the request repeated.
func (s *session) same(imsi binding.IMSI, addrs []binding.Address) bool {
	return s.imsi == imsi && (len(addrs) == 0 || slices.Equal(s.addrs, addrs))
}

// begin makes a session at a gateway. Its id is the gateway's TEID and the
// moment: a TEID may be used again at once.
func (f *Follower) begin(version uint8, at netip.Addr, teid uint32, sub uint8, data session) *entry {
	table := f.sessions[version-1]
	h, ok := table.Handle(at, uint64(teid), sub)
	if !ok {
		f.counts.Refused++
		return nil
	}
	data.version, data.began, data.gateway, data.server = version, f.now.UnixMilli(), h, at
	s := &entry{Node: at.String(), ID: fmt.Sprintf("%08x-%x", teid, f.now.UnixMilli()), Data: data}
	if sub != 0 {
		s.ID = fmt.Sprintf("%08x-%d-%x", teid, sub, f.now.UnixMilli())
	}
	table.Add(s)
	table.Call(s, h)
	f.peers.gateway(at, version)
	return s
}

// call lets a session be called by an endpoint, at each of its addresses. The
// handle of the first is returned.
func (f *Follower) call(s *entry, e endpoint, sub uint8) (first pairing.Handle) {
	table := f.table(s)
	for _, addr := range [2]netip.Addr{e.v4, e.v6} {
		h, ok := table.Handle(addr, uint64(e.teid), sub)
		if !ok {
			continue
		}
		table.Call(s, h)
		f.prune(s, h)
		if first == (pairing.Handle{}) {
			first = h
		}
	}
	return first
}

// prune forgets the oldest of more names than a memo holds: first those that
// the gateway's peers gave, and never the gateway's first or the latest.
func (f *Follower) prune(s *entry, latest pairing.Handle) {
	for table := f.table(s); len(s.Handles()) > maxHandles; {
		i := slices.IndexFunc(s.Handles(), func(h pairing.Handle) bool { return h != latest && table.Addr(h) != s.Data.server })
		if i < 0 {
			i = slices.IndexFunc(s.Handles(), func(h pairing.Handle) bool { return h != latest && h != s.Data.gateway })
		}
		table.Uncall(s, s.Handles()[i])
	}
}
