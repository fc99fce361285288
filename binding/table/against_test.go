package table

import (
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
)

var (
	simA  = binding.Subscriber{MSISDN: 491700000001, IMSI: 0x001010000000001F}
	simB  = binding.Subscriber{MSISDN: 491700000002, IMSI: 0x001010000000002F}
	noSIM = binding.Subscriber{}
)

// A stay is a session on one address: it began between two moments, and spoke
// from the first to the last.
type stay struct {
	node     uint16
	who      binding.Subscriber
	from, by int64 // of its beginning, in seconds
	held, to int64 // the greatest lower bound of a word, the greatest upper one
	ended    bool  // at to
	contexts uint16
	stopped  bool
}

// session makes the record of a stay, and its hold on the address.
func (m *Memory) session(t testing.TB, s stay) (Session, Hold) {
	t.Helper()
	x := Session{
		Key: [2]uint64{uint64(s.node) + 1, uint64(s.held+1000) << 8}, Node: s.node, BegunFrom: at(s.from),
		BegunBy: at(s.by), HeldAt: at(s.held), Last: at(s.to),
		Seen: now, Lease: 3600, Contexts: s.contexts,
	}
	if s.who != noSIM {
		x.Sub, x.IMSI = m.sub(t, s.who), s.who.IMSI
	}
	if s.ended {
		x.Flags |= Ended
		x.After = at(s.to)
	}
	if s.stopped {
		x.Flags |= Stopped
	}
	return x, Hold{By: at(s.by), At: at(s.held)}
}

// TestWhatOneSessionMeansForAnother: rules 7 to 10 on bounds alone.
func TestWhatOneSessionMeansForAnother(t *testing.T) {
	numberOnly, simOnly := binding.Subscriber{MSISDN: simA.MSISDN}, binding.Subscriber{IMSI: simA.IMSI}
	for _, tt := range []struct {
		claim  string
		x, y   stay
		effect Effect
		after  int64 // of the bound, where there is one
		why    binding.Reason
	}{
		{"one that is over before the other held the address ends",
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1},
			stay{node: 1, who: simB, from: 10, by: 11, held: 10, to: 11}, Ends, 11, binding.ReasonEnded},
		{"the other one does not",
			stay{node: 1, who: simB, from: 10, by: 11, held: 10, to: 11},
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1}, Nothing, 0, 0},
		{"in unknown order it must speak after the other had begun",
			stay{node: 1, who: simA, from: 0, by: 2, held: 0, to: 2},
			stay{node: 1, who: simB, from: 1, by: 3, held: 1, to: 3}, Doubts, 3, binding.ReasonConflict},
		{"against one that has ended too",
			stay{node: 1, who: simA, from: 0, by: 2, held: 0, to: 2},
			stay{node: 1, who: simB, from: 1, by: 3, held: 1, to: 4, ended: true}, Doubts, 3, binding.ReasonOrder},
		{"a node that says each before the other contradicts itself",
			stay{node: 1, who: simA, from: 0, by: 1, held: 10, to: 12},
			stay{node: 1, who: simB, from: 0, by: 2, held: 8, to: 13}, Doubts, 13, binding.ReasonConflict},
		{"unless the other one ended, and it spoke after that",
			stay{node: 1, who: simA, from: 0, by: 1, held: 20, to: 22},
			stay{node: 1, who: simB, from: 0, by: 2, held: 8, to: 13, ended: true}, Nothing, 0, 0},
		{"or ended, and it did not",
			stay{node: 1, who: simA, from: 0, by: 1, held: 10, to: 12},
			stay{node: 1, who: simB, from: 0, by: 2, held: 8, to: 13, ended: true}, Doubts, 13, binding.ReasonOrder},
		{"who names nobody counts as another SIM",
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1},
			stay{node: 1, who: noSIM, from: 10, by: 11, held: 10, to: 11}, Ends, 11, binding.ReasonEnded},
		{"of one SIM the older must speak after the newer began",
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1},
			stay{node: 1, who: simA, from: 10, by: 11, held: 10, to: 11}, Doubts, 11, binding.ReasonEnding},
		{"of one SIM the newer counts",
			stay{node: 1, who: simA, from: 10, by: 11, held: 10, to: 11},
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1}, Nothing, 0, 0},
		{"of one SIM the older that has spoken since counts too",
			stay{node: 1, who: simA, from: 0, by: 1, held: 15, to: 16},
			stay{node: 1, who: simA, from: 10, by: 11, held: 10, to: 11}, Nothing, 0, 0},
		{"of one SIM the end of the newer leaves the older in doubt",
			stay{node: 1, who: simA, from: 0, by: 12, held: 11, to: 12},
			stay{node: 1, who: simA, from: 10, by: 11, held: 20, to: 21, ended: true}, Doubts, 21, binding.ReasonEnding},
		{"of one SIM the end of the older concerns nobody",
			stay{node: 1, who: simA, from: 10, by: 11, held: 10, to: 11},
			stay{node: 1, who: simA, from: 0, by: 1, held: 20, to: 21, ended: true}, Nothing, 0, 0},
		{"secondary contexts share the address",
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1, contexts: 1 << 5},
			stay{node: 1, who: simA, from: 10, by: 11, held: 10, to: 11, contexts: 1 << 6}, Nothing, 0, 0},
		{"sessions of two nodes are never ordered",
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1},
			stay{node: 2, who: simB, from: 10, by: 11, held: 10, to: 11}, Opposes, 0, binding.ReasonConflict},
		{"of two sources neither",
			stay{node: 1, who: simB, from: 10, by: 11, held: 10, to: 11},
			stay{node: 3, who: simA, from: 0, by: 1, held: 0, to: 1}, Opposes, 0, binding.ReasonConflict},
		{"two that agree corroborate",
			stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 1},
			stay{node: 3, who: simA, from: 10, by: 11, held: 10, to: 11}, Nothing, 0, 0},
		{"a number and a SIM alone do not agree",
			stay{node: 1, who: numberOnly, from: 0, by: 1, held: 0, to: 1},
			stay{node: 3, who: simOnly, from: 0, by: 1, held: 0, to: 1}, Opposes, 0, binding.ReasonConflict},
		{"who names nobody agrees with another source",
			stay{node: 1, who: noSIM, from: 0, by: 1, held: 0, to: 1},
			stay{node: 3, who: simA, from: 10, by: 11, held: 10, to: 11}, Nothing, 0, 0},
		{"but not with another gateway of its own",
			stay{node: 1, who: noSIM, from: 0, by: 1, held: 0, to: 1},
			stay{node: 2, who: simA, from: 0, by: 1, held: 0, to: 1}, Opposes, 0, binding.ReasonConflict},
		{"after another node's end it must speak, whoever it was that ended",
			stay{node: 1, who: simA, from: 0, by: 1, held: 5, to: 6},
			stay{node: 3, who: simB, from: 0, by: 1, held: 8, to: 10, ended: true}, Doubts, 10, binding.ReasonEnding},
		{"what has spoken after it need not",
			stay{node: 1, who: simA, from: 0, by: 1, held: 11, to: 12},
			stay{node: 3, who: simB, from: 0, by: 1, held: 8, to: 10, ended: true}, Nothing, 0, 0},
		{"nor one that follows on the one of its source and SIM that ended",
			stay{node: 1, who: simA, from: 5, by: 6, held: 5, to: 6},
			stay{node: 2, who: simA, from: 0, by: 1, held: 8, to: 10, ended: true}, Nothing, 0, 0},
		{"of another source it must",
			stay{node: 3, who: simA, from: 5, by: 6, held: 5, to: 6},
			stay{node: 2, who: simA, from: 0, by: 1, held: 8, to: 10, ended: true}, Doubts, 10, binding.ReasonEnding},
		{"of another SIM too",
			stay{node: 1, who: simB, from: 5, by: 6, held: 5, to: 6},
			stay{node: 2, who: simA, from: 0, by: 1, held: 8, to: 10, ended: true}, Doubts, 10, binding.ReasonEnding},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			m := newMemory(t)
			x, xHold := m.session(t, tt.x)
			y, yHold := m.session(t, tt.y)
			effect, after, why := m.Against(&x, xHold, &y, yHold)
			if effect != tt.effect || why != tt.why || effect != Nothing && effect != Opposes && after != at(tt.after) {
				t.Errorf("effect %d after %+d s for %v, want %d after %+d s for %v", effect, (after.Our-now)/1000, why,
					tt.effect, tt.after, tt.why)
			}
		})
	}
}

func TestBetweenNodesOnlyOurClockCounts(t *testing.T) {
	m := newMemory(t)
	x, xHold := m.session(t, stay{node: 1, who: simA, from: 0, by: 1, held: 5, to: 6})
	y, yHold := m.session(t, stay{node: 3, who: simB, from: 0, by: 1, held: 8, to: 10, ended: true})
	x.HeldAt, y.After = by(5, 90, 1), by(10, 9, 1)
	if effect, after, _ := m.Against(&x, xHold, &y, yHold); effect != Doubts || after.Our != at(10).Our ||
		after.Epoch != 0 {
		t.Errorf("effect %d after %+v", effect, after)
	}
	// At one node its own time decides.
	x, _ = m.session(t, stay{node: 1, who: simA, from: 0, by: 9, held: 0, to: 9})
	y, _ = m.session(t, stay{node: 1, who: simB, from: 0, by: 9, held: 0, to: 9})
	xHold, yHold = Hold{By: by(9, 1, 1), At: by(0, 0, 1)}, Hold{By: by(9, 9, 1), At: by(0, 5, 1)}
	if effect, _, _ := m.Against(&x, xHold, &y, yHold); effect != Ends {
		t.Errorf("effect %d", effect)
	}
}

func TestASessionOfTheSameIDTookItsPlace(t *testing.T) {
	m := newMemory(t)
	x, xHold := m.session(t, stay{node: 1, who: simA, from: 0, by: 20, held: 10, to: 20})
	y, yHold := m.session(t, stay{node: 1, who: simA, from: 0, by: 1, held: 0, to: 20, ended: true})
	x.Key = [2]uint64{9, 8}
	y.Key = [2]uint64{9, 9}
	if effect, _, _ := m.Against(&x, xHold, &y, yHold); effect != Nothing {
		t.Errorf("effect %d", effect)
	}
	y.Flags |= Stopped
	if effect, after, why := m.Against(&x, xHold, &y, yHold); effect != Doubts || after != at(20) ||
		why != binding.ReasonEnding {
		t.Errorf("of one that stopped: effect %d after %+v for %v", effect, after, why)
	}
}

func TestAnotherSiteHasJudgedItself(t *testing.T) {
	m := newMemory(t)
	m.SetNode(4, NodeRestart, 1)
	x, xHold := m.session(t, stay{node: 4, who: simA, from: 0, by: 1, held: 0, to: 1})
	y, yHold := m.session(t, stay{node: 4, who: simB, from: 10, by: 11, held: 10, to: 11})
	if effect, _, _ := m.Against(&x, xHold, &y, yHold); effect != Nothing {
		t.Errorf("effect %d", effect)
	}
}

// TestWhatARestartEnded is over before the sweep marks it.
func TestWhatARestartEnded(t *testing.T) {
	for _, tt := range []struct {
		claim    string
		held     int64
		restarts uint16 // that it has seen; the node has told of one
		over     bool
		doubt    binding.Reason
	}{
		{"what has not spoken since is over", 5, 0, true, binding.ReasonBound},
		{"what has, but perhaps of before, is in doubt", 5, 1, false, binding.ReasonRestarted},
		{"what has surely is not", 15, 1, false, binding.ReasonBound},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			m := newMemory(t)
			m.SetNode(1, NodeRestarts, 1)
			m.SetNode(1, NodeRestartFrom, at(8).Pack())
			m.SetNode(1, NodeRestartBy, at(10).Pack())
			x, _ := m.session(t, stay{node: 1, who: simA, from: 0, by: 1, held: tt.held, to: tt.held + 1})
			x.Restarts = tt.restarts
			if over, doubt := m.restarted(&x); over != tt.over || doubt != tt.doubt {
				t.Errorf("over %v, doubt %v", over, doubt)
			}
			if end, over := m.EndOf(&x); over != tt.over || over && end != at(10) {
				t.Errorf("its end is %+v, over %v", end, over)
			}
			if m.RestartFrom(1) != at(8) {
				t.Errorf("from %+v", m.RestartFrom(1))
			}
		})
	}
	m := newMemory(t)
	if _, told := m.RestartBy(1); told {
		t.Error("a node that told of none has restarted")
	}
}

func TestWhoAgrees(t *testing.T) {
	for _, tt := range []struct {
		x, y binding.Subscriber
		want bool
	}{
		{simA, simA, true}, {simA, simB, false}, {simA, noSIM, true}, {noSIM, noSIM, true},
		{binding.Subscriber{MSISDN: 1}, binding.Subscriber{MSISDN: 1, IMSI: 2}, true},
		{binding.Subscriber{MSISDN: 1}, binding.Subscriber{IMSI: 2}, false},
		{binding.Subscriber{MSISDN: 1, IMSI: 2}, binding.Subscriber{MSISDN: 3, IMSI: 2}, false},
		{binding.Subscriber{IMSI: 2}, binding.Subscriber{IMSI: 2}, true},
		{binding.Subscriber{MSISDN: 1, IMSI: 2}, binding.Subscriber{MSISDN: 1, IMSI: 3}, false},
	} {
		if Agree(tt.x, tt.y) != tt.want || Agree(tt.y, tt.x) != tt.want {
			t.Errorf("%v and %v: %v", tt.x, tt.y, !tt.want)
		}
	}
	m := newMemory(t)
	anon, _ := m.session(t, stay{node: 1})
	if x, _ := m.session(t, stay{node: 1, who: simA}); m.OneSIM(&x, &anon) || m.OneSIM(&anon, &anon) || !m.OneSIM(&x, &x) {
		t.Error("who names nobody is surely somebody")
	}
}

// TestHoldsOnlyGrowSurer with each word.
func TestHoldsOnlyGrowSurer(t *testing.T) {
	h := Hold{By: at(5), At: at(0)}
	h = h.Hear(at(3), at(9))
	if h != (Hold{By: at(5), At: at(3)}) {
		t.Errorf("a later word: %+v", h)
	}
	if h = h.Hear(at(-5), at(2)); h != (Hold{By: at(2), At: at(3)}) {
		t.Errorf("an older word: %+v", h)
	}
	if clock.Before(h.At, h.By) {
		t.Error("it never held it")
	}
}
