package config

import (
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/radius"
)

// maxQueue bounds the events that may wait: 300 MB of them.
const maxQueue = 1 << 20

func (f *file) registry(p place) registry.Config {
	cfg := registry.Config{
		Site:         f.Site,
		Capacity:     p.key("capacity").count(f.Capacity, registry.MaxCapacity),
		Addresses:    p.key("addresses").count(f.Addresses, registry.MaxCapacity),
		Lease:        p.key("lease").duration(f.Lease),
		LeaseGrace:   p.key("lease_grace").duration(f.LeaseGrace),
		Linger:       p.key("linger").duration(f.Linger),
		LossTimeout:  p.key("loss_timeout").duration(f.LossTimeout),
		TrustGap:     p.key("trust_gap").duration(f.TrustGap),
		MaxDelay:     p.key("max_delay").duration(f.MaxDelay),
		Blind:        p.key("blind_delay").duration(f.BlindDelay),
		Queue:        p.key("queue").count(f.Queue, maxQueue),
		MultiSIM:     multiSIMs[p.key("multi_sim").oneOf(f.MultiSIM, "flag", "match", "ambiguous")],
		Placeholders: f.Placeholders,
		Parallel:     f.Parallel,
	}
	cfg.Domains = f.domains(p.key("domains"))
	// What the registry itself refuses is asked key by key, for the line.
	p.key("lease").check(registry.Config{Lease: cfg.Lease}.Check())
	f.checkDelays(p, cfg.MaxDelay, cfg.Blind)
	for i, s := range f.Placeholders {
		p.key("placeholders").item(i).check(registry.Config{Placeholders: []string{s}}.Check())
	}
	return cfg
}

// checkDelays blames max_delay where blind_delay is not written.
func (f *file) checkDelays(p place, most, blind time.Duration) {
	at := p.key("max_delay")
	if !at.check(registry.Config{MaxDelay: most, Blind: time.Second}.Check()) {
		return
	}
	err := registry.Config{MaxDelay: most, Blind: blind}.Check()
	if err != nil && f.BlindDelay == "" {
		at.failf("%v is less than blind_delay, which is %v where it is not set: set it too, to at most %v", most, time.Duration(clock.Defaults().Blind)*time.Millisecond, most)
		return
	}
	p.key("blind_delay").check(err)
}

var multiSIMs = map[string]registry.MultiSIM{
	"flag": registry.MultiSIMFlag, "match": registry.MultiSIMMatch, "ambiguous": registry.MultiSIMAmbiguous,
}

// checkBlind refuses what clients of RADIUS may not have: what ended is remembered
// for max_delay, so that nothing may come later.
func (f *file) checkBlind(p place, cfg Config) {
	limit := func(at place, clients []radius.Client) {
		for i, c := range clients {
			if c.BlindDelay != 0 {
				at.item(i).key("blind_delay").check(registry.Config{MaxDelay: cfg.Registry.MaxDelay, Blind: c.BlindDelay}.Check())
			}
		}
	}
	if cfg.RADIUS != nil {
		limit(p.key("radius").key("clients"), cfg.RADIUS.Clients)
	}
	if cfg.Tap != nil {
		limit(p.key("tap").key("clients"), cfg.Tap.Accounting.Clients)
	}
}

// ignored warns of keys that former versions had.
func (f *file) ignored(p place) {
	for _, key := range formerKeys {
		if at := p.key(key); at.node != nil {
			at.warnf("is ignored, remove it: what ended is remembered for max_delay")
		}
	}
}

// formerKeys are keys that mean nothing any more.
var formerKeys = []string{"tombstones", "tombstone_ttl"}

func (f *file) domains(p place) []binding.Domain {
	if len(f.Domains) == 0 {
		p.warnf("there are none: a session may claim any address (no guard against poisoning)")
		return []binding.Domain{{Name: "default", APNs: []string{"*"}}}
	}
	var list []binding.Domain
	for i, d := range f.Domains {
		at, before := p.item(i), len(p.problems)
		domain := binding.Domain{
			Name: d.Name, APNs: d.APNs,
			Widest4: at.key("widest").key("ipv4").count(d.Widest.IPv4, 32), Widest6: at.key("widest").key("ipv6").count(d.Widest.IPv6, 128),
		}
		for j, pool := range d.Pools {
			domain.Pools = append(domain.Pools, at.key("pools").item(j).prefix(pool))
		}
		if len(p.problems) > before {
			continue
		}
		list = append(list, domain)
		if !at.check(binding.CheckDomains(list)) {
			break
		}
	}
	return list
}
