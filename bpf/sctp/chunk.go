package sctp

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed reports a packet that cannot be read to its end.
var ErrMalformed = errors.New("malformed packet")

// Chunk types (RFC 9260 section 3.2).
const (
	chunkData             = 0
	chunkInit             = 1
	chunkInitAck          = 2
	chunkAbort            = 6
	chunkShutdownAck      = 8
	chunkShutdownComplete = 14
)

// Flags of a DATA chunk (RFC 9260 section 3.3.1).
const (
	flagEnd       = 0x01
	flagBegin     = 0x02
	flagUnordered = 0x04
)

// flagReflected of ABORT and SHUTDOWN COMPLETE: the tag is the one of the other
// direction (RFC 9260 sections 3.3.7 and 3.3.13).
const flagReflected = 0x01

const (
	commonHeaderLen = 12
	chunkHeaderLen  = 4
	dataHeaderLen   = 16
	initHeaderLen   = 20
	// maxChunks bounds the work for one packet.
	maxChunks = 1024
)

// PPIDs of Diameter: in the clear (RFC 6733 section 2.1), and none at all, as
// older nodes have it.
const (
	ppidDiameter = 46
	ppidNone     = 0
)

// A chunk is one chunk of a packet, without its padding.
type chunk struct {
	typ, flags byte
	value      []byte // behind the chunk's header
}

// cut takes the first chunk off b, which is not empty.
func cut(b []byte) (c chunk, rest []byte, err error) {
	if len(b) < chunkHeaderLen {
		return chunk{}, nil, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < chunkHeaderLen || n > len(b) {
		return chunk{}, nil, ErrMalformed
	}
	return chunk{b[0], b[1], b[chunkHeaderLen:n:n]}, b[min(n+-n&3, len(b)):], nil
}

// A fragment is what a DATA chunk carries.
type fragment struct {
	tsn       uint32
	stream    uint16
	sequence  uint16 // of the message in its stream, unless it is unordered
	unordered bool
	begins    bool
	ends      bool
	payload   uint32 // Payload Protocol Identifier
	data      []byte
}

func (c *chunk) fragment() (fragment, error) {
	v := c.value
	if len(v) <= dataHeaderLen-chunkHeaderLen { // a chunk without data is an error (RFC 9260 section 6.2)
		return fragment{}, ErrMalformed
	}
	return fragment{
		tsn: binary.BigEndian.Uint32(v), stream: binary.BigEndian.Uint16(v[4:]), sequence: binary.BigEndian.Uint16(v[6:]),
		unordered: c.flags&flagUnordered != 0, begins: c.flags&flagBegin != 0, ends: c.flags&flagEnd != 0,
		payload: binary.BigEndian.Uint32(v[8:]), data: v[12:],
	}, nil
}

// continues reports whether f is of the same message as the fragment before it.
func (f *fragment) continues(before *fragment) bool {
	return !before.ends && !f.begins && f.stream == before.stream && f.unordered == before.unordered &&
		(f.unordered || f.sequence == before.sequence)
}

// initiation reads INIT and INIT ACK: the tag of the direction to their sender,
// and the first TSN of the other.
func (c *chunk) initiation() (tag, tsn uint32, err error) {
	if len(c.value) < initHeaderLen-chunkHeaderLen {
		return 0, 0, ErrMalformed
	}
	tag, tsn = binary.BigEndian.Uint32(c.value), binary.BigEndian.Uint32(c.value[12:])
	if tag == 0 {
		return 0, 0, ErrMalformed
	}
	return tag, tsn, nil
}
