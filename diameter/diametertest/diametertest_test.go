package diametertest_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"
	"github.com/fiorix/go-diameter/v4/diam/sm"

	"github.com/simbind/simbind/diameter/diametertest"
)

var (
	pcef = diametertest.Node{Host: "pgw.test", Realm: "test", OriginState: 7}
	pcrf = diametertest.Node{Host: "pcrf.test", Realm: "test", OriginState: 77}
)

// bounded is a context that no test should see end.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func startPCRF(t *testing.T, o diametertest.PCRFOptions) *diametertest.PCRF {
	t.Helper()
	if o.Node.Host == "" {
		o.Node = pcrf
	}
	s, err := diametertest.ListenPCRF("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dial(t *testing.T, addr string, handle diametertest.Handler) *diametertest.Peer {
	t.Helper()
	p, err := diametertest.Dial(bounded(t), addr, pcef, handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func testSession() diametertest.Session {
	return diametertest.Session{
		ID: "pgw.test;1;2", MSISDN: "491700000001", IMSI: "001010000000001", NAI: "u@test", IMEISV: "3569380300000001", APN: "internet",
		IPv4: netip.MustParseAddr("10.45.0.1"), IPv6: []netip.Prefix{netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("2001:db8:1::/64")},
		Delegated: netip.MustParsePrefix("2001:db8:ff00::/56"), IPCAN: 5, RAT: 1004, Network: "00101", Gateway: netip.MustParseAddr("192.0.2.1"),
		ChargingID: 0x01020304, Triggers: []uint32{diametertest.UEIPAddressAllocate}, Time: time.Unix(1_800_000_000, 0),
	}
}

func TestASessionIsAnsweredAndRecorded(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{Record: true})
	p := dial(t, s.Addr(), nil)
	if p.Remote.Host != "pcrf.test" || p.Remote.OriginState != 77 || p.Remote.Product != "diametertest" {
		t.Errorf("the PCRF introduced itself as %+v", p.Remote)
	}
	for number, typ := range []diametertest.RequestType{diametertest.Initial, diametertest.Update, diametertest.Termination} {
		request := testSession().Request(typ, uint32(number), pcef, pcrf)
		answer, err := p.Exchange(bounded(t), request)
		if err != nil {
			t.Fatal(err)
		}
		gotType, _ := answer.Number(avp.CCRequestType)
		gotNumber, _ := answer.Number(avp.CCRequestNumber)
		if answer.Result() != diametertest.Success || answer.Text(avp.SessionID) != "pgw.test;1;2" || answer.Header.EndToEndID != request.Header.EndToEndID ||
			gotType != uint32(typ) || gotNumber != uint32(number) || answer.Text(avp.OriginHost) != "pcrf.test" {
			t.Errorf("type %d: %v", typ, answer)
		}
		if state, _ := answer.Number(avp.OriginStateID); state != 77 {
			t.Errorf("Origin-State-Id %d is not the PCRF's", state)
		}
	}
	seen := s.Exchanges()
	if len(seen) != 3 {
		t.Fatalf("%d exchanges were recorded", len(seen))
	}
	for _, want := range []string{
		"000000084000000c0a2d0001",                            // Framed-IP-Address 10.45.0.1
		"0000006140000" + "01a004020010db8",                   // Framed-IPv6-Prefix, /64, 2001:db8…
		"0000007b4000001a003820010db8ff00",                    // Delegated-IPv6-Prefix, /56
		"000003eec0000010000028af00000012",                    // Event-Trigger UE_IP_ADDRESS_ALLOCATE
		hex.EncodeToString([]byte("491700000001")),            // Subscription-Id-Data
		"000001c240000" + "00c00000001",                       // Subscription-Id-Type END_USER_IMSI
		hex.EncodeToString([]byte("3569380300000001")),        // User-Equipment-Info-Value
		"0000001e40000010" + hex.EncodeToString([]byte("in")), // Called-Station-Id
	} {
		if got := hex.EncodeToString(seen[0].Request); !strings.Contains(got, want) {
			t.Errorf("the initial request lacks %s:\n%s", want, got)
		}
	}
	if got := hex.EncodeToString(seen[2].Request); strings.Contains(got, "0a2d0001") {
		t.Errorf("the termination names an address: %s", got)
	}
	if m, err := diametertest.Parse(seen[1].Answer); err != nil || m.Result() != diametertest.Success {
		t.Errorf("the recorded answer: %v, %v", m, err)
	}
}

func TestTheResultIsChosen(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{Result: func(m diametertest.Message) uint32 { return diametertest.TooBusy }})
	answer, err := dial(t, s.Addr(), nil).Exchange(bounded(t), testSession().Request(diametertest.Initial, 0, pcef, pcrf))
	if err != nil || answer.Result() != diametertest.TooBusy || answer.Header.CommandFlags&diam.ErrorFlag == 0 {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestBothEndsAnswerWatchdogsAndUnknownCommands(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{})
	p := dial(t, s.Addr(), nil)
	ctx := bounded(t)
	remote, err := s.Await(ctx, "pgw.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []*diametertest.Peer{p, remote} {
		answer, err := end.Watchdog(ctx)
		if err != nil || answer.Result() != diametertest.Success {
			t.Errorf("watchdog: %v, %v", answer, err)
		}
		if state, _ := answer.Number(avp.OriginStateID); state == 0 || state == end.Local.OriginState {
			t.Errorf("the answer to a watchdog has Origin-State-Id %d", state)
		}
		unknown := end.Local.NewRequest(8388620, diametertest.Gx) // which its dictionary lacks
		answer, err = end.Exchange(ctx, unknown)
		if err != nil || answer.Header.CommandFlags&diam.ErrorFlag == 0 || answer.Header.CommandCode != 8388620 {
			t.Errorf("unknown command: %v, %v", answer, err)
		}
		if end.Err() != nil {
			t.Errorf("the connection ended: %v", end.Err())
		}
	}
}

func TestAReAuthRequestIsAnswered(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{})
	dial(t, s.Addr(), func(p *diametertest.Peer, request diametertest.Message) *diam.Message {
		if request.Header.CommandCode != diam.ReAuth {
			return p.Default(request)
		}
		return p.Local.Answer(request, diametertest.LimitedSuccess)
	})
	ctx := bounded(t)
	if _, err := s.Await(ctx, "pgw.test"); err != nil {
		t.Fatal(err)
	}
	answer, err := s.ReAuth(ctx, "pgw.test;1;2", pcef)
	if err != nil || answer.Result() != diametertest.LimitedSuccess || answer.Text(avp.SessionID) != "pgw.test;1;2" {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestDisconnectionTellsItsCause(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{})
	ctx := bounded(t)
	p := dial(t, s.Addr(), nil)
	remote, err := s.Await(ctx, "pgw.test")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.Disconnect(ctx, diametertest.Busy)
	if err != nil || answer.Result() != diametertest.Success {
		t.Errorf("%v, %v", answer, err)
	}
	<-remote.Done()
	if cause, left := remote.Left(); !left || cause != diametertest.Busy {
		t.Errorf("the other end heard %v, %v", cause, left)
	}
	if _, err := p.Watchdog(ctx); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a request on a closed connection: %v", err)
	}
}

func TestARequestFailsWithItsConnection(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{Handle: func(p *diametertest.Peer, _ diametertest.Message) *diam.Message {
		go p.Close()
		return nil
	}})
	if answer, err := dial(t, s.Addr(), nil).Watchdog(bounded(t)); err == nil {
		t.Errorf("answered %v", answer)
	}
}

func TestARefusalIsAnError(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() {
		frame, err := diametertest.ReadFrame(server)
		if err != nil {
			return
		}
		if m, err := diametertest.Parse(frame); err == nil {
			wire, _ := pcrf.Answer(m, diametertest.NoCommonApp).Serialize()
			server.Write(wire)
		}
	}()
	var refusal diametertest.Refusal
	if _, err := diametertest.Connect(bounded(t), client, pcef, nil); !errors.As(err, &refusal) || refusal != diametertest.NoCommonApp {
		t.Errorf("%v", err)
	}
}

func TestASilentEndDoesNotHangTheExchangeOfCapabilities(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := diametertest.Connect(ctx, client, pcef, nil); err == nil {
		t.Error("connected to nobody")
	}
	if _, err := diametertest.Accept(ctx, server, pcrf, nil); err == nil {
		t.Error("accepted nobody")
	}
}

// What go-diameter's decoder dies of, or takes gigabytes for, is an error here.
func TestHostileFramesAreErrors(t *testing.T) {
	for claim, text := range map[string]string{
		"an AVP shorter than its header":    "0100001c800001100100001600000001000000010000010740000004",
		"an AVP beyond the message":         "0100001c8000011001000016000000010000000100000107400000ff",
		"the V bit without a vendor":        "0100001c8000011001000016000000010000000100000107c0000008",
		"a header that says less than 20":   "0100001380000110010000160000000100000001",
		"another version":                   "0900001480000110010000160000000100000001",
		"a length that is no multiple of 4": "010000158000011001000016000000010000000100",
		"a length of 16 MiB":                "01fffffc80000110010000160000000100000001",
	} {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		frame, err := diametertest.ReadFrame(strings.NewReader(string(raw)))
		if err == nil {
			_, err = diametertest.Parse(frame)
		}
		if !errors.Is(err, diametertest.ErrUnreadable) {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

// The state machine of go-diameter is a peer of others.
func TestTheClientOfGoDiameterConnects(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{})
	settings := &sm.Settings{
		OriginHost: "stock.test", OriginRealm: "test", ProductName: "stock", OriginStateID: 5,
		HostIPAddresses: []datatype.Address{datatype.Address(net.IPv4(127, 0, 0, 1).To4())},
	}
	client := &sm.Client{
		Dict: dict.Default, Handler: sm.New(settings), EnableWatchdog: true, WatchdogInterval: 20 * time.Millisecond,
		AuthApplicationID: []*diam.AVP{diam.NewAVP(avp.AuthApplicationID, avp.Mbit, 0, datatype.Unsigned32(diametertest.Gx))},
	}
	conn, err := client.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := bounded(t)
	p, err := s.Await(ctx, "stock.test")
	if err != nil || p.Remote.OriginState != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
}

func TestTheServerOfGoDiameterAnswers(t *testing.T) {
	addr := startStockServer(t)
	p, err := diametertest.Dial(bounded(t), addr, pcef, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if answer, err := p.Watchdog(bounded(t)); err != nil || answer.Result() != diametertest.Success {
		t.Errorf("watchdog: %v, %v", answer, err)
	}
	answer, err := p.Exchange(bounded(t), testSession().Request(diametertest.Initial, 0, pcef, pcrf))
	if err != nil || answer.Result() != diametertest.Success {
		t.Errorf("%v, %v", answer, err)
	}
}

func startStockServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- diametertest.ServeStock(l, pcrf) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
