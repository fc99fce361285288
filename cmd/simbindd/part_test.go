package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A diary notes what parts do, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// part notes its start and end, and is ready at once.
func (d *diary) part(name string) part {
	ready := make(chan struct{})
	return part{name: name, ready: ready, run: func(ctx context.Context) error {
		d.note("start " + name)
		close(ready)
		<-ctx.Done()
		d.note("stop " + name)
		return nil
	}}
}

func (d *diary) run(ctx context.Context, parts ...part) error {
	return runParts(ctx, slog.New(slog.DiscardHandler), parts, func() { d.note("started") }, func() { d.note("stopping") })
}

func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(d.lines, want) {
		t.Errorf("what happened: %q, want %q", d.lines, want)
	}
}

func TestPartsStopInTheReverseOrderOfStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b := d.part("b")
		b.drain = func() { d.note("drain b") }
		if err := d.run(ctx, d.part("a"), b, d.part("c")); err != nil {
			t.Error(err)
		}
		d.want(t, "start a", "start b", "start c", "started", "stopping", "stop c", "drain b", "stop b", "stop a")
	})
}

func TestAPartThatFailsStopsTheOthersAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		broken := errors.New("broken")
		fails := part{name: "b", run: func(ctx context.Context) error {
			select {
			case <-time.After(time.Minute):
				return broken
			case <-ctx.Done():
				return nil
			}
		}}
		err := d.run(t.Context(), d.part("a"), fails, d.part("c"))
		if !errors.Is(err, broken) || err.Error() != "b: broken" {
			t.Errorf("the error is %v", err)
		}
		d.want(t, "start a", "start c", "started", "stopping", "stop c", "stop a")
	})
}

func TestAPartThatCannotStartKeepsTheNextFromStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		fails := part{name: "b", ready: make(chan struct{}), run: func(context.Context) error { return errors.New("no port") }}
		if err := d.run(t.Context(), d.part("a"), fails, d.part("c")); err == nil || err.Error() != "b: no port" {
			t.Errorf("the error is %v", err)
		}
		d.want(t, "start a", "stopping", "stop a")
	})
}

func TestAPartThatEndsByItselfHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		if err := d.run(t.Context(), part{name: "a", run: func(context.Context) error { return nil }}); err == nil || err.Error() != "a: ended by itself" {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestAStopWhileAPartIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		loads := part{name: "b", ready: make(chan struct{}), run: func(ctx context.Context) error { <-ctx.Done(); return nil }}
		if err := d.run(ctx, d.part("a"), loads, d.part("c")); err != nil {
			t.Errorf("the error is %v", err)
		}
		d.want(t, "start a", "stopping", "stop a")
	})
}

func TestAPartThatDoesNotStopIsNamedAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		release := make(chan struct{})
		stuck := part{name: "b", run: func(context.Context) error { <-release; return nil }}
		err := d.run(ctx, d.part("a"), stuck)
		close(release)
		if err == nil || !strings.HasPrefix(err.Error(), "b: did not stop within") {
			t.Errorf("the error is %v", err)
		}
		d.want(t, "start a", "started", "stopping", "stop a")
	})
}

func TestErrorsOfAStopAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		dirty := part{name: "b", run: func(ctx context.Context) error { <-ctx.Done(); return errors.New("disk full") }}
		if err := d.run(ctx, d.part("a"), dirty); err == nil || err.Error() != "b: disk full" {
			t.Errorf("the error is %v", err)
		}
	})
}
