package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/radius/radiustest"
)

// How much is asked of sites.
const (
	sitesFanOut  = 400
	sitesLookups = 4000
)

// runSites measures a replica and remote lookups: three daemons on the embedded
// NATS server of the first, which is the site.
func runSites(ctx context.Context, s *stage) ([]result, error) {
	owner, err := s.filledOwner(ctx)
	if err != nil {
		return nil, err
	}
	defer owner.stop()
	replica, caught, err := s.replicaOf(ctx, owner)
	if err != nil {
		return nil, err
	}
	defer replica.stop()
	results := []result{figure("a replica's snapshot, rows/s until current", "/s", []float64{caught}, nil).
		noted("%d sessions; all daemons and the NATS server on this machine", s.sessions)}
	fan, err := fanOut(ctx, owner, replica)
	if err != nil {
		return results, err
	}
	replica.stop()
	results = append(results, figure("a change at the site is seen at the replica, p50", "s", []float64{fan.quantile(0.5)}, nil),
		figure("a change at the site is seen at the replica, p99", "s", []float64{fan.quantile(0.99)}, nil).
			noted("from the answer to the NAS; asked for without a pause"))
	for _, remote := range []struct{ name, keys string }{{"without the near-cache", "{timeout: 2s, cache: {max_age: 0s}}"}, {"near", "{timeout: 2s, cache: {max_age: 1h}}"}} {
		h, err := s.remoteLookups(ctx, owner, remote.keys)
		if err != nil {
			return results, err
		}
		results = append(results, figure("VERIFY of another site's address, "+remote.name+", p50", "s", []float64{h.quantile(0.5)}, nil),
			figure("VERIFY of another site's address, "+remote.name+", p99", "s", []float64{h.quantile(0.99)}, nil))
	}
	return results, nil
}

// filledOwner is a site with sessions, whose NATS server others can join.
func (s *stage) filledOwner(ctx context.Context) (*daemon, error) {
	h, err := s.newHome()
	if err != nil {
		return nil, err
	}
	h.serves = true
	if err := writeJournal(ctx, h.data(), uint64(s.sessions), time.Now()); err != nil {
		return nil, err
	}
	return s.startReadyIn(ctx, h, s.sessions+1000)
}

// replicaOf starts a replica and returns how many rows a second it took in until
// it was current.
func (s *stage) replicaOf(ctx context.Context, owner *daemon) (*daemon, float64, error) {
	h, err := s.newHome()
	if err != nil {
		return nil, 0, err
	}
	h.joins, h.keys = owner.nats, "follow: \"*\"\n"
	began := time.Now()
	d, err := s.startReadyIn(ctx, h, s.sessions+1000)
	if err != nil {
		return nil, 0, err
	}
	err = d.await(ctx, startLimit, func(ctx context.Context) error {
		c, err := query.Dial(ctx, d.socket)
		if err != nil {
			return err
		}
		defer c.Close()
		sites, err := c.Sites(ctx)
		if err == nil && (len(sites) != 1 || sites[0].State != "current") {
			err = fmt.Errorf("not current: %+v", sites)
		}
		return err
	})
	if err != nil {
		d.stop()
		return nil, 0, err
	}
	return d, float64(s.sessions) / time.Since(began).Seconds(), nil
}

// fanOut starts sessions at the site, one after the other, and measures when the
// replica knows them.
func fanOut(ctx context.Context, owner, replica *daemon) (*histogram, error) {
	nasSocket, err := radiustest.Dial(owner.radius)
	if err != nil {
		return nil, err
	}
	defer nasSocket.Close()
	c, err := query.Dial(ctx, replica.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	h := &histogram{}
	for n := range uint64(sitesFanOut) {
		addr, number := guests().addr(n), guests().number(n)
		p, err := radiustest.Session{
			ID: fmt.Sprint("fan", n), NAS: nas, MSISDN: number[1:], IMSI: fmt.Sprintf("00102%010d", n), APN: apn, IPv4: addr, Time: time.Now(),
		}.Request(radiustest.Start, []byte(secret))
		if err != nil {
			return nil, err
		}
		if _, err := nasSocket.Exchange(ctx, p); err != nil {
			return nil, err
		}
		for began := time.Now(); ; {
			got, err := c.Verify(ctx, addr.String(), number)
			if err != nil {
				return nil, err
			}
			if got.Verdict == "match" {
				h.add(time.Since(began))
				break
			}
			if time.Since(began) > startLimit {
				return nil, errors.New("a change never reached the replica")
			}
		}
	}
	return h, nil
}

// remoteLookups asks a daemon that has none of the addresses. What can be near is
// near: each address is asked for once before.
func (s *stage) remoteLookups(ctx context.Context, owner *daemon, keys string) (*histogram, error) {
	h, err := s.newHome()
	if err != nil {
		return nil, err
	}
	h.joins, h.keys, h.empty = owner.nats, "remote: "+keys+"\n", true
	d, err := s.startReadyIn(ctx, h, 1000)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	c, err := query.Dial(ctx, d.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ask := func(n uint64) error {
		n %= min(uint64(s.sessions), sitesLookups/4)
		got, err := c.Verify(ctx, residents().addr(n).String(), residents().number(n))
		if err == nil && got.Verdict != "match" {
			err = fmt.Errorf("session %d: %s %s", n, got.Verdict, got.Reason)
		}
		return err
	}
	if err := d.await(ctx, startLimit, func(context.Context) error { return ask(0) }); err != nil {
		return nil, err
	}
	times := &histogram{}
	for n := range uint64(sitesLookups + sitesLookups/4) {
		began := time.Now()
		if err := ask(n); err != nil {
			return nil, err
		}
		if n >= sitesLookups/4 {
			times.add(time.Since(began))
		}
	}
	return times, nil
}
