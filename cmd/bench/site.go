package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/journal"
	"github.com/simbind/simbind/binding/query"
)

// A site is the daemon that several parts share, with all residents bound.
type site struct {
	*daemon
	stage *stage
	// empty and full are its resident memory before and after.
	empty, full float64
	fill        string // how it was filled, in words
}

// radiusFill is up to how many sessions a site is filled through RADIUS. More
// are written into the journal, from which the daemon loads them.
const radiusFill = 2_000_000

// site returns the filled daemon, ready.
func (s *stage) site(ctx context.Context) (*site, error) {
	if s.filled != nil {
		return s.filled, nil
	}
	t := &site{stage: s}
	var err error
	if t.daemon, err = s.startReady(ctx, s.sessions); err != nil {
		return nil, err
	}
	s.filled = t // is stopped from now on, whatever happens
	if t.empty, err = t.settledRSS(ctx, time.Second); err != nil {
		return nil, err
	}
	if s.sessions <= radiusFill {
		err = t.fillByRADIUS(ctx)
	} else {
		err = t.fillByJournal(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := t.checkSample(ctx); err != nil {
		return nil, err
	}
	t.full, err = t.settledRSS(ctx, rest)
	return t, err
}

func (t *site) fillByRADIUS(ctx context.Context) error {
	t.stage.say("binding %d sessions through RADIUS …", t.stage.sessions)
	load := newTraffic(t.radius, startOnly, residents(), uint64(t.stage.sessions))
	sum, err := load.send(ctx)
	if err != nil {
		return err
	}
	if _, err := t.published(ctx); err != nil {
		return err
	}
	t.fill = fmt.Sprintf("filled through RADIUS at %s", quantity(sum.perSecond(), "/s"))
	return nil
}

// fillByJournal stops the daemon, writes the sessions into its journal as the
// daemon itself would have, and starts it again.
func (t *site) fillByJournal(ctx context.Context) error {
	t.stage.say("writing %d sessions into the journal …", t.stage.sessions)
	t.stop()
	began := time.Now()
	if err := writeJournal(ctx, t.data(), uint64(t.stage.sessions), time.Now()); err != nil {
		return err
	}
	t.fill = fmt.Sprintf("written into the journal in %.0f s, then loaded", time.Since(began).Seconds())
	return t.restart(ctx, t.stage.sessions)
}

// restart starts the daemon again, with another capacity perhaps, and waits
// until it is ready.
func (t *site) restart(ctx context.Context, capacity int) error {
	t.stop()
	d, err := t.stage.startReadyIn(ctx, t.home, capacity)
	if err != nil {
		return err
	}
	t.daemon = d
	return nil
}

// checkSample asks about some residents: each must match its own number.
func (t *site) checkSample(ctx context.Context) error {
	c, err := query.Dial(ctx, t.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	who := residents()
	for range 1000 {
		n := rand.Uint64N(uint64(t.stage.sessions))
		answer, err := c.Verify(ctx, who.addr(n).String(), who.number(n))
		if err != nil {
			return err
		}
		if answer.Verdict != "match" {
			return fmt.Errorf("session %d: %s %s, not a match", n, answer.Verdict, answer.Reason)
		}
	}
	status, err := t.status(ctx)
	if err == nil && status.Sessions != t.stage.sessions {
		err = fmt.Errorf("%d sessions, not %d", status.Sessions, t.stage.sessions)
	}
	return err
}

// rest is the time in which a busy daemon gives back what it does not need.
const rest = 15 * time.Second

// settledRSS is the resident memory after a rest.
func (t *site) settledRSS(ctx context.Context, rest time.Duration) (float64, error) {
	if err := sleep(ctx, t.stage.span(rest)); err != nil {
		return 0, err
	}
	return t.rss()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// newTraffic is the load of all parts but for what they change: eight sockets
// with 32 requests each.
func newTraffic(server string, script []step, who population, count uint64) traffic {
	return traffic{server: server, script: script, who: who, count: count, sockets: 8, window: 32}
}

// journalStep is how many sessions one commit holds.
const journalStep = 10_000

// writeJournal writes the residents as they are after their Start, without
// changes to publish.
func writeJournal(ctx context.Context, dir string, sessions uint64, now time.Time) error {
	j, err := journal.Open(dir+"/journal", journal.Options{})
	if err != nil {
		return err
	}
	defer j.Close()
	defer runtime.GC() // the rows are garbage
	batch := &binding.Batch{
		Nodes:   []binding.NodeRow{{ID: 1, Source: binding.SourceRADIUS, Owner: client, Name: nas}},
		APNs:    []binding.NameRow{{ID: 1, Name: apn}},
		Domains: []binding.NameRow{{ID: 1, Name: "internet"}},
	}
	for first := uint64(0); first < sessions && ctx.Err() == nil; first += journalStep {
		count := min(journalStep, sessions-first)
		batch.Alive = time.Now().UnixMilli()
		for n := first; n < first+count; n++ {
			batch.Sessions = append(batch.Sessions, residentRow(n, now))
			batch.Subscribers = append(batch.Subscribers, subscriberRow(n, now))
		}
		if err := j.Commit(batch); err != nil {
			return err
		}
		*batch = binding.Batch{Sessions: batch.Sessions[:0], Subscribers: batch.Subscribers[:0]}
	}
	return ctx.Err()
}
