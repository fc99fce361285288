package registry

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/simbind/simbind/binding"
)

// oracleConfig has short times, so that a history meets all of them.
var oracleConfig = Config{
	Capacity: 4096, MaxDelay: 40 * time.Second, Blind: 10 * time.Second, Lease: 60 * time.Second,
	LeaseGrace: 20 * time.Second,
	Linger:     8 * time.Second, LossTimeout: 10 * time.Second, TrustGap: time.Hour,
}

// oracleAddrs are reused by all; some lie in others.
var oracleAddrs = append(addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8:0:1::/64", "2001:db8:0:103::/64",
	"2001:db8:0:100::/56", "198.51.100.7"),
	ports("198.51.100.7", 1024, 2047), ports("198.51.100.7", 2048, 4095))

// askable are an address of each, for questions.
var askable = []binding.Query{ask("10.0.0.1", 0), ask("10.0.0.2", 0), ask("10.0.0.3", 0), ask("2001:db8:0:1::5", 0),
	ask("2001:db8:0:103::7", 0),
	ask("2001:db8:0:1ff::9", 0), ask("198.51.100.7", 80), ask("198.51.100.7", 1500), ask("198.51.100.7", 4000)}

func ask(addr string, port uint16) binding.Query {
	return binding.Query{Addr: netip.MustParseAddr(addr), Port: port}
}

// ports is a block that is one key of the index.
func ports(addr string, low, high uint16) binding.Address {
	a := addresses(addr)[0]
	a.PortLow, a.PortHigh = low, high
	return a
}

var oracleSIMs = []binding.Subscriber{
	{MSISDN: 491700000001, IMSI: 0x001010000000001F}, {MSISDN: 491700000002, IMSI: 0x001010000000002F},
	{MSISDN: 491700000003, IMSI: 0x00101000000003FF}, {MSISDN: 491700000004, IMSI: 0x001010000000004F},
	{MSISDN: 491700000004, IMSI: 0x001010000000005F}, // the number has got another card
}

// A step of a history: the clock goes on, then something is heard.
type step struct {
	wait    time.Duration
	ev      binding.Event
	restart bool // the daemon restarts
	release int  // an operator ends the binding of askable[release-1]
}

func (s step) String() string {
	if s.restart {
		return fmt.Sprintf("+%v daemon restart", s.wait)
	}
	if s.release != 0 {
		return fmt.Sprintf("+%v release %v", s.wait, askable[s.release-1])
	}
	e := s.ev
	return fmt.Sprintf("+%v %v %v/%s/%s t=%d age=%v who=%v/%v addrs=%v gone=%v complete=%v ctx=%b last=%v lease=%v",
		s.wait, e.Kind, e.Source, e.Node, e.Session,
		e.Time.Sub(rigEpoch)/time.Second, e.Age, e.MSISDN, e.IMSI, e.Addrs, e.Gone, e.Complete, e.Contexts, e.Last, e.Lease)
}

// A network makes up events: a few nodes, reused addresses and session ids, and
// a channel that delays, reorders, repeats and loses.
type network struct {
	r     *rand.Rand
	now   time.Time
	addrs []binding.Address // that sessions have
	held  []binding.Event   // on their way
	live  []binding.Event   // starts whose stop has not been made
}

func (n *network) next() step {
	wait := time.Duration(n.r.IntN(1500)) * time.Millisecond
	switch n.r.IntN(400) {
	case 0:
		wait = time.Duration(n.r.IntN(120)) * time.Second
	case 1, 2, 3, 4:
		wait = time.Duration(n.r.IntN(15)) * time.Second
	}
	n.now = n.now.Add(wait)
	// Nothing is on its way for longer than max_delay.
	n.held = slices.DeleteFunc(n.held, func(e binding.Event) bool {
		return n.now.Sub(e.Time) > oracleConfig.MaxDelay-5*time.Second
	})
	if n.r.IntN(300) == 0 {
		return step{wait: wait, restart: true}
	}
	if n.r.IntN(200) == 0 {
		return step{wait: wait, release: 1 + n.r.IntN(len(askable))}
	}
	for {
		n.held = append(n.held, n.make())
		switch n.r.IntN(20) {
		case 0: // lost
			n.held = n.held[:len(n.held)-1]
		case 1, 2: // delayed
		case 3: // repeated
			n.held = append(n.held, n.held[len(n.held)-1])
		}
		if len(n.held) > 0 && (len(n.held) > 12 || n.r.IntN(8) > 0) {
			i := len(n.held) - 1
			if n.r.IntN(6) == 0 {
				i = n.r.IntN(len(n.held))
			}
			ev := n.held[i]
			n.held = append(n.held[:i], n.held[i+1:]...)
			return step{wait: wait, ev: ev}
		}
	}
}

var oracleNodes = []struct {
	source binding.Source
	name   string
}{{binding.SourceRADIUS, "nas1"}, {binding.SourceRADIUS, "nas2"}, {binding.SourceGx, "pgw1"},
	{binding.SourcePFCP, "smf1"}}

func (n *network) make() binding.Event {
	k := oracleNodes[n.r.IntN(len(oracleNodes))]
	if n.r.IntN(3) > 0 {
		k = oracleNodes[n.r.IntN(2)*2] // nas1 and pgw1 see the same sessions most of the time
	}
	ev := binding.Event{Source: k.source, Node: k.name, Time: n.now.Truncate(time.Second)}
	switch k.name {
	case "smf1":
		ev.Observed = true
	case "nas2": // overheard, until it speaks to us too
		ev.Observed = n.r.IntN(200) > 0
	}
	switch p := n.r.IntN(100); {
	case p < 2:
		ev.Kind = binding.NodeRestart
	case p == 99 && n.r.IntN(4) == 0:
		return binding.Event{Kind: binding.NewsLost, Time: ev.Time}
	case p < 4:
		ev.Kind = binding.NodeDown + binding.Kind(n.r.IntN(2))
	case p < 40 || len(n.live) == 0:
		n.start(&ev)
	case p < 70:
		n.later(&ev, binding.SessionUpdate)
	default:
		n.later(&ev, binding.SessionStop)
	}
	return ev
}

func (n *network) start(ev *binding.Event) {
	who := oracleSIMs[n.r.IntN(len(oracleSIMs))]
	ev.Kind, ev.MSISDN, ev.IMSI = binding.SessionStart, who.MSISDN, who.IMSI
	switch n.r.IntN(12) {
	case 0:
		ev.MSISDN = 0
	case 1:
		ev.IMSI = 0
	}
	if ev.Source == binding.SourcePFCP && n.r.IntN(2) == 0 { // no User ID
		ev.MSISDN, ev.IMSI = 0, 0
	}
	ev.Session = "s" + strconv.Itoa(n.r.IntN(30))
	ev.Addrs = []binding.Address{n.addrs[n.r.IntN(len(n.addrs))]}
	if n.r.IntN(4) == 0 {
		ev.Addrs = append(ev.Addrs, n.addrs[n.r.IntN(len(n.addrs))])
		if ev.Addrs[0] == ev.Addrs[1] {
			ev.Addrs = ev.Addrs[:1]
		}
	}
	if n.r.IntN(15) == 0 {
		ev.Delay, ev.Delayed = time.Duration(n.r.IntN(20))*time.Second, true
	}
	if n.r.IntN(6) == 0 {
		ev.Contexts = 1 << (5 + n.r.IntN(2))
	}
	if n.r.IntN(20) == 0 {
		ev.Lease = time.Duration(5+n.r.IntN(30)) * time.Second
	}
	n.live = append(n.live, *ev)
	if len(n.live) > 24 {
		n.live = n.live[1:] // its stop is lost for good
	}
}

func (n *network) later(ev *binding.Event, kind binding.Kind) {
	i := n.r.IntN(len(n.live))
	was := n.live[i]
	at := ev.Time
	*ev = was
	ev.Kind, ev.Time, ev.Delay, ev.Delayed = kind, at, 0, false
	switch {
	case kind == binding.SessionStop:
		if n.r.IntN(2) == 0 {
			ev.Addrs = nil
		}
		ev.Last = n.r.IntN(3) == 0
		n.live = append(n.live[:i], n.live[i+1:]...)
	case n.r.IntN(3) == 0:
		ev.Addrs = nil
	case n.r.IntN(8) == 0:
		ev.Addrs, ev.Complete = []binding.Address{n.addrs[n.r.IntN(len(n.addrs))]}, true
		n.live[i].Addrs = ev.Addrs
	case n.r.IntN(12) == 0:
		ev.Gone, ev.Addrs = ev.Addrs, nil
	case n.r.IntN(8) == 0:
		ev.Age, ev.Aged = at.Sub(was.Time), true
	case n.r.IntN(25) == 0: // the session is another SIM's now
		who := oracleSIMs[n.r.IntN(len(oracleSIMs))]
		ev.MSISDN, ev.IMSI = who.MSISDN, who.IMSI
		n.live[i].MSISDN, n.live[i].IMSI = who.MSISDN, who.IMSI
	}
}

// A kind of history leaves things out.
type kind struct {
	flat   bool // no address lies in another one
	steady bool // the daemon does not restart
}

func (k kind) addrs() []binding.Address {
	if k.flat {
		return oracleAddrs[:4]
	}
	return oracleAddrs
}

func (k kind) history(seed uint64, length int) []step {
	n := &network{r: rand.New(rand.NewPCG(seed, 7)), now: rigEpoch, addrs: k.addrs()}
	history := make([]step, 0, length)
	for range length {
		if s := n.next(); !s.restart || !k.steady {
			history = append(history, s)
		}
	}
	return history
}
