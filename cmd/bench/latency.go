package main

import (
	"context"
	"fmt"
	"time"
)

// Of the latency part.
const (
	verifyRate = 20_000 // questions a second
	eventRate  = 20_000 // accounting requests a second
	guestRoom  = 200_000
	askFor     = 10 * time.Second
)

// runLatency asks VERIFY at a rate while accounting is ingested at a rate, with
// all residents bound: with the daemon and the asker as they are by default, and
// with the priority that query.priority high gives to both.
func runLatency(ctx context.Context, s *stage) ([]result, error) {
	t, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	var list []result
	for _, priority := range []string{"normal", "high"} {
		// Guests need room beside the residents.
		t.priority = priority
		if err := t.restart(ctx, s.sessions+guestRoom); err != nil {
			return list, err
		}
		m, err := measureLatency(ctx, s, t)
		if err != nil {
			return list, err
		}
		list = append(list, m.results(s.sessions, priority)...)
	}
	return list, nil
}

// A mixed is one run of questions and accounting at the same time.
type mixed struct {
	asked  *asked
	events *tally
}

func measureLatency(ctx context.Context, s *stage, t *site) (*mixed, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	span := s.span(askFor)
	load := newTraffic(t.radius, busyHour, guests(), 0)
	load.rate, load.residents = eventRate, uint64(s.sessions)
	load.first = uint64(time.Now().UnixNano()) % (1 << 30) // no session twice
	load.until = time.Now().Add(span + 2*time.Second)
	sent := make(chan error, 1)
	m := &mixed{}
	go func() (err error) { defer func() { sent <- err }(); m.events, err = load.send(ctx); return err }()
	var err error
	if err = sleep(ctx, time.Second); err == nil {
		m.asked, err = ask(ctx, question{
			Socket: t.socket, Command: "VERIFY", Sessions: s.sessions, Conns: 16, Rate: verifyRate, Seconds: span.Seconds(), High: t.priority == "high",
		})
	}
	if err != nil {
		cancel()
		<-sent
		return nil, err
	}
	return m, <-sent
}

func (m *mixed) results(sessions int, priority string) []result {
	work := fmt.Sprintf("VERIFY at %s beside %s accounting, priority %s", quantity(verifyRate, "/s"), quantity(eventRate, "/s"), priority)
	return []result{
		figure(work+", p50", "s", []float64{m.asked.P50}, nil),
		figure("p99", "s", []float64{m.asked.P99}, nil),
		figure("p99.9", "s", []float64{m.asked.P999}, atMost(1e-3)).
			noted("%d bound; %d questions in %.1f s, from due to answered, max %s, %d not a match; the asking thread had priority %s; accounting %s, answered after p50 %s, p99 %s, %d repeated",
				sessions, m.asked.Answers, m.asked.Elapsed, quantity(m.asked.Max, "s"), m.asked.Unmatched, m.asked.Priority,
				quantity(m.events.perSecond(), "/s"), quantity(m.events.latency.quantile(0.5), "s"),
				quantity(m.events.latency.quantile(0.99), "s"), m.events.repeated),
	}
}
