package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// thisHost reads the machine that the program runs on.
func thisHost() host {
	return host{
		root: os.DirFS("/"),
		mode: func(socket string) (fs.FileMode, error) {
			info, err := os.Stat(socket)
			if err != nil {
				return 0, err
			}
			return info.Mode(), nil
		},
		pid:   peerPID,
		clock: clockState,
		disk:  diskSpace,
	}
}

// peerPID asks the kernel which process serves a socket.
func peerPID(socket string) (int, error) {
	conn, err := net.DialTimeout("unix", socket, askTimeout)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, fmt.Errorf("SO_PEERCRED: %w", credErr)
	}
	if cred.Pid == 0 {
		return 0, fmt.Errorf("%s is served from another PID namespace", socket)
	}
	return int(cred.Pid), nil
}

// clockState reads the kernel's clock discipline (adjtimex).
func clockState() (synchronised bool, maxError time.Duration, err error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, 0, fmt.Errorf("adjtimex: %w", err)
	}
	return state != unix.TIME_ERROR, time.Duration(t.Maxerror) * time.Microsecond, nil
}

func diskSpace(dir string) (free, size uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}
