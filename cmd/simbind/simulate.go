package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/radius/radiustest"
)

func (c *cli) simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "simulate",
		Short:   "Play a packet core",
		Long:    "Play a packet core, to try a configuration or to put load on it.",
		Example: "  simbind simulate radius --server 127.0.0.1:1813 --secret-file secret --subscribers 1000",
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			return usagef("simulate %s: what it can play is radius", strings.Join(args, " "))
		},
	}
	cmd.AddCommand(c.simulateRADIUSCommand())
	return cmd
}

// A radiusRun is the command line of simulate radius.
type radiusRun struct {
	options            radiustest.Options
	secret, secretFile string
	pool, pool6        string
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
	flags.IntVar(&o.Subscribers, "subscribers", 100, "how many attach")
	flags.Float64Var(&o.Rate, "rate", 50, "attaches a second")
	flags.DurationVar(&o.Refresh, "interim", 0, "how often each is refreshed, 0 for never")
	flags.DurationVar(&o.Hold, "hold", 0, "how long each stays, 0 for ever")
	flags.StringVar(&r.pool, "pool", "10.45.0.0/16", "IPv4 pool, an address for each")
	flags.StringVar(&r.pool6, "pool6", "", "IPv6 pool, a /64 for each (default none)")
	flags.StringVar(&o.APN, "apn", "internet", "Called-Station-Id")
	flags.DurationVar(&o.Duration, "duration", 0, "end after this time; who left comes back until then (default when each came once)")
	flags.DurationVar(&o.Timeout, "timeout", 2*time.Second, "repeat a request that is unanswered for so long")
	return cmd
}

// read checks the command line and completes the options.
func (r *radiusRun) read() error {
	o := &r.options
	switch {
	case (r.secret == "") == (r.secretFile == ""):
		return usagef("give the shared secret with --secret-file FILE or --secret TEXT")
	case o.Subscribers < 1 || o.Rate <= 0 || o.Timeout <= 0:
		return usagef("--subscribers, --rate and --timeout are more than zero")
	case o.Refresh < 0 || o.Hold < 0 || o.Duration < 0:
		return usagef("--interim, --hold and --duration are not negative")
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
	var err error
	if o.Pool, err = netip.ParsePrefix(r.pool); err != nil {
		return usagef("--pool %s: it is a prefix like 10.45.0.0/16", r.pool)
	}
	if r.pool6 == "" {
		return nil
	}
	if o.Pool6, err = netip.ParsePrefix(r.pool6); err != nil || o.Pool6.Addr().Is4() {
		return usagef("--pool6 %s: it is a prefix like 2001:db8:cafe::/48", r.pool6)
	}
	return nil
}

// simulated is the outcome of a simulation. Durations are in microseconds.
type simulated struct {
	Sent          uint64  `json:"sent"`
	Answered      uint64  `json:"answered"`
	Lost          uint64  `json:"lost"`       // given up
	Unanswered    uint64  `json:"unanswered"` // still awaited when it was interrupted
	Late          uint64  `json:"late"`
	Bad           uint64  `json:"bad"` // answers that the secret does not sign
	Retransmitted uint64  `json:"retransmitted"`
	Attached      int     `json:"attached"` // at the end
	Seconds       float64 `json:"seconds"`
	P50Micros     int64   `json:"p50_us"`
	P99Micros     int64   `json:"p99_us"`
}

func (c *cli) simulateRADIUS(ctx context.Context, o radiustest.Options) error {
	summary, err := radiustest.Simulate(ctx, o, c.progressPrinter())
	if c.terminal {
		fmt.Fprint(c.stderr, clearLine)
	}
	if err != nil {
		return err
	}
	s := simulated{
		Sent: summary.Sent, Answered: summary.Answered, Lost: summary.Lost,
		Unanswered: summary.Sent - summary.Answered - summary.Lost,
		Late:       summary.Late, Bad: summary.Bad, Retransmitted: summary.Retransmitted, Attached: summary.Attached,
		Seconds: summary.Elapsed.Seconds(), P50Micros: summary.P50.Microseconds(), P99Micros: summary.P99.Microseconds(),
	}
	if err := c.print(s, func(g *grid) { s.table(g, summary) }); err != nil {
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

func (s simulated) table(g *grid, summary radiustest.Summary) {
	g.fact("sent", s.Sent)
	g.fact("answered", s.Answered)
	g.fact("lost", s.Lost)
	if s.Unanswered > 0 {
		g.fact("unanswered", fmt.Sprintf("%d (interrupted)", s.Unanswered))
	}
	g.fact("late", s.Late)
	g.fact("bad", s.Bad)
	g.fact("repeated", s.Retransmitted)
	g.fact("attached", s.Attached)
	g.fact("took", summary.Elapsed.Round(time.Millisecond))
	g.fact("answer", fmt.Sprintf("%v median, %v for 99 of 100", summary.P50.Round(time.Microsecond), summary.P99.Round(time.Microsecond)))
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
