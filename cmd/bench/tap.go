package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/simbind/simbind/binding/query"
)

// runTap has simbindd overhear 100 k packets a second of GTPv2-C on an interface
// of a network namespace. What the kernel selected is either delivered to the
// daemon or counted as lost.
func runTap(ctx context.Context, s *stage) ([]result, error) {
	if _, err := s.simbindd(ctx); err != nil { // is not built in there
		return nil, err
	}
	var list []result
	err := inNamespace(func() (err error) {
		list, err = overhear(ctx, s)
		return err
	})
	if errors.Is(err, errNoNamespace) {
		s.say("tap: skipped: %v", err)
		return []result{{Work: "skipped: " + err.Error()}}, nil
	}
	return list, err
}

const (
	tapRate     = 100_000 // packets a second
	tapPackets  = 500_000 // of one round
	tapNear     = "bench0"
	tapFar      = "bench1"
	tapDelivery = time.Minute // within which all that was sent is taken in
)

func overhear(ctx context.Context, s *stage) ([]result, error) {
	wire, err := newLink(ctx, tapNear, tapFar)
	if err != nil {
		return nil, err
	}
	defer wire.close()
	calls, err := newCalls(s.scale(tapPackets))
	if err != nil {
		return nil, err
	}
	var sample tapSample
	for range min(s.rounds, accountingRounds) {
		if err := sample.take(ctx, s, wire, calls); err != nil {
			return nil, err
		}
	}
	return []result{
		figure("packets of GTPv2-C overheard", "/s", sample.rates, nil).noted("one Create and Delete Session to %d Modify Bearer; %s", callRefreshes, &sample),
		figure("selected packets that were neither delivered nor counted as lost", "", []float64{sample.unaccounted}, &goal{Zero: true}),
		figure("packets lost, default buffer", "", []float64{sample.lost}, &goal{Zero: true}),
		figure("events lost behind it", "", []float64{sample.eventsLost}, &goal{Zero: true}),
		figure("CPU of the daemon a packet", "s", sample.cpu, nil).noted("reader, decoder, pairing, registry and journal; the kernel's filter runs at the sender's expense"),
	}, nil
}

// A tapSample is what the rounds gave.
type tapSample struct {
	rates, cpu                                   []float64
	matched, unaccounted, lost, eventsLost, late float64
}

func (t *tapSample) String() string {
	return fmt.Sprintf("%.0f selected in all; the last was taken in within %s after it was sent", t.matched, quantity(t.late, "s"))
}

// take is one round, with a daemon of its own.
func (t *tapSample) take(ctx context.Context, s *stage, wire *link, c *calls) error {
	d, err := s.startTap(ctx, c.subscribers)
	if err != nil {
		return err
	}
	defer d.stop()
	asker, err := query.Dial(ctx, d.socket)
	if err != nil {
		return err
	}
	defer asker.Close()
	cpu, err := d.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := wire.pace(ctx, c.frames, tapRate); err != nil {
		return err
	}
	sent := time.Now()
	var status query.StatusReply
	err = d.await(ctx, tapDelivery, func(ctx context.Context) (err error) {
		if status, err = asker.Status(ctx); err == nil {
			err = c.takenIn(status)
		}
		return err
	})
	if err != nil {
		return err
	}
	after, err := d.cpu()
	if err != nil {
		return err
	}
	n := status.Counters
	t.matched += float64(n["tap_matched"])
	t.unaccounted += float64(n["tap_matched"] - n["tap_delivered"] - n["tap_lost"])
	t.lost += float64(n["tap_lost"])
	t.eventsLost += float64(n["tap_events_lost"])
	t.late = max(t.late, time.Since(sent).Seconds())
	t.rates = append(t.rates, float64(len(c.frames))/sent.Sub(began).Seconds())
	t.cpu = append(t.cpu, (after-cpu).Seconds()/float64(len(c.frames)))
	return c.check(ctx, asker)
}

// pace sends frames at a rate, a millisecond's worth at a time.
func (l *link) pace(ctx context.Context, frames [][]byte, perSecond int) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for next := 0; next < len(frames); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		due := int(time.Since(began).Seconds() * float64(perSecond))
		for ; next < min(due, len(frames)); next++ {
			if err := l.send(frames[next]); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
	}
	return nil
}

// startTap runs a daemon that learns from the wire alone, and waits until it
// does. It is not asked over HTTP, which it would not be reached by from here.
func (s *stage) startTap(ctx context.Context, capacity int) (*daemon, error) {
	h, err := s.newHome()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(h.dir, "simbindd.yaml")
	if err := os.WriteFile(file, []byte(h.tapYAML(capacity)), 0o600); err != nil {
		return nil, err
	}
	p, err := launch(h.dir, s.binary, "--config", file)
	if err != nil {
		return nil, err
	}
	d := &daemon{p, h}
	if err := d.await(ctx, startLimit, d.listensToTheWire); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

func (h home) tapYAML(capacity int) string {
	return fmt.Sprintf(`site: bench
data_dir: %q
capacity: %d
domains:
  - {name: internet, apns: [%s], pools: [%s]}
tap: {interfaces: [%s]}
query: {socket: %q}
log: {level: warn}
`, h.data(), capacity, apn, residents().pool, tapFar, h.socket)
}

func (d *daemon) listensToTheWire(ctx context.Context) error {
	status, err := d.status(ctx)
	if err == nil && (!strings.HasSuffix(status.Edges["tap"], " on "+tapFar) || status.Counters["tap_news_lost"] == 0) {
		err = fmt.Errorf("the tap is %q", status.Edges["tap"]) // or has yet to tell that it knows nothing of before
	}
	return err
}
