package registry

import (
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// memorable is the start of a session at a PGW that was observed, with a memo.
func memorable(session, addr, memo string) binding.Event {
	return binding.Event{
		Kind: binding.SessionStart, Source: binding.SourceGTPv2, Node: "10.0.0.1", Session: session, MSISDN: 491700000001,
		IMSI:  0x001010000000001F,
		Addrs: addresses(addr), Memo: []byte(memo),
	}
}

func TestAMemoLivesAsLongAsItsSession(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	g.on(memorable("a", "10.45.0.1", "one"))
	g.on(memorable("b", "10.45.0.2", "two"))
	g.commit(t)
	g.on(binding.Event{Kind: binding.SessionUpdate, Source: binding.SourceGTPv2, Node: "10.0.0.1", Session: "a",
		Memo: []byte("one again")})
	g.on(binding.Event{Kind: binding.SessionUpdate, Source: binding.SourceGTPv2, Node: "10.0.0.1", Session: "a"})
	g.on(binding.Event{Kind: binding.SessionUpdate, Source: binding.SourceGTPv2, Node: "10.0.0.1", Session: "b",
		Memo: make([]byte, binding.MaxMemo+1)})
	g.commit(t)
	g.now = g.now.Add(time.Second)
	g.boot(t, Config{Capacity: 64})
	slices.Sort(g.recalled)
	if want := []string{"gtpv2 one again", "gtpv2 two"}; !slices.Equal(g.recalled, want) {
		t.Fatalf("recalled %q, want %q", g.recalled, want)
	}
	g.now = g.now.Add(time.Second)
	g.on(binding.Event{Kind: binding.SessionStop, Source: binding.SourceGTPv2, Node: "10.0.0.1", Session: "a",
		Time: g.now})
	g.on(binding.Event{Kind: binding.SessionStop, Source: binding.SourceGTPv2, Node: "10.0.0.1", Session: "b",
		Time: g.now})
	g.commit(t)
	if n := len(g.journal.memos); n != 0 {
		t.Errorf("%d memos outlive their sessions", n)
	}
	g.boot(t, Config{Capacity: 64})
	if len(g.recalled) != 0 {
		t.Errorf("recalled %q of sessions that ended", g.recalled)
	}
}

func TestARestartOfTheNodeDeletesMemos(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	g.on(memorable("a", "10.45.0.1", "one"))
	g.commit(t)
	g.now = g.now.Add(time.Minute)
	g.on(binding.Event{Kind: binding.NodeRestart, Source: binding.SourceGTPv2, Node: "10.0.0.1", Time: g.now})
	g.sweepAll()
	g.commit(t)
	if n := len(g.journal.memos); n != 0 {
		t.Errorf("%d memos outlive their sessions", n)
	}
}
