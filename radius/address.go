package radius

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/simbind/simbind/binding"
)

// maxAddresses bounds what one request may name.
const maxAddresses = 32

// addresses sets Addrs, Gone and Complete.
func (r *Request) addresses(f *fields) {
	if f.addressed == 0 {
		return
	}
	ev := &r.Event
	ev.Addrs = make([]binding.Address, 0, f.addressed)
	var framed netip.Addr
	for _, a := range f.addresses[:f.addressed] {
		switch a.typ {
		case attrFramedIPAddress:
			framed = r.framedIP(a.value)
		case attrFramedIPv6Prefix, attrDelegatedIPv6Prefix:
			r.prefix6(a.value)
		case attrFramedRoute, attrFramedIPv6Route:
			r.route(string(a.value), a.typ == attrFramedRoute)
		}
	}
	delta := false
	for _, a := range f.addresses[:f.addressed] {
		switch a.typ {
		case attrFramedIPv6Address:
			r.address6(a.value)
		case attrExtended1:
			delta = r.portRange(a.value[1:], framed) || delta
		}
	}
	ev.Complete = len(ev.Addrs) > 0 && ev.Kind != binding.SessionStop && !delta && !r.Notes.Has(NoteTooManyAddresses)
}

// add keeps what a session can hold, once. Bits beyond the length say nothing,
// also not that a prefix is somebody's.
func (r *Request) add(p netip.Prefix) {
	addr, err := binding.NewAddress(p.Masked())
	if err != nil {
		r.Notes |= NoteBadAddress
		return
	}
	if !slices.Contains(r.Event.Addrs, addr) {
		r.Event.Addrs = append(r.Event.Addrs, addr)
	}
}

// framedIP reads Framed-IP-Address. 255.255.255.255 and 255.255.255.254 leave
// the choice to the user or the NAS (RFC 2865 section 5.8), 0.0.0.0 is not
// known yet: no address.
func (r *Request) framedIP(value []byte) (addr netip.Addr) {
	switch binary.BigEndian.Uint32(value) {
	case 0, 0xFFFFFFFF, 0xFFFFFFFE:
	default:
		addr = netip.AddrFrom4([4]byte(value))
		r.add(netip.PrefixFrom(addr, 32))
	}
	return addr
}

// prefix6 reads Framed-IPv6-Prefix or Delegated-IPv6-Prefix: a reserved octet,
// the prefix length, and as many octets of the prefix as the NAS sent. Bits
// beyond the length, set by many gateways, are masked.
func (r *Request) prefix6(value []byte) {
	var addr [16]byte
	copy(addr[:], value[2:])
	r.add(netip.PrefixFrom(netip.AddrFrom16(addr), int(value[1])))
}

// address6 reads Framed-IPv6-Address: an address of its own, unless a prefix
// of the same request covers it.
func (r *Request) address6(value []byte) {
	addr := netip.AddrFrom16([16]byte(value))
	for _, a := range r.Event.Addrs {
		if a.Prefix.Contains(addr) {
			return
		}
	}
	r.add(netip.PrefixFrom(addr, 128))
}

// route reads the prefix of Framed-Route ("192.0.2.0/24 198.51.100.1 1") or
// Framed-IPv6-Route. An IPv4 prefix without a length has that of its class
// (RFC 2865 section 5.22).
func (r *Request) route(text string, four bool) {
	text, _, _ = strings.Cut(strings.TrimLeft(text, " "), " ")
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || !four || !addr.Is4() {
			r.Notes |= NoteBadAddress
			return
		}
		p = netip.PrefixFrom(addr, classLength(addr))
	}
	if p.Addr().Is4() != four {
		r.Notes |= NoteBadAddress
		return
	}
	r.add(p)
}

func classLength(addr netip.Addr) int {
	switch first := addr.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	default:
		return 24
	}
}
