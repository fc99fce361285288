package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A session that names nobody (PFCP without User ID) binds nothing by itself;
// it corroborates, and ends, what others know.

func anonymous(kind binding.Kind) binding.Event {
	ev := binding.Event{Kind: kind, Source: binding.SourcePFCP, Node: "smf", Session: "p"}
	if kind == binding.SessionStart {
		ev.Addrs = addresses("10.45.0.1")
	}
	return ev
}

func named(kind binding.Kind) binding.Event {
	ev := binding.Event{Kind: kind, Source: binding.SourceGx, Node: "pgw", Session: "g"}
	if kind == binding.SessionStart {
		ev.MSISDN, ev.IMSI, ev.Addrs = 491700000001, 0x001010000000001F, addresses("10.45.0.1")
	}
	return ev
}

func TestASessionThatNamesNobody(t *testing.T) {
	for name, c := range map[string]struct {
		say  []binding.Event
		want string
	}{
		"alone it binds nothing":                  {[]binding.Event{anonymous(binding.SessionStart)}, "unknown/no-msisdn"},
		"it corroborates what is known":           {[]binding.Event{named(binding.SessionStart), anonymous(binding.SessionStart)}, "match/bound"},
		"it may come first":                       {[]binding.Event{anonymous(binding.SessionStart), named(binding.SessionStart)}, "match/bound"},
		"its end puts what others say in doubt":   {[]binding.Event{named(binding.SessionStart), anonymous(binding.SessionStart), anonymous(binding.SessionStop)}, "ambiguous/ending"},
		"both ends release":                       {[]binding.Event{named(binding.SessionStart), anonymous(binding.SessionStart), anonymous(binding.SessionStop), named(binding.SessionStop)}, "unknown/no-binding"},
		"what it leaves when the other one ended": {[]binding.Event{named(binding.SessionStart), anonymous(binding.SessionStart), named(binding.SessionStop)}, "ambiguous/ending"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, Config{Capacity: 64})
			for _, ev := range c.say {
				g.now = g.now.Add(2 * time.Second)
				ev.Arrived = g.now
				g.on(ev)
			}
			if got := g.verify("10.45.0.1", 491700000001); got != c.want {
				t.Errorf("verdict %s, want %s", got, c.want)
			}
		})
	}
}
