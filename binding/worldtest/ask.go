package worldtest

import (
	"math/rand/v2"
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// about makes a question about a plot, nil if nobody ever had any of it.
func (g *game) about(p *plot) *question {
	r := g.world.r
	if len(p.claims) == 0 || g.world.now < g.down {
		return nil
	}
	q := &question{}
	c := p.claims[len(p.claims)-1]
	if r.IntN(2) == 0 {
		c = p.claims[max(0, len(p.claims)-1-r.IntN(5))]
	}
	q.query = binding.Query{Addr: within128(r, c.addr.Prefix), Port: port(r, c.addr), Domain: p.domain.name}
	q.plots = []*plot{p}
	if len(g.world.domains) == 1 && r.IntN(4) == 0 {
		q.query.Domain = ""
	}
	q.number = g.suspect(p, c).someNumber(r)
	return q
}

// suspect draws whose number is asked for: mostly of those who had something
// of the plot lately.
func (g *game) suspect(p *plot, c *claim) *sim {
	r := g.world.r
	switch r.IntN(10) {
	case 0:
		return g.world.sims[r.IntN(len(g.world.sims))]
	case 1, 2, 3, 4:
		return p.claims[max(0, len(p.claims)-1-r.IntN(4))].stay.sim
	}
	return c.stay.sim
}

// someNumber is mostly the present one.
func (s *sim) someNumber(r *rand.Rand) binding.MSISDN {
	if len(s.numbers) > 1 && r.IntN(3) == 0 {
		return s.numbers[r.IntN(len(s.numbers))]
	}
	return s.number()
}

// within128 draws a single address of a prefix.
func within128(r *rand.Rand, p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	if p.Addr().Is4() {
		b := p.Addr().As4()
		b[3] += byte(r.IntN(1 << (32 - p.Bits())))
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	if p.Bits() < 64 {
		b[7] += byte(r.IntN(4))
	}
	b[15] = byte(r.IntN(256))
	return netip.AddrFrom16(b)
}

// port draws a port of a block, its edges as often as its inside, and now and
// then none.
func port(r *rand.Rand, a binding.Address) uint16 {
	if whole(a) {
		if a.Is4() && r.IntN(6) == 0 {
			return uint16(1024 + r.IntN(8000))
		}
		return 0
	}
	switch r.IntN(5) {
	case 0:
		return 0
	case 1:
		return a.PortLow
	case 2:
		return a.PortHigh
	}
	return a.PortLow + uint16(r.IntN(int(a.PortHigh-a.PortLow)+1))
}
