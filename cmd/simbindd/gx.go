package main

import (
	"log/slog"
	"path/filepath"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/diameter"
)

// newGx makes the Gx edge, or nil if it is off.
func newGx(cfg *diameter.Config, dataDir string, registry *registry.Registry, log *slog.Logger) *diameter.Server {
	if cfg == nil {
		return nil
	}
	cfg.Known = func() []string { return gxNodes(registry) }
	cfg.StateFile = filepath.Join(dataDir, "origin-states.json")
	return diameter.New(*cfg, registry.Submit, log)
}

// gxNodes are the owners of Gx sessions that the registry knows.
func gxNodes(registry *registry.Registry) []string {
	var names []string
	for _, n := range registry.Nodes() {
		if n.Source == binding.SourceGx && !n.Observed {
			names = append(names, n.Name)
		}
	}
	return names
}
