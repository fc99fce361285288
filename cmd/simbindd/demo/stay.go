package demo

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/radius/radiustest"
)

// hints tell how to look around.
func (d *demo) hints() {
	simbind := "./bin/simbind"
	d.printf("\nThe site stays up. In another terminal")
	if _, err := os.Stat(simbind); err != nil {
		d.printf(", after `make build`")
	}
	d.printf(":\n\n")
	for _, hint := range [][2]string{
		{simbind + " --socket " + d.site.socket() + " status", "how the daemon is"},
		{simbind + " --socket " + d.site.socket() + " nodes", "who reports, and how its connection is"},
		{simbind + " --socket " + d.site.socket() + " watch", "changes as they come"},
		{simbind + " --socket " + d.site.socket() + " lookup 10.45.0.3", "who has this address"},
		{simbind + " --socket " + d.site.socket() + " verify 10.45.0.3 +" + msisdn(3), "is this the number behind it?"},
		{"redis-cli -s " + d.site.socket() + " VERIFY 10.45.0.3 +" + msisdn(3), "the same, with any Redis client"},
		{"curl -s http://" + d.site.metrics + "/metrics", "what Prometheus would see"},
		{"nats -s nats://" + d.site.nats + " sub '" + subject + "'", "the changes on NATS"},
	} {
		d.printf("  # %s\n  %s\n", hint[1], hint[0])
	}
	d.printf("\nAn app to click through (every browser here counts as subscriber 3's phone, +%s): %s\n", msisdn(phone), d.front.App)
	d.printf("\nEvery few seconds somebody attaches or leaves. Ctrl-C ends the demo.\n")
}

// goOn lets further subscribers come and go, over RADIUS and over Gx, until ctx
// ends.
func (d *demo) goOn(ctx context.Context) error {
	var overRADIUS radiustest.Summary
	var overGx diametertest.Summary
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		overRADIUS, err = radiustest.Simulate(gctx, radiustest.Options{
			Server: d.site.radius, Secret: []byte(secret), NAS: "demo-pgw-2", Sockets: 1, Plan: crowd(1, 101),
		}, nil)
		return err
	})
	g.Go(func() (err error) {
		overGx, err = diametertest.Simulate(gctx, diametertest.Options{
			Server: d.site.gx, Node: diametertest.Node{Host: "demo-pgw-3.demo", Realm: "demo"}, Plan: crowd(2, 201),
		}, nil)
		return err
	})
	err := g.Wait()
	if context.Cause(ctx) == errDaemon {
		return errDaemon
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("the packet core: %w", err)
	}
	d.printf("\nIt answered %d requests of the packet core. The site is gone.\n", overRADIUS.Answered+overGx.Answered+subscribers+gxSubscribers+2)
	return nil
}

// crowd are subscribers in a pool of their own, from a number on.
func crowd(pool byte, first int) crowdtest.Plan {
	return crowdtest.Plan{
		Subscribers: 20, Rate: 0.4, Hold: 40 * time.Second, Duration: 1000 * time.Hour,
		Pool:        netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 45, pool, 0}), 24),
		FirstMSISDN: binding.MSISDN(447700900000 + first), FirstIMSI: 1010000000000 + uint64(first),
	}
}
