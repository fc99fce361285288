package binding

import (
	"context"

	"github.com/simbind/simbind/binding/index"
)

// A Place is an address in its domain.
type Place struct {
	Domain string
	Addr   Address
}

// whyTakeover is why a change says what was so before.
const whyTakeover = "takeover"

// restated bounds how many places one turn of the writer restates.
const restated = 512

// Told is what is known of a place to who has applied every change so far, as a
// change that says so: Bound, Conflict or Released, without number and times.
// What other sites say they tell themselves. Any goroutine may call it; it takes
// no lock and does not block.
func (r *Registry) Told(p Place) Change {
	c := Change{Kind: Released, Domain: p.Domain, Addr: p.Addr, Reason: ReasonEnded}
	k, ok := r.keyOf(p)
	if !ok {
		return c
	}
	told := c
	r.m.read(k, func(h holding) {
		o := address{m: r.m, key: k, h: h}
		r.m.eachClaimant(&o.h, func(id uint32) { o.claims = append(o.claims, addressClaim{session: id}) })
		told = r.told(c, &o)
	})
	return told
}

// told is c, or what was told of o.
func (r *Registry) told(c Change, o *address) Change {
	sources := o.sources()
	if o.h.state == holdBlocked || sources&^(1<<SourceFeed) == 0 {
		return c
	}
	c.Kind, c.Sources = Conflict, sources
	if _, who, agreed := o.holder(); agreed && o.h.state == holdBound {
		c.Kind, c.Now = Bound, who
	}
	c.State, c.Reason = o.h.toldOf(c.Now)
	r.nameOwner(&c, o.h.owner)
	return c
}

// Restate publishes what Told says of the places as changes of their own, for
// who was told by somebody else so far. It returns when they are decided. Any
// goroutine may call it, once Run has started.
func (r *Registry) Restate(ctx context.Context, places []Place) error {
	return r.sayAgain(ctx, places, func(Place, int64) {})
}

// Doubt is Restate for places of which others were told of another holder, by
// somebody who may have heard more. What is held there is unconfirmed until
// its sessions are heard of again.
func (r *Registry) Doubt(ctx context.Context, places []Place) error {
	return r.sayAgain(ctx, places, r.doubtPlace)
}

// sayAgain publishes what Told says of the places after each was prepared.
func (r *Registry) sayAgain(ctx context.Context, places []Place, prepare func(p Place, now int64)) error {
	for len(places) > 0 {
		some := places[:min(len(places), restated)]
		places = places[len(some):]
		err := r.onWriter(ctx, func() {
			now := r.cfg.Now().UnixMilli()
			f := &fact{Event: &Event{}, now: now, t: now}
			for _, p := range some {
				prepare(p, now)
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
// site says itself what it doubts.
func (a *arbiter) doubtPlace(p Place, now int64) {
	k, ok := a.keyOf(p)
	if !ok {
		return
	}
	if h, held := a.m.holding(k); !held || h.state == holdBlocked {
		return
	}
	o := a.open(k)
	for _, c := range o.claims {
		a.update(c.session, func(s *session) {
			if a.m.node(s.node).source != SourceFeed {
				s.flags = s.flags&^doubtMask | doubtFlags(ReasonUnconfirmed)
			}
		})
		a.dirty(c.session)
	}
	o.h.told = a.tell(k, &o.h, now)
	a.m.addrs.Put(k, o.h.pack())
}

// keyOf is the key of a place; false if it is none that can be held.
func (a *arbiter) keyOf(p Place) (index.Key, bool) {
	set := a.domains.Load()
	if set == nil || !p.Addr.Prefix.IsValid() {
		return index.Key{}, false
	}
	for id, name := range set.names {
		if name != p.Domain {
			continue
		}
		if keys := keysOf(id, p.Addr); len(keys) == 1 {
			return keys[0], true
		}
	}
	return index.Key{}, false
}
