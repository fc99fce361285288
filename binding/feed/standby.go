package feed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A standby is what the publisher does while another member is active: it holds
// its own changes against those of the stream, and takes over when it is its
// turn. It belongs to the goroutine of the publisher.
type standby struct {
	p      *publisher
	pair   *pair
	asker  Asker
	source *siteStream
	start  func() error // what only the active member does
	quit   func()       // ends that

	shadow   *shadow // nil: not to be relied on, or not begun
	messages chan jetstream.Msg
	stop     func() // ends the consumer; nil: there is none
	tidied   time.Time
	review   time.Duration // after how long a shadow that is unsure is made anew
	tried    time.Time     // to reconcile
	said     string        // why the last snapshot failed
	fresh    bool          // no session was before
	known    former        // of other incarnations
}

// standTick is how often to look whether it is this member's turn.
const standTick = 100 * time.Millisecond

// How long a shadow that is unsure of some places is kept.
const (
	reviewFirst = compareEvery
	reviewLast  = 10 * time.Minute
)

// session stands by until it has taken over.
func (s *standby) session(ctx context.Context) error {
	s.quit()
	if err := s.awaitRegistry(ctx); err != nil {
		return err
	}
	if resumed, err := s.resume(ctx); resumed || err != nil {
		return err
	}
	if err := os.Remove(s.pair.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pair: %w", err)
	}
	s.p.pos, s.known = position{}, former{}
	s.pair.patience()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer s.close()
	tick := time.NewTicker(standTick)
	defer tick.Stop()
	for since := s.pair.now(); ; {
		if why, ok := s.pair.turn(since, s.ingesting); ok && !s.shadow.lags() {
			s.pair.log.Info("taking over", "why", why)
			return s.takeOver(ctx)
		}
		if err := s.accompany(ctx, cancel); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case msg := <-s.messages:
			if err := s.hearAll(ctx, msg); err != nil {
				return err
			}
		case <-s.p.outbox.OutboxNotify():
		case <-s.pair.wake:
		case <-tick.C:
		}
	}
}

func (s *standby) ingesting() bool { return s.asker.Status().Ingesting }

// awaitRegistry waits until the journal is loaded and looked through: what this
// member knows before is not all that it knows.
func (s *standby) awaitRegistry(ctx context.Context) error {
	tick := time.NewTicker(loadWait)
	defer tick.Stop()
	for {
		if st := s.asker.Status(); !st.Warming && st.Settled {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// accompany keeps the shadow up to date while another member is active.
func (s *standby) accompany(ctx context.Context, fail context.CancelCauseFunc) (err error) {
	now := s.pair.now()
	if s.due(now) {
		s.tried = now
		if err := s.reconcile(ctx); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if text := fmt.Sprint(err); err != nil && text != s.said {
			s.said = text
			s.pair.log.Warn("the active member's snapshot cannot be had", "err", err)
		}
	}
	if s.shadow == nil {
		s.p.state.stand(s.p.top, false, 0)
		return nil
	}
	if s.stop == nil {
		s.messages = make(chan jetstream.Msg, consumeAhead)
		if s.stop, err = s.source.open(ctx, s.p.cfg.Site, s.shadow.stream, s.shadow.from, s.messages, fail); err != nil {
			return err
		}
	}
	if err := s.readOwn(); err != nil {
		return err
	}
	if s.shadow.full() {
		s.void("this member and the active one differ too much")
		return nil
	}
	s.p.state.stand(s.shadow.read, s.shadow.stands(), s.shadow.differing)
	return s.tidy(now)
}

// tidy gives up matching what is old, and forgets from the outbox what the
// active member has told.
func (s *standby) tidy(now time.Time) error {
	if now.Sub(s.tidied) < trimStep {
		return nil
	}
	s.tidied = now
	if reached := s.pair.told(s.shadow.incarnation, s.shadow.seq); reached.After(s.shadow.reached) {
		s.shadow.reached = reached
	}
	if err := s.shadow.age(); err != nil {
		return err
	}
	s.p.trim.stored(min(s.shadow.kept(), s.p.top), now)
	_, err := s.p.trimDue()
	return err
}

// due reports whether a snapshot of the active member is needed: the first one,
// or another because this member has since heard news that the other one knew
// before.
func (s *standby) due(now time.Time) bool {
	switch {
	case !s.pair.another() || now.Sub(s.tried) < followRetry:
		return false
	case s.shadow == nil:
		s.review = reviewFirst
		return true
	case s.shadow.unsure > 0 && now.Sub(s.shadow.began) > s.review:
		s.review = min(2*s.review, reviewLast)
		return true
	}
	return false
}

func (s *standby) close() {
	if s.stop != nil {
		s.stop()
		s.stop, s.messages = nil, nil
	}
}

// void gives the shadow up.
func (s *standby) void(why string) {
	s.pair.log.Warn("standing by begins anew", "why", why)
	s.shadow = nil
	s.close()
}

// hearAll takes a message of the stream and those that wait behind it.
func (s *standby) hearAll(ctx context.Context, msg jetstream.Msg) error {
	for {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		s.hear(ctx, msg.Data(), meta.Sequence.Stream)
		select {
		case msg = <-s.messages: // none without a shadow
		default:
			return nil
		}
	}
}

// hear takes a message of the stream, number seq there. One that does not follow
// makes the shadow void.
func (s *standby) hear(ctx context.Context, data []byte, seq uint64) {
	sh := s.shadow
	c, err := parseChange(s.p.cfg.Site, data)
	if err == nil && sh.seq > 0 && c.Incarnation != sh.incarnation && s.repeated(ctx, &c, data, seq) {
		err = errRepeated
	}
	if err != nil { // noise or, if the next one shows a gap, a change
		sh.stream = max(sh.stream, seq)
		s.p.passOver(1)
		return
	}
	same, first := c.Incarnation == sh.incarnation, sh.seq == 0
	switch {
	case first && !same, same && c.Seq <= sh.seq: // of before
		sh.stream = max(sh.stream, seq)
		return
	case same && (c.Seq == sh.seq+1 || first && (sh.ready == 0 || c.Seq <= sh.ready+1)):
		err = sh.hear(&c, seq)
	default:
		err = fmt.Errorf("after change %d of %s comes %d of %s", sh.seq, sh.incarnation, c.Seq, c.Incarnation)
	}
	if err != nil {
		s.void(err.Error())
	}
}

// repeated reports whether a change of another incarnation was in the stream
// before; not if that cannot be found out.
func (s *standby) repeated(ctx context.Context, c *toldChange, data []byte, seq uint64) bool {
	again, err := s.p.repeated(ctx, &stored{incarnation: c.Incarnation, seq: c.Seq, streamSeq: seq, payload: data}, s.shadow.stream, s.known)
	if err != nil {
		s.pair.log.Warn("the stream does not say whether a change was there before", "err", err)
	}
	return again
}

// readOwn takes what the outbox has.
func (s *standby) readOwn() error {
	for {
		rows, err := s.p.outbox.ReadOutbox(s.shadow.read, batchMax)
		if err != nil {
			return fmt.Errorf("read outbox: %w", err)
		}
		for i := range rows {
			if err := s.shadow.own(&rows[i]); err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			s.p.top = max(s.p.top, s.shadow.read)
		}
		if len(rows) < batchMax {
			return nil
		}
	}
}
