package query

import (
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// verify answers VERIFY. It allocates nothing: the answer to a question that
// is asked for every login must not depend on the garbage collector.
func verify(s *Server, _ *conn, w *reply, args [][]byte) {
	var g given
	q, ok := g.readQuery(w, args[1], args[3:], optPort|optDomain, s.domains)
	if !ok {
		return
	}
	number, err := binding.ParseNumber(text(args[2]))
	if err != nil {
		w.refuse(refusedBADNUM, "a number is '+' with country code, 5 to 15 digits, or the SHA-256 of that as 64 hexadecimal digits")
		return
	}
	a := s.reg.Verify(q, number)
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
func get(s *Server, _ *conn, w *reply, args [][]byte) {
	if addr, ok := readAddr(w, args[1]); ok {
		s.number(w, addr)
	}
}

// mget answers MGET. Like Redis' it never fails: what is no address has no
// number.
func mget(s *Server, _ *conn, w *reply, args [][]byte) {
	w.array(len(args) - 1)
	for _, arg := range args[1:] {
		addr, err := binding.ParseAddr(text(arg))
		if err != nil {
			w.null()
			continue
		}
		s.number(w, addr)
	}
}

func (s *Server) number(w *reply, addr netip.Addr) {
	b, a := s.reg.Lookup(binding.Query{Addr: addr})
	s.countAnswer(a)
	if a.Verdict != binding.Match || b.State != binding.StateBound || b.MSISDN == 0 {
		w.null()
		return
	}
	var buf [16]byte
	w.bulk(text(b.MSISDN.AppendE164(buf[:0])))
}
