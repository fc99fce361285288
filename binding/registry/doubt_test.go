package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

var doubtConfig = Config{
	Capacity: 64, Lease: 24 * time.Hour, LeaseGrace: time.Hour,
	Linger: 60 * time.Second, LossTimeout: 30 * time.Second, TrustGap: time.Minute,
}

// say applies an event of this moment.
func (g *rig) say(kind binding.Kind, src binding.Source, node, session string, who binding.Subscriber, addrs ...string) Outcome {
	return g.on(binding.Event{Kind: kind, Source: src, Node: node, Session: session, MSISDN: who.MSISDN, IMSI: who.IMSI, Time: g.now, Addrs: addresses(addrs...)})
}

func (g *rig) pass(d time.Duration) { g.now = g.now.Add(d); g.heartbeats(); g.sweepAll() }

func wantVerdict(t *testing.T, g *rig, addr string, who binding.Subscriber, want string) {
	t.Helper()
	if got := g.verify(addr, who.MSISDN); got != want {
		t.Errorf("%s for %v: %s, want %s", addr, who.MSISDN, got, want)
	}
}

// A session without identity may be the next subscriber's: it confirms nothing.
func TestNewIdentitylessSessionDoesNotConfirm(t *testing.T) {
	const x = "10.0.0.1"
	g := newRig(t, doubtConfig)
	g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x)
	g.pass(time.Second)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf1", "p1", noSIM, x)
	wantVerdict(t, g, x, simA, "match/bound")
	g.pass(10 * time.Second)
	g.say(binding.SessionStop, binding.SourcePFCP, "smf1", "p1", noSIM)
	wantVerdict(t, g, x, simA, "ambiguous/ending")
	g.pass(10 * time.Second)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf1", "p2", noSIM, x)
	wantVerdict(t, g, x, simA, "ambiguous/ending")
	g.pass(10 * time.Second)
	g.say(binding.SessionUpdate, binding.SourcePFCP, "smf1", "p2", noSIM)
	wantVerdict(t, g, x, simA, "ambiguous/ending")
	g.say(binding.SessionUpdate, binding.SourceGx, "pgw1", "g1", simA)
	wantVerdict(t, g, x, simA, "match/bound")
}

// Nor does one that takes the place of another at its node.
func TestIdentitylessReplacementMakesDoubt(t *testing.T) {
	const x = "10.0.0.1"
	g := newRig(t, doubtConfig)
	g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x)
	g.pass(time.Second)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf1", "p1", noSIM, x)
	g.pass(time.Hour)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf1", "p2", noSIM, x) // p1's end was lost
	wantVerdict(t, g, x, simA, "ambiguous/ending")
}

// A node that uses a session id for another SIM has ended the former session,
// whatever other sources missed.
func TestReusedSessionIDTakesTheFormerSIMsAddress(t *testing.T) {
	const x = "10.0.0.1"
	for _, y := range []string{x, "10.0.0.2"} {
		for _, kind := range []binding.Kind{binding.SessionStart, binding.SessionUpdate} {
			g := newRig(t, doubtConfig)
			g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x)
			g.say(binding.SessionStart, binding.SourceRADIUS, "nas1", "r1", simA, x)
			g.pass(10 * time.Second)
			g.say(kind, binding.SourceRADIUS, "nas1", "r1", simB, y)
			g.pass(10 * time.Second)
			g.say(binding.SessionStop, binding.SourceRADIUS, "nas1", "r1", simB)
			wantVerdict(t, g, x, simA, "ambiguous/ending")
		}
	}
}

// A short absence does not undo the doubt of a long one before it.
func TestDoubtSurvivesASecondRestart(t *testing.T) {
	const x = "10.0.0.1"
	g := newRig(t, doubtConfig)
	g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x)
	g.commit(t)
	g.pass(time.Hour)
	g.boot(t, doubtConfig)
	wantVerdict(t, g, x, simA, "stale/unconfirmed")
	g.commit(t)
	g.pass(2 * time.Second)
	g.boot(t, doubtConfig)
	wantVerdict(t, g, x, simA, "stale/unconfirmed")
}

// T8 does not forget over a restart of ours.
func TestLostNodeStaysLostOverARestart(t *testing.T) {
	const x = "10.0.0.1"
	g := newRig(t, doubtConfig)
	g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x)
	g.say(binding.NodeDown, binding.SourceGx, "pgw1", "", noSIM)
	g.commit(t)
	g.pass(time.Hour)
	wantVerdict(t, g, x, simA, "stale/node-lost")
	g.journal.meta.Alive = g.now
	g.boot(t, doubtConfig)
	if v := g.verify(x, simA.MSISDN); v == "match/bound" {
		t.Errorf("lost node is %s after a restart", v)
	}
}

// Its clock is ten days behind, so its restart looks older than the last one.
func TestNodeWhoseClockFellBackStillRestarts(t *testing.T) {
	const x = "10.0.0.1"
	g := newRig(t, doubtConfig)
	g.say(binding.NodeRestart, binding.SourceRADIUS, "nas1", "", noSIM)
	g.pass(time.Minute)
	g.say(binding.SessionStart, binding.SourceRADIUS, "nas1", "r1", simA, x)
	g.pass(time.Hour)
	at := g.now
	g.now = g.now.Add(-10 * 24 * time.Hour) // its clock
	ev := binding.Event{Kind: binding.NodeRestart, Source: binding.SourceRADIUS, Node: "nas1", Time: g.now}
	g.now = at
	g.on(ev)
	if v := g.verify(x, simA.MSISDN); v == "match/bound" {
		t.Errorf("after the restart of a node with a slow clock: %s", v)
	}
	g.pass(time.Second)
	ev = binding.Event{Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "nas1", Session: "r2", MSISDN: simB.MSISDN, IMSI: simB.IMSI, Time: g.now.Add(-10 * 24 * time.Hour), Addrs: addresses(x)}
	g.on(ev)
	if v := g.verify(x, simA.MSISDN); v == "match/bound" {
		t.Errorf("after the start of another: %s", v)
	}
}

// By its clock a stop and a start come before what they follow.
func TestClockThatFellBackBindsNothingOld(t *testing.T) {
	const x = "10.0.0.1"
	g := newRig(t, doubtConfig)
	g.say(binding.SessionStart, binding.SourceRADIUS, "nas1", "r1", simA, x)
	g.pass(2 * time.Hour)
	slow := func(kind binding.Kind, session string, who binding.Subscriber) {
		g.on(binding.Event{Kind: kind, Source: binding.SourceRADIUS, Node: "nas1", Session: session, MSISDN: who.MSISDN, IMSI: who.IMSI, Time: g.now.Add(-24 * time.Hour), Addrs: addresses(x)})
	}
	slow(binding.SessionStop, "r1", simA)
	if v := g.verify(x, simA.MSISDN); v == "match/bound" {
		t.Errorf("after the stop with a slow clock: %s", v)
	}
	slow(binding.SessionStart, "r2", simB)
	if v := g.verify(x, simA.MSISDN); v == "match/bound" {
		t.Errorf("after the start of another with a slow clock: %s", v)
	}
}

// A session that names all its addresses has left the former one, even if the
// new one is refused.
func TestRefusedAddressReplacesTheFormer(t *testing.T) {
	const x = "10.0.0.1"
	c := doubtConfig
	c.Domains = []binding.Domain{{Name: "d", APNs: []string{"*"}, Pools: prefixes("10.0.0.0/8")}}
	g := newRig(t, c)
	g.say(binding.SessionStart, binding.SourceGx, "pgw1", "g1", simA, x)
	wantVerdict(t, g, x, simA, "match/bound")
	g.pass(time.Second)
	g.on(binding.Event{Kind: binding.SessionUpdate, Source: binding.SourceGx, Node: "pgw1", Session: "g1", Time: g.now, Complete: true, Addrs: addresses("192.168.0.1")})
	wantVerdict(t, g, x, simA, "unknown/no-binding")
}

// What a node said before it restarted is over, also if its clock came back two
// minutes behind and the restart seems to precede it.
func TestRestartWithAClockTwoMinutesBehindEndsWhatWasBefore(t *testing.T) {
	const x = "10.0.0.1"
	behind := 2 * time.Minute
	g := newRig(t, doubtConfig)
	g.say(binding.SessionStart, binding.SourceRADIUS, "nas1", "r1", simA, x)
	g.pass(30 * time.Second)
	g.on(binding.Event{Kind: binding.NodeRestart, Source: binding.SourceRADIUS, Node: "nas1", Time: g.now.Add(-behind)})
	wantVerdict(t, g, x, simA, "unknown/ended")
	g.pass(10 * time.Second)
	g.on(binding.Event{Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "nas1", Session: "r2", MSISDN: simB.MSISDN, IMSI: simB.IMSI, Time: g.now.Add(-behind), Addrs: addresses(x)})
	wantVerdict(t, g, x, simA, "mismatch/other-number")
	wantVerdict(t, g, x, simB, "match/bound")
}
