package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
)

// runFeed measures how fast changes go from an outbox into the stream of the
// embedded NATS, which is a file.
func runFeed(ctx context.Context, s *stage) ([]result, error) {
	dir, err := os.MkdirTemp(s.dir, "f")
	if err != nil {
		return nil, err
	}
	var rates []float64
	for round := range min(s.rounds, feedRounds) {
		rate, err := publishRate(ctx, filepath.Join(dir, fmt.Sprint(round)), uint64(s.scale(feedChanges)))
		if err != nil {
			return nil, err
		}
		rates = append(rates, rate)
	}
	return []result{figure("changes published/s, embedded NATS", "/s", rates, nil)}, os.RemoveAll(dir)
}

const (
	feedRounds  = 3
	feedChanges = 200_000
)

func publishRate(ctx context.Context, dir string, changes uint64) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	f := feed.New(feed.Config{
		Site: "bench", Journal: binding.JournalMeta{Incarnation: "bench"}, Embedded: feed.Embedded{StoreDir: dir}, PublishMSISDN: feed.None,
	}, newSampleOutbox(changes), nil, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ended <- f.Run(running) }()
	began, err := awaitDelivered(ctx, f, changes)
	elapsed := time.Since(began)
	stop()
	if e := <-ended; e != nil {
		err = e
	}
	return float64(changes) / elapsed.Seconds(), err
}

// awaitDelivered waits until all are in the stream, and returns when the first
// was seen to be.
func awaitDelivered(ctx context.Context, f *feed.Feed, changes uint64) (began time.Time, err error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		delivered := f.State().Delivered
		if delivered > 0 && began.IsZero() {
			began = time.Now()
		}
		if delivered >= changes {
			return began, nil
		}
		select {
		case <-ctx.Done():
			return began, fmt.Errorf("%d of %d changes are published: %s", delivered, changes, f.State().Problem)
		case <-tick.C:
		}
	}
}

// A sampleOutbox makes changes up to a number, as fast as they are read.
type sampleOutbox struct {
	top    uint64
	sample []binding.Change // reused
	none   chan struct{}
}

func newSampleOutbox(top uint64) *sampleOutbox {
	o := &sampleOutbox{top: top, none: make(chan struct{})}
	for n := range uint64(1024) {
		o.sample = append(o.sample, boundChange(n, time.Now()))
	}
	return o
}

// ReadOutbox implements feed.Outbox.
func (o *sampleOutbox) ReadOutbox(after uint64, limit int) ([]binding.Change, error) {
	n := min(uint64(limit), uint64(len(o.sample)), o.top-min(after, o.top))
	for i := range n {
		o.sample[i].Seq = after + 1 + i
	}
	return o.sample[:n], nil
}

// TrimOutbox implements feed.Outbox.
func (o *sampleOutbox) TrimOutbox(uint64) error { return nil }

// OutboxNotify implements feed.Outbox.
func (o *sampleOutbox) OutboxNotify() <-chan struct{} { return o.none }
