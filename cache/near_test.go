package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newNear(t testing.TB, cfg Config) *Near[string, int] {
	t.Helper()
	n, err := New[string, int](cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// known makes an answer that is near for sure.
func known(t testing.TB, n *Near[string, int], key string, value int, lasts time.Duration) {
	t.Helper()
	if got, err := n.Get(t.Context(), key, func(context.Context) (int, time.Duration, error) { return value, lasts, nil }); err != nil || got != value {
		t.Fatalf("got %d, %v", got, err)
	}
	n.store.Wait()
}

// TestAMovedAddressIsNeverAnsweredFromNear: holders change at random, each
// change is told by Invalidate after it happened; whoever asks after that was
// told may get the new holder or a later one, never one of before. Set and Del
// of Ristretto race all the time.
func TestAMovedAddressIsNeverAnsweredFromNear(t *testing.T) {
	rounds := 20_000
	if testing.Short() {
		rounds = 2_000
	}
	const keys, askers = 8, 6
	n := newNear(t, Config{Entries: keys * 2})
	var truth, told [keys]atomic.Int64 // the holder, and the last one that was told
	name := func(k int) string { return fmt.Sprint("10.0.0.", k) }
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var near atomic.Uint64
	for a := range askers {
		running.Go(func() {
			for i := a; ctx.Err() == nil; i++ {
				k := i % keys
				least := told[k].Load()
				got, err := n.Get(ctx, name(k), func(context.Context) (int, time.Duration, error) {
					return int(truth[k].Load()), time.Hour, nil
				})
				if err == nil && int64(got) < least {
					t.Errorf("%s: got holder %d after %d was told", name(k), got, least)
					return
				}
				if got, ok := n.Peek(name(k)); ok {
					if near.Add(1); int64(got) < least {
						t.Errorf("%s: near is holder %d after %d was told", name(k), got, least)
					}
				}
			}
		})
	}
	for round := 1; round <= rounds; round++ {
		k := round % keys
		truth[k].Store(int64(round))
		n.Invalidate(name(k))
		told[k].Store(int64(round))
		if round%20 != 0 {
			continue
		}
		for before := near.Load(); near.Load() == before && !t.Failed(); { // let answers come near
			runtime.Gosched()
		}
	}
	cancel()
	running.Wait()
	if near.Load() == 0 {
		t.Error("nothing was ever near: that proves nothing")
	}
}

// TestGenerationsAreWhatMakesItSafe: an answer that was asked for before a
// change and comes after it is near in Ristretto, and does not count.
func TestGenerationsAreWhatMakesItSafe(t *testing.T) {
	n := newNear(t, Config{})
	asked, answer := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		_, _ = n.Get(t.Context(), "a", func(context.Context) (int, time.Duration, error) {
			close(asked)
			<-answer
			return 1, time.Hour, nil
		})
	})
	<-asked
	n.Invalidate("a")
	// Who asks now does not join the question of before.
	known(t, n, "a", 2, 0)
	close(answer)
	first.Wait()
	n.store.Wait()
	if e, ok := n.store.Get("a"); !ok || e.value != 1 {
		t.Fatalf("Ristretto does not have the old answer: %v %v", e, ok)
	}
	if got, ok := n.Peek("a"); ok {
		t.Errorf("near is %d", got)
	}
	if c := n.Counts(); c.Stale == 0 {
		t.Errorf("%+v", c)
	}
}

func TestNear(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	n := newNear(t, Config{Now: func() time.Time { return now }})
	never := func(context.Context) (int, time.Duration, error) {
		t.Error("it was asked")
		return 0, 0, nil
	}
	known(t, n, "a", 1, time.Minute)
	if got, err := n.Get(t.Context(), "a", never); got != 1 || err != nil {
		t.Errorf("near: %d, %v", got, err)
	}
	now = now.Add(time.Minute)
	if got, ok := n.Peek("a"); ok {
		t.Errorf("after its time: %d", got)
	}
	known(t, n, "a", 2, time.Minute)
	n.InvalidateAll()
	if got, ok := n.Peek("a"); ok {
		t.Errorf("after everything was void: %d", got)
	}
	no := errors.New("no")
	if _, err := n.Get(t.Context(), "b", func(context.Context) (int, time.Duration, error) { return 1, time.Hour, no }); !errors.Is(err, no) {
		t.Error(err)
	}
	n.store.Wait()
	if got, ok := n.Peek("b"); ok {
		t.Errorf("an error was kept: %d", got)
	}
}

func TestOneQuestionForAll(t *testing.T) {
	n := newNear(t, Config{})
	asked, answer := make(chan struct{}), make(chan struct{})
	var times atomic.Int64
	ask := func(context.Context) (int, time.Duration, error) {
		if times.Add(1) == 1 {
			close(asked)
		}
		<-answer
		return 7, time.Hour, nil
	}
	var all sync.WaitGroup
	get := func() {
		if got, err := n.Get(t.Context(), "a", ask); got != 7 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
	}
	all.Go(get)
	<-asked
	for range 9 {
		all.Go(get)
	}
	for n.Counts().Joined < 9 {
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Get(ctx, "a", ask); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not want to wait: %v", err)
	}
	close(answer)
	all.Wait()
	if times.Load() != 1 {
		t.Errorf("it was asked %d times", times.Load())
	}
}

// TestWhoAsksWhileItClosesFindsNothingNear but its answer.
func TestWhoAsksWhileItClosesFindsNothingNear(t *testing.T) {
	for range 100 {
		n := newNear(t, Config{Entries: 100})
		var stop atomic.Bool
		var askers sync.WaitGroup
		for a := range 3 {
			askers.Go(func() {
				for i := 0; !stop.Load() || i < 10; i++ {
					key := fmt.Sprint(a, i%50)
					n.Peek(key)
					if got, err := n.Get(t.Context(), key, func(context.Context) (int, time.Duration, error) { return 1, time.Nanosecond, nil }); got != 1 || err != nil {
						t.Errorf("%d, %v", got, err)
					}
				}
			})
		}
		n.Close()
		stop.Store(true)
		askers.Wait()
	}
}
