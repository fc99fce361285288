package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/bpf/gtp/gtptest"
	"github.com/simbind/simbind/bpf/pfcp/pfcptest"
	"github.com/simbind/simbind/bpf/wire/wiretest"
)

// A wireRun is the command line of a simulation of which both ends are played,
// for the tap to watch.
type wireRun struct {
	crowd
	options      wiretest.Options
	asker, asked string
	version      int
	anonymous    bool
	noMSISDN     bool
}

func (c *cli) simulateGTPCommand() *cobra.Command {
	var r wireRun
	cmd := &cobra.Command{
		Use:   "gtp",
		Short: "Play an SGW and a PGW for the tap to watch",
		Long: `Play an SGW and a PGW (with --version 1 an SGSN and a GGSN) between two addresses
of this machine, for a tap that watches the interface in between, such as lo.
Every message is encoded by an implementation that shares nothing with
simbindd's.`,
		Example: "  simbind simulate gtp --subscribers 1000 --rate 200 --hold 30s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.read(); err != nil {
				return err
			}
			if r.version != 1 && r.version != 2 {
				return usagef("--version is 1 or 2")
			}
			o := &r.options
			return c.simulateWire(cmd.Context(), *o, gtptest.New(r.version, o.Asker.Addr(), o.Asked.Addr(), o.APN))
		},
	}
	r.flags(cmd, "127.0.0.2:2123", "127.0.0.3:2123")
	cmd.Flags().IntVar(&r.version, "version", 2, "of GTP-C: 1 or 2")
	return cmd
}

func (c *cli) simulatePFCPCommand() *cobra.Command {
	var r wireRun
	cmd := &cobra.Command{
		Use:   "pfcp",
		Short: "Play an SMF and a UPF for the tap to watch",
		Long: `Play an SMF and a UPF between two addresses of this machine, for a tap that
watches the interface in between, such as lo. Every message is encoded by an
implementation that shares nothing with simbindd's.`,
		Example: "  simbind simulate pfcp --subscribers 1000 --rate 200 --hold 30s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.read(); err != nil {
				return err
			}
			o := &r.options
			core := pfcptest.New(o.Asker.Addr(), o.Asked.Addr(), o.APN)
			core.Anonymous, core.NoMSISDN = r.anonymous, r.noMSISDN
			return c.simulateWire(cmd.Context(), *o, core)
		},
	}
	r.flags(cmd, "127.0.0.4:8805", "127.0.0.7:8805")
	cmd.Flags().BoolVar(&r.anonymous, "anonymous", false, "send no User ID")
	cmd.Flags().BoolVar(&r.noMSISDN, "no-msisdn", false, "send no number, as an SMF that leaves it to the directory")
	return cmd
}

func (r *wireRun) flags(cmd *cobra.Command, asker, asked string) {
	flags, o := cmd.Flags(), &r.options
	flags.StringVar(&r.asker, "from", asker, "address and port of the end that asks")
	flags.StringVar(&r.asked, "to", asked, "address and port of the end that owns the sessions")
	r.crowd.flags(cmd, &o.Plan, "refresh")
	flags.DurationVar(&o.Restart, "restart", 0, "restart the node once, after this time, and all attach again (default never)")
	flags.DurationVar(&o.Timeout, "timeout", 2*time.Second, "how long a datagram may be on its way")
}

// read checks the command line and completes the options.
func (r *wireRun) read() (err error) {
	o := &r.options
	if o.Asker, err = netip.ParseAddrPort(r.asker); err != nil {
		return usagef("--from %s: it is an address and a port like 127.0.0.2:2123", r.asker)
	}
	if o.Asked, err = netip.ParseAddrPort(r.asked); err != nil {
		return usagef("--to %s: it is an address and a port like 127.0.0.3:2123", r.asked)
	}
	if o.Timeout <= 0 || o.Restart < 0 {
		return usagef("--timeout is more than zero, --restart is not negative")
	}
	return r.crowd.read("refresh")
}

func (c *cli) simulateWire(ctx context.Context, o wiretest.Options, core wiretest.Core) error {
	run := func(ctx context.Context, o wiretest.Options, progress func(crowdtest.Progress)) (wiretest.Summary, error) {
		return wiretest.Simulate(ctx, o, core, progress)
	}
	summary, err := simulate(ctx, c, run, o)
	if err != nil {
		return fmt.Errorf("between %v and %v: %w", o.Asker, o.Asked, err)
	}
	s := newOutcome(summary.Progress, 0, summary.P50, summary.P99)
	return c.print(s, func(g *grid) { s.table(g, func() {}) })
}
