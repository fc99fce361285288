package registry

import (
	"context"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// whyTakeover is why a change says what was so before.
const whyTakeover = "takeover"

// restated bounds how many places one turn of the writer restates.
const restated = 512

// Told is what is known of a place to who has applied every change so far, as a
// change that says so: Bound, Conflict or Released, without number and times.
// What other sites say they tell themselves. Any goroutine may call it; it takes
// no lock and does not block.
func (r *Registry) Told(p binding.Place) binding.Change {
	c := binding.Change{Kind: binding.Released, Domain: p.Domain, Addr: p.Addr, Reason: binding.ReasonEnded}
	k, ok := r.m.KeyOf(p.Domain, p.Addr)
	if !ok {
		return c
	}
	told := c
	r.m.Read(k, func(h table.Holding) { told = r.told(c, &h) })
	return told
}

// told is c, or what was told of a holding.
func (r *Registry) told(c binding.Change, h *table.Holding) binding.Change {
	st := r.places.standing(h)
	if st.sources&^(1<<binding.SourceFeed) == 0 || h.State != table.Bound && h.State != table.Conflict {
		return c
	}
	c.Kind, c.Sources = binding.Conflict, st.sources
	if st.agreed && h.State == table.Bound {
		c.Kind, c.Now = binding.Bound, st.who
	}
	c.State, c.Reason = toldOf(h.Told, c.Now)
	r.places.nameOwner(&c, h.Owner)
	return c
}

// Restate publishes what Told says of the places as changes of their own, for
// who was told by somebody else so far. It returns when they are decided. Any
// goroutine may call it, once Run has started.
func (r *Registry) Restate(ctx context.Context, places []binding.Place) error {
	return r.sayAgain(ctx, places, func(binding.Place, *fact) {})
}

// Doubt is Restate for places of which others were told of another holder, by
// somebody who may have heard more. What is held there is unconfirmed until
// its sessions are heard of again.
func (r *Registry) Doubt(ctx context.Context, places []binding.Place) error {
	return r.sayAgain(ctx, places, r.doubtPlace)
}

// sayAgain publishes what Told says of the places after each was prepared.
func (r *Registry) sayAgain(ctx context.Context, places []binding.Place, prepare func(p binding.Place, f *fact)) error {
	for len(places) > 0 {
		some := places[:min(len(places), restated)]
		places = places[len(some):]
		err := r.onWriter(ctx, func() {
			f := own(r.cfg.Now().UnixMilli(), whyTakeover)
			for _, p := range some {
				prepare(p, f)
				c := r.Told(p)
				c.Why = whyTakeover
				r.emit(c, f, false)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// doubtPlace takes the trust from the sessions that claim a place. A followed
// site says itself what it doubts. Nothing is published: it is told in a moment.
func (r *Registry) doubtPlace(p binding.Place, f *fact) {
	k, ok := r.m.KeyOf(p.Domain, p.Addr)
	if !ok {
		return
	}
	h, held := r.m.Holding(k)
	if !held {
		return
	}
	for c := r.m.AllClaimants(&h); c.Next(); {
		if c.Session.Ended() || r.m.SourceOf(c.Session.Node) == binding.SourceFeed || c.Session.Doubt != binding.ReasonBound {
			continue
		}
		r.sessions.update(c.ID, func(s *table.Session) { s.Doubt, s.After = binding.ReasonUnconfirmed, clock.Bound{} })
		r.sessions.dirty(c.ID)
	}
	h.Told = r.m.ToldOf(k, &h, f.now, r.t)
	r.m.Addrs.Put(k, h.Pack())
}
