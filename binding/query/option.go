package query

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/simbind/simbind/binding"
)

// An optionSet is the options that a command knows, each followed by a value.
type optionSet uint8

const (
	optPort optionSet = 1 << iota
	optDomain
	optAt
	optLimit
	optCursor
	optReason
)

func option(word []byte) optionSet {
	var buf [maxWord]byte
	switch string(capitals(&buf, word)) {
	case "PORT":
		return optPort
	case "DOMAIN":
		return optDomain
	case "AT":
		return optAt
	case "LIMIT":
		return optLimit
	case "CURSOR":
		return optCursor
	case "REASON":
		return optReason
	}
	return 0
}

// given are the values of options.
type given struct {
	set    optionSet
	port   uint16
	domain string
	at     time.Time
	limit  int
	cursor uint64
	reason string
}

// readOptions reads args as options of a command that knows those in known. On
// a fault it writes the error and returns false.
func (g *given) readOptions(w *reply, args [][]byte, known optionSet, domains names) bool {
	for i := 0; i < len(args); i += 2 {
		opt := option(args[i])
		switch {
		case opt&known == 0:
			w.refuse(refusedERR, "unknown option "+quoted(args[i]))
			return false
		case i+1 == len(args):
			w.refuse(refusedERR, "option "+quoted(args[i])+" needs a value")
			return false
		case g.set&opt != 0:
			w.refuse(refusedERR, "option "+quoted(args[i])+" is there twice")
			return false
		}
		g.set |= opt
		if fault := g.read(opt, args[i+1], domains); fault != "" {
			w.refuse(refusedERR, fault)
			return false
		}
	}
	return true
}

// read takes one value; it returns what is wrong with it, if anything.
func (g *given) read(opt optionSet, v []byte, domains names) (fault string) {
	var err error
	switch opt {
	case optPort:
		var n uint64
		if n, err = strconv.ParseUint(text(v), 10, 16); err != nil || n == 0 {
			return "PORT " + quoted(v) + " is not a port (1 to 65535)"
		}
		g.port = uint16(n)
	case optDomain:
		if len(v) == 0 {
			return "DOMAIN is empty: leave it out if you do not know it"
		}
		g.domain = domains.of(v)
	case optAt:
		if g.at, err = time.Parse(time.RFC3339, string(v)); err != nil {
			return "AT " + quoted(v) + " is not a time like 2026-01-31T12:00:00Z"
		}
	case optLimit:
		if g.limit, err = strconv.Atoi(text(v)); err != nil || g.limit < 1 {
			return "LIMIT " + quoted(v) + " is not a positive number"
		}
	case optCursor:
		if g.cursor, err = strconv.ParseUint(text(v), 10, 64); err != nil {
			return "CURSOR " + quoted(v) + " is not a cursor of an earlier reply"
		}
	case optReason:
		if g.reason = printable(v); g.reason == "" {
			return "REASON is empty: say why, it is kept in the audit log"
		}
	}
	return ""
}

// limitOr is the LIMIT that was given, or def, and at most highest.
func (g *given) limitOr(def, highest int) int {
	if g.limit == 0 {
		return def
	}
	return min(g.limit, highest)
}

// readQuery reads the address and the options that name one binding.
func (g *given) readQuery(w *reply, addr []byte, args [][]byte, known optionSet, domains names) (q binding.Query, ok bool) {
	if q.Addr, ok = readAddr(w, addr); !ok {
		return q, false
	}
	ok = g.readOptions(w, args, known, domains)
	q.Port, q.Domain = g.port, g.domain
	return q, ok
}

func readAddr(w *reply, b []byte) (netip.Addr, bool) {
	a, err := binding.ParseAddr(text(b))
	if err != nil {
		w.refuse(refusedBADADDR, fmt.Sprintf("%s is not an IPv4 or IPv6 address without zone", quoted(b)))
		return a, false
	}
	return a, true
}
