package radius

import (
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
)

// TLVs of IP-Port-Range (RFC 8045 section 3.2). Integers have four octets.
const (
	tlvPortType   = 1
	tlvExtIPv4    = 3
	tlvAlloc      = 8
	tlvRangeStart = 9
	tlvRangeEnd   = 10

	// Port types up to this one cover TCP and UDP alike.
	portTypeTCPAndUDP = 1
	allocated         = 1
	deallocated       = 2
)

// A portRange is an IP-Port-Range attribute.
type portRange struct {
	portType, alloc, low, high number
	external                   []byte
}

// portRange takes a range of ports of a shared IPv4 address (RFC 8045 section
// 3.1.2). Without an external address it is of Framed-IP-Address. An address
// that is shared is not held as a whole. NATs report ranges one by one as they
// come and go: the result is whether the session may hold others that the
// request does not name.
func (r *Request) portRange(tlvs []byte, framed netip.Addr) (others bool) {
	var pr portRange
	if !pr.parse(tlvs) {
		r.Notes |= NoteBadAddress
		return true
	}
	if pr.portType.value > portTypeTCPAndUDP {
		// Which subscriber a port belongs to would depend on a protocol that
		// no question names.
		r.Notes |= NotePortProtocol
		return true
	}
	if addr, ok := netip.AddrFromSlice(pr.external); ok {
		framed = addr
	}
	external, err := binding.IPv4(framed)
	if err != nil {
		r.Notes |= NoteBadAddress
		return true
	}
	ev := &r.Event
	ev.Addrs = slices.DeleteFunc(ev.Addrs, func(a binding.Address) bool { return a == external })
	external.PortLow, external.PortHigh = uint16(pr.low.value), uint16(pr.high.value)
	if pr.alloc.value == deallocated {
		ev.Gone = append(ev.Gone, external)
		return pr.low.ok
	}
	if !slices.Contains(ev.Addrs, external) {
		ev.Addrs = append(ev.Addrs, external)
	}
	return true
}

// parse reads the TLVs. An allocation names its range; a deallocation without
// one gives up all ports of the address.
func (pr *portRange) parse(tlvs []byte) bool {
	for rest := tlvs; len(rest) > 0; {
		typ, value, next, err := cutAttribute(rest)
		if err != nil || pr.take(typ, value) != nil {
			return false
		}
		rest = next
	}
	if pr.alloc.value == deallocated && !pr.low.ok && !pr.high.ok {
		return true
	}
	return (pr.alloc.value == allocated || pr.alloc.value == deallocated) && pr.low.ok && pr.high.ok &&
		pr.low.value <= pr.high.value && pr.high.value > 0 && pr.high.value <= 0xFFFF
}

func (pr *portRange) take(typ byte, value []byte) error {
	switch typ {
	case tlvPortType:
		return pr.portType.set(value)
	case tlvExtIPv4:
		return sized(&pr.external, value, 4)
	case tlvAlloc:
		return pr.alloc.set(value)
	case tlvRangeStart:
		return pr.low.set(value)
	case tlvRangeEnd:
		return pr.high.set(value)
	}
	return nil
}
