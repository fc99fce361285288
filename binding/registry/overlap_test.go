package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestOverlappingAddresses: rule T11, where one session's address lies in
// another's.
func TestOverlappingAddresses(t *testing.T) {
	const wide, narrow, host = "2001:db8:0:100::/56", "2001:db8:0:103::/64", "2001:db8:0:103::7"
	start := func(g *rig, node, session string, who binding.Subscriber, addr string) {
		g.now = g.now.Add(2 * time.Second)
		g.say(binding.SessionStart, binding.SourceGx, node, session, who, addr)
	}
	for _, tt := range []struct {
		claim string
		do    func(g *rig)
		want  string
	}{
		{"a node hands out a part of what it handed out before: the longest wins", func(g *rig) {
			start(g, "pgw", "1", someoneElse, wide)
			start(g, "pgw", "2", someone, narrow)
		}, "match/bound"},
		{"a node hands out more, around what another SIM still has: its end was missed", func(g *rig) {
			start(g, "pgw", "1", someone, narrow)
			start(g, "pgw", "2", someoneElse, wide)
		}, "ambiguous/conflict"},
		{"a SIM has both", func(g *rig) {
			start(g, "pgw", "1", someone, narrow)
			start(g, "pgw", "2", someone, wide)
		}, "match/bound"},
		{"another node cannot take a part of somebody's prefix", func(g *rig) {
			start(g, "pgw", "1", someoneElse, wide)
			start(g, "rogue", "2", someone, narrow)
		}, "ambiguous/conflict"},
		{"another node that has ended its session disturbs nobody", func(g *rig) {
			start(g, "pgw", "1", someone, narrow)
			start(g, "rogue", "2", someoneElse, wide)
			g.say(binding.SessionStop, binding.SourceGx, "rogue", "2", binding.Subscriber{})
		}, "match/bound"},
		{"nor does one whose lease ran out", func(g *rig) {
			start(g, "rogue", "2", someoneElse, wide)
			g.pass(oracleConfig.Lease)
			start(g, "pgw", "1", someone, narrow)
		}, "match/bound"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			g := newRig(t, oracleConfig)
			tt.do(g)
			if got := g.verify(host, someone.MSISDN); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
