package worldtest

import (
	"net/netip"
	"testing"

	"github.com/simbind/simbind/binding"
)

// A scene is a world whose every step a test decides.
type scene struct {
	*world
	j judge
}

// newScene makes a world of two gateways that speak by some sources, with one
// plot of each shape.
func newScene(sources ...binding.Source) *scene {
	p := base("scene", "", func(p *Profile) {
		p.Telling = [][]binding.Source{sources}
		p.Channel, p.Timing = Channel{Clean: 1}, Timing{StampsAndDelay: 1}
		p.Plots, p.Ground.Wander, p.Happens.Lie = 0, 1, 1
	})
	s := &scene{world: newWorld(&p, 1, 1)}
	for sh := range shapes {
		s.plots = append(s.plots, &plot{id: int(sh), domain: s.domains[0], shape: sh, base: grounds[sh], released: never})
	}
	s.j.reset(s.world)
	return s
}

var grounds = [...]netip.Prefix{
	single: netip.MustParsePrefix("10.45.0.1/32"), shared: netip.MustParsePrefix("10.45.1.1/32"),
	routed: netip.MustParsePrefix("10.45.2.0/28"), wide: netip.MustParsePrefix("2001:db8:cafe:100::/56"),
}

// stay lets a SIM have addresses at a gateway from the next second on.
func (s *scene) stay(sim, gw int, addrs ...binding.Address) *stay {
	s.now += second
	st := s.newStay(s.sims[sim], s.gateways[gw], s.domains[0])
	for _, a := range addrs {
		for _, p := range s.plots {
			if p.base.Overlaps(a.Prefix) {
				s.give(st, p, a)
			}
		}
	}
	s.begin(st)
	return st
}

// say makes the word of one source, a second later.
func (s *scene) say(st *stay, source int, kind binding.Kind) *Word {
	s.now += second
	return s.sessionWord(st.legs[source], kind)
}

// over ends a stay and makes the word of one source.
func (s *scene) over(st *stay, source int) *Word {
	word := s.say(st, source, binding.SessionStop)
	s.finish(st)
	return word
}

func (s *scene) hear(words ...*Word) {
	for _, w := range words {
		s.now++
		s.j.deliver(w, s.now)
	}
}

// asks judges an answer about the number of a SIM.
func (s *scene) asks(sim int, addr string, port uint16, v binding.Verdict) finding {
	q := &question{number: s.sims[sim].number()}
	q.query = binding.Query{Addr: netip.MustParseAddr(addr), Port: port}
	for _, p := range s.plots {
		if p.base.Contains(q.query.Addr) {
			q.plots = append(q.plots, p)
		}
	}
	return s.j.judge(q, binding.Answer{Verdict: v})
}

func address(s string) binding.Address { return binding.Address{Prefix: netip.MustParsePrefix(s)} }

func block(s string, low, high uint16) binding.Address {
	a := address(s)
	a.PortLow, a.PortHigh = low, high
	return a
}

const (
	start  = binding.SessionStart
	update = binding.SessionUpdate
	radius = binding.SourceRADIUS
	gx     = binding.SourceGx
	gtp    = binding.SourceGTPv2
	pfcp   = binding.SourcePFCP
)

func TestTheJudgeOfMatches(t *testing.T) {
	const v4, a, b = "10.45.0.1", 0, 1
	one := address(v4 + "/32")
	for _, c := range []struct {
		name    string
		sources []binding.Source
		play    func(s *scene) finding // mostly of a match for A
		want    finding
	}{
		{"nobody told of may match", nil, func(s *scene) finding {
			s.stay(a, 0, one)
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"the holder may", nil, func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, one), 0, start))
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a lost Stop forbids nothing", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start))
			s.over(st, 0)
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a Stop forbids, and a word from before it does not change that", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			late := s.say(st, 0, update)
			s.hear(s.over(st, 0), late)
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"a successor forbids", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			late := s.say(st, 0, update)
			s.over(st, 0)
			s.hear(s.say(s.stay(b, 1, one), 0, start), late)
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"a successor's Stop that names the address forbids", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start))
			s.over(st, 0)
			stop := s.over(s.stay(b, 0, one), 0)
			stop.Addrs = []binding.Address{one}
			s.hear(stop)
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"a predecessor forbids nothing, told however late", nil, func(s *scene) finding {
			former := s.stay(b, 0, one)
			late := s.say(former, 0, update)
			s.over(former, 0)
			s.hear(s.say(s.stay(a, 0, one), 0, start), late)
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a successor that nobody named may be the holder itself", []binding.Source{gtp, pfcp}, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start))
			s.over(st, 0)
			s.hear(s.say(s.stay(b, 0, one), 1, start))
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a session that nobody named matches nobody", []binding.Source{pfcp}, func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, one), 0, start))
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"an end by one source forbids what another said before", []binding.Source{radius, gx}, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 1, start), s.over(st, 0))
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"an end that nothing links forbids nothing", []binding.Source{radius, gx}, func(s *scene) finding {
			st := s.stay(a, 0, one)
			first := s.say(st, 1, start)
			first.IMSI = 0
			end := s.over(st, 0)
			end.MSISDN, end.Addrs = 0, nil
			s.hear(first, end)
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a restart forbids what began before it", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			late := s.say(st, 0, update)
			s.now += second
			s.finish(st)
			s.hear(s.nodeWord(s.voices[0], binding.NodeRestart), late)
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"a restart does not forbid what began after it", nil, func(s *scene) finding {
			word := s.nodeWord(s.voices[0], binding.NodeRestart)
			s.hear(s.say(s.stay(a, 0, one), 0, start), word)
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a user plane's restart forbids", []binding.Source{gtp, pfcp}, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.say(st, 1, start), s.restarted(1))
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"a restored session is open", []binding.Source{gtp, pfcp}, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.say(st, 1, start), s.restarted(1), s.say(st, 1, start))
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a user plane's restart is not judged once the session spoke", []binding.Source{gtp, pfcp}, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.say(st, 1, start), s.restarted(1))
			word := s.say(st, 0, update)
			word.Addrs = nil
			s.hear(word)
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a lie forbids nothing", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.lied(st, b))
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a liar may not have what somebody else has", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.lied(st, b))
			return s.asks(b, v4, 0, binding.Match)
		}, wrong},
		{"a liar may have what nobody has", nil, func(s *scene) finding {
			s.hear(s.lied(s.stay(a, 0, one), b))
			return s.asks(b, v4, 0, binding.Match)
		}, fine},
		{"a release forbids what was said before it", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			late := s.say(st, 0, update)
			s.now += second
			s.j.release(s.plots[single], one.Prefix.Addr(), 0, s.now)
			s.hear(late)
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"a release does not forbid what is said after it", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start))
			s.j.release(s.plots[single], one.Prefix.Addr(), 0, s.now)
			s.hear(s.say(st, 0, update))
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a former number is wrong once a later one is told", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			late := s.say(st, 0, update)
			former := s.sims[a].number()
			s.sims[a].renumber()
			s.hear(s.say(st, 0, update), late)
			s.sims[a].numbers = append(s.sims[a].numbers, former) // the one that is asked for
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"of a handover both sessions hold", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.say(s.stay(a, 1, one), 0, start), s.over(st, 0))
			return s.asks(a, v4, 0, binding.Match)
		}, fine},
		{"a new attach forbids the old address", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start))
			s.finish(st)
			st.replaced = s.stay(a, 0, address("10.45.2.3/32"))
			s.hear(s.say(st.replaced, 0, start))
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"an id used again by a Start forbids what it was", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start))
			s.over(st, 0)
			s.hear(s.say(s.again(st, b, address("10.45.2.3/32")), 0, start))
			return s.asks(a, v4, 0, binding.Match)
		}, wrong},
		{"an id used again by a nameless update cannot be told from what it was", nil, func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start))
			s.over(st, 0)
			word := s.say(s.again(st, b, address("10.45.2.3/32")), 0, update)
			word.IMSI, word.MSISDN, word.Aged = 0, 0, false
			s.hear(word)
			return s.asks(a, "10.45.2.3", 0, binding.Match)
		}, undecided},
		{"the rest of a prefix of which a part is another's", nil, func(s *scene) finding {
			st := s.stay(a, 0, address("2001:db8:cafe:100::/56"))
			s.hear(s.say(st, 0, start))
			s.over(st, 0)
			s.hear(s.say(s.stay(b, 0, address("2001:db8:cafe:101::/64")), 0, start))
			return s.asks(a, "2001:db8:cafe:102::1", 0, binding.Match)
		}, wrong},
		{"a block of ports holds its ports", nil, func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, block("10.45.1.1/32", 1024, 2047)), 0, start))
			return s.asks(a, "10.45.1.1", 2047, binding.Match)
		}, fine},
		{"a block of ports holds no other port", nil, func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, block("10.45.1.1/32", 1024, 2047)), 0, start))
			return s.asks(a, "10.45.1.1", 2048, binding.Match)
		}, wrong},
		{"nobody has an address without port while a block is another's", nil, func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, block("10.45.1.1/32", 1024, 2047)), 0, start))
			s.hear(s.say(s.stay(b, 0, block("10.45.1.1/32", 3000, 3999)), 0, start))
			return s.asks(a, "10.45.1.1", 0, binding.Match)
		}, wrong},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.sources == nil {
				c.sources = []binding.Source{radius}
			}
			if got := c.play(newScene(c.sources...)); got != c.want {
				t.Errorf("finding %d, want %d", got, c.want)
			}
		})
	}
}

// restarted is the word of a restart that ends no session.
func (s *scene) restarted(source int) *Word {
	s.now += second
	return s.nodeWord(s.gateways[0].voices[source], binding.NodeRestart)
}

// lied is the word of a liar who claims what a stay has.
func (s *scene) lied(st *stay, sim int) *Word {
	s.now += second
	s.sims[0], s.sims[sim] = s.sims[sim], s.sims[0] // the accomplice
	defer func() { s.sims[0], s.sims[sim] = s.sims[sim], s.sims[0] }()
	v := s.liars[0]
	lie := s.newStay(s.accomplice(), v.gw, s.domains[0])
	lie.liar, lie.id = true, len(s.stays)
	l := &leg{id: len(s.legs), stay: lie, voice: v, session: "lie"}
	s.legs, lie.legs = append(s.legs, l), []*leg{l}
	s.stays = append(s.stays, lie)
	s.give(lie, st.claims[0].plot, st.claims[0].addr)
	return s.sessionWord(l, start)
}

// again is a stay whose session has the id of one that is over.
func (s *scene) again(former *stay, sim int, addr binding.Address) *stay {
	st := s.stay(sim, former.gw.id, addr)
	st.legs[0].session = former.legs[0].session
	st.legs[0].prev, former.legs[0].next = former.legs[0], st.legs[0]
	return st
}

func TestTheJudgeOfMismatches(t *testing.T) {
	const v4, a, b = "10.45.0.1", 0, 1
	one := address(v4 + "/32")
	for _, c := range []struct {
		name string
		play func(s *scene) finding
		want finding
	}{
		{"nobody may be denied the only holder's number", func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, one), 0, start))
			return s.asks(a, v4, 0, binding.Mismatch)
		}, denied},
		{"another number may be denied", func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, one), 0, start))
			return s.asks(b, v4, 0, binding.Mismatch)
		}, fine},
		{"a former holder's number may be denied", func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.over(st, 0))
			return s.asks(a, v4, 0, binding.Mismatch)
		}, fine},
		{"the victim of a lie may not be denied", func(s *scene) finding {
			st := s.stay(a, 0, one)
			s.hear(s.say(st, 0, start), s.lied(st, b))
			return s.asks(a, v4, 0, binding.Mismatch)
		}, denied},
		{"doubt is never wrong", func(s *scene) finding {
			s.hear(s.say(s.stay(a, 0, one), 0, start))
			return s.asks(a, v4, 0, binding.Ambiguous)
		}, fine},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.play(newScene(radius)); got != c.want {
				t.Errorf("finding %d, want %d", got, c.want)
			}
		})
	}
}
