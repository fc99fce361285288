package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// A part measures one line or a few of the table.
type part struct {
	name string
	// tools are the programs without which the part is skipped.
	tools []string
	run   func(ctx context.Context, s *stage) ([]result, error)
}

// parts are in the order of running: what needs the filled daemon comes
// together, and restarts of it go from its first size to a larger one.
func parts() []part {
	return []part{
		{name: "index", run: runIndex},
		{name: "accounting", tools: []string{"freeradius"}, run: runAccounting},
		{name: "gx", run: runGx},
		{name: "tap", tools: []string{"ip"}, run: runTap},
		{name: "memory", run: runMemory},
		{name: "restart", run: runRestart},
		{name: "verify", tools: []string{"redis-server", "redis-benchmark"}, run: runVerify},
		{name: "latency", run: runLatency},
		{name: "numverify", run: runNumverify},
		{name: "journal", run: runJournal},
		{name: "feed", run: runFeed},
		{name: "sites", run: runSites},
	}
}

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// selected are the parts of the given names; all without any.
func selected(names []string) ([]part, error) {
	all := parts()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.Contains(partNames(), name) {
			return nil, fmt.Errorf("there is no part %q; choose from %s", name, strings.Join(partNames(), ", "))
		}
	}
	return slices.DeleteFunc(all, func(p part) bool { return !slices.Contains(names, p.name) }), nil
}

// run runs the selected parts. What was measured before an error is returned
// with it.
func run(ctx context.Context, o options, progress io.Writer) (results []result, err error) {
	chosen, err := selected(o.only)
	if err != nil {
		return nil, err
	}
	s, err := newStage(o, progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var failed []error
	for _, p := range chosen {
		list, err := runPart(ctx, s, p)
		results = append(results, list...)
		if ctx.Err() != nil {
			return results, errors.New("interrupted")
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
			s.say("%s: %v", p.name, err)
		}
	}
	return results, errors.Join(failed...)
}

func runPart(ctx context.Context, s *stage, p part) ([]result, error) {
	for _, tool := range p.tools {
		if !installed(tool) {
			s.say("%s: skipped: %s is not installed", p.name, tool)
			return []result{{Part: p.name, Work: "skipped: " + tool + " is not installed"}}, nil
		}
	}
	began := time.Now()
	s.say("%s …", p.name)
	list, err := p.run(ctx, s)
	for i := range list {
		list[i].Part = p.name
	}
	s.say("%s: done in %.1f s", p.name, time.Since(began).Seconds())
	return list, err
}

// A stage is what the parts share.
type stage struct {
	options
	dir      string
	progress io.Writer
	filled   *site  // started when a part first needs it
	binary   string // of simbindd, built when it is first needed
}

// newStage makes the scratch directory. Its path is short: Unix sockets lie in
// it.
func newStage(o options, progress io.Writer) (*stage, error) {
	dir, err := os.MkdirTemp("", "sbbench")
	if err != nil {
		return nil, err
	}
	return &stage{options: o, dir: dir, progress: progress, binary: o.daemon}, nil
}

func (s *stage) close() error {
	if s.filled != nil {
		s.filled.stop()
	}
	return os.RemoveAll(s.dir)
}

func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.progress, "bench: "+format+"\n", args...)
}

// scale is n, or a small share of it in tests.
func (s *stage) scale(n int) int {
	if s.quick {
		return max(n/100, 500)
	}
	return n
}

// span is d, or a small share of it in tests.
func (s *stage) span(d time.Duration) time.Duration {
	if s.quick {
		return d / 20
	}
	return d
}
