package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// A level says how bad a finding is.
type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn" // works, but look at it
	levelFail level = "fail" // must be repaired
)

// A finding is one thing that doctor looked at.
type finding struct {
	Check string `json:"check"`
	Level level  `json:"level"`
	Says  string `json:"says"`
	// Do is what to do about it, unless all is well.
	Do string `json:"do,omitempty"`
}

func ok(check, format string, args ...any) finding {
	return finding{Check: check, Level: levelOK, Says: fmt.Sprintf(format, args...)}
}

func (f finding) warn(do string) finding { f.Level, f.Do = levelWarn, do; return f }
func (f finding) fail(do string) finding { f.Level, f.Do = levelFail, do; return f }

func (c *cli) doctorCommand() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "What is wrong, and what to do about it?",
		Long: `Look at the daemon and at the machine it runs on: what is wrong, and what to do
about it? Exit 1 if anything fails; a warning alone is exit 0.`,
		Example: "  simbind doctor --data-dir /var/lib/simbind",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.doctor(cmd.Context(), dataDir) },
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "the daemon's data_dir, to look at its disk")
	return cmd
}

func (c *cli) doctor(ctx context.Context, dataDir string) error {
	findings := append(c.checkDaemon(ctx), c.host.check(c.socket, dataDir)...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := c.print(findings, func(g *grid) {
		for _, f := range findings {
			g.row(f.Level, f.Check, f.Says)
			if f.Do != "" {
				fmt.Fprintf(g.w, "\t\t→ %s\n", printable(f.Do))
			}
		}
	})
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Level == levelFail {
			return errNo
		}
	}
	return nil
}
