package main

import (
	"context"
	"fmt"
	"io"

	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/cmd/simbindd/demo"
)

// demo shows a site around the very daemon that run starts.
func (e env) demo(ctx context.Context, stay bool) int {
	err := demo.Run(ctx, e.stdout, stay, func(ctx context.Context, file string, log io.Writer, ready func()) error {
		cfg, err := config.Load(file)
		if err != nil {
			return err
		}
		return run(ctx, life{file: file, cfg: cfg, logs: newLogs(log, cfg.Log), notify: func(state string) {
			if state == stateReady {
				ready()
			}
		}})
	})
	if err != nil {
		fmt.Fprintf(e.stderr, "simbindd demo: %v\n", err)
		return exitFailed
	}
	return exitOK
}
