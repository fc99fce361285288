package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A part is a long-lived piece of the daemon.
type part struct {
	name string
	// run blocks until ctx ends and then returns nil.
	run func(ctx context.Context) error
	// ready is closed when the next part may start; nil means at once.
	ready <-chan struct{}
	// drain is called before ctx ends, for what should still happen; nil means
	// nothing.
	drain func()
}

// stopTime is how long a part may take to stop. The registry waits up to six
// seconds for a journal that is down, an embedded NATS server up to ten for its
// files.
const stopTime = 20 * time.Second

// A running part.
type running struct {
	part
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned
}

// runParts starts the parts in order, each when the one before is ready, calls
// started, and stops them in the reverse order when ctx ends or one of them
// fails. Its error names the part that failed.
func runParts(ctx context.Context, log *slog.Logger, parts []part, started, stopping func()) error {
	failures := make(chan error, len(parts))
	var up []*running
	err := func() error {
		for _, p := range parts {
			up = append(up, start(p, failures))
			if err := await(ctx, p.ready, failures); err != nil || ctx.Err() != nil {
				return err
			}
		}
		started()
		return await(ctx, make(chan struct{}), failures)
	}()
	if err != nil {
		log.Error("stopping", "err", err)
	} else {
		log.Info("stopping")
	}
	stopping()
	for i := len(up) - 1; i >= 0; i-- {
		err = errors.Join(err, up[i].stop())
	}
	// What failed while stopping.
	for len(failures) > 0 {
		err = errors.Join(err, <-failures)
	}
	return err
}

func start(p part, failures chan<- error) *running {
	// Its own context, not that of the signal: parts stop one after the other.
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{part: p, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		err := p.run(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("ended by itself")
		}
		if err != nil {
			failures <- fmt.Errorf("%s: %w", p.name, err)
		}
	}()
	return r
}

// await returns nil when ready is closed or ctx ends, or the error of a part
// that failed.
func await(ctx context.Context, ready <-chan struct{}, failures <-chan error) error {
	if ready == nil {
		return nil
	}
	select {
	case err := <-failures:
		return err
	case <-ctx.Done():
		return nil
	case <-ready:
		return nil
	}
}

func (r *running) stop() error {
	if r.drain != nil {
		r.drain()
	}
	r.cancel()
	select {
	case <-r.done:
		return nil
	case <-time.After(stopTime):
		return fmt.Errorf("%s: did not stop within %v", r.name, stopTime)
	}
}
