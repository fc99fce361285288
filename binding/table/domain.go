package table

import (
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/index"
)

// Domains is the address domains of one configuration. It is replaced as a
// whole, so that readers need no lock.
type Domains struct {
	List   []Domain
	Names  map[uint16]string // every id ever given, for bindings of old domains
	byName map[string]int
	byAPN  map[string]int
}

// A Domain is one of them.
type Domain struct {
	ID uint16
	binding.Domain
}

// NewDomains makes the set of a configuration that was checked. names are
// those of every id ever given.
func NewDomains(domains []binding.Domain, idOf func(string) uint16, names map[uint16]string) *Domains {
	set := &Domains{byName: map[string]int{}, byAPN: map[string]int{}, Names: names}
	for i, d := range domains {
		if d.Widest4 == 0 {
			d.Widest4 = 24
		}
		if d.Widest6 == 0 {
			d.Widest6 = 48
		}
		set.List = append(set.List, Domain{ID: idOf(d.Name), Domain: d})
		set.byName[d.Name] = i
		for _, apn := range d.APNs {
			set.byAPN[binding.CanonicalAPN(apn)] = i
		}
	}
	return set
}

// Of chooses the domain of an address that a session names: that of its APN, the
// "*" domain or, where the APN is not known, the only one that has the address. If
// there is none, several are the domains of which one may be it.
func (s *Domains) Of(apn string, p netip.Prefix) (d *Domain, several []uint16) {
	i, ok := s.byAPN[apn]
	if !ok {
		i, ok = s.byAPN["*"]
	}
	switch {
	case ok:
		return &s.List[i], nil
	case apn != "":
		return nil, nil
	case len(s.List) == 1:
		return &s.List[0], nil
	}
	for i := range s.List {
		if s.List[i].Has(p) {
			d, several = &s.List[i], append(several, s.List[i].ID)
		}
	}
	if len(several) > 1 {
		return nil, several
	}
	return d, nil
}

// Named is the domain of that name, nil if there is none.
func (s *Domains) Named(name string) *Domain {
	if i, ok := s.byName[name]; ok {
		return &s.List[i]
	}
	return nil
}

// ByID is the domain with that id, or nil if there is none any more.
func (s *Domains) ByID(id uint16) *Domain {
	for i := range s.List {
		if s.List[i].ID == id {
			return &s.List[i]
		}
	}
	return nil
}

// Has reports whether a session of the domain may hold p (rule T10).
func (d *Domain) Has(p netip.Prefix) bool {
	if len(d.Pools) == 0 {
		return true
	}
	return slices.ContainsFunc(d.Pools, func(pool netip.Prefix) bool {
		return pool.Bits() <= p.Bits() && pool.Contains(p.Addr())
	})
}

// TooWide reports that p is more than one session may hold: it spans more than
// is configured, or a whole pool.
func (d *Domain) TooWide(p netip.Prefix) bool {
	widest, leaf := d.Widest6, int(LeafBits(Class6))
	if p.Addr().Is4() {
		widest, leaf = d.Widest4, int(LeafBits(Class4))
	}
	return p.Bits() < widest || p.Bits() < leaf && slices.Contains(d.Pools, p)
}

// TooMuch reports that these are more than one session may hold together: the
// prefixes among them span more than the widest one may, or, with the addresses, a
// whole pool.
func (d *Domain) TooMuch(keys []index.Key) bool {
	if !slices.ContainsFunc(keys, IsWide) {
		return false
	}
	span := func(in index.Key, spans func(index.Key) bool) (sum uint64) {
		for i, k := range keys {
			twice := slices.ContainsFunc(keys[:i], func(o index.Key) bool { return Within(k, o) }) ||
				slices.ContainsFunc(keys[i+1:], func(o index.Key) bool { return k != o && Within(k, o) })
			if k.Class() == in.Class() && spans(k) && !twice {
				sum += 1 << (LeafBits(k.Class()) - k.Bits())
			}
		}
		return sum
	}
	for _, k := range keys {
		widest, leaf := d.Widest6, int(LeafBits(k.Class()))
		if k.Class() == Class4 {
			widest = d.Widest4
		}
		if IsWide(k) && widest > 0 && span(k, IsWide) > 1<<max(leaf-widest, 0) {
			return true
		}
	}
	for _, pool := range d.Pools {
		in := KeyAt(d.ID, pool.Addr(), 0)
		leaf := int(LeafBits(in.Class()))
		if size := uint64(1) << max(leaf-pool.Bits(), 0); size > 1 && span(in, func(k index.Key) bool {
			return !IsPart(k) && pool.Contains(AddressOf(k).Prefix.Addr())
		}) >= size {
			return true
		}
	}
	return false
}

// KeyOf is the key of an address in a domain that was ever configured; false if
// it is none that can be held as one.
func (m *Memory) KeyOf(domain string, addr binding.Address) (index.Key, bool) {
	set := m.Domains.Load()
	if set == nil || !addr.Prefix.IsValid() {
		return index.Key{}, false
	}
	for id, name := range set.Names {
		if name != domain {
			continue
		}
		if keys := Keys(id, addr); len(keys) == 1 {
			return keys[0], true
		}
	}
	return index.Key{}, false
}
