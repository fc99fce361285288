package pfcp

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/identity"
)

// errMalformed reports a message that contradicts itself.
var errMalformed = errors.New("malformed")

// Messages (3GPP TS 29.244 clause 7.3).
const (
	heartbeatRequest      = 1
	heartbeatResponse     = 2
	associationRequest    = 5
	associationResponse   = 6
	releaseRequest        = 9
	releaseResponse       = 10
	setDeletionRequest    = 14
	setDeletionResponse   = 15
	establishmentRequest  = 50
	establishmentResponse = 51
	modificationRequest   = 52
	modificationResponse  = 53
	deletionRequest       = 54
	deletionResponse      = 55
	reportRequest         = 56
)

// Information elements (clause 8.1.2).
const (
	ieCreatePDR       = 1
	iePDI             = 2
	ieCreateFAR       = 3
	ieForwarding      = 4
	ieCreatedPDR      = 8
	ieUpdatePDR       = 9
	ieRemovePDR       = 15
	ieCause           = 19
	ieSourceInterface = 20
	ieNetworkInstance = 22
	ieDestination     = 42
	iePDRID           = 56
	ieFSEID           = 57
	ieNodeID          = 60
	ieFQCSID          = 65
	ieUEIPAddress     = 93
	ieRecovery        = 96
	ieFARID           = 108
	ieCreateEndpoint  = 127
	ieCreatedEndpoint = 128
	ieEndpointID      = 131
	ieUserID          = 141
	ieAPN             = 159
	ieReportFlags     = 161
	ieRetention       = 183
	ieRAT             = 275
	ieGroupID         = 291
)

// A header is that of clause 7.2.2.
type header struct {
	kind uint8
	seid uint64
	seq  uint32
}

// next takes the first message off a datagram; others may follow it, bundled
// (flag FO) or in a super-packet of segmentation offload.
func next(b []byte) (h header, body, rest []byte, err error) {
	if len(b) < 8 || b[0]>>5 != 1 {
		return h, nil, nil, errMalformed
	}
	h.kind = b[1]
	end, size := 4+int(binary.BigEndian.Uint16(b[2:])), 8
	if b[0]&1 != 0 {
		size = 16
	}
	if end < size || end > len(b) {
		return h, nil, nil, errMalformed
	}
	if size == 16 {
		h.seid = binary.BigEndian.Uint64(b[4:])
	}
	h.seq = binary.BigEndian.Uint32(b[size-4:]) >> 8
	return h, b[size:end], b[end:], nil
}

// Bounds of one message.
const (
	maxElements = 4096
	maxRules    = 256
	maxSets     = 4
)

// A message is what matters here of one.
type message struct {
	header
	cause     uint8
	node      string
	endpoint  endpoint // F-SEID
	recovery  uint32
	recovers  bool // there is a Recovery Time Stamp
	retention bool
	deletedUP bool // the user plane function deleted the session (PSDBU)

	rules     []rule // Create PDR, Update PDR
	removed   []uint16
	granted   []rule // Created PDR: id and addresses
	spots     []spot // traffic endpoints, created or asked for
	toCP      []uint32
	who       binding.Subscriber
	badDigits bool
	apn       string
	rat       binding.RAT
	sets      []uint64
}

// An endpoint is an F-SEID (clause 8.2.37).
type endpoint struct {
	seid   uint64
	v4, v6 netip.Addr
}

// A rule is a packet detection rule, as far as it names a UE.
type rule struct {
	id       uint16
	source   uint8 // Source Interface
	far      uint32
	hasFAR   bool
	addrs    []ueAddress
	spots    []uint8 // traffic endpoints it refers to
	instance string
	pdi      bool
}

// A spot is a traffic endpoint.
type spot struct {
	id    uint8
	addrs []ueAddress
}

// elements walks elements (clause 8.1.1); those of an enterprise are shown as
// kind zero.
func elements(b []byte, left *int, fn func(kind uint16, v []byte) error) error {
	for len(b) > 0 {
		if *left--; len(b) < 4 || *left < 0 {
			return errMalformed
		}
		kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b)-4 {
			return errMalformed
		}
		v := b[4 : 4+size]
		b = b[4+size:]
		if kind&0x8000 != 0 {
			continue
		}
		if err := fn(kind, v); err != nil {
			return err
		}
	}
	return nil
}

// newMessage reads a message. What it returns aliases nothing.
func newMessage(h header, body []byte) (m message, err error) {
	m.header = h
	left := maxElements
	err = elements(body, &left, func(kind uint16, v []byte) error {
		switch kind {
		case ieCreatePDR, ieUpdatePDR, ieCreatedPDR:
			return m.rule(kind, v, &left)
		case ieCreateEndpoint, ieCreatedEndpoint:
			return m.spot(v, &left)
		case ieCreateFAR:
			return m.forwarding(v, &left)
		case ieRemovePDR:
			return elements(v, &left, func(kind uint16, v []byte) error {
				if kind == iePDRID && len(v) >= 2 && len(m.removed) < maxRules {
					m.removed = append(m.removed, binary.BigEndian.Uint16(v))
				}
				return nil
			})
		}
		m.element(kind, v)
		return nil
	})
	return m, err
}

func (m *message) element(kind uint16, v []byte) {
	switch {
	case kind == ieNodeID && m.node == "":
		m.node = nodeID(v)
	case kind == ieFSEID && m.endpoint.seid == 0:
		m.endpoint = newEndpoint(v)
	case kind == ieUserID:
		m.userID(v)
	case kind == ieAPN && m.apn == "":
		m.apn = identity.APN(v)
	case kind == ieFQCSID, kind == ieGroupID:
		m.sets = appendSets(m.sets, kind, v)
	case kind == ieRetention:
		m.retention = true
	case kind == ieRecovery && len(v) >= 4 && !m.recovers:
		m.recovery, m.recovers = binary.BigEndian.Uint32(v), true
	case len(v) == 0:
	case kind == ieCause:
		m.cause = v[0]
	case kind == ieReportFlags:
		m.deletedUP = v[0]&1 != 0
	case kind == ieRAT:
		m.rat = binding.RAT(v[0])
	}
}

// rule reads a Create, Update or Created PDR (clauses 7.5.2.2, 7.5.4.2, 7.5.3.2).
func (m *message) rule(kind uint16, b []byte, left *int) error {
	var r rule
	err := elements(b, left, func(kind uint16, v []byte) error {
		switch {
		case kind == iePDI:
			r.pdi = true
			return elements(v, left, func(kind uint16, v []byte) error { r.element(kind, v); return nil })
		case kind == iePDRID && len(v) >= 2:
			r.id = binary.BigEndian.Uint16(v)
		case kind == ieFARID && len(v) >= 4:
			r.far, r.hasFAR = binary.BigEndian.Uint32(v), true
		case kind == ieUEIPAddress:
			r.address(v)
		}
		return nil
	})
	switch {
	case len(m.rules)+len(m.granted) >= maxRules:
	case kind == ieCreatedPDR:
		m.granted = append(m.granted, r)
	case r.pdi:
		m.rules = append(m.rules, r)
	}
	return err
}

func (r *rule) element(kind uint16, v []byte) {
	switch {
	case kind == ieUEIPAddress:
		r.address(v)
	case kind == ieNetworkInstance:
		r.instance = identity.APN(v)
	case len(v) == 0:
	case kind == ieSourceInterface:
		r.source = v[0] & 15
	case kind == ieEndpointID && len(r.spots) < 8:
		r.spots = append(r.spots, v[0])
	}
}

func (r *rule) address(v []byte) {
	if a, ok := newUEAddress(v); ok && len(r.addrs) < maxAddresses {
		r.addrs = append(r.addrs, a)
	}
}

// spot reads a Create or Created Traffic Endpoint (clauses 7.5.2.7, 7.5.3.5).
func (m *message) spot(b []byte, left *int) error {
	var s spot
	err := elements(b, left, func(kind uint16, v []byte) error {
		switch {
		case kind == ieEndpointID && len(v) > 0:
			s.id = v[0]
		case kind == ieUEIPAddress:
			if a, ok := newUEAddress(v); ok && len(s.addrs) < maxAddresses {
				s.addrs = append(s.addrs, a)
			}
		}
		return nil
	})
	if len(m.spots) < maxRules {
		m.spots = append(m.spots, s)
	}
	return err
}

// forwarding notes the forwarding rules that lead to the control plane.
func (m *message) forwarding(b []byte, left *int) error {
	var id uint32
	var has, toCP bool
	err := elements(b, left, func(kind uint16, v []byte) error {
		switch {
		case kind == ieFARID && len(v) >= 4:
			id, has = binary.BigEndian.Uint32(v), true
		case kind == ieForwarding:
			return elements(v, left, func(kind uint16, v []byte) error {
				toCP = toCP || kind == ieDestination && len(v) > 0 && v[0]&15 == interfaceCP
				return nil
			})
		}
		return nil
	})
	if has && toCP && len(m.toCP) < maxRules {
		m.toCP = append(m.toCP, id)
	}
	return err
}

// accepted is a cause of acceptance (clause 8.2.1).
func accepted(cause uint8) bool { return cause > 0 && cause < 64 }

// causeNoContext says that the session was not there.
const causeNoContext = 65
