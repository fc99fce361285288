package feed

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A listener is a follower without a stream, on a hand-turned clock.
type listener struct {
	*follower
	t     *testing.T
	clock time.Time
	told  []binding.Event
}

func newListener(t *testing.T) *listener {
	l := &listener{t: t, clock: testTime}
	cfg := clusterConfig("nats://127.0.0.1:1")
	cfg.Follow.Submit = func(ev binding.Event) error { l.told = append(l.told, ev); return nil }
	marks, err := openBookmarks(filepath.Join(t.TempDir(), "follow.json"))
	if err != nil {
		t.Fatal(err)
	}
	l.follower = newFollower("north", nil, marks, New(cfg, newFakeOutbox(), nil, testDiscard))
	l.follower.now = func() time.Time { return l.clock }
	l.at, l.progress.Complete = bookmark{Incarnation: "i", Seq: 10, Stream: 10}, l.clock
	return l
}

// hears takes a heartbeat of a member, and a second passes.
func (l *listener) hears(member string, seq uint64) {
	l.beat(l.t.Context(), beatAt{heartbeat{Incarnation: "i", Seq: seq, Ingesting: true, Member: member}, l.clock, l.clock})
	l.watch(l.t.Context())
	l.clock = l.clock.Add(time.Second)
}

// applies is what becomes of changes up to seq.
func (l *listener) applies(seq uint64) {
	l.at.Seq = seq
	l.complete(l.t.Context())
}

// TestHeartbeats: a heartbeat counts when everything is applied that the site
// had decided by then, and what never comes holds up no other.
func TestHeartbeats(t *testing.T) {
	for _, tt := range []struct {
		claim string
		do    func(l *listener)
		age   time.Duration // of what is complete, at the end
		lost  bool
	}{
		{"one of a change that was applied counts at once", func(l *listener) {
			l.hears("a", 10)
		}, time.Second, false},
		{"one of a change to come does not count", func(l *listener) {
			for range 4 {
				l.hears("a", 13)
			}
		}, 4 * time.Second, true},
		{"it counts when the change has come", func(l *listener) {
			l.hears("a", 11)
			l.hears("a", 13)
			l.applies(12)
		}, 2 * time.Second, false},
		{"what a member promised that died does not hold up the other one's", func(l *listener) {
			l.hears("a", 13)
			l.clock = l.clock.Add(4 * time.Second)
			l.applies(11)
			for range 10 {
				l.hears("b", 11)
			}
		}, time.Second, false},
		{"nor does it count when the other one has decided otherwise under the number", func(l *listener) {
			l.clock = l.clock.Add(time.Second)
			l.hears("a", 11)
			l.hears("b", 13)
			l.applies(11)
		}, 3 * time.Second, false},
		{"what is promised no more does not hold up what comes after", func(l *listener) {
			l.hears("", 13)
			l.hears("", 10)
		}, time.Second, false},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			l := newListener(t)
			tt.do(l)
			if age := l.clock.Sub(l.progress.Complete); age != tt.age || l.lost != tt.lost {
				t.Errorf("complete %v ago, lost %v; want %v, %v", age, l.lost, tt.age, tt.lost)
			}
		})
	}
}

// TestAHeartbeatThatHadToWait: what was sent while we were suspended says how it
// was then.
func TestAHeartbeatThatHadToWait(t *testing.T) {
	l := newListener(t)
	sent := l.clock
	hear := func() {
		l.hear(heartbeat{Incarnation: "i", Seq: 10, Ingesting: true, At: sent}, l.clock)
		l.beat(t.Context(), <-l.beats)
		sent = sent.Add(time.Second)
	}
	up := func() time.Time {
		for _, ev := range slices.Backward(l.told) {
			if ev.Kind == binding.NodeUp {
				return ev.Time
			}
		}
		return time.Time{}
	}
	hear()
	l.clock = l.clock.Add(time.Second)
	hear()
	if !up().Equal(l.clock) {
		t.Errorf("told of %v, want %v", up(), l.clock)
	}
	heard := l.clock
	l.clock = l.clock.Add(15 * time.Second)
	for range 12 {
		hear()
		if !up().Equal(heard) {
			t.Fatalf("what was sent %v ago counts as of %v", l.clock.Sub(sent), up())
		}
	}
	hear() // two seconds ago
	if want := l.clock.Add(-2 * time.Second); !up().Equal(want) {
		t.Errorf("told of %v, want %v", up(), want)
	}
}

// TestChangesThatAreMissing: they are, when they do not come for long after the
// heartbeat that tells of them.
func TestChangesThatAreMissing(t *testing.T) {
	l := newListener(t)
	hear := func(seq uint64, sent time.Time) {
		l.hear(heartbeat{Incarnation: "i", Seq: seq, Ingesting: true, At: sent}, l.clock)
		l.beat(t.Context(), <-l.beats)
	}
	began := l.clock
	hear(10, began)
	l.clock = l.clock.Add(stuck + 5*time.Second)
	hear(11, began.Add(time.Second))
	if l.isStuck(began) {
		t.Error("a change is missing as soon as the late heartbeat is there")
	}
	l.clock = l.clock.Add(stuck)
	if l.isStuck(began) {
		t.Error("it is missing too early")
	}
	l.clock = l.clock.Add(1)
	if !l.isStuck(began) {
		t.Error("it is never missing")
	}
	if l.isStuck(l.clock) {
		t.Error("it is missing while others come")
	}
	if l.applies(11); l.isStuck(began) {
		t.Error("it is missing when it was applied")
	}
}

// TestALinkThatStaysLate: heartbeats that come a second apart and late do not
// count as those of now.
func TestALinkThatStaysLate(t *testing.T) {
	for claim, gap := range map[string]time.Duration{"after a stall it drains at 1.25 times the speed": 800 * time.Millisecond, "after a stall it stays as late": time.Second} {
		t.Run(claim, func(t *testing.T) {
			l := newListener(t)
			sent := l.clock
			hear := func() (up time.Time) {
				l.hear(heartbeat{Incarnation: "i", Seq: 10, Ingesting: true, At: sent}, l.clock)
				l.beat(t.Context(), <-l.beats)
				sent = sent.Add(time.Second)
				for _, ev := range l.told {
					if ev.Kind == binding.NodeUp {
						up = ev.Time
					}
				}
				return up
			}
			for range 4 {
				hear()
				l.clock = l.clock.Add(time.Second)
			}
			l.clock = l.clock.Add(20 * time.Second)
			for range 20 {
				up, late := hear(), l.clock.Sub(sent.Add(-time.Second))
				if age := l.clock.Sub(up); age < late-100*time.Millisecond {
					t.Fatalf("a heartbeat that is %v old counts as %v old", late, age)
				}
				l.clock = l.clock.Add(gap)
			}
		})
	}
}

// TestStateOfFollowing: what is shown follows what is known.
func TestStateOfFollowing(t *testing.T) {
	l := newListener(t)
	want := func(claim, state string) {
		t.Helper()
		if l.progress.State != state {
			t.Errorf("%s: %s, want %s", claim, l.progress.State, state)
		}
	}
	l.hears("", 10)
	want("a heartbeat is complete", "current")
	l.say("catching-up") // the stream was interrupted
	l.hears("", 10)
	want("the next one is", "current")
	l.hears("", 11)
	l.clock = l.clock.Add(silence)
	l.watch(t.Context())
	want("none is for too long", "lost")
	l.applies(11)
	want("an old one is now", "lost")
	l.hears("", 11)
	want("a new one is", "current")
}

// TestSnapshotOrder: what the site does not repeat ends when all is told, unless
// it is another site's memory that is told.
func TestSnapshotOrder(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	nc := client(t, op.url())
	source := &siteStream{nc: nc, js: jetStream(t, nc), stream: DefaultStream, timeout: testDeadline}
	until(t, "north's change is in the stream", func() bool { return north.feed.State().Delivered == 1 })
	incarnation := north.feed.State().Incarnation
	const behind, row, ended = binding.NodeBehind, binding.SessionStart, binding.NodeRestart
	for claim, tt := range map[string]struct {
		known string
		want  []binding.Kind
	}{
		"what the same incarnation knew stays until all is told": {incarnation, []binding.Kind{behind, row, ended}},
		"so does what is of an unknown one":                      {"", []binding.Kind{behind, row, ended}},
		"what another one knew ends at once":                     {"another", []binding.Kind{behind, ended, row, ended}},
	} {
		t.Run(claim, func(t *testing.T) {
			l := newListener(t)
			l.source, l.known = source, tt.known
			l.waiting[1] = l.at
			if err := l.snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			var told []binding.Kind
			for _, ev := range l.told {
				told = append(told, ev.Kind)
			}
			if !slices.Equal(told, tt.want) {
				t.Errorf("told %v, want %v", told, tt.want)
			}
			l.Acknowledge(1, nil) // of before
			l.save()
			if at := l.marks.get("north"); at != (bookmark{Incarnation: incarnation}) {
				t.Errorf("after a stop it would go on at %+v", at)
			}
		})
	}
}

// TestAPositionThatCouldNotBeWritten: what is known is what the file has.
func TestAPositionThatCouldNotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "later", "follow.json")
	marks := &bookmarks{file: file, bySite: map[string]bookmark{}}
	was, next := bookmark{"i", 10, 20}, bookmark{"i", 11, 21}
	tell := func(at bookmark, claim string) {
		t.Helper()
		if err := marks.set("north", at); err != nil {
			t.Fatal(err)
		}
		if kept, err := openBookmarks(file); err != nil || kept.get("north") != at {
			t.Errorf("%s: the file has %+v (%v), want %+v", claim, kept.get("north"), err, at)
		}
	}
	fail := func() {
		t.Helper()
		if err := marks.set("north", next); err == nil {
			t.Fatal("it was written")
		}
	}
	dir := filepath.Dir(file)
	fail()
	if at := marks.get("north"); at != (bookmark{}) {
		t.Errorf("a position counts that was not written: %+v", at)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tell(next, "again, with room")
	tell(was, "another one")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	fail()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tell(was, "the old one, which the file may not have")
}

// TestAPositionWithoutANumber: whose snapshot was interrupted is told anew, and
// knows of which incarnation it was told.
func TestAPositionWithoutANumber(t *testing.T) {
	l := newListener(t)
	if err := l.forget("i"); err != nil {
		t.Fatal(err)
	}
	l.hears("", 0)
	if len(l.told) != 0 {
		t.Errorf("a heartbeat of before the snapshot counts: %v", l.told)
	}
	marks, err := openBookmarks(l.marks.file)
	if err != nil {
		t.Fatal(err)
	}
	next := newListener(t)
	next.at = bookmark{}
	next.resume(marks.get("north"))
	if next.known != "i" || next.at != (bookmark{}) {
		t.Errorf("known %q, position %+v", next.known, next.at)
	}
}
