package gtp

import (
	"encoding/binary"
	"net/netip"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/identity"
)

// Messages of GTPv1-C (3GPP TS 29.060 clause 7.1). Echo is as in GTPv2-C.
const (
	createContextRequest  = 16
	createContextResponse = 17
	updateContextRequest  = 18
	updateContextResponse = 19
	deleteContextRequest  = 20
	deleteContextResponse = 21
)

// Information elements of GTPv1-C (clause 7.7).
const (
	ie1Cause       = 1
	ie1IMSI        = 2
	ie1Recovery    = 14
	ie1TEIDControl = 17
	ie1Teardown    = 19
	ie1NSAPI       = 20
	ie1EndUser     = 128
	ie1APN         = 131
	ie1GSNAddress  = 133
	ie1MSISDN      = 134
	ie1RAT         = 151
	ie1IMEI        = 154
)

// fixed are the sizes of the elements whose type is below 128 (clause 7.7.0).
var fixed = [128]uint8{
	1: 1, 2: 8, 3: 6, 4: 4, 5: 4, 8: 1, 9: 28, 11: 1, 12: 3, 13: 1, 14: 1, 15: 1, 16: 4, 17: 4, 18: 5, 19: 1, 20: 1,
	21: 1, 22: 9, 23: 1, 24: 1, 25: 2, 26: 2, 27: 2, 28: 2, 29: 1, 117: 1, 118: 1, 119: 1, 120: 1, 121: 1, 122: 1,
	123: 1, 124: 1, 125: 1, 126: 1, 127: 4,
}

// A message1 is what a GTPv1-C message says, as far as it matters here.
type message1 struct {
	header
	cause     uint8
	restarts  counter
	imsi      binding.IMSI
	msisdn    binding.MSISDN
	imei      binding.IMEI
	apn       string
	rat       binding.RAT
	badDigits bool

	teid     uint32 // TEID Control Plane
	hasTEID  bool
	gsn      netip.Addr // GSN Address for signalling, the first
	nsapi    uint8
	primary  uint8 // Linked NSAPI: the context is a secondary one of this
	linked   bool
	teardown bool
	granted  bool // there is an End User Address
	addrs    []binding.Address
}

// newMessage1 reads a message. What it returns aliases nothing.
func newMessage1(h header, body []byte) (m message1, err error) {
	m.header = h
	seen := [256]uint8{}
	for left := maxElements; len(body) > 0; left-- {
		kind := body[0]
		at, size := 1, int(fixed[kind&127])
		switch {
		case left == 0:
			return m, errMalformed
		case kind >= 128 && len(body) < 3:
			return m, errMalformed
		case kind >= 128:
			at, size = 3, int(binary.BigEndian.Uint16(body[1:]))
		case size == 0:
			return m, errMalformed // its size is not known, so what follows is not either
		}
		if size > len(body)-at {
			return m, errMalformed
		}
		if seen[kind] < 255 {
			seen[kind]++
		}
		m.element(kind, seen[kind], body[at:at+size])
		body = body[at+size:]
	}
	return m, nil
}

// element reads one element, the nth of its kind.
func (m *message1) element(kind, nth uint8, v []byte) {
	switch {
	case kind == ie1NSAPI && nth == 2:
		m.primary, m.linked = v[0]&15, true
		return
	case nth > 1:
		return
	}
	switch kind {
	case ie1IMSI:
		m.imsi = identity.IMSI(v)
		m.badDigits = m.badDigits || m.imsi == 0
	case ie1MSISDN:
		m.msisdn = identity.AddressString(v)
		m.badDigits = m.badDigits || m.msisdn == 0 && len(v) > 0
	case ie1IMEI:
		m.imei = identity.IMEI(v)
		m.badDigits = m.badDigits || m.imei == 0 && len(v) > 0
	case ie1APN:
		m.apn = identity.APN(v)
	case ie1TEIDControl:
		m.teid, m.hasTEID = binary.BigEndian.Uint32(v), true
	case ie1GSNAddress:
		addr, _ := netip.AddrFromSlice(v)
		m.gsn = addr.Unmap()
	case ie1EndUser:
		m.addrs, m.granted = endUser(v)
	default:
		m.octet(kind, v)
	}
}

func (m *message1) octet(kind uint8, v []byte) {
	if len(v) == 0 {
		return
	}
	switch kind {
	case ie1Cause:
		m.cause = v[0]
	case ie1Recovery:
		m.restarts = counter{v[0], true}
	case ie1Teardown:
		m.teardown = v[0]&1 == 1
	case ie1NSAPI:
		m.nsapi = v[0] & 15
	case ie1RAT:
		m.rat = binding.RAT(v[0])
	}
}

// PDP types of the IETF (clause 7.7.27).
const (
	pdpIETF   = 1
	pdpIPv4   = 0x21
	pdpIPv6   = 0x57
	pdpIPv4v6 = 0x8d
)

// endUser reads an End User Address. Without an address in it, one is asked
// for, not granted.
func endUser(b []byte) (list []binding.Address, ok bool) {
	if len(b) < 2 || b[0]&15 != pdpIETF {
		return nil, false
	}
	kind, b := b[1], b[2:]
	switch {
	case kind == pdpIPv4 && len(b) == 4:
		list = appendIPv4(list, b)
	case kind == pdpIPv6 && len(b) == 16:
		list = appendPrefix(list, [16]byte(b), 64)
	case kind == pdpIPv4v6 && len(b) == 20:
		list = appendPrefix(appendIPv4(list, b[:4]), [16]byte(b[4:]), 64)
	case kind == pdpIPv4v6 && len(b) == 4: // the other one comes by itself
		list = appendIPv4(list, b)
	case kind == pdpIPv4v6 && len(b) == 16:
		list = appendPrefix(list, [16]byte(b), 64)
	}
	return list, true
}

// accepted1 is a cause of acceptance (clause 7.7.1).
func accepted1(cause uint8) bool { return cause >= 128 && cause < 192 }

// causeNonExistent says that the context was not there.
const causeNonExistent = 192
