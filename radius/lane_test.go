package radius

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	layeh "layeh.com/radius"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius/radiustest"
)

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
		ID: "abc", NAS: "pgw1", MSISDN: "491701234567", IMSI: "001010123456789", IMEISV: "3569380312345601", APN: "internet", RAT: 6,
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
