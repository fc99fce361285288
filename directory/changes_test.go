package directory

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A slow source answers the first question when it is released, all others at
// once, with another number.
type slow struct {
	asked   atomic.Int64
	release chan struct{}
	first   binding.MSISDN
	later   binding.MSISDN
}

func (s *slow) Name() string { return "slow" }

func (s *slow) Resolve(context.Context, binding.IMSI) (binding.MSISDN, error) {
	if s.asked.Add(1) == 1 {
		<-s.release
		return s.first, nil
	}
	return s.later, nil
}

// idle waits until nothing is asked any more.
func (d *Directory) idle(t *testing.T) {
	t.Helper()
	until(t, "nothing is asked any more", func() bool {
		d.queue.mu.Lock()
		defer d.queue.mu.Unlock()
		return d.queue.waiting() == 0 && len(d.queue.where) == 0
	})
}

func (r *told) is(t *testing.T, i binding.IMSI, m binding.MSISDN) {
	t.Helper()
	until(t, m.String()+" is told", func() bool { got, n := r.of(i); return n > 0 && got == m })
}

func TestAnAnswerOfBeforeAChangeIsNotTold(t *testing.T) {
	source := &slow{release: make(chan struct{}), first: number(1), later: number(2)}
	d, registry, _ := newDirectory(t, nil, source)
	d.Ask(imsi(1), 0)
	until(t, "it is asked", func() bool { return source.asked.Load() == 1 })
	d.Changed(imsi(1))
	registry.is(t, imsi(1), number(2))
	close(source.release)
	until(t, "the first question is over", func() bool { return d.State().Found >= 2 })
	d.idle(t)
	registry.is(t, imsi(1), number(2))
}

func TestAVoidNumberIsTakenAwayWhileNobodyAnswers(t *testing.T) {
	export := &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(1)}}
	hss := &book{knows: map[binding.IMSI]binding.MSISDN{}, err: errors.New("down")}
	d, registry, ahead := newDirectory(t, nil, export, hss)
	d.Ask(imsi(1), 0)
	registry.is(t, imsi(1), number(1))
	export.set(imsi(1), 0, nil) // it does not say that any more
	d.Changed(imsi(1))
	registry.is(t, imsi(1), 0)
	ahead.Add(int64(pauseAfterError))
	d.Ask(imsi(1), 0)
	d.idle(t)
	registry.is(t, imsi(1), 0)
	hss.set(imsi(1), number(2), nil)
	ahead.Add(int64(pauseAfterError))
	d.Ask(imsi(1), 0)
	registry.is(t, imsi(1), number(2))
}

func TestASIMThatWaitsDoesNotFillTheQueue(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{}, answer: make(chan struct{})}
	d, _, _ := newDirectory(t, func(c *Config) { c.Workers, c.Queue = 1, 8 }, source)
	d.Ask(imsi(1), number(1))
	until(t, "it is asked", func() bool { return source.asked.Load() == 1 })
	for range 20 {
		d.Ask(imsi(1), number(1))
	}
	d.Ask(imsi(2), 0)
	if s := d.State(); s.Dropped != 0 || s.Waiting != 1 {
		t.Errorf("%d wait, %d were dropped", s.Waiting, s.Dropped)
	}
	close(source.answer)
	d.idle(t)
}

func TestWhoHasNoNumberIsAskedForBeforeWhoHasOne(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{}, answer: make(chan struct{})}
	d, _, _ := newDirectory(t, func(c *Config) { c.Workers, c.Queue = 1, 4 }, source)
	d.Ask(imsi(0), 0)
	until(t, "it is asked", func() bool { return source.asked.Load() == 1 })
	for n := range 20 {
		d.Ask(imsi(100+n), number(100+n)) // more than there is room for
	}
	if s := d.State(); s.Dropped != 0 {
		t.Errorf("%d checks count as dropped", s.Dropped)
	}
	d.Ask(imsi(1), 0)
	d.Changed(imsi(2))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next := func() binding.IMSI {
		q, ok := d.queue.next(ctx)
		if !ok {
			t.Fatal("nothing waits")
		}
		return q.imsi
	}
	if a, b := next(), next(); a+b != imsi(1)+imsi(2) {
		t.Errorf("%v and %v are next", a, b)
	}
	if a := next(); a != imsi(100) {
		t.Errorf("then %v", a)
	}
	close(source.answer)
}

func TestLearnedAndSaid(t *testing.T) {
	down := errors.New("down")
	for _, tt := range []struct {
		claim         string
		learned, said binding.MSISDN
		err           error
		want          binding.MSISDN
		failed        bool
	}{
		{"what was learned counts where nobody says anything", number(1), 0, nil, number(1), false},
		{"and where nobody answers", number(1), 0, down, number(1), true},
		{"two that say the same are right", number(1), number(1), nil, number(1), false},
		{"of two that differ nobody can say", number(1), number(2), nil, 0, false},
		{"nothing was learned", 0, number(2), nil, number(2), false},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			source := &book{knows: map[binding.IMSI]binding.MSISDN{}}
			source.set(imsi(1), tt.said, tt.err)
			d, _, _ := newDirectory(t, func(c *Config) { c.Learned = func(binding.IMSI) binding.MSISDN { return tt.learned } }, source)
			got, err := d.Find(t.Context(), imsi(1))
			if err != nil || got.MSISDN != tt.want || got.Failed != tt.failed {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestWhatWasLearnedIsNotKeptNear(t *testing.T) {
	var learned atomic.Uint64
	learned.Store(uint64(number(1)))
	d, registry, _ := newDirectory(t, func(c *Config) {
		c.Learned = func(binding.IMSI) binding.MSISDN { return binding.MSISDN(learned.Load()) }
	})
	d.Ask(imsi(1), 0)
	registry.is(t, imsi(1), number(1))
	d.idle(t)
	learned.Store(0) // signalling has seen the SIM with another number
	until(t, "it is taken away", func() bool {
		d.Ask(imsi(1), number(1))
		m, _ := registry.of(imsi(1))
		return m == 0
	})
}

// TestAnExportCountsOnceItIsRead before those that answered in its place.
func TestAnExportCountsOnceItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "export.csv")
	f := NewFile(path, CSV, slog.New(slog.DiscardHandler))
	f.every = 5 * time.Millisecond
	hss := &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(9)}}
	d, registry, _ := newDirectory(t, nil, f, hss)
	f.First, f.Changed = d.cfg.Near.(interface{ InvalidateAll() }).InvalidateAll, d.ChangedLater
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	defer running.Wait()
	defer cancel()
	until(t, "there is no export", func() bool { return f.Problem() != "" })
	d.Ask(imsi(1), 0)
	registry.is(t, imsi(1), number(9))
	d.idle(t)
	if err := os.WriteFile(path, []byte("001010000000001,491700000001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the export counts", func() bool {
		d.Ask(imsi(1), number(9)) // as the sweep does
		m, _ := registry.of(imsi(1))
		return m == number(1)
	})
}

func TestAnExportThatIsCutOffIsNotTaken(t *testing.T) {
	whole := "001010000000001,491700000001\n001010000000002,491700000002\n"
	for cut := range len(whole) {
		table, err := readTable(strings.NewReader(whole[:cut]), CSV, 100)
		if err == nil && len(table.rows) > 0 && whole[cut-1] != '\n' {
			t.Errorf("of %q it makes %v", whole[:cut], table.rows)
		}
	}
}

func TestASourceThatDoesNotAnswerSaysWhy(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{}, err: errors.New("no server is connected")}
	d, _, ahead := newDirectory(t, nil, source)
	problem := func() string { return d.State().Sources[0].Problem }
	d.Ask(imsi(1), 0)
	until(t, "it says why", func() bool { return problem() == "no server is connected" })
	d.idle(t)
	source.set(imsi(1), number(1), nil)
	ahead.Add(int64(pauseAfterError))
	d.Ask(imsi(1), 0)
	until(t, "it answers again", func() bool { return problem() == "" })
}

// TestAChangeIsNotHeldUpByOthers whose questions never end.
func TestAChangeIsNotHeldUpByOthers(t *testing.T) {
	q := newQueue(64)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for n := range 64 {
		q.put(question{imsi: imsi(n)})
	}
	q.wait(ctx, question{imsi: imsi(100), void: true})
	q.put(question{imsi: imsi(101), has: number(101)})
	left := map[binding.IMSI]bool{imsi(100): true, imsi(101): true}
	for n := 0; len(left) > 0; n++ {
		if n == 5000 {
			t.Fatalf("%v wait after 5000 others", left)
		}
		one, ok := q.next(ctx)
		if !ok {
			t.Fatal("nothing waits")
		}
		q.done(one)
		delete(left, one.imsi)
		q.put(question{imsi: imsi(1000 + n)}) // there is always another one
	}
}

func TestACheckIsServedByAQuestionWithoutANumber(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(2)}, answer: make(chan struct{})}
	var learned atomic.Uint64
	d, registry, _ := newDirectory(t, func(c *Config) {
		c.Learned = func(binding.IMSI) binding.MSISDN { return binding.MSISDN(learned.Load()) }
	}, source)
	d.Ask(imsi(1), 0)
	until(t, "it is asked", func() bool { return source.asked.Load() == 1 })
	learned.Store(uint64(number(1))) // it serves the sessions at once
	d.Ask(imsi(1), number(1))
	close(source.answer)
	registry.is(t, imsi(1), 0) // the two differ
}

func TestWhatConfirmsIsNotTold(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(1)}}
	d, registry, _ := newDirectory(t, nil, source)
	d.Ask(imsi(1), number(1))
	until(t, "it is asked", func() bool { return source.asked.Load() == 1 })
	d.idle(t)
	if _, n := registry.of(imsi(1)); n != 0 {
		t.Errorf("told %d times", n)
	}
}

// TestAChangeWhileAnAnswerIsTold counts.
func TestAChangeWhileAnAnswerIsTold(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(1)}}
	var d *Directory
	ready := make(chan struct{})
	d, registry, _ := newDirectory(t, func(c *Config) {
		submit, once := c.Submit, false
		c.Submit = func(ev binding.Event) error {
			<-ready
			err := submit(ev)
			if !once {
				once = true
				source.set(imsi(1), 0, errors.New("down"))
				d.ChangedLater(context.Background(), ev.IMSI)
			}
			return err
		}
	}, source)
	close(ready)
	d.Ask(imsi(1), 0)
	until(t, "it is asked for again", func() bool { return source.asked.Load() > 1 })
	registry.is(t, imsi(1), 0)
}
