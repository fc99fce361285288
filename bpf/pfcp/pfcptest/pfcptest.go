// Package pfcptest makes PFCP messages with an implementation that shares
// nothing with package pfcp, for tests and for the simulator. It plays an SMF
// (or PGW-C) and a UPF (or PGW-U).
package pfcptest

import (
	"net"
	"net/netip"
	"time"

	"github.com/wmnsk/go-pfcp/ie"
	"github.com/wmnsk/go-pfcp/message"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/bpf/wire/wiretest"
)

// Source interfaces (3GPP TS 29.244 clause 8.2.2).
const (
	Access = 0
	CoreIF = 1
	CPFunc = 3
)

// A Core is a control plane and a user plane function. It is a wiretest.Core.
type Core struct {
	Asker, Asked netip.Addr
	APN          string
	// Anonymous sends no User ID; NoMSISDN one without a number.
	Anonymous, NoMSISDN bool

	started [2]time.Time // of the two functions
	seq     uint32
	seids   uint64
	of      map[int]uint64 // the user plane's SEID of each subscriber's session
}

// New makes a Core. SEIDs and sequence numbers differ between runs.
func New(asker, asked netip.Addr, apn string) *Core {
	now := time.Now()
	return &Core{
		Asker: asker, Asked: asked, APN: apn, started: [2]time.Time{now, now}, seq: uint32(now.UnixMicro()) & 0x7fffff,
		seids: uint64(now.UnixMicro()), of: map[int]uint64{},
	}
}

// Take makes what both ends say.
func (c *Core) Take(s crowdtest.Step, who crowdtest.Subscriber) ([]wiretest.Exchange, error) {
	c.seq = (c.seq + 1) & 0xffffff
	var x wiretest.Exchange
	var err error
	switch s.Kind {
	case crowdtest.Attach:
		c.seids++
		c.of[s.Subscriber] = c.seids
		x, err = c.establish(who, c.seids)
	case crowdtest.Refresh:
		seid := c.of[s.Subscriber]
		x, err = exchange(
			message.NewSessionModificationRequest(0, 0, seid, c.seq, 0),
			message.NewSessionModificationResponse(0, 0, control(seid), c.seq, 0, ie.NewCause(ie.CauseRequestAccepted)))
	case crowdtest.Detach:
		seid := c.of[s.Subscriber]
		delete(c.of, s.Subscriber)
		x, err = exchange(
			message.NewSessionDeletionRequest(0, 0, seid, c.seq, 0),
			message.NewSessionDeletionResponse(0, 0, control(seid), c.seq, 0, ie.NewCause(ie.CauseRequestAccepted)))
	case crowdtest.Restart:
		c.started[0] = c.started[0].Add(time.Hour)
		clear(c.of)
		x, err = exchange(
			message.NewAssociationSetupRequest(c.seq, c.node(c.Asker), ie.NewRecoveryTimeStamp(c.started[0])),
			message.NewAssociationSetupResponse(c.seq, c.node(c.Asked), ie.NewCause(ie.CauseRequestAccepted), ie.NewRecoveryTimeStamp(c.started[1])))
	}
	return []wiretest.Exchange{x}, err
}

func (c *Core) node(addr netip.Addr) *ie.IE {
	if addr.Is4() {
		return ie.NewNodeID(addr.String(), "", "")
	}
	return ie.NewNodeID("", addr.String(), "")
}

// control is the SEID that the control plane gives for a session of the user
// plane.
func control(seid uint64) uint64 { return seid ^ 1<<62 }

// UEIP is a UE IP Address with S/D as asked for.
func UEIP(v4 netip.Addr, v6 netip.Prefix, destination bool) *ie.IE {
	var flags uint8
	var text4, text6 string
	if v4.IsValid() {
		flags, text4 = flags|2, v4.String()
	}
	if v6.IsValid() {
		flags, text6 = flags|1, v6.Addr().String()
	}
	if destination {
		flags |= 4
	}
	return ie.NewUEIPAddress(flags, text4, text6, 0, 0)
}

func (c *Core) establish(who crowdtest.Subscriber, seid uint64) (wiretest.Exchange, error) {
	request := []*ie.IE{
		c.node(c.Asker), FSEID(control(seid), c.Asker), ie.NewAPNDNN(c.APN),
		ie.NewCreatePDR(ie.NewPDRID(1), ie.NewPDI(ie.NewSourceInterface(CoreIF), UEIP(who.IPv4, who.IPv6, true)), ie.NewFARID(1)),
		ie.NewCreatePDR(ie.NewPDRID(2), ie.NewPDI(ie.NewSourceInterface(Access), UEIP(who.IPv4, who.IPv6, false)), ie.NewFARID(2)),
	}
	if !c.Anonymous {
		request = append(request, c.userID(who))
	}
	return exchange(
		message.NewSessionEstablishmentRequest(0, 0, 0, c.seq, 0, request...),
		message.NewSessionEstablishmentResponse(0, 0, control(seid), c.seq, 0,
			c.node(c.Asked), ie.NewCause(ie.CauseRequestAccepted), FSEID(seid, c.Asked)))
}

// userID has the flags of what it names: IMSIF, IMEIF, MSISDNF (TS 29.244 clause
// 8.2.101).
func (c *Core) userID(who crowdtest.Subscriber) *ie.IE {
	if c.NoMSISDN {
		return ie.NewUserID(3, who.IMSI, who.IMEISV, "", "")
	}
	return ie.NewUserID(7, who.IMSI, who.IMEISV, who.MSISDN, "")
}

// FSEID is an F-SEID of either family.
func FSEID(seid uint64, addr netip.Addr) *ie.IE {
	if addr.Is4() {
		return ie.NewFSEID(seid, net.IP(addr.AsSlice()), nil)
	}
	return ie.NewFSEID(seid, nil, net.IP(addr.AsSlice()))
}

// Encode is a message in octets.
func Encode(m message.Message) ([]byte, error) {
	b := make([]byte, m.MarshalLen())
	return b, m.MarshalTo(b)
}

func exchange(request, response message.Message) (x wiretest.Exchange, err error) {
	if x.Request, err = Encode(request); err != nil {
		return x, err
	}
	x.Response, err = Encode(response)
	return x, err
}
