package binding

import (
	"testing"
	"time"
)

// A session that names nobody (PFCP without User ID) binds nothing by itself;
// it corroborates, and ends, what others know.

func anonymous(kind Kind) Event {
	ev := Event{Kind: kind, Source: SourcePFCP, Node: "smf", Session: "p"}
	if kind == SessionStart {
		ev.Addrs = addresses("10.45.0.1")
	}
	return ev
}

func named(kind Kind) Event {
	ev := Event{Kind: kind, Source: SourceGx, Node: "pgw", Session: "g"}
	if kind == SessionStart {
		ev.MSISDN, ev.IMSI, ev.Addrs = 491700000001, 0x001010000000001F, addresses("10.45.0.1")
	}
	return ev
}

func TestASessionThatNamesNobody(t *testing.T) {
	for name, c := range map[string]struct {
		say  []Event
		want string
	}{
		"alone it binds nothing":                  {[]Event{anonymous(SessionStart)}, "unknown/no-msisdn"},
		"it corroborates what is known":           {[]Event{named(SessionStart), anonymous(SessionStart)}, "match/bound"},
		"it may come first":                       {[]Event{anonymous(SessionStart), named(SessionStart)}, "match/bound"},
		"its end puts what others say in doubt":   {[]Event{named(SessionStart), anonymous(SessionStart), anonymous(SessionStop)}, "ambiguous/ending"},
		"both ends release":                       {[]Event{named(SessionStart), anonymous(SessionStart), anonymous(SessionStop), named(SessionStop)}, "unknown/no-binding"},
		"what it leaves when the other one ended": {[]Event{named(SessionStart), anonymous(SessionStart), named(SessionStop)}, "ambiguous/ending"},
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
