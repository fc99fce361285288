package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A line of a table: the clock goes on to a second, something is heard, and
// the verdicts that follow.
type line struct {
	at   int // seconds
	ev   binding.Event
	want Outcome
	ask  map[string]string // "address number" to verdict/reason
}

const (
	sim1, sim2 = binding.MSISDN(491700000001), binding.MSISDN(491700000002)
	ue1, ue2   = "10.0.0.1", "10.0.0.2"
)

func at(s int) time.Time { return rigEpoch.Add(time.Duration(s) * time.Second) }

func start(node, id string, t int, m binding.MSISDN, addrs ...string) binding.Event {
	return binding.Event{Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: node, Session: id, Time: at(t), MSISDN: m, Addrs: addresses(addrs...)}
}

func interim(node, id string, t int, m binding.MSISDN, addrs ...string) binding.Event {
	ev := start(node, id, t, m, addrs...)
	ev.Kind, ev.Complete = binding.SessionUpdate, true
	return ev
}

func stop(node, id string, t int) binding.Event {
	return binding.Event{Kind: binding.SessionStop, Source: binding.SourceRADIUS, Node: node, Session: id, Time: at(t)}
}

func onNode(kind binding.Kind, node string, t int) binding.Event {
	return binding.Event{Kind: kind, Source: binding.SourceRADIUS, Node: node, Time: at(t)}
}

func gx(ev binding.Event) binding.Event {
	ev.Source, ev.Node = binding.SourceGx, "pgw.lab"
	return ev
}

func with(ev binding.Event, change func(*binding.Event)) binding.Event {
	change(&ev)
	return ev
}

func overheard(ev binding.Event) binding.Event {
	ev.Observed = true
	return ev
}

func says(verdict string, m ...binding.MSISDN) map[string]string {
	ask := map[string]string{}
	for _, n := range m {
		ask[ue1+" "+n.String()] = verdict
	}
	return ask
}

var ruleTables = []struct {
	claim string
	cfg   func(*Config)
	lines []line
}{
	{claim: "T1 a late stop of the former owner leaves the new owner alone", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied, ask: says("match/bound", sim1)},
		{at: 2, ev: start("nas", "b", 2, sim2, ue1), want: Applied, ask: says("match/bound", sim2)},
		{at: 3, ev: stop("nas", "a", 1), want: Applied, ask: says("match/bound", sim2)},
		{at: 4, ev: stop("nas", "b", 4), want: Applied, ask: says("unknown/no-binding", sim1, sim2)},
	}},
	{claim: "T1 a stop that carries no address ends what its session holds", lines: []line{
		{at: 1, ev: gx(start("", "a", 1, sim1, ue1, "2001:db8:1::/64")), want: Applied},
		{at: 2, ev: gx(stop("", "a", 2)), want: Applied, ask: map[string]string{
			ue1 + " +491700000001": "unknown/no-binding", "2001:db8:1::9 +491700000001": "unknown/no-binding"}},
	}},
	{claim: "T2 an older start that arrives late does not own the address", lines: []line{
		{at: 10, ev: start("nas", "b", 10, sim2, ue1), want: Applied},
		{at: 11, ev: start("nas", "a", 5, sim1, ue1), want: Late, ask: says("match/bound", sim2)},
		{at: 12, ev: stop("nas", "a", 9), want: Applied, ask: says("match/bound", sim2)},
	}},
	{claim: "T2 clocks of one second tie, arrival order decides within a node", lines: []line{
		{at: 10, ev: start("nas", "a", 10, sim1, ue1), want: Applied},
		{at: 10, ev: start("nas", "b", 10, sim2, ue1), want: Applied, ask: says("match/bound", sim2)},
	}},
	{claim: "T2 a tie between nodes is a conflict", lines: []line{
		{at: 10, ev: start("nas", "a", 10, sim1, ue1), want: Applied},
		{at: 10, ev: start("nas2", "b", 10, sim2, ue1), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
	}},
	{claim: "T2 an order that the network leaves open is not guessed", lines: []line{
		{at: 10, ev: start("nas", "a", 10, sim1, ue1), want: Applied},
		{at: 20, ev: with(start("nas", "b", 5, sim2, ue1), func(e *binding.Event) { e.Delay, e.Delayed = 10*time.Second, true }), want: Applied,
			ask: says("ambiguous/conflict", sim1, sim2)},
		{at: 21, ev: interim("nas", "b", 21, sim2, ue1), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
		{at: 22, ev: stop("nas", "a", 22), want: Applied, ask: says("match/bound", sim2)},
	}},
	{claim: "T3 an interim makes up for a lost start", lines: []line{
		{at: 60, ev: interim("nas", "a", 60, sim1, ue1), want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T3 an interim older than the stop does not revive the session", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 9, ev: stop("nas", "a", 9), want: Applied},
		{at: 10, ev: interim("nas", "a", 8, sim1, ue1), want: Late, ask: says("unknown/no-binding", sim1)},
		{at: 11, ev: interim("nas", "a", 9, sim1, ue1), want: Late, ask: says("unknown/no-binding", sim1)},
	}},
	{claim: "T3 a start that its own stop overtook does not bind, and ends older owners", lines: []line{
		{at: 1, ev: start("nas", "old", 1, sim2, ue1), want: Applied},
		{at: 9, ev: stop("nas", "a", 9), want: Late, ask: says("match/bound", sim2)},
		{at: 10, ev: start("nas", "a", 5, sim1, ue1), want: Late, ask: says("unknown/no-binding", sim1, sim2)},
	}},
	{claim: "T4 a newer session on the same address wins at its node", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 5, ev: start("nas", "b", 5, sim2, ue1), want: Applied, ask: says("match/bound", sim2)},
		{at: 6, ev: start("nas", "c", 6, sim1, ue1), want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T4 a handover's old session does not end the new one", lines: []line{
		{at: 1, ev: start("nas", "3g", 1, sim1, ue1), want: Applied},
		{at: 5, ev: start("nas", "4g", 5, sim1, ue1), want: Applied},
		{at: 6, ev: stop("nas", "3g", 6), want: Applied, ask: says("match/bound", sim1)},
		{at: 7, ev: stop("nas", "4g", 7), want: Applied, ask: says("unknown/no-binding", sim1)},
	}},
	{claim: "T4 an older session that goes on claiming the address makes a doubt", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 5, ev: start("nas", "b", 5, sim2, ue1), want: Applied},
		{at: 9, ev: interim("nas", "a", 9, sim1, ue1), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
	}},
	{claim: "T5 newest does not win between nodes, refreshes settle nothing, an end does", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 5, ev: start("evil", "b", 5, sim2, ue1), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
		{at: 9, ev: interim("nas", "a", 9, sim1, ue1), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
		{at: 12, ev: interim("evil", "b", 12, sim2, ue1), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
		{at: 13, ev: stop("evil", "b", 13), want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T5 a conflict ends with a node's restart", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 5, ev: start("nas2", "b", 5, sim2, ue1), want: Applied},
		{at: 9, ev: onNode(binding.NodeRestart, "nas2", 9), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
		{at: 10, ev: interim("nas", "a", 10, sim1, ue1), want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T5 a conflict ends with a lease", cfg: func(c *Config) { c.Lease = time.Minute }, lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 40, ev: start("nas2", "b", 40, sim2, ue1), want: Applied, ask: says("ambiguous/conflict", sim1, sim2)},
		{at: 70, ev: interim("nas2", "b", 70, sim2, ue1), want: Applied, ask: says("match/bound", sim2)},
	}},
	{claim: "T6 one source's end leaves the address ending until the other ends it too", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 1, ev: gx(start("", "g", 1, sim1, ue1)), want: Applied, ask: says("match/bound", sim1)},
		{at: 9, ev: gx(stop("", "g", 9)), want: Applied, ask: says("ambiguous/ending", sim1)},
		{at: 10, ev: stop("nas", "a", 10), want: Applied, ask: says("unknown/no-binding", sim1)},
	}},
	{claim: "T6 the other source may confirm", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 1, ev: gx(start("", "g", 1, sim1, ue1)), want: Applied},
		{at: 9, ev: gx(stop("", "g", 9)), want: Applied},
		{at: 12, ev: interim("nas", "a", 8, sim1, ue1), want: Applied, ask: says("ambiguous/ending", sim1)},
		{at: 14, ev: interim("nas", "a", 14, sim1, ue1), want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T6 ending is bounded by linger", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 1, ev: gx(start("", "g", 1, sim1, ue1)), want: Applied},
		{at: 9, ev: gx(stop("", "g", 9)), want: Applied, ask: says("ambiguous/ending", sim1)},
		{at: 60, ev: onNode(binding.NodeUp, "nas", 60), want: Duplicate, ask: says("unknown/no-binding", sim1)},
	}},
	{claim: "T7 a restart ends all earlier sessions at once, and none that started after", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 5, ev: start("nas", "b", 5, sim2, ue2), want: Applied},
		{at: 6, ev: onNode(binding.NodeRestart, "nas", 4), want: Applied, ask: map[string]string{
			ue1 + " +491700000001": "unknown/ended", ue2 + " +491700000002": "match/bound"}},
		{at: 7, ev: interim("nas", "a", 3, sim1, ue1), want: Late, ask: says("unknown/no-binding", sim1)},
		{at: 8, ev: onNode(binding.NodeRestart, "nas", 4), want: Duplicate, ask: map[string]string{ue2 + " +491700000002": "match/bound"}},
	}},
	{claim: "T7 a node whose clock is behind spares nothing", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 4000, ev: onNode(binding.NodeRestart, "nas", 400), want: Applied, ask: says("unknown/ended", sim1)},
	}},
	{claim: "T7 clocks of one second tie with an arrival within it", lines: []line{
		{at: 10, ev: with(onNode(binding.NodeRestart, "nas", 10), func(e *binding.Event) { e.Time = e.Time.Add(700 * time.Millisecond) }), want: Applied},
		{at: 10, ev: start("nas", "a", 10, sim1, ue1), want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T8 a lost node's bindings are stale and recover", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 2, ev: onNode(binding.NodeDown, "nas", 2), want: Applied, ask: says("match/bound", sim1)},
		{at: 400, ev: start("nas2", "x", 400, sim2, ue2), want: Applied, ask: says("stale/node-lost", sim1)},
		{at: 401, ev: onNode(binding.NodeUp, "nas", 401), want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T9 a lease runs out to stale, later released", cfg: func(c *Config) { c.Lease, c.LeaseGrace = time.Minute, time.Minute }, lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 62, ev: start("nas", "x", 62, sim2, ue2), want: Applied, ask: says("stale/lease", sim1)},
		{at: 122, ev: onNode(binding.NodeUp, "nas", 122), want: Duplicate, ask: says("unknown/no-binding", sim1)},
	}},
	{claim: "T10 an address outside the pools is refused", cfg: pools, lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, "192.0.2.1"), want: RefusedPool, ask: map[string]string{"192.0.2.1 +491700000001": "unknown/out-of-pool"}},
		{at: 2, ev: start("nas", "b", 2, sim1, ue1), want: Applied, ask: says("match/bound", sim1)},
		{at: 3, ev: with(start("nas", "c", 3, sim2, ue2), func(e *binding.Event) { e.APN = "ims" }), want: RefusedDomain},
	}},
	{claim: "T11 the key is the prefix and the longest wins", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, "2001:db8:0:ff00::/56"), want: Applied, ask: map[string]string{
			"2001:db8:0:ff12::1 +491700000001": "match/bound", "2001:db8:0:fe00::1 +491700000001": "unknown/no-binding"}},
		{at: 2, ev: start("nas", "b", 2, sim2, "2001:db8:0:ff12::/64"), want: Applied, ask: map[string]string{
			"2001:db8:0:ff12:abcd::1 +491700000002": "match/bound", "2001:db8:0:ff13::1 +491700000001": "match/bound"}},
	}},
	{claim: "T12 after a loss what was overheard before is not trusted, what is heard since is", lines: []line{
		{at: 1, ev: overheard(start("nas", "a", 1, sim1, ue1)), want: Applied},
		{at: 1, ev: overheard(start("nas", "b", 1, sim2, ue2)), want: Applied},
		{at: 9, ev: binding.Event{Kind: binding.NewsLost}, want: Applied, ask: map[string]string{
			ue1 + " +491700000001": "stale/unconfirmed", ue2 + " +491700000002": "stale/unconfirmed"}},
		{at: 10, ev: overheard(interim("nas", "a", 10, sim1, ue1)), want: Applied, ask: map[string]string{
			ue1 + " +491700000001": "match/bound", ue2 + " +491700000002": "stale/unconfirmed"}},
		{at: 11, ev: overheard(start("nas", "c", 11, sim1, ue2)), want: Applied, ask: map[string]string{ue2 + " +491700000001": "match/bound"}},
	}},
	{claim: "T12 a loss takes nothing from those who speak to us", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 2, ev: overheard(interim("nas", "a", 2, sim1, ue1)), want: Applied},
		{at: 9, ev: binding.Event{Kind: binding.NewsLost}, want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "T12 another source that lost nothing vouches for the binding", lines: []line{
		{at: 1, ev: overheard(start("nas", "a", 1, sim1, ue1)), want: Applied},
		{at: 1, ev: gx(start("", "g", 1, sim1, ue1)), want: Applied},
		{at: 9, ev: binding.Event{Kind: binding.NewsLost}, want: Applied, ask: says("match/bound", sim1)},
		{at: 10, ev: gx(stop("", "g", 10)), want: Applied, ask: says("ambiguous/ending", sim1)},
	}},
	{claim: "T12 a loss may be only marked", cfg: func(c *Config) { c.MarkOnLoss = true }, lines: []line{
		{at: 1, ev: overheard(start("nas", "a", 1, sim1, ue1)), want: Applied},
		{at: 9, ev: binding.Event{Kind: binding.NewsLost}, want: Applied, ask: says("match/bound", sim1)},
	}},
	{claim: "a number that changes within a session is the session's new one", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 2, ev: interim("nas", "a", 2, sim2, ue1), want: Applied, ask: map[string]string{
			ue1 + " +491700000002": "match/bound", ue1 + " +491700000001": "mismatch/other-number"}},
	}},
	{claim: "an interim with another address gives up the first", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 2, ev: interim("nas", "a", 2, sim1, ue2), want: Applied, ask: map[string]string{
			ue1 + " +491700000001": "unknown/no-binding", ue2 + " +491700000001": "match/bound"}},
	}},
	{claim: "a session id that a node uses again is another session", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 9, ev: start("nas", "a", 9, sim2, ue2), want: Applied, ask: map[string]string{
			ue1 + " +491700000001": "unknown/no-binding", ue2 + " +491700000002": "match/bound"}},
	}},
	{claim: "TS 29.061 the stop of one context leaves the session, the last ends it", lines: []line{
		{at: 1, ev: with(start("nas", "a", 1, sim1, ue1), func(e *binding.Event) { e.Contexts = 1 << 5 }), want: Applied},
		{at: 2, ev: with(interim("nas", "a", 2, sim1, ue1), func(e *binding.Event) { e.Contexts = 1 << 6 }), want: Applied},
		{at: 3, ev: with(stop("nas", "a", 3), func(e *binding.Event) { e.Contexts = 1 << 6 }), want: OneContext, ask: says("match/bound", sim1)},
		{at: 4, ev: with(stop("nas", "a", 4), func(e *binding.Event) { e.Contexts = 1 << 5 }), want: Applied, ask: says("unknown/no-binding", sim1)},
	}},
	{claim: "TS 29.061 Session-Stop-Indicator ends the sessions of all contexts", lines: []line{
		{at: 1, ev: with(start("nas", "a", 1, sim1, ue1), func(e *binding.Event) { e.Contexts = 1 << 5 }), want: Applied},
		{at: 2, ev: with(start("nas", "b", 2, sim1, ue1), func(e *binding.Event) { e.Contexts = 1 << 6 }), want: Applied, ask: says("match/bound", sim1)},
		{at: 3, ev: with(stop("nas", "b", 3), func(e *binding.Event) { e.Contexts, e.Last = 1<<6, true }), want: Applied, ask: says("unknown/no-binding", sim1)},
	}},
	{claim: "a holder without any identity is nobody's match", lines: []line{
		{at: 1, ev: start("nas", "a", 1, sim1, ue1), want: Applied},
		{at: 2, ev: start("nas", "b", 2, 0, ue1), want: Applied, ask: says("unknown/no-msisdn", sim1)},
	}},
}

func pools(c *Config) {
	c.Domains = []binding.Domain{{Name: "internet", APNs: []string{"internet"}, Pools: prefixes("10.0.0.0/16")}}
}

func TestRules(t *testing.T) {
	for _, table := range ruleTables {
		t.Run(table.claim, func(t *testing.T) {
			c := Config{Capacity: 64}
			if table.cfg != nil {
				table.cfg(&c)
			}
			g := newRig(t, c)
			for i, l := range table.lines {
				g.now = at(l.at)
				g.sweepAll()
				if got := g.on(l.ev); got != l.want {
					t.Fatalf("line %d: outcome %q, want %q", i, got, l.want)
				}
				for ask, want := range l.ask {
					addr, number, _ := cut(ask)
					m, _ := binding.ParseMSISDN(number)
					if got := g.verify(addr, m); got != want {
						t.Errorf("line %d: VERIFY %s is %s, want %s", i, ask, got, want)
					}
				}
				if fault := g.audit(); fault != "" {
					t.Fatalf("line %d: %s", i, fault)
				}
			}
		})
	}
}
