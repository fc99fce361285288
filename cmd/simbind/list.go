package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/query"
)

func words(list []string) string { return strings.Join(list, ",") }

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "How is the daemon?",
		Long: `How is the daemon, and what did it count? Counters that are zero are left out
of the table.

Exit 0 if it is healthy, 1 if not; the problems say why.`,
		Example: "  simbind status",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.status(cmd.Context()) },
	}
}

func (c *cli) status(ctx context.Context) error {
	var s query.StatusReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		s, err = q.Status(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.print(s, func(g *grid) { c.statusTable(g, s) }); err != nil {
		return err
	}
	if !s.Healthy {
		return errNo
	}
	return nil
}

func (c *cli) statusTable(g *grid, s query.StatusReply) {
	g.fact("site", s.Site)
	g.fact("daemon", s.Daemon)
	g.fact("started", c.stamp(s.Started))
	g.fact("healthy", yesNo(s.Healthy))
	for _, problem := range s.Problems {
		g.fact("problem", problem)
	}
	g.fact("warming", yesNo(s.Warming))
	g.fact("sessions", share(s.Sessions, s.SessionsCap))
	g.fact("addresses", share(s.Addresses, s.AddressCap))
	g.fact("tombstones", s.Tombstones)
	nodes := strconv.Itoa(s.Nodes)
	if odd := s.Edges["nodes"]; odd != "" {
		nodes += ": " + odd
	}
	g.fact("nodes", nodes)
	g.fact("queue", share(s.Queue, s.QueueCap))
	g.fact("journal", fmt.Sprintf("change %d, %d commits, the last took %v",
		s.JournalSeq, s.Commits, time.Duration(s.CommitMicros)*time.Microsecond))
	for _, name := range slices.Sorted(maps.Keys(s.Edges)) {
		if name == "nodes" {
			continue // said with their number
		}
		g.fact(name, s.Edges[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		if n := s.Counters[name]; n != 0 {
			g.fact(name, n)
		}
	}
}

func (c *cli) nodesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "nodes",
		Short: "Who owns sessions, and is heard?",
		Long: `Who owns sessions: PGWs, NASes, GTP-C and PFCP entities, and when each was last
heard. Diameter agents and PCRFs, which own none, come last.

  NODE           its Origin-Host, NAS-Identifier, or address
  SOURCE         how it is heard: gx radius gtpv2 gtpv1 pfcp feed
  UP, SINCE      whether it is there, and since when that is so
  HEARD          its last event
  SESSIONS       that live
  EVENTS         that were heard of it
  RESTARTS       that it told, LAST RESTART the last of them by its own clock
  NEWS LOST      when some of it was missed; what it bound before is in doubt
  OWNER          the client, peer, group or sender that brings it; "one of
                 several" if another one brings the same name, as another node;
                 "not in the configuration" if nobody there can go on with it
  CLOCK          how far it is ahead of or behind the daemon's, if that is known
  LINK           of Gx: okay, suspect (no answer to the watchdog), reopen (after
                 that), leaving, closed; upstream: a relay forwards to it
  ROUND TRIP     of its last watchdog
  ORIGIN STATE   its Origin-State-Id
  ANSWERS        that it got, by result code`,
		Example: "  simbind nodes",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.nodes(cmd.Context()) },
	}
}

func (c *cli) nodes(ctx context.Context) error {
	var nodes []query.NodeReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		nodes, err = q.Nodes(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(nodes, func(g *grid) {
		g.row("NODE", "SOURCE", "UP", "SINCE", "HEARD", "SESSIONS", "EVENTS", "RESTARTS", "LAST RESTART", "NEWS LOST", "OWNER", "CLOCK", "LINK", "ROUND TRIP", "ORIGIN STATE", "ANSWERS")
		for _, n := range nodes {
			state, trip, origin, results := link(n.Link)
			g.row(n.Name, n.Source, yesNo(n.Up), utc(n.Since), c.distance(n.Heard), n.Sessions, n.Events, n.Restarts, utc(n.Restart), utc(n.Degraded), owner(&n), clock(&n), state, trip, origin, results)
		}
	})
}

// owner names who brings a node's events.
func owner(n *query.NodeReply) string {
	switch {
	case n.Orphaned:
		return n.Owner + " (not in the configuration)"
	case n.Shared:
		return strings.TrimSpace(n.Owner + " (one of several)")
	}
	return n.Owner
}

// clock says how far a node's clock is ahead of the daemon's.
func clock(n *query.NodeReply) string {
	switch {
	case n.Timeless:
		return "tells no time"
	case !n.OffsetKnown:
		return ""
	case n.OffsetMS < 0:
		return (time.Duration(-n.OffsetMS) * time.Millisecond).String() + " behind"
	}
	return (time.Duration(n.OffsetMS) * time.Millisecond).String() + " ahead"
}

// link says in four words how the connection to a node is, of which the last is
// our answers by result code.
func link(l *query.LinkReply) (state, trip, origin, results string) {
	if l == nil {
		return "", "", "", ""
	}
	state = l.State
	if l.Upstream {
		state += " upstream"
	}
	if l.RoundTripMicros > 0 {
		trip = (time.Duration(l.RoundTripMicros) * time.Microsecond).String()
	}
	if l.OriginState > 0 {
		origin = strconv.FormatUint(uint64(l.OriginState), 10)
	}
	var words []string
	for _, code := range slices.Sorted(maps.Keys(l.Results)) {
		words = append(words, fmt.Sprintf("%s:%d", code, l.Results[code]))
	}
	return state, trip, origin, strings.Join(words, " ")
}

// sessionsPage is how many sessions are asked for at a time.
const sessionsPage = 1000

func (c *cli) sessionsCommand() *cobra.Command {
	var limit int
	attributes := []string{"msisdn", "imsi", "apn", "node", "domain"}
	cmd := &cobra.Command{
		Use:       "sessions " + strings.Join(attributes, "|") + " VALUE",
		Short:     "What is bound, by one attribute?",
		Example:   "  simbind sessions msisdn +34600000001",
		ValidArgs: attributes,
		Args:      cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(attributes, args[0]) {
				return usagef("sessions by %s: it is one of %s", args[0], strings.Join(attributes, ", "))
			}
			if limit < 0 {
				return usagef("--limit %d: it is a number of sessions, 0 for all", limit)
			}
			return c.sessions(cmd.Context(), args[0], args[1], limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many, 0 for all")
	return cmd
}

func (c *cli) sessions(ctx context.Context, by, value string, limit int) error {
	list, more, err := c.collect(ctx, by, value, limit)
	if err != nil {
		return err
	}
	err = c.print(list, func(g *grid) {
		g.row("ADDRESS", "DOMAIN", "MSISDN", "IMSI", "APN", "NODE", "SOURCES", "STATE", "SINCE", "SEEN")
		for _, b := range list {
			state := b.State
			if b.Reason != "" && b.Reason != b.State {
				state += "/" + b.Reason
			}
			g.row(b.Addr, b.Domain, b.MSISDN, b.IMSI, b.APN, b.Node, words(b.Sources), state, utc(b.Since), c.distance(b.Seen))
		}
	})
	if err != nil {
		return err
	}
	if more {
		fmt.Fprintf(c.stderr, "simbind: there are more than %d; ask with a larger --limit, or --limit 0 for all\n", limit)
	}
	if len(list) == 0 {
		return errNo
	}
	return nil
}

// collect asks page by page, each within askTimeout.
func (c *cli) collect(ctx context.Context, by, value string, limit int) (list []query.BindingReply, more bool, err error) {
	list = []query.BindingReply{}
	for cursor := ""; ; {
		page := sessionsPage
		if limit > 0 {
			page = min(page, limit-len(list))
		}
		err := c.ask(ctx, func(ctx context.Context, q *query.Client) error {
			found, next, err := q.Sessions(ctx, by, value, page, cursor)
			list, cursor = append(list, found...), next
			return err
		})
		switch {
		case err != nil:
			return nil, false, err
		case limit > 0 && len(list) > limit: // a page ends with a whole session
			return list[:limit], true, nil
		case cursor == "":
			return list, false, nil
		case limit > 0 && len(list) == limit:
			return list, true, nil
		}
	}
}

func (c *cli) traceCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "trace ADDRESS|IMSI|+MSISDN",
		Short: "What was heard about a subscriber or an address?",
		Long: `What was heard lately about a subscriber or an address, oldest first, and what
became of it.

ARRIVED is the daemon's clock, NETWORK TIME what the event says of when it
happened. NODE is the PGW, SMF or NAS whose session it is (of an
operator-release: who released), SOURCE how it was heard. MSISDN and IMSI are
what the event named. OUTCOME is one of:

  applied        it counts: its session began, goes on, changed or ended by it
  late           its session was over when it came, or has a later word already:
                 it only says who had the address before
  duplicate      it repeats what was said before
  one of several contexts ended
                 a secondary bearer: its session is in doubt until its next word
  may be of a former session with this id
                 a Stop of which that cannot be told: its session is in doubt
                 until its next word
  refused: …     nothing is bound by it: address outside the pools, address
                 wider than one session may hold, no domain for the APN,
                 capacity, too many nodes, malformed event
  (placeholder)  behind one of these: its number or IMSI is one of the
                 placeholders of the configuration, and names nobody`,
		Example: "  simbind trace 10.45.0.7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usagef("--limit %d: it is at least 1", limit)
			}
			return c.trace(cmd.Context(), args[0], limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many events")
	return cmd
}

func (c *cli) trace(ctx context.Context, key string, limit int) error {
	var events []query.TraceReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		events, err = q.Trace(ctx, key, limit)
		return err
	})
	if err != nil {
		return err
	}
	err = c.print(events, func(g *grid) {
		g.row("ARRIVED", "NETWORK TIME", "EVENT", "SOURCE", "NODE", "SESSION", "ADDRESSES", "DOMAIN", "MSISDN", "IMSI", "OUTCOME")
		for _, e := range events {
			g.row(utc(e.At), utc(e.Time), e.Kind, e.Source, e.Node, e.Session, words(e.Addrs), e.Domain, e.MSISDN, e.IMSI, e.Outcome)
		}
	})
	if err == nil && len(events) == 0 {
		return errNo
	}
	return err
}
