package binding

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// A model is the rules of truth once more, slow and obvious: sessions in a
// map, every question answered by looking at all of them. It shares no code
// with the Registry but the terms.
type model struct {
	now      int64
	cfg      Config
	nodes    map[nodeKey]*modelNode
	sessions map[string]*modelSession
	ending   map[string]int64 // deadline by address
	made     int
	missed   int64 // when news of observed nodes was last lost
}

type modelNode struct {
	direct, observed bool

	restarts        int
	restart, spares int64
	down            int64
}

type modelSession struct {
	node              nodeKey
	made              int // order of making
	start, last, seen int64
	lease             int64
	restarts          int
	who               Subscriber
	contexts          uint16
	holds             map[string]bool
	ended             bool
}

func newModel(c Config) *model {
	return &model{cfg: c.withDefaults(), nodes: map[nodeKey]*modelNode{}, sessions: map[string]*modelSession{}, ending: map[string]int64{}}
}

func (m *model) node(k nodeKey) *modelNode {
	if m.nodes[k] == nil {
		m.nodes[k] = &modelNode{}
	}
	return m.nodes[k]
}

// condition of a session: "fresh", "stale", "expired", "gone" or "dead".
func (m *model) condition(s *modelSession) string {
	n := m.node(s.node)
	switch {
	case s.restarts != n.restarts && s.start <= n.spares:
		return "dead"
	case m.now > s.seen+s.lease+m.cfg.LeaseGrace.Milliseconds():
		return "gone"
	case m.now > s.seen+s.lease:
		return "expired"
	case n.down != 0 && m.now-n.down > m.cfg.LossTimeout.Milliseconds(), n.observed && s.seen <= m.missed:
		return "stale"
	}
	return "fresh"
}

// holders are the sessions that claim an address.
func (m *model) holders(addr string) []*modelSession {
	var list []*modelSession
	for _, s := range m.sessions {
		if !s.ended && s.holds[addr] {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(x, y *modelSession) int { return x.made - y.made })
	return list
}

// subscriberOf is who the claimants say, together; false if they disagree.
func subscriberOf(claims []*modelSession) (Subscriber, bool) {
	var who Subscriber
	both, numbers, sims := false, false, false
	for _, s := range claims {
		hasNumber, hasSIM := s.who.MSISDN != 0, s.who.IMSI != 0
		if !hasNumber && !hasSIM {
			continue
		}
		if hasNumber && who.MSISDN != 0 && who.MSISDN != s.who.MSISDN || hasSIM && who.IMSI != 0 && who.IMSI != s.who.IMSI {
			return Subscriber{}, false
		}
		if hasNumber {
			who.MSISDN = s.who.MSISDN
		}
		if hasSIM {
			who.IMSI = s.who.IMSI
		}
		both, numbers, sims = both || hasNumber && hasSIM, numbers || !hasSIM, sims || !hasNumber
	}
	return who, both || !(numbers && sims)
}

// verdict says whose number the address certainly is, or why nobody can say.
func (m *model) verdict(addr string) (MSISDN, string) {
	claims := m.holders(addr)
	fresh, dead, alive := false, false, false
	for _, s := range claims {
		c := m.condition(s)
		fresh, dead = fresh || c == "fresh", dead || c == "dead"
		alive = alive || c != "dead" && c != "gone"
	}
	who, ok := subscriberOf(claims)
	switch {
	case !alive:
		return 0, "nobody"
	case !ok:
		return 0, "conflict"
	case dead || m.ending[addr] != 0:
		return 0, "ending"
	case !fresh:
		return 0, "stale"
	case who.MSISDN == 0:
		return 0, "no number"
	}
	for _, wide := range m.sessions {
		if c := m.condition(wide); wide.ended || c != "fresh" && c != "stale" || modelAgree(wide.who, who) {
			continue
		}
		for other := range wide.holds {
			if other != addr && covers(other, addr) && !slices.ContainsFunc(claims, func(s *modelSession) bool {
				return s.node == wide.node && wide.start < s.start
			}) {
				return 0, "another's wider address"
			}
		}
	}
	return who.MSISDN, ""
}

// longest is the narrowest address that is claimed and has the host in it, or
// else the given one (T11).
func (m *model) longest(a Address, q Query) Address {
	found := false
	for _, other := range oracleAddrs {
		if other.holds(q) && len(m.holders(other.String())) > 0 && (!found || a.covers(other)) {
			a, found = other, true
		}
	}
	return a
}

// release: an operator ends what is claimed there; the sessions go on.
func (m *model) release(q Query) {
	addr := m.longest(Address{}, q).String()
	for _, s := range m.holders(addr) {
		delete(s.holds, addr)
	}
	delete(m.ending, addr)
}

// covers reports whether one address lies in another.
func covers(wide, narrow string) bool { return addressNamed(wide).covers(addressNamed(narrow)) }

func addressNamed(name string) Address {
	return oracleAddrs[slices.IndexFunc(oracleAddrs, func(a Address) bool { return a.String() == name })]
}

// familyName is the kind of address that an event can name completely.
func familyName(a Address) string {
	switch {
	case !a.Is4():
		return "v6"
	case a.PortLow|a.PortHigh != 0:
		return "ports"
	}
	return "v4"
}

// restart: the daemon was away, if only for a moment.
func (m *model) restart() {
	m.missed = m.now
	for _, n := range m.nodes {
		n.direct = false
	}
}

func (m *model) apply(ev *Event) {
	if ev.Kind == NewsLost {
		m.missed = m.now
		return
	}
	k := nodeKey{ev.Source, ev.Node}
	n := m.node(k)
	n.direct = n.direct || !ev.Observed
	n.observed = !n.direct && (n.observed || ev.Observed)
	t := ev.Time.UnixMilli()
	if ev.Kind != NodeDown && ev.Kind != NodeUp {
		n.down = 0
	}
	id := fmt.Sprint(ev.Source, "/", ev.Node, "/", ev.Session)
	switch ev.Kind {
	case NodeRestart:
		if t > n.restart {
			n.restarts++
			n.restart, n.spares = t, max(t, m.now-15*1000)
		}
	case NodeDown:
		if n.down == 0 {
			n.down = m.now
		}
	case NodeUp:
		n.down = 0
	case SessionStop:
		m.stop(id, k, ev, t)
	default:
		m.claim(id, k, ev, t)
	}
}

func (m *model) stop(id string, k nodeKey, ev *Event, t int64) {
	s := m.sessions[id]
	switch {
	case s == nil:
		m.sessions[id] = &modelSession{node: k, start: t, last: t, seen: m.now, ended: true}
	case s.ended:
		if t > s.last {
			s.last, s.seen = t, m.now
		}
	case t+ev.Slack.Milliseconds() < s.start:
	case ev.Contexts != 0 && !ev.Last && s.contexts&^ev.Contexts != 0:
		s.contexts &^= ev.Contexts
	default:
		if ev.Last {
			for _, addr := range slices.Sorted(maps.Keys(s.holds)) {
				for _, o := range m.holders(addr) {
					if o != s && o.node == s.node && o.contexts != 0 && modelAgree(o.who, s.who) {
						m.finish(o, true)
						o.ended, o.last, o.seen = true, max(t, o.start), m.now
					}
				}
			}
		}
		m.finish(s, true)
		s.ended, s.last, s.seen = true, max(t, s.start), m.now
	}
}

// finish takes all claims of a session away; said: the source says so.
func (m *model) finish(s *modelSession, said bool) {
	for addr := range s.holds {
		m.unclaim(s, addr, said)
	}
}

func (m *model) unclaim(s *modelSession, addr string, said bool) {
	if !s.holds[addr] {
		return
	}
	delete(s.holds, addr)
	former := m.overtaken(s, addr, nil)
	if said {
		m.superseded(former, addr, s.who)
		m.leaves(s, addr)
	}
	for _, o := range former {
		delete(o.holds, addr)
	}
	if len(m.holders(addr)) == 0 {
		delete(m.ending, addr)
	}
}

// overtaken adds those for whom the node spoke last before it spoke for s, and
// those that these overtook in turn.
func (m *model) overtaken(s *modelSession, addr string, former []*modelSession) []*modelSession {
	for _, o := range m.holders(addr) {
		if o.node == s.node && o.last < s.last && !modelAgree(o.who, s.who) && !slices.Contains(former, o) {
			former = m.overtaken(o, addr, append(former, o))
		}
	}
	return former
}

// leaves makes an address ending if only other sources still say what s said.
func (m *model) leaves(s *modelSession, addr string) {
	others, same := false, false
	for _, o := range m.holders(addr) {
		if c := m.condition(o); (c == "fresh" || c == "stale") && modelAgree(o.who, s.who) {
			if o.node.source != s.node.source {
				others = true
			} else if !nobody(o.who) {
				same = true
			}
		}
	}
	if others && !same {
		m.ending[addr] = ceilSecond(m.now + m.cfg.Linger.Milliseconds())
	}
}

// superseded: the node gave the address to another session.
func (m *model) superseded(former []*modelSession, addr string, by Subscriber) {
	for _, o := range former {
		former = m.overtaken(o, addr, former)
	}
	for _, o := range former {
		delete(o.holds, addr)
	}
	for _, o := range former {
		if nobody(by) || !modelAgree(o.who, by) {
			m.leaves(o, addr)
		}
	}
}

func nobody(who Subscriber) bool { return who.MSISDN == 0 && who.IMSI == 0 }

func ceilSecond(ms int64) int64 { return (ms + 999) / 1000 * 1000 }

func modelAgree(x, y Subscriber) bool {
	if x.MSISDN == 0 && x.IMSI == 0 || y.MSISDN == 0 && y.IMSI == 0 {
		return true
	}
	common, differ := false, false
	if x.MSISDN != 0 && y.MSISDN != 0 {
		common, differ = true, x.MSISDN != y.MSISDN
	}
	if x.IMSI != 0 && y.IMSI != 0 {
		common, differ = true, differ || x.IMSI != y.IMSI
	}
	return common && !differ
}

func (m *model) claim(id string, k nodeKey, ev *Event, t int64) {
	s := m.sessions[id]
	if s != nil && s.ended {
		if t <= s.last {
			m.late(s, k, ev, t)
			return
		}
		s = nil
	}
	if s != nil {
		if c := m.condition(s); c == "dead" || c == "gone" {
			m.finish(s, c == "dead")
			delete(m.sessions, id)
			s = nil
		}
	}
	if s != nil && t < s.last {
		m.late(s, k, ev, t)
		return
	}
	if s == nil && t < m.node(k).restart {
		return
	}
	said := Subscriber{MSISDN: ev.MSISDN, IMSI: ev.IMSI}
	if s != nil && (ev.Kind == SessionStart && t > s.start && !modelAgree(s.who, said) ||
		s.who.MSISDN != 0 && said.MSISDN != 0 && s.who.MSISDN != said.MSISDN || s.who.IMSI != 0 && said.IMSI != 0 && s.who.IMSI != said.IMSI) {
		m.finish(s, true)
		delete(m.sessions, id)
		s = nil
		if t < m.node(k).restart {
			return
		}
	}
	fresh := s == nil
	if fresh {
		m.made++
		s = &modelSession{node: k, made: m.made, start: t, holds: map[string]bool{}, restarts: m.node(k).restarts, lease: m.cfg.Lease.Milliseconds()}
		if ev.Kind == SessionUpdate {
			s.start = max(t-ev.Age.Milliseconds(), 1)
		}
		m.sessions[id] = s
	}
	s.last, s.seen, s.contexts = t, m.now, s.contexts|ev.Contexts
	if ev.Lease > 0 {
		s.lease = max(ev.Lease.Milliseconds()/1000, 1) * 1000
	}
	if said.MSISDN != 0 {
		s.who.MSISDN = said.MSISDN
	}
	if said.IMSI != 0 {
		s.who.IMSI = said.IMSI
	}
	m.claimAll(s, ev, t, fresh)
}

// late: overtaken by its own session, but it tells who had lost the address.
func (m *model) late(s *modelSession, k nodeKey, ev *Event, t int64) {
	for _, a := range ev.Addrs {
		by := Subscriber{MSISDN: ev.MSISDN, IMSI: ev.IMSI}
		var former []*modelSession
		for _, o := range m.holders(a.String()) {
			if o != s && o.node == k && o.last < t && !modelAgree(o.who, by) {
				former = append(former, o)
			}
		}
		m.superseded(former, a.String(), by)
		if len(m.holders(a.String())) == 0 {
			delete(m.ending, a.String())
		}
	}
}

func (m *model) claimAll(s *modelSession, ev *Event, t int64, fresh bool) {
	before := maps.Clone(m.ending)
	named := map[string]bool{}
	families := map[string]bool{}
	for _, a := range ev.Addrs {
		named[a.String()] = true
		families[familyName(a)] = true
	}
	for _, a := range ev.Gone {
		for held := range s.holds {
			if b := addressNamed(held); b == a || familyName(b) == "ports" && b.Prefix == a.Prefix && familyName(a) == "v4" {
				m.unclaim(s, held, true)
			}
		}
	}
	if ev.Complete && !fresh {
		for addr := range s.holds {
			if families[familyName(addressNamed(addr))] && !named[addr] {
				m.unclaim(s, addr, true)
			}
		}
	}
	for _, a := range ev.Addrs {
		m.claimOne(s, a.String(), ev, t, fresh)
	}
	for addr := range s.holds { // it spoke: that confirms all, but for a doubt that its own start makes
		if fresh && m.ending[addr] != before[addr] {
			continue
		}
		_, ok := subscriberOf(m.holders(addr))
		if d := m.ending[addr]; ok && d != 0 && !nobody(s.who) && t >= d-m.cfg.Linger.Milliseconds() {
			delete(m.ending, addr)
		}
	}
}

func (m *model) claimOne(s *modelSession, addr string, ev *Event, t int64, fresh bool) {
	for _, o := range m.holders(addr) {
		if o == s {
			continue
		}
		switch m.condition(o) {
		case "dead":
			m.finish(o, true)
			m.forget(o)
		case "gone":
			m.finish(o, false)
			m.forget(o)
		case "expired":
			m.unclaim(o, addr, false)
		}
	}
	was := m.ending[addr]
	confirm := was != 0 && !nobody(s.who) && t >= was-m.cfg.Linger.Milliseconds()
	if !s.holds[addr] {
		late := false
		var former []*modelSession
		for _, o := range m.holders(addr) {
			if o.node != s.node {
				continue
			}
			same := modelAgree(s.who, o.who)
			slack := int64(0)
			if fresh {
				slack = ev.Slack.Milliseconds()
			}
			siblings := same && s.contexts != 0 && o.contexts != 0 && s.contexts&o.contexts == 0
			definitelyOlder := s.start+slack < o.start
			switch {
			case siblings:
			case same && !definitelyOlder, s.start >= o.start && (fresh && o.last <= s.start || !fresh && o.last <= t):
				former = append(former, o)
			case s.start >= o.start: // the node spoke for the other since
			case !definitelyOlder: // cannot be told
			case t > o.start: // insists
			default:
				late = true
			}
		}
		m.superseded(former, addr, s.who)
		if late {
			return
		}
		s.holds[addr] = true
	}
	if _, ok := subscriberOf(m.holders(addr)); ok && confirm && m.ending[addr] == was {
		delete(m.ending, addr)
	}
}

func (m *model) forget(s *modelSession) {
	for id, o := range m.sessions {
		if o == s {
			delete(m.sessions, id)
		}
	}
}

// sweep does what time alone does. What ends at the same moment has no order of
// its own, and the first to end can take the other's claim away (T4) where the
// other's own end would leave nothing in doubt (T6): either is right, so turn
// tells whose is first.
func (m *model) sweep(turn func(session string) uint32) {
	turns := map[string]uint32{}
	for id := range m.sessions {
		turns[id] = turn(id)
	}
	order := slices.SortedFunc(maps.Keys(turns), func(x, y string) int { return cmp.Or(cmp.Compare(turns[x], turns[y]), cmp.Compare(x, y)) })
	for _, id := range order {
		s := m.sessions[id]
		if s.ended {
			if m.now > s.seen+m.cfg.TombstoneTTL.Milliseconds() {
				delete(m.sessions, id)
			}
			continue
		}
		switch m.condition(s) {
		case "dead":
			m.finish(s, true)
			delete(m.sessions, id)
		case "gone":
			m.finish(s, false)
			delete(m.sessions, id)
		case "expired":
			for addr := range s.holds {
				for _, o := range m.holders(addr) {
					if c := m.condition(o); c == "fresh" || c == "stale" {
						m.unclaim(s, addr, false)
					}
				}
			}
		default:
			s.restarts = m.node(s.node).restarts
		}
	}
	for addr, d := range m.ending { // each by itself
		if _, ok := subscriberOf(m.holders(addr)); ok && m.now > d {
			for _, s := range m.holders(addr) {
				delete(s.holds, addr)
			}
			delete(m.ending, addr)
		}
	}
}
