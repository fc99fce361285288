package table

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/simbind/simbind/binding"
)

func TestABlockOfPortsIsThePiecesThatMakeItUp(t *testing.T) {
	ip := netip.MustParsePrefix("198.51.100.7/32")
	for _, block := range [][2]uint16{{1, 65535}, {1024, 2047}, {1000, 2999}, {2500, 3499}, {7, 7}, {0, 1023},
		{32768, 65535}} {
		a := binding.Address{Prefix: ip, PortLow: block[0], PortHigh: block[1]}
		next := int(block[0])
		for _, k := range Keys(1, a) {
			got := AddressOf(k)
			if got.Prefix != ip || int(got.PortLow) != next || !IsPart(k) || PartOf(k) != KeyAt(1, ip.Addr(), 0) ||
				FamilyOf(k) != FamilyPorts {
				t.Errorf("%v: a piece is %v, and %d is next", a, got, next)
			}
			if block[0] == 0 {
				continue // port zero is none that can be asked for
			}
			if !Within(KeyAt(1, ip.Addr(), got.PortLow), k) || !Within(KeyAt(1, ip.Addr(), got.PortHigh), k) {
				t.Errorf("%v: its ports are not within %v", a, got)
			}
			next = int(got.PortHigh) + 1
		}
		if block[0] != 0 && next != int(block[1])+1 {
			t.Errorf("%v: the last piece ends before port %d", a, next)
		}
	}
}

func TestAKeyStandsForItsAddress(t *testing.T) {
	for _, c := range []struct {
		addr       string
		family     Family
		part, wide bool
	}{
		{"10.0.0.1/32", Family4, false, false}, {"10.0.0.0/24", Family4, false, true},
		{"2001:db8::/64", Family6, false, false},
		{"2001:db8::/56", Family6, false, true}, {"2001:db8::1/128", Family6, true, false},
	} {
		p := netip.MustParsePrefix(c.addr)
		k := Keys(7, binding.Address{Prefix: p})[0]
		if got := AddressOf(k); got.Prefix != p || k.Domain() != 7 {
			t.Errorf("%s reads as %v in domain %d", c.addr, got, k.Domain())
		}
		if FamilyOf(k) != c.family || FamilyOfAddress(binding.Address{Prefix: p}) != c.family || IsPart(k) != c.part ||
			IsWide(k) != c.wide {
			t.Errorf("%s: family %d, part %v, wide %v", c.addr, FamilyOf(k), IsPart(k), IsWide(k))
		}
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		narrow, wide string
		want         bool
	}{
		{"10.0.0.1", "10.0.0.0/24", true}, {"10.0.1.1", "10.0.0.0/24", false}, {"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.0/24", "10.0.0.1", false},
		{"2001:db8:0:103::/64", "2001:db8:0:100::/56", true}, {"2001:db8:0:203::/64", "2001:db8:0:100::/56", false},
	} {
		if got := Within(key(t, c.narrow), key(t, c.wide)); got != c.want {
			t.Errorf("%s within %s: %v", c.narrow, c.wide, got)
		}
	}
	other := Keys(2, binding.Address{Prefix: netip.MustParsePrefix("10.0.0.1/32")})[0]
	if Within(other, key(t, "10.0.0.0/24")) {
		t.Error("an address lies in another domain's")
	}
}

func TestDomainsOfAPNs(t *testing.T) {
	idOf := func(name string) uint16 { return uint16(name[0]) }
	set := NewDomains([]binding.Domain{
		{Name: "internet", APNs: []string{"Internet.mnc001.mcc001.gprs"}}, {Name: "others", APNs: []string{"*"}},
	}, idOf, nil)
	one := NewDomains([]binding.Domain{{Name: "internet", APNs: []string{"internet"}}}, idOf, nil)
	pools := func(name string, list ...string) binding.Domain {
		d := binding.Domain{Name: name, APNs: []string{name}}
		for _, p := range list {
			d.Pools = append(d.Pools, netip.MustParsePrefix(p))
		}
		return d
	}
	two := NewDomains([]binding.Domain{pools("corp", "10.1.0.0/16", "10.3.0.0/16"), pools("web", "10.2.0.0/16", "10.3.0.0/16")}, idOf, nil)
	for _, c := range []struct {
		claim     string
		set       *Domains
		apn, addr string
		want      string // the domain, or how many may be it
	}{
		{"an APN's is its own", set, "internet", "10.1.0.1/32", "internet"},
		{"one that nobody names is the others'", set, "ims", "10.1.0.1/32", "others"},
		{"none is the others' too", set, "", "10.1.0.1/32", "others"},
		{"where there is just one, that", one, "", "10.1.0.1/32", "internet"},
		{"an APN of no domain is in none", one, "ims", "10.1.0.1/32", "0"},
		{"without an APN the address tells", two, "", "10.2.0.1/32", "web"},
		{"if it can", two, "", "10.3.0.1/32", "2"},
		{"and has it", two, "", "10.4.0.1/32", "0"},
	} {
		d, several := c.set.Of(c.apn, netip.MustParsePrefix(c.addr))
		got := strconv.Itoa(len(several))
		if d != nil {
			got = d.Name
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.claim, got, c.want)
		}
	}
	if d := set.ByID('o'); d == nil || d.Name != "others" || set.ByID('x') != nil {
		t.Errorf("by id: %v", d)
	}
}

func TestWhatASessionMayHold(t *testing.T) {
	set := NewDomains([]binding.Domain{{Name: "d",
		Pools: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/20"), netip.MustParsePrefix("192.0.2.0/25"),
			netip.MustParsePrefix("192.0.2.200/32"), netip.MustParsePrefix("2001:db8::/40")}}},
		func(string) uint16 { return 1 }, nil)
	d := &set.List[0]
	for _, c := range []struct {
		prefix    string
		has, wide bool
	}{
		{"10.0.3.4/32", true, false}, {"10.0.3.0/24", true, false}, {"10.0.2.0/23", true, true},
		{"10.0.0.0/20", true, true}, {"10.0.16.0/24", false, false},
		{"192.0.2.0/25", true, true}, {"192.0.2.0/26", true, false}, {"192.0.2.200/32", true, false},
		{"2001:db8::/48", true, false}, {"2001:db8::/47", true, true},
	} {
		p := netip.MustParsePrefix(c.prefix)
		if d.Has(p) != c.has || d.TooWide(p) != c.wide {
			t.Errorf("%s: has %v, too wide %v", c.prefix, d.Has(p), d.TooWide(p))
		}
	}
	if any := (&Domain{}); !any.Has(netip.MustParsePrefix("10.0.0.1/32")) {
		t.Error("without pools not any address may be held")
	}
}
