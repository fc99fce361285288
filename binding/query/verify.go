package query

import (
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// verify answers VERIFY. It allocates nothing: the answer to a question that
// is asked for every login must not depend on the garbage collector.
func verify(s *Server, c *conn, w *reply, args [][]byte) {
	q, number, ok := readVerify(w, args, s.domains)
	if !ok {
		return
	}
	a := s.reg.Verify(q, number)
	if s.far(c, q, a) {
		return
	}
	s.verdict(w, a)
}

func readVerify(w *reply, args [][]byte, domains names) (q binding.Query, number binding.Number, ok bool) {
	var g given
	if q, ok = g.readQuery(w, args[1], args[3:], optPort|optDomain, domains); !ok {
		return q, number, false
	}
	number, err := binding.ParseNumber(text(args[2]))
	if err != nil {
		w.refuse(refusedBADNUM, "a number is '+' with country code, 5 to 15 digits, or the SHA-256 of that as 64 hexadecimal digits")
		return q, number, false
	}
	return q, number, true
}

func (s *Server) verdict(w *reply, a binding.Answer) {
	s.countAnswer(a)
	w.b = append(w.b, s.heads[a.Verdict][a.Reason]...)
	w.int(a.Age.Milliseconds())
	w.uint(a.Version)
}

// A headTable holds how the reply to VERIFY starts: the array of four with
// verdict and reason, ready-made for each pair.
type headTable [verdictCount][reasonCount][]byte

func newHeads() *headTable {
	var heads headTable
	for v := range verdictCount {
		for r := range reasonCount {
			var w reply
			w.array(4)
			w.bulk(binding.Verdict(v).String())
			w.bulk(binding.Reason(r).String())
			heads[v][r] = w.b
		}
	}
	return &heads
}

// get answers GET: the number, or nil on any doubt.
func get(s *Server, c *conn, w *reply, args [][]byte) {
	if addr, ok := readAddr(w, args[1]); ok {
		s.numberOf(c, w, addr)
	}
}

// mget answers MGET. Like Redis' it never fails: what is no address has no
// number.
func mget(s *Server, c *conn, w *reply, args [][]byte) {
	w.array(len(args) - 1)
	for _, arg := range args[1:] {
		addr, err := binding.ParseAddr(text(arg))
		if err != nil {
			w.null()
			continue
		}
		if !s.numberOf(c, w, addr) {
			return
		}
	}
}

// numberOf is false if another site must be asked.
func (s *Server) numberOf(c *conn, w *reply, addr netip.Addr) bool {
	q := binding.Query{Addr: addr}
	b, a := s.reg.Lookup(q)
	if s.far(c, q, a) {
		return false
	}
	s.number(w, b, a)
	return true
}

func (s *Server) number(w *reply, b binding.Binding, a binding.Answer) {
	s.countAnswer(a)
	if a.Verdict != binding.Match || b.State != binding.StateBound || b.MSISDN == 0 {
		w.null()
		return
	}
	var buf [16]byte
	w.bulk(text(b.MSISDN.AppendE164(buf[:0])))
}
