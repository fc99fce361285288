package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed reports a packet that is dropped for its form (RFC 2866
// section 5: "the entire request MUST be silently discarded").
var ErrMalformed = errors.New("malformed packet")

// The shapes of malformed packets.
var (
	errShort      = fmt.Errorf("%w: shorter than its header or its Length", ErrMalformed)
	errLength     = fmt.Errorf("%w: Length is not within 20 to 4096", ErrMalformed)
	errAttribute  = fmt.Errorf("%w: an attribute does not fit", ErrMalformed)
	errValue      = fmt.Errorf("%w: an attribute has an invalid length", ErrMalformed)
	errRepeated   = fmt.Errorf("%w: an attribute has two different values", ErrMalformed)
	errCode       = fmt.Errorf("%w: neither Accounting-Request nor Status-Server", ErrMalformed)
	errNoStatus   = fmt.Errorf("%w: no Acct-Status-Type", ErrMalformed)
	errNoSession  = fmt.Errorf("%w: no Acct-Session-Id, and no charging id with a gateway address", ErrMalformed)
	errAttributes = fmt.Errorf("%w: more than %d attributes", ErrMalformed, maxAttributes)
)

// Packet codes (RFC 2865 section 3, RFC 2866 section 3).
const (
	codeAccountingRequest  = 4
	codeAccountingResponse = 5
	codeStatusServer       = 12
)

const (
	headerLen = 20
	// maxPacket is the largest Length (RFC 2865 section 3).
	maxPacket = 4096
	// maxAttributes bounds the work for one packet.
	maxAttributes = 512
)

// A packet is a RADIUS packet, trimmed to its Length.
type packet []byte

// newPacket trims a datagram: octets beyond Length are padding (RFC 2865
// section 3).
func newPacket(datagram []byte) (packet, error) {
	if len(datagram) < headerLen {
		return nil, errShort
	}
	length := int(binary.BigEndian.Uint16(datagram[2:]))
	switch {
	case length < headerLen || length > maxPacket:
		return nil, errLength
	case length > len(datagram):
		return nil, errShort
	}
	return packet(datagram[:length:length]), nil
}

func (p packet) code() byte            { return p[0] }
func (p packet) id() byte              { return p[1] }
func (p packet) authenticator() []byte { return p[4:headerLen:headerLen] }
func (p packet) attributes() []byte    { return p[headerLen:] }

// setLength writes the Length field of a packet that is complete.
func (p packet) setLength() { binary.BigEndian.PutUint16(p[2:], uint16(len(p))) }

// cutAttribute splits the first attribute off b, which is not empty.
func cutAttribute(b []byte) (typ byte, value, rest []byte, err error) {
	if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
		return 0, nil, nil, errAttribute
	}
	n := int(b[1])
	return b[0], b[2:n:n], b[n:], nil
}

// appendAttribute appends one attribute; the value has at most 253 octets.
func appendAttribute(b []byte, typ byte, value []byte) []byte {
	return append(append(b, typ, byte(len(value)+2)), value...)
}

// appendProxyStates appends every Proxy-State of attrs, unchanged and in order
// (RFC 2865 section 5.33).
func appendProxyStates(b, attrs []byte) []byte {
	for len(attrs) > 0 {
		typ, value, rest, err := cutAttribute(attrs)
		if err != nil {
			return b
		}
		if typ == attrProxyState {
			b = appendAttribute(b, typ, value)
		}
		attrs = rest
	}
	return b
}
