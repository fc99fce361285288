package gx

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
	"github.com/simbind/simbind/diameter/diametertest"
)

var (
	pcef  = netip.MustParseAddrPort("192.0.2.10:40000")
	pcrf  = netip.MustParseAddrPort("192.0.2.1:3868")
	began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	gateway = diametertest.Node{Host: "pgw1.lab", Realm: "lab"}
	policy  = diametertest.Node{Host: "pcrf.lab", Realm: "lab"}
)

// session is the nth of many.
func session(n int) diametertest.Session {
	return diametertest.Session{
		ID: fmt.Sprintf("pgw1.lab;1;%d", n), MSISDN: fmt.Sprintf("4477009%05d", n), IMSI: fmt.Sprintf("0010100000%05d", n), APN: "internet",
		IPv4: netip.AddrFrom4([4]byte{10, 45, byte(n >> 8), byte(n)}), IPCAN: 5, RAT: 1004,
	}
}

// ccr is a request as go-diameter encodes it.
func ccr(t testing.TB, s diametertest.Session, typ diametertest.RequestType, number, hopByHop uint32) []byte {
	t.Helper()
	m := s.Request(typ, number, gateway, policy)
	m.Header.HopByHopID, m.Header.EndToEndID = hopByHop, hopByHop|1<<31
	return serialized(t, m)
}

// cca is the answer to a request. Its result may be zero: none.
func cca(t testing.TB, request []byte, result uint32) []byte {
	t.Helper()
	q, err := diametertest.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	flags := uint8(diam.ProxiableFlag)
	if result/1000 == 3 {
		flags |= diam.ErrorFlag
	}
	m := diam.NewMessage(diam.CreditControl, flags, diametertest.Gx, q.Header.HopByHopID, q.Header.EndToEndID, dict.Default)
	number, _ := q.Number(avp.CCRequestNumber)
	typ, _ := q.Number(avp.CCRequestType)
	add := func(code uint32, value datatype.Type) { m.AddAVP(diam.NewAVP(code, avp.Mbit, 0, value)) }
	add(avp.SessionID, datatype.UTF8String(q.Text(avp.SessionID)))
	if result != 0 {
		add(avp.ResultCode, datatype.Unsigned32(result))
	}
	add(avp.OriginHost, datatype.DiameterIdentity(policy.Host))
	add(avp.OriginRealm, datatype.DiameterIdentity(policy.Realm))
	add(avp.CCRequestType, datatype.Enumerated(typ))
	add(avp.CCRequestNumber, datatype.Unsigned32(number))
	return serialized(t, m)
}

// base is a message of the base protocol in which a host tells its state.
func base(t testing.TB, command uint32, request bool, host string, state uint32) []byte {
	t.Helper()
	var flags uint8
	if request {
		flags = diam.RequestFlag
	}
	m := diam.NewMessage(command, flags, 0, 1, 1, dict.Default)
	m.AddAVP(diam.NewAVP(avp.OriginHost, avp.Mbit, 0, datatype.DiameterIdentity(host)))
	m.AddAVP(diam.NewAVP(avp.OriginRealm, avp.Mbit, 0, datatype.DiameterIdentity("lab")))
	if !request {
		m.AddAVP(diam.NewAVP(avp.ResultCode, avp.Mbit, 0, datatype.Unsigned32(diam.Success)))
	}
	if state != 0 {
		m.AddAVP(diam.NewAVP(avp.OriginStateID, avp.Mbit, 0, datatype.Unsigned32(state)))
	}
	return serialized(t, m)
}

func serialized(t testing.TB, m *diam.Message) []byte {
	t.Helper()
	b, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A rig is a Follower whose events are written down.
type rig struct {
	*Follower
	t      testing.TB
	now    time.Time
	events []binding.Event
	next   map[netip.AddrPort]uint32 // sequence number of each end
}

func newRig(t testing.TB, o Options) *rig {
	r := &rig{t: t, now: began, next: map[netip.AddrPort]uint32{}}
	r.Follower = New(func(ev binding.Event) { r.events = append(r.events, ev) }, o)
	return r
}

// segment shows a TCP segment and then overwrites it.
func (r *rig) segment(src, dst netip.AddrPort, bits byte, seq uint32, payload []byte) {
	header := make([]byte, 20)
	binary.BigEndian.PutUint16(header, src.Port())
	binary.BigEndian.PutUint16(header[2:], dst.Port())
	binary.BigEndian.PutUint32(header[4:], seq)
	header[12], header[13] = 5<<4, bits
	data := slices.Clone(payload)
	r.Packet(&wire.Packet{Time: r.now, Src: src, Dst: dst, Proto: wire.ProtoTCP, Header: header, Payload: data})
	for i := range data {
		data[i] = 0xAA
	}
	r.now = r.now.Add(time.Millisecond)
}

// connect shows the handshake of a connection.
func (r *rig) connect(src, dst netip.AddrPort) {
	r.segment(src, dst, 0x02, 1000, nil)
	header := make([]byte, 20)
	binary.BigEndian.PutUint32(header[4:], 2000)
	binary.BigEndian.PutUint32(header[8:], 1001)
	header[12], header[13] = 5<<4, 0x12
	r.Packet(&wire.Packet{Time: r.now, Src: dst, Dst: src, Proto: wire.ProtoTCP, Header: header})
	r.next[src], r.next[dst] = 1001, 2001
}

func (r *rig) shake() { r.connect(pcef, pcrf) }

// send shows octets of one end in the order of its stream.
func (r *rig) send(src, dst netip.AddrPort, octets ...[]byte) {
	b := slices.Concat(octets...)
	r.segment(src, dst, 0x10, r.next[src], b)
	r.next[src] += uint32(len(b))
}

func (r *rig) ask(octets ...[]byte)    { r.send(pcef, pcrf, octets...) }
func (r *rig) answer(octets ...[]byte) { r.send(pcrf, pcef, octets...) }

// miss has an end say something that is not captured.
func (r *rig) miss(src netip.AddrPort, octets ...[]byte) {
	r.next[src] += uint32(len(slices.Concat(octets...)))
}

// told are the events, each as "kind node session address".
func (r *rig) told() []string {
	var list []string
	for _, ev := range r.events {
		list = append(list, describe(ev))
	}
	return list
}

func describe(ev binding.Event) string {
	words := []string{ev.Kind.String()}
	for _, word := range []string{ev.Node, ev.Session} {
		if word != "" {
			words = append(words, word)
		}
	}
	for _, a := range ev.Addrs {
		words = append(words, a.String(), ev.MSISDN.String())
	}
	if ev.Refused {
		words = append(words, "refused")
	}
	return strings.Join(words, " ")
}

func (r *rig) want(events ...string) {
	r.t.Helper()
	if got := r.told(); !slices.Equal(got, events) {
		r.t.Errorf("events %q, want %q", got, events)
	}
	for _, ev := range r.events {
		if !ev.Observed || ev.Source != binding.SourceGx {
			r.t.Errorf("%+v", ev)
		}
	}
}

func (r *rig) counted(what count, n uint64) {
	r.t.Helper()
	if got := r.counts[what].Load(); got != n {
		r.t.Errorf("%s %s: %d, want %d", counted[what].metric, counted[what].value, got, n)
	}
}

// started and stopped are the events of session n.
func started(n int) string {
	return fmt.Sprintf("session-start pgw1.lab pgw1.lab;1;%d %v +%s", n, session(n).IPv4, session(n).MSISDN)
}

func stopped(n int) string { return fmt.Sprintf("session-stop pgw1.lab pgw1.lab;1;%d", n) }
