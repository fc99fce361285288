package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/query"
)

func (c *cli) sitesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sites",
		Short: "Which other sites are there, and how well are they followed?",
		Long: `Which other sites were heard over NATS. STATE is how following one goes:
"current" is the only one in which its bindings count; COMPLETE is the last moment
of which everything that the site knew then is known here; BEHIND is how many
changes are not applied yet. Without follow or remote in the configuration no
site is heard.`,
		Example: "  simbind sites",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.sites(cmd.Context()) },
	}
}

func (c *cli) sites(ctx context.Context) error {
	var sites []query.SiteReply
	err := c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		sites, err = q.Sites(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return c.print(sites, func(g *grid) {
		g.row("SITE", "FOLLOWED", "STATE", "HEARD", "COMPLETE", "APPLIED", "BEHIND", "SESSIONS", "HEALTHY", "SNAPSHOTS", "GAPS", "POOLS")
		for _, s := range sites {
			behind := uint64(0)
			if s.Followed {
				behind = max(s.Seq, s.Applied) - s.Applied
			}
			g.row(s.Name, yesNo(s.Followed), s.State, c.distance(s.Heard), c.distance(s.Complete), s.Applied, behind, s.Sessions,
				yesNo(s.Healthy && s.Ingesting && !s.Warming), s.Snapshots, s.Gaps, words(s.Pools))
		}
	})
}
