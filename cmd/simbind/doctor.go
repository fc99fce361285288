package main

import (
	"context"
	"fmt"
	"slices"

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
	var interfaces []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "What is wrong, and what to do about it?",
		Long: `Look at the daemon and at the machine it runs on: what is wrong, and what to do
about it? Exit 1 if anything fails; a warning alone is exit 0. What the tap
needs is looked at if the daemon has one, or if an interface is named.`,
		Example: "  simbind doctor --data-dir /var/lib/simbind\n  simbind doctor --interface eth0",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.doctor(cmd.Context(), dataDir, interfaces) },
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "the daemon's data_dir, to look at its disk")
	cmd.Flags().StringArrayVar(&interfaces, "interface", nil, "an interface to tap, by `name` or pattern; may be repeated")
	return cmd
}

func (c *cli) doctor(ctx context.Context, dataDir string, interfaces []string) error {
	findings := c.checkDaemon(ctx)
	tapped := slices.ContainsFunc(findings, func(f finding) bool { return f.Check == "tap" })
	findings = append(findings, c.host.check(c.socket, dataDir)...)
	if tapped || len(interfaces) > 0 {
		findings = append(findings, c.host.checkTapHost(c.socket, interfaces)...)
	}
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
