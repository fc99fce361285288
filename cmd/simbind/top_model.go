package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/NimbleMarkets/ntcharts/v2/sparkline"

	"github.com/simbind/simbind/binding/query"
)

// A curve is one rate over time.
type curve struct {
	name  string
	of    func(query.StatusReply) uint64
	rate  float64
	chart sparkline.Model
}

// A topModel is the screen of top: the last answer, and the rates between the
// answers before it.
type topModel struct {
	now    func() time.Time
	every  time.Duration
	ask    func() sample
	last   sample // the last answer
	err    error  // why there was none since
	curves []*curve
	width  int
	height int
}

const (
	chartWidth = 60
	firstWidth = 80 // until the terminal tells its size
	nodesTop   = 14 // lines above the list of nodes
)

func bold(s string) string  { return lipgloss.NewStyle().Bold(true).Render(s) }
func alarm(s string) string { return lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red).Render(s) }

func newTopModel(first sample, now func() time.Time, every time.Duration, ask func() sample) *topModel {
	m := &topModel{now: now, every: every, ask: ask, last: first, width: firstWidth, height: 24}
	for _, c := range []curve{
		{name: "events/s", of: func(s query.StatusReply) uint64 { return heard(s) }},
		{name: "changes/s", of: func(s query.StatusReply) uint64 { return s.JournalSeq }},
		{name: "published/s", of: func(s query.StatusReply) uint64 { return s.Counters["feed_delivered"] }},
	} {
		c.chart = sparkline.New(chartWidth, 1)
		m.curves = append(m.curves, &c)
	}
	return m
}

// heard is how many events were judged, whatever became of them.
func heard(s query.StatusReply) (n uint64) {
	for name, count := range s.Counters {
		if strings.HasPrefix(name, "events_") || strings.HasPrefix(name, "refused_") || name == "stops_of_unknown_sessions" {
			n += count
		}
	}
	return n
}

type askNow struct{}

// Init implements tea.Model.
func (m *topModel) Init() tea.Cmd { return m.later() }

func (m *topModel) later() tea.Cmd {
	return tea.Tick(m.every, func(time.Time) tea.Msg { return askNow{} })
}

// Update implements tea.Model.
func (m *topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		if slices.Contains([]string{"q", "esc", "ctrl+c"}, msg.String()) {
			return m, tea.Quit
		}
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case askNow:
		return m, func() tea.Msg { return m.ask() }
	case sample:
		m.take(msg)
		return m, m.later()
	}
	return m, nil
}

// take notes an answer and the rates since the one before. A counter that fell
// belongs to another life of the daemon.
func (m *topModel) take(s sample) {
	if m.err = s.err; s.err != nil {
		return
	}
	seconds := s.at.Sub(m.last.at).Seconds()
	for _, c := range m.curves {
		before, after := c.of(m.last.status), c.of(s.status)
		c.rate = 0
		if after > before && seconds > 0 {
			c.rate = float64(after-before) / seconds
		}
		c.chart.Push(c.rate)
	}
	m.last = s
}

// View implements tea.Model.
func (m *topModel) View() tea.View {
	v := tea.NewView(m.text())
	v.AltScreen = true
	v.WindowTitle = "simbind top"
	return v
}

func (m *topModel) text() string {
	var b bytes.Buffer
	s := m.last.status
	fmt.Fprintln(&b, bold("simbind top")+"  site "+printable(s.Site)+"  "+utc(m.last.at)+"  (q ends it)")
	switch {
	case m.err != nil:
		fmt.Fprintln(&b, alarm("no answer since "+utc(m.last.at)+": "+printable(m.err.Error())))
	case s.Warming:
		fmt.Fprintln(&b, alarm("warming: the journal is being loaded"))
	case !s.Healthy:
		fmt.Fprintln(&b, alarm("not healthy: "+printable(strings.Join(s.Problems, "; "))))
	default:
		fmt.Fprintln(&b, "healthy")
	}
	fmt.Fprintln(&b)
	g := newGrid(&b)
	g.row("sessions", share(s.Sessions, s.SessionsCap))
	g.row("addresses", share(s.Addresses, s.AddressCap))
	g.row("queue", share(s.Queue, s.QueueCap))
	g.row("last commit", time.Duration(s.CommitMicros)*time.Microsecond)
	g.w.Flush()
	fmt.Fprintln(&b)
	for _, c := range m.curves {
		c.chart.Draw()
		fmt.Fprintf(&b, "%-12s%10.0f  %s\n", c.name, c.rate, c.chart.View())
	}
	fmt.Fprintln(&b)
	m.nodes(&b)
	return fit(b.String(), m.width)
}

// nodes lists who is heard: the lost first, then those with most sessions, as
// many as there is room for.
func (m *topModel) nodes(b *bytes.Buffer) {
	list := slices.Clone(m.last.nodes)
	slices.SortStableFunc(list, func(x, y query.NodeReply) int {
		if x.Up != y.Up {
			if y.Up {
				return -1
			}
			return 1
		}
		return cmp.Compare(y.Sessions, x.Sessions)
	})
	g := newGrid(b)
	g.row("NODE", "SOURCE", "UP", "HEARD", "SESSIONS", "EVENTS", "RESTARTS")
	room := max(m.height-nodesTop-1, 1)
	for _, n := range list[:min(len(list), room)] {
		g.row(n.Name, n.Source, yesNo(n.Up), age(m.now().Sub(n.Heard))+" ago", n.Sessions, n.Events, n.Restarts)
	}
	g.w.Flush()
	if more := len(list) - room; more > 0 {
		fmt.Fprintf(b, "and %d more: simbind nodes\n", more)
	}
}

// fit cuts lines to the width of the terminal, so that none wraps.
func fit(text string, width int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = lipgloss.NewStyle().MaxWidth(width).Render(line)
	}
	return strings.Join(lines, "\n")
}
