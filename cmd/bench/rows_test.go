package main

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/journal"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/radius"
)

// What is written into the journal is what the daemon would have written: a
// refresh by RADIUS meets the session instead of making another.
func TestRowsAreThoseOfTheRegistry(t *testing.T) {
	const sessions = 50
	dir := t.TempDir()
	if err := writeJournal(t.Context(), dir, sessions, time.Now()); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	quiet := slog.New(slog.DiscardHandler)
	registry, err := registry.New(registry.Config{
		Site: "bench", Capacity: sessions, Domains: []binding.Domain{{Name: "internet", APNs: []string{apn}, Pools: []netip.Prefix{residents().pool}}},
	}, j, quiet)
	if err != nil {
		t.Fatal(err)
	}
	edge := radius.New(radius.Config{
		Listen:  []string{"127.0.0.1:0"},
		Clients: []radius.Client{{Name: client, Prefix: netip.MustParsePrefix("127.0.0.0/8"), Secret: []byte(secret)}},
	}, registry.Submit, quiet)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 2)
	go func() { ended <- registry.Run(ctx) }()
	go func() { ended <- edge.Run(ctx) }()
	defer func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}()
	<-edge.Ready()
	refresh := []step{{status: startOnly[0].status}, {status: wholeLife[1].status}}
	load := newTraffic(edge.Addrs()[0].String(), refresh, residents(), sessions)
	if _, err := load.send(ctx); err != nil {
		t.Fatal(err)
	}
	if got := registry.Status(); got.Sessions != sessions || got.Addresses != sessions || got.Nodes != 1 {
		t.Errorf("%d sessions, %d addresses, %d nodes after %d refreshes", got.Sessions, got.Addresses, got.Nodes, sessions)
	}
	for n := range uint64(sessions) {
		number, err := binding.ParseNumber(residents().number(n))
		if err != nil {
			t.Fatal(err)
		}
		if a := registry.Verify(binding.Query{Addr: residents().addr(n)}, number); a.Verdict != binding.Match {
			t.Errorf("session %d: %v %v", n, a.Verdict, a.Reason)
		}
	}
}
