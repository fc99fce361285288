package query

import (
	"context"

	"github.com/simbind/simbind/binding"
)

// A Remote is a Registry that can ask other sites about addresses that are in
// none of its own pools.
type Remote interface {
	// Elsewhere reports that another site may have the address. It is called from
	// the loop: it must not block.
	Elsewhere(binding.Query) bool
	// VerifyFar and LookupFar ask that site. They are called from goroutines of
	// their own, and take no longer than their time-out.
	VerifyFar(context.Context, binding.Query, binding.Number) binding.Answer
	LookupFar(context.Context, binding.Query) (binding.Binding, binding.Answer)
}

// farWorkers is how many questions to other sites are under way at most.
const farWorkers = 64

// far reports that a question that has the answer a here is one for another
// site. The command is executed again then, away from the loop.
func (s *Server) far(c *conn, q binding.Query, a binding.Answer) bool {
	c.far = s.elsewhere(q, a)
	return c.far
}

// elsewhere reports that an address of which we answer a may be another site's.
func (s *Server) elsewhere(q binding.Query, a binding.Answer) bool {
	return s.remote != nil && (a.Reason == binding.ReasonOutOfPool || a.Reason == binding.ReasonNoDomain) && s.remote.Elsewhere(q)
}

func verifyFar(ctx context.Context, s *Server, w *reply, r *request) {
	if q, number, ok := readVerify(w, r.args, names{}); ok {
		s.verdict(w, s.remote.VerifyFar(ctx, q, number))
	}
}

func lookupFar(ctx context.Context, s *Server, w *reply, r *request) {
	if g, q, ok := readLookup(w, r.args, names{}); ok {
		b, a := s.remote.LookupFar(ctx, q)
		s.describe(w, &g, b, a)
	}
}

func getFar(ctx context.Context, s *Server, w *reply, r *request) {
	addr, ok := readAddr(w, r.args[1])
	if ok {
		b, a := s.lookupAnywhere(ctx, binding.Query{Addr: addr})
		s.number(w, b, a)
	}
}

func mgetFar(ctx context.Context, s *Server, w *reply, r *request) {
	w.array(len(r.args) - 1)
	for _, arg := range r.args[1:] {
		addr, err := binding.ParseAddr(text(arg))
		if err != nil {
			w.null()
			continue
		}
		b, a := s.lookupAnywhere(ctx, binding.Query{Addr: addr})
		s.number(w, b, a)
	}
}

func (s *Server) lookupAnywhere(ctx context.Context, q binding.Query) (binding.Binding, binding.Answer) {
	b, a := s.reg.Lookup(q)
	if s.elsewhere(q, a) {
		return s.remote.LookupFar(ctx, q)
	}
	return b, a
}
