package bpf

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace runs a test in a network namespace of its own: it starts the test
// program anew for this one test, in there, and returns false; in there it
// returns true. Without the right to, the test is skipped, or fails where CI
// must have it.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const inside = "SIMBIND_TEST_NAMESPACE"
	if os.Getenv(inside) == t.Name() {
		ip(t, "link", "set", "lo", "up")
		return true
	}
	needsKernel(t, Config{})
	if _, err := exec.LookPath("ip"); err != nil {
		if os.Getenv("SIMBIND_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.EPERM) && os.Getenv("SIMBIND_CI") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case testing.Verbose():
		t.Logf("in its namespace:\n%s", out)
	}
	return false
}

func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// veth makes a pair of interfaces. The kernel sends nothing of its own on them.
func veth(t testing.TB, one, other string) {
	t.Helper()
	ip(t, "link", "add", one, "type", "veth", "peer", "name", other)
	for _, name := range []string{one, other} {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Log(err)
		}
		ip(t, "link", "set", name, "up")
	}
}

// A wireEnd sends frames as they are.
type wireEnd struct {
	t  testing.TB
	fd int
}

func openWire(t testing.TB, name string) *wireEnd {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
	return &wireEnd{t, fd}
}

func (w *wireEnd) send(f frame) {
	w.t.Helper()
	for {
		err := unix.Send(w.fd, f, 0)
		if errors.Is(err, unix.ENOBUFS) {
			continue
		}
		if err != nil {
			w.t.Fatalf("send %d octets: %v", len(f), err)
		}
		return
	}
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !true() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within 20 s", what)
		case <-tick.C:
		}
	}
}

// A list of what was said, by several goroutines.
type said[T any] struct {
	mu   sync.Mutex
	list []T
}

func (s *said[T]) add(v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, v)
}

func (s *said[T]) all() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]T(nil), s.list...)
}
