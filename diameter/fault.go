package diameter

import (
	"encoding/binary"
	"fmt"
)

// A resultCode is a value of Result-Code (RFC 6733 section 7.1).
type resultCode uint32

const (
	resultSuccess            resultCode = 2001
	resultLimitedSuccess     resultCode = 2002
	resultUnsupportedCommand resultCode = 3001
	resultUnableToDeliver    resultCode = 3002
	resultTooBusy            resultCode = 3004
	resultLoopDetected       resultCode = 3005
	resultUnsupportedApp     resultCode = 3007
	resultInvalidBits        resultCode = 3008
	resultUnknownPeer        resultCode = 3010
	resultElectionLost       resultCode = 4003
	resultUnknownSession     resultCode = 5002
	resultNotAuthorized      resultCode = 5003
	resultInvalidValue       resultCode = 5004
	resultMissingAVP         resultCode = 5005
	resultOccursTooOften     resultCode = 5009
	resultNoCommonApp        resultCode = 5010
	resultUnsupportedVersion resultCode = 5011
	resultUnableToComply     resultCode = 5012
	resultInvalidAVPLength   resultCode = 5014
	resultInvalidLength      resultCode = 5015
	resultNoCommonSecurity   resultCode = 5017
)

// A fault is why a request cannot be taken, as its answer says it. It keeps
// nothing of the message.
type fault struct {
	code resultCode
	// failed is the content of Failed-AVP (RFC 6733 section 7.5), or empty.
	failed []byte
	text   string
}

func (f *fault) Error() string { return fmt.Sprintf("%v: %s", ErrMalformed, f.text) }

// Unwrap is ErrMalformed.
func (f *fault) Unwrap() error { return ErrMalformed }

// maxFailed bounds the copy of an AVP in Failed-AVP.
const maxFailed = 256

// faultLength is about an AVP whose length cannot be. The answer has its header
// with no data (RFC 6733 section 7.1.5, DIAMETER_INVALID_AVP_LENGTH).
func faultLength(raw []byte) *fault {
	f := &fault{code: resultInvalidAVPLength, text: "an AVP has an invalid length"}
	if len(raw) < avpHeaderLen {
		return f
	}
	head := avpHeaderLen
	if raw[4]&avpVendor != 0 && len(raw) >= vendorHeaderLen {
		head = vendorHeaderLen
	}
	f.failed = append(f.failed, raw[:head]...)
	f.failed[4] &^= avpVendor
	if head == vendorHeaderLen {
		f.failed[4] |= avpVendor
	}
	f.failed[5], f.failed[6], f.failed[7] = 0, 0, byte(head)
	f.text = fmt.Sprintf("AVP %d has an invalid length", binary.BigEndian.Uint32(raw))
	return f
}

func faultTooMany() *fault {
	return &fault{code: resultUnableToComply, text: fmt.Sprintf("more than %d AVPs, or groups nested too deeply", maxAVPs)}
}

// faultValue is about an AVP with a value that cannot be.
func faultValue(a avp) *fault {
	return &fault{code: resultInvalidValue, failed: copyAVP(a), text: fmt.Sprintf("AVP %d has an invalid value", a.code)}
}

// faultRepeated is about an AVP that says something else than an earlier one.
func faultRepeated(a avp) *fault {
	return &fault{code: resultOccursTooOften, failed: copyAVP(a), text: fmt.Sprintf("AVP %d has two different values", a.code)}
}

// faultMissing is about an AVP without which a request says nothing; the
// answer has an example of it, filled with zeros.
func faultMissing(code uint32, size int) *fault {
	return &fault{code: resultMissingAVP, failed: appendAVP(nil, code, make([]byte, size)), text: fmt.Sprintf("AVP %d is missing", code)}
}

// copyAVP keeps an AVP; one that is too long is kept without its data.
func copyAVP(a avp) []byte {
	if len(a.raw) > maxFailed {
		return faultLength(a.raw).failed
	}
	return appendPadding(append([]byte(nil), a.raw...))
}
