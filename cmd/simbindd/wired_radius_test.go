package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4818"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/worldtest"
	"github.com/simbind/simbind/radius/radiustest"
)

// accountingStatus is the Acct-Status-Type of a word.
var accountingStatus = map[binding.Kind]rfc2866.AcctStatusType{
	binding.SessionStart:  rfc2866.AcctStatusType_Value_Start,
	binding.SessionUpdate: rfc2866.AcctStatusType_Value_InterimUpdate,
	binding.SessionStop:   rfc2866.AcctStatusType_Value_Stop,
	binding.NodeRestart:   rfc2866.AcctStatusType_Value_AccountingOn,
}

// A packetBuilder makes a packet and keeps the first error.
type packetBuilder struct {
	p   *layeh.Packet
	err error
}

func (b *packetBuilder) do(err error) {
	if b.err == nil {
		b.err = err
	}
}

// accounting makes the Accounting-Request of a word. The same octets of words
// are the same octets here.
func accounting(w *worldtest.Word, secret []byte) ([]byte, error) {
	status, ok := accountingStatus[w.Kind]
	if !ok {
		return nil, fmt.Errorf("no accounting of %v", w.Kind)
	}
	b := &packetBuilder{p: layeh.New(layeh.CodeAccountingRequest, secret)}
	b.p.Identifier = byte(w.Octets)
	b.do(rfc2866.AcctStatusType_Set(b.p, status))
	b.nas(w.Node)
	if w.Also != "" {
		b.nas(w.Also)
	}
	b.times(w)
	if w.Session != "" {
		b.session(w)
	}
	if b.err != nil {
		return nil, b.err
	}
	return b.p.Encode()
}

// nas adds a name: an address or an identifier.
func (b *packetBuilder) nas(name string) {
	if addr, err := netip.ParseAddr(name); err == nil {
		b.do(rfc2865.NASIPAddress_Set(b.p, addr.AsSlice()))
		return
	}
	b.do(rfc2865.NASIdentifier_SetString(b.p, name))
}

func (b *packetBuilder) times(w *worldtest.Word) {
	if !w.Stamp.IsZero() {
		b.do(rfc2869.EventTimestamp_Set(b.p, w.Stamp))
	}
	if w.Delayed {
		b.do(rfc2866.AcctDelayTime_Set(b.p, rfc2866.AcctDelayTime(w.Delay/time.Second)))
	}
	if w.Aged {
		b.do(rfc2866.AcctSessionTime_Set(b.p, rfc2866.AcctSessionTime(w.Age/time.Second)))
	}
}

func (b *packetBuilder) session(w *worldtest.Word) {
	b.do(rfc2866.AcctSessionID_SetString(b.p, w.Session))
	b.do(rfc2865.CalledStationID_SetString(b.p, w.APN))
	if w.MSISDN != 0 {
		b.do(rfc2865.CallingStationID_SetString(b.p, w.MSISDN.String()[1:]))
	}
	if w.IMSI != 0 {
		b.do(radiustest.AddVendor(b.p, radiustest.IMSI, []byte(w.IMSI.String())))
	}
	for n := range 16 {
		if w.Contexts>>n&1 == 1 {
			b.do(radiustest.AddVendor(b.p, radiustest.NSAPI, []byte(strconv.FormatInt(int64(n), 16))))
		}
	}
	if w.Last {
		b.do(radiustest.AddVendor(b.p, radiustest.SessionStopIndicator, []byte{0xFF}))
	}
	framed := false
	for _, a := range w.Addrs {
		framed = b.address(a, framed) || framed
	}
	for _, a := range w.Gone {
		b.ports(a, 2)
	}
}

// address adds an address by the attribute that is for its kind; framed says
// that there is a Framed-IP-Address already.
func (b *packetBuilder) address(a binding.Address, framed bool) bool {
	p := a.Prefix
	ipNet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	switch {
	case a.PortLow|a.PortHigh != 0:
		b.ports(a, 1)
	case a.Is4() && p.IsSingleIP() && !framed:
		b.do(rfc2865.FramedIPAddress_Set(b.p, p.Addr().AsSlice()))
		return true
	case a.Is4():
		b.do(rfc2865.FramedRoute_AddString(b.p, p.String()+" 0.0.0.0 1"))
	case p.Bits() < 64:
		b.do(rfc4818.DelegatedIPv6Prefix_Add(b.p, ipNet))
	default:
		b.do(rfc3162.FramedIPv6Prefix_Add(b.p, ipNet))
	}
	return false
}

// ports adds IP-Port-Range (RFC 8045 section 3.1.2), 241.6, of a block that was
// allocated (1) or deallocated (2).
func (b *packetBuilder) ports(a binding.Address, alloc uint32) {
	value := []byte{6}
	number := func(typ byte, n uint32) {
		value = binary.BigEndian.AppendUint32(append(value, typ, 6), n)
	}
	number(1, 0) // TCP and UDP
	addr := a.Prefix.Addr().As4()
	number(3, binary.BigEndian.Uint32(addr[:]))
	number(8, alloc)
	number(9, uint32(a.PortLow))
	number(10, uint32(a.PortHigh))
	b.p.Add(241, value)
}

// A nasLine is one way of a NAS to us: the socket of a client, or its connection.
type nasLine struct {
	conn   net.Conn
	secret []byte
}

func dialNAS(t testing.TB, from netip.Addr, to string, secret []byte) *nasLine {
	server, err := netip.ParseAddrPort(to)
	if err != nil {
		t.Fatal(err)
	}
	local := net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	conn, err := net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	return &nasLine{conn, secret}
}

// dialRadSec connects with the only certificate that there is, which is also its
// own authority, in a folder.
func dialRadSec(t testing.TB, dir, to string) *nasLine {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", to, &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return &nasLine{conn, []byte("radsec")}
}

// exchange sends octets once and waits for their answer, until ctx ends.
// givenUp is asked now and then whether none will come.
func (l *nasLine) exchange(ctx context.Context, wire []byte, givenUp func() bool) error {
	if _, err := l.conn.Write(wire); err != nil {
		return err
	}
	var buffer [layeh.MaxPacketLength]byte
	for wait := 4 * time.Millisecond; ctx.Err() == nil; {
		if err := l.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return err
		}
		n, err := l.conn.Read(buffer[:])
		switch {
		case err == nil && n >= 20 && buffer[1] == wire[1] && layeh.IsAuthenticResponse(buffer[:n], wire, l.secret):
			return nil
		case err != nil && givenUp():
			return nil
		case err != nil:
			wait *= 2
		}
	}
	return ctx.Err()
}
