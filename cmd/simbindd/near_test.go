package main

import (
	"context"
	"net/netip"
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
				_, err := n.Get(t.Context(), n.key("north", kept), func(context.Context) (feed.Holder, time.Duration, error) {
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
