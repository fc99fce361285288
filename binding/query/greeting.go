package query

import (
	"strings"
)

// What stock clients send on connect. It changes the connection at most.

func ping(_ *Server, c *conn, w *reply, args [][]byte) {
	switch {
	case c.watch != nil && !w.resp3: // as Redis answers a subscriber
		w.array(2)
		w.bulk("pong")
		w.bulk(string(last(args)))
	case len(args) == 2:
		w.bulk(string(args[1]))
	default:
		w.simple("PONG")
	}
}

// last is the optional argument of PING.
func last(args [][]byte) []byte {
	if len(args) < 2 {
		return nil
	}
	return args[1]
}

func hello(s *Server, c *conn, w *reply, args [][]byte) {
	resp3 := w.resp3
	if len(args) > 1 {
		switch string(args[1]) {
		case "2":
			resp3 = false
		case "3":
			resp3 = true
		default:
			w.b = append(w.b, "-NOPROTO this server speaks protocol 2 and 3\r\n"...)
			w.refused = refusedERR
			return
		}
	}
	for i := 2; i < len(args); {
		var buf [maxWord]byte
		switch word := string(capitals(&buf, args[i])); {
		case word == "AUTH" && i+2 < len(args):
			i += 3
		case word == "SETNAME" && i+1 < len(args):
			i += 2
		default:
			w.refuse(refusedERR, "HELLO with "+quoted(args[i])+": it takes AUTH user password and SETNAME name")
			return
		}
	}
	w.resp3 = resp3
	w.object(7)
	w.textField("server", "simbind")
	w.textField("version", s.cfg.Version)
	w.intField("proto", 2+digit(resp3))
	w.uintField("id", c.id)
	w.textField("mode", "standalone")
	w.textField("role", "master")
	w.wordsField("modules", nil)
}

func accept(_ *Server, _ *conn, w *reply, _ [][]byte) { w.simple("OK") }

func selectDB(_ *Server, _ *conn, w *reply, args [][]byte) {
	if string(args[1]) != "0" {
		w.refuse(refusedERR, "there is only database 0")
		return
	}
	w.simple("OK")
}

func client(_ *Server, c *conn, w *reply, args [][]byte) {
	var buf [maxWord]byte
	switch string(capitals(&buf, args[1])) {
	case "ID":
		w.uint(c.id)
	case "SETNAME", "SETINFO":
		w.simple("OK")
	default:
		w.refuse(refusedERR, "CLIENT "+quoted(args[1])+" is not there: ID, SETNAME and SETINFO are")
	}
}

func config(_ *Server, _ *conn, w *reply, args [][]byte) {
	var buf [maxWord]byte
	if string(capitals(&buf, args[1])) != "GET" {
		w.refuse(refusedERR, "CONFIG "+quoted(args[1])+": the configuration is a file; change it and reload the daemon")
		return
	}
	switch strings.ToLower(string(args[2])) { // what redis-benchmark looks at
	case "save":
		w.object(1)
		w.textField("save", "")
	case "appendonly":
		w.object(1)
		w.textField("appendonly", "no")
	default:
		w.object(0)
	}
}

func quit(_ *Server, c *conn, w *reply, _ [][]byte) {
	w.simple("OK")
	c.closing = true
}

// describe answers COMMAND, COMMAND COUNT, COMMAND INFO and COMMAND DOCS.
func describe(s *Server, _ *conn, w *reply, args [][]byte) {
	sub := ""
	var buf [maxWord]byte
	if len(args) > 1 {
		sub = string(capitals(&buf, args[1]))
	}
	switch sub {
	case "COUNT":
		w.int(int64(len(s.table)))
	case "", "INFO":
		list := s.named(args[min(2, len(args)):])
		w.array(len(list))
		for _, cmd := range list {
			cmd.appendInfo(w)
		}
	case "DOCS":
		list := s.named(args[2:])
		w.object(len(list))
		for _, cmd := range list {
			w.bulk(cmd.lower)
			w.object(4)
			w.textField("summary", cmd.summary)
			w.textField("since", "1.0.0")
			w.textField("group", cmd.group())
			w.textField("syntax", strings.TrimSpace(cmd.name+" "+cmd.usage))
		}
	default:
		w.refuse(refusedERR, "COMMAND "+quoted(args[1])+" is not there: COUNT, DOCS and INFO are")
	}
}

// named are the commands with these names, or all; what there is not is left
// out.
func (s *Server) named(words [][]byte) []*command {
	if len(words) == 0 {
		return s.table
	}
	var list []*command
	for _, word := range words {
		var buf [maxWord]byte
		if cmd := s.commands[string(capitals(&buf, word))]; cmd != nil && len(list) < len(s.table) {
			list = append(list, cmd)
		}
	}
	return list
}

func (c *command) group() string {
	if c.needs == roleNone {
		return "connection"
	}
	return "simbind-" + c.needs.String()
}

// appendInfo writes a command as COMMAND does: name, arity, flags, and that no
// argument is a key.
func (c *command) appendInfo(w *reply) {
	arity := c.min
	if c.max != c.min {
		arity = -c.min
	}
	flag := "readonly"
	if c.needs == roleAdmin {
		flag = "admin"
	}
	w.array(6)
	w.bulk(c.lower)
	w.int(int64(arity))
	w.array(1)
	w.simple(flag)
	for range 3 { // first key, last key, step
		w.int(0)
	}
}
