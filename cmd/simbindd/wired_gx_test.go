package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/worldtest"
	"github.com/simbind/simbind/diameter/diametertest"
)

// requestTypes are the CC-Request-Types of words.
var requestTypes = map[binding.Kind]diametertest.RequestType{
	binding.SessionStart:  diametertest.Initial,
	binding.SessionUpdate: diametertest.Update,
	binding.SessionStop:   diametertest.Termination,
}

// creditControl makes the Credit-Control-Request of a word. state is the
// Origin-State-Id in it.
func creditControl(w *worldtest.Word, state uint32) *diam.Message {
	s := diametertest.Session{ID: w.Session, APN: w.APN, Time: w.Stamp}
	if w.MSISDN != 0 {
		s.MSISDN = w.MSISDN.String()[1:]
	}
	if w.IMSI != 0 {
		s.IMSI = w.IMSI.String()
	}
	if len(w.Gone) > 0 {
		s.Triggers = []uint32{diametertest.UEIPAddressRelease}
	}
	node := diametertest.Node{Host: w.Node, Realm: "lab", OriginState: state}
	m := s.Request(requestTypes[w.Kind], w.Order-1, node, diametertest.Node{Realm: "lab"})
	for _, a := range w.Addrs {
		addAddress(m, a.Prefix)
	}
	for _, a := range w.Gone {
		addAddress(m, a.Prefix)
	}
	if w.Repeated {
		m.Header.CommandFlags |= diam.RetransmittedFlag
	}
	return m
}

func addAddress(m *diam.Message, p netip.Prefix) {
	code, value := uint32(avp.FramedIPv6Prefix), append([]byte{0, byte(p.Bits())}, p.Addr().AsSlice()...)
	switch {
	case p.Addr().Is4():
		code, value = avp.FramedIPAddress, p.Addr().AsSlice()
	case p.Bits() < 64:
		code = diametertest.DelegatedIPv6Prefix
	}
	m.AddAVP(diam.NewAVP(code, avp.Mbit, 0, datatype.OctetString(value)))
}

// forgery makes a Device-Watchdog-Request of a node that is not the peer, with
// an Origin-State-Id as after a restart.
func forgery(w *worldtest.Word) *diam.Message {
	node := diametertest.Node{Host: w.Node, Realm: "lab", OriginState: w.OriginState + 1_000_000}
	return node.NewRequest(diam.DeviceWatchdog, 0)
}

// A pgwLine is the present connection of a node.
type pgwLine struct {
	peer  *diametertest.Peer
	link  uint64
	state uint32 // it showed when it was opened, zero if none
}

// dialGx opens a connection from an address. A state is shown in the exchange of
// capabilities or, of links with an odd number, in a watchdog after it.
func dialGx(ctx context.Context, from netip.Addr, to, host string, link uint64, state uint32) (*pgwLine, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	node := diametertest.Node{Host: host, Realm: "lab", OriginState: state}
	if link%2 == 1 {
		node.OriginState = 0
	}
	for {
		conn, err := d.DialContext(ctx, "tcp4", to)
		if err != nil {
			return nil, err
		}
		peer, err := diametertest.Connect(ctx, conn, node, nil)
		if err != nil {
			conn.Close()
			if refusal := diametertest.Refusal(0); errors.As(err, &refusal) && refusal == diametertest.ElectionLost && ctx.Err() == nil {
				continue // its former connection is not known to be gone
			}
			return nil, err
		}
		l := &pgwLine{peer, link, state}
		if state == 0 || link%2 == 0 {
			return l, nil
		}
		node.OriginState = state
		answer, err := peer.Exchange(ctx, node.NewRequest(diam.DeviceWatchdog, 0))
		if err == nil && answer.Result() != diametertest.Success {
			err = fmt.Errorf("the watchdog was answered %d", answer.Result())
		}
		return l, err
	}
}
