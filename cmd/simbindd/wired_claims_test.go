package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/worldtest"
)

// A play is a short history that is told to a daemon of its own process. The
// NAS of the client "nas" and the node "pgw1" of the agents "agents" come by two
// ways each, "pgw2" is its own peer, and "mallory" has an entry for either
// protocol and uses their names.
type play struct {
	*wired
	octets uint64
}

const (
	nasName = "nas1"
	pgw1    = "pgw1.example" // behind two agents
	pgw2    = "pgw2.example" // a peer itself
)

func newPlay(t *testing.T) *play {
	subject := newWired(t, manner{process: true})(worldtest.Setup{
		Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Capacity: 100, Lease: 24 * time.Hour,
		Domains: []worldtest.Domain{{
			Name: "internet", APNs: []string{"internet"}, Pools: []netip.Prefix{netip.MustParsePrefix("10.45.0.0/16")},
		}},
		Speakers: []worldtest.Speaker{
			{Source: binding.SourceRADIUS, Owner: "nas", Node: nasName, Ways: 2},
			{Source: binding.SourceRADIUS, Owner: "mallory", Node: nasName, Ways: 1},
			{Source: binding.SourceGx, Owner: "agents", Node: pgw1, Ways: 2, Agent: true},
			{Source: binding.SourceGx, Owner: pgw2, Node: pgw2, Ways: 1},
			{Source: binding.SourceGx, Owner: "mallory", Node: pgw2, Ways: 1, Agent: true},
		},
	})
	p := &play{wired: subject.(*wired)}
	t.Cleanup(func() { p.Close() })
	return p
}

// tell lets three seconds pass, and then a word be heard that was said just now.
// Its octets are new ones unless it has some.
func (p *play) tell(w worldtest.Word) {
	now := p.clock.now().Add(3 * time.Second)
	if p.octets++; w.Octets == 0 {
		w.Octets = 1000 + p.octets
	}
	p.HearWord(&w, now)
}

// accounting is a word of a NAS about a SIM's session at an address.
func (p *play) accounting(kind binding.Kind, session string, sim int, addr string) worldtest.Word {
	w := worldtest.Word{
		Kind: kind, Source: binding.SourceRADIUS, Owner: "nas", Node: nasName, Session: session,
		Delayed: true,
	}
	return p.about(w, sim, addr)
}

// credit is a word of a node over Gx.
func (p *play) credit(kind binding.Kind, node, session string, order uint32, sim int, addr string) worldtest.Word {
	w := worldtest.Word{
		Kind: kind, Source: binding.SourceGx, Owner: node, Node: node, Session: session, Order: order, OriginState: 5, Link: 2,
	}
	if node == pgw1 {
		w.Owner = "agents"
	}
	return p.about(w, sim, addr)
}

func (p *play) about(w worldtest.Word, sim int, addr string) worldtest.Word {
	if w.Kind == binding.NodeRestart {
		w.Session = ""
		return w
	}
	w.APN, w.MSISDN, w.IMSI = "internet", numberOf(sim), binding.IMSI(0)
	w.IMSI, _ = binding.ParseIMSI(strings.Repeat("0", 12) + "10" + string(rune('0'+sim)))
	if addr != "" {
		w.Addrs = []binding.Address{{Prefix: netip.PrefixFrom(netip.MustParseAddr(addr), 32)}}
	}
	return w
}

func numberOf(sim int) binding.MSISDN { return binding.MSISDN(491700000000 + sim) }

// opened is a connection that is made again, after which a node has another
// Origin-State-Id.
func opened(node string, link uint64, state uint32) worldtest.Word {
	return worldtest.Word{Kind: binding.NodeUp, Source: binding.SourceGx, Owner: node, Node: node, Link: link, State: state}
}

func (p *play) is(sim int, addr string) string {
	a := p.Verify(binding.Query{Addr: netip.MustParseAddr(addr), Domain: "internet"}, binding.Number{MSISDN: numberOf(sim)})
	return a.Verdict.String() + " " + a.Reason.String()
}

// holds demands that a SIM is known to hold an address.
func (p *play) holds(sim int, addr string) {
	p.t.Helper()
	if got := p.is(sim, addr); got != "match bound" {
		p.t.Errorf("SIM %d at %s: %s", sim, addr, got)
	}
}

// unsure demands that nobody is said to hold an address, a SIM least of all.
func (p *play) unsure(sim int, addr string) {
	p.t.Helper()
	if got := p.is(sim, addr); strings.HasPrefix(got, "match") || strings.HasPrefix(got, "mismatch") {
		p.t.Errorf("SIM %d at %s: %s", sim, addr, got)
	}
}

// not demands that a SIM is not said to hold an address.
func (p *play) not(sim int, addr string) {
	p.t.Helper()
	if got := p.is(sim, addr); strings.HasPrefix(got, "match") {
		p.t.Errorf("SIM %d at %s: %s", sim, addr, got)
	}
}

const (
	begins, goesOn, ends = binding.SessionStart, binding.SessionUpdate, binding.SessionStop
	addr1, addr2         = "10.45.0.1", "10.45.0.2"
)

func TestWiredClaims(t *testing.T) {
	for claim, history := range map[string]func(p *play){
		"an Accounting-On of the same octets, within the window, ends what began since": func(p *play) {
			on := p.accounting(binding.NodeRestart, "", 0, "")
			on.Octets = 7
			p.tell(on)
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.holds(1, addr1)
			p.tell(on)
			p.unsure(1, addr1)
			p.tell(p.accounting(begins, "s2", 2, addr1))
			p.tell(p.accounting(goesOn, "s2", 2, addr1))
			p.holds(2, addr1)
		},
		"an Accounting-On is still known after a kill": func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(binding.NodeRestart, "", 0, ""))
			p.Kill(time.Second)
			p.unsure(1, addr1)
		},
		"a repetition does not undo a release, nor after a kill": func(p *play) {
			first := p.accounting(goesOn, "s1", 1, addr1)
			first.Octets, first.Delayed, first.Stamp = 7, false, p.clock.now().Add(3*time.Second)
			first.Aged, first.Age = true, 5*time.Second
			p.tell(first)
			p.Release(binding.Query{Addr: netip.MustParseAddr(addr1)})
			p.unsure(1, addr1)
			p.Kill(time.Second)
			p.unsure(1, addr1)
			p.tell(first)
			p.unsure(1, addr1)
			first.Octets, first.Delayed, first.Delay = 8, true, 10*time.Second
			p.tell(first)
			p.unsure(1, addr1)
			for range 9 { // until its clock is known again
				first.Octets, first.Stamp, first.Delay = 0, p.clock.now().Add(3*time.Second), 0
				first.Age = first.Stamp.Sub(p.setup.Start) + 2*time.Second
				p.tell(first)
			}
			p.holds(1, addr1)
		},
		"a released Gx session is not bound by a repetition after a kill": func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.Release(binding.Query{Addr: netip.MustParseAddr(addr1)})
			p.Kill(time.Second)
			again := p.credit(begins, pgw2, "g1", 1, 1, addr1)
			again.Repeated, again.Link = true, 4
			p.tell(again)
			p.unsure(1, addr1)
			later := p.credit(goesOn, pgw2, "g1", 2, 1, addr1)
			later.Link = 4
			p.tell(later)
			p.holds(1, addr1)
		},
		"a greater Origin-State-Id in the CER after a kill ends what the first CCR-I began": func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.holds(1, addr1)
			p.Kill(time.Second)
			p.tell(opened(pgw2, 4, 6))
			p.unsure(1, addr1)
		},
		"a greater Origin-State-Id in a DWR after a kill ends what the first CCR-I began": func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.Kill(time.Second)
			p.tell(opened(pgw2, 3, 6))
			p.unsure(1, addr1)
		},
		"a greater Origin-State-Id in a CCR of another session after a kill ends the first": func(p *play) {
			p.tell(p.credit(begins, pgw1, "g1", 1, 1, addr1))
			p.Kill(time.Second)
			other := p.credit(begins, pgw1, "g2", 1, 2, addr2)
			other.Link, other.OriginState = 4, 6
			p.tell(other)
			p.unsure(1, addr1)
			p.holds(2, addr2)
		},
		"the same Origin-State-Id after a kill ends nothing": func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.Kill(time.Second)
			p.tell(opened(pgw2, 4, 5))
			p.holds(1, addr1)
		},
		"a terminated Gx session does not come back after a kill, whatever is repeated": func(p *play) {
			p.tell(p.credit(begins, pgw1, "g1", 1, 1, addr1))
			p.tell(p.credit(goesOn, pgw1, "g1", 2, 1, addr1))
			p.tell(p.credit(ends, pgw1, "g1", 3, 1, ""))
			p.Kill(time.Second)
			for order, kind := range []binding.Kind{begins, goesOn} {
				again := p.credit(kind, pgw1, "g1", uint32(order)+1, 1, addr1)
				again.Link, again.Repeated = 4, true
				p.tell(again)
				p.unsure(1, addr1)
			}
		},
		"CC-Request-Number orders what a session holds, also after a kill": func(p *play) {
			p.tell(p.credit(begins, pgw1, "g1", 1, 1, addr1))
			moved := p.credit(goesOn, pgw1, "g1", 2, 1, addr2)
			p.tell(moved)
			p.holds(1, addr2)
			p.Kill(time.Second)
			again := p.credit(begins, pgw1, "g1", 1, 1, addr1)
			again.Link, again.Repeated = 4, true
			p.tell(again)
			p.unsure(1, addr1)
			later := p.credit(goesOn, pgw1, "g1", 3, 1, addr2)
			later.Link = 4
			p.tell(later)
			p.holds(1, addr2)
		},
		"another client by the same NAS-Identifier takes, ends and restarts nothing": func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			for _, kind := range []binding.Kind{begins, goesOn, ends, binding.NodeRestart} {
				w := p.accounting(kind, "s1", 2, addr1)
				w.Owner = "mallory"
				p.tell(w)
				p.not(2, addr1)
			}
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.holds(1, addr1)
		},
		"another client's restart of the same NAS-Identifier is not that NAS's": func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			on := p.accounting(binding.NodeRestart, "", 0, "")
			on.Owner = "mallory"
			p.tell(on)
			p.holds(1, addr1)
		},
		"a foreign Origin-Host takes, ends and restarts nothing": func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			for order, kind := range []binding.Kind{begins, goesOn, ends, binding.NodeRestart} {
				w := p.credit(kind, pgw2, "g1", uint32(order)+5, 2, addr1)
				w.Owner, w.Link, w.OriginState = "mallory", 6, 900
				p.tell(w)
				p.not(2, addr1)
			}
			p.tell(p.credit(goesOn, pgw2, "g1", 2, 1, addr1))
			p.holds(1, addr1)
		},
		"a Stop that comes by the other client of a group ends the session": func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.holds(1, addr1)
			last := p.accounting(ends, "s1", 1, "")
			last.Way = 1
			p.tell(last)
			p.unsure(1, addr1)
		},
		"a termination that comes by the other agent of a group ends the session": func(p *play) {
			p.tell(p.credit(begins, pgw1, "g1", 1, 1, addr1))
			last := p.credit(ends, pgw1, "g1", 2, 1, "")
			last.Way, last.Link = 1, 4
			p.tell(last)
			p.unsure(1, addr1)
		},
		"an Accounting-On by the other client of a group, after a kill, ends the sessions of both": func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			second := p.accounting(begins, "s2", 2, addr2)
			second.Way = 1
			p.tell(second)
			p.Kill(time.Second)
			on := p.accounting(binding.NodeRestart, "", 0, "")
			on.Way = 1
			p.tell(on)
			p.unsure(1, addr1)
			p.unsure(2, addr2)
		},
	} {
		t.Run(claim, func(t *testing.T) { history(newPlay(t)) })
	}
}
