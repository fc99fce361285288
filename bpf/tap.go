package bpf

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/observe"
	"github.com/simbind/simbind/bpf/wire"
)

// An Observer is told what the tap sees, in the order in which it was seen:
// [observe.Observer].
type Observer interface {
	// Frame takes one frame in and keeps nothing of it.
	Frame(*wire.Frame)
	// Advance lets time pass.
	Advance(now time.Time)
	// Counts tells what of it was lost later on.
	Counts() observe.Counts
}

// A Tap watches interfaces. Its methods may be called by anyone.
type Tap struct {
	cfg      Config
	observer Observer
	submit   binding.SubmitFunc
	log      *slog.Logger
	ready    chan struct{}

	losses loss // owned by the reader

	mu       sync.Mutex
	kernel   *kernel         // nil while the tap is off
	hooks    map[int]*hook   // by interface index
	known    map[string]bool // names that were ever hooked
	refused  map[int]string  // interfaces that cannot be tapped, and why
	problem  string          // why the tap is off
	final    kernelCounts    // of a kernel that is closed
	changed  atomic.Bool     // an interface that was hooked is gone, or is back
	notified atomic.Uint64   // NewsLost events that the Registry took
}

// New makes the tap. It does no I/O.
func New(cfg Config, observer Observer, submit binding.SubmitFunc, log *slog.Logger) *Tap {
	return &Tap{
		cfg: cfg.withDefaults(), observer: observer, submit: submit, log: log.With("part", "tap"), ready: make(chan struct{}),
		hooks: map[int]*hook{}, known: map[string]bool{}, refused: map[int]string{}, problem: "not started",
	}
}

// Ready is closed when the tap watches what is there, or is off.
func (t *Tap) Ready() <-chan struct{} { return t.ready }

// Run watches until ctx ends and then returns nil. An error means a bad
// configuration; whatever else is wrong turns the tap off, see State.
func (t *Tap) Run(ctx context.Context) error {
	if err := t.cfg.Check(); err != nil {
		return err
	}
	k, err := loadKernel(t.cfg)
	if err != nil {
		t.off(err)
		close(t.ready)
		<-ctx.Done()
		return nil
	}
	defer k.close()
	if err := t.watch(ctx, k); err != nil {
		t.off(err)
		<-ctx.Done()
	}
	return nil
}

// watch runs the tap on a loaded kernel until ctx ends or it cannot go on.
func (t *Tap) watch(ctx context.Context, k *kernel) error {
	r, err := newReader(k)
	if err != nil {
		close(t.ready)
		return err
	}
	defer r.Close()
	t.mu.Lock()
	t.kernel, t.problem = k, ""
	t.mu.Unlock()
	defer t.unhookAll()
	t.rescan()
	t.log.Info("watching", "mode", k.mode, "interfaces", t.State().Interfaces)
	close(t.ready)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.followInterfaces(ctx) })
	g.Go(func() error { return t.read(ctx, r) })
	g.Go(func() error {
		<-ctx.Done()
		return r.Flush() // wakes the reader, which alone may close
	})
	if err := g.Wait(); ctx.Err() == nil || err != nil {
		return err
	}
	return nil
}

// off says why nothing is watched, and that news is lost from now on.
func (t *Tap) off(err error) {
	t.mu.Lock()
	t.kernel, t.problem = nil, explain(err)
	problem := t.problem
	t.mu.Unlock()
	t.log.Warn("the tap is off; the daemon goes on without it", "err", problem)
	if err := t.submit(binding.Event{Kind: binding.NewsLost, Arrived: t.cfg.Now()}); err == nil {
		t.notified.Add(1)
	}
}

// A State is the tap's account of itself.
type State struct {
	// Mode is ModeTCX or ModePacket; empty while the tap is off.
	Mode string
	// Interfaces are those that are watched.
	Interfaces []string
	// Problem says why nothing is watched, Warnings what else deserves a look.
	Problem  string
	Warnings []string
	// Matched packets were selected by the kernel. Each was Delivered to the
	// ring buffer or Lost.
	Matched, Delivered, Lost uint64
	// EventsWaiting for the Registry are those that found its queue full, and
	// EventsLost those for which there was no room to wait either.
	EventsWaiting int
	EventsLost    uint64
	// Notified is how often the Registry was told that news is missing.
	Notified uint64
}

// State is the tap's account of itself.
func (t *Tap) State() State {
	o := t.observer.Counts()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := State{Problem: t.problem, Notified: t.notified.Load(), EventsWaiting: o.Waiting, EventsLost: o.EventsLost}
	c := t.countsLocked()
	s.Matched, s.Delivered, s.Lost = c[tapOutcomeMATCHED], c[tapOutcomeDELIVERED], c.lost()
	if t.kernel == nil {
		return s
	}
	s.Mode = t.kernel.mode
	s.Interfaces = t.hooked()
	if len(s.Interfaces) == 0 {
		s.Problem = fmt.Sprintf("no interface matches %s", strings.Join(t.cfg.Interfaces, ", "))
	}
	for _, why := range t.refused {
		s.Warnings = append(s.Warnings, why)
	}
	if s.Lost > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d of %d packets were lost since the start; raise tap.ring_buffer, or name fewer interfaces", s.Lost, s.Matched))
	}
	if s.EventsLost > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d events were lost since the start, as the registry did not keep up", s.EventsLost))
	}
	return s
}

// String says it in a line, for STATUS.
func (s State) String() string {
	if s.Mode == "" || len(s.Interfaces) == 0 {
		return "off: " + s.Problem
	}
	return fmt.Sprintf("%s on %s", s.Mode, strings.Join(s.Interfaces, ", "))
}

// countsLocked are the kernel's counters, or the last that were read of them.
func (t *Tap) countsLocked() kernelCounts {
	if t.kernel != nil {
		if c, err := t.kernel.counts(); err == nil {
			t.final = c
		}
	}
	return t.final
}
