package diameter

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed reports a message, or a stream of messages, that cannot be
// read.
var ErrMalformed = errors.New("malformed message")

const (
	headerLen = 20
	// MaxMessage is the longest message that is ever read, in octets. The
	// header's length field could say 16 MiB (RFC 6733 section 3).
	MaxMessage = 64 << 10
)

// Bits of the command flags (RFC 6733 section 3).
const (
	flagRequest      = 0x80
	flagProxiable    = 0x40
	flagError        = 0x20
	flagRetransmit   = 0x10
	maskReservedBits = 0x0F
)

// Command codes.
const (
	cmdCapabilities  = 257 // RFC 6733 section 5.3
	cmdReAuth        = 258 // RFC 6733 section 8.3
	cmdCreditControl = 272 // RFC 8506 section 3
	cmdWatchdog      = 280 // RFC 6733 section 5.5
	cmdDisconnect    = 282 // RFC 6733 section 5.4
)

// Application ids.
const (
	appBase  = 0
	appGx    = 16777238   // 3GPP TS 29.212 clause 5.1
	appSh    = 16777217   // 3GPP TS 29.329 clause 6
	appRelay = 0xFFFFFFFF // RFC 6733 section 2.4
)

var (
	errVersion = fmt.Errorf("%w: version is not 1", ErrMalformed)
	errLength  = fmt.Errorf("%w: length is not a multiple of 4 from 20 to the limit", ErrMalformed)
	errShort   = fmt.Errorf("%w: shorter than its length", ErrMalformed)
	errCommand = fmt.Errorf("%w: not a Credit-Control message of Gx", ErrMalformed)
)

// FrameLength is the length of the message that starts with head, which has at
// least 4 octets. An error means that no message starts here: the stream
// cannot be read on.
func FrameLength(head []byte) (int, error) { return frameLength(head, MaxMessage) }

func frameLength(head []byte, limit int) (int, error) {
	if head[0] != 1 {
		return 0, errVersion
	}
	n := int(head[1])<<16 | int(head[2])<<8 | int(head[3])
	if n < headerLen || n > limit || n%4 != 0 {
		return 0, errLength
	}
	return n, nil
}

// A frame is one message, complete, of a length that frameLength accepts.
type frame []byte

// newFrame checks that b is one message; what follows it is cut off.
func newFrame(b []byte) (frame, error) {
	if len(b) < headerLen {
		return nil, errShort
	}
	n, err := FrameLength(b)
	if err != nil {
		return nil, err
	}
	if n > len(b) {
		return nil, errShort
	}
	return frame(b[:n:n]), nil
}

func (f frame) flags() byte         { return f[4] }
func (f frame) request() bool       { return f[4]&flagRequest != 0 }
func (f frame) command() uint32     { return binary.BigEndian.Uint32(f[4:]) & 0xFFFFFF }
func (f frame) application() uint32 { return binary.BigEndian.Uint32(f[8:]) }
func (f frame) hopByHop() uint32    { return binary.BigEndian.Uint32(f[12:]) }
func (f frame) endToEnd() uint32    { return binary.BigEndian.Uint32(f[16:]) }
func (f frame) avps() []byte        { return f[headerLen:] }

func (f frame) setHopByHop(id uint32) { binary.BigEndian.PutUint32(f[12:], id) }

// setLength writes the length of a message that is complete.
func (f frame) setLength() { f[1], f[2], f[3] = byte(len(f)>>16), byte(len(f)>>8), byte(len(f)) }
