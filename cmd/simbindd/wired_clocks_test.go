package main

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/worldtest"
)

// TestWiredClocks is about what a NAS says of time: RFC 2869 section 5.3, RFC
// 2866 sections 5.2 and 5.7.
func TestWiredClocks(t *testing.T) {
	proveWired(t, manner{}, []wiredClaim{
		{"a Stop after the clock was set back by three seconds ends the session", func(p *play) {
			stopAfterStep(p, -3*time.Second)
		}},
		{"a Stop after the clock was set back by an hour ends the session", func(p *play) {
			stopAfterStep(p, -time.Hour)
		}},
		{"a Stop after the clock was set back by a day ends the session", func(p *play) {
			stopAfterStep(p, -24*time.Hour)
		}},
		{"a Stop after the clock was set ahead by an hour ends the session", func(p *play) {
			stopAfterStep(p, time.Hour)
		}},
		{"a Start stamped 20 h ahead outlives no later session", func(p *play) {
			p.chat()
			p.ahead = 20 * time.Hour
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			p.ahead = 0
			p.tell(p.stamped(p.accounting(begins, "s2", 2, addr1)))
			p.not(1, addr1)
			p.chat()
			p.tell(p.stamped(p.accounting(goesOn, "s2", 2, addr1)))
			p.holds(2, addr1)
		}},
		{"a Start stamped 20 h ahead outlives no Accounting-On", func(p *play) {
			p.chat()
			p.ahead = 20 * time.Hour
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			p.ahead = 0
			p.tell(p.stamped(p.accounting(binding.NodeRestart, "", 0, "")))
			p.unsure(1, addr1)
		}},
		{"an Accounting-On stamped 20 h ahead locks nobody out", func(p *play) {
			p.chat()
			p.ahead = 20 * time.Hour
			p.tell(p.stamped(p.accounting(binding.NodeRestart, "", 0, "")))
			p.ahead = 0
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			p.chat()
			p.tell(p.stamped(p.accounting(goesOn, "s1", 1, addr1)))
			p.holds(1, addr1)
		}},
		{"a repetition by a clock four minutes behind takes no address", func(p *play) {
			p.ahead = -4 * time.Minute
			p.chat()
			first := p.stamped(p.accounting(begins, "s1", 1, addr1))
			p.tell(first)
			p.tell(p.stamped(p.accounting(ends, "s1", 1, "")))
			p.tell(p.stamped(p.accounting(begins, "s2", 2, addr1)))
			p.tell(p.stamped(p.accounting(goesOn, "s2", 2, addr1)))
			p.holds(2, addr1)
			p.tell(delayed(12*time.Second, first))
			p.holds(2, addr1)
		}},
		{"a clock that is set does not hinder the lease", func(p *play) {
			p.chat()
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			p.ahead = -time.Hour
			for range 14 {
				p.wait(2 * time.Hour)
				p.tell(p.stamped(p.accounting(goesOn, "s1", 1, addr1)))
			}
			p.holds(1, addr1)
		}},
		{"an Interim whose stamp lies between those of a repeated Stop does not revive", func(p *play) {
			p.chat()
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			last := p.stamped(p.accounting(ends, "s1", 1, ""))
			p.wait(20 * time.Second)
			between := p.stamped(p.accounting(goesOn, "s1", 1, addr1))
			p.wait(20 * time.Second)
			p.tell(delayed(43*time.Second, last))
			p.unsure(1, addr1)
			p.tell(delayed(23*time.Second, between))
			p.unsure(1, addr1)
		}},
		{"a late Start does not revive nearly max_delay after the Stop", func(p *play) {
			p.chat()
			first := p.stamped(p.accounting(begins, "s1", 1, addr1))
			p.tell(first)
			p.tell(p.stamped(p.accounting(ends, "s1", 1, "")))
			for range 9 {
				p.wait(27 * time.Second)
				p.tell(p.stamped(p.accounting(goesOn, "chat", 9, "")))
			}
			p.tell(delayed(maxDelay-20*time.Second, first))
			p.unsure(1, addr1)
		}},
		{"what a proxy kept while we were away ends in a match with the next word", func(p *play) {
			p.chat()
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			p.wait(3 * time.Second)
			kept := []worldtest.Word{p.stamped(p.accounting(goesOn, "s1", 1, addr1))}
			p.wait(3 * time.Second)
			kept = append(kept, p.stamped(p.accounting(ends, "s1", 1, "")))
			p.wait(3 * time.Second)
			kept = append(kept, p.stamped(p.accounting(begins, "s2", 2, addr1)))
			p.Kill(20 * time.Second)
			for i, w := range kept {
				p.tellIn(100*time.Millisecond, delayed(time.Duration(26-3*i)*time.Second, w))
			}
			p.not(1, addr1)
			p.chat()
			p.tell(p.stamped(p.accounting(goesOn, "s2", 2, addr1)))
			p.holds(2, addr1)
		}},
		{"Acct-Delay-Time without Event-Timestamp is true to a second and no more", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.wait(10 * time.Second)
			between := delayed(3*time.Second, p.accounting(goesOn, "s1", 1, addr1)) // of now
			p.tellIn(500*time.Millisecond, p.accounting(ends, "s1", 1, ""))
			p.unsure(1, addr1)
			p.tellIn(3400*time.Millisecond, between)
			p.unsure(1, addr1)
		}},
		{"Acct-Delay-Time without Event-Timestamp orders what is seconds apart", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(ends, "s1", 1, ""))
			p.wait(10 * time.Second)
			p.tell(delayed(2*time.Second, p.accounting(begins, "s2", 2, addr1)))
			p.holds(2, addr1)
		}},
		{"an Interim with a smaller Acct-Session-Time than the Stop's does not revive, with no time told", func(p *play) {
			p.tell(mute(p.accounting(begins, "s1", 1, addr1)))
			p.wait(600 * time.Second)
			p.tell(mute(aged(600*time.Second, p.accounting(ends, "s1", 1, ""))))
			p.unsure(1, addr1)
			p.tell(mute(aged(590*time.Second, p.accounting(goesOn, "s1", 1, addr1))))
			p.unsure(1, addr1)
		}},
		{"a NAS that tells no time is in doubt for blind_delay after a change, and no longer", func(p *play) {
			p.tell(mute(p.accounting(begins, "s1", 1, addr1)))
			p.tell(mute(p.accounting(ends, "s1", 1, "")))
			p.tell(mute(p.accounting(begins, "s2", 2, addr1)))
			p.unsure(2, addr1)
			p.wait(30 * time.Second)
			p.tell(mute(p.accounting(goesOn, "s2", 2, addr1)))
			p.holds(2, addr1)
		}},
	})
}

// stopAfterStep has a session stop, and another SIM come, after a clock was set.
func stopAfterStep(p *play, step time.Duration) {
	p.t.Helper()
	p.chat()
	p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
	p.holds(1, addr1)
	p.ahead += step
	p.tell(p.stamped(p.accounting(ends, "s1", 1, "")))
	p.unsure(1, addr1)
	p.tell(p.stamped(p.accounting(begins, "s2", 2, addr1)))
	p.not(1, addr1)
	p.chat()
	p.tell(p.stamped(p.accounting(goesOn, "s2", 2, addr1)))
	p.holds(2, addr1)
}

// TestWiredRadSec is about accounting over TLS, where nobody tells how long TCP
// held a request.
func TestWiredRadSec(t *testing.T) {
	proveWired(t, manner{radsec: true}, []wiredClaim{
		{"a session comes and goes", func(p *play) {
			p.chat()
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			p.holds(1, addr1)
			p.tell(p.stamped(p.accounting(ends, "s1", 1, "")))
			p.unsure(1, addr1)
		}},
		{"its NAS is that of the other client of its group, which comes by UDP", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.holds(1, addr1)
			last := p.accounting(ends, "s1", 1, "")
			last.Way = 1
			p.tell(last)
			p.unsure(1, addr1)
		}},
		{"an Interim without time that TCP may have held for two minutes does not revive", func(p *play) {
			p.tell(mute(p.accounting(begins, "s1", 1, addr1)))
			p.tell(mute(p.accounting(ends, "s1", 1, "")))
			p.wait(2 * time.Minute)
			p.tell(mute(p.accounting(goesOn, "s1", 1, addr1)))
			p.unsure(1, addr1)
			p.wait(maxDelay - 2*time.Minute)
			p.tell(mute(p.accounting(goesOn, "s1", 1, addr1)))
			p.holds(1, addr1)
		}},
		{"nor does one with the Acct-Delay-Time of when it was handed over", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.tell(p.accounting(ends, "s1", 1, ""))
			p.wait(2 * time.Minute)
			p.tell(delayed(time.Second, p.accounting(goesOn, "s1", 1, addr1)))
			p.unsure(1, addr1)
		}},
		{"a stamp tells how long TCP held a request", func(p *play) {
			p.chat()
			p.tell(p.stamped(p.accounting(begins, "s1", 1, addr1)))
			between := p.stamped(p.accounting(goesOn, "s1", 1, addr1))
			p.wait(5 * time.Second)
			p.tell(p.stamped(p.accounting(ends, "s1", 1, "")))
			p.tell(between)
			p.unsure(1, addr1)
			p.tell(p.stamped(p.accounting(begins, "s2", 2, addr1)))
			p.holds(2, addr1)
		}},
	})
}
