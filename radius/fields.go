package radius

import (
	"bytes"
	"encoding/binary"
)

// Attribute types.
const (
	attrNASIPAddress         = 4   // RFC 2865 section 5.4
	attrFramedIPAddress      = 8   // RFC 2865 section 5.8
	attrFramedRoute          = 22  // RFC 2865 section 5.22
	attrVendorSpecific       = 26  // RFC 2865 section 5.26
	attrCalledStationID      = 30  // RFC 2865 section 5.30
	attrCallingStationID     = 31  // RFC 2865 section 5.31
	attrNASIdentifier        = 32  // RFC 2865 section 5.32
	attrProxyState           = 33  // RFC 2865 section 5.33
	attrAcctStatusType       = 40  // RFC 2866 section 5.1
	attrAcctDelayTime        = 41  // RFC 2866 section 5.2
	attrAcctSessionID        = 44  // RFC 2866 section 5.5
	attrAcctSessionTime      = 46  // RFC 2866 section 5.7
	attrEventTimestamp       = 55  // RFC 2869 section 5.3
	attrNASPortType          = 61  // RFC 2865 section 5.41
	attrMessageAuthenticator = 80  // RFC 3579 section 3.2
	attrAcctInterimInterval  = 85  // RFC 2869 section 5.16
	attrNASIPv6Address       = 95  // RFC 3162 section 2.1
	attrFramedIPv6Prefix     = 97  // RFC 3162 section 2.3
	attrFramedIPv6Route      = 99  // RFC 3162 section 2.5
	attrDelegatedIPv6Prefix  = 123 // RFC 4818 section 3
	attrFramedIPv6Address    = 168 // RFC 6911 section 3.1
	attrExtended1            = 241 // RFC 6929 section 3.1
	extIPPortRange           = 6   // 241.6, RFC 8045 section 3.1.2
)

// Sub-attributes of 3GPP (TS 29.061 clause 16.4.7).
const (
	vendor3GPP        = 10415
	tgppIMSI          = 1
	tgppChargingID    = 2
	tgppGGSNAddress   = 7
	tgppIMSIMCCMNC    = 8
	tgppNSAPI         = 10
	tgppStopIndicator = 11
	tgppGGSNIPv6      = 16
	tgppSGSNMCCMNC    = 18
	tgppIMEISV        = 20
	tgppRATType       = 21
)

// A number is an integer attribute.
type number struct {
	value uint32
	ok    bool
}

// set takes a value of four octets; a second one must be the same.
func (n *number) set(value []byte) error {
	if len(value) != 4 {
		return errValue
	}
	v := binary.BigEndian.Uint32(value)
	if n.ok && n.value != v {
		return errRepeated
	}
	n.value, n.ok = v, true
	return nil
}

// An address attribute and its value.
type addressField struct {
	typ   byte
	value []byte
}

// fields are the attributes of one request that say something here, as slices
// of the packet.
type fields struct {
	status, delay, sessionTime, eventTime, interim, portType number

	session, called, nasID, nas4, nas6 []byte
	calling, imsi, imeisv              []byte // emptied when they conflict
	chargingID, ggsn4, ggsn6           []byte
	homeNetwork, servingNetwork        []byte
	nsapi, stopIndicator, rat          []byte

	addresses [maxAddresses]addressField
	addressed int
	// message is the offset of the Message-Authenticator's value, zero if
	// there is none.
	message int
	notes   Notes
}

// restarts reports whether a request tells that its NAS starts or stops.
func (f *fields) restarts() bool {
	return f.status.ok && (f.status.value == statusOn || f.status.value == statusOff)
}

// collect walks the attributes of p.
func (f *fields) collect(p packet) error {
	*f = fields{}
	rest := p.attributes()
	for n := 0; len(rest) > 0; n++ {
		if n == maxAttributes {
			return errAttributes
		}
		at := len(p) - len(rest) + 2
		typ, value, next, err := cutAttribute(rest)
		if err != nil {
			return err
		}
		if err := f.take(typ, value, at); err != nil {
			return err
		}
		rest = next
	}
	return nil
}

func (f *fields) take(typ byte, value []byte, at int) error {
	switch typ {
	case attrFramedIPAddress, attrFramedRoute, attrFramedIPv6Prefix, attrFramedIPv6Route,
		attrDelegatedIPv6Prefix, attrFramedIPv6Address, attrExtended1:
		return f.address(typ, value)
	case attrVendorSpecific:
		f.vendor(value)
	case attrCallingStationID:
		f.identity(&f.calling, value)
	case attrMessageAuthenticator:
		if len(value) != authenticatorLen || f.message != 0 {
			return errValue
		}
		f.message = at
	case attrNASIPAddress:
		return sized(&f.nas4, value, 4)
	case attrNASIPv6Address:
		return sized(&f.nas6, value, 16)
	case attrCalledStationID:
		return once(&f.called, value)
	case attrNASIdentifier:
		return once(&f.nasID, value)
	case attrAcctSessionID:
		return once(&f.session, value)
	default:
		return f.number(typ, value)
	}
	return nil
}

func (f *fields) number(typ byte, value []byte) error {
	switch typ {
	case attrAcctStatusType:
		return f.status.set(value)
	case attrAcctDelayTime:
		return f.delay.set(value)
	case attrAcctSessionTime:
		return f.sessionTime.set(value)
	case attrEventTimestamp:
		return f.eventTime.set(value)
	case attrNASPortType:
		return f.portType.set(value)
	case attrAcctInterimInterval:
		return f.interim.set(value)
	}
	return nil
}

// address keeps an attribute that names an address. What is no address is
// found out later; here only a length that cannot be is refused.
func (f *fields) address(typ byte, value []byte) error {
	switch typ {
	case attrFramedIPAddress:
		if len(value) != 4 {
			return errValue
		}
	case attrFramedIPv6Address:
		if len(value) != 16 {
			return errValue
		}
	case attrFramedIPv6Prefix, attrDelegatedIPv6Prefix:
		if len(value) < 2 || len(value) > 18 || value[1] > 128 {
			return errValue
		}
	case attrExtended1:
		if len(value) < 1 {
			return errValue
		}
		if value[0] != extIPPortRange {
			return nil
		}
	}
	if f.addressed == len(f.addresses) {
		f.notes |= NoteTooManyAddresses
		return nil
	}
	f.addresses[f.addressed] = addressField{typ, value}
	f.addressed++
	return nil
}

// vendor walks a Vendor-Specific attribute of 3GPP. What does not fit in it is
// ignored and noted: the rest of the request still counts.
func (f *fields) vendor(value []byte) {
	if len(value) < 4 {
		f.notes |= NoteBadVendor
		return
	}
	if binary.BigEndian.Uint32(value) != vendor3GPP {
		return
	}
	for rest := value[4:]; len(rest) > 0; {
		typ, sub, next, err := cutAttribute(rest)
		if err != nil || f.tgpp(typ, sub) != nil {
			f.notes |= NoteBadVendor
			return
		}
		rest = next
	}
}

func (f *fields) tgpp(typ byte, value []byte) error {
	switch typ {
	case tgppIMSI:
		f.identity(&f.imsi, value)
	case tgppIMEISV:
		f.identity(&f.imeisv, value)
	case tgppChargingID:
		return sized(&f.chargingID, value, 4)
	case tgppGGSNAddress:
		return sized(&f.ggsn4, value, 4)
	case tgppGGSNIPv6:
		return sized(&f.ggsn6, value, 16)
	case tgppNSAPI:
		return sized(&f.nsapi, value, 1)
	case tgppStopIndicator:
		return sized(&f.stopIndicator, value, 1)
	case tgppRATType:
		return sized(&f.rat, value, 1)
	case tgppIMSIMCCMNC:
		return once(&f.homeNetwork, value)
	case tgppSGSNMCCMNC:
		return once(&f.servingNetwork, value)
	}
	return nil
}

// once takes a value; an empty one counts as absent, a second one must be the
// same.
func once(dst *[]byte, value []byte) error {
	if len(*dst) > 0 && len(value) > 0 && !bytes.Equal(*dst, value) {
		return errRepeated
	}
	if len(value) > 0 {
		*dst = value
	}
	return nil
}

// sized is once for a value of a fixed length.
func sized(dst *[]byte, value []byte, n int) error {
	if len(value) != n {
		return errValue
	}
	return once(dst, value)
}

// identity takes an identity. Two that differ are none: the address that the
// request names then belongs to nobody we know, which is safe.
func (f *fields) identity(dst *[]byte, value []byte) {
	if once(dst, value) != nil {
		f.notes |= NoteConflict
		*dst = conflicting
	}
}

// conflicting stands for an identity that a request gives twice, differently.
// It parses as nothing.
var conflicting = []byte("?")
