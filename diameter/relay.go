package diameter

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// How a relay agent forwards (RFC 6733 section 6.1): a request leaves as it
// came, but for the Hop-by-Hop Identifier and one Route-Record more; its
// answer but for the identifier. What we learn on the way never delays or
// drops a message.

// A route is what of a request says where it goes.
type route struct {
	session, originHost, destinationHost []byte
	loop                                 bool
	whole                                bool // all AVPs could be read
}

// readRoute reads as much as can be read: what is malformed is for the peers
// to judge.
func (s *Server) readRoute(m frame) (r route) {
	w := newWalk()
	err := w.each(m.avps(), 0, func(a avp) error {
		if a.vendor != 0 {
			return nil
		}
		switch a.code {
		case avpSessionID:
			r.session = a.data
		case avpOriginHost:
			r.originHost = a.data
		case avpDestinationHost:
			r.destinationHost = a.data
		case avpRouteRecord:
			r.loop = r.loop || strings.EqualFold(string(a.data), s.cfg.OriginHost)
		}
		return nil
	})
	r.whole = err == nil
	return r
}

// forward takes a request in relay mode.
func (c *conn) forward(m frame, now time.Time) {
	s := c.server
	r := s.readRoute(m)
	c.fields = fields{session: r.session, proxied: true}
	switch {
	case r.loop:
		c.answer(m, resultLoopDetected, nil)
		return
	case c.draining.Load():
		c.answer(m, resultTooBusy, nil)
		return
	}
	out := forwarded{from: c, hopByHop: m.hopByHop(), message: m, deadline: now.Add(s.cfg.AnswerTimeout)}
	c.learn(m, &r, &out, now)
	to, result := s.send(&out, &r, nil)
	if result != resultSuccess {
		c.fields = fields{session: r.session, proxied: true}
		c.answer(m, result, nil)
		return
	}
	c.touch(to)
}

// send forwards a request to where it is to go, but not to except. The caller
// wakes the writer of that connection.
func (s *Server) send(out *forwarded, r *route, except *conn) (to *conn, result resultCode) {
	var id uint32
	for ok := false; !ok; {
		if to = s.routeTo(out.from, r, except); to == nil {
			return nil, resultUnableToDeliver
		}
		if id, ok = to.pending.begin(out); !ok && !to.ended() {
			return nil, resultTooBusy
		}
	}
	buf, ok := to.out.lock()
	if ok {
		buf = appendForwarded(buf, out.message, id, out.moves > 0, r.whole, out.from.peer.host)
	}
	to.out.unlock(buf)
	if !ok {
		to.pending.end(id)
		to.end(errSlow)
		return nil, resultTooBusy
	}
	out.from.asking.Add(1)
	return to, resultSuccess
}

// appendForwarded appends a request as it leaves: with its new identifier, the
// T bit if it was sent before (RFC 6733 section 5.5.4), and the Route-Record of
// the peer that it came from (section 6.1.9), unless its end cannot be told.
func appendForwarded(b []byte, m frame, hopByHop uint32, again, whole bool, from string) []byte {
	start := len(b)
	b = append(b, m...)
	if whole {
		b = appendAVP(b, avpRouteRecord, from)
	}
	f := frame(b[start:])
	f.setHopByHop(hopByHop)
	if again {
		f[4] |= flagRetransmit
	}
	f.setLength()
	return b
}

// routeTo chooses the connection for a request (RFC 6733 section 6.1.6): the
// peer that it names; else, of a request from below, an upstream; of one from
// an upstream, the peer through which the host that it names was heard.
func (s *Server) routeTo(from *conn, r *route, except *conn) *conn {
	usable := func(to *conn) bool {
		return to != nil && to != from && to != except && !to.leaving.Load() && !to.ended()
	}
	if len(r.destinationHost) > 0 {
		if one := s.peers.find(r.destinationHost); one != nil {
			if to := one.conn.Load(); usable(to) && (!to.troubled.Load() || !s.isUpstream(one)) {
				return to
			}
		}
	}
	if !s.isUpstream(from.peer) {
		return s.upstreams.choose(r.session, usable)
	}
	for _, path := range s.nodes.paths(r.destinationHost) {
		if to := path.conn.Load(); usable(to) {
			return to
		}
	}
	return nil
}

// deliver takes an answer in relay mode.
func (c *conn) deliver(m frame) {
	r, ok := c.pending.answered(m)
	if !ok {
		c.peer.counts.unexpected.Add(1)
		return
	}
	result, _ := resultOf(m)
	r.from.hand(m, r.hopByHop)
	r.from.peer.counts.answered(resultCode(result))
	c.touch(r.from)
	c.server.learned(&r, (Answer{Result: result}).Success())
}

// learned tells what a request says that was answered, or not in time.
func (s *Server) learned(r *forwarded, success bool) {
	if ev := r.event; r.learn && (success || len(ev.Addrs) > 0) {
		ev.Refused = !success
		s.learner.tell(ev)
	}
}

// hand queues an answer for the peer that waits for it.
func (c *conn) hand(m frame, hopByHop uint32) {
	c.asking.Add(-1)
	buf, ok := c.out.lock()
	if ok {
		start := len(buf)
		buf = append(buf, m...)
		frame(buf[start:]).setHopByHop(hopByHop)
	}
	c.out.unlock(buf)
	if !ok {
		c.end(errSlow)
	}
}

// touch notes a connection whose writer is to be woken after this read.
func (c *conn) touch(to *conn) {
	if !slices.Contains(c.touched, to) {
		c.touched = append(c.touched, to)
	}
}

// flush wakes the writers of everybody to whom this read brought something.
func (c *conn) flush() {
	c.out.flush()
	for _, to := range c.touched {
		to.out.flush()
	}
	c.touched = c.touched[:0]
}

// learn reads a request for what its answer may make of it. A termination, or
// an address given up, is true whatever the PCRF says to it: the UE is gone.
// Upstreams own no sessions.
func (c *conn) learn(m frame, r *route, out *forwarded, now time.Time) {
	if m.application() != appGx || m.command() != cmdCreditControl || c.server.isUpstream(c.peer) {
		// Requests to this host can find their way back.
		if len(r.originHost) > 0 {
			c.server.nodes.hear(c.owner(), c.store.share(r.originHost), c.peer, false, now)
		}
		return
	}
	err := c.understand(m, now)
	if err == nil {
		err = c.place(&c.request)
	}
	if err != nil {
		c.peer.counts.unlearned.Add(1)
		if !errors.Is(err, errNode) {
			c.log.Debug("request forwarded, but not understood", "err", err)
		}
		return
	}
	c.peer.counts.noted(c.request.Notes)
	ev := c.request.Event
	if ev.Kind == binding.SessionStop || len(ev.Gone) > 0 {
		c.server.learner.tell(ev)
		c.node.pass(ev.OriginState)
		return
	}
	// Its node restarted, whatever becomes of the request.
	if c.node.newer(ev.OriginState) {
		_ = c.server.nodes.restarted(restartBy(&ev), false) // the learner refuses nothing
	}
	c.node.pass(ev.OriginState)
	out.event, out.learn = ev, true
}

// restartBy tells of the Origin-State-Id that an event of a session brought.
func restartBy(ev *binding.Event) binding.Event {
	return binding.Event{
		Kind: binding.NodeRestart, Source: ev.Source, Owner: ev.Owner, Node: ev.Node,
		Arrived: ev.Arrived, Link: ev.Link, OriginState: ev.OriginState,
	}
}

// undeliverable answers a request that nobody answered in time.
func (s *Server) undeliverable(r *forwarded) {
	var f fields
	_ = f.collect(r.message) // what can be read of it is enough
	f.proxied = true
	answer, _ := s.appendAnswer(nil, r.message, &f, resultUnableToDeliver, nil)
	r.from.hand(answer, r.hopByHop)
	s.learned(r, false)
	r.from.peer.counts.answered(resultUnableToDeliver)
	r.from.out.flush()
}

// overdue answers for upstreams that did not.
func (s *Server) overdue(now time.Time) {
	for _, one := range s.peers.list() {
		c := one.conn.Load()
		if c == nil {
			continue
		}
		for _, r := range c.pending.take(func(r *forwarded) bool { return now.After(r.deadline) }) {
			s.counts.overdue.Add(1)
			s.undeliverable(&r)
		}
	}
}

// failover sends what a connection did not answer elsewhere (RFC 6733 section
// 5.5.4). If there is nowhere, it waits on, unless the connection is gone.
func (s *Server) failover(c *conn, gone bool) {
	if s.client != nil {
		s.client.failover(c, gone)
		return
	}
	if !gone && !s.isUpstream(c.peer) {
		return // there is no other way to a PCEF
	}
	if !gone && s.upstreams.choose(nil, func(to *conn) bool { return to != nil && to != c && !to.troubled.Load() }) == nil {
		return
	}
	if gone {
		c.pending.close()
	}
	for _, r := range c.pending.take(func(*forwarded) bool { return true }) {
		path := s.readRoute(r.message)
		r.moves++
		r.from.asking.Add(-1)
		s.counts.moved.Add(1)
		if r.from.ended() {
			continue
		}
		to, result := s.send(&r, &path, c)
		if result != resultSuccess {
			r.from.asking.Add(1)
			s.undeliverable(&r)
			continue
		}
		to.out.flush()
	}
}
