package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/query"
)

func (c *cli) directoryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "directory [IMSI]",
		Short: "What number has a SIM, and who knows numbers?",
		Long: `Where numbers come from that signalling does not bring: what each source of the
directory has answered, and how the export is. With an IMSI, ask for its number
now, as a session of it would.`,
		Example: "  simbind directory\n  simbind directory 001010000000007",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.directory(cmd.Context())
			}
			return c.number(cmd.Context(), args[0])
		},
	}
}

func (c *cli) directory(ctx context.Context) error {
	var d query.DirectoryReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		d, err = q.Directory(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(d, func(g *grid) {
		g.row("SOURCE", "FOUND", "UNKNOWN", "FAILED", "ROWS", "CONTRADICTORY", "READ", "PROBLEM")
		for _, s := range d.Sources {
			g.row(s.Name, s.Found, s.Unknown, s.Failed, s.Rows, s.Contradictory, c.distance(s.Read), s.Problem)
		}
	})
}

// number asks for one SIM: exit code 1 if it has no number.
func (c *cli) number(ctx context.Context, imsi string) error {
	var n query.NumberReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		n, err = q.Number(ctx, imsi)
		return err
	})
	if err != nil {
		return err
	}
	err = c.print(n, func(g *grid) {
		g.fact("imsi", n.IMSI)
		g.fact("msisdn", n.MSISDN)
		g.fact("source", n.Source)
	})
	if err == nil && n.MSISDN == "" {
		return errNo
	}
	return err
}
