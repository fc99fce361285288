package diameter

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
)

// A ccr is a Credit-Control-Request for go-diameter to encode, so that nothing
// here shares the codec under test.
type ccr struct {
	session, host, realm string
	kind, number         int
	msisdn, imsi, nai    string
	subscriptionLast     bool // Subscription-Id-Data before -Type
	imeisv               string
	imeisvTGPP           bool // as 3GPP-IMEISV
	apn                  string
	ipv4                 netip.Addr
	ipv6, delegated      []netip.Prefix
	rat                  int
	ipcan                int
	triggers             []int
	originState          uint32
	stamp                time.Time
	flags                uint8
	hopByHop, endToEnd   uint32
	more                 []*diam.AVP
}

func text(code uint32, s string) *diam.AVP {
	return diam.NewAVP(code, avpMandatory, 0, datatype.UTF8String(s))
}

func word(code uint32, v uint32) *diam.AVP {
	return diam.NewAVP(code, avpMandatory, 0, datatype.Unsigned32(v))
}

func octets(code, vendor uint32, b []byte) *diam.AVP {
	flags := uint8(avpMandatory)
	if vendor != 0 {
		flags |= avpVendor
	}
	return diam.NewAVP(code, flags, vendor, datatype.OctetString(b))
}

func word3GPP(code uint32, v int) *diam.AVP {
	return diam.NewAVP(code, avpMandatory|avpVendor, vendor3GPP, datatype.Enumerated(v))
}

func group(code uint32, avps ...*diam.AVP) *diam.AVP {
	return diam.NewAVP(code, avpMandatory, 0, &diam.GroupedAVP{AVP: avps})
}

func (c *ccr) subscription(kind int, data string) *diam.AVP {
	avps := []*diam.AVP{diam.NewAVP(avpSubscriptionType, avpMandatory, 0, datatype.Enumerated(kind)), text(avpSubscriptionData, data)}
	if c.subscriptionLast {
		slices.Reverse(avps)
	}
	return group(avpSubscriptionID, avps...)
}

func prefixOctets(p netip.Prefix) []byte {
	addr := p.Addr().As16()
	return append([]byte{0, byte(p.Bits())}, addr[:]...)
}

// encode is the message as go-diameter writes it.
func (c ccr) encode(t testing.TB) []byte {
	t.Helper()
	flags := c.flags
	if flags == 0 {
		flags = flagRequest | flagProxiable
	}
	m := diam.NewMessage(cmdCreditControl, flags, appGx, c.hopByHop, c.endToEnd, dict.Default)
	add := func(present bool, a func() *diam.AVP) {
		if present {
			m.AddAVP(a())
		}
	}
	add(c.session != "", func() *diam.AVP { return text(avpSessionID, c.session) })
	m.AddAVP(word(avpAuthApplicationID, appGx))
	add(c.host != "", func() *diam.AVP {
		return diam.NewAVP(avpOriginHost, avpMandatory, 0, datatype.DiameterIdentity(c.host))
	})
	add(c.realm != "", func() *diam.AVP {
		return diam.NewAVP(avpOriginRealm, avpMandatory, 0, datatype.DiameterIdentity(c.realm))
	})
	add(c.kind != 0, func() *diam.AVP { return word(avpRequestType, uint32(c.kind)) })
	add(c.number >= 0, func() *diam.AVP { return word(avpRequestNumber, uint32(c.number)) })
	add(c.originState != 0, func() *diam.AVP { return word(avpOriginStateID, c.originState) })
	add(c.imsi != "", func() *diam.AVP { return c.subscription(subscriptionIMSI, c.imsi) })
	add(c.msisdn != "", func() *diam.AVP { return c.subscription(subscriptionE164, c.msisdn) })
	add(c.nai != "", func() *diam.AVP { return c.subscription(subscriptionNAI, c.nai) })
	add(c.imeisv != "" && c.imeisvTGPP, func() *diam.AVP { return octets(tgppIMEISV, vendor3GPP, []byte(c.imeisv)) })
	add(c.imeisv != "" && !c.imeisvTGPP, func() *diam.AVP {
		return group(avpEquipment, diam.NewAVP(avpEquipmentType, avpMandatory, 0, datatype.Enumerated(equipmentIMEISV)),
			octets(avpEquipmentValue, 0, []byte(c.imeisv)))
	})
	add(c.apn != "", func() *diam.AVP { return text(avpCalledStationID, c.apn) })
	add(c.ipv4.IsValid(), func() *diam.AVP { return octets(avpFramedIP, 0, c.ipv4.AsSlice()) })
	for _, p := range c.ipv6 {
		m.AddAVP(octets(avpFramedIPv6Prefix, 0, prefixOctets(p)))
	}
	for _, p := range c.delegated {
		m.AddAVP(octets(avpDelegatedPrefix, 0, prefixOctets(p)))
	}
	add(c.rat >= 0, func() *diam.AVP { return word3GPP(tgppRATTypeEnum, c.rat) })
	add(c.ipcan >= 0, func() *diam.AVP { return word3GPP(tgppIPCANType, c.ipcan) })
	for _, trigger := range c.triggers {
		m.AddAVP(word3GPP(tgppTrigger, trigger))
	}
	add(!c.stamp.IsZero(), func() *diam.AVP { return diam.NewAVP(avpEventTimestamp, avpMandatory, 0, datatype.Time(c.stamp)) })
	for _, a := range c.more {
		m.AddAVP(a)
	}
	b, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// attach is an initial request as most PCEFs send it.
func attach() ccr {
	return ccr{
		session: "pgw1.lab;1767323045;1;gx", host: "pgw1.lab", realm: "lab", kind: requestInitial, apn: "internet",
		msisdn: "491700000001", imsi: "001010000000001", ipv4: netip.MustParseAddr("10.45.0.7"), rat: 1004, ipcan: 5, hopByHop: 7, endToEnd: 9,
	}
}
