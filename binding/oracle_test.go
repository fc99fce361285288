package binding

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// oracleConfig has short times, so that a history meets all of them.
var oracleConfig = Config{
	Capacity: 4096, Tombstones: 4096, TombstoneTTL: 40 * time.Second, Lease: 60 * time.Second, LeaseGrace: 20 * time.Second,
	Linger: 8 * time.Second, LossTimeout: 10 * time.Second, TrustGap: time.Hour,
}

// oracleAddrs are reused by all; some lie in others.
var oracleAddrs = append(addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8:0:1::/64", "2001:db8:0:103::/64", "2001:db8:0:100::/56", "198.51.100.7"),
	ports("198.51.100.7", 1024, 2047), ports("198.51.100.7", 2048, 4095))

// askable is an address of each, for questions.
var askable = []Query{ask("10.0.0.1", 0), ask("10.0.0.2", 0), ask("10.0.0.3", 0), ask("2001:db8:0:1::5", 0), ask("2001:db8:0:103::7", 0),
	ask("2001:db8:0:1ff::9", 0), ask("198.51.100.7", 80), ask("198.51.100.7", 1500), ask("198.51.100.7", 4000)}

func ask(addr string, port uint16) Query { return Query{Addr: netip.MustParseAddr(addr), Port: port} }

// ports is a block that is one key of the index.
func ports(addr string, low, high uint16) Address {
	a := addresses(addr)[0]
	a.PortLow, a.PortHigh = low, high
	return a
}

// holds reports whether a question about q is one about a.
func (a Address) holds(q Query) bool {
	return a.Prefix.Contains(q.Addr) && (a.PortLow|a.PortHigh == 0 || a.PortLow <= q.Port && q.Port <= a.PortHigh)
}

// covers reports whether b lies in a.
func (a Address) covers(b Address) bool {
	whole := a.PortLow|a.PortHigh == 0
	return a != b && whole && a.Prefix.Bits() <= b.Prefix.Bits() && a.Prefix.Contains(b.Prefix.Addr())
}

var oracleSIMs = []Subscriber{
	{MSISDN: 491700000001, IMSI: 0x001010000000001F}, {MSISDN: 491700000002, IMSI: 0x001010000000002F},
	{MSISDN: 491700000003, IMSI: 0x00101000000003FF}, {MSISDN: 491700000004, IMSI: 0x001010000000004F},
	{MSISDN: 491700000004, IMSI: 0x001010000000005F}, // the number has got another card
}

// A step of a history: the clock goes on, then something is heard.
type step struct {
	wait    time.Duration
	ev      Event
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
	return fmt.Sprintf("+%v %v %v/%s/%s t=%d slack=%v age=%v who=%v/%v addrs=%v gone=%v complete=%v ctx=%b last=%v lease=%v", s.wait, e.Kind, e.Source, e.Node, e.Session,
		e.Time.Sub(rigEpoch)/time.Second, e.Slack, e.Age, e.MSISDN, e.IMSI, e.Addrs, e.Gone, e.Complete, e.Contexts, e.Last, e.Lease)
}

// A network makes up events: a few nodes, reused addresses and session ids, and
// a channel that delays, reorders, repeats and loses.
type network struct {
	r    *rand.Rand
	now  time.Time
	held []Event // on their way
	live []Event // starts whose stop has not been made
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
	// Tombstones are bounded: nothing is on its way for longer than they live.
	n.held = slices.DeleteFunc(n.held, func(e Event) bool { return n.now.Sub(e.Time) > oracleConfig.TombstoneTTL-5*time.Second })
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

var oracleNodes = []nodeKey{{SourceRADIUS, "nas1"}, {SourceRADIUS, "nas2"}, {SourceGx, "pgw1"}, {SourcePFCP, "smf1"}}

func (n *network) make() Event {
	k := oracleNodes[n.r.IntN(len(oracleNodes))]
	if n.r.IntN(3) > 0 {
		k = oracleNodes[n.r.IntN(2)*2] // nas1 and pgw1 see the same sessions most of the time
	}
	ev := Event{Source: k.source, Node: k.name, Time: n.now.Truncate(time.Second)}
	switch k.name {
	case "smf1":
		ev.Observed = true
	case "nas2": // overheard, until it speaks to us too
		ev.Observed = n.r.IntN(200) > 0
	}
	switch p := n.r.IntN(100); {
	case p < 2:
		ev.Kind = NodeRestart
	case p == 99 && n.r.IntN(4) == 0:
		return Event{Kind: NewsLost, Time: ev.Time}
	case p < 4:
		ev.Kind = NodeDown + Kind(n.r.IntN(2))
	case p < 40 || len(n.live) == 0:
		n.start(&ev)
	case p < 70:
		n.later(&ev, SessionUpdate)
	default:
		n.later(&ev, SessionStop)
	}
	return ev
}

func (n *network) start(ev *Event) {
	who := oracleSIMs[n.r.IntN(len(oracleSIMs))]
	ev.Kind, ev.MSISDN, ev.IMSI = SessionStart, who.MSISDN, who.IMSI
	switch n.r.IntN(12) {
	case 0:
		ev.MSISDN = 0
	case 1:
		ev.IMSI = 0
	}
	if ev.Source == SourcePFCP && n.r.IntN(2) == 0 { // no User ID
		ev.MSISDN, ev.IMSI = 0, 0
	}
	ev.Session = "s" + strconv.Itoa(n.r.IntN(30))
	ev.Addrs = []Address{oracleAddrs[n.r.IntN(len(oracleAddrs))]}
	if n.r.IntN(4) == 0 {
		ev.Addrs = append(ev.Addrs, oracleAddrs[n.r.IntN(len(oracleAddrs))])
		if ev.Addrs[0] == ev.Addrs[1] {
			ev.Addrs = ev.Addrs[:1]
		}
	}
	if n.r.IntN(15) == 0 {
		ev.Slack = time.Duration(n.r.IntN(20)) * time.Second
		ev.Time = ev.Time.Add(-ev.Slack)
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

func (n *network) later(ev *Event, kind Kind) {
	i := n.r.IntN(len(n.live))
	was := n.live[i]
	at := ev.Time
	*ev = was
	ev.Kind, ev.Time, ev.Slack = kind, at, 0
	switch {
	case kind == SessionStop:
		if n.r.IntN(2) == 0 {
			ev.Addrs = nil
		}
		ev.Last = n.r.IntN(3) == 0
		n.live = append(n.live[:i], n.live[i+1:]...)
	case n.r.IntN(3) == 0:
		ev.Addrs = nil
	case n.r.IntN(8) == 0:
		ev.Addrs, ev.Complete = []Address{oracleAddrs[n.r.IntN(len(oracleAddrs))]}, true
		n.live[i].Addrs = ev.Addrs
	case n.r.IntN(12) == 0:
		ev.Gone, ev.Addrs = ev.Addrs, nil
	case n.r.IntN(8) == 0:
		ev.Age = at.Sub(was.Time)
	case n.r.IntN(25) == 0: // the session is another SIM's now
		who := oracleSIMs[n.r.IntN(len(oracleSIMs))]
		ev.MSISDN, ev.IMSI = who.MSISDN, who.IMSI
		n.live[i].MSISDN, n.live[i].IMSI = who.MSISDN, who.IMSI
	}
}

// TestOracle replays random histories against the model: wherever the Registry
// says "match", the model and the plain reading of the history must too.
// SIMBIND_ORACLE_STEPS sets the number of steps, SIMBIND_ORACLE_SEED repeats
// one history, SIMBIND_ORACLE_RANDOM starts where nobody has been before.
func TestOracle(t *testing.T) {
	steps, seed := 60_000, uint64(1)
	if testing.Short() {
		steps = 6_000
	}
	if v, err := strconv.Atoi(os.Getenv("SIMBIND_ORACLE_STEPS")); err == nil {
		steps = v
	}
	if os.Getenv("SIMBIND_ORACLE_RANDOM") != "" {
		seed = uint64(time.Now().UnixNano())
	}
	once := false
	if v, err := strconv.ParseUint(os.Getenv("SIMBIND_ORACLE_SEED"), 10, 64); err == nil {
		seed, once = v, true
	}
	t.Logf("first seed %d, %d steps", seed, steps)
	const length = 2000
	said, agreed := 0, 0
	for done := 0; done < steps; done += length {
		history := makeHistory(seed, length)
		res := replay(t, history)
		said, agreed = said+res.modelSays, agreed+res.registrySays
		if res.fault != "" {
			short := shrink(t, replay, history[:res.at+1], res.class)
			t.Fatalf("seed %d: %s\nshortest history (%d steps):\n%s\n%s", seed, res.fault, len(short), printHistory(short), replay(t, short).fault)
		}
		if once {
			break
		}
		seed++
	}
	t.Logf("the model could say %d times, the registry did %d times", said, agreed)
	if !once && (agreed < said*99/100 || said < steps/4) {
		t.Errorf("the registry said %d of the %d matches that the model allows in %d steps", agreed, said, steps)
	}
}

func makeHistory(seed uint64, length int) []step {
	n := &network{r: rand.New(rand.NewPCG(seed, 7)), now: rigEpoch}
	history := make([]step, length)
	for i := range history {
		history[i] = n.next()
	}
	return history
}

type replayed struct {
	fault, class            string
	at                      int // step of the fault
	modelSays, registrySays int
}

func replay(t *testing.T, history []step) (res replayed) {
	g, m, past := newRig(t, oracleConfig), newModel(oracleConfig), &pastEvents{}
	for i, s := range history {
		g.now = g.now.Add(s.wait)
		m.now = g.now.UnixMilli()
		turn := g.turns()
		g.sweepAll()
		m.sweep(turn)
		g.take(t, oracleConfig, s)
		switch {
		case s.release != 0:
			m.release(askable[s.release-1])
		case s.restart:
			m.restart()
			g.keepDown(m)
		default:
			m.apply(&s.ev)
			past.hear(s.ev, g.now)
		}
		for a, addr := range askable {
			asked := m.longest(oracleAddrs[a], addr)
			number, why := m.verdict(asked.String())
			for _, sim := range oracleSIMs {
				v := g.verifyAt(addr, sim.MSISDN)
				match := v == "match/bound"
				if match {
					res.registrySays++
				}
				// The plain reading is slow.
				doubt := ""
				if match && (i%8 == 0 || i == len(history)-1) {
					doubt = past.forbids(asked, sim, g.now)
				}
				switch {
				case match && number != sim.MSISDN:
					res.fault = fmt.Sprintf("step %d: %v is said to be %v, the model says %v %s", i, addr, sim.MSISDN, number, why)
					res.class = "model"
				case doubt != "":
					res.fault, res.class = fmt.Sprintf("step %d: %v is said to be %v although %s", i, addr, sim.MSISDN, doubt), doubt
				}
				if number == sim.MSISDN {
					res.modelSays++
					if !match && os.Getenv("SIMBIND_ORACLE_STRICT") != "" {
						res.fault = fmt.Sprintf("step %d: %v is %v for the model, %s for the registry", i, addr, sim.MSISDN, v)
						res.class = "too careful"
					}
				}
			}
		}
		if res.fault == "" {
			if res.fault = g.audit(); res.fault != "" {
				res.class = "audit"
			}
		}
		if res.fault != "" {
			res.at = i
			return res
		}
	}
	return res
}

// take has the registry live through a step, all but the time before it.
func (g *rig) take(t *testing.T, c Config, s step) {
	switch {
	case s.release != 0:
		g.release(askable[s.release-1], "test", "operator")
	case s.restart:
		g.commit(t)
		// Loading spares no session of before a restart; the sweep has seen them
		// all.
		g.journal.meta.Alive = g.now
		g.boot(t, c)
	default:
		g.on(s.ev)
	}
}

// turns is the order in which the sweep visits the sessions as they are now.
func (g *rig) turns() func(session string) uint32 {
	ids := map[[2]uint64]uint32{}
	for id := uint32(1); id <= g.m.sessions.Limit(); id++ {
		if g.m.sessions.Load(id, 0) != 0 {
			ids[g.m.session(id).key] = id
		}
	}
	return func(session string) uint32 {
		part := strings.SplitN(session, "/", 3)
		source, _ := ParseSource(part[0])
		return ids[newSessionKey(source, part[1], part[2])]
	}
}

// keepDown carries lost nodes over a restart, which the journal does not.
func (g *rig) keepDown(m *model) {
	for k, n := range m.nodes {
		if id := g.nodeIDs[k]; id != 0 {
			g.m.storeNode(id, nodeDown, uint64(n.down))
		}
	}
}

// shrink drops steps as long as the fault stays, for at most half a minute.
func shrink(t *testing.T, replay func(*testing.T, []step) replayed, history []step, class string) []step {
	deadline := time.Now().Add(30 * time.Second)
	for size := len(history) / 2; size > 0 && time.Now().Before(deadline); size /= 2 {
		for i := 0; i+size <= len(history); {
			shorter := append(append([]step(nil), history[:i]...), history[i+size:]...)
			if i < len(shorter) {
				for _, dropped := range history[i : i+size] {
					shorter[i].wait += dropped.wait
				}
			}
			if replay(t, shorter).class == class {
				history = shorter
			} else {
				i += size
			}
		}
	}
	return history
}

func printHistory(history []step) string {
	var b strings.Builder
	for _, s := range history {
		fmt.Fprintln(&b, " ", s)
	}
	return b.String()
}

// audit checks the memory's own consistency.
func (g *rig) audit() string {
	claims := 0
	for id := uint32(1); id <= g.m.sessions.Limit(); id++ {
		if g.m.sessions.Load(id, 0) == 0 {
			continue
		}
		s := g.m.session(id)
		if found, ok := g.m.findSession(s.key); !ok || found != id {
			return fmt.Sprintf("session %d cannot be found", id)
		}
		for _, k := range g.keys(id) {
			claims++
			h, ok := g.m.holding(k)
			if !ok {
				return fmt.Sprintf("session %d claims %v, which nobody holds", id, addressOf(k))
			}
			n, mine := 0, false
			for c := h.claim; c != 0; n++ {
				cl := g.m.claim(c)
				mine = mine || cl.session == id
				c = cl.nextOfAddress
			}
			if !mine || h.shared != (n > 1) || n > maxClaims {
				return fmt.Sprintf("%v has %d claims, shared %v, and lists session %d: %v", addressOf(k), n, h.shared, id, mine)
			}
		}
	}
	if g.m.claims.Len() != claims {
		return fmt.Sprintf("%d claims in use, %d in lists", g.m.claims.Len(), claims)
	}
	return ""
}

// pastEvents is everything that was heard, for the plain reading.
type pastEvents struct {
	heard []heard
}

type heard struct {
	Event
	at   time.Time
	name sessionName
}

// hear keeps the sessions that were heard within two leases: no match rests on
// any other.
func (h *pastEvents) hear(ev Event, at time.Time) {
	h.heard = append(h.heard, heard{ev, at, sessionName{ev.Source, ev.Node, ev.Session}})
	if len(h.heard)%64 != 0 {
		return
	}
	recent := map[sessionName]bool{}
	for _, e := range h.heard {
		recent[e.name] = recent[e.name] || at.Sub(e.at) < 2*oracleConfig.Lease
	}
	h.heard = slices.DeleteFunc(h.heard, func(e heard) bool { return !recent[e.name] })
}

type sessionName struct {
	source        Source
	node, session string
}

func (e *heard) session() sessionName { return e.name }

func (e *heard) names(a Address) bool {
	if e.Kind != SessionStart && e.Kind != SessionUpdate {
		return false
	}
	for _, b := range e.Addrs {
		if a == b {
			return true
		}
	}
	return false
}

// forbids reads the history plainly, without the rules' machinery: somebody
// must have said that the SIM holds the address and must not have taken it
// back, and the same node must not have given the address to another SIM
// since.
func (h *pastEvents) forbids(a Address, sim Subscriber, now time.Time) string {
	doubt := "nobody ever said so"
	for i := range h.heard {
		e := &h.heard[i]
		if !e.names(a) || !h.belongs(e, sim) {
			continue
		}
		if doubt = h.doubts(e, a, sim, now); doubt == "" {
			return ""
		}
	}
	return doubt
}

// isCardOf reports whether the number was ever said to have this card.
func isCardOf(imsi IMSI, sim Subscriber) bool {
	return slices.Contains(oracleSIMs, Subscriber{MSISDN: sim.MSISDN, IMSI: imsi})
}

// belongs reports whether e's session was ever said to be the SIM's.
func (h *pastEvents) belongs(e *heard, sim Subscriber) bool {
	for i := range h.heard {
		y := &h.heard[i]
		if y.session() == e.session() && (y.MSISDN == sim.MSISDN || isCardOf(y.IMSI, sim)) {
			return true
		}
	}
	return false
}

func (h *pastEvents) doubts(e *heard, a Address, sim Subscriber, now time.Time) string {
	lastSeen, lastLoss := e.at, time.Time{}
	passed := false
	for i := range h.heard {
		x := &h.heard[i]
		if x == e {
			passed = true
		}
		sameNode := x.Source == e.Source && x.Node == e.Node
		switch {
		case sameNode && x.session() == e.session() && x.Kind == SessionStop && (x.Contexts == 0 || x.Last) && !x.Time.Before(e.Time):
			return "its session stopped"
		case sameNode && x.session() == e.session() && (x.Kind == SessionStart || x.Kind == SessionUpdate):
			lastSeen = x.at
		case x.Kind == NewsLost:
			lastLoss = x.at
		case sameNode && x.Kind == NodeRestart && passed && x.Time.After(e.Time) && !h.after(e, x):
			return "its node restarted"
		case sameNode && x.Kind == SessionStart && x.names(a) && x.session() != e.session() &&
			x.MSISDN != 0 && x.MSISDN != sim.MSISDN && !isCardOf(x.IMSI, sim) && x.Time.After(e.Time) && passed && !h.after(e, x) && !h.overtaken(i):
			return "its node gave the address to " + x.MSISDN.String()
		}
	}
	if now.Sub(lastSeen) > oracleConfig.Lease {
		return "its lease is over"
	}
	if e.Node == "smf1" && !lastLoss.Before(lastSeen) {
		return "its stop may have been missed"
	}
	return ""
}

// overtaken reports whether a later event of its session arrived before.
func (h *pastEvents) overtaken(i int) bool {
	return slices.ContainsFunc(h.heard[:i], func(y heard) bool {
		return y.session() == h.heard[i].session() && y.Time.After(h.heard[i].Time)
	})
}

// after reports whether e's session spoke again at or after x.
func (h *pastEvents) after(e, x *heard) bool {
	for i := range h.heard {
		y := &h.heard[i]
		if y.session() == e.session() && (y.Kind == SessionStart || y.Kind == SessionUpdate) && !y.Time.Before(x.Time) {
			return true
		}
	}
	return false
}
