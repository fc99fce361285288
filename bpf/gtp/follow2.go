package gtp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/wire"
)

// follow2 takes one GTPv2-C message in.
func (f *Follower) follow2(p *wire.Packet, m *message2, digest uint64) {
	f.restarted(p.Src.Addr(), m.restarts, 2)
	switch m.kind {
	case createSessionRequest, modifyBearerRequest, deleteSessionRequest, deleteBearerRequest, deleteConnectionSetRequest:
		if r := f.ask2(p, m, digest); r != nil {
			f.early.Asked(r.key)
		}
	case createSessionResponse, modifyBearerResponse, deleteSessionResponse, deleteBearerResponse, deleteConnectionSetAnswer:
		f.answered2(p, m)
	case restartNotification:
		f.restartOf(f.peers.byAddr[m.gone])
	}
}

// answered2 takes a response in. Its request is the message whose number is one
// less.
func (f *Follower) answered2(p *wire.Packet, m *message2) {
	r := f.answer(p, m.header, m.kind-1, func(p *wire.Packet) { f.answered2(p, m) })
	if r == nil {
		return
	}
	switch {
	case m.kind == createSessionResponse:
		f.created(p, r.v2, m)
	case m.kind != modifyBearerResponse:
		f.deleted(r, m)
	case accepted2(m.cause):
		f.modified(r, m)
	}
}

// ask2 remembers a request, and the sessions that it names. It returns nil for
// a repetition.
func (f *Follower) ask2(p *wire.Packet, m *message2, digest uint64) *request {
	r := f.ask(p, m.header, digest)
	if r == nil {
		return nil
	}
	r.v2 = m
	at := p.Dst.Addr()
	switch m.kind {
	case deleteSessionRequest:
		r.of = f.named(at, m.teid, m.linked)
	case modifyBearerRequest:
		if r.of = f.named(at, m.teid, m.ebi()); len(r.of) == 0 {
			r.of = f.named(at, m.teid, 0) // the bearer may not be the default one
		}
	case deleteBearerRequest:
		if m.linked == 0 || m.cause == causeISRDeactivation {
			return r // dedicated bearers only, or only one of two accesses (ISR)
		}
		r.of = f.named(at, m.teid, m.linked)
	default:
		return r
	}
	if len(r.of) == 0 {
		f.counts.Unresolved++
	}
	return r
}

// maxEBI is the largest EPS Bearer ID.
const maxEBI = 15

// named lists the sessions that a TEID of a node names: the only one at an
// endpoint of its own, else that of a bearer, or (ebi zero) all of the UE.
func (f *Follower) named(at netip.Addr, teid uint32, ebi uint8) (list []*entry) {
	table := f.sessions[1]
	if s := table.Find(at, uint64(teid), 0); s != nil {
		return []*entry{s}
	}
	low, high := ebi, ebi
	if ebi == 0 {
		low, high = 1, maxEBI
	}
	for n := low; n <= high; n++ {
		if s := table.Find(at, uint64(teid), n); s != nil {
			list = append(list, s)
		}
	}
	return list
}

// created takes an accepted Create Session Response in (clause 7.2.2): only now
// there is a session.
func (f *Follower) created(p *wire.Packet, req, resp *message2) {
	if !accepted2(resp.cause) {
		f.counts.Rejected++
		return
	}
	if resp.teid != req.sender.teid {
		f.counts.Unpaired++
		return
	}
	gateway := gatewayOf(req, resp)
	if !gateway.valid() {
		f.counts.Unresolved++
		return
	}
	s := f.sessions[1].Find(gateway.addr(), uint64(gateway.teid), 0)
	known := s != nil && s.Data.same(req.imsi, resp.addrs)
	if s != nil && !known {
		f.end(s, f.now) // the gateway gave its TEID away again: an end was missed
	}
	if !known {
		if len(resp.addrs) == 0 {
			f.withoutAddress(resp)
			return
		}
		s = f.begin(2, gateway.addr(), gateway.teid, 0, session{imsi: req.imsi, addrs: resp.addrs})
		if s == nil {
			return
		}
	}
	ebi := req.ebi()
	if ebi == 0 {
		ebi = resp.ebi()
	}
	f.replace(s, connectionOf2(req), ebi)
	f.reach(p, s, req, resp, gateway)
	ev := f.event(binding.SessionStart, s, f.now)
	if known {
		ev.Kind = binding.SessionUpdate
	}
	if ebi != 0 {
		ev.Contexts = 1 << ebi
	}
	ev.IMSI, ev.MSISDN, ev.IMEI, ev.APN, ev.RAT = req.imsi, req.msisdn, req.imei, req.apn, req.rat
	ev.Addrs, ev.Memo = resp.addrs, f.memo(s)
	f.tell(ev)
}

// withoutAddress counts an accepted session that binds nothing: its address
// comes by DHCP, or (on SGW relocation) is not said again and was not heard
// before.
func (f *Follower) withoutAddress(resp *message2) {
	if resp.granted {
		f.counts.NoAddress++
	} else {
		f.counts.Unresolved++
	}
}

// gatewayOf is the PGW's control endpoint: instance 1 of the response on every
// interface; where it is missing, the sender, or on relocation what the request
// said.
func gatewayOf(req, resp *message2) endpoint {
	switch {
	case resp.gateway.valid():
		return resp.gateway
	case !req.direct() && req.gateway.valid() && req.gateway.teid != 0:
		return req.gateway
	}
	return resp.sender
}

// reach notes by which endpoints a session will be called.
func (f *Follower) reach(p *wire.Packet, s *entry, req, resp *message2, gateway endpoint) {
	f.call(s, gateway, 0)
	f.sessions[1].Touch(s)
	d := &s.Data
	for _, set := range append(req.sets, resp.sets...) {
		if len(d.sets) < maxSets && !slices.Contains(d.sets, set) {
			d.sets = append(d.sets, set)
		}
	}
	if req.direct() {
		d.direct = true
		f.servedBy(s, req.sender)
		f.peers.answersFor(p.Src.Addr(), s.Data.server)
		return
	}
	ebi := req.ebi()
	if ebi == 0 {
		ebi = resp.ebi()
	}
	if ebi == 0 || len(d.accesses) >= maxAccesses {
		return
	}
	d.accesses = append(d.accesses, access{server: f.call(s, resp.sender, ebi), client: f.call(s, req.sender, ebi)})
}

// maxAccesses bounds the accesses of a session: two while it is handed over.
const maxAccesses = 4

// servedBy notes the endpoint of the gateway's peer; the former one names the
// session no more.
func (f *Follower) servedBy(s *entry, e endpoint) {
	if !e.valid() {
		return
	}
	d := &s.Data
	former := d.client
	d.client, d.served = f.call(s, e, 0), e.addr()
	if former != (pairing.Handle{}) && former != d.client && former != d.gateway {
		f.table(s).Uncall(s, former)
	}
}

// modified takes an accepted Modify Bearer in (clause 7.2.7, 7.2.8): a refresh,
// and on S5/S8 perhaps another SGW. The address stays.
func (f *Follower) modified(r *request, resp *message2) {
	for _, s := range r.of {
		if !s.Live() || len(r.of) > 1 {
			continue // which of several is not said
		}
		d := &s.Data
		asked := r.key.asked
		f.sessions[1].Touch(s)
		if f.sessions[1].Find(asked, uint64(r.v2.teid), 0) == s {
			d.direct = true
			f.servedBy(s, r.v2.sender)
		} else if r.v2.sender.valid() {
			f.anotherMME(s, r.v2)
		}
		ev := f.event(binding.SessionUpdate, s, f.now)
		ev.RAT, ev.MSISDN, ev.Memo = r.v2.rat, resp.msisdn, f.memo(s)
		f.tell(ev)
	}
}

// anotherMME notes the MME's endpoint of the access that a request came by.
func (f *Follower) anotherMME(s *entry, m *message2) {
	for i := range s.Data.accesses {
		a := &s.Data.accesses[i]
		if a.server.ID != uint64(m.teid) {
			continue
		}
		former := a.client
		if a.client = f.call(s, m.sender, a.server.Sub); former != a.client {
			f.sessions[1].Uncall(s, former)
		}
	}
}

// deleted takes the answer to a release in. "Context not found" ends too: the
// node has no such session.
func (f *Follower) deleted(r *request, m *message2) {
	if accepted2(m.cause) || m.cause == causeNoContext {
		f.finish(r, f.now)
	} else {
		f.counts.Rejected++
	}
}

// ends reports that a request releases sessions.
func (r *request) ends() bool {
	switch {
	case r.v2 != nil:
		return r.v2.kind == deleteSessionRequest || r.v2.kind == deleteBearerRequest || r.v2.kind == deleteConnectionSetRequest
	case r.v1 != nil:
		return r.v1.kind == deleteContextRequest
	}
	return false
}

// finish does what a release asked for, at that time.
func (f *Follower) finish(r *request, at time.Time) {
	switch {
	case r.v1 != nil:
		f.finish1(r, at)
	case r.v2.kind == deleteConnectionSetRequest:
		// Not those that began since it was asked for.
		asked := r.at.UnixMilli()
		f.endAll(2, at, func(s *entry) bool { return s.Data.began < asked && shares(s.Data.sets, r.v2.sets) })
	default:
		for _, s := range r.of {
			f.release(s, r, at)
		}
	}
}

// release ends a session, or only an access to it: an MME that leaves an SGW
// for another one releases the old access alone (Operation Indication not set,
// or Scope Indication set, TS 29.274 clause 7.2.9.1).
func (f *Follower) release(s *entry, r *request, at time.Time) {
	m := r.v2
	if !s.Live() {
		return
	}
	d := &s.Data
	i := -1
	if m.kind == deleteSessionRequest {
		for n, a := range d.accesses {
			if a.server.ID == uint64(m.teid) && f.sessions[1].Addr(a.server) == r.key.asked {
				i = n
			}
		}
	}
	if i < 0 || m.operation && !m.scope {
		f.end(s, at)
		return
	}
	f.sessions[1].Uncall(s, d.accesses[i].server)
	f.sessions[1].Uncall(s, d.accesses[i].client)
	d.accesses = append(d.accesses[:i], d.accesses[i+1:]...)
	if len(d.accesses) == 0 && !d.direct {
		f.end(s, at) // nothing would show its end any more
	}
}

func shares(a, b []uint64) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}
