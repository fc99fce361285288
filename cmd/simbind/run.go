package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding/query"
)

// The exit codes.
const (
	exitYes         = 0
	exitNo          = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// askTimeout bounds one question to the daemon, dialling included.
const askTimeout = 15 * time.Second

// An env is all that the program touches outside itself, so that tests run the
// whole of it.
type env struct {
	args           []string
	stdout, stderr io.Writer
	getenv         func(string) string
	exists         func(path string) bool
	now            func() time.Time
	terminal       bool                                   // stderr is one
	screen         func(context.Context, tea.Model) error // draws on the terminal; nil without one
	dial           func(ctx context.Context, socket string) (*query.Client, error)
	host           host
}

// errNo ends a command whose answer, already printed, is no.
var errNo = errors.New("no")

// A usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// A cli is one run of the program.
type cli struct {
	env
	socket  string
	output  string
	started bool // the command line was understood
}

// run is the whole program: it returns the exit code. Canceling ctx stops it.
func run(ctx context.Context, e env) int {
	c := &cli{env: e}
	root := c.rootCommand()
	root.SetArgs(e.args)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	code := c.exitCode(err)
	if err != nil && !errors.Is(err, errNo) {
		fmt.Fprintln(e.stderr, "simbind:", c.explain(ctx, err))
	}
	if code == exitUsage {
		fmt.Fprintf(e.stderr, "Try: %s -h\n", cmd.CommandPath())
	}
	return code
}

// explain is an error in words for an operator.
func (c *cli) explain(ctx context.Context, err error) string {
	var reply *query.ReplyError
	switch {
	case ctx.Err() != nil:
		return "interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s did not answer within %v: see what holds simbindd up (its log, journalctl -u simbindd)", c.socket, askTimeout)
	case errors.As(err, &reply) && !errors.Is(err, query.ErrUnreachable):
		return reply.Text
	default:
		return err.Error()
	}
}

func (c *cli) exitCode(err error) int {
	var reply *query.ReplyError
	switch {
	case err == nil:
		return exitYes
	case !c.started, errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, &reply) && (reply.Code == "BADADDR" || reply.Code == "BADNUM"):
		return exitUsage
	case errors.Is(err, query.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return exitUnreachable
	default:
		return exitNo
	}
}

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "simbind",
		Short: "Ask simbindd which SIM holds an IP address",
		Long: `Ask simbindd which SIM holds an IP address.

Exit codes: 0 yes or done, 1 no or failed, 2 usage, 3 daemon unreachable.
Times are UTC.`,
		Example:           "  simbind lookup 10.45.0.7",
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return c.start() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&c.socket, "socket", "", "socket of simbindd (default $SIMBIND_SOCKET, "+systemSocket+" or "+localSocket+")")
	flags.StringVarP(&c.output, "output", "o", "table", "table or json")

	root.AddGroup(
		&cobra.Group{ID: "ask", Title: "Ask:"},
		&cobra.Group{ID: "change", Title: "Change:"},
		&cobra.Group{ID: "try", Title: "Check and try:"},
	)
	root.SetHelpCommandGroupID("try")
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("ask", c.statusCommand(), c.lookupCommand(), c.verifyCommand(), c.sessionsCommand(),
		c.nodesCommand(), c.sitesCommand(), c.directoryCommand(), c.watchCommand(), c.topCommand(), c.traceCommand())
	add("change", c.releaseCommand())
	add("try", c.doctorCommand(), c.replayCommand(), c.simulateCommand(), c.completionCommand())
	return root
}

// start is run once the command line is understood, before the command.
func (c *cli) start() error {
	c.started = true
	if c.output != "table" && c.output != "json" {
		return usagef("-o %s: it is table or json", c.output)
	}
	if c.socket == "" {
		c.socket = c.defaultSocket()
	}
	return nil
}
