package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/radius/radiustest"
)

// A radiusRun is the command line of simulate radius.
type radiusRun struct {
	crowd
	options            radiustest.Options
	secret, secretFile string
}

func (c *cli) simulateRADIUSCommand() *cobra.Command {
	var r radiusRun
	cmd := &cobra.Command{
		Use:   "radius --server HOST:PORT --secret-file FILE",
		Short: "Play a NAS that sends accounting",
		Long: `Play a NAS whose subscribers attach, are refreshed and detach. Every request is
encoded by an implementation that shares nothing with simbindd's. Requests that
stay unanswered are repeated; exit 1 if any was lost at last.`,
		Example: "  simbind simulate radius --server 127.0.0.1:1813 --secret testing123 --subscribers 1000 --rate 200 --hold 30s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.read(); err != nil {
				return err
			}
			return c.simulateRADIUS(cmd.Context(), r.options)
		},
	}
	flags, o := cmd.Flags(), &r.options
	flags.StringVar(&o.Server, "server", "127.0.0.1:1813", "where accounting is sent")
	flags.StringVar(&r.secret, "secret", "", "shared secret; other users of this machine can see it")
	flags.StringVar(&r.secretFile, "secret-file", "", "file that holds the shared secret")
	r.crowd.flags(cmd, &o.Plan, "interim")
	flags.DurationVar(&o.Timeout, "timeout", 2*time.Second, "repeat a request that is unanswered for so long")
	return cmd
}

// read checks the command line and completes the options.
func (r *radiusRun) read() error {
	o := &r.options
	switch {
	case (r.secret == "") == (r.secretFile == ""):
		return usagef("give the shared secret with --secret-file FILE or --secret TEXT")
	case o.Timeout <= 0:
		return usagef("--timeout is more than zero")
	}
	o.Secret = []byte(r.secret)
	if r.secretFile != "" {
		text, err := os.ReadFile(r.secretFile)
		if err != nil {
			return err
		}
		if o.Secret = bytes.TrimRight(text, "\r\n"); len(o.Secret) == 0 {
			return fmt.Errorf("%s holds no secret", r.secretFile)
		}
	}
	return r.crowd.read("interim")
}

// accounted is the outcome of simulate radius.
type accounted struct {
	outcome
	Bad uint64 `json:"bad"` // answers that the secret does not sign
}

func (c *cli) simulateRADIUS(ctx context.Context, o radiustest.Options) error {
	summary, err := simulate(ctx, c, radiustest.Simulate, o)
	if err != nil {
		return err
	}
	s := accounted{outcome: newOutcome(summary.Progress, summary.Late, summary.P50, summary.P99), Bad: summary.Bad}
	if err := c.print(s, func(g *grid) { s.table(g, func() { g.fact("bad", s.Bad) }) }); err != nil {
		return err
	}
	switch {
	case s.Lost == 0:
		return nil
	case s.Bad > 0:
		return errors.New("requests were lost, and answers came that the secret does not sign: compare it with the client's in simbindd.yaml")
	case s.Answered == 0:
		return fmt.Errorf("no answer at all from %s: see that radius.listen and radius.clients in simbindd.yaml name this address, and that the secret is the client's", o.Server)
	default:
		return fmt.Errorf("%d requests were lost: see `simbind doctor` and the counters of `simbind status`", s.Lost)
	}
}
