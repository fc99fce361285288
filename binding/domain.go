package binding

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/simbind/simbind/binding/index"
)

// A domainSet is the address domains of one configuration. It is replaced as a
// whole, so that readers need no lock.
type domainSet struct {
	list   []domain
	byName map[string]int
	byAPN  map[string]int
	names  map[uint16]string // every id ever given, for bindings of old domains
}

type domain struct {
	id    uint16
	name  string
	pools []netip.Prefix
}

func newDomainSet(domains []Domain, idOf func(string) uint16, names map[uint16]string) *domainSet {
	set := &domainSet{byName: map[string]int{}, byAPN: map[string]int{}, names: names}
	for i, d := range domains {
		set.list = append(set.list, domain{id: idOf(d.Name), name: d.Name, pools: d.Pools})
		set.byName[d.Name] = i
		for _, apn := range d.APNs {
			set.byAPN[canonicalAPN(apn)] = i
		}
	}
	return set
}

// forAPN chooses the domain of a session. A session without an APN belongs to
// the "*" domain or, where there is just one domain, to that.
func (s *domainSet) forAPN(apn string) (*domain, bool) {
	i, ok := s.byAPN[apn]
	if !ok {
		i, ok = s.byAPN["*"]
	}
	if !ok && apn == "" && len(s.list) == 1 {
		i, ok = 0, true
	}
	if !ok {
		return nil, false
	}
	return &s.list[i], true
}

// forEvent is forAPN, or the domain that another site names.
func (s *domainSet) forEvent(ev *Event, apn string) (*domain, bool) {
	if ev.Source != SourceFeed {
		return s.forAPN(apn)
	}
	if i, ok := s.byName[ev.Domain]; ok {
		return &s.list[i], true
	}
	return nil, false
}

// has reports whether a session of the domain may hold p (rule T10).
func (d *domain) has(p netip.Prefix) bool {
	if len(d.pools) == 0 {
		return true
	}
	return slices.ContainsFunc(d.pools, func(pool netip.Prefix) bool {
		return pool.Bits() <= p.Bits() && pool.Contains(p.Addr())
	})
}

func (s *domainSet) byID(id uint16) *domain {
	for i := range s.list {
		if s.list[i].id == id {
			return &s.list[i]
		}
	}
	return nil
}

// canonicalAPN is the network identifier in lower case, without the operator
// identifier ".mnc001.mcc001.gprs" (3GPP TS 23.003 clause 9.1).
func canonicalAPN(apn string) string {
	apn = strings.ToLower(strings.TrimSuffix(apn, "."))
	if !strings.HasSuffix(apn, ".gprs") {
		return apn
	}
	labels := strings.Split(apn, ".")
	if n := len(labels); n > 3 &&
		strings.HasPrefix(labels[n-2], "mcc") && strings.HasPrefix(labels[n-3], "mnc") {
		return strings.Join(labels[:n-3], ".")
	}
	return apn
}

// Address classes of the index. IPv4 keys are address and port, 48 bits.
const (
	class4 = 0
	class6 = 1
)

// A family is a kind of address that an event can name completely.
type family uint8

const (
	family4 family = iota
	familyPorts
	family6
)

func familyOf(k index.Key) family {
	switch {
	case k.Meta>>8&0xFF == class6:
		return family6
	case k.Meta&0xFF > 32:
		return familyPorts
	}
	return family4
}

func (a Address) family() family {
	switch {
	case !a.Prefix.Addr().Unmap().Is4():
		return family6
	case a.PortLow|a.PortHigh != 0:
		return familyPorts
	}
	return family4
}

// keysOf gives the index keys of an address: one, or for a block of ports the
// aligned pieces that make it up, as for a prefix list.
func keysOf(dom uint16, a Address) []index.Key {
	if !a.Is4() {
		hi, lo := words128(a.Prefix.Addr())
		return []index.Key{index.NewKey(dom, class6, uint8(a.Prefix.Bits()), hi, lo)}
	}
	base := word32(a.Prefix.Addr())
	if a.PortLow|a.PortHigh == 0 {
		return []index.Key{index.NewKey(dom, class4, uint8(a.Prefix.Bits()), base, 0)}
	}
	var keys []index.Key
	for low, high := uint32(a.PortLow), uint32(a.PortHigh); low <= high; {
		size, bits := uint32(1), uint8(48)
		for low%(2*size) == 0 && low+2*size-1 <= high && bits > 33 {
			size, bits = 2*size, bits-1
		}
		keys = append(keys, index.NewKey(dom, class4, bits, base|uint64(low)<<16, 0))
		low += size
	}
	return keys
}

// addressOf is the address that a key stands for; of a block of ports, one
// aligned piece.
func addressOf(k index.Key) Address {
	bits := int(k.Meta & 0xFF)
	if k.Meta>>8&0xFF == class6 {
		return Address{Prefix: netip.PrefixFrom(netip.AddrFrom16(bytes128(k.Hi, k.Lo)), bits)}
	}
	var b [4]byte
	for i := range b {
		b[i] = byte(k.Hi >> (56 - 8*i))
	}
	addr := netip.AddrFrom4(b)
	if bits <= 32 {
		return Address{Prefix: netip.PrefixFrom(addr, bits)}
	}
	low := uint16(k.Hi >> 16)
	return Address{Prefix: netip.PrefixFrom(addr, 32), PortLow: low, PortHigh: low + 1<<(48-bits) - 1}
}

func domainOf(k index.Key) uint16 { return uint16(k.Meta >> 16) }

func word32(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40 | uint64(b[3])<<32
}

func words128(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	for i := range 8 {
		hi, lo = hi<<8|uint64(b[i]), lo<<8|uint64(b[i+8])
	}
	return hi, lo
}

func bytes128(hi, lo uint64) (b [16]byte) {
	for i := range 8 {
		b[i], b[i+8] = byte(hi>>(56-8*i)), byte(lo>>(56-8*i))
	}
	return b
}
