package config

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/simbind/simbind/binding/query"
)

// check turns what is written into what is meant.
func (f *file) check(p place) Config {
	p.key("data_dir").required(f.DataDir)
	for _, section := range []string{"radius", "diameter", "tap", "query", "metrics"} {
		if at := p.key(section); at.node != nil && at.node.Tag == "!!null" {
			at.failf("is empty: fill it in, or leave it out to turn it off")
		}
	}
	cfg := Config{DataDir: f.DataDir, Registry: f.registry(p), Feed: f.feed(p), Log: f.Log.check(p.key("log"))}
	cfg.Remote = f.Remote.check(p.key("remote"))
	cfg.Feed.Sites = cfg.Remote != nil
	f.checkSites(p, cfg)
	if f.RADIUS != nil {
		cfg.RADIUS = f.RADIUS.check(p.key("radius"))
		if r := cfg.RADIUS.RadSec; r != nil {
			r.MaxDelay = cfg.Registry.MaxDelay
		}
	}
	if f.Diameter != nil {
		cfg.Diameter = f.Diameter.check(p.key("diameter"))
	}
	if f.Tap != nil {
		cfg.Tap = f.Tap.check(p.key("tap"))
		cfg.Registry.MarkOnLoss = f.Tap.marksOnLoss(p.key("tap"))
	}
	if f.RADIUS == nil && f.Diameter == nil && f.Tap == nil && len(f.Follow) == 0 {
		p.warnings = append(p.warnings, "there is no radius, no diameter and no tap section, and no site to follow: nothing will be learned")
	}
	if f.Directory != nil {
		cfg.Directory = f.Directory.check(p.key("directory"))
	}
	if f.Query != nil {
		cfg.Query = f.Query.check(p.key("query"))
	} else {
		p.warnings = append(p.warnings, "there is no query section: nobody can ask")
	}
	if f.Metrics != nil {
		cfg.Metrics = f.Metrics.check(p.key("metrics"))
	}
	f.checkBlind(p, cfg)
	f.ignored(p)
	return cfg
}

// hasSecrets reports whether the file itself holds a secret.
func (f *file) hasSecrets() bool {
	if strings.Contains(f.NATS.URL, "@") {
		return true
	}
	if f.Tap != nil && slices.ContainsFunc(f.Tap.Clients, func(c tapClient) bool { return c.Secret != "" }) {
		return true
	}
	if f.RADIUS == nil {
		return false
	}
	return slices.ContainsFunc(f.RADIUS.Clients, func(c radiusClient) bool { return c.Secret != "" }) ||
		f.RADIUS.ProxyTo != nil && f.RADIUS.ProxyTo.Secret != ""
}

// maxSocket is how long the path of a Unix socket may be (sun_path).
const maxSocket = 107

func (s *querySection) check(p place) *query.Config {
	socket := p.key("socket")
	if socket.required(s.Socket) && (len(s.Socket) > maxSocket || s.Socket[0] == '@') {
		socket.failf("%q: a path of at most %d bytes, not starting with '@'", s.Socket, maxSocket)
	}
	cfg := &query.Config{
		Socket: s.Socket,
		Roles: query.Roles{
			Verify: query.Principals{UIDs: s.Roles.Verify.UIDs, GIDs: s.Roles.Verify.GIDs},
			Read:   query.Principals{UIDs: s.Roles.Read.UIDs, GIDs: s.Roles.Read.GIDs},
			Admin:  query.Principals{UIDs: s.Roles.Admin.UIDs, GIDs: s.Roles.Admin.GIDs},
		},
		MaxConns:    p.key("max_connections").count(s.MaxConnections, 1<<16),
		IdleTimeout: p.key("idle_timeout").durationOrZero(s.IdleTimeout),
		Priority:    p.key("priority").oneOf(s.Priority, "normal", "high"),
	}
	if s.IdleTimeout != "" && cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = -1 // never
	}
	return cfg
}

func (s *metricsSection) check(p place) *Metrics {
	at := p.key("listen")
	if !at.required(s.Listen) {
		return nil
	}
	if listen := at.listener(s.Listen); listen != "" && !isLoopback(listen) && !s.AllowRemote {
		at.failf("%q can be reached from other hosts, without a password; listen on 127.0.0.1, or set metrics.allow_remote: true", listen)
	}
	return &Metrics{Listen: s.Listen}
}

func (s *logSection) check(p place) Log {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	return Log{
		Level: levels[p.key("level").oneOf(s.Level, "info", "debug", "warn", "error")],
		JSON:  p.key("format").oneOf(s.Format, "text", "json") == "json",
	}
}

// checkSites says where other sites can never be heard. A leaf node's own stream
// has the changes of its own site alone.
func (f *file) checkSites(p place, cfg Config) {
	if f.NATS.URL != "" {
		return
	}
	alone := len(cfg.Feed.Embedded.Leaf.URLs) == 0
	switch {
	case len(f.Follow) > 0 && !alone:
		p.key("follow").failf("a leaf node does not get the changes of others: follow them with nats.url")
	case len(f.Follow) > 0:
		p.key("follow").failf("no other site is heard without nats.url")
	case cfg.Remote != nil && alone:
		p.key("remote").failf("no other site is heard without nats.url or nats.embedded.leaf")
	}
}
