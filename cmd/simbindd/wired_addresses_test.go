package main

import (
	"testing"
	"time"
)

// TestWiredAddresses is about addresses in others: framed routes, delegated
// prefixes, and blocks of ports (RFC 2865 section 5.22, RFC 4818, RFC 8045).
func TestWiredAddresses(t *testing.T) {
	const (
		whole56, part64, host3, host4 = "2001:db8:1::/56", "2001:db8:1:3::/64", "2001:db8:1:3::7", "2001:db8:1:4::7"
		block, other                  = addr1 + ":1024-2047", addr1 + ":4096-5119"
	)
	proveWired(t, manner{}, []wiredClaim{
		{"a delegated prefix is the SIM's as a whole", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1+" "+whole56))
			p.holds(1, host3)
			p.holds(1, host4)
			p.tell(p.accounting(ends, "s1", 1, ""))
			p.unsure(1, host3)
		}},
		{"a former holder of a delegated prefix does not return by the end of another's part of it", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, whole56))
			p.tell(p.accounting(begins, "s2", 2, part64))
			p.holds(2, host3)
			p.tell(p.accounting(ends, "s2", 2, ""))
			p.unsure(1, host3)
			p.tell(delayed(8*time.Second, p.accounting(goesOn, "s1", 1, whole56)))
			p.unsure(1, host3)
		}},
		{"nor is it believed about the rest of the prefix", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, whole56))
			p.tell(p.accounting(begins, "s2", 2, part64))
			p.unsure(1, host4)
		}},
		{"nor over Gx", func(p *play) {
			p.tell(p.credit(begins, pgw2, "g1", 1, 1, whole56))
			p.tell(p.credit(begins, pgw2, "g2", 1, 2, part64))
			p.holds(2, host3)
			p.tell(p.credit(ends, pgw2, "g2", 2, 2, ""))
			p.unsure(1, host3)
			p.unsure(1, host4)
		}},
		{"a wider prefix ends what lies inside of it", func(p *play) {
			p.tell(p.accounting(begins, "s2", 2, part64))
			p.tell(p.accounting(begins, "s1", 1, whole56))
			p.tell(p.accounting(goesOn, "s1", 1, whole56))
			p.holds(1, host3)
			p.holds(1, host4)
		}},
		{"a framed route is the SIM's, and given up with the session", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1+" 10.45.8.0/28"))
			p.holds(1, "10.45.8.9")
			p.tell(p.accounting(begins, "s2", 2, "10.45.8.9"))
			p.holds(2, "10.45.8.9")
			p.unsure(1, "10.45.8.10")
		}},
		{"a framed route as wide as the pool is no SIM's", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1+" 10.45.0.0/16"))
			p.unsure(1, "10.45.7.7")
			p.tell(p.accounting(begins, "s2", 2, addr2))
			p.holds(2, addr2)
		}},
		{"nor is one wider than /24, nor a prefix shorter than /48", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1+" 10.45.0.0/23 2001:db8::/47"))
			p.unsure(1, "10.45.1.7")
			p.unsure(1, "2001:db8::7")
			p.tell(p.accounting(begins, "s2", 2, addr2+" 10.45.1.0/24 2001:db8::/48"))
			p.holds(2, "10.45.1.7")
			p.holds(2, "2001:db8::7")
		}},
		{"of a block of ports each port is the SIM's, and the address is not", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, block))
			p.holds(1, addr1+":1500")
			p.unsure(1, addr1+":3000")
			p.tell(p.accounting(begins, "s2", 2, other))
			p.holds(1, addr1+":1500")
			p.holds(2, addr1+":5000")
			p.unsure(1, addr1)
			p.unsure(2, addr1)
		}},
		{"without a port nobody matches who had the whole address before blocks of it were others'", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, addr1))
			p.holds(1, addr1)
			p.tell(p.accounting(begins, "s2", 2, block))
			p.unsure(1, addr1)
			p.not(1, addr1+":1500")
			p.holds(2, addr1+":1500")
			p.tell(p.accounting(ends, "s2", 2, ""))
			p.unsure(1, addr1)
			p.unsure(1, addr1+":1500")
		}},
		{"blocks that overlap are one SIM's", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, block))
			p.tell(p.accounting(begins, "s2", 2, addr1+":2000-3000"))
			p.unsure(1, addr1+":1500")
			p.holds(2, addr1+":2010")
			p.tell(p.accounting(ends, "s2", 2, ""))
			p.unsure(1, addr1+":2010")
			p.unsure(1, addr1+":1500")
		}},
		{"a block that was deallocated is nobody's", func(p *play) {
			p.tell(p.accounting(begins, "s1", 1, block+" "+other))
			p.holds(1, addr1+":1500")
			freed := p.accounting(goesOn, "s1", 1, "")
			freed.Gone = append(freed.Gone, addressOf(block))
			p.tell(freed)
			p.unsure(1, addr1+":1500")
			p.holds(1, addr1+":5000")
		}},
	})
}
