package gtp

import (
	"encoding/binary"
	"errors"
)

// errMalformed reports a message that contradicts itself.
var errMalformed = errors.New("malformed")

// A header is that of GTPv1-C (3GPP TS 29.060 clause 6) or GTPv2-C (TS 29.274
// clause 5.1).
type header struct {
	version uint8
	kind    uint8
	teid    uint32 // zero where the message carries none
	seq     uint32
}

// versionOther is what is neither GTPv1-C nor GTPv2-C: GTP version 0, GTP'.
const versionOther = 0

// next takes the first message off a datagram: what is piggybacked on it
// (TS 29.274 clause 5.5.1), or follows it in a super-packet of segmentation
// offload, is in rest. body is what follows the header.
func next(b []byte) (h header, body, rest []byte, err error) {
	if len(b) < 4 {
		return h, nil, nil, errMalformed
	}
	h.kind = b[1]
	length := int(binary.BigEndian.Uint16(b[2:]))
	switch flags := b[0]; {
	case flags>>5 == 2:
		h.version = 2
		return h.v2(flags, b, 4+length)
	case flags>>5 == 1 && flags&0x10 != 0:
		h.version = 1
		return h.v1(flags, b, 8+length)
	}
	return h, nil, nil, nil
}

func (h header) v2(flags byte, b []byte, end int) (header, []byte, []byte, error) {
	size := 8
	if flags&8 != 0 {
		size = 12
	}
	if end < size || end > len(b) {
		return h, nil, nil, errMalformed
	}
	at := 4
	if size == 12 {
		h.teid, at = binary.BigEndian.Uint32(b[4:]), 8
	}
	h.seq = binary.BigEndian.Uint32(b[at:]) >> 8
	return h, b[size:end], b[end:], nil
}

// v1 reads the optional part too: the sequence number, and extension headers,
// which are passed over.
func (h header) v1(flags byte, b []byte, end int) (header, []byte, []byte, error) {
	if end > len(b) {
		return h, nil, nil, errMalformed
	}
	h.teid = binary.BigEndian.Uint32(b[4:])
	rest := b[end:]
	b = b[8:end]
	if flags&7 == 0 {
		return h, b, rest, nil
	}
	if len(b) < 4 {
		return h, nil, nil, errMalformed
	}
	h.seq = uint32(binary.BigEndian.Uint16(b))
	extension := flags&4 != 0 && b[3] != 0
	for b = b[4:]; extension; {
		if len(b) == 0 || b[0] == 0 || int(b[0])*4 > len(b) {
			return h, nil, nil, errMalformed
		}
		size := int(b[0]) * 4
		extension, b = b[size-1] != 0, b[size:]
	}
	return h, b, rest, nil
}
