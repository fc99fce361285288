package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/simbind/simbind/binding/query"
)

func plain(m *topModel) string { return ansi.Strip(m.text()) }

// moment is what a daemon says so many seconds after noon.
func moment(seconds int, events, seq uint64, nodes ...query.NodeReply) sample {
	return sample{
		at:    noon.Add(time.Duration(seconds) * time.Second),
		nodes: nodes,
		status: query.StatusReply{
			Site: "lab", Healthy: true, Sessions: 30, SessionsCap: 100, JournalSeq: seq,
			Counters: map[string]uint64{"events_applied": events - 1, "refused_pool": 1, "feed_delivered": seq},
		},
	}
}

func newTestTop(first sample) *topModel {
	return newTopModel(first, func() time.Time { return noon }, time.Second, nil)
}

func TestTopShowsRatesBetweenAnswers(t *testing.T) {
	m := newTestTop(moment(0, 100, 10))
	m.Update(moment(2, 300, 40))
	for _, want := range []string{"site lab", "healthy", "30 of 100 (30%)", "events/s           100", "changes/s           15", "published/s         15"} {
		if !strings.Contains(plain(m), want) {
			t.Errorf("no %q in\n%s", want, plain(m))
		}
	}
}

func TestTopTakesARestartedDaemonForANewOne(t *testing.T) {
	m := newTestTop(moment(0, 1000, 100))
	m.Update(moment(1, 5, 101))
	if got := m.curves[0].rate; got != 0 {
		t.Errorf("counters that fell give a rate of %v", got)
	}
}

func TestTopSaysWhenTheDaemonIsGoneAndKeepsTheLastAnswer(t *testing.T) {
	m := newTestTop(moment(0, 100, 10))
	m.Update(sample{at: noon, err: errors.New("dial: no such file")})
	if got := plain(m); !strings.Contains(got, "no answer since 2026-03-01T12:00:00Z: dial: no such file") || !strings.Contains(got, "30 of 100") {
		t.Errorf("the daemon went away:\n%s", got)
	}
	m.Update(moment(5, 100, 10))
	if got := plain(m); strings.Contains(got, "no answer") {
		t.Errorf("the daemon is back:\n%s", got)
	}
}

func TestTopListsLostNodesFirstAndSaysHowManyItLeftOut(t *testing.T) {
	nodes := []query.NodeReply{
		{Name: "small", Source: "gx", Up: true, Sessions: 1, Heard: noon},
		{Name: "large", Source: "gx", Up: true, Sessions: 9, Heard: noon},
		{Name: "lost\x1b[2J", Source: "radius", Heard: noon.Add(-time.Hour)},
	}
	m := newTestTop(moment(0, 1, 1, nodes...))
	m.Update(tea.WindowSizeMsg{Width: 100, Height: nodesTop + 3})
	got := plain(m)
	lost, large := strings.Index(got, "lost"), strings.Index(got, "large")
	if lost < 0 || large < lost || strings.Contains(got, "small") || !strings.Contains(got, "and 1 more: simbind nodes") {
		t.Errorf("three nodes, room for two:\n%s", got)
	}
	if strings.Contains(m.text(), "\x1b[2J") {
		t.Error("a node's name moved the cursor")
	}
}

func TestTopLinesFitTheTerminal(t *testing.T) {
	m := newTestTop(moment(0, 1, 1, query.NodeReply{Name: strings.Repeat("n", 300), Source: "gx", Heard: noon}))
	m.Update(tea.WindowSizeMsg{Width: 40, Height: 24})
	for line := range strings.SplitSeq(plain(m), "\n") {
		if n := ansi.StringWidth(line); n > 40 {
			t.Errorf("a line of %d cells: %q", n, line)
		}
	}
}

func TestTopEndsOnQ(t *testing.T) {
	_, cmd := newTestTop(moment(0, 1, 1)).Update(tea.KeyPressMsg{Code: 'q', Text: "q"})
	if cmd == nil || cmd() != (tea.QuitMsg{}) {
		t.Error("q does not end it")
	}
}

func TestTopNeedsATerminalAndADaemon(t *testing.T) {
	s := newSession("top")
	if code := s.run(); code != exitUsage || !strings.Contains(s.err.String(), "simbind status -o json") {
		t.Errorf("without a terminal: exit %d, %s", code, &s.err)
	}
	s = newSession("top", "--socket", t.TempDir()+"/none")
	s.env.screen = func(context.Context, tea.Model) error { t.Error("drew without a daemon"); return nil }
	if code := s.run(); code != exitUnreachable {
		t.Errorf("without a daemon: exit %d, %s", code, &s.err)
	}
}
