package query

import (
	"errors"

	"golang.org/x/sys/unix"
)

// This file is the life of a connection on the loop: accepted, read, executed,
// written, dropped.

const acceptBatch = 64

func (l *loop) accept() {
	for range acceptBatch {
		fd, _, err := unix.Accept4(l.ln, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			l.welcome(fd)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EAGAIN):
			return
		default: // out of file descriptors or memory: try again at the next tick
			l.s.log.Warn("cannot accept a connection", "err", err)
			l.control(unix.EPOLL_CTL_DEL, l.ln, 0)
			l.deaf = true
			return
		}
	}
}

func (l *loop) welcome(fd int) {
	if l.s.open.Load() >= int64(l.s.cfg.MaxConns) {
		l.s.closed[closedFull].Add(1)
		write(fd, []byte("-ERR too many connections: close idle ones or raise query.max_connections\r\n"))
		unix.Close(fd)
		return
	}
	who, err := l.s.peerOf(fd)
	if err == nil {
		err = l.control(unix.EPOLL_CTL_ADD, fd, reading)
	}
	if err != nil {
		l.s.log.Debug("connection refused", "err", err)
		l.s.closed[closedUnknown].Add(1)
		unix.Close(fd)
		return
	}
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.lastID++
	l.conns[fd] = &conn{fd: fd, id: l.lastID, peer: who, interest: reading, heard: l.now}
	l.s.accepted.Add(1)
	l.s.open.Add(1)
}

// readable reads once, and executes what is complete.
func (l *loop) readable(c *conn) {
	kept := copy(l.read, c.in)
	n, errno := read(c.fd, l.read[kept:kept+readChunk])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case n <= 0: // the peer sends no more; what it asked is answered
		l.drop(c, closedByPeer)
	default:
		c.heard = l.now
		l.execute(c, l.read[:kept+n])
	}
}

// execute answers the requests in data one after the other until one needs a
// worker, the peer does not take its replies, or the rest is incomplete.
func (l *loop) execute(c *conn, data []byte) {
	fresh := len(c.in) == 0 // what may be left incomplete began just now
	c.waiting = true
	for !c.busy && !c.closing {
		args, rest, complete, err := nextRequest(data, l.args)
		if err != nil {
			c.out.refuse(refusedERR, "protocol: "+err.Error())
			l.s.countRefusal(&c.out)
			c.closing, c.why = true, closedProtocol
		}
		if !complete {
			c.waiting = false
			break
		}
		data, fresh = rest, true
		if len(args) == 0 {
			continue
		}
		if cmd := l.s.dispatch(c, args); cmd != nil {
			l.hand(c, cmd, args)
		}
		if len(c.out.b) >= flushAt && !l.write(c) {
			break
		}
	}
	if fresh {
		c.partial = l.now
	}
	if c.closing {
		data = nil
	}
	c.keepIn(data)
	l.flushLater(c)
}

// flushLater has the output written after the events at hand: by then more of
// it may have come together, and the peers that it wakes find their replies
// in fewer turns.
func (l *loop) flushLater(c *conn) {
	if !c.due {
		c.due = true
		l.due = append(l.due, c)
	}
}

func (l *loop) flushDue() {
	for i := 0; i < len(l.due); i++ { // flush may add to it
		l.due[i].due = false
		l.flush(l.due[i])
		l.due[i] = nil
	}
	l.due = l.due[:0]
}

// flush writes, and goes on with the requests that waited for it.
func (l *loop) flush(c *conn) {
	switch {
	case c.gone:
	case len(c.out.b) > 0 && !l.write(c):
		l.watchFor(c)
	case c.waiting && len(c.in) > 0 && !c.busy && !c.closing:
		l.execute(c, c.in)
	default:
		if c.watch != nil {
			c.watch.more()
		}
		l.watchFor(c)
	}
}

// write sends the output and keeps what the peer did not take. It reports
// whether the peer took all.
func (l *loop) write(c *conn) bool {
	n, errno := write(c.fd, c.out.b)
	if n > 0 {
		c.taken = l.now
		c.keepOut(c.out.b[n:])
	}
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		c.keepOut(nil)
		c.in, c.closing, c.why = nil, true, closedByPeer
	}
	return len(c.out.b) == 0
}

// watchFor tells epoll what the connection waits for: to be written, or else
// for a request, or else for a worker.
func (l *loop) watchFor(c *conn) {
	var interest uint32
	switch {
	case len(c.out.b) > 0:
		interest = writing
	case c.closing && !c.busy:
		l.drop(c, c.why)
		return
	case !c.busy && !l.stopping:
		interest = reading
	}
	if interest == c.interest || c.gone {
		return
	}
	c.interest = interest
	if interest == writing {
		c.taken = l.now
	}
	if err := l.control(unix.EPOLL_CTL_MOD, c.fd, interest); err != nil {
		l.drop(c, closedByPeer)
	}
}

// send adds bytes to the output.
func (l *loop) send(c *conn, b []byte) {
	if c.gone {
		return
	}
	c.addOut(b)
	l.flushLater(c)
}

// farewell sends an error as the last thing.
func (l *loop) farewell(c *conn, code refusal, text string, why closing) {
	if c.gone {
		return
	}
	c.out.refuse(code, text)
	l.s.countRefusal(&c.out)
	c.in, c.closing, c.why = nil, true, why
	l.flushLater(c)
}

// drop closes a connection.
func (l *loop) drop(c *conn, why closing) {
	if c.gone {
		return
	}
	c.gone = true
	l.conns[c.fd] = nil
	l.control(unix.EPOLL_CTL_DEL, c.fd, 0)
	l.dead = append(l.dead, c.fd)
	l.s.open.Add(-1)
	l.s.closed[why].Add(1)
	if c.watch != nil {
		c.watch.stop()
	}
}

func (l *loop) reap() {
	for _, fd := range l.dead {
		unix.Close(fd)
	}
	l.dead = l.dead[:0]
}
