package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// errNoNamespace reports that this process may not make a network namespace.
var errNoNamespace = errors.New("it needs root, for a network namespace")

// inNamespace calls f on a thread of a new network namespace. Programs that f
// starts are in there too, and sockets that it opens itself, but not what other
// goroutines do for it: those of net/http, for one. The namespace ends with f
// and its programs.
func inNamespace(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("%w: %w", errNoNamespace, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// A link is a pair of interfaces. What is sent on one end arrives at the other.
type link struct{ fd int }

// newLink makes a link whose far end is called far, and opens the near end.
func newLink(ctx context.Context, near, far string) (*link, error) {
	for _, args := range []string{
		"link add " + near + " type veth peer name " + far, "link set " + near + " up", "link set " + far + " up",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	i, err := net.InterfaceByName(near)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &link{fd}, nil
}

// send sends one frame, as soon as the interface takes it.
func (l *link) send(frame []byte) error {
	for {
		if err := unix.Send(l.fd, frame, 0); !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
}

func (l *link) close() error { return unix.Close(l.fd) }
