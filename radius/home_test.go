package radius_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

const homeSecret = "home"

// A fakeHome is a home server: it hands its requests to the test, which
// answers or not.
type fakeHome struct {
	conn     *net.UDPConn
	requests chan homeRequest
}

type homeRequest struct {
	wire []byte
	from netip.AddrPort
}

func startHome(t testing.TB) *fakeHome {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	h := &fakeHome{conn: conn, requests: make(chan homeRequest, 1000)}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			h.requests <- homeRequest{slices.Clone(buffer[:n]), from}
		}
	}()
	return h
}

func (h *fakeHome) proxy() *radius.Proxy {
	return &radius.Proxy{Server: h.conn.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: []byte(homeSecret)}
}

func (h *fakeHome) next(t testing.TB) homeRequest {
	t.Helper()
	select {
	case r := <-h.requests:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came to the home server")
		return homeRequest{}
	}
}

func (r homeRequest) parse(t testing.TB) *layeh.Packet {
	t.Helper()
	if !layeh.IsAuthenticRequest(r.wire, []byte(homeSecret)) {
		t.Fatal("the request is not authentic at the home server")
	}
	p, err := layeh.Parse(r.wire, []byte(homeSecret))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer echoes the Proxy-States, as RFC 2865 section 5.33 asks, after what
// change adds.
func (h *fakeHome) answer(t testing.TB, r homeRequest, change func(*layeh.Packet)) {
	t.Helper()
	p := r.parse(t)
	answer := p.Response(layeh.CodeAccountingResponse)
	if change != nil {
		change(answer)
	}
	for _, a := range p.Attributes {
		if a.Type == rfc2865.ProxyState_Type {
			answer.Add(a.Type, a.Attribute)
		}
	}
	h.send(t, r, encode(t, answer))
}

func (h *fakeHome) send(t testing.TB, r homeRequest, wire []byte) {
	t.Helper()
	if _, err := h.conn.WriteToUDPAddrPort(wire, r.from); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request in the background; the channel has its answer.
func ask(t testing.TB, c *radiustest.Client, wire []byte) <-chan []byte {
	answers := make(chan []byte, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	go func() {
		defer cancel()
		answer, err := c.ExchangeRaw(ctx, wire)
		if err != nil {
			answer = nil
		}
		answers <- answer
	}()
	return answers
}

func notYet(t testing.TB, answers <-chan []byte, why string) {
	t.Helper()
	select {
	case <-answers:
		t.Fatalf("answered %s", why)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestTheHomeServerAnswersAndTheEventIsDurable(t *testing.T) {
	for _, first := range []string{"home", "journal"} {
		t.Run("first the "+first, func(t *testing.T) {
			h := startHome(t)
			_, r, c := startOne(t, radius.Config{ProxyTo: h.proxy()})
			r.set(func(r *fakeRegistry) { r.hold = true })
			p := request(t, aSession("a"), radiustest.Start)
			addProxyState(p, "one")
			addProxyState(p, "two")
			wire := encode(t, p)
			answers := ask(t, c, wire)
			forwarded, ev := h.next(t), r.wait(t, 1)[0]
			got := forwarded.parse(t)
			if n := len(got.Attributes) - len(p.Attributes); n != 1 || got.Attributes[len(got.Attributes)-1].Type != rfc2865.ProxyState_Type {
				t.Errorf("%d attributes more, %v", n, proxyStates(got))
			}
			fromHome := func() {
				h.answer(t, forwarded, func(p *layeh.Packet) { rfc2865.ReplyMessage_SetString(p, "hello") })
			}
			fromJournal := func() { ev.Ack.Acknowledge(ev.Token, nil) }
			if first == "home" {
				fromHome()
				notYet(t, answers, "before the commit")
				fromJournal()
			} else {
				fromJournal()
				notYet(t, answers, "before the home server did")
				fromHome()
			}
			answer := <-answers
			if !layeh.IsAuthenticResponse(answer, wire, []byte(secret)) {
				t.Fatal("the answer is not authentic")
			}
			back, err := layeh.Parse(answer, []byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			if rfc2865.ReplyMessage_GetString(back) != "hello" || proxyStates(back) != "[one two]" || back.Identifier != p.Identifier {
				t.Errorf("answered with %v", back)
			}
			// A repetition is answered from memory.
			if again := <-ask(t, c, wire); string(again) != string(answer) {
				t.Errorf("repeated answer %x, first %x", again, answer)
			}
		})
	}
}

func TestEachRepetitionOfTheNASGoesToTheHomeServer(t *testing.T) {
	h := startHome(t)
	s, r, c := startOne(t, radius.Config{ProxyTo: h.proxy()})
	wire := encode(t, request(t, aSession("a"), radiustest.Start))
	silent(t, c, wire)
	first := h.next(t)
	silent(t, c, wire)
	second := h.next(t)
	if string(first.wire) != string(second.wire) || first.from != second.from {
		t.Errorf("repeated as %x from %v, first %x from %v", second.wire, second.from, first.wire, first.from)
	}
	answers := ask(t, c, wire)
	h.answer(t, h.next(t), nil)
	if !layeh.IsAuthenticResponse(<-answers, wire, []byte(secret)) {
		t.Error("the answer is not authentic")
	}
	if n := r.count(); n != 1 {
		t.Errorf("%d events for one request", n)
	}
	expectMetric(t, s, "home_total{what=forwarded}", 1)
	expectMetric(t, s, "home_total{what=repeated}", 2)
	h.answer(t, first, nil)
	expectMetric(t, s, "home_total{what=late}", 1)
}

func TestWithoutTheEventTheNASIsNotAnswered(t *testing.T) {
	h := startHome(t)
	s, r, c := startOne(t, radius.Config{ProxyTo: h.proxy()})
	r.set(func(r *fakeRegistry) { r.refuse = binding.ErrBusy })
	wire := encode(t, request(t, aSession("a"), radiustest.Start))
	silent(t, c, wire)
	h.answer(t, h.next(t), nil)
	expectMetric(t, s, "home_total{what=answered}", 1)
	expectMetric(t, s, "answers_total{}", 0)
	r.set(func(r *fakeRegistry) { r.refuse = nil })
	answers := ask(t, c, wire)
	h.answer(t, h.next(t), nil)
	if !layeh.IsAuthenticResponse(<-answers, wire, []byte(secret)) {
		t.Error("the repetition is not answered")
	}
}

func TestASilentHomeServerTimesOut(t *testing.T) {
	h := startHome(t)
	proxy := h.proxy()
	proxy.Timeout, proxy.Pending = time.Millisecond, 1
	s, _, c := startOne(t, radius.Config{ProxyTo: proxy})
	silent(t, c, encode(t, request(t, aSession("a"), radiustest.Start)))
	h.next(t)
	expectMetric(t, s, "home_total{what=timeout}", 1)
	expectMetric(t, s, "refused_total{client=four,reason=home-timeout}", 1)
	expectMetric(t, s, "open_requests{listen="+s.Addrs()[0].String()+"}", 0)
}

func TestNoMoreRequestsWaitForTheHomeServerThanItHasIdentifiers(t *testing.T) {
	h := startHome(t)
	proxy := h.proxy()
	proxy.Pending = 256
	s, r, _ := startOne(t, radius.Config{ProxyTo: proxy})
	conn, err := net.Dial("udp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 300 {
		session := aSession("a")
		session.Age = time.Duration(i+1) * time.Second
		if _, err := conn.Write(encode(t, request(t, session, radiustest.Interim))); err != nil {
			t.Fatal(err)
		}
	}
	r.wait(t, 300)
	expectMetric(t, s, "home_total{what=forwarded}", 256)
	expectMetric(t, s, "refused_total{client=four,reason=home-busy}", 44)
	// Each identifier is used once.
	used := map[byte]bool{}
	for range 256 {
		used[h.next(t).wire[1]] = true
	}
	if len(used) != 256 {
		t.Errorf("%d identifiers", len(used))
	}
}

func TestAnswersThatAreNotTheHomeServersAreDropped(t *testing.T) {
	h := startHome(t)
	s, _, c := startOne(t, radius.Config{ProxyTo: h.proxy()})
	wire := encode(t, request(t, aSession("a"), radiustest.Start))
	answers := ask(t, c, wire)
	forwarded := h.next(t)
	forged := forwarded.parse(t).Response(layeh.CodeAccountingResponse)
	forged.Secret = []byte("guess")
	h.send(t, forwarded, encode(t, forged))
	h.send(t, forwarded, []byte{5, 0, 0})
	expectMetric(t, s, "home_total{what=bad-answer}", 2)
	notYet(t, answers, "by a forger")
	h.answer(t, forwarded, nil)
	if !layeh.IsAuthenticResponse(<-answers, wire, []byte(secret)) {
		t.Error("the answer is not authentic")
	}
}

func TestTheMessageAuthenticatorIsMadeAnewForTheHomeServer(t *testing.T) {
	h := startHome(t)
	_, _, c := startOne(t, radius.Config{ProxyTo: h.proxy()})
	wire := withMessageAuthenticator(t, request(t, aSession("a"), radiustest.Start))
	answers := ask(t, c, wire)
	forwarded := h.next(t)
	got := forwarded.parse(t)
	mac := slices.Clone(got.Get(rfc2869.MessageAuthenticator_Type))
	got.Set(rfc2869.MessageAuthenticator_Type, make(layeh.Attribute, 16))
	want := messageAuthenticator(t, got)
	if string(mac) != string(want) {
		t.Errorf("%x, want %x", mac, want)
	}
	h.answer(t, forwarded, nil)
	if !layeh.IsAuthenticResponse(<-answers, wire, []byte(secret)) {
		t.Error("the answer is not authentic")
	}
}

func TestWhatIsNoEventGoesToTheHomeServerStill(t *testing.T) {
	h := startHome(t)
	_, r, c := startOne(t, radius.Config{ProxyTo: h.proxy()})
	session := aSession("")
	wire := encode(t, request(t, session, radiustest.Start))
	answers := ask(t, c, wire)
	h.answer(t, h.next(t), nil)
	if !layeh.IsAuthenticResponse(<-answers, wire, []byte(secret)) {
		t.Error("the answer is not authentic")
	}
	if n := r.count(); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestManyRequestsAtOnceThroughTheHomeServer(t *testing.T) {
	h := startHome(t)
	s, _, _ := startOne(t, radius.Config{ProxyTo: h.proxy()})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 2000 {
			h.answer(t, h.next(t), nil)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	sum, err := radiustest.Load(ctx, radiustest.LoadOptions{
		Server: s.Addrs()[0].String(), Secret: []byte(secret), Requests: 2000, Sockets: 4, Window: 64,
	})
	if err != nil || sum.Answered != 2000 || sum.Bad != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	wg.Wait()
}
