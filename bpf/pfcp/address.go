package pfcp

import (
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
)

// maxAddresses bounds the addresses of a session.
const maxAddresses = 16

// Interfaces (3GPP TS 29.244 clauses 8.2.2, 8.2.24).
const (
	interfaceAccess = 0
	interfaceCore   = 1
	interfaceSGiLAN = 2
	interfaceCP     = 3
)

// A ueAddress is a UE IP Address (clause 8.2.62).
type ueAddress struct {
	destination bool // S/D: of packets to it
	choose      bool // CHV4 or CHV6: the user plane function chooses
	addrs       [2]binding.Address
}

// Flags of UE IP Address.
const (
	flagV6 = 1 << iota
	flagV4
	flagSD
	flagIPv6D
	flagCHV4
	flagCHV6
	flagIP6PL
)

// newUEAddress reads a UE IP Address. An IPv6 prefix has 64 bits unless it is
// said to have more or fewer.
func newUEAddress(v []byte) (a ueAddress, ok bool) {
	if len(v) == 0 {
		return a, false
	}
	flags := v[0]
	v = v[1:]
	a.destination, a.choose = flags&flagSD != 0, flags&(flagCHV4|flagCHV6) != 0
	if flags&flagV4 != 0 && flags&flagCHV4 == 0 {
		if len(v) < 4 {
			return ueAddress{}, false
		}
		a.addrs[0], _ = binding.IPv4(netip.AddrFrom4([4]byte(v)))
		v = v[4:]
	}
	if flags&flagV6 == 0 || flags&flagCHV6 != 0 {
		return a, true
	}
	if len(v) < 16 {
		return ueAddress{}, false
	}
	addr, bits := netip.AddrFrom16([16]byte(v)), 64
	v = v[16:]
	if flags&flagIPv6D != 0 {
		if len(v) < 1 || v[0] >= 64 {
			return ueAddress{}, false
		}
		bits, v = 64-int(v[0]), v[1:]
	}
	if flags&flagIP6PL != 0 {
		if len(v) < 1 || v[0] == 0 || v[0] > 128 {
			return ueAddress{}, false
		}
		bits = int(v[0])
	}
	if prefix, err := binding.NewAddress(netip.PrefixFrom(addr, bits)); err == nil && !prefix.Is4() {
		a.addrs[1] = prefix
	}
	return a, true
}

// appendTo adds the addresses that are not in a list yet.
func (a ueAddress) appendTo(list []binding.Address) []binding.Address {
	for _, addr := range a.addrs {
		if addr.Prefix.IsValid() && len(list) < maxAddresses && !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	return list
}

// ofUE reports that the addresses of a rule are a UE's: packets from the access
// side come from it, packets from the core side go to it, and the rule does not
// lead to the control plane. The same element names the control plane's own
// address in rules that redirect DHCP or AAA messages.
func (r *rule) ofUE(toCP []uint32) bool {
	if r.hasFAR && slices.Contains(toCP, r.far) {
		return false
	}
	return r.source == interfaceAccess || r.source == interfaceCore || r.source == interfaceSGiLAN
}

func (r *rule) takes(a ueAddress) bool { return a.destination == (r.source != interfaceAccess) }

// addresses lists the UE's addresses that a rule of a request names, those of
// its traffic endpoints included.
func (r *rule) addresses(spots []spot) (list []binding.Address) {
	for _, a := range r.addrs {
		if r.takes(a) {
			list = a.appendTo(list)
		}
	}
	for _, s := range spots {
		if slices.Contains(r.spots, s.id) {
			for _, a := range s.addrs {
				list = a.appendTo(list)
			}
		}
	}
	return list
}

// A held address says by which rules a session holds it.
type held struct {
	rule  uint16
	addrs []binding.Address
}

// grants lists what the rules of an accepted request give to the UE: what the
// request says, or what the response says to have been chosen.
func grants(req, resp *message) (list []held) {
	spots := append(slices.Clone(req.spots), resp.spots...)
	for i := range req.rules {
		r := &req.rules[i]
		if !r.ofUE(req.toCP) {
			continue
		}
		h := held{rule: r.id, addrs: r.addresses(spots)}
		for _, g := range resp.granted {
			if g.id != r.id {
				continue
			}
			for _, a := range g.addrs {
				h.addrs = a.appendTo(h.addrs)
			}
		}
		list = append(list, h)
	}
	return list
}

// union lists the addresses of all rules, in the order in which they came.
func union(list []held) (all []binding.Address) {
	for _, h := range list {
		for _, a := range h.addrs {
			if len(all) < maxAddresses && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}
