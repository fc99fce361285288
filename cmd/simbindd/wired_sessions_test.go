package main

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestWiredSessions is about ends, ids that are used again, and who a session is
// of.
func TestWiredSessions(t *testing.T) {
	proveWired(t, manner{}, []wiredClaim{
		{"a delayed Interim brings no former holder back whose Stop was lost", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(begins, "s2", 2, addr1))
			p.holds(2, addr1)
			p.tell(p.accounting(ends, "s2", 2, ""))
			p.unsure(1, addr1)
			p.tell(delayed(8*time.Second, p.accounting(goesOn, "s1", 1, addr1)))
			p.unsure(1, addr1)
		}},
		{"a Stop of an unknown session ends who had its address before", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(ends, "s9", 2, addr1))
			p.unsure(1, addr1)
			p.tell(delayed(5*time.Second, p.accounting(goesOn, "s1", 1, addr1)))
			p.unsure(1, addr1)
		}},
		{"a Stop of an unknown session ends nobody who came after it", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.wait(time.Minute)
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.tell(delayed(40*time.Second, p.accounting(ends, "s9", 2, addr1)))
			p.holds(1, addr1)
		}},
		{"an Accounting-On by the address alone is of the NAS that named itself by both", func(p *play) {
			p.tell(by(bngName, bngAddr, p.accounting(begins, "s1", 1, addr1)))
			p.holds(1, addr1)
			p.tell(by(bngAddr, "", p.accounting(binding.NodeRestart, "", 0, "")))
			p.unsure(1, addr1)
		}},
		{"a Stop by the address alone ends what the identifier alone began", func(p *play) {
			p.tell(by(bngName, bngAddr, p.accounting(goesOn, "s9", 9, "")))
			p.tell(by(bngName, "", p.accounting(begins, "s1", 1, addr1)))
			p.holds(1, addr1)
			p.tell(by(bngAddr, "", p.accounting(ends, "s1", 1, "")))
			p.unsure(1, addr1)
		}},
		{"so it does after a kill", func(p *play) {
			p.tell(by(bngName, bngAddr, p.accounting(goesOn, "s9", 9, "")))
			p.tell(by(bngName, "", p.accounting(begins, "s1", 1, addr1)))
			p.Kill(time.Second)
			p.tell(by(bngAddr, "", p.accounting(ends, "s1", 1, "")))
			p.unsure(1, addr1)
		}},
		{"a Start that names nobody inherits no SIM by its session's id", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.wait(time.Minute)
			p.tell(nobodys(p.accounting(begins, "s1", 0, addr1)))
			p.unsure(1, addr1)
		}},
		{"an Interim that says that its session began later inherits no SIM", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.wait(10 * time.Minute)
			p.tell(aged(5*time.Second, nobodys(p.accounting(goesOn, "s1", 0, addr1))))
			p.unsure(1, addr1)
		}},
		{"a session with an id of before inherits no address of another family", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.wait(time.Minute)
			p.tell(p.accounting(begins, "s1", 2, "2001:db8:5::/64"))
			p.holds(2, "2001:db8:5::7")
			p.not(1, addr1)
			p.not(2, addr1)
		}},
		{"a change of number counts though it was repeated with Acct-Delay-Time", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.wait(time.Minute)
			p.tell(delayed(10*time.Second, named(numberOf(5), p.accounting(goesOn, "s1", 1, addr1))))
			p.holds(5, addr1)
			p.not(1, addr1)
		}},
		{"an older number never returns", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.wait(time.Minute)
			p.tell(named(numberOf(5), p.accounting(goesOn, "s1", 1, addr1)))
			p.holds(5, addr1)
			p.tell(delayed(20*time.Second, p.accounting(goesOn, "s1", 1, addr1)))
			p.holds(5, addr1)
		}},
		{"the last Stop of a session whose 3GPP-NSAPI changed ends it", func(p *play) {
			p.tell(bearer(5, p.accounting(begins, "s1", 1, addr1)))
			p.tell(bearer(6, p.accounting(goesOn, "s1", 1, addr1)))
			p.holds(1, addr1)
			p.tell(bearer(6, p.accounting(ends, "s1", 1, "")))
			p.unsure(1, addr1)
		}},
		{"a Stop of one bearer context of several ends the others not", func(p *play) {
			p.tell(bearer(5, p.accounting(begins, "s1", 1, addr1)))
			p.tell(bearer(6, p.accounting(begins, "s2", 1, addr1)))
			p.tell(bearer(6, p.accounting(ends, "s2", 1, "")))
			p.tell(bearer(5, p.accounting(goesOn, "s1", 1, addr1)))
			p.holds(1, addr1)
		}},
		{"3GPP-Session-Stop-Indicator ends all bearer contexts", func(p *play) {
			p.tell(bearer(5, p.accounting(begins, "s1", 1, addr1)))
			p.tell(bearer(6, p.accounting(begins, "s2", 1, addr1)))
			last := bearer(6, p.accounting(ends, "s2", 1, ""))
			last.Last = true
			p.tell(last)
			p.unsure(1, addr1)
		}},
		{"a SIM that attaches anew by CCR-I has lost its old address", func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.holds(1, addr1)
			p.tell(p.credit(begins, pgw2, "g2", 1, 1, addr2))
			p.unsure(1, addr1)
			p.holds(1, addr2)
		}},
		{"a number that several SIMs have at once matches by a reason of its own", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.holds(1, addr1)
			p.tell(named(numberOf(1), p.accounting(begins, "s2", 2, addr2)))
			for _, at := range []string{addr1, addr2} {
				if got := p.is(numberOf(1), at); got != "match multi-sim" {
					p.t.Errorf("at %s: %s", at, got)
				}
			}
		}},
	})
}

// TestWiredSources is about one session that RADIUS and Gx both tell of, and
// about two gateways that contradict each other.
func TestWiredSources(t *testing.T) {
	proveWired(t, manner{}, []wiredClaim{
		{"after another source's end no word from before it confirms", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.holds(1, addr1)
			p.tell(p.credit(ends, pgw2, "g1", 2, 1, ""))
			p.unsure(1, addr1)
			p.wait(time.Minute)
			p.unsure(1, addr1)
			p.tell(delayed(70*time.Second, p.accounting(goesOn, "s1", 1, addr1)))
			p.unsure(1, addr1)
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.holds(1, addr1)
		}},
		{"nor does an old repetition by a clock that is ahead", func(p *play) {
			p.ahead = time.Hour
			p.chat()
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			old := p.stamped(p.accounting(goesOn, "s1", 1, addr1))
			p.tell(old)
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.tell(p.credit(ends, pgw2, "g1", 2, 1, ""))
			p.unsure(1, addr1)
			p.tell(old)
			p.unsure(1, addr1)
			p.tell(delayed(15*time.Second, old))
			p.unsure(1, addr1)
		}},
		{"two sources that tell of one change within a second end in a match", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			const moment = 100 * time.Millisecond
			p.tellIn(moment, p.accounting(ends, "s1", 1, ""))
			p.tellIn(moment, p.accounting(begins, "s2", 2, addr1))
			p.not(1, addr1)
			p.tellIn(moment, p.credit(ends, pgw2, "g1", 2, 1, ""))
			p.tellIn(moment, p.credit(begins, pgw2, "g2", 1, 2, addr1))
			p.not(1, addr1)
			p.wait(time.Hour)
			p.tell(p.accounting(goesOn, "s2", 2, addr1))
			p.holds(2, addr1)
		}},
		{"a conflict outlives its release until both have spoken, and then goes on", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.credit(begins, pgw2, "g2", 1, 2, addr1))
			p.unsure(1, addr1)
			p.unsure(2, addr1)
			p.Release(binding.Query{Addr: addressOf(addr1).Prefix.Addr()})
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.unsure(1, addr1)
			p.tell(p.credit(goesOn, pgw2, "g2", 2, 2, addr1))
			p.unsure(1, addr1)
			p.unsure(2, addr1)
		}},
		{"a conflict ends with an end", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.credit(begins, pgw2, "g2", 1, 2, addr1))
			p.unsure(1, addr1)
			p.tell(p.credit(ends, pgw2, "g2", 2, 2, ""))
			p.tell(p.accounting(goesOn, "s1", 1, addr1))
			p.holds(1, addr1)
		}},
		{"a CCR-U that says it was sent before confirms nothing", func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, addr1))
			p.Release(binding.Query{Addr: addressOf(addr1).Prefix.Addr()})
			again := p.credit(goesOn, pgw2, "g1", 1, 1, addr1)
			again.Repeated = true
			p.tell(again)
			p.unsure(1, addr1)
			p.tell(p.credit(goesOn, pgw2, "g1", 2, 1, addr1))
			p.holds(1, addr1)
		}},
	})
}
