package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// runAccounting compares how many accounting requests a second simbindd takes,
// each answered after the journal's synced commit and published to the stream of
// its embedded NATS, with FreeRADIUS writing detail. Both get the same packets
// from the same sender, which shares the machine with them, and both start
// empty.
func runAccounting(ctx context.Context, s *stage) ([]result, error) {
	var list []result
	for _, mix := range mixes {
		r, err := compareAccounting(ctx, s, mix)
		list = append(list, r...)
		if err != nil {
			return list, err
		}
	}
	return list, nil
}

// A mix is a script with its name, how many changes a session makes, and how
// many requests each of the eight sockets of the sender keeps unanswered.
type mix struct {
	name     string
	script   []step
	window   int
	sessions int // of one round
	changes  uint64
}

var mixes = []mix{
	{name: "Start, Interim, Stop of each session", script: wholeLife, window: 32, sessions: 30_000, changes: 2},
	{name: "Start, Interim, Stop of each session", script: wholeLife, window: 128, sessions: 30_000, changes: 2},
	{name: "Start only", script: startOnly, window: 128, sessions: 90_000, changes: 1},
}

func (m mix) String() string {
	return fmt.Sprintf("%s, %d unanswered", m.name, m.window*newTraffic("", nil, guests(), 0).sockets)
}

// accountingRounds are fewer than those of cheaper comparisons.
const accountingRounds = 3

func compareAccounting(ctx context.Context, s *stage, m mix) ([]result, error) {
	m.sessions = s.scale(m.sessions)
	rounds := min(s.rounds, accountingRounds)
	d, err := s.startReady(ctx, 2*m.sessions*rounds)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	f, err := startFreeRADIUS(ctx, s)
	if err != nil {
		return nil, err
	}
	defer f.stop()
	before, err := f.recorded()
	if err != nil {
		return nil, err
	}
	var ours, theirs accountingSample
	for round := range rounds {
		if err := theirs.take(ctx, f.process, f.server, m, round, nil); err != nil {
			return nil, err
		}
		if err := ours.take(ctx, d.process, d.radius, m, round, d.published); err != nil {
			return nil, err
		}
	}
	if ours.lost, err = lostOf(ctx, d, m, ours.requests); err != nil {
		return nil, err
	}
	after, err := f.recorded()
	if err != nil {
		return nil, err
	}
	theirs.lost = int64(theirs.requests) - int64(after-before)
	return accountingResults(m, &ours, &theirs), os.Remove(f.detail)
}

func accountingResults(m mix, ours, theirs *accountingSample) []result {
	return []result{
		versus("durable and published: "+m.String(), "/s", ours.publishedRates, "FreeRADIUS detail", theirs.rates, atLeast(2)).
			noted("durable and answered: %s; %s; FreeRADIUS: %s", quantity(median(ours.rates), "/s"), ours, theirs),
		versus("server CPU a request", "s", ours.cpu, "FreeRADIUS detail", theirs.cpu, nil),
		figure("changes lost", "", []float64{float64(ours.lost)}, &goal{Zero: true}).
			noted("after %d requests, counted in the stream by a NATS client; FreeRADIUS lost %d of %d in its file",
				ours.requests, max(theirs.lost, 0), theirs.requests),
	}
}

// An accountingSample is what rounds with one server gave.
type accountingSample struct {
	rates, publishedRates, cpu []float64
	requests, repeated, bad    uint64
	latency                    histogram
	lost                       int64
}

func (a *accountingSample) String() string {
	return fmt.Sprintf("answered after p50 %s, p99 %s, %d repeated, %d bad answers",
		quantity(a.latency.quantile(0.5), "s"), quantity(a.latency.quantile(0.99), "s"), a.repeated, a.bad)
}

// take is one round. published waits until the changes are, if it is not nil.
func (a *accountingSample) take(ctx context.Context, server *process, addr string, m mix, round int, published func(context.Context) (uint64, error)) error {
	load := newTraffic(addr, m.script, guests(), uint64(m.sessions))
	load.first, load.window = uint64(round*m.sessions), m.window
	before, err := server.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	sum, err := load.send(ctx)
	if err != nil {
		return err
	}
	a.rates = append(a.rates, sum.perSecond())
	if published != nil {
		if _, err := published(ctx); err != nil {
			return err
		}
		a.publishedRates = append(a.publishedRates, float64(sum.answered)/time.Since(began).Seconds())
	}
	after, err := server.cpu()
	if err != nil {
		return err
	}
	a.cpu = append(a.cpu, (after-before).Seconds()/float64(sum.answered))
	a.requests += sum.answered
	a.repeated += sum.repeated
	a.bad += sum.bad
	a.latency.merge(&sum.latency)
	return nil
}

// lostOf is how many changes of the daemon are missing in the stream.
func lostOf(ctx context.Context, d *daemon, m mix, requests uint64) (int64, error) {
	if _, err := d.published(ctx); err != nil {
		return 0, err
	}
	streamed, err := d.streamed(ctx)
	if err != nil {
		return 0, err
	}
	return int64(requests/uint64(len(m.script))*m.changes) - int64(streamed), nil
}
