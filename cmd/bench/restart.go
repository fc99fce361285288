package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/simbind/simbind/binding/query"
)

// runRestart stops the filled daemon and starts it again. Meanwhile it asks
// about residents all the time: the first match ends the first wait, and no
// answer may ever be anything but a match or "unknown warming".
func runRestart(ctx context.Context, s *stage) ([]result, error) {
	t, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	t.stop()
	stopped := time.Since(began)
	began = time.Now()
	if t.daemon, err = s.start(ctx, t.home, s.sessions); err != nil {
		return nil, err
	}
	w := &warmUp{began: began, sessions: uint64(s.sessions)}
	if err := w.watch(ctx, t.daemon); err != nil {
		return nil, err
	}
	if err := t.checkSample(ctx); err != nil {
		return nil, err
	}
	rss, err := t.settledRSS(ctx, rest)
	if err != nil {
		return nil, err
	}
	return []result{
		figure(fmt.Sprintf("restart with %d sessions, complete", s.sessions), "s", []float64{w.complete.Seconds()}, atMost(20)).
			noted("from the start of the process to /readyz; stopping took %s; the page cache was warm; resident %.0f MB, %.0f B a session",
				quantity(stopped.Seconds(), "s"), rss/1e6, rss/float64(s.sessions)),
		figure("until the socket answers", "s", []float64{w.answered.Seconds()}, nil),
		figure("until the first match", "s", []float64{w.matched.Seconds()}, nil).
			noted("of %d answers until then and /readyz, %d were a match, the others unknown warming", w.answers, w.matches),
		figure("wrong answers while loading", "", []float64{float64(w.wrong)}, &goal{Zero: true}),
	}, nil
}

// A warmUp is what is seen of a daemon that loads.
type warmUp struct {
	began                       time.Time
	sessions                    uint64
	answered, matched, complete time.Duration // since began
	answers, matches, wrong     int
}

func (w *warmUp) watch(ctx context.Context, d *daemon) error {
	asked := make(chan error, 1)
	asking, stop := context.WithCancel(ctx)
	defer stop()
	go func() { asked <- w.ask(asking, d) }()
	if err := d.await(ctx, startLimit, d.isReady); err != nil {
		return err
	}
	w.complete = time.Since(w.began)
	stop()
	err := <-asked
	if w.matched == 0 {
		w.matched = w.complete // nothing matches until all is loaded
	}
	return err
}

// ask asks until ctx ends, ten thousand questions a second at most.
func (w *warmUp) ask(ctx context.Context, d *daemon) error {
	var c *query.Client
	err := d.await(ctx, startLimit, func(ctx context.Context) (err error) {
		c, err = query.Dial(ctx, d.socket)
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	who := residents()
	for ctx.Err() == nil {
		n := rand.Uint64N(w.sessions)
		answer, err := c.Verify(ctx, who.addr(n).String(), who.number(n))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		w.note(answer)
		if err := sleep(ctx, 100*time.Microsecond); err != nil {
			return nil
		}
	}
	return nil
}

func (w *warmUp) note(answer query.VerifyReply) {
	if w.answers++; w.answers == 1 {
		w.answered = time.Since(w.began)
	}
	switch {
	case answer.Verdict == "match":
		if w.matches++; w.matches == 1 {
			w.matched = time.Since(w.began)
		}
	case answer.Verdict != "unknown" || answer.Reason != "warming":
		w.wrong++
	}
}
