package query

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A loop serves every connection of a server from one thread.
type loop struct {
	s *Server

	// Set by newLoop, then read-only.
	epoll, wake, timer, ln int
	jobs                   chan job
	distant                chan job // for other sites

	// Owned by run.
	conns    []*conn // by file descriptor
	lastID   uint64
	read     []byte // what one read brings, after what a connection kept
	args     [][]byte
	due      []*conn // to be written after the events at hand
	dead     []int   // to be closed after the events at hand: a reused number must not meet an old event
	now      int64   // whole seconds since the start
	deaf     bool    // not accepting: out of file descriptors
	stopping bool
	pace     pacer
	deadline int64 // of the shutdown

	// Work for run from other goroutines.
	mu     sync.Mutex
	posts  []func()
	ended  bool
	taking []func() // run's spare for posts

	watchers sync.WaitGroup
}

const (
	reading = unix.EPOLLIN | unix.EPOLLRDHUP
	writing = unix.EPOLLOUT
)

func newLoop(s *Server, ln int) (_ *loop, err error) {
	l := &loop{
		s: s, epoll: -1, wake: -1, timer: -1, ln: ln,
		jobs: make(chan job, s.cfg.MaxConns), distant: make(chan job, s.cfg.MaxConns),
		read: make([]byte, maxRequest+64+readChunk),
		pace: pacer{patience: 1},
		args: make([][]byte, 0, maxArgs),
	}
	defer func() {
		if err != nil {
			l.closeOwn()
		}
	}()
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	every := unix.NsecToTimespec(s.second.Nanoseconds())
	if err := unix.TimerfdSettime(l.timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	for _, fd := range []int{l.ln, l.wake, l.timer} {
		if err := l.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			return nil, fmt.Errorf("epoll: %w", err)
		}
	}
	return l, nil
}

func (l *loop) control(op, fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (l *loop) closeOwn() {
	for _, fd := range []int{l.epoll, l.wake, l.timer} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// run serves until the shutdown is complete. It never unlocks its thread, so
// that a priority ends with it.
func (l *loop) run() error {
	runtime.LockOSThread()
	defer l.dropAll()
	if l.s.cfg.Priority != "normal" {
		l.pace.may = runtime.NumCPU() > 1
		got, err := raise()
		l.s.high.Store(err == nil)
		l.s.log.Debug("priority of the query loop", "got", got, "err", err)
	}
	events := make([]unix.EpollEvent, 256)
	for !l.done() {
		n, err := l.wait(events)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		for i := range max(n, 0) {
			l.event(int(events[i].Fd), events[i].Events)
		}
		l.flushDue()
		l.reap()
	}
	return nil
}

func (l *loop) event(fd int, events uint32) {
	switch fd {
	case l.ln:
		l.accept()
	case l.wake:
		l.take()
	case l.timer:
		l.tick()
	default:
		if c := l.conns[fd]; c != nil {
			l.served(c, events)
		}
	}
}

// served does what epoll says can be done for a connection. A hang-up is found
// by reading, or, while nothing may be read, ends the connection at once.
func (l *loop) served(c *conn, events uint32) {
	switch {
	case events&writing != 0:
		l.flush(c)
	case events&unix.EPOLLIN != 0 && c.interest&unix.EPOLLIN != 0:
		l.readable(c)
	case events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
		l.drop(c, closedByPeer)
	case c.interest&unix.EPOLLIN != 0: // the peer sends no more
		l.readable(c)
	}
}

// post has f run on the loop. After the loop's end it does nothing.
func (l *loop) post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.posts = append(l.posts, f)
	if len(l.posts) == 1 {
		one := [8]byte{1}
		unix.Write(l.wake, one[:]) // fails only if it is awake already
	}
}

// take runs what was posted.
func (l *loop) take() {
	var count [8]byte
	unix.Read(l.wake, count[:])
	l.mu.Lock()
	l.posts, l.taking = l.taking[:0], l.posts
	l.mu.Unlock()
	for i, f := range l.taking {
		f()
		l.taking[i] = nil
	}
}

// stop begins the shutdown: what was asked is answered, nothing new is read.
func (l *loop) stop() {
	l.stopping = true
	l.deadline = l.now + int64(drainTimeout/time.Second)
	l.control(unix.EPOLL_CTL_DEL, l.ln, 0)
	for _, c := range l.conns {
		if c == nil {
			continue
		}
		c.in = nil
		if c.busy || len(c.out.b) > 0 {
			c.closing, c.why = true, closedAtShutdown
			l.watchFor(c)
			continue
		}
		l.drop(c, closedAtShutdown)
	}
}

// done reports whether the shutdown is complete or has taken too long.
func (l *loop) done() bool {
	return l.stopping && (l.s.open.Load() == 0 || l.now >= l.deadline)
}

func (l *loop) dropAll() {
	for _, c := range l.conns {
		if c != nil {
			l.drop(c, closedAtShutdown)
		}
	}
	l.reap()
}

// end waits for everyone who works for the loop, after run.
func (l *loop) end(workers *sync.WaitGroup) {
	close(l.jobs)
	close(l.distant)
	workers.Wait()
	l.take()
	l.watchers.Wait()
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.closeOwn()
}

// tick reads the clock and closes the connections whose time is over.
func (l *loop) tick() {
	var count [8]byte
	unix.Read(l.timer, count[:])
	l.now++
	if l.deaf {
		l.deaf = l.control(unix.EPOLL_CTL_ADD, l.ln, unix.EPOLLIN) != nil
	}
	for _, c := range l.conns {
		if c != nil {
			l.checkTime(c)
		}
	}
}

func (l *loop) checkTime(c *conn) {
	over := func(since int64, limit time.Duration) bool {
		return limit > 0 && time.Duration(l.now-since)*time.Second > limit
	}
	switch {
	case c.due: // it is being served in this very turn
	case c.interest == writing:
		if over(c.taken, stallTimeout) {
			l.drop(c, closedStalled)
		}
	case c.busy:
	case c.watch != nil && c.role(l.s) < roleRead:
		l.farewell(c, refusedNOPERM, "the role to watch was taken away", closedForbidden)
	case len(c.in) > 0:
		if over(c.partial, stallTimeout) {
			l.drop(c, closedStalled)
		}
	case c.watch == nil && over(c.heard, l.s.cfg.IdleTimeout):
		l.drop(c, closedIdle)
	}
}
