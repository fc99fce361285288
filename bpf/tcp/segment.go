package tcp

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/simbind/simbind/bpf/wire"
)

// ErrMalformed reports a segment that cannot be read.
var ErrMalformed = errors.New("malformed segment")

// Control bits (RFC 9293 section 3.1).
const (
	bitFIN = 0x01
	bitSYN = 0x02
	bitRST = 0x04
	bitACK = 0x10
)

const headerLen = 20

// A segment is one TCP segment as it was captured.
type segment struct {
	src, dst netip.AddrPort
	seq, ack uint32
	bits     byte
	payload  []byte
}

// parse reads a segment; its payload is that of the packet.
func parse(p *wire.Packet) (segment, error) {
	h := p.Header
	if len(h) < headerLen {
		return segment{}, ErrMalformed
	}
	return segment{
		src: p.Src, dst: p.Dst, seq: binary.BigEndian.Uint32(h[4:]), ack: binary.BigEndian.Uint32(h[8:]), bits: h[13], payload: p.Payload,
	}, nil
}

func (s *segment) has(bits byte) bool { return s.bits&bits == bits }
