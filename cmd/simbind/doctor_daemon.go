package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
)

// From when on a share or a duration deserves a look, and from when on it is
// a failure.
const (
	warnPercent = 80
	failPercent = 95
	slowCommit  = 50 * time.Millisecond
	warnBacklog = 100_000 // changes
)

// checkDaemon looks at what the daemon says of itself. When it cannot be
// asked, that is the only finding.
func (c *cli) checkDaemon(ctx context.Context) []finding {
	var s query.StatusReply
	var nodes []query.NodeReply
	var sites []query.SiteReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		if s, err = q.Status(ctx); err == nil {
			nodes, err = q.Nodes(ctx)
		}
		if err == nil {
			sites, err = q.Sites(ctx)
		}
		return err
	})
	if err != nil {
		says, do, _ := strings.Cut(strings.TrimPrefix(c.explain(ctx, err), query.ErrUnreachable.Error()+": "), ": ")
		if do == "" {
			do = "see the daemon's log (journalctl -u simbindd)"
		}
		return []finding{ok("socket", "%s", says).fail(do)}
	}
	findings := []finding{ok("socket", "%s answers", c.socket), checkVersion(s.Daemon, version())}
	findings = append(findings, checkStatus(s)...)
	findings = append(findings, checkTap(s)...)
	findings = append(findings, checkDirectory(s)...)
	findings = append(findings, checkPair(s)...)
	findings = append(findings, checkSites(sites)...)
	return append(findings, checkNodes(nodes), checkClocks(nodes), checkNames(nodes), checkOwners(nodes))
}

// checkStatus judges the daemon's account of itself.
func checkStatus(s query.StatusReply) []finding {
	const full = "raise capacity in simbindd.yaml and restart: when it is full, new sessions answer unknown"
	return append(checkHealth(s),
		checkShare("sessions", s.Sessions, s.SessionsCap, full),
		checkShare("addresses", s.Addresses, s.AddressCap, full),
		checkShare("queue", s.Queue, s.QueueCap, "events come faster than they are stored: see the disk of data_dir, and the daemon's CPU"),
		checkJournal(s),
		checkFeed(s),
		checkRefused(s),
		checkForgotten(s),
		checkStates(s),
	)
}

func checkVersion(daemon, mine string) finding {
	f := ok("version", "simbindd %s, simbind %s", daemon, mine)
	if daemon != mine {
		return f.warn("install both from one release; restart simbindd if it is the older one")
	}
	return f
}

// checkHealth repeats the daemon's problems, each as a finding of its own.
func checkHealth(s query.StatusReply) []finding {
	var findings []finding
	for _, problem := range s.Problems {
		findings = append(findings, ok("health", "%s", problem).fail("see the daemon's log (journalctl -u simbindd)"))
	}
	switch {
	case len(findings) > 0:
	case s.Warming:
		findings = append(findings, ok("health", "the journal is still being loaded").
			warn("wait; until then an address not yet loaded answers unknown/warming"))
	case !s.Healthy:
		findings = append(findings, ok("health", "simbindd says it is not healthy").fail("see the daemon's log (journalctl -u simbindd)"))
	default:
		findings = append(findings, ok("health", "site %s is healthy", s.Site))
	}
	return findings
}

func checkShare(name string, n, limit int, do string) finding {
	f := ok(name, "%s", share(n, limit))
	switch p := percent(n, limit); {
	case p >= failPercent:
		return f.fail(do)
	case p >= warnPercent:
		return f.warn(do)
	default:
		return f
	}
}

func checkJournal(s query.StatusReply) finding {
	took := time.Duration(s.CommitMicros) * time.Microsecond
	f := ok("journal", "change %d, the last of %d commits took %v", s.JournalSeq, s.Commits, took)
	if took > slowCommit {
		return f.warn("the disk of data_dir is slow to sync; peers wait for it before they are answered")
	}
	return f
}

// checkFeed compares what was decided with what NATS has.
func checkFeed(s query.StatusReply) finding {
	delivered, known := s.Counters["feed_delivered"]
	if !known {
		return ok("feed", "simbindd does not say how many changes NATS has").warn("see /healthz on metrics.listen")
	}
	backlog := s.JournalSeq - min(delivered, s.JournalSeq)
	f := ok("feed", "%d changes wait for NATS", backlog)
	if words := s.Edges["feed"]; words != "" && words != "delivering" {
		return ok("feed", "%d changes wait for NATS: %s", backlog, words).warn("see that NATS is up and takes the site's changes; nothing is lost while data_dir has room")
	}
	if backlog > warnBacklog {
		return f.warn("see that NATS is up and stores; nothing is lost while data_dir has room")
	}
	return f
}

// checkRefused tells of events that were heard and not taken since the start.
func checkRefused(s query.StatusReply) finding {
	var refused []string
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		if why, found := strings.CutPrefix(name, "refused_"); found && s.Counters[name] != 0 {
			refused = append(refused, fmt.Sprintf("%s %d", why, s.Counters[name]))
		}
	}
	if len(refused) == 0 {
		return ok("refused", "no event since the start")
	}
	return ok("refused", "events since the start: %s", strings.Join(refused, ", ")).
		warn("simbind trace ADDRESS tells of each; compare with capacity, and the apns and pools of the domains in simbindd.yaml")
}

// checkForgotten tells of ended sessions that had to be forgotten before nothing
// of before their end could come any more.
func checkForgotten(s query.StatusReply) finding {
	n := s.Counters["forgotten_early"]
	if n == 0 {
		return ok("forgotten", "no session before its time")
	}
	return ok("forgotten", "%d sessions before their time since the start: what is late about them is doubt", n).
		warn("raise capacity in simbindd.yaml and restart: ended sessions need room until max_delay after their end")
}

// checkStates tells of Origin-State-Ids that went back.
func checkStates(s query.StatusReply) finding {
	n := s.Counters["origin_state_contradicted"]
	if n == 0 {
		return ok("restarts", "no Origin-State-Id went back")
	}
	return ok("restarts", "Origin-State-Ids went back %d times since the start: their restarts are not believed for a while", n).
		warn("two gateways use one Origin-Host, or one does not keep its Origin-State-Id: give each a name of its own; simbind nodes shows who restarts often")
}

// checkClocks tells of nodes whose words cannot be put in order by their clock.
func checkClocks(nodes []query.NodeReply) finding {
	const often = 16 // words: twice what a clock takes to settle
	var timeless, unsettled []string
	for i := range nodes {
		switch n := &nodes[i]; {
		case n.Timeless:
			timeless = append(timeless, n.Name)
		case n.Source == binding.SourceRADIUS.String() && !n.OffsetKnown && n.Events >= often:
			unsettled = append(unsettled, n.Name)
		}
	}
	switch {
	case len(timeless) > 0:
		return ok("clocks", "%d of %d nodes tell no time: %s", len(timeless), len(nodes), strings.Join(timeless, ", ")).
			warn("turn Event-Timestamp or Acct-Delay-Time on there; until then each change of holder is in doubt for blind_delay")
	case len(unsettled) > 0:
		return ok("clocks", "the clock of %d of %d nodes is not known: %s", len(unsettled), len(nodes), strings.Join(unsettled, ", ")).
			warn("it was set lately, which eight more words settle; else have it synchronised (NTP) and Event-Timestamp turned on")
	}
	return ok("clocks", "every node that tells a time is understood")
}

// checkNames tells of names that several owners use.
func checkNames(nodes []query.NodeReply) finding {
	owners := map[string][]string{}
	for _, n := range nodes {
		if n.Shared {
			name := fmt.Sprintf("%s (%s)", n.Name, n.Source)
			owners[name] = append(owners[name], cmp.Or(n.Owner, "itself"))
		}
	}
	if len(owners) == 0 {
		return ok("names", "no two owners use one name")
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		slices.Sort(owners[name])
		words = append(words, fmt.Sprintf("%s by %s", name, strings.Join(owners[name], " and ")))
	}
	return ok("names", "%s: each is a node of its own, and what they say of one address is a conflict where it differs", strings.Join(words, "; ")).
		warn("if they are ways to one gateway, give their clients or peers one group; if not, one of them uses a foreign name")
}

// checkOwners tells of sessions that nobody in the configuration can go on with:
// a group was renamed, or a client or peer taken out.
func checkOwners(nodes []query.NodeReply) finding {
	left, sessions := map[string]int{}, 0
	for _, n := range nodes {
		if n.Orphaned {
			left[fmt.Sprintf("%s (%s)", n.Owner, n.Source)] += n.Sessions
			sessions += n.Sessions
		}
	}
	if len(left) == 0 {
		return ok("owners", "all who own sessions are in the configuration")
	}
	var words []string
	for _, owner := range slices.Sorted(maps.Keys(left)) {
		words = append(words, fmt.Sprintf("%d of %s", left[owner], owner))
	}
	return ok("owners", "%d sessions are of owners that the configuration does not have: %s", sessions, strings.Join(words, ", ")).
		warn("if a group, client or peer was renamed, give it the former name as its group and reload; else they count until their lease, and nothing else ends them")
}

func checkNodes(nodes []query.NodeReply) finding {
	var lost, degraded []string
	for _, n := range nodes {
		if !n.Degraded.IsZero() {
			degraded = append(degraded, fmt.Sprintf("%s (%s)", n.Name, n.Source))
		}
		if !n.Up {
			lost = append(lost, fmt.Sprintf("%s (%s, since %s)", n.Name, n.Source, utc(n.Since)))
		}
	}
	if len(nodes) == 0 {
		return ok("nodes", "no node was ever heard").
			warn("point a PGW, SMF or NAS at simbindd; see that its address is among the clients and peers in simbindd.yaml")
	}
	switch {
	case len(lost) == 0 && len(degraded) > 0:
		return ok("nodes", "%d, all of them heard; news of %d was missed: %s", len(nodes), len(degraded), strings.Join(degraded, ", ")).
			warn("what they bound before may have ended unseen, and is trusted again when it is heard again; see why packets were lost")
	case len(lost) == 0:
		return ok("nodes", "%d, all of them heard", len(nodes))
	}
	return ok("nodes", "%d of %d not heard: %s", len(lost), len(nodes), strings.Join(lost, ", ")).
		warn("see the link to them; their bindings turn stale after loss_timeout")
}
