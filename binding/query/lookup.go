package query

import (
	"time"

	"github.com/simbind/simbind/binding"
)

// atSlack is how far ahead of ours the clock of an asker may be.
const atSlack = 5 * time.Second

// lookup answers LOOKUP: nil if nobody is known to hold the address; a map of
// state and reason if something else keeps us from saying; else all fields.
func lookup(s *Server, c *conn, w *reply, args [][]byte) {
	g, q, ok := readLookup(w, args, s.domains)
	if !ok {
		return
	}
	b, a := s.reg.Lookup(q)
	if s.far(c, q, a) {
		return
	}
	s.describe(w, &g, b, a)
}

func readLookup(w *reply, args [][]byte, domains names) (g given, q binding.Query, ok bool) {
	if q, ok = g.readQuery(w, args[1], args[2:], optPort|optDomain|optAt, domains); !ok {
		return g, q, false
	}
	if g.set&optAt != 0 && time.Until(g.at) > atSlack {
		w.refuse(refusedERR, "AT is in the future")
		return g, q, false
	}
	return g, q, true
}

func (s *Server) describe(w *reply, g *given, b binding.Binding, a binding.Answer) {
	s.countAnswer(a)
	asked, known := g.set&optAt != 0, b.Addr.Prefix.IsValid()
	switch {
	case asked && known && g.at.Before(b.Since), asked && !known && a.Reason == binding.ReasonNoBinding:
		w.doubt(binding.Unknown.String(), "no-history")
	case known:
		w.binding(b.Under(a))
	case a.Reason == binding.ReasonNoBinding:
		w.null()
	default:
		w.doubt(a.Verdict.String(), a.Reason.String())
	}
}

func (w *reply) doubt(state, reason string) {
	w.object(2)
	w.textField("state", state)
	w.textField("reason", reason)
}

// binding writes every field, those that are not known as "". Only site is
// left out where the binding is our own.
func (w *reply) binding(b binding.Binding) {
	if b.Site == "" {
		w.object(15)
	} else {
		w.object(16)
		w.textField("site", b.Site)
	}
	w.textField("addr", b.Addr.String())
	w.subscriber("", b.Subscriber)
	w.textField("apn", b.APN)
	w.textField("rat", b.RAT.String())
	w.textField("domain", b.Domain)
	w.textField("node", b.Node)
	w.wordsField("sources", b.Sources.Names())
	w.textField("state", b.State.String())
	w.textField("reason", b.Reason.String())
	w.timeField("since", b.Since)
	w.timeField("seen", b.Seen)
	w.timeField("expires", b.Expires)
	w.uintField("version", b.Version)
}

// subscriber writes three fields, their names after a prefix.
func (w *reply) subscriber(prefix string, s binding.Subscriber) {
	w.textField(prefix+"msisdn", s.MSISDN.String())
	w.textField(prefix+"imsi", s.IMSI.String())
	w.textField(prefix+"imei", s.IMEI.String())
}
