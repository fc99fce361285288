package diameter

import (
	"encoding/binary"
)

const (
	// maxAVPs bounds the work for one message; its groups count.
	maxAVPs = 1024
	// maxDepth bounds groups within groups. Those that are read here nest
	// less deeply.
	maxDepth = 4

	avpHeaderLen    = 8
	vendorHeaderLen = 12
)

// Bits of the AVP flags (RFC 6733 section 4.1).
const (
	avpVendor    = 0x80
	avpMandatory = 0x40
)

// An avp is one AVP as slices of its message.
type avp struct {
	code   uint32
	vendor uint32 // zero without the V bit
	data   []byte
	// raw is the AVP with its header and without its padding.
	raw []byte
}

// A walk goes through the AVPs of a message, and into groups when told.
type walk struct {
	left int // AVPs that may still come
}

func newWalk() walk { return walk{left: maxAVPs} }

// next cuts the first AVP off rest, which is not empty. The error is a *fault.
func (w *walk) next(rest []byte) (a avp, after []byte, err error) {
	if w.left--; w.left < 0 {
		return avp{}, nil, faultTooMany()
	}
	if len(rest) < avpHeaderLen {
		return avp{}, nil, faultLength(rest)
	}
	word := binary.BigEndian.Uint32(rest[4:])
	n, head := int(word&0xFFFFFF), avpHeaderLen
	a.code = binary.BigEndian.Uint32(rest)
	if word>>24&avpVendor != 0 {
		head = vendorHeaderLen
	}
	if n < head || n > len(rest) {
		return avp{}, nil, faultLength(rest)
	}
	if head == vendorHeaderLen {
		a.vendor = binary.BigEndian.Uint32(rest[8:])
	}
	a.raw, a.data = rest[:n:n], rest[head:n:n]
	// The last AVP of a group often comes without its padding.
	return a, rest[min(n+-n&3, len(rest)):], nil
}

// each calls take for the AVPs of a message or group until it fails. depth
// counts the groups around them.
func (w *walk) each(avps []byte, depth int, take func(a avp) error) error {
	if depth > maxDepth {
		return faultTooMany()
	}
	for len(avps) > 0 {
		a, rest, err := w.next(avps)
		if err != nil {
			return err
		}
		if err := take(a); err != nil {
			return err
		}
		avps = rest
	}
	return nil
}

// is reports whether the AVP is one of the IETF or, with vendor3GPP, of 3GPP.
func (a *avp) is(vendor, code uint32) bool { return a.code == code && a.vendor == vendor }

// uint32 reads an Unsigned32 or Enumerated.
func (a *avp) uint32() (uint32, error) {
	if len(a.data) != 4 {
		return 0, faultLength(a.raw)
	}
	return binary.BigEndian.Uint32(a.data), nil
}
