package wire

import "encoding/binary"

// A LinkType says what a frame begins with, by the number that capture files
// use (https://www.tcpdump.org/linktypes.html).
type LinkType uint32

// The link types that are understood.
const (
	LinkNull      LinkType = 0 // BSD loopback, in the byte order of its host
	LinkEthernet  LinkType = 1
	LinkPPP       LinkType = 9
	LinkRawBSD    LinkType = 12
	LinkRawOpen   LinkType = 14
	LinkRaw       LinkType = 101 // IPv4 or IPv6
	LinkLoop      LinkType = 108
	LinkLinuxSLL  LinkType = 113
	LinkIPv4      LinkType = 228
	LinkIPv6      LinkType = 229
	LinkLinuxSLL2 LinkType = 276
)

// Known reports whether frames of this type can be taken apart.
func (l LinkType) Known() bool {
	switch l {
	case LinkNull, LinkEthernet, LinkPPP, LinkRawBSD, LinkRawOpen, LinkRaw, LinkLoop, LinkLinuxSLL, LinkIPv4, LinkIPv6, LinkLinuxSLL2:
		return true
	}
	return false
}

// EtherTypes.
const (
	etherIPv4     = 0x0800
	etherVLAN     = 0x8100
	etherIPv6     = 0x86dd
	etherPPPoE    = 0x8864
	etherMPLS     = 0x8847
	etherMPLSMany = 0x8848
	etherQinQ     = 0x88a8
	etherQinQOld  = 0x9100
)

// maxTags bounds the VLAN tags and MPLS labels that are passed over.
const maxTags = 8

// network finds the IP packet in a frame; nil if there is none.
func network(link LinkType, b []byte) []byte {
	switch link {
	case LinkEthernet:
		return afterEther(b, 12)
	case LinkLinuxSLL:
		return afterEther(b, 14)
	case LinkLinuxSLL2:
		if len(b) < 20 {
			return nil
		}
		return payloadOf(binary.BigEndian.Uint16(b), b[20:])
	case LinkNull, LinkLoop:
		return ip(skip(b, 4))
	case LinkPPP:
		return afterPPP(b)
	case LinkRaw, LinkRawBSD, LinkRawOpen, LinkIPv4, LinkIPv6:
		return ip(b)
	}
	return nil
}

// afterEther reads the EtherType at a place, behind which the payload begins.
func afterEther(b []byte, at int) []byte {
	if len(b) < at+2 {
		return nil
	}
	return payloadOf(binary.BigEndian.Uint16(b[at:]), b[at+2:])
}

// payloadOf passes over tags to the IP packet.
func payloadOf(ether uint16, b []byte) []byte {
	for range maxTags {
		switch ether {
		case etherIPv4, etherIPv6:
			return ip(b)
		case etherVLAN, etherQinQ, etherQinQOld:
			if len(b) < 4 {
				return nil
			}
			ether, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		case etherPPPoE:
			return afterPPP(skip(b, 6))
		case etherMPLS, etherMPLSMany:
			return afterMPLS(b)
		default:
			return nil
		}
	}
	return nil
}

// afterPPP reads a PPP frame, with or without address and control (RFC 1662).
func afterPPP(b []byte) []byte {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) < 2 || (b[0] != 0 || b[1] != 0x21 && b[1] != 0x57) {
		return nil
	}
	return ip(b[2:])
}

func afterMPLS(b []byte) []byte {
	for range maxTags {
		if len(b) < 4 {
			return nil
		}
		bottom := b[2]&1 == 1
		if b = b[4:]; bottom {
			return ip(b)
		}
	}
	return nil
}

// ip is b if it begins like an IP packet.
func ip(b []byte) []byte {
	if len(b) == 0 || b[0]>>4 != 4 && b[0]>>4 != 6 {
		return nil
	}
	return b
}

func skip(b []byte, n int) []byte {
	if len(b) < n {
		return nil
	}
	return b[n:]
}
