package diametertest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
)

// maxMessage bounds what is read, in octets.
const maxMessage = 1 << 20

const headerLength = 20

// ErrUnreadable reports octets that are no message.
var ErrUnreadable = errors.New("not a Diameter message")

// A Message is one that came, with its octets.
type Message struct {
	*diam.Message
	Raw []byte
}

// ReadFrame reads the octets of one message. Its header's length is checked
// before anything is allocated.
func ReadFrame(r io.Reader) ([]byte, error) {
	var head [headerLength]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:]) & 0xFFFFFF)
	if head[0] != 1 || n < headerLength || n > maxMessage || n%4 != 0 {
		return nil, fmt.Errorf("%w: version %d, length %d", ErrUnreadable, head[0], n)
	}
	frame := make([]byte, n)
	copy(frame, head[:])
	_, err := io.ReadFull(r, frame[headerLength:])
	return frame, err
}

// Parse reads a frame with go-diameter. Of a command that its dictionary lacks
// there is only the header. Errors wrap [ErrUnreadable].
func Parse(frame []byte) (m Message, err error) {
	defer func() {
		if p := recover(); p != nil { // malformed AVPs are a nil dereference there
			m, err = Message{}, fmt.Errorf("%w: %v", ErrUnreadable, p)
		}
	}()
	header, err := diam.DecodeHeader(frame)
	if err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if _, err := dict.Default.FindCommand(header.ApplicationID, header.CommandCode); err != nil {
		return Message{&diam.Message{Header: header}, frame}, nil
	}
	parsed, err := diam.ReadMessage(bytes.NewReader(frame), dict.Default)
	if err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return Message{parsed, frame}, nil
}

// Request reports whether it is one.
func (m Message) Request() bool { return m.Header.CommandFlags&diam.RequestFlag != 0 }

// Find is the first AVP of the message itself with the code, or nil.
func (m Message) Find(vendor, code uint32) *diam.AVP {
	for _, a := range m.AVP {
		if a.Code == code && a.VendorID == vendor {
			return a
		}
	}
	return nil
}

// Text is the value of the first AVP of the IETF with the code, or "".
func (m Message) Text(code uint32) string {
	if a := m.Find(0, code); a != nil {
		return string(a.Data.Serialize())
	}
	return ""
}

// Number is the value of the first AVP of the IETF with the code, an Unsigned32
// or Enumerated; ok is false if there is none.
func (m Message) Number(code uint32) (value uint32, ok bool) {
	a := m.Find(0, code)
	if a == nil {
		return 0, false
	}
	wire := a.Data.Serialize()
	if len(wire) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(wire), true
}

// Result is Result-Code, else Experimental-Result-Code, else zero.
func (m Message) Result() uint32 {
	if code, ok := m.Number(avp.ResultCode); ok {
		return code
	}
	group := m.Find(0, avp.ExperimentalResult)
	if group == nil {
		return 0
	}
	if members, ok := group.Data.(*diam.GroupedAVP); ok {
		for _, a := range members.AVP {
			if code, ok := a.Data.(datatype.Unsigned32); ok && a.Code == avp.ExperimentalResultCode {
				return uint32(code)
			}
		}
	}
	return 0
}
