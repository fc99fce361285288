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

	nobody bool // answers, and what was known is void
}

// sure reports that the answer is one.
func (a Answer) sure() bool { return a.MSISDN != 0 || !a.Failed }

// learnedName is the source of what signalling brought, differ that of no number
// because it and another source say two.
const (
	learnedName = "learned"
	differ      = "learned and another, which differ"
)

// A Near keeps answers; cache.Near is one. A generation ends with Invalidate.
type Near interface {
	Generation(imsi binding.IMSI) uint64
	Get(ctx context.Context, imsi binding.IMSI, ask func(context.Context) (Answer, time.Duration, error)) (Answer, error)
	Peek(imsi binding.IMSI) (Answer, bool)
	Invalidate(imsi binding.IMSI)
}

// A Config of a Directory. Zero values of durations and numbers are the defaults.
type Config struct {
	// Learned, if it is set, is the number that signalling has seen with a SIM,
	// zero if there is none. It must not block. Where a source says another
	// one there is none: nobody can say which is right.
	Learned func(binding.IMSI) binding.MSISDN
	// Sources are asked in this order; the first that knows decides.
	Sources []Source
	// Near keeps what they said: a number for TTL, that there is none for
	// NegativeTTL.
	Near             Near
	TTL, NegativeTTL time.Duration
	// Timeout bounds one question to one source.
	Timeout time.Duration
	// Rate is how many SIMs a second are asked for at most, of others than a File.
	Rate float64
	// Workers is how many questions are under way at most, Queue how many wait
	// that are for SIMs without a number or with one that is void.
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
	queue   *queue
	telling sync.Mutex // nothing changes between what is near and what is told
	void    voids

	counts   []sourceCounts // by source
	learned  sourceCounts
	answered atomic.Uint64
	none     atomic.Uint64
	near     atomic.Uint64
	taken    atomic.Int64 // ns, of the last question that a source answered
}

// sourceCounts are the answers of one source; problem is the last one, if it was
// none.
type sourceCounts struct {
	found, unknown, failed atomic.Uint64
	problem                atomic.Pointer[string]
}

func (c *sourceCounts) failedWith(err error) {
	c.failed.Add(1)
	text := err.Error()
	c.problem.Store(&text)
}

// New makes a Directory. It does no I/O.
func New(cfg Config, log *slog.Logger) *Directory {
	cfg = cfg.withDefaults()
	return &Directory{
		cfg: cfg, log: log, limiter: rate.NewLimiter(rate.Limit(cfg.Rate), max(int(cfg.Rate/10), 1)),
		queue: newQueue(cfg.Queue), counts: make([]sourceCounts, len(cfg.Sources)),
	}
}

// Run answers questions until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range d.cfg.Workers {
		workers.Go(func() {
			for {
				q, ok := d.queue.next(ctx)
				if !ok {
					return
				}
				d.answer(ctx, q)
				d.queue.done(q)
			}
		})
	}
	workers.Wait()
	return nil
}

// Ask has the Registry told the number of a SIM, if it is another one than it
// has. It does not block: where too many wait the question is dropped, and the
// Registry's sweep asks again.
func (d *Directory) Ask(imsi binding.IMSI, has binding.MSISDN) {
	d.telling.Lock()
	others, ok := d.cfg.Near.Peek(imsi)
	if ok = ok || len(d.cfg.Sources) == 0; ok {
		d.near.Add(1)
		if answer := strict(d.together(imsi, others), d.void.since(imsi) != 0); answer.MSISDN != has && answer.sure() {
			_ = d.cfg.Submit(known(imsi, answer)) // busy: asked again
		}
	}
	d.telling.Unlock()
	if !ok {
		d.queue.put(question{imsi: imsi, has: has, void: d.void.since(imsi) != 0})
	}
}

// Changed tells that what was known of a SIM's number is void. The Registry is
// told the new one, or that there is none, also if nobody answers. Any goroutine
// may call it; it does not block.
func (d *Directory) Changed(imsi binding.IMSI) {
	d.void.add(imsi)
	d.cfg.Near.Invalidate(imsi)
	d.queue.put(question{imsi: imsi, void: true})
}

// ChangedLater is Changed that waits for room, for many at once.
func (d *Directory) ChangedLater(ctx context.Context, imsi binding.IMSI) {
	d.void.add(imsi)
	d.cfg.Near.Invalidate(imsi)
	d.queue.wait(ctx, question{imsi: imsi, void: true})
}

// answer finds the number of a SIM and tells the Registry. An answer of before a
// change is not told: what was asked is asked again.
func (d *Directory) answer(ctx context.Context, q question) {
	for ctx.Err() == nil {
		generation, since := d.cfg.Near.Generation(q.imsi), d.void.since(q.imsi)
		void := q.void || since != 0
		found, err := d.Find(ctx, q.imsi)
		if err != nil {
			continue // somebody else asked, and gave up; or ctx ended
		}
		answer := strict(found, void)
		if !answer.sure() || answer.MSISDN == q.has && answer.Source != differ && !void {
			return // it is what the Registry has
		}
		if d.tell(ctx, q.imsi, answer, generation) {
			if !found.Failed {
				d.void.remove(q.imsi, since)
			}
			return
		}
	}
}

// strict is an answer about a number that may be void: while a source cannot say,
// it is none.
func strict(a Answer, void bool) Answer {
	if void && a.Failed {
		return Answer{nobody: true}
	}
	return a
}

// tell submits an answer until it is taken. It reports false if something has
// changed since it was asked for.
func (d *Directory) tell(ctx context.Context, imsi binding.IMSI, a Answer, generation uint64) (current bool) {
	once := binding.SubmitFunc(func(ev binding.Event) error {
		d.telling.Lock()
		defer d.telling.Unlock()
		if current = d.cfg.Near.Generation(imsi) == generation; !current {
			return nil
		}
		return d.cfg.Submit(ev)
	})
	_ = once.Wait(ctx, known(imsi, a)) // a Registry that is closed needs none
	return current
}

func known(imsi binding.IMSI, a Answer) binding.Event {
	ev := binding.Event{Kind: binding.NumberKnown, IMSI: imsi, MSISDN: a.MSISDN}
	if a.nobody {
		ev.Doubt = binding.ReasonUnconfirmed
	}
	return ev
}

// Find returns the number of a SIM: what was learned, unless the first source
// that knows one says another, or that source's. It is zero if all say that there
// is none, or two differ. It blocks until then.
func (d *Directory) Find(ctx context.Context, imsi binding.IMSI) (Answer, error) {
	others, err := d.cfg.Near.Get(ctx, imsi, func(ctx context.Context) (Answer, time.Duration, error) {
		began := time.Now()
		answer, err := d.askSources(ctx, imsi)
		d.taken.Store(int64(time.Since(began)))
		switch {
		case ctx.Err() != nil:
			return Answer{}, 0, ctx.Err()
		case errors.Is(err, errLimit):
			return Answer{}, 0, err
		case err != nil: // a source that fails is not asked for this SIM all the time
			return Answer{Failed: true}, pauseAfterError, nil
		case answer.MSISDN == 0:
			d.none.Add(1)
			return answer, d.cfg.NegativeTTL, nil
		}
		d.answered.Add(1)
		return answer, d.cfg.TTL, nil
	})
	if err != nil {
		return Answer{}, err
	}
	return d.together(imsi, others), nil
}

// together is what the sources said and what was learned.
func (d *Directory) together(imsi binding.IMSI, others Answer) Answer {
	if d.cfg.Learned == nil {
		return others
	}
	m := d.cfg.Learned(imsi)
	if m == 0 {
		d.learned.unknown.Add(1)
		return others
	}
	d.learned.found.Add(1)
	if others.MSISDN != 0 && others.MSISDN != m {
		return Answer{Source: differ}
	}
	return Answer{MSISDN: m, Source: learnedName, Failed: others.Failed}
}

// errLimit reports that who asks does not wait until Rate allows it.
var errLimit = errors.New("too many SIMs are asked for")

func (d *Directory) askSources(ctx context.Context, imsi binding.IMSI) (Answer, error) {
	var failed error
	limited := false
	for i, source := range d.cfg.Sources {
		if _, here := source.(*File); !here && !limited {
			if err := d.limiter.Wait(ctx); err != nil {
				return Answer{}, errLimit
			}
			limited = true
		}
		timed, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		m, err := source.Resolve(timed, imsi)
		cancel()
		switch {
		case err == nil && m != 0:
			d.counts[i].found.Add(1)
			d.counts[i].problem.Store(nil)
			return Answer{MSISDN: m, Source: source.Name()}, nil
		case err == nil, errors.Is(err, ErrUnknown):
			d.counts[i].unknown.Add(1)
			d.counts[i].problem.Store(nil)
		default:
			d.counts[i].failedWith(err)
			failed = fmt.Errorf("%s: %w", source.Name(), err)
			d.log.Debug("a directory does not answer", "of", source.Name(), "imsi", imsi, "err", err)
		}
	}
	return Answer{}, failed
}
