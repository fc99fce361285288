package diametertest

import (
	"net/netip"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
)

// Vendor3GPP is the vendor id of 3GPP, Gx its application (3GPP TS 29.212
// clause 5.1).
const (
	Vendor3GPP = 10415
	Gx         = 16777238
)

// Result codes (RFC 6733 section 7.1).
const (
	Success           = 2001
	LimitedSuccess    = 2002
	CommandUnknown    = 3001
	UnableToDeliver   = 3002
	TooBusy           = 3004
	LoopDetected      = 3005
	AppUnsupported    = 3007
	UnknownPeer       = 3010
	UnknownSession    = 5002
	MissingAVP        = 5005
	NoCommonApp       = 5010
	UnableToComply    = 5012
	ElectionLost      = 4003
	OutOfSpace        = 4002
	InvalidAVPValue   = 5004
	InvalidAVPLength  = 5014
	AVPUnsupported    = 5001
	InvalidMessageLen = 5015
)

// A Cause is a Disconnect-Cause (RFC 6733 section 5.4.3).
type Cause uint32

// The causes.
const (
	Rebooting Cause = iota
	Busy
	DoNotWantToTalkToYou
)

// A Node is what one end says of itself when capabilities are exchanged.
type Node struct {
	Host, Realm string
	// Addr is Host-IP-Address; by default that of the connection.
	Addr netip.Addr
	// Product is Product-Name, "diametertest" by default.
	Product string
	// OriginState is Origin-State-Id; zero: none is sent.
	OriginState uint32
	// Applications are 3GPP's that it speaks; Gx by default.
	Applications []uint32
}

func (n Node) withDefaults() Node {
	if n.Product == "" {
		n.Product = "diametertest"
	}
	if n.Applications == nil {
		n.Applications = []uint32{Gx}
	}
	return n
}

// NewRequest begins a request with the node as its origin.
func (n Node) NewRequest(command, application uint32) *diam.Message {
	return n.origin(diam.NewRequest(command, application, nil))
}

// Answer begins the answer to a request: Session-Id if it has one, result and
// origin.
func (n Node) Answer(request Message, result uint32) *diam.Message {
	m := request.Message.Answer(0)
	m.Header.CommandFlags &= diam.ProxiableFlag
	// In place of a zero it makes identifiers of its own.
	m.Header.HopByHopID, m.Header.EndToEndID = request.Header.HopByHopID, request.Header.EndToEndID
	if id := request.Text(avp.SessionID); id != "" {
		add(m, avp.SessionID, datatype.UTF8String(id))
	}
	add(m, avp.ResultCode, datatype.Unsigned32(result))
	if result/1000 == 3 {
		m.Header.CommandFlags |= diam.ErrorFlag
	}
	return n.origin(m)
}

// origin adds what each message says of its sender.
func (n Node) origin(m *diam.Message) *diam.Message {
	add(m, avp.OriginHost, datatype.DiameterIdentity(n.Host))
	add(m, avp.OriginRealm, datatype.DiameterIdentity(n.Realm))
	if n.OriginState != 0 {
		add(m, avp.OriginStateID, datatype.Unsigned32(n.OriginState))
	}
	return m
}

// CapabilitiesRequest makes a Capabilities-Exchange-Request, for those who speak
// on a connection themselves.
func (n Node) CapabilitiesRequest(local netip.Addr) *diam.Message {
	n = n.withDefaults()
	return n.capabilities(n.NewRequest(diam.CapabilitiesExchange, 0), local)
}

// capabilities completes a CER or CEA (RFC 6733 sections 5.3.1 and 5.3.2).
func (n Node) capabilities(m *diam.Message, local netip.Addr) *diam.Message {
	addr := n.Addr
	if !addr.IsValid() {
		addr = local
	}
	add(m, avp.HostIPAddress, datatype.Address(addr.Unmap().AsSlice()))
	add(m, avp.VendorID, datatype.Unsigned32(0))
	m.NewAVP(avp.ProductName, 0, 0, datatype.UTF8String(n.Product))
	add(m, avp.SupportedVendorID, datatype.Unsigned32(Vendor3GPP))
	for _, id := range n.Applications {
		add(m, avp.AuthApplicationID, datatype.Unsigned32(id))
		add(m, avp.VendorSpecificApplicationID, Group(
			diam.NewAVP(avp.VendorID, avp.Mbit, 0, datatype.Unsigned32(Vendor3GPP)),
			diam.NewAVP(avp.AuthApplicationID, avp.Mbit, 0, datatype.Unsigned32(id)),
		))
	}
	return m
}

// Group makes the value of a grouped AVP.
func Group(avps ...*diam.AVP) *diam.GroupedAVP { return &diam.GroupedAVP{AVP: avps} }

// add adds an AVP of the IETF that is mandatory to understand.
func add(m *diam.Message, code uint32, data datatype.Type) {
	m.AddAVP(diam.NewAVP(code, avp.Mbit, 0, data))
}

// add3GPP adds an AVP of 3GPP.
func add3GPP(m *diam.Message, code uint32, data datatype.Type) {
	m.AddAVP(diam.NewAVP(code, avp.Mbit|avp.Vbit, Vendor3GPP, data))
}
