package gtp

import (
	"encoding/binary"
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// maxElements bounds the information elements of a message, those in groups
// included.
const maxElements = 512

// elements walks the information elements of GTPv2-C (3GPP TS 29.274 clause
// 8.2.1). It stops at the first error.
func elements(b []byte, left *int, fn func(kind, instance uint8, value []byte)) error {
	for len(b) > 0 {
		if *left--; len(b) < 4 || *left < 0 {
			return errMalformed
		}
		size := int(binary.BigEndian.Uint16(b[1:]))
		if size > len(b)-4 {
			return errMalformed
		}
		fn(b[0], b[3]&15, b[4:4+size])
		b = b[4+size:]
	}
	return nil
}

// An endpoint is a fully qualified tunnel endpoint identifier (F-TEID, 3GPP TS
// 29.274 clause 8.22), or in GTPv1-C a TEID at a GSN address.
type endpoint struct {
	kind   uint8 // interface type
	teid   uint32
	v4, v6 netip.Addr
}

// Interface types of F-TEID.
const (
	kindS5SGW = 6  // S5/S8 SGW GTP-C
	kindMME   = 10 // S11 MME GTP-C
	kindSGW   = 11 // S11/S4 SGW GTP-C
	kindSGSN  = 17 // S4 SGSN GTP-C
)

func newEndpoint(b []byte) (e endpoint, ok bool) {
	if len(b) < 5 {
		return e, false
	}
	flags := b[0]
	e.kind, e.teid = flags&0x3f, binary.BigEndian.Uint32(b[1:])
	b = b[5:]
	if flags&0x80 != 0 {
		if len(b) < 4 {
			return e, false
		}
		e.v4, b = netip.AddrFrom4([4]byte(b)), b[4:]
	}
	if flags&0x40 != 0 {
		if len(b) < 16 {
			return e, false
		}
		e.v6 = netip.AddrFrom16([16]byte(b)).Unmap()
	}
	return e, e.valid()
}

func (e endpoint) valid() bool { return e.v4.IsValid() || e.v6.IsValid() }

// addr is the address by which the node is named: IPv4 if there is one.
func (e endpoint) addr() netip.Addr {
	if e.v4.IsValid() {
		return e.v4
	}
	return e.v6
}

// addresses appends what a PDN Address Allocation grants (3GPP TS 29.274 clause
// 8.14). An address of zero is not one yet (DHCPv4). Of IPv6 the /64 is the
// session's, whatever interface identifier comes with it.
func addresses(b []byte) (list []binding.Address, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	kind := b[0] & 7
	b = b[1:]
	if kind == pdnIPv6 || kind == pdnIPv4v6 {
		if len(b) < 17 {
			return nil, false
		}
		list = appendPrefix(list, [16]byte(b[1:]), int(b[0]))
		b = b[17:]
	}
	if kind == pdnIPv4 || kind == pdnIPv4v6 {
		if len(b) < 4 {
			return list, false
		}
		list = appendIPv4(list, b[:4])
	}
	return list, true
}

// PDN types.
const (
	pdnIPv4   = 1
	pdnIPv6   = 2
	pdnIPv4v6 = 3
)

func appendIPv4(list []binding.Address, b []byte) []binding.Address {
	if a, err := binding.IPv4(netip.AddrFrom4([4]byte(b))); err == nil {
		list = append(list, a)
	}
	return list
}

// appendPrefix adds an IPv6 prefix of at most 64 bits; a longer one names an
// interface within the session's /64.
func appendPrefix(list []binding.Address, b [16]byte, bits int) []binding.Address {
	if bits == 0 || bits > 64 {
		bits = 64
	}
	if a, err := binding.NewAddress(netip.PrefixFrom(netip.AddrFrom16(b), bits)); err == nil && !a.Is4() {
		list = append(list, a)
	}
	return list
}
