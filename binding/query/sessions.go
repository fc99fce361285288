package query

import (
	"context"
	"strconv"

	"github.com/simbind/simbind/binding"
)

// sessions answers SESSIONS: a cursor, "0" at the end, and a list of bindings.
func sessions(_ context.Context, s *Server, w *reply, r *request) {
	sel, ok := readSelection(w, r.args)
	if !ok {
		return
	}
	if s.reg.Status().Warming {
		w.refuse(refusedLOADING, "the list is not complete before the journal is loaded: ask again, or LOOKUP one address")
		return
	}
	list, next, err := s.reg.Sessions(sel)
	if err != nil {
		w.refuse(refusedERR, "sessions: "+err.Error())
		return
	}
	w.array(2)
	w.bulk(strconv.FormatUint(next, 10))
	w.array(len(list))
	for _, b := range list {
		w.binding(b)
	}
}

func readSelection(w *reply, args [][]byte) (sel binding.Selection, ok bool) {
	var buf [maxWord]byte
	rest := args[2:]
	switch by := string(capitals(&buf, args[1])); by {
	case "ALL":
	case "MSISDN", "IMSI", "APN", "NODE", "DOMAIN":
		if len(args) < 3 {
			w.refuse(refusedERR, "SESSIONS "+by+" needs a value")
			return sel, false
		}
		if sel, ok = selectBy(w, by, string(args[2])); !ok {
			return sel, false
		}
		rest = args[3:]
	default:
		w.refuse(refusedERR, "SESSIONS by "+quoted(args[1])+": choose msisdn, imsi, apn, node, domain or all")
		return sel, false
	}
	var g given
	ok = g.readOptions(w, rest, optLimit|optCursor, nil)
	sel.Limit, sel.Cursor = g.limitOr(defaultLimit, maxSessions), g.cursor
	return sel, ok
}

// selectBy puts the identities into their canonical form.
func selectBy(w *reply, by, v string) (binding.Selection, bool) {
	switch by {
	case "MSISDN":
		m, err := binding.ParseMSISDN(v)
		if err != nil {
			w.refuse(refusedBADNUM, "an MSISDN is '+' with country code, 5 to 15 digits")
		}
		return binding.Selection{By: "msisdn", Value: m.String()}, err == nil
	case "IMSI":
		i, err := binding.ParseIMSI(v)
		if err != nil {
			w.refuse(refusedBADNUM, "an IMSI has 6 to 15 digits")
		}
		return binding.Selection{By: "imsi", Value: i.String()}, err == nil
	case "APN":
		return binding.Selection{By: "apn", Value: v}, true
	case "NODE":
		return binding.Selection{By: "node", Value: v}, true
	}
	return binding.Selection{By: "domain", Value: v}, true
}
