package binding

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrAddress reports an address that no session can hold.
var ErrAddress = errors.New("not an address of a session")

// An Address is what a session holds: an IPv4 address, an IPv6 prefix, a
// framed route, or a block of ports of a shared IPv4 address.
type Address struct {
	// Prefix is masked and, for IPv4, unmapped.
	Prefix netip.Prefix
	// PortLow and PortHigh bound a port block, inclusively. Both zero: all
	// ports.
	PortLow, PortHigh uint16
}

// NewAddress makes the canonical form of a prefix (rule T11): IPv4-mapped is
// unmapped, bits beyond the prefix are dropped, the unspecified address,
// loopback, multicast and link-local are refused.
func NewAddress(p netip.Prefix) (Address, error) {
	addr, bits := p.Addr(), p.Bits()
	if !p.IsValid() || addr.Zone() != "" {
		return Address{}, fmt.Errorf("%v: %w", p, ErrAddress)
	}
	if addr.Is4In6() {
		addr, bits = addr.Unmap(), bits-96
	}
	q, err := addr.Prefix(bits)
	if err != nil || bits < 1 {
		return Address{}, fmt.Errorf("%v: %w", p, ErrAddress)
	}
	if addr = q.Addr(); addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
		return Address{}, fmt.Errorf("%v: %w", p, ErrAddress)
	}
	return Address{Prefix: q}, nil
}

// IPv4 makes the Address of one IPv4 address.
func IPv4(addr netip.Addr) (Address, error) {
	return NewAddress(netip.PrefixFrom(addr, addr.BitLen()))
}

// Is4 reports whether the address is of IPv4.
func (a Address) Is4() bool { return a.Prefix.Addr().Is4() }

// String is the bare address for a single one, else the prefix; a port block
// follows as ":low-high".
func (a Address) String() string {
	var s string
	if a.Prefix.IsSingleIP() {
		s = a.Prefix.Addr().String()
	} else {
		s = a.Prefix.String()
	}
	if a.PortLow|a.PortHigh != 0 {
		s += fmt.Sprintf(":%d-%d", a.PortLow, a.PortHigh)
	}
	return s
}

// ParseAddr reads the address of a question: an IPv4 or IPv6 address, mapped
// ones unmapped, a zone refused.
func ParseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	}
	if strings.Contains(s, "%") {
		return netip.Addr{}, fmt.Errorf("%q has a zone", s)
	}
	return addr.Unmap(), nil
}
