package registry

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A claim is one sentence of what must hold, and the shortest history that
// shows it.
type claim struct {
	name string
	tell func(w *tale)
}

// prove tells each claim's history.
func prove(t *testing.T, claims []claim) {
	t.Helper()
	for _, c := range claims {
		t.Run(c.name, func(t *testing.T) {
			w := newTale(t, taleConfig)
			c.tell(w)
			w.fit()
		})
	}
}

// taleConfig has all times as they are by default, but for a lease that a
// history can wait for, and room for little.
var taleConfig = Config{
	Capacity: 64, Lease: time.Hour, LeaseGrace: 10 * time.Minute, Domains: []binding.Domain{
		{Name: "default", APNs: []string{"*"}, Pools: prefixes("10.0.0.0/16", "198.51.100.0/24", "2001:db8::/32")},
	},
}

// A tale is a history told to a Registry, word by word, on a hand-turned clock.
// Each word is committed at once, as a peer is answered after the commit.
type tale struct {
	*rig
	t        testing.TB
	gateways []*gateway
	links    uint64
}

func newTale(t testing.TB, c Config) *tale {
	return &tale{rig: newRig(t, c), t: t}
}

// configure starts the tale anew with another configuration.
func (w *tale) configure(change func(*Config)) {
	c := taleConfig
	change(&c)
	w.rig = newRig(w.t, c)
}

// wait lets time pass in which nobody speaks.
func (w *tale) wait(d time.Duration) {
	w.now = w.now.Add(d)
	w.sweepAll()
	w.commit(w.t)
}

// sweeps lets the sweep find what a word could not.
func (w *tale) sweeps() {
	w.wait(0)
	w.wait(0)
}

// pass lets time pass in which every gateway speaks of some session every ten
// seconds, so that its clock stays known.
func (w *tale) pass(d time.Duration) {
	for ; d > 0; d -= 10 * time.Second {
		w.now = w.now.Add(min(d, 10*time.Second))
		for _, n := range w.gateways {
			n.chat()
		}
	}
	w.wait(0)
}

// crash kills the daemon, which comes back after a time. What was committed is
// all that it knows then. Connections are new ones.
func (w *tale) crash(gap time.Duration) {
	w.now = w.now.Add(gap)
	w.boot(w.t, w.cfg)
	for _, n := range w.gateways {
		if n.link != 0 {
			w.links++
			n.link = w.links
		}
	}
}

// fit fails the test if something does not fit together in the memory.
func (w *tale) fit() {
	w.t.Helper()
	if fault := w.audit(); fault != "" {
		w.t.Error(fault)
	}
}

// A gateway is a node that speaks: by datagrams that its clock stamps to a
// whole second, or by a link.
type gateway struct {
	w      *tale
	source binding.Source
	owner  string
	name   string
	also   string        // a second name that it gives beside
	ahead  time.Duration // its clock, of ours
	mute   bool          // it tells no time
	link   uint64
	seen   bool // it is only overheard
	origin uint32
}

// nas is a RADIUS client whose clock is known well.
func (w *tale) nas(name string) *gateway {
	n := w.newNAS(name)
	n.settle()
	return n
}

// newNAS is a RADIUS client that was never heard.
func (w *tale) newNAS(name string) *gateway {
	n := &gateway{w: w, source: binding.SourceRADIUS, owner: "client " + name, name: name}
	w.gateways = append(w.gateways, n)
	return n
}

// pgw is a Diameter peer.
func (w *tale) pgw(name string) *gateway {
	w.links++
	n := &gateway{w: w, source: binding.SourceGx, owner: "peer " + name, name: name, link: w.links}
	w.gateways = append(w.gateways, n)
	return n
}

// tapped is a node of a source that is only overheard.
func (w *tale) tapped(source binding.Source, name string) *gateway {
	w.links++
	n := &gateway{w: w, source: source, name: name, link: w.links, seen: true}
	w.gateways = append(w.gateways, n)
	return n
}

// as is the same node by another way, or under another name.
func (n *gateway) as(change func(*gateway)) *gateway {
	other := *n
	change(&other)
	return &other
}

// chat has the gateway speak of a session that nobody asks for.
func (n *gateway) chat() {
	n.update("chat", noSIM, "")
	n.w.commit(n.w.t)
}

// settle has it speak until its clock is known.
func (n *gateway) settle() {
	for range 8 {
		n.w.now = n.w.now.Add(time.Second)
		n.chat()
	}
	n.w.now = n.w.now.Add(3 * time.Second)
}

// A detail is what else a word says.
type detail func(n *gateway, ev *binding.Event)

// late is a word that was sent so long ago.
func late(d time.Duration) detail {
	return func(n *gateway, ev *binding.Event) {
		if !ev.Time.IsZero() {
			ev.Time = n.clock(n.w.now.Add(-d))
		}
	}
}

// stamped is a word whose stamp is so far from what the gateway's clock shows.
func stamped(off time.Duration) detail {
	return func(n *gateway, ev *binding.Event) { ev.Time = n.clock(n.w.now.Add(off)) }
}

// unstamped is a word without a stamp.
func unstamped(_ *gateway, ev *binding.Event) { ev.Time = time.Time{} }

// delayed says that the node has been trying to send it for so long; its stamp
// is of the sending.
func delayed(d time.Duration) detail {
	return func(_ *gateway, ev *binding.Event) { ev.Delay, ev.Delayed = d, true }
}

// repeated says that a word of a link may have been sent before.
func repeated(_ *gateway, ev *binding.Event) { ev.Repeated = true }

// aged says how old the session is.
func aged(d time.Duration) detail {
	return func(_ *gateway, ev *binding.Event) { ev.Age, ev.Aged = d, true }
}

// ordered says which word of its session it is.
func ordered(n uint32) detail { return func(_ *gateway, ev *binding.Event) { ev.Order = n } }

// bearer says which bearer context it speaks for; last that none is left.
func bearer(nsapi int) detail {
	return func(_ *gateway, ev *binding.Event) { ev.Contexts = 1 << nsapi }
}

func lastBearer(_ *gateway, ev *binding.Event) { ev.Last = true }

// of says the APN.
func of(apn string) detail { return func(_ *gateway, ev *binding.Event) { ev.APN = apn } }

// partial says that the session may have other addresses.
func partial(_ *gateway, ev *binding.Event) { ev.Complete = false }

// gone says that the session gave addresses up.
func gone(addrs string) detail {
	return func(_ *gateway, ev *binding.Event) { ev.Gone = addrList(addrs) }
}

// has says which addresses a session has.
func has(addrs string) detail {
	return func(_ *gateway, ev *binding.Event) { ev.Addrs = addrList(addrs) }
}

// by says whose session it is.
func by(who binding.Subscriber) detail {
	return func(_ *gateway, ev *binding.Event) { ev.MSISDN, ev.IMSI = who.MSISDN, who.IMSI }
}

// state says which Origin-State-Id the node has.
func state(id uint32) detail { return func(_ *gateway, ev *binding.Event) { ev.OriginState = id } }

// clock is what the gateway's clock shows at a moment.
func (n *gateway) clock(at time.Time) time.Time { return at.Add(n.ahead).Truncate(time.Second) }

// word makes an event of this moment.
func (n *gateway) word(kind binding.Kind, session string, who binding.Subscriber, addrs string,
	details []detail) binding.Event {
	ev := binding.Event{
		Kind: kind, Source: n.source, Owner: n.owner, Node: n.name, Also: n.also, Session: session, Observed: n.seen,
		Link:        n.link,
		OriginState: n.origin, Arrived: n.w.now, MSISDN: who.MSISDN, IMSI: who.IMSI, IMEI: who.IMEI, Addrs: addrList(addrs),
		Complete: addrs != "" && kind != binding.SessionStop,
	}
	if n.link == 0 && !n.mute {
		ev.Time = n.clock(n.w.now)
	}
	for _, say := range details {
		say(n, &ev)
	}
	return ev
}

func (n *gateway) say(kind binding.Kind, session string, who binding.Subscriber, addrs string,
	details []detail) Outcome {
	o := n.w.on(n.word(kind, session, who, addrs, details))
	n.w.commit(n.w.t)
	return o
}

func (n *gateway) start(session string, who binding.Subscriber, addrs string, details ...detail) Outcome {
	return n.say(binding.SessionStart, session, who, addrs, details)
}

func (n *gateway) update(session string, who binding.Subscriber, addrs string, details ...detail) Outcome {
	return n.say(binding.SessionUpdate, session, who, addrs, details)
}

func (n *gateway) stop(session string, details ...detail) Outcome {
	return n.say(binding.SessionStop, session, noSIM, "", details)
}

func (n *gateway) restart(details ...detail) Outcome {
	return n.say(binding.NodeRestart, "", noSIM, "", details)
}

// addrList reads a list of addresses, prefixes and blocks of ports.
func addrList(list string) []binding.Address {
	var out []binding.Address
	for s := range strings.FieldsSeq(list) {
		addr, block, isBlock := strings.Cut(s, ":")
		if !isBlock || strings.Count(s, ":") > 1 {
			out = append(out, addresses(s)...)
			continue
		}
		low, high, _ := strings.Cut(block, "-")
		out = append(out, ports(addr, port(low), port(high)))
	}
	return out
}

func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		panic(err)
	}
	return uint16(n)
}

// query reads an address or an IPv4 address and port.
func query(s string) binding.Query {
	if at, err := netip.ParseAddrPort(s); err == nil && at.Addr().Is4() {
		return binding.Query{Addr: at.Addr(), Port: at.Port()}
	}
	return binding.Query{Addr: netip.MustParseAddr(s)}
}

// said is the verdict on a SIM at an address.
func (w *tale) said(addr string, who binding.Subscriber) string {
	return w.verifyAt(query(addr), who.MSISDN)
}

// want fails the test if the verdict is another one.
func (w *tale) want(addr string, who binding.Subscriber, verdict string) {
	w.t.Helper()
	if got := w.said(addr, who); got != verdict {
		w.t.Errorf("%s of %v: %s, want %s", addr, who.MSISDN, got, verdict)
	}
}

// holds fails the test unless a SIM, and no other, matches.
func (w *tale) holds(addr string, who binding.Subscriber) {
	w.t.Helper()
	if got := w.said(addr, who); got != "match/bound" {
		w.t.Errorf("%s of %v, who has it: %s", addr, who.MSISDN, got)
		return
	}
	for _, other := range oracleSIMs {
		if other.MSISDN != who.MSISDN {
			w.want(addr, other, "mismatch/other-number")
		}
	}
}

// nobody fails the test unless the verdict on every SIM is this one.
func (w *tale) nobody(addr, verdict string) {
	w.t.Helper()
	for _, who := range oracleSIMs {
		if got := w.said(addr, who); got != verdict {
			w.t.Errorf("%s of %v: %s, want %s", addr, who.MSISDN, got, verdict)
			return
		}
	}
}

// silent fails the test if a SIM matches.
func (w *tale) silent(addr string, who binding.Subscriber) {
	w.t.Helper()
	if got := w.said(addr, who); strings.HasPrefix(got, "match") {
		w.t.Errorf("%s of %v: %s", addr, who.MSISDN, got)
	}
}

// releaseAt is an operator's word.
func (w *tale) releaseAt(addr string) {
	w.release(query(addr), "test", "uid=0")
	w.commit(w.t)
}

var (
	simA, simB, simC = oracleSIMs[0], oracleSIMs[1], oracleSIMs[2]
	noSIM            = binding.Subscriber{}
)

// Addresses of user equipment.
const ue1, ue2, ue3 = "10.0.0.1", "10.0.0.2", "10.0.0.3"
