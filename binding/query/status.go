package query

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// nodes answers NODES: a list of maps.
func nodes(_ context.Context, s *Server, w *reply, _ *request) {
	list := s.reg.Nodes()
	w.array(len(list))
	for _, n := range list {
		w.object(19)
		w.textField("name", n.Name)
		w.textField("owner", n.Owner)
		w.wordsField("also", n.Also)
		w.textField("source", n.Source.String())
		w.boolField("up", n.Up)
		w.timeField("since", n.Since)
		w.timeField("heard", n.Heard)
		w.timeField("restart", n.Restart)
		w.uintField("restarts", n.Restarts)
		w.intField("sessions", n.Sessions)
		w.uintField("events", n.Events)
		w.boolField("observed", n.Observed)
		w.timeField("degraded", n.Degraded)
		w.boolField("timeless", n.Timeless)
		w.boolField("offset_known", n.OffsetKnown)
		w.intField("offset_ms", int(n.Offset.Milliseconds()))
		w.boolField("shared", n.Shared)
		w.boolField("orphaned", n.Orphaned)
		w.bulk("link")
		link(w, n.Link)
	}
}

// link writes the connection of a node, an empty map if it has none.
func link(w *reply, l *binding.Link) {
	if l == nil {
		w.object(0)
		return
	}
	w.object(9)
	w.textField("state", l.State)
	w.textField("address", l.Address)
	w.boolField("upstream", l.Upstream)
	w.timeField("since", l.Since)
	w.intField("round_trip_us", int(l.RoundTrip.Microseconds()))
	w.intField("origin_state", int(l.OriginState))
	w.intField("waiting", l.Waiting)
	w.intField("pending", l.Pending)
	w.bulk("results")
	w.object(len(l.Results))
	for _, code := range slices.Sorted(maps.Keys(l.Results)) {
		w.uintField(strconv.Itoa(int(code)), l.Results[code])
	}
}

// status answers STATUS: one map.
func status(_ context.Context, s *Server, w *reply, _ *request) {
	st := s.reg.Status()
	w.object(19)
	w.textField("site", st.Site)
	w.textField("daemon", s.cfg.Version)
	w.timeField("started", st.Started)
	w.boolField("warming", st.Warming)
	w.boolField("healthy", st.Healthy)
	w.wordsField("problems", st.Problems)
	w.intField("sessions", st.Sessions)
	w.intField("sessions_cap", st.SessionsCap)
	w.intField("addresses", st.Addresses)
	w.intField("address_cap", st.AddressCap)
	w.intField("tombstones", st.Tombstones)
	w.intField("queue", st.Queue)
	w.intField("queue_cap", st.QueueCap)
	w.intField("nodes", st.Nodes)
	w.uintField("journal_seq", st.JournalSeq)
	w.uintField("commits", st.Commits)
	w.intField("commit_us", int(st.CommitTime.Microseconds()))
	w.bulk("edges")
	w.object(len(st.Edges))
	for _, name := range slices.Sorted(maps.Keys(st.Edges)) {
		w.textField(name, st.Edges[name])
	}
	w.bulk("counters")
	w.object(len(st.Counters))
	for _, name := range slices.Sorted(maps.Keys(st.Counters)) {
		w.uintField(name, st.Counters[name])
	}
}

// info answers INFO: the same as text, in Redis' form of sections.
func info(_ context.Context, s *Server, w *reply, r *request) {
	var wanted []string
	for _, arg := range r.args[1:] {
		wanted = append(wanted, strings.ToLower(string(arg)))
	}
	all := len(wanted) == 0 || slices.Contains(wanted, "all") || slices.Contains(wanted, "everything") || slices.Contains(wanted, "default")
	var b strings.Builder
	for _, sec := range s.sections(s.reg.Status()) {
		if !all && !slices.Contains(wanted, strings.ToLower(sec.name)) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + sec.name + "\r\n" + strings.Join(sec.lines, "\r\n") + "\r\n")
	}
	w.verbatim(b.String())
}

type section struct {
	name  string
	lines []string
}

func (s *section) line(key string, v any) { s.lines = append(s.lines, fmt.Sprintf("%s:%v", key, v)) }

func (s *Server) sections(st binding.Status) []section {
	server := section{name: "Server"}
	server.line("simbind_version", s.cfg.Version)
	server.line("site", st.Site)
	if !st.Started.IsZero() {
		server.line("uptime_in_seconds", int(time.Since(st.Started).Seconds()))
	}
	server.line("warming", digit(st.Warming))
	server.line("healthy", digit(st.Healthy))
	for i, p := range st.Problems {
		server.line("problem"+strconv.Itoa(i), printable([]byte(p)))
	}
	for _, name := range slices.Sorted(maps.Keys(st.Edges)) {
		server.line("edge_"+name, printable([]byte(st.Edges[name])))
	}
	server.line("connected_clients", s.open.Load())
	server.line("watchers", s.watching.Load())

	held := section{name: "Sessions"}
	held.line("sessions", st.Sessions)
	held.line("sessions_cap", st.SessionsCap)
	held.line("addresses", st.Addresses)
	held.line("address_cap", st.AddressCap)
	held.line("tombstones", st.Tombstones)
	held.line("nodes", st.Nodes)
	held.line("queue", st.Queue)
	held.line("queue_cap", st.QueueCap)

	journal := section{name: "Journal"}
	journal.line("journal_seq", st.JournalSeq)
	journal.line("commits", st.Commits)
	journal.line("commit_us", st.CommitTime.Microseconds())

	feed, counters := section{name: "Feed"}, section{name: "Counters"}
	for _, name := range slices.Sorted(maps.Keys(st.Counters)) {
		if strings.HasPrefix(name, "feed_") {
			feed.line(name, st.Counters[name])
			continue
		}
		counters.line(name, st.Counters[name])
	}
	return []section{server, held, journal, feed, counters}
}

func digit(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// printable is b in one line without control characters.
func printable(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), "?")))
}
