package worldtest

import (
	"fmt"

	"github.com/simbind/simbind/binding"
)

// newLiar makes someone who has a client entry of his own and uses the name of
// an honest node. He speaks for a SIM of his.
func (w *world) newLiar(of *voice) *voice {
	gw := &gateway{id: len(w.gateways), restarted: never}
	v := w.newVoice(gw, of.source)
	v.owner, v.name, v.alias, v.liesOf = "mallory", of.name, of.alias, of
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
	}
	w.send(word)
}
