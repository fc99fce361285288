package main

import (
	"io"
	"log/slog"

	"github.com/simbind/simbind/cmd/simbindd/config"
)

// logs is the daemon's log and its level, which a reload may change.
type logs struct {
	*slog.Logger
	level *slog.LevelVar
}

func newLogs(w io.Writer, cfg config.Log) logs {
	level := &slog.LevelVar{}
	level.Set(cfg.Level)
	options := &slog.HandlerOptions{Level: level}
	if cfg.JSON {
		return logs{slog.New(slog.NewJSONHandler(w, options)), level}
	}
	return logs{slog.New(slog.NewTextHandler(w, options)), level}
}
