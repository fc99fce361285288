package worldtest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// A world is one history as it truly is.
type world struct {
	p     *Profile
	r     *rand.Rand
	now   tick
	turns int

	domains  []*domain
	gateways []*gateway
	voices   []*voice
	clocks   []*clock
	sims     []*sim
	plots    []*plot
	stays    []*stay
	open     []*stay // that last
	legs     []*leg
	claims   []*claim

	ways   transits
	seq    int
	down   tick // until when the subject is not there
	links  uint64
	tap    *wire
	liars  []*voice
	lies   map[int]*stay // by plot
	vacant *plot         // of which something was freed last
}

func newWorld(p *Profile, seed, history uint64) *world {
	w := &world{p: p, r: rand.New(rand.NewPCG(seed, history)), lies: map[int]*stay{}}
	w.tap = &wire{lastDue: never, capture: true}
	w.now = tick(w.r.IntN(10_000)) // clocks need not tick together
	for i := range p.Domains {
		w.domains = append(w.domains, &domain{id: i, name: domainNames[i], apn: domainNames[i] + ".apn"})
	}
	for i := range p.Gateways {
		w.newGateway(i)
	}
	if p.Happens.Lie > 0 {
		w.newLiars()
	}
	for i := range p.SIMs {
		w.sims = append(w.sims, newSIM(i))
	}
	for i := range p.Plots {
		w.newPlot(i)
	}
	return w
}

var domainNames = [...]string{"internet", "corporate", "machines"}

// Addresses are given out of these, of each domain.
var (
	pool4 = netip.MustParsePrefix("10.45.0.0/16")
	pool6 = netip.MustParsePrefix("2001:db8:cafe::/48")
)

func (w *world) setup() Setup {
	s := Setup{
		Start: genesis.Add(w.now.duration()), Capacity: w.p.Capacity,
		Lease: lease.duration(), MaxDelay: maxDelay.duration(), BlindDelay: blindDelay.duration(),
		Flight: flight.duration(),
	}
	for _, d := range w.domains {
		s.Domains = append(s.Domains, Domain{Name: d.name, APNs: []string{d.apn}, Pools: []netip.Prefix{pool4, pool6}})
	}
	for _, v := range w.voices {
		s.Speakers = append(s.Speakers, Speaker{
			Source: v.source, Owner: v.owner, Node: v.name, Also: v.alias, Observed: v.observed(),
			Ways: v.ways, Agent: v.agent,
		})
	}
	return s
}

// newPlot makes a plot; with several domains the same addresses are in each.
func (w *world) newPlot(i int) {
	g := w.p.Ground
	p := &plot{id: i, domain: w.domains[i%len(w.domains)], released: never}
	n := i / len(w.domains)
	switch draw(w.r, g.Single+g.Dual/2, g.Block, g.Routed, g.Prefix+g.Dual/2) {
	case 0:
		p.shape, p.base = single, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 45, byte(n / 250), byte(n%250 + 1)}), 32)
	case 1:
		p.shape, p.base = shared, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 45, byte(64 + n/250), byte(n%250 + 1)}), 32)
	case 2:
		p.shape, p.base = routed, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 45, byte(128 + n/16), byte(n % 16 * 16)}), 28)
	case 3:
		p.shape = wide
		p.base = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0xca, 0xfe, byte(n + 1)}), 56)
	}
	if w.r.Float64() >= g.Wander {
		p.gw = w.gateways[w.r.IntN(len(w.gateways))]
	}
	w.plots = append(w.plots, p)
}

// choose draws something that could be given out of a plot.
func (p *plot) choose(r *rand.Rand) binding.Address {
	a := binding.Address{Prefix: p.base}
	switch p.shape {
	case shared:
		if r.IntN(5) == 0 {
			break
		}
		if r.IntN(2) == 0 { // aligned
			low := 1024 * (1 + r.IntN(6))
			a.PortLow, a.PortHigh = uint16(low), uint16(low+1023)
			break
		}
		low := 1024 + r.IntN(6000)
		a.PortLow, a.PortHigh = uint16(low), uint16(low+r.IntN(2500))
	case routed:
		bits := 28 + r.IntN(5)
		a.Prefix = within(p.base, bits, r.IntN(1<<(bits-28)))
	case wide:
		if r.IntN(3) > 0 {
			a.Prefix = within(p.base, 64, r.IntN(4))
		}
	}
	return a
}

// within is the n-th part of a prefix.
func within(base netip.Prefix, bits, n int) netip.Prefix {
	if base.Addr().Is4() {
		b := base.Addr().As4()
		b[3] += byte(n << (32 - bits))
		return netip.PrefixFrom(netip.AddrFrom4(b), bits)
	}
	b := base.Addr().As16()
	b[7] += byte(n)
	return netip.PrefixFrom(netip.AddrFrom16(b), bits)
}

// free reports whether nobody else holds anything of an address.
func (p *plot) free(a binding.Address) bool {
	for i := len(p.claims) - 1; i >= 0; i-- {
		if c := p.claims[i]; c.to == forever && !c.stay.liar && overlap(c.addr, a) {
			return false
		}
	}
	return true
}

// give lets a stay hold an address from now on.
func (w *world) give(s *stay, p *plot, a binding.Address) *claim {
	c := &claim{id: len(w.claims), stay: s, plot: p, addr: a, from: w.now, to: forever}
	w.claims = append(w.claims, c)
	p.claims = append(p.claims, c)
	s.claims = append(s.claims, c)
	return c
}

// take ends a claim.
func (w *world) take(c *claim) {
	c.to = w.now
	w.vacant = c.plot
}

// held are the addresses that a stay has now.
func (s *stay) held() []binding.Address {
	var list []binding.Address
	for _, c := range s.claims {
		if c.to == forever {
			list = append(list, c.addr)
		}
	}
	return list
}

func (v *voice) observed() bool { return v.wire != nil && v.wire.capture }

// String is for the listing of a history.
func (v *voice) String() string {
	if v.owner == "" {
		return fmt.Sprintf("%v %s", v.source, v.name)
	}
	return fmt.Sprintf("%v %s/%s", v.source, v.owner, v.name)
}
