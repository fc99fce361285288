package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == stockGxCommand { // a signal ends it at once
		os.Exit(stockGxMain(os.Args[2:], os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if len(os.Args) > 1 && os.Args[1] == askCommand {
		os.Exit(askMain(os.Args[2:], os.Stdout, os.Stderr))
	}
	os.Exit(program(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Options of a run.
type options struct {
	sessions int
	rounds   int
	only     []string
	output   string // "table" or "json"
	daemon   string // path of a simbindd, or "" to build one
	quick    bool   // tests: little of everything
}

// Limits of options. The pool of bound addresses is 10.0.0.0/8.
const (
	minSessions = 1000
	maxSessions = 1<<24 - 2
	maxRounds   = 99
)

func program(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitUsage
	}
	results, err := run(ctx, o, stderr)
	if o.output == "json" {
		err = errors.Join(err, printJSON(stdout, results))
	} else {
		printTable(stdout, results)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.sessions, "sessions", 1_000_000, "`number` of sessions bound, and of keys in the index")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each comparison")
	flags.StringVar(&only, "only", "", "comma-separated `names` of the parts to run: "+strings.Join(partNames(), ","))
	flags.StringVar(&o.output, "o", "table", "`form` of the result: table or json")
	flags.StringVar(&o.daemon, "simbindd", "", "`path` of the daemon to measure; by default it is built")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	return o, o.check(flags.NArg())
}

func (o options) check(rest int) error {
	if rest > 0 {
		return errors.New("there are no arguments, only flags; try -h")
	}
	if o.output != "table" && o.output != "json" {
		return fmt.Errorf("-o %q: choose table or json", o.output)
	}
	if o.sessions < minSessions || o.rounds < 1 || o.rounds > maxRounds {
		return fmt.Errorf("-sessions must be at least %d and -rounds 1 to %d", minSessions, maxRounds)
	}
	if o.sessions > maxSessions && strings.Join(o.only, ",") != "index" {
		return fmt.Errorf("more than %d sessions do not fit the pool of addresses; only -only index takes more", maxSessions)
	}
	_, err := selected(o.only)
	return err
}
