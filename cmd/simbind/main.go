package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/simbind/simbind/binding/query"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	e := env{
		args:     os.Args[1:],
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		getenv:   os.Getenv,
		exists:   exists,
		now:      time.Now,
		terminal: isTerminal(os.Stderr),
		dial:     query.Dial,
		host:     thisHost(),
	}
	if isTerminal(os.Stdin) && isTerminal(os.Stdout) {
		e.screen = drawOn
	}
	code := run(ctx, e)
	stop()
	os.Exit(code)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
