package registry

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// directoryRig is a rig that keeps which SIMs were asked for.
func directoryRig(t *testing.T, learn bool) (*rig, *[]binding.IMSI) {
	asked := &[]binding.IMSI{}
	c := oracleConfig
	c.Learn, c.Resolve = learn, func(i binding.IMSI, has binding.MSISDN) {
		if has == 0 {
			*asked = append(*asked, i)
		}
	}
	return newRig(t, c), asked
}

// knows is the directory's word.
func (g *rig) knows(imsi binding.IMSI, m binding.MSISDN) Outcome {
	return g.on(binding.Event{Kind: binding.NumberKnown, IMSI: imsi, MSISDN: m})
}

func sim(who binding.Subscriber) binding.Subscriber { return binding.Subscriber{IMSI: who.IMSI} }

func TestDirectory(t *testing.T) {
	const addr = "10.0.0.1"
	for _, tt := range []struct {
		claim string
		learn bool
		do    func(g *rig)
		want  string
	}{
		{"without a number nothing is said", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
		}, "unknown/no-msisdn"},
		{"the directory's word is the SIM's number", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
		}, "match/bound"},
		{"a word on another SIM changes nothing", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someoneElse.IMSI, someone.MSISDN)
		}, "unknown/no-msisdn"},
		{"a later word takes the place of the former", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someoneElse.MSISDN)
			g.knows(someone.IMSI, someone.MSISDN)
		}, "match/bound"},
		{"it can be taken back", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
			g.knows(someone.IMSI, 0)
		}, "unknown/no-msisdn"},
		{"what signalling says counts more", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", sim(someone), addr)
			g.knows(someone.IMSI, someoneElse.MSISDN)
			g.say(binding.SessionUpdate, binding.SourceGx, "pgw", "s", someone, addr)
			g.knows(someone.IMSI, someoneElse.MSISDN)
			g.pass(time.Minute) // the directory may have spoken after it
			g.say(binding.SessionUpdate, binding.SourceGx, "pgw", "s", someone, addr)
		}, "match/bound"},
		{"what another source's signalling says of the SIM counts more", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someoneElse.MSISDN)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", someone, addr)
		}, "match/bound"},
		{"it joins a SIM and a number that two sources say", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", binding.Subscriber{MSISDN: someone.MSISDN}, addr)
			g.knows(someone.IMSI, someone.MSISDN)
		}, "match/bound"},
		{"it does not join what does not belong together", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someoneElse.MSISDN)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "s", binding.Subscriber{MSISDN: someone.MSISDN}, addr)
		}, "ambiguous/conflict"},
		{"a number that signalling has seen with another SIM is not believed", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1",
				binding.Subscriber{MSISDN: someone.MSISDN, IMSI: someoneElse.IMSI}, "10.0.0.2")
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
		}, "unknown/no-msisdn"},
		{"nor believed any more, once it is", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
			g.pass(time.Second)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1",
				binding.Subscriber{MSISDN: someone.MSISDN, IMSI: someoneElse.IMSI}, "10.0.0.2")
		}, "unknown/no-msisdn"},
		{"a session goes on with the number that it got", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
			g.pass(time.Second)
			g.say(binding.SessionUpdate, binding.SourcePFCP, "smf", "s", sim(someone), addr)
		}, "match/bound"},
		{"what was learned serves the next session", true, func(g *rig) {
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1", someone, "10.0.0.2")
			g.say(binding.SessionStop, binding.SourceGx, "pgw", "1", binding.Subscriber{})
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
		}, "match/bound"},
		{"and those that are there", true, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1", someone, "10.0.0.2")
		}, "match/bound"},
		{"a SIM that was seen with two numbers has none", true, func(g *rig) {
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1", someone, "10.0.0.2")
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "2",
				binding.Subscriber{MSISDN: someoneElse.MSISDN, IMSI: someone.IMSI}, "10.0.0.3")
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
		}, "unknown/no-msisdn"},
		{"a directory's word is not learned", true, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "1", sim(someone), "10.0.0.2")
			g.knows(someone.IMSI, someone.MSISDN)
			g.say(binding.SessionStop, binding.SourcePFCP, "smf", "1", binding.Subscriber{})
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
		}, "unknown/no-msisdn"},
		{"a second number takes the first, learned, from sessions that go on", true, func(g *rig) {
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1", someone, "10.0.0.2")
			g.say(binding.SessionStop, binding.SourceGx, "pgw", "1", binding.Subscriber{})
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.pass(time.Second)
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "2",
				binding.Subscriber{MSISDN: someoneElse.MSISDN, IMSI: someone.IMSI}, "10.0.0.3")
		}, "unknown/no-msisdn"},
		{"a number that the directory gives to a second SIM is not the first one's", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
			g.pass(time.Minute)
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "new", sim(someoneElse), "10.0.0.2")
			g.knows(someoneElse.IMSI, someone.MSISDN)
		}, "unknown/no-msisdn"},
		{"nor when it says that of the first again", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "new", sim(someoneElse), "10.0.0.2")
			g.knows(someoneElse.IMSI, someone.MSISDN)
			g.knows(someone.IMSI, someone.MSISDN)
		}, "unknown/no-msisdn"},
		{"it is the second one's once it is not the first one's", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "old", sim(someoneElse), "10.0.0.2")
			g.knows(someoneElse.IMSI, someone.MSISDN)
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
			g.knows(someoneElse.IMSI, someoneElse.MSISDN)
			g.knows(someone.IMSI, someone.MSISDN)
		}, "match/bound"},
		{"a number that signalling confirmed after the directory is not believed of another SIM", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1", sim(someoneElse), "10.0.0.2")
			g.knows(someoneElse.IMSI, someone.MSISDN)
			g.pass(time.Second)
			g.say(binding.SessionUpdate, binding.SourceGx, "pgw", "1",
				binding.Subscriber{MSISDN: someone.MSISDN, IMSI: someoneElse.IMSI}, "10.0.0.2")
			g.pass(time.Second)
			g.say(binding.SessionStop, binding.SourceGx, "pgw", "1", binding.Subscriber{})
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
			g.knows(someone.IMSI, someone.MSISDN)
		}, "unknown/no-msisdn"},
		{"learning is off", false, func(g *rig) {
			g.say(binding.SessionStart, binding.SourceGx, "pgw", "1", someone, "10.0.0.2")
			g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), addr)
		}, "unknown/no-msisdn"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			g, _ := directoryRig(t, tt.learn)
			tt.do(g)
			if got := g.verify(addr, someone.MSISDN); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if fault := g.audit(); fault != "" {
				t.Error(fault)
			}
			// A restart of ours forgets neither the number nor whose word it is.
			before, _ := g.Lookup(binding.Query{Addr: addresses(addr)[0].Prefix.Addr()})
			g.commit(t)
			c := g.cfg
			g.boot(t, c)
			if after, _ := g.Lookup(binding.Query{Addr: addresses(addr)[0].Prefix.Addr()}); after.MSISDN != before.MSISDN {
				t.Errorf("%v before a restart, %v after it", before.MSISDN, after.MSISDN)
			}
		})
	}
}

func TestTheDirectoryIsAskedUntilItKnows(t *testing.T) {
	g, asked := directoryRig(t, false)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), "10.0.0.1")
	g.say(binding.SessionStart, binding.SourceGx, "pgw", "t", someoneElse, "10.0.0.2")
	if len(*asked) != 1 || (*asked)[0] != someone.IMSI {
		t.Errorf("asked for %v", *asked)
	}
	g.pass(seekEvery)
	if len(*asked) != 3 { // the rig sweeps twice
		t.Errorf("after the sweep asked for %v", *asked)
	}
	g.knows(someone.IMSI, someone.MSISDN)
	*asked = nil
	g.pass(seekEvery)
	if len(*asked) != 0 {
		t.Errorf("it is known, and asked for %v", *asked)
	}
}

// TestADirectorysWordIsPublished as a change of the same SIM.
func TestADirectorysWordIsPublished(t *testing.T) {
	g, _ := directoryRig(t, false)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), "10.0.0.1")
	first, _ := g.Lookup(ask("10.0.0.1", 0))
	for _, m := range []binding.MSISDN{someoneElse.MSISDN, someone.MSISDN, 0} {
		g.knows(someone.IMSI, m)
		c := g.batch.Changes[len(g.batch.Changes)-1]
		if c.Kind != binding.Updated || c.Why != "directory" || c.Now.MSISDN != m || c.Now.IMSI != someone.IMSI {
			t.Errorf("%+v", c)
		}
	}
	if b, _ := g.Lookup(ask("10.0.0.1", 0)); b.Version == first.Version {
		t.Error("the version has not changed")
	}
	if n := len(g.batch.Changes); n != 4 {
		t.Errorf("%d changes: %v", n, g.batch.Changes)
	}
}

func TestTheDirectoryIsAskedForEverySIM(t *testing.T) {
	const sims = 3 * sought
	asked := map[binding.IMSI]int{}
	c := oracleConfig
	c.Resolve = func(i binding.IMSI, _ binding.MSISDN) { asked[i]++ }
	g := newRig(t, c)
	for n := range sims {
		imsi, _ := binding.ParseIMSI(fmt.Sprintf("00101%010d", n))
		g.say(binding.SessionStart, binding.SourcePFCP, "smf", fmt.Sprint(n), binding.Subscriber{IMSI: imsi},
			fmt.Sprintf("10.0.%d.%d", n/250, n%250))
	}
	clear(asked)
	for range 10 {
		g.sweeper.sweep(sweepPiece, g.now.UnixMilli())
	}
	if len(asked) != sims {
		t.Errorf("the sweep asked for %d of %d SIMs", len(asked), sims)
	}
	for imsi, n := range asked {
		if n != 1 {
			t.Fatalf("%d times for %v in one round", n, imsi)
		}
	}
}

// TestAnotherSitesNumbersAreItsOwn, whatever our directory says.
func TestAnotherSitesNumbersAreItsOwn(t *testing.T) {
	const addr = "10.0.0.1"
	g, _ := directoryRig(t, false)
	g.ofSite(binding.NodeCurrent, "a")
	g.tells("a", addr, sim(someone), binding.ReasonBound)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), "10.0.0.2") // of ours, so that we ask
	g.knows(someone.IMSI, someoneElse.MSISDN)
	if got := g.verify(addr, someoneElse.MSISDN); got != "unknown/no-msisdn" {
		t.Errorf("a site that tells no number: %s", got)
	}
	g.tells("a", addr, someone, binding.ReasonBound)
	g.knows(someone.IMSI, someoneElse.MSISDN)
	if got := g.verify(addr, someone.MSISDN); got != "match/bound" {
		t.Errorf("its number: %s", got)
	}
}

// TestTheNumberOfASIMIsNotAnothersWhileRecordsAreUsedAgain as readers do not
// wait for the writer.
func TestTheNumberOfASIMIsNotAnothersWhileRecordsAreUsedAgain(t *testing.T) {
	c := oracleConfig
	c.Capacity = 4
	g := newRig(t, c)
	who := make([]binding.Subscriber, 40)
	for n := range who {
		imsi, _ := binding.ParseIMSI(fmt.Sprintf("00101%010d", n))
		who[n] = binding.Subscriber{MSISDN: binding.MSISDN(491700000000 + n), IMSI: imsi}
	}
	var stop atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() {
		for i := 0; !stop.Load(); i++ {
			w := who[i%len(who)]
			if m := g.NumberOf(w.IMSI); m != 0 && m != w.MSISDN {
				t.Errorf("%v of %v", m, w.IMSI)
				return
			}
		}
	})
	for i := range 20_000 {
		w := who[i%len(who)]
		g.now = g.now.Add(2 * time.Second)
		g.say(binding.SessionStart, binding.SourceGx, "pgw", fmt.Sprint(i), w, "10.0.0.1")
		g.say(binding.SessionStop, binding.SourceGx, "pgw", fmt.Sprint(i), w)
		if i%100 == 0 {
			g.batch.reset()
		}
	}
	stop.Store(true)
	reader.Wait()
}

func TestAConfirmedNumberOutlastsARestart(t *testing.T) {
	g, _ := directoryRig(t, false)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "1", sim(someoneElse), "10.0.0.2")
	g.knows(someoneElse.IMSI, someone.MSISDN)
	g.say(binding.SessionStart, binding.SourceGx, "pgw", "1",
		binding.Subscriber{MSISDN: someone.MSISDN, IMSI: someoneElse.IMSI}, "10.0.0.3")
	g.pass(time.Second)
	g.say(binding.SessionStop, binding.SourceGx, "pgw", "1", binding.Subscriber{})
	g.say(binding.SessionStop, binding.SourcePFCP, "smf", "1", binding.Subscriber{})
	g.commit(t)
	g.boot(t, g.cfg)
	g.say(binding.SessionStart, binding.SourcePFCP, "smf", "s", sim(someone), "10.0.0.1")
	g.knows(someone.IMSI, someone.MSISDN)
	if got := g.verify("10.0.0.1", someone.MSISDN); got != "unknown/no-msisdn" {
		t.Errorf("a number that signalling has seen with another SIM: %s", got)
	}
}
