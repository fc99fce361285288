package main

import (
	"context"
	"runtime/debug"

	"github.com/simbind/simbind/binding/query"
)

// Where the daemon's socket is looked for: as installed, and as in a checkout.
const (
	systemSocket = "/run/simbind/simbind.sock"
	localSocket  = "./simbind.sock"
)

func (c *cli) defaultSocket() string {
	if path := c.getenv("SIMBIND_SOCKET"); path != "" {
		return path
	}
	if !c.exists(systemSocket) && c.exists(localSocket) {
		return localSocket
	}
	return systemSocket
}

// ask dials the daemon, asks by f and hangs up, all within askTimeout.
func (c *cli) ask(ctx context.Context, f func(context.Context, *query.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, err := c.dial(ctx, c.socket)
	if err != nil {
		return err
	}
	defer client.Close()
	return f(ctx, client)
}

// version is the version of this program, "(devel)" for one from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
