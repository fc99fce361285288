package feed

import (
	"fmt"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestWhatASiteToldIsOfThen: a change is of when its site decided it, however late
// it is heard, and a row of a snapshot of when its holder came.
func TestWhatASiteToldIsOfThen(t *testing.T) {
	decided := time.Date(2026, 12, 1, 12, 0, 19, 0, time.UTC)
	const holder = `"event_time":"2026-12-01T12:00:10Z","domain":"default","addr":"10.0.0.1","msisdn":"+491700000001","imsi":"001010000000001"`
	for _, kind := range []string{"bound", "moved", "updated", "conflict", "released"} {
		c, err := parseChange("muc", fmt.Appendf(nil, `{"v":1,"site":"muc","incarnation":"i","seq":5,"kind":%q,"at":"2026-12-01T12:00:19Z",%s}`, kind, holder))
		if err != nil {
			t.Fatal(err)
		}
		for late, want := range map[time.Duration]time.Time{11 * time.Second: decided, -time.Second: decided.Add(-time.Second)} {
			ev, ok, err := c.event(decided.Add(late))
			if err != nil || !ok {
				t.Fatal(err)
			}
			if kind != "released" && !ev.Time.Equal(want) {
				t.Errorf("%s, heard %v after it was decided at %v: it is of %v", kind, late, decided, ev.Time)
			}
			if begun := ev.Time.Add(-ev.Age); kind == "bound" && !begun.Equal(decided.Add(-9*time.Second)) {
				t.Errorf("its holder began at %v", begun)
			}
		}
	}
	row := toldRow{told: told{Domain: "default", Addr: "10.0.0.1", MSISDN: "+491700000001"}, Since: decided}
	if ev, ok, err := row.event("muc", decided.Add(time.Hour)); err != nil || !ok || !ev.Time.Equal(decided) || ev.Age != 0 {
		t.Errorf("a row: %+v, %v", ev, err)
	}
	row.Since = time.Time{}
	if ev, ok, err := row.event("muc", decided); err != nil || !ok || ev.Time.UnixMilli() != 1 {
		t.Errorf("a row that does not say since when: %+v, %v", ev, err)
	}
}

// TestASiteWhoseClockIsAhead: what it decided is not of later than it was.
func TestASiteWhoseClockIsAhead(t *testing.T) {
	l := newListener(t)
	for range 3 {
		l.hear(heartbeat{Incarnation: "i", Seq: 10, Ingesting: true, At: l.clock.Add(5 * time.Second)}, l.clock)
		l.beat(t.Context(), <-l.beats)
		l.clock = l.clock.Add(time.Second)
	}
	c := toldChange{
		Incarnation: "i", Site: "north", Seq: 11, Kind: "bound", At: l.clock.Add(5 * time.Second),
		told: told{Domain: "default", Addr: "10.0.0.1", MSISDN: "+491700000001"},
	}
	decided := l.clock
	l.clock = l.clock.Add(4 * time.Second)
	if err := l.apply(t.Context(), &c, 11, false); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, ev := range l.told {
		if ev.Kind == binding.SessionStart {
			if found = true; !ev.Time.Equal(decided) {
				t.Errorf("what was decided at %v is of %v", decided, ev.Time)
			}
		}
	}
	if !found {
		t.Error("it was not told")
	}
}
