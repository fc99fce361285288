package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/crowdtest"
)

func (c *cli) simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play a packet core",
		Long:  "Play a packet core, to try a configuration or to put load on it.",
		Example: `  simbind simulate radius --server 127.0.0.1:1813 --secret-file secret --subscribers 1000
  simbind simulate gx --server 127.0.0.1:3868 --subscribers 1000
  simbind simulate gtp --subscribers 1000 --hold 30s
  simbind simulate pfcp --subscribers 1000`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			return usagef("simulate %s: what it can play is radius, gx, gtp and pfcp", strings.Join(args, " "))
		},
	}
	cmd.AddCommand(c.simulateRADIUSCommand(), c.simulateGxCommand(), c.simulateGTPCommand(), c.simulatePFCPCommand())
	return cmd
}

// A crowd is the part of the command line that all protocols share.
type crowd struct {
	plan        *crowdtest.Plan
	pool, pool6 string
}

// flags adds them; refresh is what the protocol calls a refresh.
func (r *crowd) flags(cmd *cobra.Command, plan *crowdtest.Plan, refresh string) {
	r.plan = plan
	flags := cmd.Flags()
	flags.IntVar(&plan.Subscribers, "subscribers", 100, "how many attach")
	flags.Float64Var(&plan.Rate, "rate", 50, "attaches a second")
	flags.DurationVar(&plan.Refresh, refresh, 0, "how often each is refreshed, 0 for never")
	flags.DurationVar(&plan.Hold, "hold", 0, "how long each stays, 0 for ever")
	flags.StringVar(&r.pool, "pool", "10.45.0.0/16", "IPv4 pool, an address for each")
	flags.StringVar(&r.pool6, "pool6", "", "IPv6 pool, a /64 for each (default none)")
	flags.StringVar(&plan.APN, "apn", "internet", "Called-Station-Id")
	flags.DurationVar(&plan.Duration, "duration", 0, "end after this time; who left comes back until then (default when each came once)")
}

// read checks them and completes the plan.
func (r *crowd) read(refresh string) error {
	p := r.plan
	switch {
	case p.Subscribers < 1 || p.Rate <= 0:
		return usagef("--subscribers and --rate are more than zero")
	case p.Refresh < 0 || p.Hold < 0 || p.Duration < 0:
		return usagef("--%s, --hold and --duration are not negative", refresh)
	}
	var err error
	if p.Pool, err = netip.ParsePrefix(r.pool); err != nil {
		return usagef("--pool %s: it is a prefix like 10.45.0.0/16", r.pool)
	}
	if r.pool6 == "" {
		return nil
	}
	if p.Pool6, err = netip.ParsePrefix(r.pool6); err != nil || p.Pool6.Addr().Is4() {
		return usagef("--pool6 %s: it is a prefix like 2001:db8:cafe::/48", r.pool6)
	}
	return nil
}

// outcome is what all simulations tell at their end. Durations are in
// microseconds.
type outcome struct {
	Sent          uint64  `json:"sent"`
	Answered      uint64  `json:"answered"`
	Lost          uint64  `json:"lost"`       // given up
	Unanswered    uint64  `json:"unanswered"` // still awaited when it was interrupted
	Late          uint64  `json:"late"`
	Retransmitted uint64  `json:"retransmitted"`
	Attached      int     `json:"attached"` // at the end
	Seconds       float64 `json:"seconds"`
	P50Micros     int64   `json:"p50_us"`
	P99Micros     int64   `json:"p99_us"`
}

func newOutcome(p crowdtest.Progress, late uint64, p50, p99 time.Duration) outcome {
	return outcome{
		Sent: p.Sent, Answered: p.Answered, Lost: p.Lost, Unanswered: p.Sent - p.Answered - p.Lost, Late: late,
		Retransmitted: p.Retransmitted, Attached: p.Attached, Seconds: p.Elapsed.Seconds(),
		P50Micros: p50.Microseconds(), P99Micros: p99.Microseconds(),
	}
}

// table shows the outcome; own adds what only one protocol has.
func (o outcome) table(g *grid, own func()) {
	g.fact("sent", o.Sent)
	g.fact("answered", o.Answered)
	g.fact("lost", o.Lost)
	if o.Unanswered > 0 {
		g.fact("unanswered", fmt.Sprintf("%d (interrupted)", o.Unanswered))
	}
	g.fact("late", o.Late)
	own()
	g.fact("repeated", o.Retransmitted)
	g.fact("attached", o.Attached)
	g.fact("took", time.Duration(o.Seconds*float64(time.Second)).Round(time.Millisecond))
	micros := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	g.fact("answer", fmt.Sprintf("%v median, %v for 99 of 100", micros(o.P50Micros), micros(o.P99Micros)))
}

// simulate runs a simulation and clears its progress.
func simulate[O, S any](ctx context.Context, c *cli, run func(context.Context, O, func(crowdtest.Progress)) (S, error), options O) (S, error) {
	summary, err := run(ctx, options, c.progressPrinter())
	if c.terminal {
		fmt.Fprint(c.stderr, clearLine)
	}
	return summary, err
}

// clearLine returns to the start of a terminal's line and clears it.
const clearLine = "\r\x1b[K"

// progressPrinter shows how far a simulation is: on a terminal in one line that
// changes, else in a line each ten seconds.
func (c *cli) progressPrinter() func(crowdtest.Progress) {
	shown := time.Duration(0)
	return func(p crowdtest.Progress) {
		line := fmt.Sprintf("%v: %d attached, %d sent, %d answered, %d lost", p.Elapsed.Round(time.Second), p.Attached, p.Sent, p.Answered, p.Lost)
		switch {
		case c.terminal:
			fmt.Fprint(c.stderr, clearLine+line)
		case p.Elapsed-shown >= 10*time.Second:
			shown = p.Elapsed
			fmt.Fprintln(c.stderr, line)
		}
	}
}
