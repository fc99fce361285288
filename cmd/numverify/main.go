package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	code := program(ctx, env{args: os.Args[1:], stdout: os.Stdout, stderr: os.Stderr, hangups: hangups})
	stop()
	os.Exit(code)
}
