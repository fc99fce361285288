package network

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/numverify/origin"
)

// A sayer gives one answer about every address.
type sayer struct {
	query.Registry
	b binding.Binding
	a binding.Answer
}

func (s *sayer) Lookup(binding.Query) (binding.Binding, binding.Answer) { return s.b, s.a }

// serve runs a query server until the test ends.
func serve(t *testing.T, reg query.Registry) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "nv") // the test's own may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	s := query.NewServer(query.Config{Socket: socket, Priority: "normal"}, reg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return socket
}

// What the network says of a connection that is not recognised.
const (
	unknown = "it does not recognise the connection"
	nobody  = "nobody holds the address"
	notNow  = "it cannot say at this moment"
)

func said(err error) string {
	switch {
	case err == nil:
		return "a SIM"
	case errors.Is(err, ErrNobody):
		return nobody
	case errors.Is(err, ErrUnknown):
		return unknown
	case errors.Is(err, ErrNotNow):
		return notNow
	}
	return err.Error()
}

// TestOnlyAMatchIsRecognised: of all answers that simbindd can give, a SIM comes
// of a match alone.
func TestOnlyAMatchIsRecognised(t *testing.T) {
	who := binding.Subscriber{MSISDN: 447700900001, IMSI: 1}
	addr, err := binding.IPv4(netip.MustParseAddr("10.45.0.7"))
	if err != nil {
		t.Fatal(err)
	}
	is := map[binding.Reason]string{
		binding.ReasonNoBinding: nobody, binding.ReasonWarming: notNow, binding.ReasonNotIngesting: notNow, binding.ReasonSiteUnreachable: notNow,
	}
	for r := binding.ReasonBound; r.Valid(); r++ {
		for v := binding.Unknown; v <= binding.Stale; v++ {
			if !r.Fits(v) || v == binding.Mismatch { // which is no answer to who holds it
				continue
			}
			want := unknown
			if v == binding.Match {
				want = "a SIM"
			} else if is[r] != "" {
				want = is[r]
			}
			for _, known := range []bool{true, false} { // with what is known of the holder, or without
				if !known && v == binding.Match {
					continue
				}
				reg := &sayer{a: binding.Answer{Verdict: v, Reason: r, Version: 7}}
				if known {
					reg.b = binding.Binding{Subscriber: who, Addr: addr, Domain: "internet", State: binding.StateBound, Version: 7}
				}
				if r == binding.ReasonNoMSISDN {
					reg.b.MSISDN = 0
				}
				n := New(serve(t, reg), "", 10*time.Second)
				sim, err := n.Holder(t.Context(), origin.Client{Addr: netip.MustParseAddr("10.45.0.7")})
				n.Close()
				if said(err) != want || (err == nil) != (sim.MSISDN == "+447700900001") {
					t.Errorf("%s %s: %+v, %v; want %s", v, r, sim, err, want)
				}
			}
		}
	}
}
