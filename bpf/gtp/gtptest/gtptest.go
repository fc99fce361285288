// Package gtptest makes GTPv2-C and GTPv1-C messages with an implementation that
// shares nothing with package gtp, for tests and for the simulator. It plays a
// PGW and an SGW (S5/S8), or a GGSN and an SGSN (Gn).
package gtptest

import (
	"net"
	"net/netip"
	"time"

	ie1 "github.com/wmnsk/go-gtp/gtpv1/ie"
	message1 "github.com/wmnsk/go-gtp/gtpv1/message"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
	"github.com/wmnsk/go-gtp/gtpv2/message"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/bpf/wire/wiretest"
)

// Interface types of F-TEID (3GPP TS 29.274 clause 8.22).
const (
	S5SGW  = 6
	S5PGW  = 7
	S11MME = 10
	S11SGW = 11
)

// accepted is the cause of acceptance of either version.
const (
	accepted2 = 16
	accepted1 = 128
)

// A Core is a pair of gateways whose sessions use one APN. It is a
// wiretest.Core.
type Core struct {
	Version      int // of GTP: 1 or 2
	Asker, Asked netip.Addr
	APN          string

	restarts uint8
	seq      uint32
	teids    uint32
	of       map[int]uint32 // the gateway's TEID of each subscriber's session
}

// New makes a Core. TEIDs and sequence numbers differ between runs, as those of
// gateways do.
func New(version int, asker, asked netip.Addr, apn string) *Core {
	now := uint32(time.Now().UnixMicro())
	return &Core{Version: version, Asker: asker, Asked: asked, APN: apn, restarts: 1, seq: now & 0x7fff, teids: now, of: map[int]uint32{}}
}

// Take makes what both ends say.
func (c *Core) Take(s crowdtest.Step, who crowdtest.Subscriber) ([]wiretest.Exchange, error) {
	c.seq = (c.seq + 1) & 0xffff
	var x wiretest.Exchange
	var err error
	switch s.Kind {
	case crowdtest.Attach:
		c.teids++
		c.of[s.Subscriber] = c.teids
		if c.Version == 2 {
			x, err = c.create2(who, c.teids)
		} else {
			x, err = c.create1(who, c.teids)
		}
	case crowdtest.Refresh:
		if c.Version == 1 {
			return nil, nil
		}
		x, err = c.modify2(c.of[s.Subscriber])
	case crowdtest.Detach:
		if c.Version == 2 {
			x, err = c.delete2(c.of[s.Subscriber])
		} else {
			x, err = c.delete1(c.of[s.Subscriber])
		}
		delete(c.of, s.Subscriber)
	case crowdtest.Restart:
		c.restarts++
		clear(c.of)
		x, err = c.echo()
	}
	return []wiretest.Exchange{x}, err
}

// An encoder is a message of either version.
type encoder interface {
	MarshalLen() int
	MarshalTo([]byte) error
}

func exchange(request, response encoder) (x wiretest.Exchange, err error) {
	if x.Request, err = Encode(request); err != nil {
		return x, err
	}
	x.Response, err = Encode(response)
	return x, err
}

// Encode is a message in octets.
func Encode(m encoder) ([]byte, error) {
	b := make([]byte, m.MarshalLen())
	return b, m.MarshalTo(b)
}

// peer is the TEID that the asker gives for a session of the gateway.
func peer(teid uint32) uint32 { return teid ^ 0x40000000 }

// FTEID is a fully qualified TEID of either family.
func FTEID(kind uint8, teid uint32, addr netip.Addr) *ie.IE {
	if addr.Is4() {
		return ie.NewFullyQualifiedTEID(kind, teid, addr.String(), "")
	}
	return ie.NewFullyQualifiedTEID(kind, teid, "", addr.String())
}

// PAA is what a gateway grants.
func PAA(v4 netip.Addr, v6 netip.Prefix) *ie.IE {
	switch {
	case !v6.IsValid():
		return ie.NewPDNAddressAllocationNetIP(net.IP(v4.AsSlice()), 0)
	case !v4.IsValid():
		return ie.NewPDNAddressAllocationNetIP(net.IP(v6.Addr().AsSlice()), uint8(v6.Bits()))
	}
	return ie.NewPDNAddressAllocationDualNetIP(net.IP(v4.AsSlice()), net.IP(v6.Addr().AsSlice()), uint8(v6.Bits()))
}

func (c *Core) create2(who crowdtest.Subscriber, teid uint32) (wiretest.Exchange, error) {
	bearer := ie.NewBearerContext(ie.NewEPSBearerID(5))
	request := message.NewCreateSessionRequest(0, c.seq,
		ie.NewIMSI(who.IMSI), ie.NewMSISDN(who.MSISDN), ie.NewMobileEquipmentIdentity(who.IMEISV), ie.NewRATType(6),
		FTEID(S5SGW, peer(teid), c.Asker), ie.NewAccessPointName(c.APN), bearer, ie.NewRecovery(1))
	response := message.NewCreateSessionResponse(peer(teid), c.seq,
		ie.NewCause(accepted2, 0, 0, 0, nil), FTEID(S5PGW, teid, c.Asked).WithInstance(1), PAA(who.IPv4, who.IPv6),
		ie.NewBearerContext(ie.NewEPSBearerID(5)), ie.NewRecovery(c.restarts))
	return exchange(request, response)
}

func (c *Core) modify2(teid uint32) (wiretest.Exchange, error) {
	return exchange(
		message.NewModifyBearerRequest(teid, c.seq, ie.NewRATType(6), ie.NewBearerContext(ie.NewEPSBearerID(5))),
		message.NewModifyBearerResponse(peer(teid), c.seq, ie.NewCause(accepted2, 0, 0, 0, nil)))
}

func (c *Core) delete2(teid uint32) (wiretest.Exchange, error) {
	return exchange(
		message.NewDeleteSessionRequest(teid, c.seq, ie.NewEPSBearerID(5)),
		message.NewDeleteSessionResponse(peer(teid), c.seq, ie.NewCause(accepted2, 0, 0, 0, nil)))
}

// imsi1 is an IMSI of GTPv1, which always takes eight octets; the encoder leaves
// the filler of short ones out.
func imsi1(digits string) *ie1.IE {
	element := ie1.NewIMSI(digits)
	for len(element.Payload) < 8 {
		element.Payload = append(element.Payload, 0xff)
	}
	return element
}

func (c *Core) create1(who crowdtest.Subscriber, teid uint32) (wiretest.Exchange, error) {
	request := message1.NewCreatePDPContextRequest(0, uint16(c.seq),
		imsi1(who.IMSI), ie1.NewTEIDCPlane(peer(teid)), ie1.NewNSAPI(5), ie1.NewEndUserAddress("v4"), ie1.NewAccessPointName(c.APN),
		ie1.NewGSNAddress(c.Asker.String()), ie1.NewGSNAddress(c.Asker.String()), ie1.NewMSISDN(who.MSISDN), ie1.NewRATType(1))
	response := message1.NewCreatePDPContextResponse(peer(teid), uint16(c.seq),
		ie1.NewCause(accepted1), ie1.NewRecovery(c.restarts), ie1.NewTEIDCPlane(teid), ie1.NewEndUserAddressByIP(net.IP(who.IPv4.AsSlice())),
		ie1.NewGSNAddress(c.Asked.String()), ie1.NewGSNAddress(c.Asked.String()))
	return exchange(request, response)
}

func (c *Core) delete1(teid uint32) (wiretest.Exchange, error) {
	return exchange(
		message1.NewDeletePDPContextRequest(teid, uint16(c.seq), ie1.NewTeardownInd(true), ie1.NewNSAPI(5)),
		message1.NewDeletePDPContextResponse(peer(teid), uint16(c.seq), ie1.NewCause(accepted1)))
}

// echo tells of the gateway's restart.
func (c *Core) echo() (wiretest.Exchange, error) {
	if c.Version == 1 {
		return exchange(message1.NewEchoRequest(uint16(c.seq)), message1.NewEchoResponse(uint16(c.seq), ie1.NewRecovery(c.restarts)))
	}
	return exchange(message.NewEchoRequest(c.seq, ie.NewRecovery(1)), message.NewEchoResponse(c.seq, ie.NewRecovery(c.restarts)))
}
