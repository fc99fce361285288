package diametertest

import (
	"net"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/fiorix/go-diameter/v4/diam/sm"
)

// ServeStock is the server that go-diameter itself makes, with its transport
// and state machine: it looks up session, address and number of each CCR and
// answers 2001 without storing anything. It is what a daemon is measured
// against. It returns when the listener is closed.
func ServeStock(l net.Listener, node Node) error {
	node = node.withDefaults()
	machine := sm.New(&sm.Settings{
		OriginHost: datatype.DiameterIdentity(node.Host), OriginRealm: datatype.DiameterIdentity(node.Realm), VendorID: 0,
		ProductName: datatype.UTF8String(node.Product), OriginStateID: datatype.Unsigned32(node.OriginState),
		HostIPAddresses: []datatype.Address{datatype.Address(address(l.Addr()).AsSlice())},
	})
	machine.HandleFunc(diam.CCR, func(c diam.Conn, m *diam.Message) { stockAnswer(node, c, m) })
	return (&diam.Server{Handler: machine, Dict: dict.Default}).Serve(l)
}

func stockAnswer(node Node, c diam.Conn, m *diam.Message) {
	answer := m.Answer(Success)
	for _, code := range []uint32{avp.SessionID, avp.CCRequestType, avp.CCRequestNumber, avp.AuthApplicationID} {
		if a, err := m.FindAVP(code, 0); err == nil {
			answer.AddAVP(a)
		}
	}
	for _, code := range []uint32{avp.FramedIPAddress, avp.SubscriptionIDData, avp.CalledStationID} {
		m.FindAVP(code, 0) // what a binding is made of
	}
	node.origin(answer)
	answer.WriteTo(c) // a connection that broke ends with its reader
}
