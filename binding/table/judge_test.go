package table

import (
	"testing"

	"github.com/simbind/simbind/binding"
)

// TestTheLifeOfASession: what the moment of asking decides, in the order in which
// it counts.
func TestTheLifeOfASession(t *testing.T) {
	for _, tt := range []struct {
		claim string
		node  uint16
		does  func(m *Memory, s *Session)
		after int64 // seconds after it was seen
		life  Life
		why   binding.Reason
	}{
		{"one that goes on is fresh", 1, func(*Memory, *Session) {}, 0, Fresh, binding.ReasonBound},
		{"until its lease runs out", 1, func(*Memory, *Session) {}, 3600, Fresh, binding.ReasonBound},
		{"when it is expired", 1, func(*Memory, *Session) {}, 3601, Expired, binding.ReasonLease},
		{"until the grace has run out", 1, func(*Memory, *Session) {}, 4200, Expired, binding.ReasonLease},
		{"when it is gone", 1, func(*Memory, *Session) {}, 4201, Gone, binding.ReasonEnded},
		{"one that ended is over", 1, func(_ *Memory, s *Session) { s.Flags |= Ended }, 0, Over, binding.ReasonEnded},
		{"one with a doubt is doubtful, and says why", 1, func(_ *Memory, s *Session) { s.Doubt = binding.ReasonOrder },
			0, Doubtful, binding.ReasonOrder},
		{"one that is expired is that before all doubts", 1,
			func(_ *Memory, s *Session) { s.Doubt = binding.ReasonOrder }, 3601, Expired, binding.ReasonLease},
		{"an end is awaited", 1, func(_ *Memory, s *Session) { s.Doubt, s.After = binding.ReasonEnding, at(0) }, 30,
			Doubtful, binding.ReasonEnding},
		{"for as long as linger", 1, func(_ *Memory, s *Session) { s.Doubt, s.After = binding.ReasonEnding, at(0) }, 31,
			Doubtful, binding.ReasonEnded},
		{"what is not confirmed is stale", 1, func(_ *Memory, s *Session) { s.Doubt = binding.ReasonUnconfirmed }, 0,
			Stale, binding.ReasonUnconfirmed},
		{"what its node's restart ended is over", 1, func(m *Memory, _ *Session) {
			m.SetNode(1, NodeRestarts, 1)
			m.SetNode(1, NodeRestartBy, at(5).Pack())
		}, 10, Over, binding.ReasonEnded},
		{"what may be of before it is restarted", 1, func(m *Memory, s *Session) {
			m.SetNode(1, NodeRestarts, 1)
			m.SetNode(1, NodeRestartBy, at(5).Pack())
			s.Restarts = 1
		}, 10, Doubtful, binding.ReasonRestarted},
		{"a restart of the node that its own is another name of counts", 2, func(m *Memory, _ *Session) {
			m.SetNode(2, NodeSame, 1)
			m.SetNode(1, NodeRestarts, 1)
			m.SetNode(1, NodeRestartBy, at(5).Pack())
		}, 10, Over, binding.ReasonEnded},
		{"a lost node counts until the timeout", 1, func(m *Memory, _ *Session) { m.SetNode(1, NodeDown, now) }, 300,
			Fresh, binding.ReasonBound},
		{"and is lost then", 1, func(m *Memory, _ *Session) { m.SetNode(1, NodeDown, now) }, 301, Stale,
			binding.ReasonNodeLost},
		{"what was seen before its source is trusted is unconfirmed", 1,
			func(m *Memory, _ *Session) { m.SetTrust(binding.SourceRADIUS, now+1) }, 5, Stale, binding.ReasonUnconfirmed},
		{"another source's trust is its own", 1, func(m *Memory, _ *Session) { m.SetTrust(binding.SourceGx, now+1) }, 5,
			Fresh, binding.ReasonBound},
		{"what was overheard before a loss is unconfirmed", 1, func(m *Memory, _ *Session) {
			m.SetNode(1, NodeWhat, uint64(binding.SourceRADIUS)|NodeObserved)
			m.SetOverheard(now+1, now)
		}, 5, Stale, binding.ReasonUnconfirmed},
		{"what was told is not", 1, func(m *Memory, _ *Session) { m.SetOverheard(now+1, now) }, 5, Fresh,
			binding.ReasonBound},
		{"news may be refused for as long as the trust gap", 1, func(m *Memory, _ *Session) { m.SetRefusedSince(now) },
			60, Fresh, binding.ReasonBound},
		{"and no longer", 1, func(m *Memory, _ *Session) { m.SetRefusedSince(now) }, 61, Stale, binding.ReasonNotIngesting},
		{"another site that has not told everything is unconfirmed", 4, func(*Memory, *Session) {}, 0, Stale,
			binding.ReasonUnconfirmed},
		{"one that has counts while its heart beats", 4, func(m *Memory, _ *Session) {
			m.SetNode(4, NodeCurrent, 1)
			m.SetNode(4, NodeWhole, now)
		}, 5, Fresh, binding.ReasonBound},
		{"and is lost then", 4, func(m *Memory, _ *Session) {
			m.SetNode(4, NodeCurrent, 1)
			m.SetNode(4, NodeWhole, now)
		}, 6, Stale, binding.ReasonNodeLost},
		{"a clock of ours that is set back says nothing of how long ago", 4, func(m *Memory, _ *Session) {
			m.SetNode(4, NodeCurrent, 1)
			m.SetNode(4, NodeWhole, now)
		}, -6, Stale, binding.ReasonNodeLost},
		{"its doubt is in its own words", 4, func(m *Memory, s *Session) {
			m.SetNode(4, NodeCurrent, 1)
			m.SetNode(4, NodeWhole, now)
			s.Doubt = binding.ReasonConflict
		}, 0, Stale, binding.ReasonConflict},
		{"what it did not tell anew is over", 4, func(m *Memory, _ *Session) { m.SetNode(4, NodeRestart, now+1) }, 5,
			Over, binding.ReasonEnded},
		{"our leases are not its own", 4, func(m *Memory, _ *Session) {
			m.SetNode(4, NodeCurrent, 1)
			m.SetNode(4, NodeWhole, now+7200_000)
		}, 7200, Fresh, binding.ReasonBound},
		{"nor counts what it says while news is refused", 4, func(m *Memory, _ *Session) {
			m.SetNode(4, NodeCurrent, 1)
			m.SetNode(4, NodeWhole, now+61_000)
			m.SetRefusedSince(now)
		}, 61, Stale, binding.ReasonNotIngesting},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			m := newMemory(t)
			s, _ := m.session(t, stay{node: tt.node, who: simA, from: 0, by: 1, held: 0, to: 1})
			tt.does(m, &s)
			if life, why := m.Judge(&s, now+tt.after*1000, &times); life != tt.life || why != tt.why {
				t.Errorf("life %d for %v, want %d for %v", life, why, tt.life, tt.why)
			}
		})
	}
}
