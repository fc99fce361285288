package query

// A closing is why the server closed a connection.
type closing uint8

const (
	closedByPeer    closing = iota
	closedIdle              // asked nothing for too long
	closedStalled           // did not read its replies, or finish its request
	closedProtocol          // sent what is no request
	closedFull              // came when all connections were taken
	closedLagged            // watched too slowly
	closedForbidden         // watched, and its role was taken away
	closedUnknown           // the kernel did not say who it is
	closedAtShutdown
	closings
)

func (c closing) String() string {
	return [closings]string{"peer", "idle", "stalled", "protocol", "full", "lagged", "forbidden", "unidentified", "shutdown"}[c]
}

// A conn is one connection. The loop owns all of it.
type conn struct {
	fd   int
	id   uint64
	peer peer

	last *command // that was asked for

	// The role and the Roles it follows from, which may be replaced.
	allowed role
	roles   *Roles

	// in is received and not yet executed, out is not yet taken by the peer.
	in  []byte
	out reply
	due bool // out is to be written after the events at hand
	// waiting is set while in may hold complete requests, which wait for a
	// worker or for the peer to take its replies.
	waiting bool
	// interest is what epoll watches.
	interest uint32

	far     bool // the request at hand is for another site
	busy    bool // a worker answers a request; further ones wait in `in`
	closing bool // to be closed once out is empty
	why     closing
	gone    bool // closed; only goroutines that still hold it see this
	watch   *watcher

	// By the loop's clock: the last bytes from the peer, the last progress of
	// out, and the arrival of the unfinished request in `in`.
	heard, taken, partial int64
}

// role is what the peer may do by the present Roles.
func (c *conn) role(s *Server) role {
	if r := s.roles.Load(); r != c.roles {
		c.roles, c.allowed = r, r.of(c.peer)
	}
	return c.allowed
}

// refuses says why a command makes no sense on a connection that watches, or
// nothing.
func (c *conn) refuses(cmd *command) string {
	switch {
	case c.watch == nil || cmd.name == "PING" || cmd.name == "QUIT":
		return ""
	case !c.out.resp3:
		return "this connection watches: only PING and QUIT here, or use RESP3 (HELLO 3)"
	case cmd.name == "WATCH" || cmd.name == "HELLO":
		return "this connection watches already: open another one"
	}
	return ""
}

// keepIn keeps what was not executed. rest may be part of c.in.
func (c *conn) keepIn(rest []byte) {
	const keep = 4 << 10 // a larger buffer is given back once it is empty
	if len(rest) == 0 && cap(c.in) > keep {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], rest...)
}

// keepOut keeps what was not taken: the rest of out.
func (c *conn) keepOut(rest []byte) {
	const keep = 64 << 10
	switch {
	case len(rest) > 0:
		c.out.b = rest // no copy: it may be megabytes
	case cap(c.out.b) > keep:
		c.out.b = nil
	default:
		c.out.b = c.out.b[:0]
	}
}

// addOut adds to out. b belongs to the connection from then on.
func (c *conn) addOut(b []byte) {
	if len(c.out.b) == 0 && len(b) > cap(c.out.b) {
		c.out.b = b
		return
	}
	c.out.b = append(c.out.b, b...)
}
