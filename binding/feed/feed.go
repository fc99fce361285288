package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding"
)

// An Outbox holds the changes that are decided and not yet delivered. The
// journal is one.
type Outbox interface {
	// ReadOutbox returns up to max changes numbered above after, in order.
	ReadOutbox(after uint64, max int) ([]binding.Change, error)
	// TrimOutbox forgets the changes up to and including upto.
	TrimOutbox(upto uint64) error
	// OutboxNotify returns a channel that receives after new changes have been
	// committed; one signal may stand for many.
	OutboxNotify() <-chan struct{}
}

// An Asker answers the questions of the micro service. The Registry is one. It
// is called from several goroutines.
type Asker interface {
	Verify(binding.Query, binding.Number) binding.Answer
	Lookup(binding.Query) (binding.Binding, binding.Answer)
	Status() binding.Status
	Sessions(binding.Selection) ([]binding.Binding, uint64, error)
	Nodes() []binding.Node
	Domains() []binding.Domain
}

// How long to wait after an error that a connection alone does not cure.
const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 15 * time.Second
)

// A Feed publishes changes. Its methods may be called from any goroutine.
type Feed struct {
	cfg    Config
	outbox Outbox
	asker  Asker
	log    *slog.Logger

	// Set before Run.
	timeout       time.Duration // for each answer
	reconnectWait time.Duration // between two attempts

	now   func() time.Time
	sites *sites
	// siteConn is the connection to other sites, nil before it is made.
	siteConn atomic.Pointer[nats.Conn]
	health   health
	service  *service // nil if it is off
	pair     *pair    // nil without one
	stopped  func()   // ends the service; nil: it does not run
	addr     atomic.Pointer[string]

	up   chan struct{}                           // signals a new connection
	drop atomic.Pointer[context.CancelCauseFunc] // ends the present session
	last atomic.Pointer[error]                   // the server's last refusal
}

// New makes a Feed. It does no I/O; Run reports a wrong configuration. asker
// may be nil: then there is no micro service.
func New(cfg Config, outbox Outbox, asker Asker, log *slog.Logger) *Feed {
	f := &Feed{
		cfg: cfg.withDefaults(), outbox: outbox, asker: asker, log: log,
		timeout: answerTimeout, reconnectWait: time.Second, up: make(chan struct{}, 1),
	}
	f.now, f.sites = time.Now, newSites(cfg.Site, time.Now)
	f.health.state = State{Stream: f.cfg.Stream.Name, Problem: "not connected yet"}
	f.pair = newPair(f)
	if f.cfg.Service && asker != nil {
		f.service = newService(f)
	}
	return f
}

// Run publishes until ctx ends and then returns nil. It fails only for what an
// operator must repair: a wrong configuration, a file that cannot be read, an
// embedded server that does not start. NATS being away is not an error.
func (f *Feed) Run(ctx context.Context) error {
	err := f.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (f *Feed) run(ctx context.Context) error {
	if err := f.cfg.Check(); err != nil {
		return err
	}
	var server *embedded
	if f.cfg.URL == "" {
		var err error
		if server, err = startEmbedded(ctx, f.cfg, f.log); err != nil {
			return err
		}
		defer server.stop()
		f.setAddr(server)
	}
	nc, err := f.dial(ctx, server, f.callbacks()...)
	if err != nil {
		return err
	}
	defer nc.Close()
	publisher, err := newPublisher(f, nc)
	if err != nil {
		return err
	}
	if err := f.begin(nc); err != nil {
		return err
	}
	defer f.hush()
	beside, ctx := errgroup.WithContext(ctx)
	if f.asker != nil {
		beside.Go(func() error { f.beat(ctx, nc); return nil })
	}
	if f.asker != nil && (f.cfg.Sites || len(f.cfg.Follow.Sites) > 0) {
		beside.Go(func() error { return f.watchSites(ctx, server) })
	}
	f.publish(ctx, publisher, nc)
	f.leave(nc)
	return beside.Wait()
}

// begin starts what a site does that speaks for itself; the members of a pair
// listen to each other first.
func (f *Feed) begin(nc *nats.Conn) error {
	if f.pair == nil {
		return f.speak(nc)
	}
	if _, err := nc.Subscribe(heartbeatSubject(f.cfg.Site), f.pair.take); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	return nil
}

// speak starts answering requests for the site. A member of a pair says at once
// that it is active.
func (f *Feed) speak(nc *nats.Conn) (err error) {
	if f.service != nil && f.stopped == nil {
		if f.stopped, err = f.service.start(nc); err != nil {
			return err
		}
	}
	if f.pair != nil && f.pair.pulse() {
		f.sendBeat(nc, f.health.get(), f.now(), false)
	}
	return nil
}

// hush ends what speak started.
func (f *Feed) hush() {
	if f.stopped != nil {
		f.stopped()
		f.stopped = nil
	}
}

// leave tells the other members of a pair that one of them may take over.
func (f *Feed) leave(nc *nats.Conn) {
	if f.pair != nil && f.pair.pulse() && nc.IsConnected() {
		f.sendBeat(nc, f.health.get(), f.now(), true)
		_ = nc.FlushTimeout(time.Second) // else they wait for its silence
	}
}

// watchSites listens to other sites, over a connection of its own: however much
// they say, publishing does not wait.
func (f *Feed) watchSites(ctx context.Context, server *embedded) error {
	nc, err := f.dial(ctx, server, f.siteCallbacks()...)
	if err != nil {
		return err
	}
	defer nc.Close()
	f.siteConn.Store(nc)
	if f.cfg.Changes != nil {
		if err := f.hearChanges(nc); err != nil {
			return err
		}
	}
	if _, err := nc.Subscribe(heartbeatSubject("*"), f.sites.take); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	if nc.IsConnected() {
		f.sites.listen(true)
	}
	if len(f.cfg.Follow.Sites) == 0 {
		<-ctx.Done()
		return nil
	}
	return f.follow(ctx, nc)
}

// Sites is every other site that was heard of, by name, and how following it
// goes.
func (f *Feed) Sites() []binding.Site { return f.sites.list() }

// publish runs one session after the other.
func (f *Feed) publish(ctx context.Context, p *publisher, nc *nats.Conn) {
	pause := backoffMin
	for ctx.Err() == nil {
		before := f.State().Delivered
		err := f.session(ctx, p, nc)
		if ctx.Err() != nil {
			return
		}
		f.complain(err)
		if f.State().Delivered != before || errors.Is(err, errYield) {
			pause = backoffMin
		}
		f.sleep(ctx, p, nc, pause)
		pause = min(2*pause, backoffMax)
	}
}

// interrupt ends the present session.
func (f *Feed) interrupt(why error) {
	if cancel := f.drop.Load(); cancel != nil {
		(*cancel)(why)
	}
}

// session runs the publisher until an error or the loss of the connection.
func (f *Feed) session(ctx context.Context, p *publisher, nc *nats.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.drop.Store(&cancel)
	if !nc.IsConnected() {
		return errNotConnected
	}
	err := p.session(ctx, f)
	if cause := context.Cause(ctx); cause != nil {
		return cause // what failed then failed because of it
	}
	return err
}

var errNotConnected = errors.New("no connection")

// sleep waits: without a connection for one, otherwise for the pause to pass.
func (f *Feed) sleep(ctx context.Context, p *publisher, nc *nats.Conn, pause time.Duration) {
	var timeout <-chan time.Time
	if nc.IsConnected() {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		p.noteWaiting()
		select {
		case <-f.outbox.OutboxNotify():
			continue
		case <-ctx.Done():
		case <-f.up:
		case <-timeout:
		}
		return
	}
}

// complain notes why the session ended, and logs it once. About a missing
// connection there is more to say elsewhere (unreachable).
func (f *Feed) complain(err error) {
	if errors.Is(err, errNotConnected) {
		return
	}
	if errors.Is(err, errYield) || errors.Is(err, errLapse) {
		f.log.Info("publishing is interrupted", "why", err)
		return
	}
	text := err.Error()
	if refusal := f.last.Load(); refusal != nil && !errors.Is(err, *refusal) {
		text += " (" + (*refusal).Error() + ")"
	}
	if f.health.problem(text) {
		f.log.Warn("changes are not being delivered", "err", text)
	}
}

// Ready reports whether changes are being delivered.
func (f *Feed) Ready() bool { return f.State().Problem == "" }

// State returns the present state.
func (f *Feed) State() State { return f.health.get() }

// Addr is the URL under which other processes reach the embedded server, ""
// without a listener or before it is up.
func (f *Feed) Addr() string {
	if addr := f.addr.Load(); addr != nil {
		return *addr
	}
	return ""
}

func (f *Feed) setAddr(server *embedded) {
	if f.cfg.Embedded.Listen == "" {
		return
	}
	url := server.srv.ClientURL()
	f.addr.Store(&url)
	f.log.Info("nats server listens", "url", url)
}
