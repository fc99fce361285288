package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// An outcome is what became of a frame.
type outcome uint8

const (
	delivered     outcome = iota
	otherProtocol         // nothing that is read here
	malformed
	held         // a fragment that waits for others
	fragmentLost // fragments whose datagram was given up
	unknownLink
	outcomes
)

// Counts say what became of frames.
type Counts struct {
	Delivered uint64 // packets handed on
	Other     uint64 // frames of other protocols
	Malformed uint64 // frames that contradict themselves, or were cut in a header
	Fragments uint64 // fragments heard
	// FragmentsLost are fragments whose datagram never became whole: a part was
	// missing for too long, overlapped, or there was no room.
	FragmentsLost uint64
	UnknownLink   uint64 // frames of a link type that is not known
}

// A Decoder takes frames apart. One goroutine uses it.
type Decoder struct {
	fragments fragments
	counts    Counts
	packet    Packet
}

// NewDecoder makes a Decoder with the usual bounds: 1024 datagrams of which
// fragments wait, 8 MiB in all, 30 s each.
func NewDecoder() *Decoder {
	return &Decoder{fragments: fragments{maxDatagrams: 1024, maxBytes: 8 << 20, maxAge: 30 * time.Second}}
}

// Counts returns what was counted so far.
func (d *Decoder) Counts() Counts { return d.counts }

// Decode takes one frame apart and hands the packet in it, if there is one, to
// fn before it returns. The Packet is valid until then.
func (d *Decoder) Decode(f *Frame, fn func(*Packet)) {
	if !f.Link.Known() {
		d.counts.UnknownLink++
		return
	}
	b := network(f.Link, f.Data)
	if b == nil {
		d.counts.Other++
		return
	}
	d.packet = Packet{Time: f.Time}
	var what outcome
	if b[0]>>4 == 4 {
		what = d.ipv4(b, f)
	} else {
		what = d.ipv6(b, f)
	}
	switch what {
	case delivered:
		d.counts.Delivered++
		fn(&d.packet)
	case otherProtocol:
		d.counts.Other++
	case malformed:
		d.counts.Malformed++
	}
	d.counts.FragmentsLost = d.fragments.lost
}

// ipv4 reads an IPv4 packet (RFC 791 section 3.1).
func (d *Decoder) ipv4(b []byte, f *Frame) outcome {
	if len(b) < 20 {
		return malformed
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	cut := f.Length > len(f.Data)
	switch {
	case header < 20 || header > len(b) || total != 0 && total < header:
		return malformed
	case total == 0: // a super-packet of more than 64 KiB, or one not yet finished
	case total <= len(b):
		b, cut = b[:total], false
	default:
		cut = true
	}
	d.packet.Proto = b[9]
	if !wanted(b[9]) {
		return otherProtocol
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	piece := binary.BigEndian.Uint16(b[6:])
	if offset, more := int(piece&0x1fff)*8, piece&0x2000 != 0; offset != 0 || more {
		key := datagramKey{src: src, dst: dst, id: uint32(binary.BigEndian.Uint16(b[4:])), proto: b[9]}
		return d.fragment(key, offset, more, b[header:], cut)
	}
	return d.packet.transport(src, dst, b[header:], cut)
}

// IPv6 extension headers (RFC 8200 section 4).
const (
	nextHopByHop    = 0
	nextRouting     = 43
	nextFragment    = 44
	nextAuth        = 51
	nextDestination = 60
	nextMobility    = 135
	nextHIP         = 139
	nextShim6       = 140
)

// maxExtensions bounds the extension headers that are passed over.
const maxExtensions = 16

// ipv6 reads an IPv6 packet (RFC 8200 section 3).
func (d *Decoder) ipv6(b []byte, f *Frame) outcome {
	if len(b) < 40 {
		return malformed
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next, said := b[6], int(binary.BigEndian.Uint16(b[4:]))
	cut := f.Length > len(f.Data)
	b = b[40:]
	switch {
	case said == 0: // a jumbogram or a super-packet
	case said <= len(b):
		b, cut = b[:said], false
	default:
		cut = true
	}
	return d.extensions(src, dst, next, b, cut)
}

// extensions passes over extension headers to the transport.
func (d *Decoder) extensions(src, dst netip.Addr, next byte, b []byte, cut bool) outcome {
	for range maxExtensions {
		length := 0
		switch next {
		case nextHopByHop, nextRouting, nextDestination, nextMobility, nextHIP, nextShim6, nextAuth:
			if len(b) < 8 {
				return malformed
			}
			if length = (int(b[1]) + 1) * 8; next == nextAuth {
				length = (int(b[1]) + 2) * 4
			}
		case nextFragment:
			if len(b) < 8 {
				return malformed
			}
			piece := binary.BigEndian.Uint16(b[2:])
			offset, more := int(piece&^7), piece&1 != 0
			if offset != 0 || more {
				key := datagramKey{src: src, dst: dst, id: binary.BigEndian.Uint32(b[4:]), proto: b[0], v6: true}
				return d.fragment(key, offset, more, b[8:], cut)
			}
			length = 8 // an atomic fragment (RFC 6946)
		default:
			d.packet.Proto = next
			return d.packet.transport(src, dst, b, cut)
		}
		if length > len(b) {
			return malformed
		}
		next, b = b[0], b[length:]
	}
	return malformed
}

// fragment keeps a fragment, and reads the datagram if it is whole now.
func (d *Decoder) fragment(key datagramKey, offset int, more bool, b []byte, cut bool) outcome {
	d.counts.Fragments++
	whole := d.fragments.add(key, offset, more, b, cut, d.packet.Time)
	if whole == nil {
		return held
	}
	if key.v6 {
		return d.extensions(key.src, key.dst, key.proto, whole, false)
	}
	d.packet.Proto = key.proto
	return d.packet.transport(key.src, key.dst, whole, false)
}

func wanted(proto byte) bool { return proto == ProtoUDP || proto == ProtoTCP || proto == ProtoSCTP }
