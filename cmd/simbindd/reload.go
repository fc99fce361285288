package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/directory"
	"github.com/simbind/simbind/radius"
)

// A reloader reads the configuration again at each SIGHUP and applies what can
// change while the daemon runs: RADIUS clients with their secrets, Gx peers,
// domains and pools, roles, the log level; an export is read again. A file that
// is wrong changes nothing. Its fields are set before Run, then read-only.
type reloader struct {
	file     string
	logs     logs
	registry *registry.Registry
	radius   *radius.Server   // nil if it is off
	gx       *diameter.Server // nil if it is off
	query    *query.Server    // nil if it is off
	export   *directory.File  // nil if it is off
	hangups  <-chan os.Signal
	cfg      config.Config // as of the start
	owners   *owners
}

// Run reloads at each signal until ctx ends.
func (r *reloader) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangups:
			if err := r.reload(ctx); err != nil {
				r.logs.Error("the configuration was not reloaded; the old one stays in force", "err", err)
			}
		}
	}
}

func (r *reloader) reload(ctx context.Context) error {
	next, err := config.Load(r.file)
	if err != nil {
		return err
	}
	for _, w := range next.Warnings {
		r.logs.Warn(w)
	}
	// The steps that can fail come first; each takes all or nothing.
	if err := r.registry.SetDomains(ctx, next.Registry.Domains); err != nil {
		return fmt.Errorf("domains: %w", err)
	}
	if r.radius != nil && next.RADIUS != nil {
		if err := r.radius.SetClients(next.RADIUS.Clients); err != nil {
			return fmt.Errorf("radius.clients: %w", err)
		}
	}
	if r.gx != nil && next.Diameter != nil {
		r.gx.SetPeers(next.Diameter.Peers)
	}
	if r.query != nil && next.Query != nil {
		r.query.SetRoles(next.Query.Roles)
	}
	if r.export != nil {
		r.export.Reload()
	}
	r.owners.reload(next)
	r.owners.tell(r.registry.Nodes(), r.logs.Logger)
	r.logs.level.Set(next.Log.Level)
	if later := r.cfg.Changed(next); len(later) > 0 {
		r.logs.Warn("some keys have changed that take effect only at the next start", "keys", strings.Join(later, " "))
	}
	r.logs.Info("the configuration was reloaded", "file", r.file)
	return nil
}
