package crowdtest_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/simbind/simbind/binding/crowdtest"
)

// A taken step, with its time since the beginning.
type taken struct {
	kind              crowdtest.Kind
	subscriber, visit int
	after             time.Duration
}

// drive carries a plan out in no time and returns its steps.
func drive(t *testing.T, p crowdtest.Plan) (steps []taken, attached int64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tally := &crowdtest.Tally{Began: time.Now()}
		err := p.WithDefaults().Drive(t.Context(), tally, func(_ context.Context, s crowdtest.Step) error {
			steps = append(steps, taken{s.Kind, s.Subscriber, s.Visit, time.Since(tally.Began)})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		attached = tally.Attached.Load()
	})
	return steps, attached
}

func TestStepsComeWhenTheyAreDue(t *testing.T) {
	const s = time.Second
	for claim, c := range map[string]struct {
		plan     crowdtest.Plan
		want     []taken
		attached int64
	}{
		"each attaches once, at the rate": {
			crowdtest.Plan{Subscribers: 3, Rate: 1},
			[]taken{{crowdtest.Attach, 0, 0, 0}, {crowdtest.Attach, 1, 0, s}, {crowdtest.Attach, 2, 0, 2 * s}}, 3,
		},
		"refreshes end before the detach": {
			crowdtest.Plan{Subscribers: 1, Rate: 1, Refresh: 2 * s, Hold: 5 * s},
			[]taken{{crowdtest.Attach, 0, 0, 0}, {crowdtest.Refresh, 0, 0, 2 * s}, {crowdtest.Refresh, 0, 0, 4 * s}, {crowdtest.Detach, 0, 0, 5 * s}}, 0,
		},
		"who left comes back until the end": {
			crowdtest.Plan{Subscribers: 1, Rate: 1, Hold: 2 * s, Duration: 4 * s},
			[]taken{{crowdtest.Attach, 0, 0, 0}, {crowdtest.Detach, 0, 0, 2 * s}, {crowdtest.Attach, 0, 1, 3 * s}}, 1,
		},
		"without a hold refreshes go on for the duration": {
			crowdtest.Plan{Subscribers: 1, Rate: 1, Refresh: 2 * s, Duration: 5 * s},
			[]taken{{crowdtest.Attach, 0, 0, 0}, {crowdtest.Refresh, 0, 0, 2 * s}, {crowdtest.Refresh, 0, 0, 4 * s}}, 1,
		},
		"after a restart all attach again": {
			crowdtest.Plan{Subscribers: 3, Rate: 1, Restart: 1500 * time.Millisecond},
			[]taken{
				{crowdtest.Attach, 0, 0, 0}, {crowdtest.Attach, 1, 0, s}, {crowdtest.Restart, 0, 0, 1500 * time.Millisecond},
				{crowdtest.Attach, 0, 1, 1500 * time.Millisecond}, {crowdtest.Attach, 2, 0, 2 * s}, {crowdtest.Attach, 1, 1, 2500 * time.Millisecond},
			}, 3,
		},
		"a restart makes ends that were due vain": {
			crowdtest.Plan{Subscribers: 1, Rate: 1, Hold: 2 * s, Restart: s},
			[]taken{{crowdtest.Attach, 0, 0, 0}, {crowdtest.Restart, 0, 0, s}, {crowdtest.Attach, 0, 1, s}, {crowdtest.Detach, 0, 1, 3 * s}}, 0,
		},
	} {
		if got, attached := drive(t, c.plan); !slices.Equal(got, c.want) || attached != c.attached {
			t.Errorf("%s:\n got %v, %d attached\nwant %v, %d", claim, got, attached, c.want, c.attached)
		}
	}
}

func TestAFailedStepEndsTheRun(t *testing.T) {
	broken := errors.New("broken")
	err := crowdtest.Plan{}.WithDefaults().Drive(t.Context(), &crowdtest.Tally{Began: time.Now()}, func(context.Context, crowdtest.Step) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestSubscribersAreAllDifferent(t *testing.T) {
	p := crowdtest.Plan{Subscribers: 500, Pool: netip.MustParsePrefix("10.45.3.0/23"), Pool6: netip.MustParsePrefix("2001:db8::/48")}.WithDefaults()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for n := range p.Subscribers {
		s := p.Subscriber(n)
		if !p.Pool.Contains(s.IPv4) || s.IPv6.Bits() != 64 || !p.Pool6.Contains(s.IPv6.Addr()) || len(s.IMSI) != 15 || len(s.IMEISV) != 16 {
			t.Fatalf("%+v", s)
		}
		for _, name := range []string{s.MSISDN, s.IMSI, s.IMEISV, s.IPv4.String(), s.IPv6.String()} {
			if seen[name] {
				t.Fatalf("%s comes twice", name)
			}
			seen[name] = true
		}
	}
}

func TestProgressIsReportedEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally := &crowdtest.Tally{Began: time.Now()}
		tally.Sent.Store(3)
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var got []crowdtest.Progress
		tally.Report(ctx, func(p crowdtest.Progress) { got = append(got, p) })
		if want := []crowdtest.Progress{{Elapsed: time.Second, Sent: 3}, {Elapsed: 2 * time.Second, Sent: 3}}; !slices.Equal(got, want) {
			t.Errorf("%+v", got)
		}
	})
}
