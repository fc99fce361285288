package main

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
)

func TestNearWhatAChangeMakesVoid(t *testing.T) {
	for _, tt := range []struct {
		claim, kept, change string
		void                bool
	}{
		{"of an IPv4 address its answer", "10.0.0.1", "10.0.0.1/32", true},
		{"of another IPv4 address nothing", "10.0.0.1", "10.0.0.2/32", false},
		{"of an IPv4 prefix everything", "10.0.0.1", "10.0.0.0/24", true},
		{"of a /64 the answers about all its addresses", "2001:db8:0:1::5", "2001:db8:0:1::/64", true},
		{"of a single address its answer", "2001:db8:0:1::5", "2001:db8:0:1::5/128", true},
		{"of a single address the answers about its whole /64", "2001:db8:0:1::1", "2001:db8:0:1::5/128", true},
		{"of a part of a /64 the answers about all of that", "2001:db8:0:1::1", "2001:db8:0:1:8000::/96", true},
		{"of another /64 nothing", "2001:db8:0:1::5", "2001:db8:0:2::/64", false},
		{"of a prefix wider than a /64 everything", "2001:db8:0:1::5", "2001:db8::/56", true},
		{"of an address that is not known everything", "10.0.0.1", "", true},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			n, err := newNearby(0)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			kept := netip.MustParseAddr(tt.kept)
			asked := 0
			ask := func() {
				_, err := n.Get(t.Context(), n.key("north", 1, kept), func(context.Context) (feed.Holder, time.Duration, error) {
					asked++
					return feed.Holder{}, time.Hour, nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "it is near", func() bool { ask(); return n.Counts().Hits > 0 })
			before := asked
			var addr binding.Address
			if tt.change != "" {
				addr.Prefix = netip.MustParsePrefix(tt.change)
			}
			n.changed("north", addr)
			if ask(); (asked > before) != tt.void {
				t.Errorf("asked %d times before the change, %d times with it", before, asked)
			}
		})
	}
}

// TestNearGivesNothingFromBeforeAChange: whoever asks after a change was heard
// gets an answer from after it, also about a neighbour in the /64.
func TestNearGivesNothingFromBeforeAChange(t *testing.T) {
	n, err := newNearby(0)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var truth, heard atomic.Uint64
	changed := binding.Address{Prefix: netip.MustParsePrefix("2001:db8:0:1::/64")}
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for i := range 4 {
		addr := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 7: 1, 15: byte(i % 2)})
		asking.Go(func() {
			for ctx.Err() == nil {
				least := heard.Load()
				h, err := n.Get(t.Context(), n.key("north", 1, addr), func(context.Context) (feed.Holder, time.Duration, error) {
					return feed.Holder{Answer: binding.Answer{Version: truth.Load()}}, time.Hour, nil
				})
				if err != nil || h.Answer.Version < least {
					t.Errorf("answer %d after change %d, %v", h.Answer.Version, least, err)
					return
				}
			}
		})
	}
	for range 20000 {
		version := truth.Add(1)
		n.changed("north", changed)
		heard.Store(version)
	}
	cancel()
	asking.Wait()
}
