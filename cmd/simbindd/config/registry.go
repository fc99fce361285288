package config

import (
	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/registry"
)

// maxQueue bounds the events that may wait: 300 MB of them.
const maxQueue = 1 << 20

func (f *file) registry(p place) registry.Config {
	cfg := registry.Config{
		Site:        f.Site,
		Capacity:    p.key("capacity").count(f.Capacity, registry.MaxCapacity),
		Addresses:   p.key("addresses").count(f.Addresses, registry.MaxCapacity),
		Lease:       p.key("lease").duration(f.Lease),
		LeaseGrace:  p.key("lease_grace").duration(f.LeaseGrace),
		Linger:      p.key("linger").duration(f.Linger),
		LossTimeout: p.key("loss_timeout").duration(f.LossTimeout),
		TrustGap:    p.key("trust_gap").duration(f.TrustGap),
		Queue:       p.key("queue").count(f.Queue, maxQueue),
	}
	cfg.Domains = f.domains(p.key("domains"))
	// What the registry itself refuses is asked key by key, for the line.
	p.key("lease").check(registry.Config{Lease: cfg.Lease}.Check())
	return cfg
}

func (f *file) domains(p place) []binding.Domain {
	if len(f.Domains) == 0 {
		p.warnf("there are none: a session may claim any address (no guard against poisoning)")
		return []binding.Domain{{Name: "default", APNs: []string{"*"}}}
	}
	var list []binding.Domain
	for i, d := range f.Domains {
		at, before := p.item(i), len(p.problems)
		domain := binding.Domain{Name: d.Name, APNs: d.APNs}
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
