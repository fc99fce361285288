package feed

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

// sitesMax bounds how many sites are kept in mind.
const sitesMax = 4096

// sites is every other site that was heard of. Any goroutine may ask it.
type sites struct {
	own string
	now func() time.Time

	mu      sync.Mutex
	bySite  map[string]*knownSite
	refused uint64                     // heartbeats that are none
	heard   func(heartbeat, time.Time) // see setHeard
	since   time.Time                  // when we began to listen; zero: we do not
	crowded time.Time                  // when there was no room for a site
	epochs  uint64                     // that there were, of all sites
}

type knownSite struct {
	last     heartbeat
	at       time.Time // when it arrived
	fresh    time.Time // at, but for how long it had to wait: how things were then it says
	pace     pace
	progress binding.SiteProgress
	heard    uint64 // every change up to it was heard, or decided before the epoch began
	epoch    uint64 // see Abreast
}

func newSites(own string, now func() time.Time) *sites {
	return &sites{own: own, now: now, bySite: map[string]*knownSite{}}
}

// take notes a message on a heartbeat's subject.
func (s *sites) take(msg *nats.Msg) {
	h, ok := parseHeartbeat(msg.Subject, msg.Data)
	at := s.now()
	s.mu.Lock()
	full := ok && h.Site != s.own && s.bySite[h.Site] == nil && !s.room(at)
	if full {
		s.crowded = at
	}
	if !ok || full {
		s.refused++
		s.mu.Unlock()
		return
	}
	if h.Site == s.own {
		s.mu.Unlock()
		return
	}
	k := s.site(h.Site)
	s.weigh(k, &h, at)
	k.last, k.at, k.fresh = h, at, at.Add(-k.pace.waited(&h, at))
	heard := s.heard
	s.mu.Unlock()
	if heard != nil {
		heard(h, at)
	}
}

// silent reports that what it said last is too old to go by. Both clocks are
// asked: one stands still while we are suspended, the other one may be set back.
func (k *knownSite) silent(now time.Time) bool {
	return max(now.Sub(k.fresh), now.Round(0).Sub(k.fresh.Round(0))) > silence
}

// setHeard has fn told about each heartbeat, in the order in which they come.
func (s *sites) setHeard(fn func(heartbeat, time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = fn
}

// site finds or makes a site. The caller holds the lock.
func (s *sites) site(name string) *knownSite {
	k := s.bySite[name]
	if k == nil {
		k = &knownSite{}
		s.bySite[name] = k
	}
	return k
}

// report notes how following a site goes.
func (s *sites) report(name string, p binding.SiteProgress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.site(name).progress = p
}

// list is every site, by name.
func (s *sites) list() []binding.Site {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []binding.Site{}
	for name, k := range s.bySite {
		h := k.last
		list = append(list, binding.Site{
			Name: name, Incarnation: h.Incarnation, Seq: h.Seq, Heard: k.at, Started: h.Started, Healthy: h.Healthy,
			Warming: h.Warming, Ingesting: h.Ingesting, Sessions: h.Sessions, Pools: domainsOf(h.Pools), SiteProgress: k.progress,
		})
	}
	slices.SortFunc(list, func(a, b binding.Site) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func domainsOf(pools []pool) []binding.Domain {
	list := []binding.Domain{}
	for _, p := range pools {
		list = append(list, binding.Domain{Name: p.Domain, Pools: p.Prefixes})
	}
	return list
}
