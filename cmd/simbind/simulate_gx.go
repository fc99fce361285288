package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/diameter/diametertest"
)

// A gxRun is the command line of simulate gx.
type gxRun struct {
	crowd
	secure  security
	options diametertest.Options
}

func (c *cli) simulateGxCommand() *cobra.Command {
	var r gxRun
	cmd := &cobra.Command{
		Use:   "gx --server HOST:PORT",
		Short: "Play a PGW that reports over Gx",
		Long: `Play a PGW (a PCEF) whose subscribers attach, are updated and detach. Every
request is encoded by an implementation that shares nothing with simbindd's, and
every answer is checked. A connection that breaks is made again. Exit 1 if a
request was lost, refused or answered wrongly.`,
		Example: `  simbind simulate gx --server 127.0.0.1:3868 --subscribers 1000 --rate 200 --update 10s --hold 30s
  simbind simulate gx --server 127.0.0.1:3868 --connections 4 --restart 5s
  simbind simulate gx --server 192.0.2.1:5868 --tls-ca ca.crt --tls-cert pgw.crt --tls-key pgw.key --tls-name simbind.example.net`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.read(); err != nil {
				return err
			}
			return c.simulateGx(cmd.Context(), r.options)
		},
	}
	flags, o := cmd.Flags(), &r.options
	flags.StringVar(&o.Server, "server", "127.0.0.1:3868", "where the requests are sent, over TCP")
	r.crowd.flags(cmd, &o.Plan, "update")
	flags.DurationVar(&o.Restart, "restart", 0, "restart the PGW once, after this time: a larger Origin-State-Id, and all attach again (default never)")
	flags.IntVar(&o.Connections, "connections", 1, "of so many PGWs, pgw-1.simulated and so on")
	flags.StringVar(&o.Node.Host, "origin-host", "pgw.simulated", "Origin-Host; with several connections a number is added to its first label")
	flags.StringVar(&o.Node.Realm, "origin-realm", "simulated", "Origin-Realm")
	flags.StringVar(&o.To.Realm, "destination-realm", "", "Destination-Realm (default the realm of the server)")
	flags.StringVar(&o.To.Host, "destination-host", "", "Destination-Host (default none)")
	r.secure.flags(cmd)
	flags.DurationVar(&o.Timeout, "timeout", 10*time.Second, "give up a request that is unanswered for so long")
	return cmd
}

// read checks the command line and completes the options.
func (r *gxRun) read() error {
	o := &r.options
	switch {
	case o.Connections < 1 || o.Timeout <= 0:
		return usagef("--connections and --timeout are more than zero")
	case o.Restart < 0:
		return usagef("--restart is not negative")
	case o.Node.Host == "" || o.Node.Realm == "":
		return usagef("--origin-host and --origin-realm are not empty")
	}
	var err error
	if o.TLS, err = r.secure.read(); err != nil {
		return err
	}
	return r.crowd.read("update")
}

// reported is the outcome of simulate gx.
type reported struct {
	outcome
	Results     map[uint32]uint64 `json:"results"` // answers by result code
	Refused     uint64            `json:"refused"` // those that are no success
	Wrong       uint64            `json:"wrong"`   // that do not fit their request
	Reconnected uint64            `json:"reconnected"`
}

func (c *cli) simulateGx(ctx context.Context, o diametertest.Options) error {
	summary, err := simulate(ctx, c, diametertest.Simulate, o)
	var refusal diametertest.Refusal
	switch {
	case errors.As(err, &refusal):
		return fmt.Errorf("%w: see that diameter.peers in simbindd.yaml names the host %s and this address", err, o.Node.Host)
	case err != nil:
		return err
	}
	s := reported{
		outcome: newOutcome(summary.Progress, summary.Late, summary.P50, summary.P99),
		Results: summary.Results, Refused: summary.Refused(), Wrong: summary.Wrong, Reconnected: summary.Reconnected,
	}
	if err := c.print(s, func(g *grid) { s.table(g, func() { s.own(g) }) }); err != nil {
		return err
	}
	switch {
	case s.Wrong > 0:
		return fmt.Errorf("%d answers do not fit their requests; the first: %s", s.Wrong, summary.FirstWrong)
	case s.Refused > 0:
		return fmt.Errorf("%d requests were refused: 3004 means that simbindd is busy, 5012 that its journal fails; see `simbind doctor`", s.Refused)
	case s.Lost > 0:
		return fmt.Errorf("%d requests were lost: see `simbind doctor` and the counters of `simbind status`", s.Lost)
	}
	return nil
}

func (s reported) own(g *grid) {
	var codes []string
	for _, code := range slices.Sorted(maps.Keys(s.Results)) {
		codes = append(codes, fmt.Sprintf("%d: %d", code, s.Results[code]))
	}
	g.fact("results", strings.Join(codes, ", "))
	g.fact("wrong", s.Wrong)
	g.fact("reconnected", s.Reconnected)
}
