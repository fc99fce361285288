package pfcp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/wire"
)

// established takes an accepted Session Establishment in (clauses 7.5.2,
// 7.5.3).
func (f *Follower) established(p *wire.Packet, req, resp *message) {
	if resp.seid != req.endpoint.seid || req.endpoint.seid == 0 {
		f.counts.Unpaired++
		return
	}
	cp, up := p.Dst.Addr(), p.Src.Addr()
	list := grants(req, resp)
	s := f.sessions.Find(cp, req.endpoint.seid, 0)
	known := s != nil && s.Data.who == req.who && slices.Equal(union(s.Data.held), union(list))
	if s != nil && !known {
		f.end(s, f.now) // the control plane uses its SEID again: an end was missed
	}
	if !known {
		node := req.node
		if node == "" {
			node = cp.String()
		}
		s = &entry{Node: node, ID: fmt.Sprintf("%016x-%x", req.endpoint.seid, f.now.UnixMilli())}
		s.Data.owner, s.Data.began = f.groups.Owner(cp), f.now.UnixMilli()
		f.sessions.Add(s)
	}
	f.named(cp, req.node)
	d := &s.Data
	d.cp, d.up, d.who, d.held = cp, up, req.who, list
	for _, set := range append(req.sets, resp.sets...) {
		if len(d.sets) < maxSets && !slices.Contains(d.sets, set) {
			d.sets = append(d.sets, set)
		}
	}
	for _, h := range slices.Clone(s.Handles()) { // those of a response that was lost
		f.sessions.Uncall(s, h)
	}
	f.call(s, req.endpoint, cp)
	f.call(s, resp.endpoint, up)
	f.sessions.Touch(s)
	f.start(s, req, known)
}

// call lets a session be called by an F-SEID: at its addresses, and at the one
// from which it was said.
func (f *Follower) call(s *entry, e endpoint, from netip.Addr) {
	if e.seid == 0 {
		return
	}
	for _, addr := range [3]netip.Addr{from, e.v4, e.v6} {
		if h, ok := f.sessions.Handle(addr, e.seid, 0); ok {
			f.sessions.Call(s, h)
		} else if addr.IsValid() {
			f.counts.Refused++
		}
	}
}

// prune forgets the oldest names that control plane functions gave, where there
// are more than a memo holds: a session that is handed around has one each time.
func (f *Follower) prune(s *entry) {
	for len(s.Handles()) > maxHandles {
		i := slices.IndexFunc(s.Handles(), func(h pairing.Handle) bool { return f.sessions.Addr(h) != s.Data.up })
		f.sessions.Uncall(s, s.Handles()[max(i, 0)])
	}
}

// start tells of a session, once it has an address. Toward an SGW-U there is
// none.
func (f *Follower) start(s *entry, req *message, known bool) {
	d := &s.Data
	addrs := union(d.held)
	if len(addrs) == 0 {
		f.counts.NoAddress++
		return
	}
	f.controls(d.cp, nodeOf(s))
	ev := f.event(binding.SessionStart, s, f.now)
	if known {
		ev.Kind = binding.SessionUpdate
	}
	ev.MSISDN, ev.IMSI, ev.IMEI = d.who.MSISDN, d.who.IMSI, d.who.IMEI
	ev.APN, ev.RAT = req.apn, req.rat
	if ev.APN == "" {
		ev.APN = req.instanceOfUE()
	}
	d.told, d.spoke = true, f.now
	ev.Addrs, ev.Memo = addrs, f.memo(s)
	f.tell(ev)
}

// instanceOfUE is the Network Instance of the core side, which stands for the
// DNN where that is not said.
func (m *message) instanceOfUE() (name string) {
	for i := range m.rules {
		if r := &m.rules[i]; len(r.addrs) > 0 && r.instance != "" && (name == "" || r.source == interfaceCore) {
			name = r.instance
		}
	}
	return name
}

// refreshEvery bounds how often a session that is busy is told to be alive.
const refreshEvery = time.Minute

// modified takes an accepted Session Modification in (clauses 7.5.4, 7.5.5):
// rules come, change and go, and the addresses with them; another control plane
// function of a set may take the session over.
func (f *Follower) modified(r *request, resp *message) {
	s := r.of
	if s == nil || !s.Live() {
		return
	}
	d, m := &s.Data, r.m
	f.sessions.Touch(s)
	if m.endpoint.seid != 0 {
		cp := r.key.asker.Addr()
		d.cp, d.taken = cp, d.taken || cp != d.cp
		f.call(s, m.endpoint, d.cp)
		f.prune(s)
	}
	before := union(d.held)
	for _, h := range grants(m, resp) {
		d.drop(h.rule)
		if len(d.held) < maxRules {
			d.held = append(d.held, h)
		}
	}
	for _, id := range m.removed {
		d.drop(id)
	}
	after := union(d.held)
	added, gone := without(after, before), without(before, after)
	if !d.told {
		f.start(s, m, false)
		return
	}
	if len(added)+len(gone) == 0 && m.who == (binding.Subscriber{}) && m.endpoint.seid == 0 && f.now.Sub(d.spoke) < refreshEvery {
		return
	}
	d.spoke = f.now
	f.controls(d.cp, nodeOf(s))
	ev := f.event(binding.SessionUpdate, s, f.now)
	ev.MSISDN, ev.IMSI, ev.IMEI, ev.RAT = m.who.MSISDN, m.who.IMSI, m.who.IMEI, m.rat
	ev.Addrs, ev.Gone, ev.Memo = added, gone, f.memo(s)
	f.tell(ev)
}

func (s *session) drop(rule uint16) {
	s.held = slices.DeleteFunc(s.held, func(h held) bool { return h.rule == rule })
}

// without lists what is in a and not in b.
func without(a, b []binding.Address) (rest []binding.Address) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			rest = append(rest, x)
		}
	}
	return rest
}
