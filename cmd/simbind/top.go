package main

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/query"
)

func (c *cli) topCommand() *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "How is the daemon, second by second?",
		Long: `How is the daemon, second by second: what it takes in, decides and publishes, who
is heard, and what is wrong. It needs a terminal; q or Ctrl-C ends it.

Exit 0, or 3 if the daemon cannot be reached at the start. A daemon that goes
away meanwhile is shown as such, and again when it is back.`,
		Example: "  simbind top",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return usagef("--every %v: it is at least 100ms", every)
			}
			return c.top(cmd.Context(), every)
		},
	}
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often it asks")
	return cmd
}

func (c *cli) top(ctx context.Context, every time.Duration) error {
	if c.screen == nil {
		return usagef("top draws on a terminal and this is none; for a program there is: simbind status -o json")
	}
	first := c.sample(ctx)
	if first.err != nil {
		return first.err
	}
	m := newTopModel(first, c.now, every, func() sample { return c.sample(ctx) })
	err := c.screen(ctx, m)
	if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil // Ctrl-C is how one leaves it
	}
	return err
}

// A sample is what the daemon said at one moment, or why it said nothing.
type sample struct {
	at     time.Time
	status query.StatusReply
	nodes  []query.NodeReply
	err    error
}

func (c *cli) sample(ctx context.Context) sample {
	s := sample{at: c.now()}
	s.err = c.ask(ctx, func(ctx context.Context, q *query.Client) (err error) {
		if s.status, err = q.Status(ctx); err != nil {
			return err
		}
		s.nodes, err = q.Nodes(ctx)
		return err
	})
	return s
}

// drawOn shows a model on this process's terminal until it ends.
func drawOn(ctx context.Context, m tea.Model) error {
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithoutSignalHandler()).Run()
	return err
}
