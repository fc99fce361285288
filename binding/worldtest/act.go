package worldtest

import (
	"fmt"
	"slices"

	"github.com/simbind/simbind/binding"
)

// act lets one thing happen, now.
func (g *game) act() {
	w, h := g.world, &g.world.p.Happens
	start := h.Start
	if w.turns++; h.Tide > 0 && w.turns/h.Tide%2 == 1 {
		start /= 10
	}
	switch draw(w.r, start, h.Refresh, h.Stop, h.Number, h.Modify, h.Handover, h.Reattach, h.Restart, h.Restore,
		h.Step, h.Slip, h.Cut, h.Kill, h.Release, h.Lie, h.Directory) {
	case 0:
		w.start()
	case 1:
		w.refresh()
	case 2:
		if s := w.anyOpen(); s != nil {
			w.stop(s)
		}
	case 3:
		w.renumber()
	case 4:
		w.modify()
	case 5:
		w.handover()
	case 6:
		w.reattach()
	case 7:
		w.restart(w.gateways[w.r.IntN(len(w.gateways))])
	case 8:
		w.restore()
	case 9:
		g.step()
	case 10:
		g.slip()
	case 11:
		w.disconnect()
	case 12:
		g.kill()
	case 13:
		g.release()
	case 14:
		w.lie()
	case 15:
		w.look()
	}
}

// anyOpen draws a stay that lasts, nil if there is none.
func (w *world) anyOpen() *stay {
	if len(w.open) == 0 {
		return nil
	}
	return w.open[w.r.IntN(len(w.open))]
}

// start attaches a SIM, if one is free and there is room.
func (w *world) start() { w.startAt(w.gateways[w.r.IntN(len(w.gateways))]) }

func (w *world) startAt(gw *gateway) {
	s := w.sims[w.r.IntN(len(w.sims))]
	d := w.domains[w.r.IntN(len(w.domains))]
	for _, other := range s.open {
		if other.gw == gw && other.domain == d {
			return
		}
	}
	if len(s.open) > 1 {
		return
	}
	stay := w.newStay(s, gw, d)
	if !w.settle(stay) {
		return
	}
	w.begin(stay)
}

func (w *world) newStay(s *sim, gw *gateway, d *domain) *stay {
	return &stay{sim: s, gw: gw, domain: d, begin: w.now, end: forever, changed: w.now}
}

// settle gives a new stay its addresses; false if there is no room.
func (w *world) settle(s *stay) bool {
	if !w.extend(s) {
		return false
	}
	g := &w.p.Ground
	if g.Dual+g.Prefix+g.Routed > 0 && w.r.IntN(2) == 0 {
		w.extend(s)
	}
	return true
}

// extend gives a stay one more address, and perhaps a part of it as well, as
// that of the UE beside what is delegated to it.
func (w *world) extend(s *stay) bool {
	for i := range 6 {
		p := w.plots[w.r.IntN(len(w.plots))]
		if i == 0 && w.vacant != nil && w.r.IntN(2) == 0 { // addresses often go round soon
			p = w.vacant
		}
		if p.domain != s.domain || p.gw != nil && p.gw != s.gw {
			continue
		}
		a := p.choose(w.r)
		if !p.free(a) {
			continue
		}
		c := w.give(s, p, a)
		if p.shape == wide && a.Prefix.Bits() == 56 && w.r.IntN(2) == 0 {
			w.give(s, c.plot, binding.Address{Prefix: within(a.Prefix, 64, w.r.IntN(4))})
		}
		return true
	}
	return false
}

// begin makes a stay known to each source of its gateway.
func (w *world) begin(s *stay) {
	s.id = len(w.stays)
	s.bearer = freeContext(s.sim.open)
	w.stays = append(w.stays, s)
	w.open = append(w.open, s)
	s.sim.open = append(s.sim.open, s)
	s.sim.stays = append(s.sim.stays, s)
	for _, v := range s.gw.voices {
		w.newLeg(s, v)
	}
	for _, l := range s.legs {
		w.send(w.sessionWord(l, binding.SessionStart))
	}
}

// freeContext is a bearer context that none of a SIM's stays has, nor is beside
// one that it has.
func freeContext(open []*stay) uint16 {
	context := uint16(firstContext)
	for i := 0; i < len(open) && context < 1<<13; i++ {
		if open[i].bearer == context {
			context, i = context<<2, -1
		}
	}
	return context
}

func (w *world) newLeg(s *stay, v *voice) *leg {
	l := &leg{id: len(w.legs), index: len(s.legs), stay: s, voice: v}
	w.legs = append(w.legs, l)
	s.legs = append(s.legs, l)
	if n := len(v.freed); n > 0 && w.r.Float64() < w.p.Words.Reuse {
		i := w.r.IntN(n)
		if w.r.IntN(2) == 0 {
			i = n - 1
		}
		l.session = v.freed[i]
		v.freed = slices.Delete(v.freed, i, i+1)
	} else {
		v.nextID++
		l.session = fmt.Sprintf("s%d", v.nextID)
	}
	if former := v.byID[l.session]; former != nil {
		l.prev, former.next = former, l
	}
	v.byID[l.session] = l
	return l
}

// refresh lets a session say that it goes on.
func (w *world) refresh() {
	s := w.anyOpen()
	if s == nil {
		return
	}
	l := s.legs[w.r.IntN(len(s.legs))]
	switch {
	case w.r.Float64() < w.p.Words.Contexts && l.voice.source == binding.SourceRADIUS:
		w.send(w.contextWord(l))
	case l.voice.refreshes() || w.r.IntN(4) == 0:
		w.send(w.sessionWord(l, binding.SessionUpdate))
	}
}

// stop ends a stay and lets each source say so.
func (w *world) stop(s *stay) {
	var words []*Word
	for _, l := range s.legs {
		words = append(words, w.sessionWord(l, binding.SessionStop))
	}
	w.finish(s)
	for _, word := range words {
		w.send(word)
	}
}

// leave lets a stay speak no more of itself.
func (w *world) leave(s *stay) {
	w.open = slices.DeleteFunc(w.open, func(o *stay) bool { return o == s })
}

// finish ends a stay without a word.
func (w *world) finish(s *stay) {
	s.end = w.now
	for _, c := range s.claims {
		if c.to == forever {
			w.take(c)
		}
	}
	w.leave(s)
	s.sim.open = slices.DeleteFunc(s.sim.open, func(o *stay) bool { return o == s })
	for _, l := range s.legs {
		if l.voice.source != binding.SourceGx { // whose ids are used once
			l.voice.freed = append(l.voice.freed, l.session)
		}
	}
}

// tell lets the sources of a stay say that something changed; some do later.
func (w *world) tell(s *stay, gone ...binding.Address) {
	s.changed = w.now
	for _, l := range s.legs {
		if !l.voice.refreshes() || !s.gw.clean && w.r.IntN(4) == 0 {
			continue
		}
		word := w.sessionWord(l, binding.SessionUpdate)
		blocks := w.p.wired && slices.ContainsFunc(gone, func(a binding.Address) bool { return !whole(a) })
		switch {
		case len(gone) == 0:
		case l.voice.source == binding.SourceGx, blocks:
			word.Gone = slices.Clone(gone)
		case l.voice.source == binding.SourceRADIUS:
			word.Addrs, word.Complete = s.held(), true
		}
		w.fit(word)
		w.send(word)
	}
}

// renumber gives another number to a SIM while it stays.
func (w *world) renumber() {
	s := w.anyOpen()
	if s == nil {
		return
	}
	s.sim.renumber()
	for _, stay := range s.sim.open {
		w.tell(stay)
	}
}

// modify lets a stay give up an address while it goes on, or get another one.
func (w *world) modify() {
	s := w.anyOpen()
	if s == nil {
		return
	}
	var held []*claim
	for _, c := range s.claims {
		if c.to == forever {
			held = append(held, c)
		}
	}
	if len(held) < 2 || w.r.IntN(2) == 0 {
		if len(held) < 4 && !s.handedOver && w.extend(s) {
			w.tell(s)
		}
		return
	}
	if s.handedOver {
		return
	}
	c := held[w.r.IntN(len(held))]
	for _, o := range held {
		if o != c && overlap(o.addr, c.addr) { // to give up a part is another thing
			return
		}
	}
	w.take(c)
	w.tell(s, c.addr)
}

// handover moves a stay: another one of the same SIM has its addresses, and it
// ends later.
func (w *world) handover() {
	former := w.anyOpen()
	if former == nil || former.handedOver {
		return
	}
	gw := w.gateways[w.r.IntN(len(w.gateways))]
	for _, o := range former.sim.open {
		if o != former && o.gw == gw && o.domain == former.domain {
			return
		}
	}
	s := w.newStay(former.sim, gw, former.domain)
	for _, c := range former.claims {
		if c.to == forever {
			w.give(s, c.plot, c.addr)
		}
	}
	former.handedOver, s.handedOver = true, true
	w.leave(former)
	w.begin(s)
	w.later(1+tick(w.r.Int64N(int64(20*second))), func() {
		if former.lasts() {
			w.stop(former)
		}
		s.handedOver, s.changed = false, w.now
	})
}

// reattach lets a SIM attach again without having left: its former stay ends
// and nobody says so.
func (w *world) reattach() {
	former := w.anyOpen()
	if former == nil || former.handedOver {
		return
	}
	s := w.newStay(former.sim, former.gw, former.domain)
	w.finish(former)
	if !w.settle(s) {
		return
	}
	former.replaced = s
	w.begin(s)
}

// look lets a directory say what number a SIM has.
func (w *world) look() {
	s := w.sims[w.r.IntN(len(w.sims))]
	word := &Word{
		Kind: binding.NumberKnown, IMSI: s.imsi, MSISDN: s.number(),
		truth: truth{at: w.now, stamped: w.now, sim: s, restart: never},
	}
	w.enqueue(transit{due: w.now + 1 + tick(w.r.IntN(50)), word: word})
}
