package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime/debug"

	"github.com/go-jose/go-jose/v4"

	"github.com/simbind/simbind/numverify"
	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/consumer"
	"github.com/simbind/simbind/numverify/sampleapp"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const defaultConfig = "/etc/simbind/numverify.yaml"

const usage = `numverify answers apps: is this number the one of the SIM behind this connection?

Usage:
  numverify [--config FILE] [--check]   run the service; with --check only read the configuration
  numverify keys FILE                   put a new signing key first in FILE, which is made if it is not there
  numverify client-key FILE             make the key of a client in FILE, and print its public half
  numverify sample-app FLAGS            run a small app that uses the service
  numverify version                     print the version

Flags of sample-app:
  --listen HOST:PORT   where it listens (default 127.0.0.1:8080)
  --base URL           how browsers and phones reach it (default http:// and the address)
  --name NAME          who asks, as people see it (default "Sample app")
  --issuer URL         the service
  --client-id ID       the app's, as agreed with the service
  --key FILE           the app's private key, of client-key
  --purpose PURPOSE    (default dpv:FraudPreventionAndDetection)

Signals:
  SIGTERM, SIGINT   let requests finish and end
  SIGHUP            read clients, keys and certificates again, open the audit file again

Exit codes: 0 stopped in order, 1 failed, 2 wrong command line or configuration.
`

// An env is all that the program touches outside itself.
type env struct {
	args           []string
	stdout, stderr io.Writer
	hangups        <-chan os.Signal
}

// program is the whole of it: it returns the exit code.
func program(ctx context.Context, e env) int {
	command, args := "", e.args
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("numverify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var err error
	switch command {
	case "":
		file, check := flags.String("config", defaultConfig, ""), flags.Bool("check", false, "")
		if code, done := e.parse(flags, args, 0); done {
			return code
		}
		return e.serve(ctx, *file, *check)
	case "keys", "client-key":
		if code, done := e.parse(flags, args, 1); done {
			return code
		}
		if command == "keys" {
			err = e.addKey(flags.Arg(0))
		} else {
			err = e.clientKey(flags.Arg(0))
		}
	case "sample-app":
		var a app
		a.define(flags)
		if code, done := e.parse(flags, args, 0); done {
			return code
		}
		err = a.run(ctx, e)
	case "version":
		fmt.Fprintln(e.stdout, "numverify", version())
	case "help":
		fmt.Fprint(e.stdout, usage)
	default:
		return e.misused(fmt.Errorf("unknown command %q", command))
	}
	if err != nil {
		fmt.Fprintln(e.stderr, "numverify:", err)
		return exitFailed
	}
	return exitOK
}

// parse is done if there is nothing more to do.
func (e env) parse(flags *flag.FlagSet, args []string, operands int) (code int, done bool) {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(e.stdout, usage)
		return exitOK, true
	case err == nil && flags.NArg() != operands:
		err = fmt.Errorf("%d operands, want %d", flags.NArg(), operands)
	}
	if err != nil {
		return e.misused(err), true
	}
	return 0, false
}

func (e env) misused(err error) int {
	fmt.Fprintf(e.stderr, "numverify: %v\nTry: numverify help\n", err)
	return exitUsage
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

func (e env) serve(ctx context.Context, file string, check bool) int {
	cfg, level, err := load(file)
	if err != nil {
		fmt.Fprintln(e.stderr, "numverify:", err)
		return exitUsage
	}
	if check {
		fmt.Fprintf(e.stdout, "%s: ok\n", file)
		return exitOK
	}
	service := numverify.New(cfg, slog.New(slog.NewJSONHandler(e.stderr, &slog.HandlerOptions{Level: level})))
	go func() {
		for {
			select {
			case <-e.hangups:
				service.Reload()
			case <-ctx.Done():
				return
			}
		}
	}()
	if err := service.Run(ctx); err != nil {
		fmt.Fprintln(e.stderr, "numverify:", err)
		return exitFailed
	}
	return exitOK
}

// addKey puts a new key first: it signs from the next reload on, and what
// earlier ones signed can still be checked.
func (e env) addKey(file string) error {
	var set jose.JSONWebKeySet
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &set)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	key, err := authz.NewKey()
	if err != nil {
		return err
	}
	set.Keys = append([]jose.JSONWebKey{key}, set.Keys...)
	fmt.Fprintf(e.stdout, "%s: key %s signs now; %d in all\n", file, key.KeyID, len(set.Keys))
	return writeKeys(file, set)
}

// writeKeys replaces the file as a whole.
func writeKeys(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	fresh := file + ".new"
	if err := os.WriteFile(fresh, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, file)
}

func (e env) clientKey(file string) error {
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("%s is there already", file)
	}
	key, err := authz.NewKey()
	if err != nil {
		return err
	}
	if err := writeKeys(file, key); err != nil {
		return err
	}
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
}

// An app is the command line of sample-app.
type app struct{ listen, base, name, issuer, clientID, key, purpose string }

func (a *app) define(flags *flag.FlagSet) {
	flags.StringVar(&a.listen, "listen", "127.0.0.1:8080", "")
	flags.StringVar(&a.base, "base", "", "")
	flags.StringVar(&a.name, "name", "Sample app", "")
	flags.StringVar(&a.issuer, "issuer", "", "")
	flags.StringVar(&a.clientID, "client-id", "", "")
	flags.StringVar(&a.key, "key", "", "")
	flags.StringVar(&a.purpose, "purpose", "dpv:FraudPreventionAndDetection", "")
}

func (a *app) run(ctx context.Context, e env) error {
	if a.issuer == "" || a.clientID == "" || a.key == "" {
		return errors.New("sample-app needs --issuer, --client-id and --key")
	}
	issuer, err := url.Parse(a.issuer)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(a.key)
	if err != nil {
		return err
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal(text, &key); err != nil {
		return fmt.Errorf("%s: %w", a.key, err)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	if a.base == "" {
		a.base = "http://" + ln.Addr().String()
	}
	handler, err := sampleapp.New(sampleapp.Config{
		Name: a.name, Base: a.base, Issuer: issuer.Scheme + "://" + issuer.Host,
		Operator: consumer.New(consumer.Config{
			Issuer: a.issuer, ClientID: a.clientID, RedirectURL: a.base + "/callback", Key: key, Purpose: a.purpose,
		}),
	}, slog.New(slog.NewTextHandler(e.stderr, nil)))
	if err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, "sample app:", a.base)
	return handler.Serve(ctx, ln)
}
