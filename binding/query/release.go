package query

import (
	"context"
	"fmt"
)

// release answers RELEASE. Whether it worked or not, one line of the log says
// who asked for it and why.
func release(ctx context.Context, s *Server, w *reply, r *request) {
	var g given
	q, ok := g.readQuery(w, r.args[1], r.args[2:], optPort|optDomain|optReason, nil)
	if !ok {
		return
	}
	if g.reason == "" {
		w.refuse(refusedERR, "RELEASE needs REASON text: say why, it is kept in the audit log")
		return
	}
	held, _ := s.reg.Lookup(q)
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	by := fmt.Sprintf("uid=%d gid=%d pid=%d", r.peer.uid, r.peer.gid, r.peer.pid)
	err := s.reg.Release(ctx, q, g.reason, by)
	s.log.Info("release", "addr", q.Addr, "port", q.Port, "domain", q.Domain, "msisdn", held.MSISDN, "imsi", held.IMSI,
		"uid", r.peer.uid, "gid", r.peer.gid, "pid", r.peer.pid, "reason", g.reason, "err", err)
	if err != nil {
		w.refuse(refusedERR, "release: "+err.Error())
		return
	}
	w.simple("OK")
}
