package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	layeh "layeh.com/radius"

	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/radius/radiustest"
)

// A wiretapped is a link on which others speak, and we listen.
type wiretapped struct {
	t    *testing.T
	send func(frame []byte)
	seq  map[netip.Addr]uint32
}

var gatewayAddr, serverAddr = netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.1")

// packet sends a transport's packet from one end to the other.
func (w *wiretapped) packet(from, to netip.Addr, protocol layers.IPProtocol, transport ...gopacket.SerializableLayer) {
	w.t.Helper()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	for _, l := range transport {
		if l, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := l.SetNetworkLayerForChecksum(ip); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	buffer := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: layers.EthernetTypeIPv4}, ip}, transport...)
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		w.t.Fatal(err)
	}
	w.send(buffer.Bytes())
}

// account shows an accounting request and its response.
func (w *wiretapped) account(s radiustest.Session, status radiustest.Status, id byte, secret string) {
	w.t.Helper()
	p, err := s.Request(status, []byte(secret))
	if err != nil {
		w.t.Fatal(err)
	}
	p.Identifier = id
	request, err := p.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	sent, err := layeh.Parse(request, []byte(secret))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := sent.Response(layeh.CodeAccountingResponse).Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.packet(gatewayAddr, serverAddr, layers.IPProtocolUDP, &layers.UDP{SrcPort: 40000, DstPort: 1813}, gopacket.Payload(request))
	w.packet(serverAddr, gatewayAddr, layers.IPProtocolUDP, &layers.UDP{SrcPort: 1813, DstPort: 40000}, gopacket.Payload(response))
}

// creditControl shows a Credit-Control-Request and its answer, over TCP.
func (w *wiretapped) creditControl(s diametertest.Session, typ diametertest.RequestType, number uint32, result uint32) {
	w.t.Helper()
	m := s.Request(typ, number, diametertest.Node{Host: "pgw9.lab", Realm: "lab"}, diametertest.Node{Realm: "lab"})
	a := diam.NewMessage(diam.CreditControl, diam.ProxiableFlag, diametertest.Gx, m.Header.HopByHopID, m.Header.EndToEndID, dict.Default)
	for _, add := range []*diam.AVP{
		diam.NewAVP(avp.SessionID, avp.Mbit, 0, datatype.UTF8String(s.ID)),
		diam.NewAVP(avp.ResultCode, avp.Mbit, 0, datatype.Unsigned32(result)),
		diam.NewAVP(avp.CCRequestNumber, avp.Mbit, 0, datatype.Unsigned32(number)),
	} {
		a.AddAVP(add)
	}
	w.stream(gatewayAddr, serverAddr, 40001, 3868, m)
	w.stream(serverAddr, gatewayAddr, 3868, 40001, a)
}

// stream shows a message in two segments, the second one first.
func (w *wiretapped) stream(from, to netip.Addr, src, dst layers.TCPPort, m *diam.Message) {
	w.t.Helper()
	b, err := m.Serialize()
	if err != nil {
		w.t.Fatal(err)
	}
	segment := func(seq uint32, data []byte) {
		w.packet(from, to, layers.IPProtocolTCP, &layers.TCP{SrcPort: src, DstPort: dst, Seq: seq, ACK: true, Window: 65535}, gopacket.Payload(data))
	}
	if w.seq[from] == 0 { // the first segment of a connection that was there before
		segment(1, b)
		w.seq[from] = 1 + uint32(len(b))
		return
	}
	segment(w.seq[from]+30, b[30:])
	segment(w.seq[from], b[:30])
	w.seq[from] += uint32(len(b))
}

func TestTheDaemonOverhearsAccountingAndGx(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	w := &wiretapped{t: t, send: veth(t, "core0", "core1"), seq: map[netip.Addr]uint32{}}
	h := newHome(t)
	h.configure(t, strings.Replace(h.yaml(), "query:",
		"tap: {interfaces: [core0], clients: [{name: pgw9, prefix: 192.0.2.10/32, secret: overheard}]}\nquery:", 1))
	d := h.start(t)
	says := func(want string, n int) {
		t.Helper()
		addr := testAddr(n).String()
		got := ""
		defer func() {
			if got != want {
				t.Errorf("VERIFY %s: %s at last", addr, got)
			}
		}()
		eventually(t, "VERIFY "+addr+": "+want, func() bool { got = d.verdict(t, addr, testNumber(n)); return got == want })
	}
	accounted := radiustest.Session{ID: "9", NAS: "pgw9", MSISDN: testNumber(1)[1:], IMSI: "001010000000001", APN: "internet", IPv4: testAddr(1), Time: time.Now()}
	d.tapHasStarted(t)
	w.account(accounted, radiustest.Start, 1, "overheard")
	says("match bound", 1)
	forged := accounted
	forged.MSISDN, forged.ID, forged.IMSI = testNumber(2)[1:], "10", "001010000000002"
	w.account(forged, radiustest.Start, 2, "guessed")

	charged := diametertest.Session{ID: "pgw9.lab;1", MSISDN: testNumber(3)[1:], IMSI: "001010000000003", APN: "internet", IPv4: testAddr(3)}
	refused := diametertest.Session{ID: "pgw9.lab;2", MSISDN: testNumber(4)[1:], IMSI: "001010000000004", APN: "internet", IPv4: testAddr(4)}
	w.creditControl(charged, diametertest.Initial, 0, diametertest.Success)
	says("match bound", 3)
	w.creditControl(refused, diametertest.Initial, 0, diametertest.UnableToComply)
	w.creditControl(charged, diametertest.Termination, 1, diametertest.Success)
	says("unknown no-binding", 3)
	says("unknown no-binding", 4)
	says("match bound", 1) // the forgery changed nothing
	if _, body := d.get(t, "/metrics"); !strings.Contains(body, `simbindd_accounting_dropped_total{what="authenticator"} 1`) ||
		!strings.Contains(body, `simbindd_gx_exchanges_total{what="failed"} 1`) {
		t.Error("/metrics does not tell what was refused")
	}
	accounted.Time = time.Now().Add(time.Second)
	w.account(accounted, radiustest.Stop, 3, "overheard")
	says("unknown no-binding", 1)
}
