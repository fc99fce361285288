package gtp

import (
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
)

func interesting1(kind uint8) bool {
	return kind <= echoResponse || kind >= createContextRequest && kind <= deleteContextResponse
}

// follow1 takes one GTPv1-C message in.
func (f *Follower) follow1(p *wire.Packet, m *message1, digest uint64) {
	f.restarted(p.Src.Addr(), m.restarts, 1)
	switch m.kind {
	case createContextRequest, updateContextRequest, deleteContextRequest:
		if r := f.ask1(p, m, digest); r != nil {
			f.early.Asked(r.key)
		}
	case createContextResponse, updateContextResponse, deleteContextResponse:
		f.answered1(p, m)
	}
}

// ask1 remembers a request, and the session that it names. It returns nil for a
// repetition.
func (f *Follower) ask1(p *wire.Packet, m *message1, digest uint64) *request {
	r := f.ask(p, m.header, digest)
	if r == nil {
		return nil
	}
	r.v1 = m
	if m.kind == createContextRequest && !m.linked {
		return r
	}
	if s := f.context(p.Dst.Addr(), m); s != nil {
		r.of = []*entry{s}
	} else {
		f.counts.Unresolved++
	}
	return r
}

// answered1 takes a response in. Its request is the message whose number is one
// less.
func (f *Follower) answered1(p *wire.Packet, m *message1) {
	r := f.answer(p, m.header, m.kind-1, func(p *wire.Packet) { f.answered1(p, m) })
	switch {
	case r == nil:
	case m.kind == createContextResponse:
		f.created1(p, r, m)
	case m.kind == updateContextResponse:
		if accepted1(m.cause) {
			f.updated1(r, m)
		}
	case accepted1(m.cause) || m.cause == causeNonExistent:
		f.finish1(r, f.now)
	default:
		f.counts.Rejected++
	}
}

// context finds the session of a context: by the TEID and the NSAPI of its
// primary context, or of any that shares its address.
func (f *Follower) context(at netip.Addr, m *message1) *entry {
	nsapi := m.nsapi
	if m.linked {
		nsapi = m.primary
	}
	return f.sessions[0].Find(at, uint64(m.teidOf()), nsapi+1)
}

func (m *message1) teidOf() uint32 { return m.header.teid }

// created1 takes an accepted Create PDP Context Response in (clause 7.3.2).
func (f *Follower) created1(p *wire.Packet, r *request, resp *message1) {
	req := r.v1
	switch {
	case !accepted1(resp.cause):
		f.counts.Rejected++
		return
	case req.hasTEID && resp.header.teid != req.teid:
		f.counts.Unpaired++
		return
	case req.linked:
		f.secondary(r)
		return
	}
	gateway := endpoint{teid: resp.teid, v4: resp.gsn}
	if !gateway.v4.IsValid() {
		gateway.v4 = p.Src.Addr()
	}
	if !resp.hasTEID {
		gateway.teid = req.header.teid // one that the GGSN gave before
	}
	addrs := resp.addrs
	if !resp.granted {
		addrs = req.addrs // a static address is not said again (clause 7.3.2)
	}
	if len(addrs) == 0 {
		f.counts.NoAddress++
		return
	}
	f.grant1(p, req, gateway, addrs)
}

func (f *Follower) grant1(p *wire.Packet, req *message1, gateway endpoint, addrs []binding.Address) {
	sub := req.nsapi + 1
	s := f.sessions[0].Find(gateway.addr(), uint64(gateway.teid), sub)
	known := s != nil && s.Data.same(req.imsi, addrs)
	if s != nil && !known {
		f.end(s, f.now)
	}
	if !known {
		if s = f.begin(1, gateway.addr(), gateway.teid, sub, session{imsi: req.imsi, addrs: addrs}); s == nil {
			return
		}
	}
	d := &s.Data
	d.direct, d.contexts = true, d.contexts|1<<req.nsapi
	f.replace(s, connectionOf1(req), req.nsapi)
	f.sessions[0].Touch(s)
	f.served1(s, req, p.Src.Addr())
	f.peers.answersFor(p.Src.Addr(), d.server)
	ev := f.event(binding.SessionStart, s, f.now)
	if known {
		ev.Kind = binding.SessionUpdate
	}
	ev.IMSI, ev.MSISDN, ev.IMEI, ev.APN, ev.RAT = req.imsi, req.msisdn, req.imei, req.apn, req.rat
	ev.Addrs, ev.Contexts, ev.Memo = addrs, 1<<req.nsapi, f.memo(s)
	f.tell(ev)
}

// served1 notes the SGSN's endpoint, by which the GGSN calls each context.
func (f *Follower) served1(s *entry, m *message1, _ netip.Addr) {
	if !m.gsn.IsValid() {
		return
	}
	s.Data.served = m.gsn
	if !m.hasTEID {
		return
	}
	for n := range uint8(16) {
		if s.Data.contexts>>n&1 == 1 {
			f.call(s, endpoint{teid: m.teid, v4: m.gsn}, n+1)
		}
	}
}

// secondary adds a secondary context, which shares the address of its primary
// one.
func (f *Follower) secondary(r *request) {
	for _, s := range r.of {
		if !s.Live() {
			continue
		}
		d := &s.Data
		d.contexts |= 1 << r.v1.nsapi
		f.call(s, endpoint{teid: uint32(d.gateway.ID), v4: d.server}, r.v1.nsapi+1)
		f.served1(s, r.v1, d.served)
		f.sessions[0].Touch(s)
		ev := f.event(binding.SessionUpdate, s, f.now)
		ev.Contexts, ev.Memo = 1<<r.v1.nsapi, f.memo(s)
		f.tell(ev)
	}
}

// updated1 takes an accepted Update PDP Context in (clauses 7.3.3, 7.3.4): from
// an SGSN (perhaps another one), or from the GGSN (perhaps with an address that
// came by DHCP).
func (f *Follower) updated1(r *request, resp *message1) {
	for _, s := range r.of {
		if !s.Live() {
			continue
		}
		d, req := &s.Data, r.v1
		f.sessions[0].Touch(s)
		ev := f.event(binding.SessionUpdate, s, f.now)
		if r.key.asked == d.server {
			f.served1(s, req, d.served)
			if resp.hasTEID {
				for n := range uint8(16) {
					if d.contexts>>n&1 == 1 {
						f.call(s, endpoint{teid: resp.teid, v4: d.server}, n+1)
					}
				}
			}
			ev.RAT, ev.IMEI = req.rat, req.imei
		} else if len(req.addrs) > 0 {
			d.addrs, ev.Addrs, ev.Complete = req.addrs, req.addrs, true
		}
		ev.Contexts, ev.Memo = d.contexts, f.memo(s)
		f.tell(ev)
	}
}

// finish1 ends what a Delete PDP Context released: with Teardown Ind all
// contexts of the address, else one of them (clause 7.3.5).
func (f *Follower) finish1(r *request, at time.Time) {
	for _, s := range r.of {
		if !s.Live() {
			continue
		}
		d, bit := &s.Data, uint16(1)<<r.v1.nsapi
		if d.contexts &^= bit; r.v1.teardown || d.contexts == 0 {
			f.end(s, at)
			continue
		}
		ev := f.event(binding.SessionStop, s, at)
		ev.Contexts, ev.Memo = bit, f.memo(s)
		f.tell(ev)
	}
}
