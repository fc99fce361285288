package main

import (
	"log/slog"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/diameter"
)

// newGx makes the Gx edge, or nil if it is off.
func newGx(cfg *diameter.Config, registry *registry.Registry, log *slog.Logger) *diameter.Server {
	if cfg == nil {
		return nil
	}
	cfg.Known = func() []diameter.NodeName { return gxNodes(registry) }
	return diameter.New(*cfg, registry.Submit, log)
}

// gxNodes are the owners of Gx sessions that the registry knows.
func gxNodes(registry *registry.Registry) []diameter.NodeName {
	var names []diameter.NodeName
	for _, n := range registry.Nodes() {
		if n.Source == binding.SourceGx && !n.Observed {
			names = append(names, diameter.NodeName{Owner: n.Owner, Node: n.Name})
		}
	}
	return names
}
