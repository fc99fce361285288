package diameter

import "encoding/binary"

// How messages are written: octets are appended, lengths set at the end.

// appendHeader begins a message; endMessage completes it.
func appendHeader(b []byte, flags byte, command, application, hopByHop, endToEnd uint32) []byte {
	b = append(b, 1, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(flags)<<24|command)
	b = binary.BigEndian.AppendUint32(b, application)
	b = binary.BigEndian.AppendUint32(b, hopByHop)
	return binary.BigEndian.AppendUint32(b, endToEnd)
}

// endMessage sets the length of the message that began at start.
func endMessage(b []byte, start int) []byte {
	frame(b[start:]).setLength()
	return b
}

// appendAVP appends an AVP of the IETF with the M bit, padded.
func appendAVP[T string | []byte](b []byte, code uint32, data T) []byte {
	b = binary.BigEndian.AppendUint32(b, code)
	b = binary.BigEndian.AppendUint32(b, avpMandatory<<24|uint32(avpHeaderLen+len(data)))
	return appendPadding(append(b, data...))
}

// appendOptional appends an AVP of the IETF that may not have the M bit.
func appendOptional(b []byte, code uint32, data string) []byte {
	start := len(b)
	b = appendAVP(b, code, data)
	b[start+4] = 0
	return b
}

func appendUint32(b []byte, code, value uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, code)
	b = binary.BigEndian.AppendUint32(b, avpMandatory<<24|(avpHeaderLen+4))
	return binary.BigEndian.AppendUint32(b, value)
}

// appendPadding fills up to a multiple of 4 octets. What is padded began at
// one.
func appendPadding(b []byte) []byte {
	return append(b, make([]byte, -len(b)&3)...)
}
