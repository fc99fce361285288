package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the asker and the server too, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == askCommand {
		os.Exit(askMain(os.Args[2:], os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == stockGxCommand {
		os.Exit(stockGxMain(os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

// quickly are the options of a run that measures a little of everything.
func quickly() options {
	return options{sessions: 2000, rounds: 1, output: "table", quick: true}
}

// These tests start real servers; simbindd is built once for all of them.
func TestWithRealServers(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts real servers")
	}
	builder, err := newStage(quickly(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer builder.close()
	daemon, err := builder.simbindd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := quickly()
	o.daemon = daemon
	t.Run("every part measures something", func(t *testing.T) { everyPartMeasures(t, o) })
	t.Run("many sessions are written into the journal", func(t *testing.T) { journalIsWritten(t, o) })
	t.Run("an interrupt ends what was started", func(t *testing.T) { interruptEnds(t, o) })
}

func everyPartMeasures(t *testing.T, o options) {
	for _, p := range parts() {
		for _, tool := range p.tools {
			if !installed(tool) && os.Getenv("SIMBIND_CI") == "1" {
				t.Fatalf("%s is not installed", tool)
			}
		}
	}
	var progress bytes.Buffer
	results, err := run(t.Context(), o, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, p := range parts() {
		if !slices.ContainsFunc(results, func(r result) bool { return r.Part == p.name }) {
			t.Errorf("the part %s has no result", p.name)
		}
	}
	for _, r := range results {
		if strings.HasPrefix(r.Work, "skipped") && os.Getenv("SIMBIND_CI") == "1" {
			t.Errorf("%s was %s", r.Part, r.Work)
		}
		if r.Reach == nil {
			continue
		}
		// Rates and times may be what they are, but nothing may be lost or wrong.
		if r.Reach.Zero && r.Here != 0 || !r.Reach.Zero && r.Here <= 0 {
			t.Errorf("%s: %v", r.Work, r.Here)
		}
	}
}

func journalIsWritten(t *testing.T, o options) {
	s, err := newStage(o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	d, err := s.startReady(t.Context(), s.sessions)
	if err != nil {
		t.Fatal(err)
	}
	s.filled = &site{daemon: d, stage: s}
	if err := s.filled.fillByJournal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.filled.checkSample(t.Context()); err != nil {
		t.Error(err)
	}
}

// A trigger calls f when a text is written to it.
type trigger struct {
	text string
	f    func()
}

func (t trigger) Write(b []byte) (int, error) {
	if strings.Contains(string(b), t.text) {
		t.f()
	}
	return len(b), nil
}

func interruptEnds(t *testing.T, o options) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := newStage(o, trigger{"binding", cancel})
	if err != nil {
		t.Fatal(err)
	}
	_, err = runLatency(ctx, s)
	if err == nil || s.filled == nil {
		t.Fatalf("it was not interrupted: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	select {
	case <-s.filled.exited:
	case <-time.After(time.Second):
		t.Error("the daemon lives on")
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", s.dir, err)
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "nothing"}, {"-o", "xml"}, {"-sessions", "1"}, {"-sessions", "20000000"}, {"-rounds", "0"}, {"now"}, {"-unknown"},
	} {
		var out, errs bytes.Buffer
		if code := program(t.Context(), args, &out, &errs); code != exitUsage || errs.Len() == 0 {
			t.Errorf("%v: code %d, %q", args, code, &errs)
		}
	}
}

func TestTheIndexTakesMoreThanTheDaemonsPool(t *testing.T) {
	if _, err := parse([]string{"-only", "index", "-sessions", "20000000"}, &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}

func TestAMissingToolSkipsThePart(t *testing.T) {
	s := &stage{progress: &bytes.Buffer{}}
	list, err := runPart(t.Context(), s, part{name: "x", tools: []string{"no-such-program"}})
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Work, "no-such-program is not installed") {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestJSONTellsWhatTheTableTells(t *testing.T) {
	var out bytes.Buffer
	want := versus("work", "s", []float64{2, 1, 3}, "peer", []float64{1}, atMost(3)).noted("a remark")
	if err := printJSON(&out, []result{want}); err != nil {
		t.Fatal(err)
	}
	var got struct{ Results []result }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if r := got.Results[0]; r.Here != 2 || r.Ratio != 2 || r.Reached == nil || !*r.Reached || r.Reach.AtMost != 3 || r.Notes[0] != "a remark" {
		t.Errorf("got %+v", r)
	}
}
