package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/cache"
	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/directory"
	"github.com/simbind/simbind/directory/udm"
)

// A phonebook is the directory with its sources.
type phonebook struct {
	*directory.Directory
	cfg   config.Directory
	file  *directory.File // nil if it is off
	parts []part          // in the order of starting
}

// newPhonebook makes the directory, or nil if it is off, and has the Registry use
// it. It is opened before the Registry runs.
func newPhonebook(cfg *config.Directory, registry *registry.Config) *phonebook {
	if cfg == nil {
		return nil
	}
	b := &phonebook{cfg: *cfg}
	registry.Learn = cfg.Learned
	registry.Resolve = func(imsi binding.IMSI, has binding.MSISDN) { b.Ask(imsi, has) }
	registry.Doubt = func(imsi binding.IMSI) { b.Changed(imsi) }
	return b
}

// open makes its sources and parts.
func (b *phonebook) open(registry *registry.Registry, metrics *prometheus.Registry, log *slog.Logger) error {
	if b == nil {
		return nil
	}
	cfg := &b.cfg
	near, err := cache.New[binding.IMSI, directory.Answer](cache.Config{Entries: cfg.Entries})
	if err != nil {
		return err
	}
	var sources []directory.Source
	var learned func(binding.IMSI) binding.MSISDN
	if cfg.Learned {
		learned = registry.NumberOf
	}
	if f := cfg.File; f != nil {
		b.file = directory.NewFile(f.Path, f.Format, log.With("source", "directory"))
		sources = append(sources, b.file)
		b.parts = append(b.parts, part{name: "directory file", run: b.file.Run})
	}
	if cfg.Sh != nil {
		cfg.Sh.Changed = func(c sh.Change) { b.Changed(c.IMSI) }
		client := sh.New(*cfg.Sh, log)
		metrics.MustRegister(client.Collector())
		sources = append(sources, client)
		b.parts = append(b.parts, part{name: "sh", run: client.Run, ready: client.Ready()})
	}
	if cfg.UDM != nil {
		client := udm.New(*cfg.UDM, log)
		metrics.MustRegister(client.Collector())
		sources = append(sources, client)
		b.parts = append(b.parts, part{name: "udm", run: client.Run, ready: client.Ready()})
	}
	b.Directory = directory.New(directory.Config{
		Learned: learned, Sources: sources, Near: near, TTL: cfg.TTL, NegativeTTL: cfg.NegativeTTL, Rate: float64(cfg.Rate), Submit: registry.Submit,
	}, log.With("source", "directory"))
	if b.file != nil {
		b.file.First = near.InvalidateAll
		b.file.Changed = func(ctx context.Context, imsi binding.IMSI) {
			near.Invalidate(imsi) // first: a session that begins now asks anew
			if registry.HasSession(imsi) {
				b.ChangedLater(ctx, imsi)
			}
		}
	}
	metrics.MustRegister(b.Collector())
	b.parts = append(b.parts, part{name: "directory", run: func(ctx context.Context) error {
		defer near.Close() // who asks later finds nothing near
		return b.Run(ctx)
	}})
	return nil
}

// Number asks for the number of one SIM, for an operator.
func (b *phonebook) Number(ctx context.Context, imsi binding.IMSI) (binding.MSISDN, string, error) {
	answer, err := b.Find(ctx, imsi)
	if err == nil && answer.Failed && answer.MSISDN == 0 {
		err = errors.New(describeDirectory(b.State()))
	}
	return answer.MSISDN, answer.Source, err
}

// answering is how the directory is whose sources all answer.
const answering = "answering"

// describeDirectory says which sources do not answer, and why.
func describeDirectory(state binding.DirectoryState) string {
	var words []string
	for _, s := range state.Sources {
		if s.Problem != "" {
			words = append(words, s.Name+": "+s.Problem)
		}
	}
	if len(words) == 0 {
		return answering
	}
	return strings.Join(words, "; ")
}
