package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/simbind/simbind/binding"
)

// Defaults of Config.
const (
	DefaultTTL         = time.Hour
	DefaultNegativeTTL = time.Minute
	DefaultTimeout     = 5 * time.Second
	DefaultRate        = 500
	DefaultWorkers     = 16
	DefaultQueue       = 65536
)

// pauseAfterError is how long a SIM is not asked for again after a source
// failed.
const pauseAfterError = 5 * time.Second

// An Answer is what is near: a number, or zero for none, and whose word it is.
type Answer struct {
	MSISDN binding.MSISDN
	Source string
	// Failed: a source could not say, so that no number does not mean none.
	Failed bool
}

// A Near keeps answers; cache.Near is one.
type Near interface {
	Get(ctx context.Context, imsi binding.IMSI, ask func(context.Context) (Answer, time.Duration, error)) (Answer, error)
	Peek(imsi binding.IMSI) (Answer, bool)
	Invalidate(imsi binding.IMSI)
}

// A Config of a Directory. Zero values of durations and numbers are the defaults.
type Config struct {
	// Sources are asked in this order; the first that knows decides.
	Sources []Source
	// Near keeps what they said: a number for TTL, that there is none for
	// NegativeTTL.
	Near             Near
	TTL, NegativeTTL time.Duration
	// Timeout bounds one question to one source.
	Timeout time.Duration
	// Rate is how many SIMs a second are asked for at most.
	Rate float64
	// Workers is how many questions are under way at most, Queue how many wait.
	Workers, Queue int
	// Submit takes the answers, as binding.NumberKnown.
	Submit binding.SubmitFunc
}

func (c Config) withDefaults() Config {
	for d, v := range map[*time.Duration]time.Duration{&c.TTL: DefaultTTL, &c.NegativeTTL: DefaultNegativeTTL, &c.Timeout: DefaultTimeout} {
		if *d == 0 {
			*d = v
		}
	}
	if c.Rate == 0 {
		c.Rate = DefaultRate
	}
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	if c.Queue == 0 {
		c.Queue = DefaultQueue
	}
	return c
}

// A Directory finds the numbers of SIMs, one question for each however often it
// is asked.
type Directory struct {
	cfg     Config
	log     *slog.Logger
	limiter *rate.Limiter
	queue   chan question

	mu      sync.Mutex
	waiting map[binding.IMSI]bool

	counts   []sourceCounts // by source
	dropped  atomic.Uint64
	answered atomic.Uint64
	none     atomic.Uint64
	near     atomic.Uint64
	taken    atomic.Int64 // ns, of the last question that a source answered
}

type sourceCounts struct{ found, unknown, failed atomic.Uint64 }

// A question is for one SIM. Again: the Registry may know an answer that is void
// now, and is told also that there is none.
type question struct {
	imsi  binding.IMSI
	again bool
}

// New makes a Directory. It does no I/O.
func New(cfg Config, log *slog.Logger) *Directory {
	cfg = cfg.withDefaults()
	return &Directory{
		cfg: cfg, log: log, limiter: rate.NewLimiter(rate.Limit(cfg.Rate), max(int(cfg.Rate/10), 1)),
		queue: make(chan question, cfg.Queue), waiting: map[binding.IMSI]bool{}, counts: make([]sourceCounts, len(cfg.Sources)),
	}
}

// Run answers questions until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range d.cfg.Workers {
		workers.Go(func() { d.work(ctx) })
	}
	workers.Wait()
	return nil
}

// Ask has the Registry told the number of a SIM, if it is another one than it
// has. It does not block: where too many wait the question is dropped, and the
// Registry's sweep asks again.
func (d *Directory) Ask(imsi binding.IMSI, has binding.MSISDN) {
	if answer, ok := d.cfg.Near.Peek(imsi); ok {
		d.near.Add(1)
		if answer.MSISDN != has && !answer.Failed {
			_ = d.cfg.Submit(binding.Event{Kind: binding.NumberKnown, IMSI: imsi, MSISDN: answer.MSISDN}) // busy: asked again
		}
		return
	}
	d.put(question{imsi, has != 0})
}

// Changed tells that a SIM's number is another one now, or with zero that what
// was known is void. Any goroutine may call it; it does not block.
func (d *Directory) Changed(imsi binding.IMSI) {
	d.cfg.Near.Invalidate(imsi)
	d.put(question{imsi, true})
}

// ChangedLater is Changed that waits for room, for many at once.
func (d *Directory) ChangedLater(ctx context.Context, imsi binding.IMSI) {
	d.cfg.Near.Invalidate(imsi)
	select {
	case d.queue <- question{imsi, true}:
	case <-ctx.Done():
	}
}

func (d *Directory) put(q question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting[q.imsi] && !q.again {
		return
	}
	select {
	case d.queue <- q:
		d.waiting[q.imsi] = true
	default:
		d.dropped.Add(1)
	}
}

func (d *Directory) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-d.queue:
			answer, err := d.Find(ctx, q.imsi)
			d.mu.Lock()
			delete(d.waiting, q.imsi)
			d.mu.Unlock()
			if err == nil && !answer.Failed && (answer.MSISDN != 0 || q.again) {
				d.tell(ctx, q.imsi, answer.MSISDN)
			}
		}
	}
}

// Find returns the number of a SIM, from near or from the first source that
// knows it; a zero number if all say that there is none. It blocks until then.
func (d *Directory) Find(ctx context.Context, imsi binding.IMSI) (Answer, error) {
	return d.cfg.Near.Get(ctx, imsi, func(ctx context.Context) (Answer, time.Duration, error) {
		if err := d.limiter.Wait(ctx); err != nil {
			return Answer{}, 0, err
		}
		began := time.Now()
		answer, err := d.askSources(ctx, imsi)
		d.taken.Store(int64(time.Since(began)))
		switch {
		case ctx.Err() != nil:
			return Answer{}, 0, ctx.Err()
		case err != nil: // a source that fails is not asked for this SIM all the time
			return Answer{Failed: true}, pauseAfterError, nil
		case answer.MSISDN == 0:
			d.none.Add(1)
			return answer, d.cfg.NegativeTTL, nil
		}
		d.answered.Add(1)
		return answer, d.cfg.TTL, nil
	})
}

func (d *Directory) askSources(ctx context.Context, imsi binding.IMSI) (Answer, error) {
	var failed error
	for i, source := range d.cfg.Sources {
		timed, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		m, err := source.Resolve(timed, imsi)
		cancel()
		switch {
		case err == nil && m != 0:
			d.counts[i].found.Add(1)
			return Answer{MSISDN: m, Source: source.Name()}, nil
		case err == nil, errors.Is(err, ErrUnknown):
			d.counts[i].unknown.Add(1)
		default:
			d.counts[i].failed.Add(1)
			failed = fmt.Errorf("%s: %w", source.Name(), err)
			d.log.Debug("a directory does not answer", "source", source.Name(), "imsi", imsi, "err", err)
		}
	}
	return Answer{}, failed
}

// tell submits an answer until it is taken.
func (d *Directory) tell(ctx context.Context, imsi binding.IMSI, m binding.MSISDN) {
	_ = d.cfg.Submit.Wait(ctx, binding.Event{Kind: binding.NumberKnown, IMSI: imsi, MSISDN: m}) // a Registry that is closed needs none
}
