package diameter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/diametertest"
)

// An exchangeLog is what one end saw, by End-to-End Identifier.
type exchangeLog struct {
	mu                sync.Mutex
	requests, answers map[uint32][]byte
}

func newExchangeLog() *exchangeLog {
	return &exchangeLog{requests: map[uint32][]byte{}, answers: map[uint32][]byte{}}
}

func (l *exchangeLog) note(messages map[uint32][]byte, wire []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	messages[binary.BigEndian.Uint32(wire[16:])] = bytes.Clone(wire)
}

// policy is what a PCRF adds to its answers: groups within groups, AVPs of an
// unknown vendor, lengths that need padding.
func policy(n byte) []*diam.AVP {
	return []*diam.AVP{
		diam.NewAVP(1001, avp.Mbit|avp.Vbit, 10415, diametertest.Group( // Charging-Rule-Install
			diam.NewAVP(1003, avp.Mbit|avp.Vbit, 10415, diametertest.Group( // Charging-Rule-Definition
				diam.NewAVP(1005, avp.Mbit|avp.Vbit, 10415, datatype.OctetString("rule"+string([]byte{'0' + n%10}))),
			)),
		)),
		diam.NewAVP(4711, avp.Vbit, 9999, datatype.OctetString(bytes.Repeat([]byte{n}, int(n%7)))),
	}
}

// driven sends sessions over one connection, a few at a time, and notes what
// it sent and got.
func driven(ctx context.Context, p *diametertest.Peer, from diametertest.Node, first, count int, log *exchangeLog) error {
	room := make(chan struct{}, 32)
	failed := make(chan error, 1)
	var all sync.WaitGroup
	for n := first; n < first+count; n++ {
		session := diametertest.Session{
			ID: fmt.Sprintf("%s;1;%d", from.Host, n), MSISDN: fmt.Sprint(491700000000 + n), IMSI: fmt.Sprintf("00101%010d", n), IMEISV: "3569380300000000",
			APN: "internet", IPv4: netip.AddrFrom4([4]byte{10, 45, byte(n >> 8), byte(n)}), IPv6: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(n >> 8), 7: byte(n)}), 64)},
			IPCAN: 5, RAT: 1004, Network: "00101", Gateway: netip.AddrFrom4([4]byte{192, 0, 2, 1}), ChargingID: uint32(n),
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		all.Go(func() {
			defer func() { <-room }()
			for number, typ := range []diametertest.RequestType{diametertest.Initial, diametertest.Update, diametertest.Termination} {
				m := session.Request(typ, uint32(number), from, diametertest.Node{Realm: "lab"})
				m.Header.EndToEndID = uint32(n)<<2 | uint32(typ)
				for _, a := range policy(byte(n)) {
					m.AddAVP(a)
				}
				answer, err := p.Exchange(ctx, m)
				if err == nil && answer.Result() != diametertest.Success {
					err = fmt.Errorf("session %d: result %d", n, answer.Result())
				}
				if err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
				wire, _ := m.Serialize()
				log.note(log.requests, wire)
				log.note(log.answers, answer.Raw)
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// The client and the server are go-diameter's; a thousand sessions over four
// connections reach the PCRF, and its answers come back, without a changed
// octet but the relay's own.
func TestAThousandSessionsPassTheRelayUnchanged(t *testing.T) {
	const connections, each = 4, 250
	reg := newFakeRegistry()
	at := newExchangeLog() // the PCRF
	pcrfNode := diametertest.Node{Host: "pcrf.lab", Realm: "lab", OriginState: 3}
	var pcrf *diametertest.PCRF
	pcrf, err := diametertest.ListenPCRF("127.0.0.1:0", diametertest.PCRFOptions{
		Node: pcrfNode,
		Answer: func(_ *diametertest.Peer, m diametertest.Message) *diam.Message {
			answer := pcrf.CreditControl(m, diametertest.Success)
			for _, a := range policy(byte(m.Header.EndToEndID)) {
				answer.AddAVP(a)
			}
			at.note(at.requests, m.Raw)
			answer.Header.MessageLength = uint32(answer.Len())
			if wire, err := answer.Serialize(); err == nil {
				at.note(at.answers, wire)
			}
			return answer
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pcrf.Close)
	s := start(t, diameter.Config{
		Mode: diameter.Relay, Upstreams: []diameter.Upstream{{Address: pcrf.Addr(), Host: "pcrf.lab"}},
	}, reg.submit)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if up, err := pcrf.Await(ctx, "simbind.lab"); err != nil {
		t.Fatal(err)
	} else if _, err := up.Watchdog(ctx); err != nil { // the relay has taken the answer to its CER
		t.Fatal(err)
	}

	from := newExchangeLog() // the PCEFs
	var running sync.WaitGroup
	for i := range connections {
		node := diametertest.Node{Host: fmt.Sprintf("pgw%d.lab", i), Realm: "lab", OriginState: 7}
		p, err := diametertest.Dial(ctx, s.addr(), node, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		running.Go(func() {
			if err := driven(ctx, p, node, 1+i*each, each, from); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	comparePassed(t, from, at, 3*connections*each)
	kinds := map[binding.Kind]int{}
	for _, ev := range reg.wait(t, 3*connections*each) {
		kinds[ev.Kind]++
	}
	for _, kind := range []binding.Kind{binding.SessionStart, binding.SessionUpdate, binding.SessionStop} {
		if kinds[kind] != connections*each {
			t.Errorf("learned %d of kind %v, want %d", kinds[kind], kind, connections*each)
		}
	}
}

// comparePassed demands that both ends saw the same, but for the Hop-by-Hop
// Identifier and one Route-Record.
func comparePassed(t *testing.T, from, at *exchangeLog, want int) {
	t.Helper()
	if len(from.requests) != want || len(at.requests) != want {
		t.Fatalf("%d requests were sent and answered, %d arrived; want %d", len(from.requests), len(at.requests), want)
	}
	wrong := 0
	for id, sent := range from.requests {
		host := parse(t, sent).Text(avp.OriginHost)
		came := at.requests[id]
		if expected := withRouteRecord(t, withHopByHop(sent, hopByHop(came)), host); !bytes.Equal(came, expected) {
			if wrong++; wrong < 4 {
				t.Errorf("request %d arrived as\n%x, want\n%x", id, came, expected)
			}
		}
		answer := at.answers[id]
		if got, expected := from.answers[id], withHopByHop(answer, hopByHop(from.answers[id])); !bytes.Equal(got, expected) {
			if wrong++; wrong < 4 {
				t.Errorf("answer %d arrived as\n%x, want\n%x", id, got, expected)
			}
		}
	}
}

func parse(t *testing.T, wire []byte) diametertest.Message {
	t.Helper()
	m, err := diametertest.Parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A PCRF's own request finds the PCEF, and its answer the PCRF.
func TestAReAuthRequestPassesTheRelay(t *testing.T) {
	pcrf, err := diametertest.ListenPCRF("127.0.0.1:0", diametertest.PCRFOptions{Node: diametertest.Node{Host: "pcrf.lab", Realm: "lab"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pcrf.Close)
	s := start(t, diameter.Config{
		Mode: diameter.Relay, Upstreams: []diameter.Upstream{{Address: pcrf.Addr(), Host: "pcrf.lab"}},
	}, newFakeRegistry().submit)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := pcrf.Await(ctx, "simbind.lab"); err != nil {
		t.Fatal(err)
	}
	node := diametertest.Node{Host: "pgw1.lab", Realm: "lab"}
	p, err := diametertest.Dial(ctx, s.addr(), node, func(p *diametertest.Peer, m diametertest.Message) *diam.Message {
		if m.Header.CommandCode == diam.ReAuth && m.Text(avp.RouteRecord) == "pcrf.lab" {
			return p.Local.Answer(m, diametertest.LimitedSuccess)
		}
		return p.Default(m)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	answer, err := pcrf.ReAuth(ctx, "pgw1.lab;1;1", node)
	if err != nil || answer.Result() != diametertest.LimitedSuccess || answer.Text(avp.OriginHost) != "pgw1.lab" {
		t.Errorf("%v, %v", answer, err)
	}
}
