package main

import (
	"fmt"
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
// protocol and uses their names. The client "bng" has a NAS with two names.
type play struct {
	*wired
	octets uint64
	ahead  time.Duration // the clock of the NAS, of ours
}

const (
	nasName  = "nas1"
	bngName  = "bng1"
	bngAddr  = "192.0.2.1"
	pgw1     = "pgw1.example" // behind two agents
	pgw2     = "pgw2.example" // a peer itself
	maxDelay = 5 * time.Minute
)

func newPlay(t *testing.T, m manner) *play {
	m.process = true
	subject := newWired(t, m)(worldtest.Setup{
		Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Capacity: 100, Lease: 24 * time.Hour,
		Domains: []worldtest.Domain{{
			Name: "internet", APNs: []string{"internet"}, Pools: []netip.Prefix{
				netip.MustParsePrefix("10.45.0.0/16"), netip.MustParsePrefix("2001:db8::/32"),
			},
		}},
		Speakers: []worldtest.Speaker{
			{Source: binding.SourceRADIUS, Owner: "nas", Node: nasName, Ways: 2},
			{Source: binding.SourceRADIUS, Owner: "mallory", Node: nasName, Ways: 1},
			{Source: binding.SourceRADIUS, Owner: "bng", Node: bngName, Also: bngAddr, Ways: 1},
			{Source: binding.SourceGx, Owner: "agents", Node: pgw1, Ways: 2, Agent: true},
			{Source: binding.SourceGx, Owner: pgw2, Node: pgw2, Ways: 1},
			{Source: binding.SourceGx, Owner: "mallory", Node: pgw2, Ways: 1, Agent: true},
		},
	})
	p := &play{wired: subject.(*wired)}
	t.Cleanup(func() { p.Close() })
	return p
}

// A wiredClaim is one sentence of what must hold, and the shortest history of
// octets that shows it.
type wiredClaim struct {
	name string
	tell func(p *play)
}

func proveWired(t *testing.T, m manner, claims []wiredClaim) {
	t.Helper()
	for _, c := range claims {
		t.Run(c.name, func(t *testing.T) { c.tell(newPlay(t, m)) })
	}
}

// tell lets three seconds pass, and then a word be heard that was said just now.
func (p *play) tell(w worldtest.Word) { p.tellIn(3*time.Second, w) }

// tellIn lets time pass, and then a word be heard. Its octets are new ones unless
// it has some.
func (p *play) tellIn(d time.Duration, w worldtest.Word) {
	if p.octets++; w.Octets == 0 {
		w.Octets = 1000 + p.octets
	}
	p.HearWord(&w, p.clock.now().Add(d))
}

// wait lets time pass in which nobody speaks.
func (p *play) wait(d time.Duration) { p.Advance(p.clock.now().Add(d)) }

// stamped is a word of the NAS with its clock's time of three seconds from now,
// when it is told.
func (p *play) stamped(w worldtest.Word) worldtest.Word {
	w.Stamp = p.clock.now().Add(3*time.Second + p.ahead).Truncate(time.Second)
	return w
}

// chat has the NAS speak of a session that nobody asks for, until its clock is
// known.
func (p *play) chat() {
	for range 9 {
		p.tell(p.stamped(p.accounting(goesOn, "chat", 9, "")))
	}
}

// delayed is a word that was first said so long ago.
func delayed(d time.Duration, w worldtest.Word) worldtest.Word {
	w.Delay, w.Delayed = d, true
	return w
}

// aged is a word that says how old its session is.
func aged(d time.Duration, w worldtest.Word) worldtest.Word {
	w.Age, w.Aged = d, true
	return w
}

// mute is a word that tells no time.
func mute(w worldtest.Word) worldtest.Word {
	w.Delayed = false
	return w
}

// nobodys is a word that names no SIM.
func nobodys(w worldtest.Word) worldtest.Word {
	w.IMSI, w.MSISDN = 0, 0
	return w
}

// named is a word with another number of the SIM.
func named(n binding.MSISDN, w worldtest.Word) worldtest.Word {
	w.MSISDN = n
	return w
}

// bearer is a word that is of a bearer context.
func bearer(nsapi int, w worldtest.Word) worldtest.Word {
	w.Contexts = 1 << nsapi
	return w
}

// accounting is a word of a NAS about a SIM's session at addresses.
func (p *play) accounting(kind binding.Kind, session string, sim int, addrs string) worldtest.Word {
	w := worldtest.Word{
		Kind: kind, Source: binding.SourceRADIUS, Owner: "nas", Node: nasName, Session: session,
		Delayed: true,
	}
	return p.about(w, sim, addrs)
}

// by is a word by the names of the NAS with two.
func by(node, also string, w worldtest.Word) worldtest.Word {
	w.Owner, w.Node, w.Also = "bng", node, also
	return w
}

// credit is a word of a node over Gx.
func (p *play) credit(kind binding.Kind, node, session string, order uint32, sim int, addrs string) worldtest.Word {
	w := worldtest.Word{
		Kind: kind, Source: binding.SourceGx, Owner: node, Node: node, Session: session, Order: order, OriginState: 5, Link: 2,
	}
	if node == pgw1 {
		w.Owner = "agents"
	}
	return p.about(w, sim, addrs)
}

func (p *play) about(w worldtest.Word, sim int, addrs string) worldtest.Word {
	if w.Kind == binding.NodeRestart {
		w.Session = ""
		return w
	}
	w.APN, w.MSISDN, w.IMSI = "internet", numberOf(sim), binding.IMSI(0)
	w.IMSI, _ = binding.ParseIMSI(strings.Repeat("0", 12) + "10" + string(rune('0'+sim)))
	for s := range strings.FieldsSeq(addrs) {
		w.Addrs = append(w.Addrs, addressOf(s))
	}
	return w
}

// addressOf reads an address, a prefix, or a block of ports of an IPv4 address.
func addressOf(s string) (a binding.Address) {
	if before, block, ok := strings.Cut(s, ":"); ok && strings.Contains(before, ".") {
		if _, err := fmt.Sscanf(block, "%d-%d", &a.PortLow, &a.PortHigh); err != nil {
			panic(err)
		}
		s = before
	}
	if strings.Contains(s, "/") {
		a.Prefix = netip.MustParsePrefix(s)
		return a
	}
	addr := netip.MustParseAddr(s)
	a.Prefix = netip.PrefixFrom(addr, addr.BitLen())
	return a
}

func numberOf(sim int) binding.MSISDN { return binding.MSISDN(491700000000 + sim) }

// opened is a connection that is made again, after which a node has another
// Origin-State-Id.
func opened(node string, link uint64, state uint32) worldtest.Word {
	return worldtest.Word{Kind: binding.NodeUp, Source: binding.SourceGx, Owner: node, Node: node, Link: link, State: state}
}

// is the verdict on a number at an address, or at an IPv4 address and port.
func (p *play) is(n binding.MSISDN, at string) string {
	q := binding.Query{Domain: "internet"}
	if point, err := netip.ParseAddrPort(at); err == nil && point.Addr().Is4() {
		q.Addr, q.Port = point.Addr(), point.Port()
	} else {
		q.Addr = netip.MustParseAddr(at)
	}
	a := p.Verify(q, binding.Number{MSISDN: n})
	return a.Verdict.String() + " " + a.Reason.String()
}

// holds demands that a SIM, and no other, is known to hold an address.
func (p *play) holds(sim int, at string) {
	p.t.Helper()
	if got := p.is(numberOf(sim), at); got != "match bound" {
		p.t.Errorf("SIM %d at %s: %s", sim, at, got)
	}
	if got := p.is(numberOf(sim)+100, at); got != "mismatch other-number" {
		p.t.Errorf("nobody's number at %s: %s", at, got)
	}
}

// unsure demands that nobody is said to hold an address, a SIM least of all.
func (p *play) unsure(sim int, at string) {
	p.t.Helper()
	if got := p.is(numberOf(sim), at); strings.HasPrefix(got, "match") || strings.HasPrefix(got, "mismatch") {
		p.t.Errorf("SIM %d at %s: %s", sim, at, got)
	}
}

// not demands that a SIM is not said to hold an address.
func (p *play) not(sim int, at string) {
	p.t.Helper()
	if got := p.is(numberOf(sim), at); strings.HasPrefix(got, "match") {
		p.t.Errorf("SIM %d at %s: %s", sim, at, got)
	}
}

const (
	begins, goesOn, ends = binding.SessionStart, binding.SessionUpdate, binding.SessionStop
	addr1, addr2         = "10.45.0.1", "10.45.0.2"
)
