package query

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// A rawConn is a client that can also misbehave.
type rawConn struct {
	*net.UnixConn
	t testing.TB
	r *bufio.Reader
}

func dialRaw(t testing.TB, path string) *rawConn {
	t.Helper()
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &rawConn{UnixConn: nc, t: t, r: bufio.NewReader(nc)}
}

// send writes lines as inline requests.
func (c *rawConn) send(lines ...string) {
	c.t.Helper()
	if _, err := c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

// next reads one reply.
func (c *rawConn) next() value {
	c.t.Helper()
	v, err := readValue(c.r, maxDepth)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// ask sends a line and returns its reply as flat text.
func (c *rawConn) ask(line string) string {
	c.t.Helper()
	c.send(line)
	return flat(c.next())
}

// ended reports whether the server closes the connection, after what it still
// had to say.
func (c *rawConn) ended() bool {
	for {
		if _, err := readValue(c.r, maxDepth); err != nil {
			netErr, ok := err.(net.Error)
			return !ok || !netErr.Timeout()
		}
	}
}

// flat is a value in one line: the elements of lists by spaces, errors with
// their '-'.
func flat(v value) string {
	switch v.kind {
	case '_':
		return "nil"
	case '-':
		return "-" + v.str
	case '#':
		return v.str
	case '*', '>', '~', '%':
		parts := []string{}
		for _, e := range v.list {
			parts = append(parts, flat(e))
		}
		return string(v.kind) + "[" + strings.Join(parts, " ") + "]"
	}
	return v.str
}

// parsed is the value that b holds.
func parsed(t testing.TB, b []byte) value {
	t.Helper()
	v, err := readValue(bufio.NewReader(bytes.NewReader(b)), maxDepth)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
