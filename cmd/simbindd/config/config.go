package config

import (
	"log/slog"
	"path/filepath"

	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/bpf"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/radius"
)

// A Config is a checked configuration file, as the parts take it. A nil part is
// off.
type Config struct {
	// DataDir holds everything that survives a restart.
	DataDir   string
	Registry  registry.Config
	RADIUS    *radius.Config
	Diameter  *diameter.Config
	Tap       *bpf.Config
	Directory *Directory
	Query     *query.Config
	Remote    *Remote // nil: no other site is asked
	// Feed lacks what only the open journal knows.
	Feed    feed.Config
	Metrics *Metrics
	Log     Log
	// Warnings are what works and yet deserves an operator's look.
	Warnings []string

	written file // for Changed
}

// Metrics says where /metrics, /healthz and /readyz are served.
type Metrics struct {
	Listen string // host:port
}

// Log says what is logged, and how.
type Log struct {
	Level slog.Level
	JSON  bool // else text
}

// JournalDir is where the journal lives.
func (c Config) JournalDir() string { return filepath.Join(c.DataDir, "journal") }
