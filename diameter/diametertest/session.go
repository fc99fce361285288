package diametertest

import (
	"net/netip"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
)

// A RequestType is a CC-Request-Type (RFC 8506 section 8.3).
type RequestType uint32

// The types of a session.
const (
	Initial     RequestType = 1
	Update      RequestType = 2
	Termination RequestType = 3
)

// Values of Event-Trigger (TS 29.212 clause 5.3.7) that tell of addresses.
const (
	UEIPAddressAllocate = 18
	UEIPAddressRelease  = 19
)

// AVPs that go-diameter does not name. Those of 3GPP are marked.
const (
	DelegatedIPv6Prefix = 123  // RFC 4818
	IMEISV              = 20   // 3GPP, TS 29.061 clause 16.4.7
	PDNConnectionID     = 1065 // 3GPP, TS 29.212 clause 5.3.58
)

// Values of Subscription-Id-Type (RFC 8506 section 8.47).
const (
	typeE164 = 0
	typeIMSI = 1
	typeNAI  = 3
)

// A Session is one IP-CAN session as its PCEF reports it. Zero fields are left
// out.
type Session struct {
	ID                        string
	MSISDN, IMSI, NAI, IMEISV string
	APN                       string
	IPv4                      netip.Addr
	IPv6                      []netip.Prefix
	Delegated                 netip.Prefix
	// IPCAN and RAT are IP-CAN-Type and RAT-Type (TS 29.212 clauses 5.3.27 and
	// 5.3.31): 5 and 1004 for EPS on E-UTRAN.
	IPCAN, RAT uint32
	Network    string // 3GPP-SGSN-MCC-MNC
	// Gateway is 3GPP-SGSN-Address and AN-GW-Address.
	Gateway    netip.Addr
	ChargingID uint32
	Triggers   []uint32  // Event-Trigger
	Time       time.Time // Event-Timestamp
}

// Request makes the Credit-Control-Request of a type, from one node to the
// host, if there is one, and realm of another. A termination names no address,
// like those of most gateways. The caller may add AVPs before it is sent.
func (s Session) Request(typ RequestType, number uint32, from, to Node) *diam.Message {
	m := diam.NewRequest(diam.CreditControl, Gx, nil)
	m.Header.CommandFlags |= diam.ProxiableFlag
	add(m, avp.SessionID, datatype.UTF8String(s.ID))
	add(m, avp.AuthApplicationID, datatype.Unsigned32(Gx))
	from.origin(m)
	add(m, avp.DestinationRealm, datatype.DiameterIdentity(to.Realm))
	add(m, avp.CCRequestType, datatype.Enumerated(typ))
	add(m, avp.CCRequestNumber, datatype.Unsigned32(number))
	if to.Host != "" {
		add(m, avp.DestinationHost, datatype.DiameterIdentity(to.Host))
	}
	s.identities(m)
	if typ == Termination {
		add(m, avp.TerminationCause, datatype.Enumerated(1)) // DIAMETER_LOGOUT
	} else {
		s.addresses(m)
		s.access(m)
	}
	if s.APN != "" {
		add(m, avp.CalledStationID, datatype.UTF8String(s.APN))
	}
	for _, trigger := range s.Triggers {
		add3GPP(m, avp.EventTrigger, datatype.Enumerated(trigger))
	}
	if !s.Time.IsZero() {
		add(m, avp.EventTimestamp, datatype.Time(s.Time))
	}
	return m
}

func (s Session) identities(m *diam.Message) {
	for _, id := range []struct {
		typ  uint32
		data string
	}{{typeE164, s.MSISDN}, {typeIMSI, s.IMSI}, {typeNAI, s.NAI}} {
		if id.data != "" {
			add(m, avp.SubscriptionID, Group(
				diam.NewAVP(avp.SubscriptionIDType, avp.Mbit, 0, datatype.Enumerated(id.typ)),
				diam.NewAVP(avp.SubscriptionIDData, avp.Mbit, 0, datatype.UTF8String(id.data)),
			))
		}
	}
	if s.IMEISV != "" {
		m.NewAVP(avp.UserEquipmentInfo, 0, 0, Group(
			diam.NewAVP(avp.UserEquipmentInfoType, 0, 0, datatype.Enumerated(0)), // IMEISV
			diam.NewAVP(avp.UserEquipmentInfoValue, 0, 0, datatype.OctetString(s.IMEISV)),
		))
	}
}

func (s Session) addresses(m *diam.Message) {
	if s.IPv4.IsValid() {
		add(m, avp.FramedIPAddress, datatype.OctetString(s.IPv4.AsSlice()))
	}
	for _, p := range s.IPv6 {
		add(m, avp.FramedIPv6Prefix, prefix(p))
	}
	if s.Delegated.IsValid() {
		add(m, DelegatedIPv6Prefix, prefix(s.Delegated))
	}
}

// prefix is a whole address after its length (RFC 3162 section 2.3, RFC 4818
// section 3).
func prefix(p netip.Prefix) datatype.OctetString {
	return datatype.OctetString(append([]byte{0, byte(p.Bits())}, p.Addr().AsSlice()...))
}

func (s Session) access(m *diam.Message) {
	if s.IPCAN != 0 {
		add3GPP(m, avp.IPCANType, datatype.Enumerated(s.IPCAN))
	}
	if s.RAT != 0 {
		add3GPP(m, avp.RATType, datatype.Enumerated(s.RAT))
	}
	if s.Network != "" {
		add3GPP(m, avp.TGPPSGSNMCCMNC, datatype.UTF8String(s.Network))
	}
	if s.Gateway.IsValid() {
		add3GPP(m, avp.TGPPSGSNAddress, datatype.OctetString(s.Gateway.AsSlice()))
		add3GPP(m, avp.ANGWAddress, datatype.Address(s.Gateway.AsSlice()))
	}
	if s.ChargingID != 0 {
		add3GPP(m, avp.AccessNetworkChargingIdentifierGx, Group(
			diam.NewAVP(avp.AccessNetworkChargingIdentifierValue, avp.Mbit|avp.Vbit, Vendor3GPP,
				datatype.OctetString([]byte{byte(s.ChargingID >> 24), byte(s.ChargingID >> 16), byte(s.ChargingID >> 8), byte(s.ChargingID)})),
		))
	}
}
