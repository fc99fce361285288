package registry

import (
	"net/netip"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

var someone, someoneElse = oracleSIMs[0], oracleSIMs[1]

// tells is what another site says of one address.
func (g *rig) tells(site, addr string, who binding.Subscriber, doubt binding.Reason) Outcome {
	return g.on(binding.Event{
		Kind: binding.SessionStart, Source: binding.SourceFeed, Node: site, Session: "default " + addr, Arrived: g.now,
		Age:    time.Hour,
		MSISDN: who.MSISDN, IMSI: who.IMSI, APN: "internet", Addrs: addresses(addr), Complete: true,
		Domain: "default", Via: "pgw1", Version: 7, Doubt: doubt,
	})
}

func (g *rig) ofSite(kind binding.Kind, site string) Outcome {
	return g.on(binding.Event{Kind: kind, Source: binding.SourceFeed, Node: site, Time: g.now})
}

func TestFollowedSite(t *testing.T) {
	const addr = "10.0.0.1"
	for _, tt := range []struct {
		claim string
		do    func(g *rig)
		want  string
	}{
		{"what it says is unconfirmed until it has told everything", func(g *rig) {
			g.tells("a", addr, someone, binding.ReasonBound)
		}, "stale/unconfirmed"},
		{"then its word counts", func(g *rig) {
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeCurrent, "a")
		}, "match/bound"},
		{"it says that it cannot tell who: neither can we", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonConflict)
		}, "ambiguous/conflict"},
		{"an end that it waits to see confirmed is no match", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonEnding)
		}, "ambiguous/ending"},
		{"a lease is its own: ours does not run", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.pass(time.Hour)
		}, "match/bound"},
		{"a lease that ran out there has run out here", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonLease)
		}, "stale/lease"},
		{"its last word counts, however fast it comes", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someoneElse, binding.ReasonBound)
			g.on(binding.Event{Kind: binding.SessionStop, Source: binding.SourceFeed, Node: "a", Session: "default " + addr,
				Arrived: g.now})
			g.tells("a", addr, someone, binding.ReasonBound)
		}, "match/bound"},
		{"another SIM takes the place of the former", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.tells("a", addr, someoneElse, binding.ReasonBound)
		}, "mismatch/other-number"},
		{"a holder whose number it does not know is not the former", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.tells("a", addr, binding.Subscriber{IMSI: someone.IMSI}, binding.ReasonBound)
		}, "unknown/no-msisdn"},
		{"two sites that agree corroborate", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("b", addr, someone, binding.ReasonBound)
		}, "match/bound"},
		{"of two that agree one is lost: the other's word counts", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("b", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeDown, "a")
			g.pass(time.Hour)
		}, "match/bound"},
		{"of two that agreed one has heard of the end: the other has not yet", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("b", addr, someone, binding.ReasonBound)
			g.on(binding.Event{Kind: binding.SessionStop, Source: binding.SourceFeed, Node: "a", Session: "default " + addr,
				Arrived: g.now})
		}, "ambiguous/ending"},
		{"two sites that disagree are in conflict", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("b", addr, someoneElse, binding.ReasonBound)
		}, "ambiguous/conflict"},
		{"a site and our own gateway that disagree are in conflict", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", someoneElse, addr)
		}, "ambiguous/conflict"},
		{"a site in conflict itself, and another that names one, are in conflict", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, binding.Subscriber{}, binding.ReasonConflict)
			g.tells("b", addr, someone, binding.ReasonBound)
		}, "ambiguous/conflict"},
		{"nor is it a mismatch for whom the other one does not name", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, binding.Subscriber{}, binding.ReasonConflict)
			g.tells("b", addr, someoneElse, binding.ReasonBound)
		}, "ambiguous/conflict"},
		{"a site in conflict itself, and another that knows the SIM alone, are in conflict", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, binding.Subscriber{}, binding.ReasonConflict)
			g.tells("b", addr, binding.Subscriber{IMSI: someone.IMSI}, binding.ReasonBound)
		}, "ambiguous/conflict"},
		{"a site in conflict itself, and our own gateway that names one, are in conflict", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", someone, addr)
			g.tells("a", addr, binding.Subscriber{}, binding.ReasonConflict)
		}, "ambiguous/conflict"},
		{"two sites that disagree stay in conflict when one cannot tell any more who", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("b", addr, someone, binding.ReasonBound)
			g.tells("a", addr, someoneElse, binding.ReasonBound)
			g.tells("a", addr, binding.Subscriber{}, binding.ReasonConflict)
		}, "ambiguous/conflict"},
		{"a conflict of a site that is lost is not over", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, binding.Subscriber{}, binding.ReasonConflict)
			g.tells("b", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeDown, "a")
			g.pass(time.Hour)
		}, "ambiguous/conflict"},
		{"it is over when the site says so", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, binding.Subscriber{}, binding.ReasonConflict)
			g.tells("b", addr, someone, binding.ReasonBound)
			g.tells("a", addr, someone, binding.ReasonBound)
		}, "match/bound"},
		{"what one site waits to see confirmed another does not confirm", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("b", addr, someone, binding.ReasonBound)
			g.tells("a", addr, someone, binding.ReasonEnding)
		}, "ambiguous/ending"},
		{"of two that agree one waits for a refresh: the other's word counts", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("b", addr, someone, binding.ReasonBound)
			g.tells("a", addr, someone, binding.ReasonLease)
		}, "match/bound"},
		{"a wider address of which a site cannot tell whose it is makes the narrower one of another a conflict",
			func(g *rig) {
				g.ofSite(binding.NodeCurrent, "a")
				g.ofSite(binding.NodeCurrent, "b")
				g.tells("a", "10.0.0.0/24", binding.Subscriber{}, binding.ReasonConflict)
				g.tells("b", addr, someone, binding.ReasonBound)
			}, "ambiguous/conflict"},
		{"a lost one counts until the loss timeout", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeDown, "a")
			g.pass(oracleConfig.LossTimeout)
		}, "match/bound"},
		{"and is stale then", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeDown, "a")
			g.pass(oracleConfig.LossTimeout + time.Millisecond)
		}, "stale/node-lost"},
		{"old news of a lost one does not bring it back", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeDown, "a")
			g.pass(oracleConfig.LossTimeout + time.Millisecond)
			g.tells("a", addr, someone, binding.ReasonBound)
		}, "stale/node-lost"},
		{"one that is lost counts from its last heartbeat", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			heard := g.now
			g.pass(oracleConfig.LossTimeout)
			g.on(binding.Event{Kind: binding.NodeDown, Source: binding.SourceFeed, Node: "a", Time: heard})
			g.pass(time.Millisecond)
		}, "stale/node-lost"},
		{"one that is heard again is as good as before", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeDown, "a")
			g.pass(time.Hour)
			g.ofSite(binding.NodeUp, "a")
		}, "match/bound"},
		{"a site that is told anew has lost what it does not repeat", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeRestart, "a")
			g.ofSite(binding.NodeCurrent, "a")
		}, "unknown/ended"},
		{"until all is told anew, what it said is unconfirmed and not over", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeBehind, "a")
			g.pass(time.Minute)
		}, "stale/unconfirmed"},
		{"nor does that settle a conflict with another site", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, someoneElse, binding.ReasonBound)
			g.tells("b", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeBehind, "a")
			g.tells("a", "10.0.0.2", someone, binding.ReasonBound)
			g.pass(time.Minute)
		}, "ambiguous/conflict"},
		{"or with our own gateway", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.tells("a", addr, someoneElse, binding.ReasonBound)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", someone, addr)
			g.ofSite(binding.NodeBehind, "a")
			g.pass(time.Second)
		}, "ambiguous/conflict"},
		{"when all is told anew, what was not repeated does not dispute it any more", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, someoneElse, binding.ReasonBound)
			g.tells("b", addr, someone, binding.ReasonBound)
			g.pass(time.Second)
			g.ofSite(binding.NodeBehind, "a")
			g.tells("a", "10.0.0.2", someone, binding.ReasonBound)
			g.ofSite(binding.NodeRestart, "a")
			g.pass(time.Second)
		}, "match/bound"},
		{"what was repeated does", func(g *rig) {
			g.ofSite(binding.NodeCurrent, "a")
			g.ofSite(binding.NodeCurrent, "b")
			g.tells("a", addr, someoneElse, binding.ReasonBound)
			g.tells("b", addr, someone, binding.ReasonBound)
			g.pass(time.Second)
			g.ofSite(binding.NodeBehind, "a")
			g.tells("a", addr, someoneElse, binding.ReasonBound)
			g.ofSite(binding.NodeRestart, "a")
			g.pass(time.Second)
		}, "ambiguous/conflict"},
		{"what was repeated before it was told anew once more has not been repeated", func(g *rig) {
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeBehind, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeBehind, "a")
			g.ofSite(binding.NodeRestart, "a")
			g.ofSite(binding.NodeCurrent, "a")
		}, "unknown/ended"},
		{"a clock that is set back does not make the new the older", func(g *rig) {
			g.tells("a", addr, someone, binding.ReasonBound)
			g.now = g.now.Add(-time.Hour)
			g.ofSite(binding.NodeBehind, "a")
			g.tells("a", "10.0.0.2", someone, binding.ReasonBound)
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeRestart, "a")
			g.ofSite(binding.NodeCurrent, "a")
			g.pass(time.Second)
		}, "match/bound"},
		{"nor the old the newer", func(g *rig) {
			g.tells("a", addr, someone, binding.ReasonBound)
			g.now = g.now.Add(-time.Hour)
			g.ofSite(binding.NodeBehind, "a")
			g.ofSite(binding.NodeRestart, "a")
			g.ofSite(binding.NodeCurrent, "a")
			g.pass(time.Second)
		}, "unknown/no-binding"},
		{"and keeps what it repeats", func(g *rig) {
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeRestart, "a")
			g.tells("a", addr, someone, binding.ReasonBound)
			g.ofSite(binding.NodeCurrent, "a")
			g.pass(time.Second)
		}, "match/bound"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			g := newRig(t, oracleConfig)
			tt.do(g)
			if got := g.verify(addr, someone.MSISDN); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if fault := g.audit(); fault != "" {
				t.Error(fault)
			}
		})
	}
}

// TestFollowedSiteThatNobodyWatches: readers see by their own clock that a site
// has been silent for too long, whoever else runs.
func TestFollowedSiteThatNobodyWatches(t *testing.T) {
	const addr = "10.0.0.1"
	g := newRig(t, oracleConfig)
	want := func(claim, verdict string) {
		t.Helper()
		if got := g.verify(addr, someone.MSISDN); got != verdict {
			t.Errorf("%s: %s, want %s", claim, got, verdict)
		}
	}
	g.ofSite(binding.NodeCurrent, "a")
	g.tells("a", addr, someone, binding.ReasonBound)
	g.now = g.now.Add(oracleConfig.LossTimeout)
	want("until the loss timeout it counts", "match/bound")
	g.now = g.now.Add(time.Millisecond)
	want("then it does not", "stale/node-lost")
	g.tells("a", addr, someone, binding.ReasonBound)
	want("what it told before is no heartbeat", "stale/node-lost")
	g.on(binding.Event{Kind: binding.NodeUp, Source: binding.SourceFeed, Node: "a",
		Time: g.now.Add(-oracleConfig.LossTimeout)})
	want("a heartbeat counts from when it was heard", "match/bound")
	g.now = g.now.Add(time.Millisecond)
	want("and no longer", "stale/node-lost")
	g.on(binding.Event{Kind: binding.NodeCurrent, Source: binding.SourceFeed, Node: "a"})
	want("a position that is kept is no heartbeat", "stale/node-lost")
	g.ofSite(binding.NodeUp, "a")
	want("one of now counts", "match/bound")
	g.now = g.now.Add(-time.Hour)
	want("a clock that was set back tells nothing of how long ago", "stale/node-lost")
}

// TestHeartbeatsAreNotKept: a heartbeat that changes nothing makes no batch for the
// journal.
func TestHeartbeatsAreNotKept(t *testing.T) {
	g := newRig(t, oracleConfig)
	g.ofSite(binding.NodeCurrent, "a")
	g.commit(t)
	up := binding.Event{Kind: binding.NodeUp, Source: binding.SourceFeed, Node: "a", Time: g.now}
	if g.Registry.take(&up); !g.batch.empty() {
		t.Error("a heartbeat is kept")
	}
	g.ofSite(binding.NodeDown, "a")
	g.commit(t)
	if g.Registry.take(&up); len(g.batch.Nodes) != 1 {
		t.Error("that a lost site is heard again is not kept")
	}
}

// TestFollowedSitesAreNotPublished: what other sites know is theirs to publish,
// or two replicas would tell each other the same for ever.
func TestFollowedSitesAreNotPublished(t *testing.T) {
	g := newRig(t, oracleConfig)
	g.ofSite(binding.NodeCurrent, "a")
	g.tells("a", "10.0.0.1", someone, binding.ReasonBound)
	g.tells("a", "10.0.0.1", someoneElse, binding.ReasonBound)
	if len(g.batch.Changes) != 0 || len(g.batch.notices) != 2 || g.seq != 0 {
		t.Errorf("%d changes published, %d shown to watchers: %v", len(g.batch.Changes), len(g.batch.notices),
			g.batch.notices)
	}
	// Where our own gateway speaks of the address too, it is ours.
	g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", someone, "10.0.0.1")
	if n := len(g.batch.Changes); n != 1 || g.batch.Changes[0].Kind != binding.Conflict {
		t.Errorf("%d changes: %v", n, g.batch.Changes)
	}
}

// TestFollowedSiteAfterARestart: what it said is unconfirmed until it has told
// what we missed, and its own doubt is not forgotten.
func TestFollowedSiteAfterARestart(t *testing.T) {
	g := newRig(t, oracleConfig)
	g.ofSite(binding.NodeCurrent, "a")
	g.tells("a", "10.0.0.1", someone, binding.ReasonBound)
	g.tells("a", "10.0.0.2", someone, binding.ReasonConflict)
	g.commit(t)
	g.boot(t, oracleConfig)
	if got := g.verify("10.0.0.1", someone.MSISDN); got != "stale/unconfirmed" {
		t.Errorf("before it has told what we missed: %s", got)
	}
	g.ofSite(binding.NodeCurrent, "a")
	if got := g.verify("10.0.0.1", someone.MSISDN); got != "match/bound" {
		t.Errorf("after it has told what we missed: %s", got)
	}
	if got := g.verify("10.0.0.2", someone.MSISDN); got != "ambiguous/conflict" {
		t.Errorf("an address that the site cannot tell: %s", got)
	}
	b, _ := g.Lookup(binding.Query{Addr: netip.MustParseAddr("10.0.0.1")})
	if b.Node != "pgw1" || b.Site != "a" || b.Version != 7 || b.APN != "internet" ||
		!b.Since.Equal(g.now.Add(-time.Hour)) {
		t.Errorf("lookup: %+v", b)
	}
}

// TestFollowedSiteIsToldAnewOverARestart: what was told anew, and what was not,
// is known after a restart too, whether that came before the end or after it.
func TestFollowedSiteIsToldAnewOverARestart(t *testing.T) {
	want := func(g *rig, claim, addr, verdict string) {
		t.Helper()
		if got := g.verify(addr, someone.MSISDN); got != verdict {
			t.Errorf("%s: %s, want %s", claim, got, verdict)
		}
	}
	for _, set := range []time.Duration{time.Second, -time.Hour} { // the clock meanwhile
		g := newRig(t, oracleConfig)
		for i, addr := range []string{"10.0.0.1", "10.0.0.2"} {
			g.tells("a", addr, someone, binding.ReasonBound)
			g.tells("b", addr, oracleSIMs[i], binding.ReasonBound)
		}
		boot := func() {
			g.commit(t)
			g.now = g.now.Add(set)
			g.boot(t, oracleConfig)
			g.ofSite(binding.NodeCurrent, "b")
			g.sweepAll()
		}
		g.ofSite(binding.NodeBehind, "a")
		g.tells("a", "10.0.0.1", someone, binding.ReasonBound)
		boot()
		want(g, "it was interrupted", "10.0.0.2", "ambiguous/conflict")
		g.ofSite(binding.NodeBehind, "a")
		g.tells("a", "10.0.0.1", someone, binding.ReasonBound)
		g.ofSite(binding.NodeRestart, "a")
		boot()
		g.ofSite(binding.NodeCurrent, "a")
		want(g, "it was repeated", "10.0.0.1", "match/bound")
		want(g, "it was not, and the other site's word counts", "10.0.0.2", "mismatch/other-number")
		g.tells("a", "10.0.0.3", someone, binding.ReasonBound)
		want(g, "what it tells since counts", "10.0.0.3", "match/bound")
	}
}

// TestStateIsPublished: a state that changes without an event is a change.
func TestStateIsPublished(t *testing.T) {
	g := newRig(t, oracleConfig)
	g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", someone, "10.0.0.1")
	want := func(claim string, kind binding.ChangeKind, state binding.State, why binding.Reason) {
		t.Helper()
		n := len(g.batch.Changes)
		if n == 0 {
			t.Fatalf("%s: no change", claim)
		}
		if c := g.batch.Changes[n-1]; c.Kind != kind || c.State != state || c.Reason != why ||
			c.Now.MSISDN != someone.MSISDN {
			t.Errorf("%s: %+v", claim, c)
		}
		g.commit(t)
	}
	want("a start", binding.Bound, binding.StateBound, binding.ReasonBound)
	g.pass(oracleConfig.Lease / 2)
	if n := len(g.batch.Changes); n != 0 {
		t.Fatalf("nothing happened, and there are %d changes", n)
	}
	g.say(binding.NodeDown, binding.SourceGx, "pgw", "", binding.Subscriber{})
	g.pass(oracleConfig.LossTimeout + time.Second)
	want("its node is lost", binding.Updated, binding.StateStale, binding.ReasonNodeLost)
	g.boot(t, oracleConfig)
	g.pass(0)
	if n := len(g.batch.Changes); n != 0 {
		t.Errorf("after a restart it is told again: %v", g.batch.Changes)
	}
	g.say(binding.NodeUp, binding.SourceGx, "pgw", "", binding.Subscriber{})
	g.pass(0)
	want("its node is back", binding.Updated, binding.StateBound, binding.ReasonBound)
	g.pass(oracleConfig.Lease / 3)
	want("its lease ran out", binding.Updated, binding.StateStale, binding.ReasonLease)
	g.say(binding.SessionUpdate, binding.SourceGx, "pgw", "s", someone, "10.0.0.1")
	g.pass(0)
	want("it is refreshed", binding.Updated, binding.StateBound, binding.ReasonBound)
}
