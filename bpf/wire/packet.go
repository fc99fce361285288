package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// The transports that a Decoder delivers (IANA protocol numbers).
const (
	ProtoTCP  = 6
	ProtoUDP  = 17
	ProtoSCTP = 132
)

// A Frame is one frame as it was captured.
type Frame struct {
	Time time.Time // when it was seen
	Link LinkType
	// Data begins with the header that Link names.
	Data []byte
	// Length is how long the frame was on the wire; more than len(Data) means
	// that the capture cut it. Zero means len(Data).
	Length int
}

// A Packet is one UDP datagram, TCP segment or SCTP packet. Its slices alias
// the frame that it came from.
type Packet struct {
	Time     time.Time
	Src, Dst netip.AddrPort // unmapped
	Proto    uint8
	// Header is the transport's header: 8 bytes for UDP, 12 for SCTP, with
	// options for TCP.
	Header []byte
	// Payload is what follows the header; for SCTP its chunks. A super-packet
	// of segmentation offload arrives whole: several messages of the protocol
	// follow one another.
	Payload []byte
	// Cut reports that the capture did not hold all of the payload.
	Cut bool
}

// transport makes the Packet of an IP payload. It returns the reason why there
// is none.
func (p *Packet) transport(src, dst netip.Addr, b []byte, cut bool) outcome {
	header := 0
	switch p.Proto {
	case ProtoUDP:
		header = 8
	case ProtoSCTP:
		header = 12
	case ProtoTCP:
		if len(b) < 20 {
			return malformed
		}
		if header = int(b[12]>>4) * 4; header < 20 {
			return malformed
		}
	default:
		return otherProtocol
	}
	if len(b) < header {
		return malformed
	}
	p.Src = netip.AddrPortFrom(src.Unmap(), binary.BigEndian.Uint16(b))
	p.Dst = netip.AddrPortFrom(dst.Unmap(), binary.BigEndian.Uint16(b[2:]))
	p.Header, p.Payload, p.Cut = b[:header], b[header:], cut
	if p.Proto == ProtoUDP {
		p.trimUDP()
	}
	return delivered
}

// trimUDP takes padding off. A length of zero is a jumbogram (RFC 2675), or a
// super-packet: it says nothing.
func (p *Packet) trimUDP() {
	said := int(binary.BigEndian.Uint16(p.Header[4:])) - len(p.Header)
	switch {
	case said < 0:
	case said <= len(p.Payload):
		p.Payload, p.Cut = p.Payload[:said], false
	default:
		p.Cut = true
	}
}
