package feed

import (
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
)

// announcedFor is how long a site that fell silent counts as one that announces
// what it did: its SIMs hold their addresses, whether it is heard or not.
const announcedFor = time.Hour

// Owner is the one site that announces a pool with the address in it, in the
// domain if one is named, or why there is none to ask: nobody announces it,
// several do, or it is not heard, or not yet known who does.
func (f *Feed) Owner(addr netip.Addr, domain string) (site string, no binding.Reason) {
	return f.sites.owner(addr, domain)
}

func (s *sites) owner(addr netip.Addr, domain string) (site string, no binding.Reason) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	owners, doubt := 0, s.unsure(now)
	for name, k := range s.bySite {
		switch {
		case now.Sub(k.at) > announcedFor:
		case k.announces(addr, domain):
			owners++
			site = name
			doubt = doubt || k.silent(now)
		case k.last.Truncated: // it may have it
			doubt = true
		}
	}
	switch {
	case owners == 0:
		return "", binding.ReasonOutOfPool
	case owners > 1 && domain == "":
		return "", binding.ReasonDomainNeeded
	case owners > 1:
		return "", binding.ReasonConflict
	case doubt:
		return "", binding.ReasonSiteUnreachable
	}
	return site, binding.ReasonBound
}

// announces reports whether its last heartbeat does, in the domain if one is
// named. A domain without prefixes announces nothing: it takes any address.
func (k *knownSite) announces(addr netip.Addr, domain string) bool {
	return slices.ContainsFunc(k.last.Pools, func(p pool) bool {
		return (domain == "" || p.Domain == domain) && slices.ContainsFunc(p.Prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
	})
}

// unsure reports that a site may announce something that was not heard: we have
// not listened for as long as a heartbeat may be missing, or there was no room
// for one. The caller holds the lock.
func (s *sites) unsure(now time.Time) bool {
	return s.since.IsZero() || now.Sub(s.since) <= silence || !s.crowded.IsZero() && now.Sub(s.crowded) <= announcedFor
}

// listen notes that heartbeats are heard from now on, or not any more.
func (s *sites) listen(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
	if on {
		s.since = s.now()
	}
}

// room reports whether one more site can be kept in mind. If there are too many,
// one goes that was silent for so long that it does not count any more. The caller
// holds the lock.
func (s *sites) room(now time.Time) bool {
	if len(s.bySite) < sitesMax {
		return true
	}
	for name, k := range s.bySite {
		if now.Sub(k.at) > announcedFor && !k.progress.Followed {
			delete(s.bySite, name)
			return true
		}
	}
	return false
}
