package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once; but not one that comes with the
	// first, as from a supervisor that signals process and group.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	code := program(ctx, env{
		args:    os.Args[1:],
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		hangups: hangups,
		notify:  newNotifier(os.Getenv("NOTIFY_SOCKET")).send,
	})
	os.Exit(code)
}

// hangups takes SIGHUP over from its default, which is to end the process.
func hangups() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}
