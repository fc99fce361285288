package query

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These are the system calls without the scheduler's bookkeeping. They are used
// where the call never blocks, and are most of what a request costs. The slices
// are never empty.

func read(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		0, 0, 0)
	return int(n), errno
}

func write(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// poll asks epoll without waiting; it is negative on an error.
func poll(epoll int, events []unix.EpollEvent) int {
	n, _, _ := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)),
		0, 0, 0)
	return int(n)
}
