package bpf

import (
	"encoding/binary"
	"slices"
)

// Frames of the tests, put together from the inside out.

type frame []byte

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

func join(parts ...[]byte) frame { return slices.Concat(parts...) }

func udp(from, to int, payload ...byte) frame {
	return join(be16(from), be16(to), be16(8+len(payload)), be16(0), payload)
}

const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

func tcp(from, to int, flags byte, payload ...byte) frame {
	return join(be16(from), be16(to), make([]byte, 8), []byte{5 << 4, flags}, make([]byte, 6), payload)
}

func sctp(from, to int, chunks ...byte) frame {
	return join(be16(from), be16(to), make([]byte, 8), chunks)
}

// chunk is an SCTP chunk with its padding.
func chunk(kind byte, value ...byte) frame {
	return join([]byte{kind, 0}, be16(4+len(value)), value, make([]byte, (4-len(value)%4)%4))
}

const (
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
)

// ip4 is a whole IPv4 packet.
func ip4(protocol byte, payload []byte) frame { return ip4fragment(protocol, 7, 0, false, payload) }

// ip4fragment is a part of a datagram; offset is in octets.
func ip4fragment(protocol byte, id, offset int, more bool, payload []byte) frame {
	flags := offset / 8
	if more {
		flags |= 0x2000
	}
	return join([]byte{0x45, 0}, be16(20+len(payload)), be16(id), be16(flags), []byte{64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}, payload)
}

func ip6(next byte, payload []byte) frame {
	source, destination := [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}, [16]byte{0x20, 1, 0xd, 0xb8, 15: 2}
	return join([]byte{0x60, 0, 0, 0}, be16(len(payload)), []byte{next, 64}, source[:], destination[:], payload)
}

// extension is an IPv6 extension header of n octets, a multiple of eight.
func extension(next byte, n int, payload []byte) frame {
	header := make([]byte, n)
	header[0], header[1] = next, byte(n/8-1)
	return join(header, payload)
}

func authentication(next byte, n int, payload []byte) frame {
	header := make([]byte, n)
	header[0], header[1] = next, byte(n/4-2)
	return join(header, payload)
}

func fragment6(next byte, id, offset int, more bool, payload []byte) frame {
	word := offset
	if more {
		word |= 1
	}
	return join([]byte{next, 0}, be16(word), be16(0), be16(id), payload)
}

const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86DD
	typeVLAN = 0x8100
	typeQinQ = 0x88A8
)

func ether(ethertype int, payload []byte) frame {
	return join([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, be16(ethertype), payload)
}

func tag(vlan, ethertype int, payload []byte) frame {
	return join(be16(vlan), be16(ethertype), payload)
}

// tagged is a frame in a VLAN. The kernel refuses test runs of short IP headers
// that it sees, and it does not look behind a tag.
func tagged(ethertype int, payload []byte) frame {
	return ether(typeVLAN, tag(5, ethertype, payload))
}

// over4 and over6 are frames of a UDP datagram.
func over4(u frame) frame { return ether(typeIPv4, ip4(protoUDP, u)) }
func over6(u frame) frame { return ether(typeIPv6, ip6(protoUDP, u)) }

// Messages of which only the head matters here.
func gtpv1(kind byte) []byte { return []byte{0x32, kind, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0} }
func gtpv2(kind byte) []byte { return []byte{0x48, kind, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0} }
func pfcp(kind byte) []byte  { return []byte{0x20, kind, 0, 4, 0, 0, 0, 0} }
func radius(code byte) []byte {
	return append([]byte{code, 1}, append(be16(20), make([]byte, 16)...)...)
}
