package query

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxPath    = 107 // bytes of sun_path, without its end
	socketMode = 0o660
	dirMode    = 0o750
	backlog    = 511

	lockTries = 100
	lockPause = 20 * time.Millisecond
)

// A listener is a listening Unix socket and the file that stands for it.
type listener struct {
	fd   int
	path string
	dev  uint64
	ino  uint64
}

// listen makes the socket. It refuses a file that is no socket and a socket
// that somebody answers, and replaces one that nobody does.
func listen(path string) (*listener, error) {
	if len(path) == 0 || len(path) > maxPath || path[0] == '@' {
		return nil, fmt.Errorf("socket %q: a path has 1 to %d bytes and does not start with '@'", path, maxPath)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := clearStale(path); err != nil {
		return nil, err
	}
	return bind(path)
}

// lockDir keeps other daemons from the same steps in the same directory, so
// that none removes the socket that another has just made.
func lockDir(dir string) (unlock func(), err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	for range lockTries {
		if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return func() { unix.Close(fd) }, nil
		}
		time.Sleep(lockPause)
	}
	unix.Close(fd)
	return nil, fmt.Errorf("lock %s, so that no other daemon makes a socket in it at the same time: %w", dir, err)
}

func clearStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the socket's path: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s exists and is not a socket: move it away or choose another query.socket", path)
	}
	fd, err := unixSocket()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove the stale socket: %w", err)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil || errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("another process answers at %s: stop it or choose another query.socket", path)
	}
	return fmt.Errorf("%s exists and cannot be tried: %w", path, err)
}

func unixSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make a socket: %w", err)
	}
	return fd, nil
}

// bind makes the file with its final mode before anybody can connect: between
// bind and listen every dial is refused.
func bind(path string) (*listener, error) {
	fd, err := unixSocket()
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make the socket %s: %w", path, err)
	}
	ln := &listener{fd: fd, path: path}
	var st unix.Stat_t
	err = unix.Lstat(path, &st)
	if err == nil {
		ln.dev, ln.ino = uint64(st.Dev), st.Ino
		err = unix.Chmod(path, socketMode)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		ln.close()
		return nil, fmt.Errorf("open the socket %s: %w", path, err)
	}
	return ln, nil
}

// close stops listening and removes the file if it is still ours.
func (ln *listener) close() {
	unlock, err := lockDir(filepath.Dir(ln.path))
	if err == nil {
		defer unlock()
	}
	var st unix.Stat_t
	if unix.Lstat(ln.path, &st) == nil && uint64(st.Dev) == ln.dev && st.Ino == ln.ino {
		os.Remove(ln.path)
	}
	unix.Close(ln.fd)
}

// peerOf asks the kernel who is at the other end: the ids that the process had
// when it connected, its supplementary groups included.
func peerOf(fd int) (peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return peer{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	p := peer{uid: cred.Uid, gid: cred.Gid, pid: cred.Pid}
	p.groups, err = peerGroups(fd)
	return p, err
}

func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		n := int(size / 4)
		switch {
		case errno == 0:
			return groups[:min(n, len(groups))], nil
		case errno == unix.ERANGE && n > len(groups) && n <= maxGroups:
			groups = make([]uint32, n)
		case errno == unix.ENOPROTOOPT || errno == unix.ENODATA: // before Linux 4.13; a peer without any
			return nil, nil
		default:
			return nil, fmt.Errorf("SO_PEERGROUPS: %w", errno)
		}
	}
}
