package feed

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

// An audience is what hears of sites, with a clock.
type audience struct {
	t testing.TB
	*sites
	clock time.Time
}

// newAudience has listened for long enough.
func newAudience(t testing.TB) *audience {
	a := &audience{t: t, clock: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	a.sites = newSites("centre", func() time.Time { return a.clock })
	a.listen(true)
	a.pass(silence + 1)
	return a
}

func (a *audience) pass(d time.Duration) { a.clock = a.clock.Add(d) }

// beat takes a heartbeat of a site that takes all in.
func (a *audience) beat(site string, h heartbeat) {
	a.t.Helper()
	h.Ingesting = true
	a.say(site, h)
}

// say takes a heartbeat of which the rest is given.
func (a *audience) say(site string, h heartbeat) {
	a.t.Helper()
	h.V, h.Site = Version, site
	if h.Incarnation == "" {
		h.Incarnation = "i"
	}
	body, err := json.Marshal(h)
	if err != nil {
		a.t.Fatal(err)
	}
	a.take(&nats.Msg{Subject: heartbeatSubject(site), Data: body})
}

// announces has the site announce the prefixes in a domain, or none.
func (a *audience) announces(site, domain string, prefixes ...string) {
	a.t.Helper()
	p := pool{Domain: domain}
	for _, text := range prefixes {
		p.Prefixes = append(p.Prefixes, netip.MustParsePrefix(text))
	}
	a.beat(site, heartbeat{Pools: []pool{p}})
}

func (a *audience) wants(want, addr, domain string) {
	a.t.Helper()
	site, no := a.owner(netip.MustParseAddr(addr), domain)
	if no != binding.ReasonBound {
		site = no.String()
	}
	if site != want {
		a.t.Errorf("%s in domain %q: %s, want %s", addr, domain, site, want)
	}
}

func TestTheOwnerOfAnAddress(t *testing.T) {
	const private = "10.0.0.0/8"
	for claim, steps := range map[string]func(*audience){
		"is the one that announces it": func(a *audience) {
			a.announces("north", "internet", private)
			a.announces("south", "internet", "192.168.0.0/16")
			a.wants("north", "10.0.0.1", "")
			a.wants("north", "10.0.0.1", "internet")
			a.wants("out-of-pool", "10.0.0.1", "corp")
			a.wants("out-of-pool", "172.16.0.1", "")
		},
		"is in doubt where two domains have it": func(a *audience) {
			a.announces("north", "internet", private)
			a.announces("south", "corp", private)
			a.wants("domain-needed", "10.0.0.1", "")
			a.wants("north", "10.0.0.1", "internet")
		},
		"is in conflict where two have it in one domain": func(a *audience) {
			a.announces("north", "internet", private)
			a.announces("south", "internet", private)
			a.wants("conflict", "10.0.0.1", "internet")
		},
		"is not one of two because the other is silent": func(a *audience) {
			a.announces("south", "corp", private)
			a.pass(announcedFor)
			a.announces("north", "internet", private)
			a.wants("domain-needed", "10.0.0.1", "")
			a.wants("site-unreachable", "10.0.0.1", "corp")
		},
		"is the other one once the silent one is forgotten": func(a *audience) {
			a.announces("south", "corp", private)
			a.pass(announcedFor + 1)
			a.announces("north", "internet", private)
			a.wants("north", "10.0.0.1", "")
		},
		"cannot be reached while it is silent": func(a *audience) {
			a.announces("north", "internet", private)
			a.pass(silence)
			a.wants("north", "10.0.0.1", "")
			a.pass(1)
			a.wants("site-unreachable", "10.0.0.1", "")
			a.announces("north", "internet", private)
			a.wants("north", "10.0.0.1", "")
		},
		"cannot be reached while what it says had to wait": func(a *audience) {
			pools := []pool{{"internet", []netip.Prefix{netip.MustParsePrefix(private)}}}
			sent := a.clock
			a.beat("north", heartbeat{Pools: pools, At: sent})
			a.pass(silence + 2*time.Second)
			a.beat("north", heartbeat{Pools: pools, At: sent.Add(time.Second)})
			a.wants("site-unreachable", "10.0.0.1", "")
			a.beat("north", heartbeat{Pools: pools, At: sent.Add(2 * time.Second)})
			a.wants("north", "10.0.0.1", "")
		},
		"is not decided by a change on the subject of heartbeats": func(a *audience) {
			a.announces("north", "internet", private)
			a.announces("south", "internet", private)
			c := change(3)
			enc := encoder{site: "south", incarnation: "i", privacy: Clear}
			a.take(&nats.Msg{Subject: heartbeatSubject("south"), Data: enc.appendChange(nil, &c)})
			a.wants("conflict", "10.0.0.1", "internet")
		},
		"is not who announces another pool by now": func(a *audience) {
			a.announces("north", "internet", private)
			a.announces("south", "corp", private)
			a.announces("south", "corp", "192.168.0.0/16")
			a.wants("north", "10.0.0.1", "")
			a.announces("north", "internet")
			a.wants("out-of-pool", "10.0.0.1", "")
		},
		"is nobody while we have not listened for long": func(a *audience) {
			a.listen(true)
			a.announces("north", "internet", private)
			a.pass(silence)
			a.announces("north", "internet", private)
			a.wants("site-unreachable", "10.0.0.1", "")
			a.pass(1)
			a.wants("north", "10.0.0.1", "")
		},
		"is nobody while we do not listen": func(a *audience) {
			a.announces("north", "internet", private)
			a.listen(false)
			a.wants("site-unreachable", "10.0.0.1", "")
		},
		"is nobody while another one has more pools than it can name": func(a *audience) {
			a.announces("north", "internet", private)
			a.beat("south", heartbeat{Truncated: true})
			a.wants("site-unreachable", "10.0.0.1", "")
			a.wants("out-of-pool", "192.168.0.1", "")
			a.beat("south", heartbeat{})
			a.wants("north", "10.0.0.1", "")
		},
		"is who names it and has more": func(a *audience) {
			a.beat("south", heartbeat{Truncated: true, Pools: []pool{{"internet", []netip.Prefix{netip.MustParsePrefix(private)}}}})
			a.wants("south", "10.0.0.1", "")
		},
	} {
		t.Run(claim, func(t *testing.T) { steps(newAudience(t)) })
	}
}

func TestSitesForWhichThereIsNoRoom(t *testing.T) {
	a := newAudience(t)
	for n := range sitesMax - 1 {
		a.announces(fmt.Sprint("site", n), "internet")
	}
	a.pass(1)
	a.announces("north", "internet", "10.0.0.0/8")
	a.wants("north", "10.0.0.1", "")
	a.announces("south", "corp", "10.0.0.0/8") // it may announce the same
	a.wants("site-unreachable", "10.0.0.1", "")
	a.pass(announcedFor) // the others do not count any more
	a.announces("north", "internet", "10.0.0.0/8")
	a.announces("south", "corp", "10.0.0.0/8")
	a.wants("domain-needed", "10.0.0.1", "")
	if n := len(a.list()); n != sitesMax {
		t.Errorf("%d sites are kept in mind", n)
	}
}

func TestAHeartbeatSaysThatPoolsAreTooMany(t *testing.T) {
	many := make([]netip.Prefix, heartbeatPools)
	for i := range many {
		many[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
	}
	domains := []binding.Domain{{Name: "internet", Pools: many}, {Name: "corp", Pools: many[:1]}}
	if pools, truncated := announced(domains[:1]); len(pools) != 1 || truncated {
		t.Errorf("as many as there may be: %d domains, truncated %t", len(pools), truncated)
	}
	if pools, truncated := announced(domains); len(pools) != 1 || !truncated {
		t.Errorf("one more: %d domains, truncated %t", len(pools), truncated)
	}
}
