package worldtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
)

// act lets one thing happen, now.
func (g *game) act() {
	w, h := g.world, &g.world.p.Happens
	switch draw(w.r, h.Start, h.Refresh, h.Stop, h.Number, h.Modify, h.Handover, h.Reattach, h.Restart, h.Restore,
		h.Step, h.Slip, h.Cut, h.Kill, h.Release, h.Lie, h.Directory) {
	case 0:
		w.start()
	case 1:
		w.refresh()
	case 2:
		if s := w.anyOpen(); s != nil {
			w.stop(s)
		}
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
func (w *world) start() {
	gw := w.gateways[w.r.IntN(len(w.gateways))]
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
	for range 6 {
		p := w.plots[w.r.IntN(len(w.plots))]
		if p.domain != s.domain || p.gw != nil && p.gw != s.gw {
			continue
		}
		if a := p.choose(w.r); p.free(a) {
			w.give(s, p, a)
			return true
		}
	}
	return false
}

// begin makes a stay known to each source of its gateway.
func (w *world) begin(s *stay) {
	s.id = len(w.stays)
	w.stays = append(w.stays, s)
	w.open = append(w.open, s)
	s.sim.open = append(s.sim.open, s)
	for _, v := range s.gw.voices {
		w.newLeg(s, v)
	}
	for _, l := range s.legs {
		w.send(w.sessionWord(l, binding.SessionStart))
	}
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
		l.prev = v.byID[l.session]
		l.prev.next = l
	} else {
		v.nextID++
		l.session = fmt.Sprintf("s%d", v.nextID)
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
	if l.voice.refreshes() || w.r.IntN(4) == 0 {
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

// finish ends a stay without a word.
func (w *world) finish(s *stay) {
	s.end = w.now
	for _, c := range s.claims {
		if c.to == forever {
			c.plot.take(c, w.now)
		}
	}
	w.open = slices.DeleteFunc(w.open, func(o *stay) bool { return o == s })
	s.sim.open = slices.DeleteFunc(s.sim.open, func(o *stay) bool { return o == s })
	for _, l := range s.legs {
		if l.voice.source != binding.SourceGx {
			l.voice.freed = append(l.voice.freed, l.session)
		}
	}
}

// word begins a word of a voice with what all of them have.
func (w *world) word(v *voice, kind binding.Kind) *Word {
	word := &Word{
		Kind: kind, Source: v.source, Owner: v.owner, Node: v.name, Observed: v.observed(), Octets: v.octets(),
		OriginState: v.originState,
		truth:       truth{at: w.now, stamped: w.now, voice: v, restart: never},
	}
	if v.originState != 0 {
		word.restart = v.lastState
	}
	if v.alias != "" {
		switch w.r.IntN(4) {
		case 0:
			word.Node = v.alias
		case 1, 2:
			word.Also = v.alias
		}
	}
	if v.clock != nil {
		word.epoch = v.clock.present
		word.Stamp = v.clock.stamp(w.now, word.epoch, v.manner.rounded)
	}
	word.Delayed = v.manner.delays
	return word
}

// nodeWord is a word about a node.
func (w *world) nodeWord(v *voice, kind binding.Kind) *Word {
	word := w.word(v, kind)
	if kind == binding.NodeRestart {
		word.restart = w.now
	}
	if kind == binding.NodeUp || kind == binding.NodeDown { // the edge says so
		word.Stamp, word.OriginState, word.restart = time.Time{}, 0, never
	}
	return word
}

// sessionWord is what a source says of a session now.
func (w *world) sessionWord(l *leg, kind binding.Kind) *Word {
	v, s, r := l.voice, l.stay, w.r
	m := &v.manner
	word := w.word(v, kind)
	word.Session, word.APN, word.leg, word.sim = l.session, s.domain.apn, l, s.sim
	if v.source == binding.SourceGx {
		l.order++
		word.Order = l.order
	}
	if m.ages {
		word.Age, word.Aged = (w.now - s.begin).duration().Truncate(time.Second), true
	}
	if l.said++; r.Float64() >= m.nameless {
		if m.imsi {
			word.IMSI = s.sim.imsi
		}
		if m.number {
			word.MSISDN = s.sim.number()
		}
	}
	switch kind {
	case binding.SessionStart:
		word.Addrs, word.Complete = s.held(), m.complete
	case binding.SessionUpdate:
		if r.Float64() >= m.bare {
			word.Addrs, word.Complete = s.held(), m.complete
		}
	case binding.SessionStop:
		if m.stopAddrs {
			word.Addrs = s.held()
		}
	}
	w.mark(word)
	return word
}

// mark remembers who spoke of which plot.
func (w *world) mark(word *Word) {
	for _, c := range word.leg.stay.claims {
		c.plot.voices |= 1 << word.voice.id
	}
}
