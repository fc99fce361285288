package feed

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A couple is two members of a pair, which hear the same gateway.
type couple struct {
	t    testing.TB
	each map[string]*station
}

func newCouple(t testing.TB, url string) *couple {
	c := &couple{t, map[string]*station{}}
	for _, member := range []string{"a", "b"} {
		c.each[member] = newMember(t, member, url)
		until(t, "a is active", func() bool { return c.each["a"].feed.State().Role == RoleActive })
	}
	until(t, "b stands by", func() bool { return c.each["b"].shadowed() })
	return c
}

func newMember(t testing.TB, member, url string) *station {
	s := &station{t: t, name: "north", dir: t.TempDir(), url: url}
	s.change = func(cfg *Config) {
		cfg.Pair = Pair{Member: member, File: filepath.Join(s.dir, "pair.json"), Registry: s.Registry}
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// says has both hear it.
func (c *couple) says(kind binding.Kind, session, addr string, n int) {
	for _, s := range c.each {
		s.says(kind, session, addr, n)
	}
}

// published reports whether the stream has all that the station decided.
func (s *station) published() bool { return s.feed.State().Delivered == s.Status().JournalSeq }

func (s *station) shadowed() bool {
	st := s.feed.State()
	return st.Role == RoleStandby && st.Standing && st.Differ == 0
}

func TestTwoMembersOfOneNameAreTold(t *testing.T) {
	t.Parallel()
	op := newOperator(t, nil)
	first := newMember(t, "a", op.url())
	until(t, "a is active", func() bool { return first.feed.State().Role == RoleActive })
	second := newMember(t, "a", op.url())
	told := func(s *station) bool { return slices.Contains(s.feed.State().Warnings, twinWarning) }
	until(t, "both are told", func() bool { return told(first) && told(second) })
	if both := newCouple(t, newOperator(t, nil).url()); told(both.each["a"]) || told(both.each["b"]) {
		t.Error("members with names of their own are told too")
	}
}

func TestConsumersSeeOneSiteWhoeverOfAPairIsActive(t *testing.T) {
	t.Parallel()
	op := newOperator(t, nil)
	both := newCouple(t, op.url())
	centre := newStation(t, "centre", op.url(), All)
	for n := range 50 {
		both.says(binding.SessionStart, fmt.Sprint(n), fmt.Sprintf("10.1.0.%d", n+1), n)
	}
	centre.awaits("10.1.0.50", 49, "match/bound")
	for round, active := range []string{"a", "b", "a"} {
		other := map[string]string{"a": "b", "b": "a"}[active]
		both.each[active].stop()
		both.each[other].says(binding.SessionStart, fmt.Sprint(100+round), fmt.Sprintf("10.1.1.%d", round), 100+round)
		centre.awaits(fmt.Sprintf("10.1.1.%d", round), 100+round, "match/bound")
		both.each[active].start()
		both.each[active].says(binding.SessionStart, fmt.Sprint(100+round), fmt.Sprintf("10.1.1.%d", round), 100+round)
		until(t, "the other one stands by", func() bool { return both.each[active].shadowed() })
	}
	both.says(binding.SessionStop, "0", "", 0)
	centre.awaits("10.1.0.1", 0, "unknown/no-binding")
	centre.awaits("10.1.0.50", 49, "match/bound")
	if p := centre.progress("north"); p.Snapshots != 1 || p.Gaps != 0 {
		t.Errorf("the replica noticed the takeovers: %+v", p)
	}
}

func TestAMemberThatTakesOverSpeaksThoughItWasHeldBefore(t *testing.T) {
	p := newTestPublisher(newFakeOutbox(), nil, 0)
	file := filepath.Join(t.TempDir(), "pair.json")
	s := &standby{p: p, pair: &pair{Pair: Pair{Member: "a", File: file}, now: time.Now}, start: func() error { return nil }}
	p.state.hold(true)
	if err := s.lead(position{incarnation: "abc"}, 1); err != nil {
		t.Fatal(err)
	}
	if p.state.isHeld() || !s.pair.pulse() {
		t.Error("it sends no heartbeats")
	}
}

func TestMembersThatStartTogetherAgreeOnOne(t *testing.T) {
	t.Parallel()
	op := newOperator(t, nil)
	both := &couple{t, map[string]*station{}}
	for _, member := range []string{"a", "b"} {
		both.each[member] = newMember(t, member, op.url())
		both.each[member].says(binding.SessionStart, "1", "10.1.0.1", 1)
	}
	until(t, "one is active and the other stands by", func() bool {
		a, b := both.each["a"].feed.State(), both.each["b"].feed.State()
		return a.Role == RoleActive && b.Standing || b.Role == RoleActive && a.Standing
	})
	both.says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre := newStation(t, "centre", op.url(), All)
	centre.awaits("10.1.0.1", 1, "match/bound")
	centre.awaits("10.1.0.2", 2, "match/bound")
}

func TestAnActiveMemberThatRestartsAloneGoesOn(t *testing.T) {
	t.Parallel()
	op := newOperator(t, nil)
	both := newCouple(t, op.url())
	both.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre := newStation(t, "centre", op.url(), All)
	centre.awaits("10.1.0.1", 1, "match/bound")
	a, b := both.each["a"], both.each["b"]
	a.stop() // b takes over in a's numbers
	until(t, "b is active", func() bool { return b.feed.State().Role == RoleActive })
	b.says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre.awaits("10.1.0.2", 2, "match/bound") // so that the stream has b's word
	b.crash()
	b.start()
	b.says(binding.SessionStart, "3", "10.1.0.3", 3)
	centre.awaits("10.1.0.3", 3, "match/bound")
	if p := centre.progress("north"); p.Snapshots != 1 || p.Gaps != 0 {
		t.Errorf("the replica noticed it: %+v", p)
	}
}

func TestAMemberWithoutItsPairsWordBeginsAnew(t *testing.T) {
	t.Parallel()
	op := newOperator(t, nil)
	a := newMember(t, "a", op.url())
	a.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre := newStation(t, "centre", op.url(), All)
	centre.awaits("10.1.0.1", 1, "match/bound")
	a.crash()
	b := newMember(t, "b", op.url()) // it has never heard a
	b.says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre.awaits("10.1.0.2", 2, "match/bound")
	centre.awaits("10.1.0.1", 1, "unknown/no-binding")
	if p := centre.progress("north"); p.Snapshots != 2 {
		t.Errorf("the replica took no snapshot: %+v", p)
	}
}

func TestATakeoverDoesNotBringAFormerHolderBack(t *testing.T) {
	t.Parallel()
	op := newOperator(t, nil)
	both := newCouple(t, op.url())
	centre := newStation(t, "centre", op.url(), All)
	a, b := both.each["a"], both.each["b"]
	both.says(binding.SessionStart, "1", "10.1.0.1", 1)
	both.says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre.awaits("10.1.0.1", 1, "match/bound")
	centre.awaits("10.1.0.2", 2, "match/bound")
	until(t, "b has heard it", b.shadowed)
	a.says(binding.SessionStart, "3", "10.1.0.1", 3) // b does not hear of it
	centre.awaits("10.1.0.1", 3, "match/bound")
	until(t, "b knows that it differs", func() bool { return b.feed.State().Differ > 0 })
	a.stop()
	until(t, "b is active", func() bool { return b.feed.State().Role == RoleActive && b.published() })
	centre.awaits("10.1.0.1", 1, "stale/unconfirmed")
	if got := b.verdict("10.1.0.1", 1); got != "stale/unconfirmed" {
		t.Errorf("b itself says %s", got)
	}
	centre.awaits("10.1.0.2", 2, "match/bound")
	before := b.Status().JournalSeq // the takeover has told what it had to
	active := time.Now()
	until(t, "what a link brings is surely of since then", func() bool { return time.Since(active) > 400*time.Millisecond })
	b.says(binding.SessionUpdate, "1", "10.1.0.1", 1) // the gateway confirms it
	centre.awaits("10.1.0.1", 1, "match/bound")
	if got := b.Status().JournalSeq; got != before+1 {
		t.Errorf("consumers were told %d changes, want one", got-before)
	}
	b.says(binding.SessionStart, "3", "10.1.0.1", 3)
	centre.awaits("10.1.0.1", 3, "match/bound")
	if p := centre.progress("north"); p.Snapshots != 1 || p.Gaps != 0 {
		t.Errorf("the replica noticed it: %+v", p)
	}
}
