package worldtest

import (
	"github.com/simbind/simbind/binding"
)

// tell lets the sources of a stay say that something changed; some do later.
func (w *world) tell(s *stay, gone ...binding.Address) {
	s.changed = w.now
	for _, l := range s.legs {
		if !l.voice.refreshes() || !s.gw.clean && w.r.IntN(4) == 0 {
			continue
		}
		word := w.sessionWord(l, binding.SessionUpdate)
		if len(gone) > 0 && l.voice.source == binding.SourceGx {
			word.Gone = gone
		}
		if len(gone) > 0 && l.voice.source == binding.SourceRADIUS {
			word.Addrs, word.Complete = s.held(), true
		}
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
	c.plot.take(c, w.now)
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
