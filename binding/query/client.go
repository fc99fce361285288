package query

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrUnreachable is wrapped by every error that means that the daemon could
// not be asked, as opposed to an answer that says no.
var ErrUnreachable = errors.New("daemon unreachable")

// A ReplyError is the daemon's refusal of a request.
type ReplyError struct {
	Code string // ERR, NOPERM, LOADING, BADADDR, BADNUM
	Text string // what to do about it
}

func (e *ReplyError) Error() string { return e.Code + " " + e.Text }

const (
	clientConns = 64               // open at the same time, watches aside
	clientIdle  = 16               // kept for the next request
	dialTimeout = 3 * time.Second  // without a deadline of the caller
	askTimeout  = 30 * time.Second // without a deadline of the caller

	repeatable, onlyOnce = false, true
)

// A Client asks the daemon. It is safe for concurrent use: requests that are
// made at the same time go over connections of their own, at most 64, and a
// request finds its way again after a restart of the daemon.
type Client struct {
	path  string
	slots chan struct{}

	mu       sync.Mutex
	idle     []*clientConn
	closed   bool
	watchErr error
}

// Dial connects to the daemon's socket. Its errors wrap ErrUnreachable and tell
// an operator what to do next.
func Dial(ctx context.Context, socket string) (*Client, error) {
	c := &Client{path: socket, slots: make(chan struct{}, clientConns)}
	conn, err := dialConn(ctx, socket)
	if err != nil {
		return nil, err
	}
	c.put(conn)
	return c, nil
}

// Close closes the connections that are not in use; those in use follow when
// their request is done.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.idle {
		conn.Close()
	}
	c.idle = nil
	return nil
}

// Err is why the last Watch ended: nil while it runs or after its context
// ended.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watchErr
}

// get takes a connection that is kept, or makes one.
func (c *Client) get(ctx context.Context, fresh bool) (conn *clientConn, reused bool, err error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, false, fmt.Errorf("%w: client is closed: %w", ErrUnreachable, net.ErrClosed)
	}
	if n := len(c.idle); n > 0 && !fresh {
		conn, c.idle = c.idle[n-1], c.idle[:n-1]
		c.mu.Unlock()
		return conn, true, nil
	}
	c.mu.Unlock()
	conn, err = dialConn(ctx, c.path)
	return conn, false, err
}

func (c *Client) put(conn *clientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= clientIdle {
		conn.Close()
		return
	}
	c.idle = append(c.idle, conn)
}

// ask sends one request and reads its reply. It tries again if a connection
// that was kept turns out to be dead (the daemon was restarted). A request that
// must not be sent twice goes over a fresh one.
func (c *Client) ask(ctx context.Context, once bool, args ...string) (value, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return value{}, ctx.Err()
	}
	for {
		conn, reused, err := c.get(ctx, once)
		if err != nil {
			return value{}, err
		}
		v, err := conn.roundTrip(ctx, args)
		if err == nil {
			c.put(conn)
			if v.kind == '-' {
				return value{}, v.replyError()
			}
			return v, nil
		}
		conn.Close()
		if ctx.Err() != nil {
			return value{}, ctx.Err()
		}
		if !reused {
			return value{}, fmt.Errorf("%w: %s broke off: %w", ErrUnreachable, c.path, err)
		}
	}
}

// An Option narrows a question.
type Option func(*options)

type options struct {
	port   uint16
	domain string
	at     time.Time
}

// Port is the source port seen from outside, for an address shared by many.
func Port(p uint16) Option { return func(o *options) { o.port = p } }

// Domain is the address domain, where private pools overlap.
func Domain(name string) Option { return func(o *options) { o.domain = name } }

// At asks who held the address at a time, for Lookup.
func At(t time.Time) Option { return func(o *options) { o.at = t } }

func withOptions(args []string, opt []Option) []string {
	var o options
	for _, f := range opt {
		f(&o)
	}
	if o.port != 0 {
		args = append(args, "PORT", strconv.Itoa(int(o.port)))
	}
	if o.domain != "" {
		args = append(args, "DOMAIN", o.domain)
	}
	if !o.at.IsZero() {
		args = append(args, "AT", o.at.UTC().Format(time.RFC3339Nano))
	}
	return args
}

// Verify asks whether number ("+E164" or the SHA-256 of it in hexadecimal) is
// the number of the SIM behind addr. Options: Port, Domain.
func (c *Client) Verify(ctx context.Context, addr, number string, opt ...Option) (VerifyReply, error) {
	v, err := c.ask(ctx, repeatable, withOptions([]string{"VERIFY", addr, number}, opt)...)
	if err != nil {
		return VerifyReply{}, err
	}
	if len(v.list) != 4 {
		return VerifyReply{}, errReply("VERIFY")
	}
	return VerifyReply{v.list[0].str, v.list[1].str, v.list[2].num, uint64(v.list[3].num)}, nil
}

// Lookup asks who holds addr. The reply is the zero value if nothing is known.
// Options: Port, Domain, At.
func (c *Client) Lookup(ctx context.Context, addr string, opt ...Option) (BindingReply, error) {
	v, err := c.ask(ctx, repeatable, withOptions([]string{"LOOKUP", addr}, opt)...)
	if err != nil {
		return BindingReply{}, err
	}
	return v.binding(), nil
}

// Sessions lists what is bound by one attribute (msisdn, imsi, apn, node,
// domain), or with "all" everything. It returns at most limit (zero: 100, at most 10000) and a cursor for the
// rest, "" at the end.
func (c *Client) Sessions(ctx context.Context, by, val string, limit int, cursor string) ([]BindingReply, string, error) {
	args := []string{"SESSIONS", by, val}
	if by == "" || by == "all" {
		args = []string{"SESSIONS", "all"}
	}
	if limit != 0 {
		args = append(args, "LIMIT", strconv.Itoa(limit))
	}
	if cursor != "" {
		args = append(args, "CURSOR", cursor)
	}
	v, err := c.ask(ctx, repeatable, args...)
	if err != nil {
		return nil, "", err
	}
	if len(v.list) != 2 {
		return nil, "", errReply("SESSIONS")
	}
	next := v.list[0].str
	if next == "0" {
		next = ""
	}
	return decodeList(v.list[1], value.binding), next, nil
}

// Nodes lists the owners of sessions.
func (c *Client) Nodes(ctx context.Context) ([]NodeReply, error) {
	v, err := c.ask(ctx, repeatable, "NODES")
	return decodeList(v, value.node), err
}

// Sites lists the other sites that the daemon has heard of.
func (c *Client) Sites(ctx context.Context) ([]SiteReply, error) {
	v, err := c.ask(ctx, repeatable, "SITES")
	return decodeList(v, value.site), err
}

// Directory tells where numbers come from that signalling does not bring.
func (c *Client) Directory(ctx context.Context) (DirectoryReply, error) {
	v, err := c.ask(ctx, repeatable, "DIRECTORY")
	return v.directory(), err
}

// Number asks the directory for the number of a SIM; "" if it has none.
func (c *Client) Number(ctx context.Context, imsi string) (NumberReply, error) {
	v, err := c.ask(ctx, repeatable, "DIRECTORY", imsi)
	f := v.fields()
	return NumberReply{f["imsi"].str, f["msisdn"].str, f["source"].str}, err
}

// Status asks the daemon how it is.
func (c *Client) Status(ctx context.Context) (StatusReply, error) {
	v, err := c.ask(ctx, repeatable, "STATUS")
	return v.status(), err
}

// Trace lists the recent events of one number, IMSI or address, newest last. A
// limit of zero means 100; at most 1000.
func (c *Client) Trace(ctx context.Context, key string, limit int) ([]TraceReply, error) {
	args := []string{"TRACE", key}
	if limit != 0 {
		args = append(args, "LIMIT", strconv.Itoa(limit))
	}
	v, err := c.ask(ctx, repeatable, args...)
	return decodeList(v, value.trace), err
}

// Release ends the binding of addr. The reason is kept in the audit log.
// Options: Port, Domain.
func (c *Client) Release(ctx context.Context, addr, reason string, opt ...Option) error {
	args := withOptions([]string{"RELEASE", addr}, opt)
	_, err := c.ask(ctx, onlyOnce, append(args, "REASON", reason)...)
	return err
}

// Watch returns every change from now on that all filters let pass (see
// docs/query-protocol.md), over a connection of its own. The channel is closed
// when ctx or the connection ends; Err tells why. A watcher that reads too
// slowly is told so by its end.
func (c *Client) Watch(ctx context.Context, filter ...string) (<-chan ChangeReply, error) {
	conn, err := dialConn(ctx, c.path)
	if err != nil {
		return nil, err
	}
	v, err := conn.roundTrip(ctx, append([]string{"WATCH"}, filter...))
	if err == nil && v.kind == '-' {
		err = v.replyError()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.mu.Lock()
	c.watchErr = nil
	c.mu.Unlock()
	changes := make(chan ChangeReply, 64)
	go func() {
		defer close(changes)
		defer conn.Close()
		err := conn.changes(ctx, changes)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.watchErr = err
	}()
	return changes, nil
}

func errReply(command string) error {
	return fmt.Errorf("%s: reply of another shape: the daemon speaks another version", strings.ToLower(command))
}
