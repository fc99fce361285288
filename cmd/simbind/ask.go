package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
)

// A place is how the flags of a command narrow an address.
type place struct {
	domain string
	port   uint16
}

func (p *place) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.domain, "domain", "", "address domain, where pools overlap")
	cmd.Flags().Uint16Var(&p.port, "port", 0, "source port seen from outside, for a shared address")
}

func (p *place) options() []query.Option {
	var opt []query.Option
	if p.domain != "" {
		opt = append(opt, query.Domain(p.domain))
	}
	if p.port != 0 {
		opt = append(opt, query.Port(p.port))
	}
	return opt
}

func checkAddress(s string) error {
	if _, err := binding.ParseAddr(s); err != nil {
		return usageError{err}
	}
	return nil
}

func (c *cli) verifyCommand() *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "verify ADDRESS NUMBER",
		Short: "Is this the number of the SIM behind an address?",
		Long: `Is this the number of the SIM behind an address?

NUMBER is +E164, or the SHA-256 of it in hexadecimal. Only "match" is a yes
(exit 0): a doubt is answered with "unknown", "ambiguous" or "stale" and its
reason (exit 1).`,
		Example: "  simbind verify 10.45.0.7 +34600000001",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.verify(cmd.Context(), args[0], args[1], where)
		},
	}
	where.addFlags(cmd)
	return cmd
}

func (c *cli) verify(ctx context.Context, addr, number string, where place) error {
	if err := checkAddress(addr); err != nil {
		return err
	}
	if _, err := binding.ParseNumber(number); err != nil {
		return usageError{err}
	}
	var reply query.VerifyReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		reply, err = q.Verify(ctx, addr, number, where.options()...)
		return err
	})
	if err != nil {
		return err
	}
	err = c.print(reply, func(g *grid) {
		g.fact("verdict", reply.Verdict)
		g.fact("reason", reply.Reason)
		g.fact("means", meaning(reply.Reason))
		if reply.Version != 0 {
			g.fact("confirmed", age(time.Duration(reply.AgeMS)*time.Millisecond)+" ago")
			g.fact("version", reply.Version)
		}
	})
	if err == nil && reply.Verdict != binding.Match.String() {
		return errNo
	}
	return err
}

func (c *cli) lookupCommand() *cobra.Command {
	var where place
	var at string
	cmd := &cobra.Command{
		Use:   "lookup ADDRESS",
		Short: "Which SIM holds an address?",
		Long: `Which SIM holds an address, and who said so?

Exit 0 only for an address that is bound without any doubt.`,
		Example: "  simbind lookup 10.45.0.7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.lookup(cmd.Context(), args[0], at, where)
		},
	}
	where.addFlags(cmd)
	cmd.Flags().StringVar(&at, "at", "", "who held it at this time (RFC 3339)")
	return cmd
}

func (c *cli) lookup(ctx context.Context, addr, at string, where place) error {
	if err := checkAddress(addr); err != nil {
		return err
	}
	opt := where.options()
	if at != "" {
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return usagef("--at %s: it is a time like 2026-01-31T12:00:00Z", at)
		}
		opt = append(opt, query.At(t))
	}
	var reply query.BindingReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		reply, err = q.Lookup(ctx, addr, opt...)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.print(reply, func(g *grid) { c.describe(g, addr, reply) }); err != nil {
		return err
	}
	if reply.State != binding.StateBound.String() {
		return errNo
	}
	return nil
}

// describe writes all that is known about one address.
func (c *cli) describe(g *grid, addr string, b query.BindingReply) {
	if b.Addr != "" {
		addr = b.Addr
	}
	if b.State == "" {
		b.State, b.Reason = binding.StateUnknown.String(), binding.ReasonNoBinding.String()
	}
	g.fact("address", addr)
	g.fact("state", b.State)
	g.fact("reason", b.Reason)
	g.fact("means", meaning(b.Reason))
	g.fact("msisdn", b.MSISDN)
	g.fact("imsi", b.IMSI)
	g.fact("imei", b.IMEI)
	g.fact("apn", b.APN)
	g.fact("rat", b.RAT)
	g.fact("domain", b.Domain)
	g.fact("node", b.Node)
	g.fact("site", b.Site)
	g.fact("sources", words(b.Sources))
	g.fact("since", c.stamp(b.Since))
	g.fact("seen", c.stamp(b.Seen))
	g.fact("expires", c.stamp(b.Expires))
	if b.Version != 0 {
		g.fact("version", b.Version)
	}
}

func (c *cli) releaseCommand() *cobra.Command {
	var where place
	var reason string
	cmd := &cobra.Command{
		Use:   "release ADDRESS --reason TEXT",
		Short: "End the binding of an address",
		Long: `End the binding of an address: no session there counts until it says something
that surely happened since. It chooses nobody: sessions that disagree still do.
Who asked and why is logged.`,
		Example: `  simbind release 10.45.0.7 --reason "ticket 4711: PGW lost the Stop"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.release(cmd.Context(), args[0], reason, where)
		},
	}
	where.addFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log (required)")
	return cmd
}

// released is what release says to machines.
type released struct {
	Addr     string `json:"addr"`
	Released bool   `json:"released"`
}

func (c *cli) release(ctx context.Context, addr, reason string, where place) error {
	if err := checkAddress(addr); err != nil {
		return err
	}
	if reason == "" {
		return usagef("release needs --reason TEXT: it goes into the audit log")
	}
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) error {
		return q.Release(ctx, addr, reason, where.options()...)
	})
	if err != nil {
		return err
	}
	return c.print(released{addr, true}, func(g *grid) { fmt.Fprintf(g.w, "released %s\n", addr) })
}
