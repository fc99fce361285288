package query

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// A command is one line of the table. Exactly one of fast and slow is set.
type command struct {
	name     string // in capitals
	lower    string // set by byName
	needs    role
	min, max int // arguments, the name included; max 0 means any number
	// fast answers on the loop: it must not block. slow answers on a worker.
	fast func(*Server, *conn, *reply, [][]byte)
	slow func(context.Context, *Server, *reply, *request)
	// far answers what a fast one finds to be a question for another site.
	far func(context.Context, *Server, *reply, *request)

	usage, summary string

	calls atomic.Uint64
	took  histogram
}

// A request is what a slow command is asked: a copy, for the loop goes on.
type request struct {
	args  [][]byte
	peer  peer
	resp3 bool
	// then, if set by the command, runs on the loop after the reply was added to
	// the connection's output. The connection may be gone by then.
	then func(*loop, *conn)
}

// commandTable is every command. What stock clients send on connect needs no
// role.
func commandTable() []*command {
	return []*command{
		{name: "VERIFY", needs: roleVerify, min: 3, fast: verify, far: verifyFar,
			usage: "addr number [PORT p] [DOMAIN d]", summary: "Is this the number of the SIM behind the address?"},
		{name: "LOOKUP", needs: roleRead, min: 2, fast: lookup, far: lookupFar,
			usage: "addr [PORT p] [DOMAIN d] [AT rfc3339]", summary: "Who holds the address?"},
		{name: "GET", needs: roleRead, min: 2, max: 2, fast: get, far: getFar,
			usage: "addr", summary: "The MSISDN behind the address, nil on any doubt."},
		{name: "MGET", needs: roleRead, min: 2, fast: mget, far: mgetFar,
			usage: "addr [addr ...]", summary: "The MSISDNs behind several addresses."},
		{name: "SESSIONS", needs: roleRead, min: 2, slow: sessions,
			usage: "msisdn|imsi|apn|node|domain value | all [LIMIT n] [CURSOR c]", summary: "What is bound, by one attribute."},
		{name: "NODES", needs: roleRead, min: 1, max: 1, slow: nodes,
			summary: "The owners of sessions and how they are."},
		{name: "SITES", needs: roleRead, min: 1, max: 1, slow: sites,
			summary: "Other sites, and how following them goes."},
		{name: "DIRECTORY", needs: roleRead, min: 1, max: 2, slow: directory,
			usage: "[imsi]", summary: "Who knows numbers, or the number of one SIM."},
		{name: "STATUS", needs: roleRead, min: 1, max: 1, slow: status,
			summary: "The daemon's own account of itself."},
		{name: "INFO", needs: roleRead, min: 1, slow: info,
			usage: "[section ...]", summary: "The same as text."},
		{name: "TRACE", needs: roleRead, min: 2, slow: trace,
			usage: "key [LIMIT n]", summary: "Recent events of a number, an IMSI or an address."},
		{name: "WATCH", needs: roleRead, min: 1, max: maxFilters, slow: watch,
			usage: "[kind | domain=d | msisdn=n | imsi=i | addr=prefix ...]", summary: "Every change from now on."},
		{name: "RELEASE", needs: roleAdmin, min: 4, slow: release,
			usage: "addr [PORT p] [DOMAIN d] REASON text", summary: "Ends a binding; audited."},

		{name: "PING", min: 1, max: 2, fast: ping, usage: "[message]", summary: "Answers PONG."},
		{name: "HELLO", min: 1, fast: hello, usage: "[protocol [AUTH user password] [SETNAME name]]",
			summary: "Chooses RESP2 or RESP3."},
		{name: "AUTH", min: 2, max: 3, fast: accept, usage: "[user] password",
			summary: "Accepted and ignored: the kernel says who asks."},
		{name: "SELECT", min: 2, max: 2, fast: selectDB, usage: "0", summary: "There is one database."},
		{name: "CLIENT", min: 2, fast: client, usage: "ID | SETNAME name | SETINFO attribute value",
			summary: "What client libraries tell about themselves; ignored."},
		{name: "CONFIG", min: 3, fast: config, usage: "GET parameter ...", summary: "Nothing is configured here."},
		{name: "COMMAND", min: 1, fast: describe, usage: "[COUNT | DOCS [name ...] | INFO [name ...]]",
			summary: "This list."},
		{name: "QUIT", min: 1, max: 1, fast: quit, summary: "Closes the connection."},
	}
}

func byName(table []*command) map[string]*command {
	m := make(map[string]*command, len(table))
	for _, c := range table {
		c.lower = strings.ToLower(c.name)
		m[c.name] = c
	}
	return m
}

// maxWord is the longest name of a command or an option.
const maxWord = 16

// capitals puts b into buf in upper case; nil if it is longer than any word.
func capitals(buf *[maxWord]byte, b []byte) []byte {
	if len(b) > len(buf) {
		return nil
	}
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		buf[i] = c
	}
	return buf[:len(b)]
}

// command finds a command by its name; nil if there is none. A connection
// mostly asks for the same one again.
func (s *Server) command(c *conn, name []byte) *command {
	if c.last != nil && (string(name) == c.last.name || string(name) == c.last.lower) {
		return c.last
	}
	var buf [maxWord]byte
	c.last = s.commands[string(capitals(&buf, name))]
	return c.last
}

// dispatch answers one request, or returns the slow command that will. args
// has at least one element.
func (s *Server) dispatch(c *conn, args [][]byte) *command {
	w := &c.out
	cmd := s.command(c, args[0])
	switch {
	case cmd == nil:
		s.unknown.Add(1)
		w.refuse(refusedERR, "unknown command "+quoted(args[0])+": COMMAND DOCS lists what there is")
	case c.role(s) < cmd.needs:
		cmd.calls.Add(1)
		w.refuse(refusedNOPERM, fmt.Sprintf("%s needs the role %s and uid %d has the role %s: ask the operator to add it to query.roles",
			cmd.name, cmd.needs, c.peer.uid, c.role(s)))
	case len(args) < cmd.min || cmd.max > 0 && len(args) > cmd.max:
		cmd.calls.Add(1)
		w.refuse(refusedERR, "wrong number of arguments: "+strings.TrimSpace(cmd.name+" "+cmd.usage))
	case c.refuses(cmd) != "":
		cmd.calls.Add(1)
		w.refuse(refusedERR, c.refuses(cmd))
	case cmd.slow != nil:
		cmd.calls.Add(1)
		return cmd
	default:
		start := len(w.b)
		s.answer(cmd, c, w, args)
		if c.far {
			w.b = w.b[:start] // it is answered as a whole, elsewhere
			return cmd
		}
	}
	s.countRefusal(w)
	return nil
}

// quoted is a word of a request for an error text: short, in one line.
func quoted(b []byte) string {
	const longest = 32
	if len(b) > longest {
		b = append(slices.Clip(b[:longest]), "…"...)
	}
	return fmt.Sprintf("%q", b)
}
