package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/simbind/simbind/cmd/simbindd/config"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// defaultConfig is the file of an installed daemon.
const defaultConfig = "/etc/simbind/simbindd.yaml"

const usage = `simbindd learns which SIM holds which IP address, and tells.

Usage:
  simbindd [--config FILE] [--check]   run the daemon; with --check only read the configuration
  simbindd demo [--stay]               show one site with a simulated packet core
  simbindd version                     print the version

Flags:
  --config FILE   the configuration (default ` + defaultConfig + `)
  --check         report what is wrong with the configuration and exit
  --stay          keep the demo running until Ctrl-C

Signals:
  SIGTERM, SIGINT   stop in order; another, a second later, ends the process at once
  SIGHUP            read the configuration again: RADIUS clients, Gx peers, domains, roles, log
                    level; and the export of directory.file

Exit codes: 0 stopped in order, 1 a part failed, 2 wrong command line or configuration.
`

// An env is all that the program touches outside itself, so that tests run the
// whole of it.
type env struct {
	args           []string
	stdout, stderr io.Writer
	hangups        func() <-chan os.Signal
	notify         func(state string) // the service manager
}

// program is the whole of it: it returns the exit code. Canceling ctx stops it
// in order.
func program(ctx context.Context, e env) int {
	command, args := "", e.args
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("simbindd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch command {
	case "":
		file := flags.String("config", defaultConfig, "")
		check := flags.Bool("check", false, "")
		if code, ok := e.parse(flags, args); !ok {
			return code
		}
		return e.daemon(ctx, *file, *check)
	case "demo":
		stay := flags.Bool("stay", false, "")
		if code, ok := e.parse(flags, args); !ok {
			return code
		}
		return e.demo(ctx, *stay)
	case "version":
		if code, ok := e.parse(flags, args); !ok {
			return code
		}
		fmt.Fprintf(e.stdout, "simbindd %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitOK
	case "help":
		fmt.Fprint(e.stdout, usage)
		return exitOK
	}
	return e.misused(fmt.Errorf("unknown command %q", command))
}

// parse reads the flags; if it is not ok, the program ends with the code.
func (e env) parse(flags *flag.FlagSet, args []string) (code int, ok bool) {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(e.stdout, usage)
		return exitOK, false
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return e.misused(err), false
	}
	return exitOK, true
}

func (e env) misused(err error) int {
	fmt.Fprintf(e.stderr, "simbindd: %v\nTry: simbindd --help\n", err)
	return exitUsage
}

// daemon runs, or with check only reads the configuration.
func (e env) daemon(ctx context.Context, file string, check bool) int {
	cfg, err := config.Load(file)
	if err != nil {
		fmt.Fprintln(e.stderr, err)
		return exitUsage
	}
	if check {
		for _, w := range cfg.Warnings {
			fmt.Fprintf(e.stdout, "%s: warning: %s\n", file, w)
		}
		fmt.Fprintf(e.stdout, "%s: ok\n", file)
		return exitOK
	}
	logs := newLogs(e.stderr, cfg.Log)
	if err := run(ctx, life{file: file, cfg: cfg, logs: logs, hangups: e.hangups(), notify: e.notify}); err != nil {
		logs.Error("simbindd failed", "err", err)
		return exitFailed
	}
	return exitOK
}

// version is the version of this program, "(devel)" for one from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
