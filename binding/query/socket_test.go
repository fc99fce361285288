package query

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// stale leaves a socket file behind that nobody answers.
func stale(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func TestSocketFile(t *testing.T) {
	runs := func(t *testing.T, path string) (*Server, func()) {
		t.Helper()
		s := NewServer(Config{Socket: path, Priority: "normal"}, newFake(1), discard())
		return s, run(t, s)
	}
	refused := func(t *testing.T, path, want string) {
		t.Helper()
		err := NewServer(Config{Socket: path, Priority: "normal"}, newFake(1), discard()).Run(context.Background())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}

	t.Run("the directory is made for the owner and the group", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "run", "s")
		runs(t, path)
		dir, err := os.Stat(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		socket, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if dir.Mode().Perm()&^0o750 != 0 || socket.Mode().Perm() != 0o660 {
			t.Errorf("directory %v, socket %v", dir.Mode(), socket.Mode())
		}
	})

	t.Run("a stale socket is replaced", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		stale(t, path)
		runs(t, path)
		if got := dialRaw(t, path).ask("PING"); got != "PONG" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("a socket that somebody answers is refused and left alone", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		runs(t, path)
		refused(t, path, "another process answers at "+path)
		if got := dialRaw(t, path).ask("PING"); got != "PONG" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("a file that is no socket is refused and left alone", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "is not a socket")
		if b, _ := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("the file holds %q", b)
		}
	})

	t.Run("a link to a socket is refused", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		stale(t, path+"2")
		if err := os.Symlink(path+"2", path); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "is not a socket")
	})

	t.Run("a path that is too long is refused", func(t *testing.T) {
		refused(t, filepath.Join(shortDir(t), strings.Repeat("x", 108)), "1 to 107 bytes")
	})

	t.Run("an abstract name is refused", func(t *testing.T) { refused(t, "@simbind", "does not start with '@'") })

	t.Run("the socket is removed at shutdown", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		_, stop := runs(t, path)
		stop()
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("lstat says %v", err)
		}
	})

	t.Run("a socket that another one put in its place stays", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		_, stop := runs(t, path)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		runs(t, path)
		stop()
		if got := dialRaw(t, path).ask("PING"); got != "PONG" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("of two that start at the same time on a stale socket one wins", func(t *testing.T) {
		path := filepath.Join(shortDir(t), "s")
		stale(t, path)
		results := make(chan error, 2)
		for range 2 {
			go func() {
				ln, err := listen(path)
				if err == nil {
					t.Cleanup(ln.close)
				}
				results <- err
			}()
		}
		first, second := <-results, <-results
		if (first == nil) == (second == nil) {
			t.Errorf("got %v and %v", first, second)
		}
	})
}

func TestTheKernelTellsWhoAsks(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	got, err := peerOf(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	if int(got.uid) != os.Geteuid() || int(got.gid) != os.Getegid() || int(got.pid) != os.Getpid() {
		t.Errorf("got %+v", got)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.groups) != len(groups) {
		t.Errorf("groups %v, the process has %v", got.groups, groups)
	}
}
