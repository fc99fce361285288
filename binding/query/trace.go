package query

import (
	"context"
	"fmt"
	"slices"
)

// trace answers TRACE: a list of maps, oldest first.
func trace(_ context.Context, s *Server, w *reply, r *request) {
	key := string(r.args[1])
	if key == "" || len(key) > maxTraceKey {
		w.refuse(refusedERR, fmt.Sprintf("TRACE takes a number, an IMSI or an address of at most %d characters", maxTraceKey))
		return
	}
	var g given
	if !g.readOptions(w, r.args[2:], optLimit, nil) {
		return
	}
	list, err := s.reg.Trace(key, g.limitOr(defaultLimit, maxTrace))
	if err != nil {
		w.refuse(refusedERR, "trace: "+err.Error())
		return
	}
	slices.Reverse(list) // the latest of them, in the order in which they came
	w.array(len(list))
	for _, e := range list {
		w.object(12)
		w.timeField("at", e.At)
		w.textField("kind", e.Kind)
		w.textField("source", e.Source.String())
		w.textField("node", e.Node)
		w.textField("session", e.Session)
		w.subscriber("", e.Subscriber)
		w.bulk("addrs")
		w.array(len(e.Addrs))
		for _, a := range e.Addrs {
			w.bulk(a.String())
		}
		w.textField("domain", e.Domain)
		w.timeField("time", e.Time)
		w.textField("outcome", e.Outcome)
	}
}
