package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestADisputedNumberIsAskedForAnew for both SIMs.
func TestADisputedNumberIsAskedForAnew(t *testing.T) {
	var doubted []binding.IMSI
	c := oracleConfig
	c.Doubt = func(i binding.IMSI) { doubted = append(doubted, i) }
	g := newRig(t, c)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "1", sim(someone), "10.0.0.1")
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "2", sim(someoneElse), "10.0.0.2")
	g.knows(someone.IMSI, someone.MSISDN)
	g.knows(someoneElse.IMSI, someone.MSISDN)
	if len(doubted) != 2 || doubted[0] != someone.IMSI || doubted[1] != someoneElse.IMSI {
		t.Errorf("%v", doubted)
	}
	g.knows(someoneElse.IMSI, someone.MSISDN)
	if got := g.verify("10.0.0.2", someone.MSISDN); got != "unknown/no-msisdn" {
		t.Errorf("within its time: %s", got)
	}
	g.now = g.now.Add(disputeTime)
	g.say(binding.SessionUpdate, binding.SourcePFCP, "smf", "2", sim(someoneElse), "10.0.0.2")
	g.knows(someoneElse.IMSI, someone.MSISDN)
	if got := g.verify("10.0.0.2", someone.MSISDN); got != "match/bound" {
		t.Errorf("after it: %s", got)
	}
}

// disputed is a rig in which the directory gave someone's number to two SIMs,
// whose sessions go on at 10.0.0.1 and 10.0.0.2.
func disputed(t *testing.T, c Config) *rig {
	c.Doubt = func(binding.IMSI) {}
	g := newRig(t, c)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "1", sim(someone), "10.0.0.1")
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "2", sim(someoneElse), "10.0.0.2")
	g.knows(someone.IMSI, someone.MSISDN)
	g.knows(someoneElse.IMSI, someone.MSISDN)
	return g
}

func TestDisputes(t *testing.T) {
	const addr = "10.0.0.2"
	for _, tt := range []struct {
		claim string
		do    func(g *rig)
		want  string
	}{
		{"the number is nobody's", func(*rig) {}, "unknown/no-msisdn"},
		{"also when the directory says it again", func(g *rig) { g.knows(someoneElse.IMSI, someone.MSISDN) },
			"unknown/no-msisdn"},
		{"that nobody answers about the first settles nothing", func(g *rig) {
			g.on(binding.Event{Kind: binding.NumberKnown, IMSI: someone.IMSI, Doubt: binding.ReasonUnconfirmed})
			g.knows(someoneElse.IMSI, someone.MSISDN)
		}, "unknown/no-msisdn"},
		{"that the first has none settles it", func(g *rig) {
			g.knows(someone.IMSI, 0)
			g.knows(someoneElse.IMSI, someone.MSISDN)
		}, "match/bound"},
		{"signalling settles it", func(g *rig) {
			g.pass(time.Second)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "g",
				binding.Subscriber{MSISDN: someone.MSISDN, IMSI: someoneElse.IMSI}, "10.0.0.3")
			g.knows(someoneElse.IMSI, someone.MSISDN)
		}, "match/bound"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			g := disputed(t, oracleConfig)
			tt.do(g)
			if got := g.verify(addr, someone.MSISDN); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestADisputeLastsAsLongAsTheDirectorySaysBoth as an export that has a number
// twice does.
func TestADisputeLastsAsLongAsTheDirectorySaysBoth(t *testing.T) {
	g := disputed(t, oracleConfig)
	for n := range 1000 {
		g.now = g.now.Add(5 * time.Second)
		g.say(binding.SessionUpdate, binding.SourcePFCP, "smf", "1", sim(someone), "10.0.0.1")
		g.say(binding.SessionUpdate, binding.SourcePFCP, "smf", "2", sim(someoneElse), "10.0.0.2")
		who, addr := someone.IMSI, "10.0.0.1"
		if n%2 == 1 {
			who, addr = someoneElse.IMSI, "10.0.0.2"
		}
		g.knows(who, someone.MSISDN)
		if got := g.verify(addr, someone.MSISDN); got != "unknown/no-msisdn" {
			t.Fatalf("after %d words: %s", n, got)
		}
	}
}

func TestADisputeOutlastsTheNumbersRecord(t *testing.T) {
	c := oracleConfig
	c.Capacity = 6
	g := disputed(t, c)
	for n := range 20 { // others come and go
		g.pass(time.Second)
		imsi, _ := binding.ParseIMSI(fmt.Sprintf("00101%010d", 100+n))
		g.say(binding.SessionStart, binding.SourceGx, "pgw", fmt.Sprint(n),
			binding.Subscriber{MSISDN: binding.MSISDN(491800000000 + n), IMSI: imsi}, "10.0.0.3")
		g.say(binding.SessionStop, binding.SourceGx, "pgw", fmt.Sprint(n), binding.Subscriber{})
	}
	g.knows(someoneElse.IMSI, someone.MSISDN)
	if got := g.verify("10.0.0.2", someone.MSISDN); got != "unknown/no-msisdn" {
		t.Errorf("%s", got)
	}
}

// TestASessionThatNamesOnlyTheNumberDisputesNothing: whose it is, it does not say.
func TestASessionThatNamesOnlyTheNumberDisputesNothing(t *testing.T) {
	doubts := 0
	c := oracleConfig
	c.Doubt = func(binding.IMSI) { doubts++ }
	g := newRig(t, c)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "1", sim(someone), "10.0.0.1")
	g.knows(someone.IMSI, someone.MSISDN)
	g.say(binding.SessionStop, binding.SourcePFCP, "smf", "1", binding.Subscriber{})
	g.pass(time.Second)
	g.say(binding.SessionStart, binding.SourceGx, "pgw", "g", binding.Subscriber{MSISDN: someone.MSISDN}, "10.0.0.2")
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "2", sim(someoneElse), "10.0.0.2")
	g.knows(someoneElse.IMSI, someone.MSISDN)
	if got := g.verify("10.0.0.2", someone.MSISDN); got != "match/bound" || doubts > 0 {
		t.Errorf("%s after %d doubts", got, doubts)
	}
}

func TestAClockThatIsSetBackDoesNotStopAsking(t *testing.T) {
	asked := 0
	c := oracleConfig
	c.Resolve = func(binding.IMSI, binding.MSISDN) { asked++ }
	g := newRig(t, c)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "1", sim(someone), "10.0.0.1")
	g.sweepAll()
	g.now = g.now.Add(-30 * time.Minute)
	asked = 0
	g.sweepAll()
	if asked == 0 {
		t.Error("nobody is asked")
	}
}

// TestWhatIsLearnedLaterIsHeldAgainstTheDirectory too.
func TestWhatIsLearnedLaterIsHeldAgainstTheDirectory(t *testing.T) {
	asked := map[binding.IMSI]binding.MSISDN{}
	c := oracleConfig
	c.Learn, c.Resolve = true, func(i binding.IMSI, has binding.MSISDN) { asked[i] = has }
	g := newRig(t, c)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "1", sim(someone), "10.0.0.1")
	g.knows(someone.IMSI, someoneElse.MSISDN)
	g.pass(time.Second)
	clear(asked)
	g.say(binding.SessionStart, binding.SourceGx, "pgw", "a", someone, "10.0.0.2")
	if asked[someone.IMSI] != someone.MSISDN {
		t.Errorf("asked for %v", asked)
	}
}

// TestWhatTheFeedCallsAConflict and what it only calls another state.
func TestWhatTheFeedCallsAConflict(t *testing.T) {
	last := func(w *tale, want string) {
		w.t.Helper()
		c := w.rig.changes[len(w.rig.changes)-1]
		if got := fmt.Sprint(c.Kind, " ", c.State, "/", c.Reason); got != want {
			w.t.Errorf("the last change is %s, want %s", got, want)
		}
	}
	prove(t, []claim{
		{"two nodes that name different SIMs", func(w *tale) {
			w.nas("one").start("a", simA, ue1)
			w.pass(time.Minute)
			w.nas("other").start("b", simB, ue1)
			last(w, "conflict ambiguous/conflict")
		}},
		{"one that tells no time and names both within its delay", func(w *tale) {
			n := w.newNAS("timeless")
			n.mute = true
			n.start("a", simA, ue1)
			w.pass(3 * time.Second)
			n.start("b", simB, ue1)
			last(w, "conflict ambiguous/conflict")
		}},
		{"not one that says each before the other", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.pass(30 * time.Second)
			n.start("b", simB, ue1)
			w.pass(30 * time.Second)
			n.update("a", simA, ue1)
			n.update("b", simB, ue1)
			last(w, "updated ambiguous/order")
		}},
	})
}
