package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/tidwall/redcon"
)

// A clientConn is one connection, used by one goroutine at a time.
type clientConn struct {
	net.Conn
	r   *bufio.Reader
	buf []byte
}

// dialConn connects and switches to RESP3.
func dialConn(ctx context.Context, path string) (*clientConn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	nc, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, dialError(path, err)
	}
	c := &clientConn{Conn: nc, r: bufio.NewReader(nc)}
	v, err := c.roundTrip(ctx, []string{"HELLO", "3"})
	if err == nil && v.kind == '-' {
		err = v.replyError()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %s does not answer as simbindd: %w", ErrUnreachable, path, err)
	}
	return c, nil
}

// dialError says what an operator should do next.
func dialError(path string, err error) error {
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no socket %s: start simbindd, or name the socket of its configuration (query.socket)", ErrUnreachable, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: no permission to open %s: ask as its owner or as a member of its group (ls -l %s)", ErrUnreachable, path, path)
	case statErr == nil && info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%w: %s is not a socket: name the socket of simbindd's configuration (query.socket)", ErrUnreachable, path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at %s: simbindd is not running, it left the file behind; start it and it replaces the file", ErrUnreachable, path)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// roundTrip sends one request and reads its reply. After an error the
// connection is of no more use.
func (c *clientConn) roundTrip(ctx context.Context, args []string) (value, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(askTimeout)
	}
	c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	v, err := c.exchange(args)
	if !stop() && err == nil {
		return v, ctx.Err() // the deadline of the past stays: do not use it again
	}
	return v, err
}

func (c *clientConn) exchange(args []string) (value, error) {
	c.buf = redcon.AppendArray(c.buf[:0], len(args))
	for _, a := range args {
		c.buf = redcon.AppendBulkString(c.buf, a)
	}
	if _, err := c.Write(c.buf); err != nil {
		return value{}, err
	}
	return readValue(c.r, maxDepth)
}

// changes passes pushed changes on until ctx ends (nil) or the connection does.
func (c *clientConn) changes(ctx context.Context, to chan<- ChangeReply) error {
	c.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	for {
		v, err := readValue(c.r, maxDepth)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: the connection ended: %w", ErrUnreachable, err)
		}
		if v.kind == '-' {
			return v.replyError()
		}
		if v.kind != '>' || len(v.list) != 2 || v.list[0].str != "change" {
			return errReply("WATCH")
		}
		select {
		case to <- v.list[1].change():
		case <-ctx.Done():
			return nil
		}
	}
}
