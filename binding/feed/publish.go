package feed

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

const (
	batchMax      = 512 // changes per batch
	answerTimeout = 5 * time.Second
)

// A publisher drains the outbox. It is owned by the goroutine of Run.
type publisher struct {
	cfg     Config
	timeout time.Duration // for each answer
	outbox  Outbox
	log     *slog.Logger
	state   *health
	nc      *nats.Conn
	js      jetstream.JetStream
	leader  leader

	stream  jetstream.Stream
	send    sender
	pair    *pair    // nil without one
	standby *standby // nil without one

	pos  position
	top  uint64 // the highest change that the journal is known to have had
	trim trimmer
}

// A leader is asked for what the stream's leader has. Of the client's two
// interfaces only the older one has such a question.
type leader interface {
	GetLastMsg(stream, subject string, opts ...nats.JSOpt) (*nats.RawStreamMsg, error)
}

// A sender stores changes in order, as a whole or up to some change. expect is
// the stream's number of the site's last message; the sender fails if that is
// not so. It returns the stream's number of the last change.
type sender interface {
	store(ctx context.Context, incarnation string, expect uint64, rows []binding.Change) (uint64, error)
	close()
}

func newPublisher(f *Feed, nc *nats.Conn) (*publisher, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(f.timeout))
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	legacy, err := nc.JetStream()
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	p := &publisher{
		pair: f.pair, cfg: f.cfg, timeout: f.timeout, outbox: f.outbox, log: f.log, state: &f.health, nc: nc, js: js, leader: legacy,
		top: f.cfg.Journal.Seq, trim: trimmer{hold: f.cfg.Hold},
	}
	if f.pair != nil {
		p.standby = &standby{
			p: p, pair: f.pair, asker: f.asker, fresh: true, source: &siteStream{nc: nc, js: js, stream: f.cfg.Stream.Name, timeout: f.timeout},
			start: func() error { return f.speak(nc) }, quit: f.hush,
		}
	}
	return p, nil
}

// session publishes over one connection until something goes wrong.
func (p *publisher) session(ctx context.Context, f *Feed) error {
	version := p.nc.ConnectedServerVersion()
	if !atLeast(version, minServer) {
		return fmt.Errorf("nats-server %s is too old, %s is needed", version, minServer)
	}
	stream, concerns, err := f.ensureStream(ctx, p.js, version)
	if err != nil {
		return err
	}
	p.stream = stream
	p.state.setConcerns(p.log, concerns)
	defer p.closeSender()
	if p.pair != nil && !p.pair.leads() {
		err = p.standby.session(ctx)
	} else {
		err = p.goOn(ctx)
	}
	if err != nil {
		return err
	}
	return p.drain(ctx)
}

// goOn takes up where the stream ends.
func (p *publisher) goOn(ctx context.Context) error {
	if err := p.resume(ctx); err != nil {
		return err
	}
	_, term := p.pair.ours()
	if p.pair != nil {
		p.pair.lead(term) // the stream knows of nobody else
	}
	return p.openSender(term)
}

func (p *publisher) openSender(term uint64) (err error) {
	p.send, err = newSender(p.cfg, term, p.timeout, p.nc, p.js, p.stream.CachedInfo().Config)
	return err
}

func (p *publisher) closeSender() {
	if p.send != nil {
		p.send.close()
		p.send = nil
	}
}

// drain delivers what the outbox has and waits for more.
func (p *publisher) drain(ctx context.Context) error {
	for {
		rows, err := p.outbox.ReadOutbox(p.pos.after, batchMax)
		if err != nil {
			return fmt.Errorf("read outbox: %w", err)
		}
		if len(rows) > 0 {
			err = p.deliver(ctx, rows)
		} else {
			p.state.caughtUp()
			err = p.wait(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// deliver stores the rows and forgets from the outbox what may be forgotten.
func (p *publisher) deliver(ctx context.Context, rows []binding.Change) error {
	last := rows[len(rows)-1].Seq
	p.top = max(p.top, last)
	if first := rows[0].Seq; first != p.pos.after+1 {
		p.state.lost(first - p.pos.after - 1)
		p.log.Warn("changes are missing from the stream and from the outbox", "from", p.pos.after+1, "to", first-1)
	}
	p.state.waiting(rows[0].At)
	for i := range rows {
		rows[i].Seq += p.pos.offset
	}
	streamSeq, err := p.send.store(ctx, p.pos.incarnation, p.pos.streamSeq, rows)
	if err != nil {
		return err
	}
	p.pos.after, p.pos.streamSeq, p.pos.own = last, streamSeq, streamSeq
	p.trim.stored(last, time.Now())
	if p.state.delivered(last, len(rows)) {
		p.log.Info("changes are being delivered again", "number", last+p.pos.offset)
	}
	_, err = p.trimDue()
	return err
}

// noteWaiting notes since when changes wait while nothing can be sent. That the
// outbox cannot be read is said by the next session.
func (p *publisher) noteWaiting() {
	if !p.state.get().Behind.IsZero() {
		return
	}
	after := p.pos.after
	if p.pos.incarnation == "" {
		after = p.top // what was delivered of the earlier ones is not known yet
	}
	if rows, err := p.outbox.ReadOutbox(after, 1); err == nil && len(rows) > 0 {
		p.state.waiting(rows[0].At)
	}
}

func (p *publisher) trimDue() (next time.Duration, err error) {
	upto, next := p.trim.due(time.Now())
	if upto > 0 {
		if err := p.outbox.TrimOutbox(upto); err != nil {
			return 0, fmt.Errorf("trim outbox: %w", err)
		}
	}
	return next, nil
}

// wait returns when there may be something to do.
func (p *publisher) wait(ctx context.Context) error {
	next, err := p.trimDue()
	if err != nil {
		return err
	}
	var trim <-chan time.Time
	if next > 0 {
		timer := time.NewTimer(next)
		defer timer.Stop()
		trim = timer.C
	}
	select {
	case <-p.outbox.OutboxNotify():
		return nil
	case <-trim:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
