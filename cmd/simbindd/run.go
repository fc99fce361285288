package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/journal"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/bpf"
	"github.com/simbind/simbind/bpf/observe"
	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/radius"
)

// A life is what one run of the daemon is given.
type life struct {
	file    string // of cfg, for a reload
	cfg     config.Config
	logs    logs
	hangups <-chan os.Signal
	notify  func(state string) // the service manager
}

// run is the daemon from start to stop: the whole wiring. It returns nil after
// an orderly stop, else the error of the part that failed.
func run(ctx context.Context, l life) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := l.logs.Logger
	for _, w := range l.cfg.Warnings {
		log.Warn(w)
	}
	store, err := journal.Open(l.cfg.JournalDir(), journal.Options{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	book := newPhonebook(l.cfg.Directory, &l.cfg.Registry)
	registry, err := registry.New(l.cfg.Registry, store, log)
	if err != nil {
		return err
	}
	l.cfg.Feed.Journal = store.Meta()
	far, err := newAbroad(l.cfg.Remote)
	if err != nil {
		return err
	}
	publisher := newFeed(l.cfg.Feed, far, store, registry, log)

	var tap *bpf.Tap
	var observer *observe.Standard
	if cfg := l.cfg.Tap; cfg != nil {
		tap, observer = newTap(*cfg, registry, log)
	}

	gx := newGx(l.cfg.Diameter, registry, log)
	health := &health{registry: registry, feed: publisher, tap: tap, book: book}
	owners := newOwners(l.cfg)
	metrics := newMetrics(registry, owners, store.Collector(), publisher.Collector())
	if observer != nil {
		metrics.MustRegister(observer.Collector(), observer.Accounting.Collector(), observer.Gx.Collector())
	}
	if err := book.open(registry, metrics, log); err != nil {
		return err
	}
	reload := &reloader{file: l.file, cfg: l.cfg, logs: l.logs, registry: registry, hangups: l.hangups, owners: owners}

	// In the order of starting; they stop in the reverse order. The socket
	// answers while the registry still loads, and an edge listens only when the
	// registry can take what it hears.
	parts := front(l.cfg, described{registry, publisher, tap, gx, book, far, owners}, health, reload, metrics, log)
	parts = append(parts,
		part{name: "feed", run: publisher.Run, drain: func() { drainFeed(publisher, store) }},
		part{name: "registry", run: registry.Run, ready: registry.Ready()})
	if book != nil {
		reload.export = book.file
		parts = append(parts, book.parts...)
	}
	parts = append(parts, edges(l.cfg, tap, gx, registry, reload, metrics, log)...)
	parts = append(parts, part{name: "reload", run: reload.Run})

	started := func() {
		owners.tell(registry.Nodes(), log)
		health.started.Store(true)
		log.Info("ready", "version", version())
		l.notify(stateReady)
	}
	stopping := func() { health.started.Store(false); l.notify(stateStopping) }
	return runParts(ctx, log, parts, started, stopping)
}

// front are the parts that answer; they register their metrics.
func front(c config.Config, knows described, health *health, reload *reloader, metrics *prometheus.Registry, log *slog.Logger) []part {
	var parts []part
	if knows.far != nil {
		metrics.MustRegister(knows.far)
	}
	if cfg := c.Query; cfg != nil {
		cfg.Version = version()
		server := query.NewServer(*cfg, knows, log)
		metrics.MustRegister(server.Collector())
		reload.query = server
		parts = append(parts, part{name: "query", run: server.Run, ready: server.Ready()})
	}
	if cfg := c.Metrics; cfg != nil {
		server := newMonitor(cfg.Listen, health, metrics, log)
		parts = append(parts, part{name: "metrics", run: server.Run, ready: server.ready})
	}
	return parts
}

// edges are the parts that learn; they register their metrics.
func edges(c config.Config, tap *bpf.Tap, gx *diameter.Server, registry *registry.Registry, reload *reloader, metrics *prometheus.Registry, log *slog.Logger) []part {
	var parts []part
	if cfg := c.RADIUS; cfg != nil {
		edge := radius.New(*cfg, registry.Submit, log)
		metrics.MustRegister(edge.Collector())
		reload.radius = edge
		parts = append(parts, part{name: "radius", run: edge.Run, ready: edge.Ready()})
	}
	if gx != nil {
		metrics.MustRegister(gx.Collector())
		reload.gx = gx
		parts = append(parts, part{name: "diameter", run: gx.Run, ready: gx.Ready()})
	}
	if tap != nil {
		metrics.MustRegister(tap.Collector())
		parts = append(parts, part{name: "tap", run: tap.Run, ready: tap.Ready()})
	}
	return parts
}

// drainTime bounds how long a stop waits for the last changes to be published.
// What is not stays in the outbox and goes out after the next start.
const drainTime = 5 * time.Second

func drainFeed(f *feed.Feed, store *journal.Journal) {
	deadline := time.After(drainTime)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		state := f.State()
		if state.Problem != "" || state.Role == feed.RoleStandby || state.Delivered >= store.Meta().Seq {
			return
		}
		select {
		case <-deadline:
			return
		case <-tick.C:
		}
	}
}
