package radius_test

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

func TestAnAccountingRequestIsAnsweredWhenItsEventIsDurable(t *testing.T) {
	s, r, c := startOne(t, radius.Config{})
	r.set(func(r *fakeRegistry) { r.hold = true })
	answered := make(chan struct{})
	p := request(t, aSession("a"), radiustest.Start)
	go func() {
		defer close(answered)
		exchange(t, c, p)
	}()
	ev := r.wait(t, 1)[0]
	if ev.Kind != binding.SessionStart || ev.MSISDN.String() != "+491701234567" || ev.Session != "a" {
		t.Errorf("%+v", ev)
	}
	select {
	case <-answered:
		t.Fatal("answered before the commit")
	case <-time.After(50 * time.Millisecond):
	}
	expectMetric(t, s, "open_requests{listen="+s.Addrs()[0].String()+"}", 1)
	ev.Ack.Acknowledge(ev.Token, nil)
	<-answered
	expectMetric(t, s, "answers_total{}", 1)
	expectMetric(t, s, "requests_total{client=four,kind=start}", 1)
}

func TestWhatIsNotTakenIsSilence(t *testing.T) {
	for _, c := range []struct {
		claim  string
		change func(*fakeRegistry)
		metric string
	}{
		{"the queue is full", func(r *fakeRegistry) { r.refuse = binding.ErrBusy }, "busy"},
		{"the registry is stopping", func(r *fakeRegistry) { r.refuse = binding.ErrClosed }, "closed"},
		{"no room for the session", func(r *fakeRegistry) { r.fate = binding.ErrCapacity }, "capacity"},
		{"the journal is down", func(r *fakeRegistry) { r.fate = binding.ErrJournal }, "journal"},
		{"anything else", func(r *fakeRegistry) { r.fate = errors.New("x") }, "other"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s, r, client := startOne(t, radius.Config{})
			r.set(c.change)
			wire := encode(t, request(t, aSession("a"), radiustest.Start))
			silent(t, client, wire)
			expectMetric(t, s, "refused_total{client=four,reason="+c.metric+"}", 1)
			// The repetition is tried anew, and answered when it is taken.
			r.set(func(r *fakeRegistry) { r.refuse, r.fate = nil, nil })
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := client.ExchangeRaw(ctx, wire); err != nil {
				t.Fatal(err)
			}
			if n := r.count(); n != 2 {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestRepetitions(t *testing.T) {
	s, r, c := startOne(t, radius.Config{})
	r.set(func(r *fakeRegistry) { r.hold = true })
	p := request(t, aSession("a"), radiustest.Start)
	wire := encode(t, p)
	silent(t, c, wire)
	silent(t, c, wire)
	expectMetric(t, s, "dropped_total{client=four,reason=in-flight}", 1)
	ev := r.wait(t, 1)[0]
	ev.Ack.Acknowledge(ev.Token, nil)
	expectMetric(t, s, "answers_total{}", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	// The first of these finds the answer to the commit, the second that to
	// the first.
	var answers [2]string
	for i := range answers {
		answer, err := c.ExchangeRaw(ctx, wire)
		if err != nil || !layeh.IsAuthenticResponse(answer, wire, []byte(secret)) {
			t.Fatalf("%x, %v", answer, err)
		}
		answers[i] = string(answer)
	}
	if answers[0] != answers[1] {
		t.Error("the answers differ")
	}
	expectMetric(t, s, "repeats_total{client=four}", 2)
	if n := r.count(); n != 1 {
		t.Errorf("%d events for one request", n)
	}
	// The same identifier with other content is another request.
	other := request(t, aSession("b"), radiustest.Start)
	other.Identifier = p.Identifier
	r.set(func(r *fakeRegistry) { r.hold = false })
	wire = encode(t, other)
	expectMetric(t, s, "answers_total{}", 3)
	for range 2 { // the answer that is left over comes first
		answer, err := c.ExchangeRaw(ctx, wire)
		if err != nil {
			t.Fatal(err)
		}
		if layeh.IsAuthenticResponse(answer, wire, []byte(secret)) {
			return
		}
	}
	t.Error("no authentic answer")
}

func TestProxyStatesComeBackUnchangedAndInOrder(t *testing.T) {
	_, _, c := startOne(t, radius.Config{})
	p := request(t, aSession("a"), radiustest.Start)
	addProxyState(p, "one")
	addProxyState(p, "\x00\xff")
	addProxyState(p, strings.Repeat("x", 253))
	answer := exchange(t, c, p)
	if got, want := proxyStates(answer), proxyStates(p); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(answer.Attributes) != 3 {
		t.Errorf("%d attributes", len(answer.Attributes))
	}
}

func TestALargeRequestIsAnswered(t *testing.T) {
	_, _, c := startOne(t, radius.Config{})
	p := request(t, aSession("a"), radiustest.Start)
	for range 15 {
		addProxyState(p, strings.Repeat("x", 253))
	}
	if answer := exchange(t, c, p); len(answer.Attributes) != 15 {
		t.Errorf("%d attributes", len(answer.Attributes))
	}
}

func TestPaddingIsIgnored(t *testing.T) {
	_, _, c := startOne(t, radius.Config{})
	wire := encode(t, request(t, aSession("a"), radiustest.Start))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, padding := range []int{1, 100, 8000} {
		wire[1]++
		copy(wire[4:20], make([]byte, 16))
		sum := md5.Sum(append(slices.Clone(wire), secret...))
		copy(wire[4:20], sum[:])
		if _, err := c.ExchangeRaw(ctx, append(slices.Clone(wire), make([]byte, padding)...)); err != nil {
			t.Errorf("with %d octets of padding: %v", padding, err)
		}
	}
}

func TestDatagramsThatAreDropped(t *testing.T) {
	start := func(change func(*layeh.Packet)) func(testing.TB) []byte {
		return func(t testing.TB) []byte {
			p := request(t, aSession("a"), radiustest.Start)
			change(p)
			return encode(t, p)
		}
	}
	for _, c := range []struct {
		claim, reason string
		wire          func(testing.TB) []byte
	}{
		{"another secret", "authenticator", start(func(p *layeh.Packet) { p.Secret = []byte("other") })},
		{"a changed octet", "authenticator", func(t testing.TB) []byte {
			wire := start(func(*layeh.Packet) {})(t)
			wire[len(wire)-1] ^= 1
			return wire
		}},
		{"an Access-Request", "code", start(func(p *layeh.Packet) { p.Code = layeh.CodeAccessRequest })},
		{"no session", "malformed", start(func(p *layeh.Packet) { p.Del(rfc2866.AcctSessionID_Type) })},
		{"no status", "malformed", start(func(p *layeh.Packet) { p.Del(rfc2866.AcctStatusType_Type) })},
		{"an attribute with an invalid length", "malformed", start(func(p *layeh.Packet) { p.Add(8, layeh.Attribute("abc")) })},
		{"a truncated packet", "malformed", func(t testing.TB) []byte { return start(func(*layeh.Packet) {})(t)[:50] }},
		{"three octets", "malformed", func(testing.TB) []byte { return []byte{4, 1, 0} }},
		{"a wrong Message-Authenticator", "message-authenticator", start(func(p *layeh.Packet) {
			p.Add(rfc2869.MessageAuthenticator_Type, make(layeh.Attribute, 16))
		})},
		{"Status-Server without a Message-Authenticator", "no-message-authenticator", start(func(p *layeh.Packet) { p.Code = layeh.CodeStatusServer })},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s, r, client := startOne(t, radius.Config{})
			silent(t, client, c.wire(t))
			expectMetric(t, s, "dropped_total{client=four,reason="+c.reason+"}", 1)
			if n := r.count(); n != 0 {
				t.Errorf("%d events", n)
			}
		})
	}
	t.Run("an unknown client", func(t *testing.T) {
		s, _, client := startOne(t, radius.Config{Clients: []radius.Client{
			{Name: "a", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Secret: []byte(secret)},
		}})
		silent(t, client, start(func(*layeh.Packet) {})(t))
		expectMetric(t, s, "dropped_total{client=,reason=unknown-client}", 1)
	})
	t.Run("a node that the client may not speak for", func(t *testing.T) {
		clients := loopback()
		clients[0].Nodes = []string{"pgw2"}
		s, r, client := startOne(t, radius.Config{Clients: clients})
		silent(t, client, start(func(*layeh.Packet) {})(t))
		expectMetric(t, s, "dropped_total{client=four,reason=node-not-allowed}", 1)
		session := aSession("a")
		session.NAS = "pgw2"
		exchange(t, client, request(t, session, radiustest.Start))
		if n := r.count(); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// messageAuthenticator computes that of a packet which has zeros in its place,
// by hand with crypto/hmac (RFC 3579 section 3.2).
func messageAuthenticator(t testing.TB, p *layeh.Packet) []byte {
	t.Helper()
	unsigned, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if p.Code == layeh.CodeAccountingRequest {
		clear(unsigned[4:20])
	}
	mac := hmac.New(md5.New, p.Secret)
	mac.Write(unsigned)
	return mac.Sum(nil)
}

// withMessageAuthenticator encodes a packet with one.
func withMessageAuthenticator(t testing.TB, p *layeh.Packet) []byte {
	t.Helper()
	p.Add(rfc2869.MessageAuthenticator_Type, make(layeh.Attribute, 16))
	p.Set(rfc2869.MessageAuthenticator_Type, messageAuthenticator(t, p))
	return encode(t, p)
}

func TestAMessageAuthenticatorIsDemandedWhereConfigured(t *testing.T) {
	clients := loopback()
	clients[0].RequireMessageAuthenticator = true
	s, _, c := startOne(t, radius.Config{Clients: clients})
	silent(t, c, encode(t, request(t, aSession("a"), radiustest.Start)))
	expectMetric(t, s, "dropped_total{client=four,reason=no-message-authenticator}", 1)
	wire := withMessageAuthenticator(t, request(t, aSession("a"), radiustest.Start))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := c.ExchangeRaw(ctx, wire)
	if err != nil || !layeh.IsAuthenticResponse(answer, wire, []byte(secret)) {
		t.Errorf("%x, %v", answer, err)
	}
}

func TestStatusServerIsAnswered(t *testing.T) {
	s, r, c := startOne(t, radius.Config{})
	wire := withMessageAuthenticator(t, layeh.New(layeh.CodeStatusServer, []byte(secret)))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := c.ExchangeRaw(ctx, wire)
	if err != nil || !layeh.IsAuthenticResponse(answer, wire, []byte(secret)) {
		t.Fatalf("%x, %v", answer, err)
	}
	p, err := layeh.Parse(answer, []byte(secret))
	if err != nil || p.Code != layeh.CodeAccountingResponse {
		t.Fatal(p, err)
	}
	// The answer's Message-Authenticator is over the request's authenticator.
	got := slices.Clone(p.Get(rfc2869.MessageAuthenticator_Type))
	p.Set(rfc2869.MessageAuthenticator_Type, make(layeh.Attribute, 16))
	copy(p.Authenticator[:], wire[4:20])
	if !hmac.Equal(got, messageAuthenticator(t, p)) {
		t.Error("its Message-Authenticator is wrong")
	}
	if n := r.count(); n != 0 {
		t.Errorf("%d events", n)
	}
	expectMetric(t, s, "requests_total{client=four,kind=status-server}", 1)
}

func TestTheAnswerComesFromTheAddressThatWasAsked(t *testing.T) {
	for _, c := range []struct{ listen, ask string }{
		{"0.0.0.0:0", "127.0.0.2"}, {"0.0.0.0:0", "127.0.0.1"}, {":0", "127.0.0.3"}, {"[::]:0", "::1"},
	} {
		t.Run(c.listen+" asked at "+c.ask, func(t *testing.T) {
			if strings.Contains(c.listen+c.ask, "::") && !hasIPv6() {
				t.Skip("this machine has no IPv6")
			}
			r := newFakeRegistry()
			s := start(t, radius.Config{Listen: []string{c.listen}}, r.submit)
			server := netip.AddrPortFrom(netip.MustParseAddr(c.ask), s.Addrs()[0].Port())
			// A socket that is not connected takes answers from anywhere.
			conn, err := net.ListenPacket("udp", ":0")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			wire := encode(t, request(t, aSession("a"), radiustest.Start))
			if _, err := conn.WriteTo(wire, net.UDPAddrFromAddrPort(server)); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			_, from, err := conn.ReadFrom(make([]byte, 4096))
			if err != nil {
				t.Fatal(err)
			}
			if got := from.(*net.UDPAddr).AddrPort(); got.Addr().Unmap() != server.Addr() || got.Port() != server.Port() {
				t.Errorf("the answer came from %v, asked was %v", got, server)
			}
		})
	}
}

func TestARestartIsOneEventWithTheNamesOfItsNAS(t *testing.T) {
	_, r, c := startOne(t, radius.Config{})
	addr := netip.MustParseAddr("192.0.2.1")
	session := aSession("a")
	session.NASAddr = addr
	exchange(t, c, request(t, session, radiustest.Start))
	for _, status := range []radiustest.Status{radiustest.On, radiustest.Off} {
		for _, name := range []string{"pgw1", ""} {
			p, err := radiustest.NodeRequest(status, name, addr, time.Time{}, []byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			exchange(t, c, p)
		}
	}
	var got []string
	for _, ev := range r.wait(t, 5)[1:] {
		got = append(got, fmt.Sprint(ev.Kind, " ", ev.Owner, "/", ev.Node, "/", ev.Also, ev.Session))
	}
	named, alone := "node-restart four/pgw1/192.0.2.1", "node-restart four/192.0.2.1/"
	if want := []string{named, alone, named, alone}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A fakeClock is a clock that the test sets.
type fakeClock struct{ nanoseconds atomic.Int64 }

func newFakeClock() *fakeClock {
	c := &fakeClock{}
	c.nanoseconds.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	return c
}

func (c *fakeClock) now() time.Time          { return time.Unix(0, c.nanoseconds.Load()) }
func (c *fakeClock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

func TestEachAccountingOnCounts(t *testing.T) {
	const window = 20 * time.Second
	for _, tt := range []struct {
		claim  string
		after  time.Duration
		change func(*layeh.Packet)
	}{
		{"to the octet, within the window", window - time.Second, nil},
		{"to the octet, after it", window + time.Second, nil},
		{"with another identifier", time.Second, func(p *layeh.Packet) { p.Identifier++ }},
		{"with another content, and so another authenticator", time.Second, func(p *layeh.Packet) { addProxyState(p, "x") }},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			clock := newFakeClock()
			_, r, c := startOne(t, radius.Config{DuplicateWindow: window, Now: clock.now})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for i := range 20 { // others are answered before it
				exchange(t, c, request(t, aSession(fmt.Sprint(i)), radiustest.Start))
			}
			p, err := radiustest.NodeRequest(radiustest.On, "pgw1", netip.Addr{}, time.Unix(1767323040, 0), []byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			p.Identifier = 7
			for range 2 {
				wire := encode(t, p)
				answer, err := c.ExchangeRaw(ctx, wire)
				if err != nil || !layeh.IsAuthenticResponse(answer, wire, []byte(secret)) {
					t.Fatalf("%x, %v", answer, err)
				}
				clock.advance(tt.after)
				if tt.change != nil {
					tt.change(p)
				}
			}
			restarts := 0
			for _, ev := range r.wait(t, 22) {
				if ev.Kind == binding.NodeRestart {
					restarts++
				}
			}
			if restarts != 2 {
				t.Errorf("%d restarts, want 2", restarts)
			}
		})
	}
}

func TestTheAnswerToAnAccountingOnWaitsForEachThatCame(t *testing.T) {
	s, r, c := startOne(t, radius.Config{})
	r.set(func(r *fakeRegistry) { r.hold = true })
	p, err := radiustest.NodeRequest(radiustest.On, "pgw1", netip.Addr{}, time.Time{}, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	wire := encode(t, p)
	silent(t, c, wire)
	silent(t, c, wire)
	events := r.wait(t, 2)
	events[0].Ack.Acknowledge(events[0].Token, nil)
	expectMetric(t, s, "answers_total{}", 0)
	events[1].Ack.Acknowledge(events[1].Token, nil)
	expectMetric(t, s, "answers_total{}", 1)
}

func TestADatagramArrivedBeforeItWaitedForUs(t *testing.T) {
	r := newFakeRegistry()
	busy, free := make(chan struct{}), make(chan struct{})
	s := start(t, radius.Config{}, func(ev binding.Event) error {
		if ev.Session == "first" {
			busy <- struct{}{}
			<-free
		}
		return r.submit(ev)
	})
	conn, err := net.Dial("udp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(id string, round int) {
		p := request(t, aSession(id), radiustest.Start)
		p.Identifier = byte(round)
		if _, err := conn.Write(encode(t, p)); err != nil {
			t.Fatal(err)
		}
	}
	// The kernel begins to note the time some moments after it was asked to.
	for round := range 100 {
		send("first", round)
		<-busy
		before := time.Now()
		send("second", round)
		after := time.Now()
		free <- struct{}{}
		arrived := r.wait(t, 2*round+2)[2*round+1].Arrived
		if arrived.Before(before.Add(-time.Millisecond)) {
			t.Fatalf("sent at %v, arrived at %v", before, arrived)
		}
		if !arrived.After(after) {
			return
		}
	}
	t.Error("it arrived when it was read")
}

func TestAStatusThatIsNoEventIsAnswered(t *testing.T) {
	s, r, c := startOne(t, radius.Config{})
	exchange(t, c, request(t, aSession("a"), radiustest.Status(rfc2866.AcctStatusType_Value_Failed)))
	if n := r.count(); n != 0 {
		t.Errorf("%d events", n)
	}
	expectMetric(t, s, "requests_total{client=four,kind=other}", 1)
}

func TestNotesAreCounted(t *testing.T) {
	s, _, c := startOne(t, radius.Config{})
	session := aSession("a")
	session.MSISDN, session.IMSI = "00-10-A4-23-19-C0", ""
	exchange(t, c, request(t, session, radiustest.Start))
	expectMetric(t, s, "notes_total{client=four,note=no-identity}", 1)
	expectMetric(t, s, "notes_total{client=four,note=bad-msisdn}", 1)
}

func TestClientsCanBeReplaced(t *testing.T) {
	s, _, c := startOne(t, radius.Config{})
	p := request(t, aSession("a"), radiustest.Start)
	exchange(t, c, p)
	clients := loopback()
	clients[0].Secret = []byte("new")
	if err := s.SetClients(clients); err != nil {
		t.Fatal(err)
	}
	p.Secret = []byte("new")
	exchange(t, c, p)
	if err := s.SetClients(append(clients, radius.Client{Name: "four"})); err == nil {
		t.Error("a bad list was taken")
	}
	p.Identifier++
	exchange(t, c, p)
	expectMetric(t, s, "requests_total{client=four,kind=start}", 3)
}

func TestTheOrderOfASessionIsKept(t *testing.T) {
	_, r, _ := startOne(t, radius.Config{})
	s := start(t, radius.Config{}, r.submit)
	const senders, rounds = 8, 60
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			conn, err := net.Dial("udp", s.Addrs()[0].String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for n := range rounds {
				session := aSession(fmt.Sprintf("%d", sender))
				session.Age = time.Duration(n+1) * time.Second
				p := request(t, session, radiustest.Interim)
				p.Identifier = byte(n)
				if _, err := conn.Write(encode(t, p)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last := map[string]time.Duration{}
	for _, ev := range r.wait(t, senders*rounds) {
		if ev.Age != last[ev.Session]+time.Second {
			t.Fatalf("session %s: age %v after %v", ev.Session, ev.Age, last[ev.Session])
		}
		last[ev.Session] = ev.Age
	}
}

func TestNoMoreRequestsAreOpenThanConfigured(t *testing.T) {
	s, r, c := startOne(t, radius.Config{Transactions: 2})
	r.set(func(r *fakeRegistry) { r.hold = true })
	for _, id := range []string{"a", "b", "c"} {
		silent(t, c, encode(t, request(t, aSession(id), radiustest.Start)))
	}
	expectMetric(t, s, "dropped_total{client=four,reason=table-full}", 1)
	if n := r.count(); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestTheReceiveBufferIsReported(t *testing.T) {
	s, _, _ := startOne(t, radius.Config{ReceiveBuffer: 65536})
	listen := s.Addrs()[0].String()
	expectMetric(t, s, "receive_buffer_bytes{listen="+listen+"}", 65536)
	expectMetric(t, s, "kernel_drops_total{listen="+listen+"}", 0)
}

func TestKernelDropsAreCounted(t *testing.T) {
	r := newFakeRegistry()
	block := make(chan struct{})
	first := true
	s := start(t, radius.Config{ReceiveBuffer: 8192}, func(ev binding.Event) error {
		if first {
			first = false
			<-block
		}
		return r.submit(ev)
	})
	c, sent := dial(t, s.Addrs()[0].String()), 0
	send := func(wait time.Duration) error {
		sent++
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		_, err := c.Exchange(ctx, request(t, aSession(fmt.Sprint(sent)), radiustest.Start))
		return err
	}
	for range 400 {
		send(0)
	}
	close(block)
	// The count comes with a datagram that was taken after the drops.
	for send(time.Second) != nil {
		if sent > 410 {
			t.Fatal("no answer")
		}
	}
	dropped := metrics(t, s)["simbindd_radius_kernel_drops_total{listen="+s.Addrs()[0].String()+"}"]
	if taken := r.count(); taken+int(dropped) != sent || dropped == 0 {
		t.Errorf("%d taken and %v dropped, want %d together", taken, dropped, sent)
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for claim, cfg := range map[string]radius.Config{
		"a listen address without a port": {Listen: []string{"127.0.0.1"}},
		"a listen address by name":        {Listen: []string{"localhost:0"}},
		"a tiny receive buffer":           {ReceiveBuffer: 1},
		"a client without a secret":       {Clients: []radius.Client{{Name: "a", Prefix: netip.MustParsePrefix("10.0.0.0/8")}}},
		"a proxy without a server":        {ProxyTo: &radius.Proxy{Secret: []byte("x")}},
		"RadSec without a certificate":    {RadSec: &radius.RadSec{}},
	} {
		t.Run(claim, func(t *testing.T) {
			s := radius.New(cfg, newFakeRegistry().submit, slog.New(slog.DiscardHandler))
			if err := s.Run(t.Context()); err == nil {
				t.Error("it runs")
			}
		})
	}
}

func TestAClientHasItsSeriesBeforeItSpeaks(t *testing.T) {
	s, _, _ := startOne(t, radius.Config{})
	got := metrics(t, s)
	for _, kind := range []string{"start", "stop", "interim"} {
		name := "simbindd_radius_requests_total{client=four,kind=" + kind + "}"
		if n, ok := got[name]; !ok || n != 0 {
			t.Errorf("%s is %v, there %v", name, n, ok)
		}
	}
	for name := range got {
		if strings.Contains(name, "requests_total{client=,") {
			t.Errorf("nobody has requests: %s", name)
		}
	}
}
