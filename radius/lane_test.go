package radius

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	layeh "layeh.com/radius"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius/radiustest"
)

// A laneRig takes requests by any address, and keeps their events.
type laneRig struct {
	*lane
	t      *testing.T
	server *Server
	events []binding.Event
	now    time.Time
}

func newLaneRig(t *testing.T, clients ...Client) *laneRig {
	t.Helper()
	r := &laneRig{t: t, now: vectorOrigin.Arrived}
	r.server = New(Config{Now: func() time.Time { return r.now }}, func(ev binding.Event) error {
		r.events = append(r.events, ev)
		if ev.Ack != nil {
			ev.Ack.Acknowledge(ev.Token, nil)
		}
		return nil
	}, slog.New(slog.DiscardHandler))
	r.setClients(clients...)
	r.lane = newLane(r.server, 512)
	return r
}

func (r *laneRig) setClients(clients ...Client) {
	r.t.Helper()
	if err := r.server.SetClients(clients); err != nil {
		r.t.Fatal(err)
	}
}

// take gives the lane a request of the session from an address, and overwrites
// it. It returns the event, if there was one.
func (r *laneRig) take(from string, status radiustest.Status, s radiustest.Session) binding.Event {
	r.t.Helper()
	addr := netip.MustParseAddr(from)
	c := r.server.clients.Load().lookup(addr)
	p, err := s.Request(status, c.Secret)
	wire := encoded(r.t, p, err)
	before := len(r.events)
	if _, err := r.receive(wire, c, addr, &sockaddr{}, &local{}, r.now); err != nil {
		r.t.Fatal(err)
	}
	for i := range wire {
		wire[i] = 0xAA
	}
	if len(r.events) == before {
		return binding.Event{}
	}
	return r.events[before]
}

// at is a client of one address.
func at(name, addr string) Client {
	a := netip.MustParseAddr(addr)
	return Client{Name: name, Prefix: netip.PrefixFrom(a, a.BitLen()), Secret: []byte("secret of " + name)}
}

func TestANodeBelongsToTheGroupOfTheClientThatBroughtIt(t *testing.T) {
	alone, first, second := at("alone", "10.0.0.1"), at("first", "10.0.0.2"), at("second", "10.0.0.3")
	first.Group, second.Group = "pair", "pair"
	heir := at("heir", "10.0.0.4")
	heir.Group = "alone"
	r := newLaneRig(t, alone, first, second, heir)
	for _, c := range []struct{ claim, from, owner string }{
		{"a client without a group is one of its own", "10.0.0.1", "alone"},
		{"a client of a group", "10.0.0.2", "pair"},
		{"the other one of the same group", "10.0.0.3", "pair"},
		{"a group may have the name of a client", "10.0.0.4", "alone"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			for _, status := range []radiustest.Status{radiustest.Start, radiustest.Interim, radiustest.Stop, radiustest.On} {
				ev := r.take(c.from, status, radiustest.Session{ID: "abc", NAS: "pgw1"})
				if ev.Owner != c.owner || ev.Node != "pgw1" {
					t.Errorf("status %d: %s/%s", status, ev.Owner, ev.Node)
				}
			}
		})
	}
}

func TestAClientWithNodesSpeaksForTheseNamesAlone(t *testing.T) {
	c := at("a", "10.0.0.1")
	c.Nodes = []string{"pgw1", "192.0.2.1"}
	r := newLaneRig(t, c)
	for _, tt := range []struct {
		claim, id, addr string
		node, also      string
	}{
		{"a name of the list", "pgw1", "", "pgw1", ""},
		{"both names of the list", "pgw1", "192.0.2.1", "pgw1", "192.0.2.1"},
		{"a second name that is another's is left out", "pgw1", "192.0.2.2", "pgw1", ""},
		{"another's name is refused", "pgw2", "192.0.2.1", "", ""},
		{"so is another's address", "", "192.0.2.2", "", ""},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			s := radiustest.Session{ID: "abc", NAS: tt.id}
			if tt.addr != "" {
				s.NASAddr = netip.MustParseAddr(tt.addr)
			}
			if ev := r.take("10.0.0.1", radiustest.Start, s); ev.Node != tt.node || ev.Also != tt.also {
				t.Errorf("node %q, also %q", ev.Node, ev.Also)
			}
		})
	}
}

func TestAnEventHasTheBlindDelayOfItsClient(t *testing.T) {
	slow := at("slow", "10.0.0.1")
	slow.BlindDelay = 3 * time.Minute
	r := newLaneRig(t, slow, at("usual", "10.0.0.2"))
	for _, status := range []radiustest.Status{radiustest.Start, radiustest.Stop, radiustest.On} {
		for from, want := range map[string]time.Duration{"10.0.0.1": 3 * time.Minute, "10.0.0.2": 0} {
			if ev := r.take(from, status, radiustest.Session{ID: "abc", NAS: "pgw1"}); ev.Blind != want || ev.Node == "" {
				t.Errorf("status %d from %s: %v, want %v", status, from, ev.Blind, want)
			}
		}
	}
}

func TestAStartThatNamesNobodyInheritsNothingOfTheRequestBefore(t *testing.T) {
	r := newLaneRig(t, at("a", "10.0.0.1"))
	full := radiustest.Session{
		ID: "abc", NAS: "pgw1", NASAddr: netip.MustParseAddr("192.0.2.1"), MSISDN: "491701234567", IMSI: "001010123456789",
		IMEISV: "3569380312345601", APN: "internet", RAT: 6, NSAPI: "5", IPv4: netip.MustParseAddr("10.45.0.7"),
		Time: r.now, Delay: time.Second, Interval: time.Minute,
	}
	r.take("10.0.0.1", radiustest.Start, full)
	got := r.take("10.0.0.1", radiustest.Start, radiustest.Session{ID: "abc", NAS: "pgw1"})
	want := binding.Event{
		Kind: binding.SessionStart, Source: binding.SourceRADIUS, Owner: "a", Node: "pgw1", Session: "abc", Arrived: r.now,
	}
	got.Ack, got.Token = nil, 0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWhatIsKeptOfARequestIsNotOfItsDatagram(t *testing.T) {
	r := newLaneRig(t, at("a", "10.0.0.1"), at("b", "10.0.0.2"))
	s := radiustest.Session{ID: "abc", NAS: "pgw1", NASAddr: netip.MustParseAddr("192.0.2.1"), APN: "internet"}
	for _, from := range []string{"10.0.0.1", "10.0.0.2"} {
		for range 2 { // a name that is new, and one that is known
			r.take(from, radiustest.Interim, s)
			s.Age += time.Second
		}
	}
	if len(r.events) != 4 {
		t.Fatalf("%d events", len(r.events))
	}
	for _, ev := range r.events {
		if ev.Node != "pgw1" || ev.Also != "192.0.2.1" || ev.Session != "abc" || ev.APN != "internet" {
			t.Errorf("%+v", ev)
		}
	}
	if got := fmt.Sprint(r.server.SharedNames()); got != "[{pgw1 [a b]}]" {
		t.Error(got)
	}
}

func TestTheNamesThatSeveralOwnersSpeakForAreTold(t *testing.T) {
	a, b, c := at("a", "10.0.0.1"), at("b", "10.0.0.2"), at("c", "10.0.0.3")
	paired := func(list ...Client) []Client {
		for i := range list {
			list[i].Group = "pair"
		}
		return list
	}
	only := func(c Client, nodes ...string) Client {
		c.Nodes = nodes
		return c
	}
	hears := func(r *laneRig) {
		r.take("10.0.0.2", radiustest.Interim, radiustest.Session{ID: "1", NAS: "pgw1"})
		r.take("10.0.0.1", radiustest.Interim, radiustest.Session{ID: "1", NAS: "pgw1"})
		r.take("10.0.0.1", radiustest.Interim, radiustest.Session{ID: "1", NAS: "pgw2"})
		r.take("10.0.0.3", radiustest.Interim, radiustest.Session{ID: "1", NAS: "pgw0"})
		r.take("10.0.0.1", radiustest.Interim, radiustest.Session{ID: "1", NAS: "pgw0"})
	}
	for _, tt := range []struct {
		claim string
		then  func(*laneRig)
		want  string
	}{
		{"by their clients, sorted", func(*laneRig) {}, "[{pgw0 [a c]} {pgw1 [a b]}]"},
		{"a second name is none of them", func(r *laneRig) {
			shared := netip.MustParseAddr("192.0.2.1")
			r.take("10.0.0.1", radiustest.Interim, radiustest.Session{ID: "2", NAS: "pgw2", NASAddr: shared})
			r.take("10.0.0.2", radiustest.Interim, radiustest.Session{ID: "2", NAS: "pgw3", NASAddr: shared})
		}, "[{pgw0 [a c]} {pgw1 [a b]}]"},
		{"not for longer than an hour", func(r *laneRig) {
			r.now = r.now.Add(time.Hour - time.Second)
			r.take("10.0.0.1", radiustest.Interim, radiustest.Session{ID: "3", NAS: "pgw0"})
			r.take("10.0.0.3", radiustest.Interim, radiustest.Session{ID: "3", NAS: "pgw0"})
			r.now = r.now.Add(time.Second)
		}, "[{pgw0 [a c]}]"},
		{"not once they are one group", func(r *laneRig) { r.setClients(paired(a, b, c)...) }, "[]"},
		{"not once all but one may not speak for it", func(r *laneRig) { r.setClients(a, only(b, "pgw9"), c) }, "[{pgw0 [a c]}]"},
		{"not once a client is gone", func(r *laneRig) { r.setClients(b, c) }, "[]"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			r := newLaneRig(t, a, b, c)
			hears(r)
			tt.then(r)
			if got := fmt.Sprint(r.server.SharedNames()); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("not where their clients are one group", func(t *testing.T) {
		r := newLaneRig(t, paired(a, b, c)...)
		hears(r)
		if got := r.server.SharedNames(); len(got) != 0 {
			t.Error(got)
		}
	})
}

// The time of arrival is that at which the packet was read, though no room was
// left among the open requests.
func TestARequestThatWaitsForRoomArrivedBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []binding.Event
		s := New(Config{}, func(ev binding.Event) error {
			events = append(events, ev)
			return nil
		}, slog.New(slog.DiscardHandler))
		if err := s.SetClients([]Client{{Name: "a", Certificate: "nas1"}}); err != nil {
			t.Fatal(err)
		}
		c := &connection{server: s, name: "nas1", lane: newLane(s, 2), window: make(chan struct{}, 1)}
		c.window <- struct{}{}
		p, err := radiustest.Session{ID: "abc", NAS: "pgw1"}.Request(radiustest.Start, []byte(radsecSecret))
		wire, read := encoded(t, p, err), time.Now()
		go func() {
			if err := c.take(t.Context(), wire, vectorOrigin.From, read); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(time.Minute)
		<-c.window
		synctest.Wait()
		if len(events) != 1 || !events[0].Arrived.Equal(read) {
			t.Errorf("read at %v: %+v", read, events)
		}
	})
}

// A request costs its session id and its addresses, nothing else.
func TestARequestAllocatesOnlyItsEvent(t *testing.T) {
	s := New(Config{}, func(ev binding.Event) error {
		ev.Ack.Acknowledge(ev.Token, nil)
		return nil
	}, slog.New(slog.DiscardHandler))
	if err := s.SetClients([]Client{{Name: "a", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Secret: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	l, from, now := newLane(s, 512), netip.MustParseAddr("10.0.0.1"), time.Now()
	p, err := radiustest.Session{
		ID: "abc", NAS: "pgw1", NASAddr: netip.MustParseAddr("192.0.2.1"), MSISDN: "491701234567", IMSI: "001010123456789",
		IMEISV: "3569380312345601", APN: "internet", RAT: 6,
		IPv4: netip.MustParseAddr("10.45.0.1"), IPv6: netip.MustParsePrefix("2001:db8::/64"), Time: now,
	}.Request(radiustest.Start, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	p.Add(33, layeh.Attribute("state"))
	wire, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c, digest, n := s.clients.Load().lookup(from), newDigester(), uint32(0)
	at := len(wire) - 4 // in the Proxy-State: makes requests differ
	w := &replyWriter{lane: l, out: newBatch(nil, sendStep), digest: digest}
	var list []completion
	one := func() {
		n++
		binary.BigEndian.PutUint32(wire[at:], n)
		digest.signRequest(wire, c.Secret)
		var peer sockaddr
		if began, err := l.receive(wire, c, from, &peer, &local{}, now); !began || err != nil {
			t.Fatal(began, err)
		}
		list = l.done.take(list)
		w.prepare(list)
	}
	for range 1000 {
		one()
	}
	if allocs := testing.AllocsPerRun(1000, one); allocs > 2 {
		t.Errorf("%v allocations for a request, want its session id and its addresses", allocs)
	}
}

func TestABusyQueueHoldsAPatientLaneBack(t *testing.T) {
	left := 3
	s := New(Config{}, func(binding.Event) error {
		if left--; left > 0 {
			return binding.ErrBusy
		}
		return nil
	}, slog.New(slog.DiscardHandler))
	l := newLane(s, 1)
	l.patience = time.Minute
	l.offer(1, &binding.Event{})
	if list := l.done.take(nil); left != 0 || len(list) != 0 {
		t.Errorf("%d refusals left, %v", left, list)
	}
}
