package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

func TestWiredOwnersAndKills(t *testing.T) {
	proveWired(t, manner{}, []wiredClaim{
		{"an Accounting-On of the same octets, within the window, ends what began since", func(p *play) {
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
		}},
		{"an Accounting-On is still known after a kill", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(binding.NodeRestart, "", 0, ""))
			p.Kill(time.Second)
			p.unsure(1, addr1)
		}},
		{"a repetition does not undo a release, nor after a kill", func(p *play) {
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
		}},
		{"a released Gx session is not bound by a repetition after a kill", func(p *play) {
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
		}},
		{"a greater Origin-State-Id in the CER after a kill ends what the first CCR-I began", func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.holds(1, addr1)
			p.Kill(time.Second)
			p.tell(opened(pgw2, 4, 6))
			p.unsure(1, addr1)
		}},
		{"a greater Origin-State-Id in a DWR after a kill ends what the first CCR-I began", func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.Kill(time.Second)
			p.tell(opened(pgw2, 3, 6))
			p.unsure(1, addr1)
		}},
		{"a greater Origin-State-Id in a CCR of another session after a kill ends the first", func(p *play) {
			p.tell(p.credit(begins, pgw1, "g1", 1, 1, addr1))
			p.Kill(time.Second)
			other := p.credit(begins, pgw1, "g2", 1, 2, addr2)
			other.Link, other.OriginState = 4, 6
			p.tell(other)
			p.unsure(1, addr1)
			p.holds(2, addr2)
		}},
		{"the same Origin-State-Id after a kill ends nothing", func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.Kill(time.Second)
			p.tell(opened(pgw2, 4, 5))
			p.holds(1, addr1)
		}},
		{"a terminated Gx session does not come back after a kill, whatever is repeated", func(p *play) {
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
		}},
		{"CC-Request-Number orders what a session holds, also after a kill", func(p *play) {
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
		}},
		{"another client by the same NAS-Identifier takes, ends and restarts nothing", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			for _, kind := range []binding.Kind{begins, goesOn, ends, binding.NodeRestart} {
				w := p.accounting(kind, "s1", 2, addr1)
				w.Owner = "mallory"
				p.tell(w)
				p.not(2, addr1)
			}
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.holds(1, addr1)
		}},
		{"another client's restart of the same NAS-Identifier is not that NAS's", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			on := p.accounting(binding.NodeRestart, "", 0, "")
			on.Owner = "mallory"
			p.tell(on)
			p.holds(1, addr1)
		}},
		{"a foreign Origin-Host takes, ends and restarts nothing", func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			for order, kind := range []binding.Kind{begins, goesOn, ends, binding.NodeRestart} {
				w := p.credit(kind, pgw2, "g1", uint32(order)+5, 2, addr1)
				w.Owner, w.Link, w.OriginState = "mallory", 6, 900
				p.tell(w)
				p.not(2, addr1)
			}
			p.tell(p.credit(goesOn, pgw2, "g1", 2, 1, addr1))
			p.holds(1, addr1)
		}},
		{"a Stop that comes by the other client of a group ends the session", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.holds(1, addr1)
			last := p.accounting(ends, "s1", 1, "")
			last.Way = 1
			p.tell(last)
			p.unsure(1, addr1)
		}},
		{"a termination that comes by the other agent of a group ends the session", func(p *play) {
			p.tell(p.credit(begins, pgw1, "g1", 1, 1, addr1))
			last := p.credit(ends, pgw1, "g1", 2, 1, "")
			last.Way, last.Link = 1, 4
			p.tell(last)
			p.unsure(1, addr1)
		}},
		{"an Accounting-On by the other client of a group, after a kill, ends the sessions of both", func(p *play) {
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
		}},
	})
}
