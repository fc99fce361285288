package diameter

import "encoding/binary"

// What other applications than Gx read and write, over a [Client].

// Vendor3GPP is the vendor id of 3GPP.
const Vendor3GPP = vendor3GPP

// A Message is one message of any application. It is complete, and as long as
// its header says. The zero Message has no AVPs.
type Message struct{ frame frame }

// ParseMessage checks that b starts with a message of at most [MaxMessage]
// octets; what follows it is ignored. The Message keeps b. Errors wrap
// [ErrMalformed].
func ParseMessage(b []byte) (Message, error) {
	m, err := newFrame(b)
	return Message{m}, err
}

// Command is the command code.
func (m Message) Command() uint32 { return m.frame.command() }

// Application is the application id.
func (m Message) Application() uint32 { return m.frame.application() }

// Request reports whether it is one.
func (m Message) Request() bool { return m.frame.request() }

// An AVP of a Message, as slices of it. Code and vendor name it together;
// Vendor is zero for one of the IETF.
type AVP struct {
	Code, Vendor uint32
	Data         []byte

	raw   []byte
	walk  *walk
	depth int
}

// Each calls take for the AVPs of the message itself, in order, until it
// fails. AVPs and depth of a whole message are bounded. Errors of its own wrap
// [ErrMalformed].
func (m Message) Each(take func(AVP) error) error {
	if len(m.frame) == 0 {
		return nil
	}
	w := newWalk()
	return eachAVP(&w, m.frame.avps(), 0, take)
}

// Each calls take for the AVPs of a group, as [Message.Each] does.
func (a AVP) Each(take func(AVP) error) error { return eachAVP(a.walk, a.Data, a.depth+1, take) }

func eachAVP(w *walk, avps []byte, depth int, take func(AVP) error) error {
	return w.each(avps, depth, func(a avp) error {
		return take(AVP{Code: a.code, Vendor: a.vendor, Data: a.data, raw: a.raw, walk: w, depth: depth})
	})
}

// Uint32 reads an Unsigned32 or Enumerated.
func (a AVP) Uint32() (uint32, error) {
	if len(a.Data) != 4 {
		return 0, faultLength(a.raw)
	}
	return binary.BigEndian.Uint32(a.Data), nil
}

// A Result is what an answer says: Result-Code or, with the Vendor that
// defines it, Experimental-Result-Code (RFC 6733 sections 7.1 and 7.6). The two
// kinds count from the same numbers and mean different things.
type Result struct{ Vendor, Code uint32 }

// Success reports that the request was carried out (RFC 6733 section 7.1.2).
func (r Result) Success() bool { return r.Code/1000 == 2 }

// Result finds the result of an answer; the zero Result says that it has none.
// A second one that differs is malformed.
func (m Message) Result() (r Result, err error) {
	set := func(vendor, code uint32, a AVP) error {
		if r != (Result{}) && r != (Result{vendor, code}) {
			return faultRepeated(avp{code: a.Code, raw: a.raw})
		}
		r = Result{vendor, code}
		return nil
	}
	err = m.Each(func(a AVP) error {
		switch {
		case a.Vendor != 0:
		case a.Code == avpResultCode:
			code, err := a.Uint32()
			if err != nil {
				return err
			}
			return set(0, code, a)
		case a.Code == avpExperimentalResult:
			vendor, code, err := a.experimental()
			if err != nil {
				return err
			}
			return set(vendor, code, a)
		}
		return nil
	})
	return r, err
}

// experimental reads an Experimental-Result.
func (a AVP) experimental() (vendor, code uint32, err error) {
	err = a.Each(func(member AVP) (err error) {
		switch {
		case member.Vendor != 0:
		case member.Code == avpVendorID:
			vendor, err = member.Uint32()
		case member.Code == avpExperimentalCode:
			code, err = member.Uint32()
		}
		return err
	})
	if err == nil && (vendor == 0 || code == 0) {
		err = faultValue(avp{code: a.Code, raw: a.raw})
	}
	return vendor, code, err
}

// AppendAVP appends an AVP with the M bit, padded; with a vendor other than
// zero, one of that vendor.
func AppendAVP[T string | []byte](b []byte, vendor, code uint32, data T) []byte {
	if vendor == 0 {
		return appendAVP(b, code, data)
	}
	b = binary.BigEndian.AppendUint32(b, code)
	b = binary.BigEndian.AppendUint32(b, (avpVendor|avpMandatory)<<24|uint32(vendorHeaderLen+len(data)))
	b = binary.BigEndian.AppendUint32(b, vendor)
	return appendPadding(append(b, data...))
}

// AppendUint32 appends an Unsigned32 or Enumerated as [AppendAVP] does.
func AppendUint32(b []byte, vendor, code, value uint32) []byte {
	return AppendAVP(b, vendor, code, binary.BigEndian.AppendUint32(nil, value))
}
