package main

import (
	"bytes"
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A replyReader finds the end of replies to VERIFY (an array of two words and
// two numbers) or GET (a word or nil) in a stream, and whether they are good:
// a match, a value. An error reply is not good.
type replyReader struct {
	verify bool
	line   int // of the reply
	part   []byte
	good   bool
}

var errReply = errors.New("a reply of another shape")

// next reads up to the end of a line. It reports whether a reply is complete.
func (r *replyReader) next(data []byte) (complete, good bool, rest []byte, err error) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		r.part = append(r.part, data...)
		return false, false, nil, nil
	}
	line := data[:end+1]
	if len(r.part) > 0 {
		r.part = append(r.part, line...)
		line = r.part
	}
	complete, err = r.take(line)
	r.part = r.part[:0]
	if complete {
		r.line = 0
	}
	return complete, r.good, data[end+1:], err
}

// verifyLines are the lines of *4 $5 match $5 bound :age :version.
const verifyLines = 7

func (r *replyReader) take(line []byte) (complete bool, err error) {
	r.line++
	switch {
	case len(line) < 3:
		return false, errReply
	case r.line == 1 && line[0] == '-':
		r.good = false
		return true, nil
	case r.line == 1 && r.verify:
		if line[0] != '*' {
			return false, errReply
		}
	case r.line == 1:
		if line[0] != '$' {
			return false, errReply
		}
		r.good = line[1] != '-'
		return !r.good, nil
	case r.verify && r.line == 3:
		r.good = string(line) == "match\r\n"
	}
	return r.line == verifyLines || !r.verify && r.line == 2, nil
}

// epollWait waits in steps of nanoseconds (epoll_pwait2, Linux 5.11). EINTR is
// an early return.
func epollWait(epoll int, events []unix.EpollEvent, limit time.Duration) (int, error) {
	ts := unix.NsecToTimespec(limit.Nanoseconds())
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}
