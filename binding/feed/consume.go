package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// A siteStream is where other sites are heard.
type siteStream struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	stream  string
	timeout time.Duration
}

// consumeAhead is how many changes may wait between the client and a follower.
const consumeAhead = 2048

// consume applies the site's changes after f.at, in order, until one is missing
// or the stream fails.
func (f *follower) consume(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	messages := make(chan jetstream.Msg, consumeAhead)
	stop, err := f.source.open(ctx, f.site, f.at.Stream, time.Time{}, messages, cancel)
	if err != nil {
		return err
	}
	defer stop()
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	heard := f.now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case msg := <-messages:
			heard = f.now()
			if err := f.take(ctx, msg, len(messages) == 0); err != nil {
				return err
			}
		case h := <-f.beats:
			if h.Incarnation != f.at.Incarnation {
				return f.another(h)
			}
			f.beat(ctx, h)
		case <-tick.C:
			f.tick(ctx)
			if f.isStuck(heard) {
				return fmt.Errorf("%w: change %d of %s is not in the stream (does the stream here source that of a leaf node?)", errAnew, f.pending[0].Seq, f.at.Incarnation)
			}
		}
	}
}

// isStuck reports that changes are missing of which a heartbeat told long ago. One
// that was held up may have come before them just now.
func (f *follower) isStuck(heard time.Time) bool {
	now := f.now()
	return len(f.pending) > 0 && now.Sub(f.pending[0].came) > stuck && now.Sub(heard) > stuck
}

// tick does what is to be done every second.
func (f *follower) tick(ctx context.Context) {
	f.complete(ctx)
	f.watch(ctx)
	f.save()
	f.report()
}

// another: the site has another journal; all that it said is void.
func (f *follower) another(h beatAt) error {
	return fmt.Errorf("%w: the incarnation is %s and was %s", errAnew, h.Incarnation, f.at.Incarnation)
}

// open starts a consumer of the site's messages behind number after of the
// stream or, if that is zero, of those that were stored from a time on. fail is
// told of what the consumer does not survive.
func (s *siteStream) open(ctx context.Context, site string, after uint64, from time.Time, messages chan<- jetstream.Msg, fail context.CancelCauseFunc) (stop func(), err error) {
	timed, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{siteSubjects(site)}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		InactiveThreshold: time.Minute,
	}
	if after == 0 && !from.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &from
	}
	consumer, err := s.js.OrderedConsumer(timed, s.stream, cfg)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", s.stream, err)
	}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		select {
		case messages <- msg:
		case <-ctx.Done():
		}
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		// What it cures by itself is told too.
		if errors.Is(err, jetstream.ErrOrderedConsumerReset) || errors.Is(err, jetstream.ErrStreamNotFound) {
			fail(err)
		}
	}))
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", s.stream, err)
	}
	return func() {
		if ctx.Err() != nil { // it waits for a question to a server that may be frozen
			go consuming.Stop()
			return
		}
		consuming.Stop()
	}, nil
}

// take applies one message of the stream, by the rule for consumers.
func (f *follower) take(ctx context.Context, msg jetstream.Msg, idle bool) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	c, err := parseChange(f.site, msg.Data())
	if err != nil {
		f.progress.Refused++
		f.log.Warn("a change cannot be understood", "subject", msg.Subject(), "stream_seq", meta.Sequence.Stream, "err", err)
		return nil // the next one will show a gap
	}
	switch {
	case c.Incarnation != f.at.Incarnation:
		return nil // an old one, or a new one of which the heartbeat tells
	case c.Seq <= f.at.Seq:
		return nil // it had its effect
	case c.Seq != f.at.Seq+1:
		f.progress.Gaps++
		return fmt.Errorf("%w: after change %d comes %d", errAnew, f.at.Seq, c.Seq)
	}
	return f.apply(ctx, &c, meta.Sequence.Stream, idle)
}

func (f *follower) apply(ctx context.Context, c *toldChange, stream uint64, idle bool) error {
	c.At = c.At.Add(-f.ahead)
	ev, ok, err := c.event(f.moment())
	if err != nil {
		f.progress.Refused++
		return fmt.Errorf("%w: change %d cannot be understood: %w", errAnew, c.Seq, err)
	}
	at := bookmark{Incarnation: c.Incarnation, Seq: c.Seq, Stream: stream}
	if !ok {
		ev, ok = binding.Event{Kind: binding.NodeCurrent}, f.current // nothing to apply, but a position to keep
	}
	if ok {
		if idle || c.Seq%markEvery == 0 {
			f.ask(&ev, at)
		}
		if err := f.tell(ctx, ev); err != nil {
			return err
		}
	}
	f.at, f.progress.Applied = at, c.Seq
	f.complete(ctx)
	return nil
}
