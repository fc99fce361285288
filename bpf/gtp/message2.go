package gtp

import (
	"net/netip"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/identity"
)

// Messages of GTPv2-C (3GPP TS 29.274 clause 6.1).
const (
	echoRequest                = 1
	echoResponse               = 2
	createSessionRequest       = 32
	createSessionResponse      = 33
	modifyBearerRequest        = 34
	modifyBearerResponse       = 35
	deleteSessionRequest       = 36
	deleteSessionResponse      = 37
	deleteBearerRequest        = 99
	deleteBearerResponse       = 100
	deleteConnectionSetRequest = 101
	deleteConnectionSetAnswer  = 102
	restartNotification        = 179
)

// Information elements of GTPv2-C (clause 8.1).
const (
	ieIMSI          = 1
	ieCause         = 2
	ieRecovery      = 3
	ieAPN           = 71
	ieEBI           = 73
	ieIPAddress     = 74
	ieMEI           = 75
	ieMSISDN        = 76
	ieIndication    = 77
	iePAA           = 79
	ieRAT           = 82
	ieFTEID         = 87
	ieBearerContext = 93
	ieFQCSID        = 132
)

// maxSets bounds the connection sets that a session is in.
const maxSets = 4

// A message2 is what a GTPv2-C message says, as far as it matters here. Of
// elements that repeat, the first counts.
type message2 struct {
	header
	cause     uint8
	restarts  counter
	imsi      binding.IMSI
	msisdn    binding.MSISDN
	imei      binding.IMEI
	apn       string
	rat       binding.RAT
	badDigits bool // an identity was none

	operation, scope bool // of Indication: OI, SI
	unauthenticated  bool // of Indication: UIMSI

	linked          uint8    // Linked EPS Bearer ID
	bearer          uint8    // EBI of the first bearer context
	sender, gateway endpoint // F-TEID, instances 0 and 1
	granted         bool     // there is a PAA
	addrs           []binding.Address
	sets            []uint64 // FQ-CSIDs, hashed
	gone            netip.Addr
}

// A counter is a restart counter, if there is one.
type counter struct {
	value uint8
	ok    bool
}

// newMessage2 reads a message. What it returns aliases nothing.
func newMessage2(h header, body []byte) (m message2, err error) {
	m.header = h
	left := maxElements
	var seen [256]uint16
	inner := error(nil)
	err = elements(body, &left, func(kind, instance uint8, value []byte) {
		if seen[kind]>>instance&1 == 1 {
			return
		}
		seen[kind] |= 1 << instance
		switch {
		case instance == 0 && kind == ieBearerContext:
			if e := m.context(value, &left); e != nil {
				inner = e
			}
		case instance == 0:
			m.element(kind, value)
		case instance == 1 && kind == ieFTEID:
			m.gateway, _ = newEndpoint(value)
		}
		if kind == ieFQCSID {
			m.sets = appendSets(m.sets, value)
		}
	})
	if err == nil {
		err = inner
	}
	if m.unauthenticated {
		m.imsi, m.msisdn = 0, 0 // an emergency attach says who it likes to be
	}
	return m, err
}

func (m *message2) element(kind uint8, v []byte) {
	switch kind {
	case ieIMSI:
		m.imsi = identity.IMSI(v)
		m.badDigits = m.badDigits || m.imsi == 0
	case ieMSISDN:
		m.msisdn = identity.MSISDN(v)
		m.badDigits = m.badDigits || m.msisdn == 0 && len(v) > 0
	case ieMEI:
		m.imei = identity.IMEI(v)
		m.badDigits = m.badDigits || m.imei == 0 && len(v) > 0
	case ieAPN:
		m.apn = identity.APN(v)
	case iePAA:
		m.addrs, m.granted = addresses(v)
	case ieFTEID:
		m.sender, _ = newEndpoint(v)
	case ieIPAddress:
		addr, _ := netip.AddrFromSlice(v)
		m.gone = addr.Unmap()
	case ieIndication:
		m.operation = len(v) > 0 && v[0]&0x08 != 0
		m.scope = len(v) > 1 && v[1]&0x02 != 0
		m.unauthenticated = len(v) > 1 && v[1]&0x40 != 0
	default:
		m.octet(kind, v)
	}
}

// octet reads the elements of which one octet counts.
func (m *message2) octet(kind uint8, v []byte) {
	if len(v) == 0 {
		return
	}
	switch kind {
	case ieCause:
		m.cause = v[0]
	case ieRecovery:
		m.restarts = counter{v[0], true}
	case ieEBI:
		m.linked = v[0] & 15
	case ieRAT:
		m.rat = binding.RAT(v[0])
	}
}

// context reads a bearer context: only its EBI counts here.
func (m *message2) context(b []byte, left *int) error {
	return elements(b, left, func(kind, instance uint8, v []byte) {
		if kind == ieEBI && instance == 0 && len(v) > 0 && m.bearer == 0 {
			m.bearer = v[0] & 15
		}
	})
}

// ebi is that of the default bearer.
func (m *message2) ebi() uint8 {
	if m.linked != 0 {
		return m.linked
	}
	return m.bearer
}

// direct reports that the request came to the gateway itself (S5/S8, S2a, S2b)
// and not to the SGW before it (S11, S4).
func (m *message2) direct() bool { return m.sender.kind != kindMME && m.sender.kind != kindSGSN }

// accepted2 is a cause of acceptance (clause 8.4).
func accepted2(cause uint8) bool { return cause >= 16 && cause < 64 }

// Causes.
const (
	causeISRDeactivation = 11
	causeNoContext       = 64
)

// setSeed makes hashes of connection sets comparable between runs, for memos.
const setSeed = 14695981039346656037

// appendSets adds the connection sets that an FQ-CSID names (clause 8.62):
// each is a number at a node.
func appendSets(sets []uint64, b []byte) []uint64 {
	if len(b) == 0 {
		return sets
	}
	size := map[uint8]int{0: 4, 1: 16, 2: 4}[b[0]>>4]
	count := int(b[0] & 15)
	if size == 0 || len(b) < 1+size+2*count {
		return sets
	}
	node, ids := b[1:1+size], b[1+size:]
	for i := range count {
		if len(sets) >= maxSets {
			break
		}
		sets = append(sets, hash(node, ids[2*i:2*i+2]))
	}
	return sets
}

// hash is FNV-1a over the parts.
func hash(parts ...[]byte) uint64 {
	h := uint64(setSeed)
	for _, part := range parts {
		for _, c := range part {
			h = (h ^ uint64(c)) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return h
}
