package radiustest_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	layeh "layeh.com/radius"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

const secret = "testing123"

// A recorder acknowledges every event at once and keeps it.
type recorder struct {
	mu     sync.Mutex
	events []binding.Event
}

func (r *recorder) submit(ev binding.Event) error {
	r.mu.Lock()
	r.events = append(r.events, ev)
	r.mu.Unlock()
	if ev.Ack != nil {
		ev.Ack.Acknowledge(ev.Token, nil)
	}
	return nil
}

func (r *recorder) all() []binding.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events
}

func startServer(t *testing.T) (string, *recorder) {
	t.Helper()
	r := &recorder{}
	s := radius.New(radius.Config{
		Listen:  []string{"127.0.0.1:0"},
		Clients: []radius.Client{{Name: "a", Prefix: netip.MustParsePrefix("127.0.0.0/8"), Secret: []byte(secret)}},
	}, r.submit, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	return s.Addrs()[0].String(), r
}

func TestSubscribersAttachRefreshAndDetach(t *testing.T) {
	server, r := startServer(t)
	sum, err := radiustest.Simulate(t.Context(), radiustest.Options{
		Server: server, Secret: []byte(secret), NAS: "sim1", Plan: crowdtest.Plan{
			Subscribers: 40, Rate: 1000, Refresh: 30 * time.Millisecond, Hold: 100 * time.Millisecond,
			Pool: netip.MustParsePrefix("10.46.0.0/24"), Pool6: netip.MustParsePrefix("2001:db8::/56"), APN: "ims",
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Sent != sum.Answered || sum.Lost != 0 || sum.Attached != 0 || sum.P99 == 0 || sum.P50 > sum.P99 {
		t.Errorf("%+v", sum)
	}
	kinds := map[string][]binding.Kind{}
	for _, ev := range r.all() {
		kinds[ev.Session] = append(kinds[ev.Session], ev.Kind)
		if ev.Node != "sim1" || ev.APN != "ims" || len(ev.Addrs) != 2 || ev.MSISDN < 491700000001 || ev.MSISDN > 491700000040 || ev.IMSI == 0 {
			t.Fatalf("%+v", ev)
		}
	}
	if len(kinds) != 40 {
		t.Errorf("%d sessions", len(kinds))
	}
	for id, list := range kinds {
		if n := len(list); n < 3 || list[0] != binding.SessionStart || list[1] != binding.SessionUpdate || list[n-1] != binding.SessionStop {
			t.Errorf("session %s: %v", id, list)
		}
	}
}

func TestSubscribersComeBackUntilTheDurationEnds(t *testing.T) {
	server, r := startServer(t)
	reports := 0
	sum, err := radiustest.Simulate(t.Context(), radiustest.Options{
		Server: server, Secret: []byte(secret),
		Plan: crowdtest.Plan{Subscribers: 2, Rate: 1000, Hold: 20 * time.Millisecond, Duration: 1900 * time.Millisecond},
	}, func(crowdtest.Progress) { reports++ })
	if err != nil || sum.Sent != sum.Answered || reports == 0 {
		t.Errorf("%+v, %v, %d reports", sum, err, reports)
	}
	sessions := map[string]bool{}
	for _, ev := range r.all() {
		sessions[ev.Session] = true
	}
	if len(sessions) != 4 {
		t.Errorf("%d sessions of 2 subscribers that came twice", len(sessions))
	}
}

func TestTheEndOfTheContextIsTheEndOfTheRun(t *testing.T) {
	server, _ := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	sum, err := radiustest.Simulate(ctx, radiustest.Options{
		Server: server, Secret: []byte(secret), Plan: crowdtest.Plan{Subscribers: 1000, Rate: 100, Refresh: time.Hour},
	}, nil)
	if err != nil || sum.Sent == 0 || sum.Sent > 100 || sum.Attached != int(sum.Sent) {
		t.Errorf("%+v, %v", sum, err)
	}
}

// A silent server answers nothing but, if told so, the nth transmission.
func silentServer(t *testing.T, answer func(n int) bool) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for n := 1; ; n++ {
			length, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			p, err := layeh.Parse(buffer[:length], []byte(secret))
			if err != nil || !answer(n) {
				continue
			}
			if wire, err := p.Response(layeh.CodeAccountingResponse).Encode(); err == nil {
				conn.WriteTo(wire, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func TestRequestsAreRepeatedAndGivenUp(t *testing.T) {
	o := radiustest.Options{Secret: []byte(secret), Plan: crowdtest.Plan{Subscribers: 1, Rate: 1000}, Timeout: 200 * time.Millisecond, Retries: 3}
	o.Server = silentServer(t, func(int) bool { return false })
	sum, err := radiustest.Simulate(t.Context(), o, nil)
	if err != nil || sum.Lost != 1 || sum.Retransmitted != 3 || sum.Answered != 0 {
		t.Errorf("never answered: %+v, %v", sum, err)
	}
	o.Server = silentServer(t, func(n int) bool { return n == 3 })
	sum, err = radiustest.Simulate(t.Context(), o, nil)
	if err != nil || sum.Lost != 0 || sum.Retransmitted != 2 || sum.Answered != 1 {
		t.Errorf("answered at the third: %+v, %v", sum, err)
	}
	if sum.P50 < 400*time.Millisecond {
		t.Errorf("the latency %v leaves repetitions out", sum.P50)
	}
}

func TestAWrongSecretIsNoAnswer(t *testing.T) {
	server := silentServer(t, func(int) bool { return true })
	sum, err := radiustest.Simulate(t.Context(), radiustest.Options{
		Server: server, Secret: []byte("other"), Plan: crowdtest.Plan{Subscribers: 1, Rate: 1000}, Timeout: 200 * time.Millisecond, Retries: 1,
	}, nil)
	if err != nil || sum.Bad != 2 || sum.Lost != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestLoadIsAnsweredEachRequestOnce(t *testing.T) {
	server, r := startServer(t)
	sum, err := radiustest.Load(t.Context(), radiustest.LoadOptions{
		Server: server, Secret: []byte(secret), Requests: 5000, Sessions: 2000, Pool: netip.MustParsePrefix("10.0.0.0/24"),
	})
	if err != nil || sum.Sent != 5000 || sum.Answered != 5000 {
		t.Fatalf("%+v, %v", sum, err)
	}
	kinds := map[binding.Kind]int{}
	sessions := map[string]bool{}
	for _, ev := range r.all() {
		kinds[ev.Kind]++
		sessions[ev.Session] = true
		if ev.MSISDN == 0 || ev.IMSI == 0 || len(ev.Addrs) != 1 || !netip.MustParsePrefix("10.0.0.0/24").Contains(ev.Addrs[0].Prefix.Addr()) {
			t.Fatalf("%+v", ev)
		}
	}
	if kinds[binding.SessionStart] != 2000 || kinds[binding.SessionUpdate] != 3000 || len(sessions) != 2000 {
		t.Errorf("%v, %d sessions", kinds, len(sessions))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for claim, o := range map[string]radiustest.Options{
		"no server":           {Secret: []byte("x")},
		"no secret":           {Server: "127.0.0.1:1"},
		"a pool too small":    {Server: "127.0.0.1:1", Secret: []byte("x"), Plan: crowdtest.Plan{Subscribers: 300, Pool: netip.MustParsePrefix("10.0.0.0/24")}},
		"an IPv6 pool for v4": {Server: "127.0.0.1:1", Secret: []byte("x"), Plan: crowdtest.Plan{Pool: netip.MustParsePrefix("2001:db8::/32")}},
		"a negative hold":     {Server: "127.0.0.1:1", Secret: []byte("x"), Plan: crowdtest.Plan{Hold: -1}},
	} {
		if _, err := radiustest.Simulate(t.Context(), o, nil); err == nil {
			t.Errorf("%s: accepted", claim)
		}
	}
}
