package main

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/diametertest"
)

// What the sender patches is what the edge reads.
func TestGxTemplatesArePatchedInTheRightPlaces(t *testing.T) {
	for _, typ := range gxWholeLife {
		template, err := newGxTemplate(typ, gxHost(3))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, 0)
		wire := template.append([]byte("before"), 7, guests(), 12345, now)[len("before"):]
		r, err := diameter.Decode(wire, diameter.Origin{Arrived: now})
		if err != nil {
			t.Fatal(err)
		}
		who := guests().identity(12345)
		ev := r.Event
		if r.HopByHop != 7 || ev.Node != "pgw3.bench" || ev.Kind != binding.Kind(typ) || ev.MSISDN != who.MSISDN || ev.IMSI != who.IMSI || !ev.Time.Equal(now) {
			t.Errorf("type %d: %+v", typ, r)
		}
		if ended := typ == diametertest.Termination; ended != (len(ev.Addrs) == 0) || !ended && ev.Addrs[0].Prefix.Addr() != guests().addr(12345) {
			t.Errorf("type %d: %v", typ, ev.Addrs)
		}
	}
}

func TestGxLoadIsAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- diametertest.ServeStock(l, diametertest.Node{Host: "pcrf.bench", Realm: "bench"}) }()
	sum, err := newGxLoad(l.Addr().String(), gxWholeLife, 0, 1000).send(t.Context())
	if err != nil || sum.sessions != 1000 || sum.answered != 3000 || sum.sent != 3000 || sum.bad != 0 {
		t.Errorf("%d sessions, %d sent, %d answered, %d bad, %v", sum.sessions, sum.sent, sum.answered, sum.bad, err)
	}
	l.Close()
	if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
