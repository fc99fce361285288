package silence

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var began = time.Unix(1_790_000_000, 0)

// A heard says that a node spoke, so long after the beginning.
type heard struct {
	at   time.Duration
	keep bool
}

// every makes n of them, the first after one pause.
func every(pause time.Duration, n int, keep bool) (list []heard) {
	for i := range n {
		list = append(list, heard{time.Duration(i+1) * pause, keep})
	}
	return list
}

// later moves a list.
func later(d time.Duration, list []heard) []heard {
	for i := range list {
		list[i].at += d
	}
	return list
}

// told plays what was heard with a look each second, until the end, and gives
// what is told, in seconds from the beginning.
func told(quiet time.Duration, list []heard, until time.Duration) []string {
	words := []string{}
	w := New(10, quiet, func(node string, silent bool, at time.Time) {
		words = append(words, fmt.Sprint(node, " ", silent, " ", int(at.Sub(began).Seconds())))
	})
	p := w.Add("a")
	for now := time.Duration(0); now <= until; now += time.Second {
		for len(list) > 0 && list[0].at <= now {
			w.Advance(began.Add(list[0].at))
			w.Heard(p, began.Add(list[0].at), list[0].keep)
			list = list[1:]
		}
		w.Advance(began.Add(now))
	}
	return words
}

func TestANodeIsSilentWhen(t *testing.T) {
	const quiet = 5 * time.Minute
	clusters := func() (list []heard) { // ten peers ask within ten seconds, once a minute
		for minute := range 6 {
			list = append(list, later(time.Duration(minute)*time.Minute, every(time.Second, 10, true))...)
		}
		return list
	}
	busy := append(every(time.Minute, 10, true), later(10*time.Minute, every(time.Second, 1500, false))...)
	for _, c := range []struct {
		claim string
		quiet time.Duration
		heard []heard
		until time.Duration
		want  []string
	}{
		{"three of its keep-alives stay out", quiet, every(time.Minute, 5, true), time.Hour, []string{"a true 480"}},
		{"and not before half a minute is over", quiet, every(2*time.Second, 9, true), time.Hour,
			[]string{"a true 48"}},
		{"and at the latest after five minutes", quiet, every(4*time.Minute, 5, true), time.Hour,
			[]string{"a true 1500"}},
		{"two keep-alives are no rhythm", quiet, every(time.Minute, 2, true), time.Hour, nil},
		{"other messages count as signs of life", quiet,
			append(every(time.Minute, 5, true), later(5*time.Minute,
				every(time.Minute, 20, false))...), 25 * time.Minute, nil},
		{"several within a second are one", quiet, every(100*time.Millisecond, 9, true), time.Hour, nil},
		{"the longest pause counts, not the last", quiet, clusters(), 6 * time.Minute,
			[]string{"a true 40", "a false 61"}},
		{"a rhythm that ended long ago is none", quiet, busy, 35*time.Minute + 299*time.Second, nil},
		{"it spoke steadily and stops", quiet, every(time.Minute, 11, false), time.Hour, []string{"a true 960"}},
		{"that is as long as one likes", 10 * time.Minute, every(3*time.Minute, 11, false), time.Hour,
			[]string{"a true 2580"}},
		{"not if it spoke steadily for a short time only", quiet, every(time.Minute, 10, false), time.Hour, nil},
		{"nor if it had pauses before", quiet, every(2*time.Minute, 30, false), 3 * time.Hour, nil},
		{"nor if that is switched off", 0, every(time.Minute, 60, false), 3 * time.Hour, nil},
		{"a rhythm counts though the rest is switched off", 0, every(time.Minute, 5, true), time.Hour,
			[]string{"a true 480"}},
		{"it speaks again", quiet, append(every(time.Minute, 5, true),
			later(20*time.Minute, every(time.Minute, 3,
				true))...), time.Hour, []string{"a true 480", "a false 1260", "a true 1560"}},
		{"it never spoke", quiet, nil, time.Hour, nil},
	} {
		t.Run(c.claim, func(t *testing.T) {
			if got := told(c.quiet, c.heard, c.until); !slices.Equal(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// Where nobody looks in between, the next word shows that there was a silence.
func TestASilenceThatNobodyLookedAtIsToldWithTheNextWord(t *testing.T) {
	var words []string
	w := New(1, 0, func(_ string, silent bool, at time.Time) {
		words = append(words, fmt.Sprint(silent, " ", at.Sub(began)))
	})
	p := w.Add("a")
	for _, h := range append(every(time.Minute, 3, true), heard{time.Hour, false}) {
		w.Advance(began.Add(h.at))
		w.Heard(p, began.Add(h.at), h.keep)
	}
	if want := []string{"true 1h0m0s", "false 1h0m0s"}; !slices.Equal(words, want) || w.Silent() != 0 {
		t.Errorf("told %q, want %q; %d are silent", words, want, w.Silent())
	}
}

func TestNodesThatAreWatchedAreBounded(t *testing.T) {
	w := New(2, time.Minute, func(int, bool, time.Time) { t.Error("told") })
	if w.Add(1) == nil || w.Add(2) == nil || w.Add(3) != nil {
		t.Error("not two of three are watched")
	}
	w.Heard(nil, began, true)
}
