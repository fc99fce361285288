package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/cache"
)

const patience = 20 * time.Second

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func imsi(n int) binding.IMSI {
	i, err := binding.ParseIMSI(fmt.Sprintf("00101%010d", n))
	if err != nil {
		panic(err)
	}
	return i
}

func number(n int) binding.MSISDN { return binding.MSISDN(491700000000 + n) }

// A book is a source in memory.
type book struct {
	mu     sync.Mutex
	knows  map[binding.IMSI]binding.MSISDN
	err    error
	asked  atomic.Int64
	answer chan struct{} // if it is not nil it waits for this
}

func (b *book) Name() string { return "book" }

func (b *book) Resolve(ctx context.Context, i binding.IMSI) (binding.MSISDN, error) {
	b.asked.Add(1)
	if b.answer != nil {
		select {
		case <-b.answer:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	if m := b.knows[i]; m != 0 {
		return m, nil
	}
	return 0, ErrUnknown
}

func (b *book) set(i binding.IMSI, m binding.MSISDN, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.knows[i], b.err = m, err
}

// told keeps what the Registry is told.
type told struct {
	mu   sync.Mutex
	last map[binding.IMSI]binding.MSISDN
	n    int
	busy int // how often to be busy first
}

func (r *told) submit(ev binding.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy > 0 {
		r.busy--
		return binding.ErrBusy
	}
	r.last[ev.IMSI] = ev.MSISDN
	r.n++
	return nil
}

func (r *told) of(i binding.IMSI) (binding.MSISDN, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[i], r.n
}

func newDirectory(t *testing.T, change func(*Config), sources ...Source) (*Directory, *told, *atomic.Int64) {
	t.Helper()
	registry := &told{last: map[binding.IMSI]binding.MSISDN{}}
	var ahead atomic.Int64
	near, err := cache.New[binding.IMSI, Answer](cache.Config{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Sources: sources, Near: near, Submit: registry.submit, Rate: 1e6}
	if change != nil {
		change(&cfg)
	}
	d := New(cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; near.Close() })
	return d, registry, &ahead
}

func TestTheFirstSourceThatKnowsDecides(t *testing.T) {
	first, second := &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(1)}}, &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(9), imsi(2): number(2)}}
	d, registry, _ := newDirectory(t, nil, first, second)
	registry.busy = 3 // it is offered again
	d.Ask(imsi(1), 0)
	until(t, "1 is told", func() bool { m, _ := registry.of(imsi(1)); return m == number(1) })
	d.Ask(imsi(2), 0)
	until(t, "2 is told", func() bool { m, _ := registry.of(imsi(2)); return m == number(2) })
	if n := second.asked.Load(); n != 1 {
		t.Errorf("the second was asked %d times", n)
	}
}

func TestWhoIsNotKnownIsNotAskedForAllTheTime(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{}}
	d, registry, ahead := newDirectory(t, nil, source)
	for range 100 {
		d.Ask(imsi(1), 0)
	}
	idle := func() bool { s := d.State(); return s.Waiting == 0 && int64(s.None) == int64(source.asked.Load()) }
	until(t, "it is asked and known that there is none", func() bool {
		_, ok := d.cfg.Near.Peek(imsi(1))
		return ok && idle()
	})
	asked := source.asked.Load() // an answer is near some moments after it came
	for range 100 {
		d.Ask(imsi(1), 0)
	}
	until(t, "nothing is asked any more", idle)
	if _, n := registry.of(imsi(1)); n != 0 || source.asked.Load() != asked || asked > 3 {
		t.Errorf("asked %d and then %d times, told %d times", asked, source.asked.Load(), n)
	}
	source.set(imsi(1), number(1), nil)
	ahead.Store(int64(DefaultNegativeTTL))
	d.Ask(imsi(1), 0)
	until(t, "after its time it is asked again", func() bool { m, _ := registry.of(imsi(1)); return m == number(1) })
}

func TestASourceThatFailsTakesNoNumberAway(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{}, err: errors.New("down")}
	d, registry, ahead := newDirectory(t, nil, source)
	d.Ask(imsi(1), number(1))
	until(t, "it is asked", func() bool { _, ok := d.cfg.Near.Peek(imsi(1)); return ok })
	d.Ask(imsi(1), number(1))
	if _, n := registry.of(imsi(1)); n != 0 {
		t.Errorf("told %d times", n)
	}
	source.set(imsi(1), 0, nil)
	ahead.Store(int64(pauseAfterError))
	d.Ask(imsi(1), number(1))
	until(t, "a source that knows of none does", func() bool { m, n := registry.of(imsi(1)); return n == 1 && m == 0 })
}

func TestAChangeIsToldAtOnce(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{imsi(1): number(1)}}
	d, registry, _ := newDirectory(t, nil, source)
	d.Ask(imsi(1), 0)
	until(t, "1 is told", func() bool { m, _ := registry.of(imsi(1)); return m == number(1) })
	source.set(imsi(1), number(2), nil)
	d.Changed(imsi(1))
	until(t, "2 is told", func() bool { m, _ := registry.of(imsi(1)); return m == number(2) })
	source.set(imsi(1), 0, nil)
	d.Changed(imsi(1))
	until(t, "none is told", func() bool { m, _ := registry.of(imsi(1)); return m == 0 })
}

func TestWhatFindsNoRoomIsDropped(t *testing.T) {
	source := &book{knows: map[binding.IMSI]binding.MSISDN{}, answer: make(chan struct{})}
	d, _, _ := newDirectory(t, func(c *Config) { c.Workers, c.Queue = 1, 4 }, source)
	for n := range 100 {
		d.Ask(imsi(n), 0)
	}
	if n := d.State().Dropped; n < 90 {
		t.Errorf("%d are dropped", n)
	}
	close(source.answer)
}

func TestExport(t *testing.T) {
	for _, tt := range []struct {
		claim, format, text string
		rows, contradicts   int
		wrong               string
	}{
		{"a CSV with its names", CSV, "imsi,msisdn\n001010000000001,491700000001\n\n001010000000002,+491700000002\n", 2, 0, ""},
		{"a CSV without, quoted, with more columns and CRLF", CSV, "\"001010000000001\",\"491700000001\",x\r\n", 1, 0, ""},
		{"NDJSON", NDJSON, `{"imsi":"001010000000001","msisdn":"491700000001","more":1}` + "\n", 1, 0, ""},
		{"a row that is repeated", CSV, "001010000000001,491700000001\n001010000000001,491700000001\n", 1, 0, ""},
		{"a SIM with two numbers has none", CSV, "001010000000001,491700000001\n001010000000001,491700000002\n001010000000003,491700000003\n", 1, 1, ""},
		{"an empty one", CSV, "", 0, 0, ""},
		{"a line that is none", CSV, "001010000000001,491700000001\nx\n", 0, 0, "line 2: not imsi,msisdn"},
		{"a SIM that is none", CSV, "12,491700000001\n", 0, 0, "line 1: IMSI"},
		{"a number that is none", CSV, "001010000000001,49170000000x\n", 0, 0, "line 1: MSISDN"},
		{"JSON that is none", NDJSON, "{}\n{", 0, 0, "line 1"},
		{"a line without end", CSV, strings.Repeat("1", 2*lineMax), 0, 0, "too long"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			table, err := readTable(strings.NewReader(tt.text), tt.format, 100)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("error %v, want %s", err, tt.wrong)
				}
				return
			}
			if err != nil || len(table.rows) != tt.rows || table.contradicts != tt.contradicts {
				t.Errorf("%+v, %v", table, err)
			}
		})
	}
	if _, err := readTable(strings.NewReader("001010000000001,491700000001\n001010000000002,491700000001\n"), CSV, 1); err == nil {
		t.Error("more rows than allowed are taken")
	}
}

func TestAnExportThatChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "export.csv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("001010000000001,491700000001\n001010000000002,491700000002\n001010000000003,491700000003\n")
	f := NewFile(path, CSV, slog.New(slog.DiscardHandler))
	f.every = 5 * time.Millisecond
	var mu sync.Mutex
	changed := map[binding.IMSI]int{}
	f.Changed = func(_ context.Context, i binding.IMSI) {
		mu.Lock()
		defer mu.Unlock()
		changed[i]++
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	defer running.Wait()
	defer cancel()
	resolves := func(n int, want binding.MSISDN) func() bool {
		return func() bool { m, _ := f.Resolve(t.Context(), imsi(n)); return m == want }
	}
	until(t, "it is read", resolves(1, number(1)))
	write("001010000000001,491700000001\n001010000000002,491700000022\n001010000000004,491700000004\n")
	until(t, "it is read again", resolves(4, number(4)))
	until(t, "what differs is told", func() bool { mu.Lock(); defer mu.Unlock(); return len(changed) == 3 })
	if changed[imsi(1)] != 0 {
		t.Error("a row that is the same is told")
	}
	write("001010000000001,broken\n")
	until(t, "a broken one is told of", func() bool { return strings.Contains(f.Problem(), "line 1") })
	if !resolves(4, number(4))() {
		t.Error("the former one does not count any more")
	}
	write("001010000000005,491700000005\n")
	until(t, "a good one is taken", resolves(5, number(5)))
	if _, err := f.Resolve(t.Context(), imsi(4)); !errors.Is(err, ErrUnknown) || f.Problem() != "" {
		t.Errorf("%v, %s", err, f.Problem())
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add([]byte("imsi,msisdn\n001010000000001,491700000001\n"), true)
	f.Add([]byte(`{"imsi":"001010000000001","msisdn":"+491700000001"}`), false)
	f.Fuzz(func(t *testing.T, text []byte, csv bool) {
		format := NDJSON
		if csv {
			format = CSV
		}
		table, err := readTable(strings.NewReader(string(text)), format, 1000)
		if err != nil {
			return
		}
		for i, r := range table.rows {
			if r.imsi == 0 || r.msisdn == 0 || i > 0 && table.rows[i-1].imsi >= r.imsi || table.lookup(r.imsi) != r.msisdn {
				t.Fatalf("row %d of %+v", i, table.rows)
			}
		}
	})
}

func BenchmarkReadTable(b *testing.B) {
	var text strings.Builder
	for n := range 1_000_000 {
		fmt.Fprintf(&text, "00101%010d,4917%08d\n", n*7919%1_000_000, n)
	}
	b.ResetTimer()
	for range b.N {
		if _, err := readTable(strings.NewReader(text.String()), CSV, MaxRows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1e6/b.Elapsed().Seconds(), "rows/s")
}
