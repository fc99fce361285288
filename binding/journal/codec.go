package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// errMalformed reports a stored key or value that this package cannot have
// written.
var errMalformed = errors.New("malformed")

// format is the version of every value's encoding, its first byte; formatBounds
// that of sessions and nodes since they have bounds in place of times.
const (
	format       = 1
	formatBounds = 2
)

// An input is what is left of a value to decode. After the first read beyond
// its end it is bad and every read returns zero.
type input struct {
	b   []byte
	bad bool
}

// openValue checks the version of a value.
func openValue(value []byte) (input, error) { return openFormat(value, format) }

// openFormat checks that a value is of that version.
func openFormat(value []byte, want byte) (input, error) {
	if len(value) == 0 {
		return input{}, errMalformed
	}
	if value[0] != want {
		return input{}, fmt.Errorf("format %d, this program knows %d", value[0], want)
	}
	return input{b: value[1:]}, nil
}

// close reports whether the value was read as it was meant, to its last byte.
func (in *input) close() error {
	if in.bad || len(in.b) != 0 {
		return errMalformed
	}
	return nil
}

func (in *input) fail() { in.b, in.bad = nil, true }

// take returns the next n bytes, which alias the value, or nil.
func (in *input) take(n int) []byte {
	if n < 0 || n > len(in.b) {
		in.fail()
		return nil
	}
	b := in.b[:n]
	in.b = in.b[n:]
	return b
}

func (in *input) byte() byte {
	if len(in.b) == 0 {
		in.fail()
		return 0
	}
	c := in.b[0]
	in.b = in.b[1:]
	return c
}

func (in *input) word() uint64 {
	if len(in.b) < 8 {
		in.fail()
		return 0
	}
	w := binary.BigEndian.Uint64(in.b)
	in.b = in.b[8:]
	return w
}

// uint reads a varint of at most width bits; no width is below 7.
func (in *input) uint(width int) uint64 {
	if b := in.b; len(b) != 0 && b[0] < 0x80 {
		in.b = b[1:]
		return uint64(b[0])
	}
	return in.longUint(width)
}

func (in *input) longUint(width int) uint64 {
	v, n := binary.Uvarint(in.b)
	if n <= 0 || bits.Len64(v) > width {
		in.fail()
		return 0
	}
	in.b = in.b[n:]
	return v
}

// int reads a zigzag varint.
func (in *input) int() int64 {
	u := in.uint(64)
	return int64(u>>1) ^ -int64(u&1)
}

// string copies: nothing that is decoded aliases Pebble's memory.
func (in *input) string() string {
	n := in.uint(32)
	if n > uint64(len(in.b)) {
		in.fail()
		return ""
	}
	return string(in.take(int(n)))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// The first byte of an address: its family, and whether ports follow.
const (
	addrNone  = 0
	addr4     = 4
	addr6     = 6
	addrPorts = 0x10
)

// appendAddress writes family, prefix length, as many bytes as the prefix
// covers, and the ports if there are any.
func appendAddress(b []byte, a *binding.Address) []byte {
	if !a.Prefix.IsValid() {
		return append(b, addrNone)
	}
	head := byte(addr6)
	if a.Is4() {
		head = addr4
	}
	if a.PortLow|a.PortHigh != 0 {
		head |= addrPorts
	}
	plen := a.Prefix.Bits()
	b = append(b, head, byte(plen))
	if a.Is4() {
		raw := a.Prefix.Addr().As4()
		b = appendPrefix(b, raw[:], plen)
	} else {
		raw := a.Prefix.Addr().As16()
		b = appendPrefix(b, raw[:], plen)
	}
	if head&addrPorts != 0 {
		b = binary.BigEndian.AppendUint16(b, a.PortLow)
		b = binary.BigEndian.AppendUint16(b, a.PortHigh)
	}
	return b
}

// appendPrefix writes the bytes that hold the first plen bits of raw, and zeros
// behind those.
func appendPrefix(b, raw []byte, plen int) []byte {
	if odd := plen % 8; odd != 0 {
		raw[plen/8] &= ^(0xFF >> odd)
	}
	return append(b, raw[:(plen+7)/8]...)
}

func (in *input) address(a *binding.Address) {
	*a = binding.Address{}
	head := in.byte()
	var addr netip.Addr
	var plen int
	switch head &^ addrPorts {
	case addr4:
		var raw [4]byte
		plen = in.prefix(raw[:])
		addr = netip.AddrFrom4(raw)
	case addr6:
		var raw [16]byte
		plen = in.prefix(raw[:])
		addr = netip.AddrFrom16(raw)
	default:
		if head != addrNone {
			in.fail()
		}
		return
	}
	if in.bad {
		return
	}
	a.Prefix = netip.PrefixFrom(addr, plen)
	if head&addrPorts != 0 {
		if raw := in.take(4); raw != nil {
			a.PortLow, a.PortHigh = binary.BigEndian.Uint16(raw), binary.BigEndian.Uint16(raw[2:])
		}
	}
}

// prefix fills raw with what appendPrefix wrote and returns its length in bits.
func (in *input) prefix(raw []byte) int {
	plen := int(in.byte())
	if plen > 8*len(raw) {
		in.fail()
		return 0
	}
	copy(raw, in.take((plen+7)/8))
	if odd := plen % 8; odd != 0 && raw[plen/8]&(0xFF>>odd) != 0 {
		in.fail()
	}
	return plen
}

// The first byte of a subscriber: which of its identities are known.
const (
	hasMSISDN = 1 << iota
	hasIMSI
	hasIMEI
)

func appendSubscriber(b []byte, s *binding.Subscriber) []byte {
	head := len(b)
	b = append(b, 0)
	if s.MSISDN != 0 {
		b[head] |= hasMSISDN
		b = binary.AppendUvarint(b, uint64(s.MSISDN))
	}
	if s.IMSI != 0 {
		b[head] |= hasIMSI
		b = binary.BigEndian.AppendUint64(b, uint64(s.IMSI))
	}
	if s.IMEI != 0 {
		b[head] |= hasIMEI
		b = binary.BigEndian.AppendUint64(b, uint64(s.IMEI))
	}
	return b
}

func (in *input) subscriber(s *binding.Subscriber) {
	*s = binding.Subscriber{}
	head := in.byte()
	if head&^(hasMSISDN|hasIMSI|hasIMEI) != 0 {
		in.fail()
		return
	}
	if head&hasMSISDN != 0 {
		s.MSISDN = binding.MSISDN(in.uint(64))
	}
	if head&hasIMSI != 0 {
		s.IMSI = binding.IMSI(in.word())
	}
	if head&hasIMEI != 0 {
		s.IMEI = binding.IMEI(in.word())
	}
}
