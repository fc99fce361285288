package worldtest

import (
	"fmt"

	"github.com/simbind/simbind/binding"
)

// restart loses all sessions of a gateway; what it says of that may be lost as
// well. Now and then it restarts once more at once.
func (w *world) restart(gw *gateway) {
	for _, s := range w.stays {
		if s.gw == gw && s.lasts() {
			w.finish(s)
		}
	}
	gw.restarted = w.now
	for _, v := range gw.voices {
		v.queue, v.recent = nil, nil
		if w.p.Words.Reuse > 0 && v.source != binding.SourceGx && w.r.IntN(2) == 0 {
			v.freed, v.nextID = nil, 0 // it counts its sessions anew
		}
		switch v.source {
		case binding.SourceGx:
			v.originState += 1 + uint32(w.r.IntN(3))
			v.lastState = w.now
			w.cut(v, w.now+flight+tick(w.r.IntN(2000)))
		default:
			w.send(w.nodeWord(v, binding.NodeRestart))
		}
	}
	if w.r.IntN(4) == 0 {
		soon := 2 + tick(w.r.Int64N(int64(4*second)))
		w.later(soon/2, func() { w.startAt(gw) })
		w.later(soon, func() { w.restart(gw) })
	}
}

// restore lets a user plane restart, whose sessions are made again at once.
func (w *world) restore() {
	gw := w.gateways[w.r.IntN(len(w.gateways))]
	for i, v := range gw.voices {
		if v.source != binding.SourcePFCP {
			continue
		}
		w.send(w.nodeWord(v, binding.NodeRestart))
		w.later(1+tick(w.r.IntN(40)), func() {
			for _, s := range w.open {
				if s.gw == gw && s.begin < w.now {
					s.changed = w.now
					w.send(w.sessionWord(s.legs[i], binding.SessionStart))
				}
			}
		})
	}
}

// anyClock draws a voice whose clock may be set now, nil if there is none. A
// clock rests between two settings, and something of its present epoch was
// heard on time.
func (g *game) anyClock() *voice {
	w := g.world
	v := w.voices[w.r.IntN(len(w.voices))]
	if v.clock == nil || v.liesOf != nil || v.clock.steady || w.now-v.clock.disturbed() < w.p.Clocks.Rest {
		return nil
	}
	h := &g.guard.clocks[v.clock.id]
	if e := v.clock.present; e >= len(h.epochs) || !h.epochs[e].onTime {
		return nil
	}
	return v
}

// step sets a clock.
func (g *game) step() {
	if v := g.anyClock(); v != nil {
		v.clock.set(g.world.now, stride(g.world.r))
		v.settled = 0
	}
}

// slip makes one bad stamp.
func (g *game) slip() {
	if v := g.anyClock(); v != nil {
		v.slip = stride(g.world.r)
	}
}

// disconnect loses a connection.
func (w *world) disconnect() {
	v := w.voices[w.r.IntN(len(w.voices))]
	if v.wire == nil || v.wire.capture || v.wire.link == 0 {
		return
	}
	v.dirty = true
	w.enqueue(transit{due: w.now, word: w.nodeWord(v, binding.NodeDown)})
	w.cut(v, w.now+flight+1+tick(w.r.Int64N(int64(20*second))))
}

// kill ends the subject for a while.
func (g *game) kill() {
	w := g.world
	if w.now < g.down {
		return
	}
	scales := [...]tick{3 * second, 2 * minute, 20 * minute}
	gap := 200 + tick(w.r.Int64N(int64(scales[draw(w.r, 14, 5, 1)])))
	g.down = w.now + gap
	w.down = g.down
	g.killed, g.away = g.down, gap
	if g.moment < w.now {
		g.tell(op{kind: opAdvance, at: w.now})
	}
	g.tell(op{kind: opKill, at: w.now, gap: gap})
	for _, v := range w.voices {
		switch {
		case v.wire == nil:
		case v.wire.capture:
			w.cut(v, g.down)
		default:
			w.cut(v, g.down+flight+tick(w.r.IntN(3000)))
		}
	}
}

// release lets an operator say that nobody holds an address.
func (g *game) release() {
	w := g.world
	if len(w.claims) == 0 || w.now < g.down {
		return
	}
	c := w.claims[max(0, len(w.claims)-1-w.r.IntN(8))]
	f := release{plot: c.plot, addr: within128(w.r, c.addr.Prefix), at: w.now}
	if !whole(c.addr) {
		f.port = c.addr.PortLow + uint16(w.r.IntN(int(c.addr.PortHigh-c.addr.PortLow)+1))
	}
	c.plot.released = w.now
	if g.moment < w.now {
		g.tell(op{kind: opAdvance, at: w.now})
	}
	g.tell(op{kind: opRelease, at: w.now, free: f})
}

// newLiar makes someone who has a client entry of his own and uses the name of
// an honest node. He speaks for a SIM of his.
func (w *world) newLiar(of *voice) *voice {
	gw := &gateway{id: len(w.gateways), restarted: never}
	v := w.newVoice(gw, of.source)
	v.owner, v.name, v.alias, v.liesOf = "mallory", of.name, of.alias, of
	v.ways, v.agent = 1, v.source == binding.SourceGx
	gw.voices = append(gw.voices, v)
	return v
}

// newLiars makes one liar for some of the voices that one can lie about.
func (w *world) newLiars() {
	for _, v := range w.voices[:len(w.voices):len(w.voices)] {
		if !v.observed() && (len(w.liars) == 0 || w.r.IntN(2) == 0) {
			w.liars = append(w.liars, w.newLiar(v))
		}
	}
}

// accomplice is the SIM that liars speak for.
func (w *world) accomplice() *sim { return w.sims[0] }

// lie lets a liar claim, end or restart something that is not his.
func (w *world) lie() {
	if len(w.liars) == 0 || len(w.claims) == 0 {
		return
	}
	v := w.liars[w.r.IntN(len(w.liars))]
	c := w.claims[max(0, len(w.claims)-1-w.r.IntN(8))]
	switch w.r.IntN(8) {
	case 0:
		w.send(w.nodeWord(v, binding.NodeRestart))
	case 1, 2:
		w.lieAbout(v, c, binding.SessionStop)
	case 3:
		w.lieAbout(v, c, binding.SessionUpdate)
	default:
		w.lieAbout(v, c, binding.SessionStart)
	}
}

// lieAbout claims what somebody else has, or ends somebody's session by the
// honest node's name.
func (w *world) lieAbout(v *voice, c *claim, kind binding.Kind) {
	s := w.lies[c.plot.id]
	if s == nil || s.gw != v.gw || w.r.IntN(3) == 0 {
		s = w.newStay(w.accomplice(), v.gw, c.plot.domain)
		s.liar = true
		s.id = len(w.stays)
		w.stays = append(w.stays, s)
		w.lies[c.plot.id] = s
		l := &leg{id: len(w.legs), stay: s, voice: v}
		w.legs = append(w.legs, l)
		s.legs = append(s.legs, l)
		l.session = fmt.Sprintf("lie%d", l.id)
		if w.r.IntN(2) == 0 {
			l.session = c.stay.legs[w.r.IntN(len(c.stay.legs))].session
		}
		w.give(s, c.plot, c.addr)
	}
	c.plot.liar = true
	word := w.sessionWord(s.legs[0], kind)
	if w.p.Words.Impostor && w.r.IntN(2) == 0 {
		word.IMSI = c.stay.sim.imsi
		c.stay.sim.lied = true
	}
	w.send(word)
}
