package gx

import (
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/sctp"
	"github.com/simbind/simbind/bpf/tcp"
	"github.com/simbind/simbind/diameter"
)

const (
	// early is how long an answer that was captured before its request is kept.
	early = 5 * time.Second
	// maxText bounds what is kept of one request: its strings.
	maxText = 4096
)

// An exchange is what pairs a request with its answer: the connection, the end
// that asked, and the Hop-by-Hop Identifier (RFC 6733 section 3).
type exchange struct {
	link     uint64
	asker    tcp.Side
	hopByHop uint32
}

// A half is a request that waits for its answer, or an answer that came first.
type half struct {
	state   state
	request diameter.Request
	answer  diameter.Answer
	at      time.Time
}

type state uint8

const (
	waiting  state = iota // a request
	answered              // a request
	orphan                // an answer
)

// A link is one TCP connection or SCTP association. It lasts as long as that.
type link struct {
	follower *Follower
	id       uint64      // see [binding.Event]
	owners   [2]string   // of what each end sends
	speakers [2]*speaker // of that, once it is known
	at       time.Time   // of the last message
	framers  [2]framer   // of TCP
	asked    [2]asked
	midway   bool // it was there before it was heard
	proven   bool // it is Diameter
	sessions bool // it carries Gx
	closed   bool
}

// An asked request of the base protocol is the last that an end sent.
type asked struct {
	header diameter.Header
	peer   diameter.PeerState
	open   bool
}

// Data takes octets of a TCP connection.
func (l *link) Data(side tcp.Side, at time.Time, b []byte) {
	f := &l.framers[side]
	was := f.lost
	f.add(b, &l.follower.counts, func(message []byte) { l.message(side, at, message) })
	if f.lost && !was {
		l.Missed(at)
	}
}

// Midway notes that a stream is not heard from its beginning.
func (l *link) Midway(side tcp.Side) {
	l.midway = true
	l.framers[side].gap()
}

// Gap notes that octets are missing.
func (l *link) Gap(side tcp.Side, at time.Time) {
	l.framers[side].gap()
	l.Missed(at)
}

// Missed notes that messages are missing.
func (l *link) Missed(at time.Time) {
	if l.sessions {
		l.follower.missed(at)
	}
}

// Message takes a message of an SCTP association. Some nodes put several
// Diameter messages into one.
func (l *link) Message(side sctp.Side, at time.Time, b []byte) {
	for len(b) >= diameter.HeaderLength {
		n, err := diameter.FrameLength(b)
		if err != nil || n > len(b) {
			l.follower.counts.add(droppedMalformed)
			return
		}
		l.message(tcp.Side(side), at, b[:n:n])
		b = b[n:]
	}
}

// Proven reports whether a message was read.
func (l *link) Proven() bool { return l.proven }

// Close is called when the connection ends, which ends nothing else (rule T7):
// requests that still wait are forgotten in their time.
func (l *link) Close() { l.closed, l.framers = true, [2]framer{} }

// message takes one message that an end sent. What waited behind a hole came
// when the hole was filled: a connection is in order.
func (l *link) message(side tcp.Side, at time.Time, b []byte) {
	f := l.follower
	h, err := diameter.DecodeHeader(b)
	if err != nil {
		f.counts.add(droppedMalformed)
		return
	}
	if at.Before(l.at) {
		at = l.at
	}
	l.at = at
	f.counts.add(messages)
	f.open.Expire(at)
	l.alive(side, at, h.KeepsAlive())
	switch {
	case h.TellsState():
		l.base(side, at, b, h)
	case !h.CreditControl():
		f.counts.add(others)
	case h.Request:
		l.request(side, at, b, h)
	default:
		l.answer(side, at, b)
	}
}

// alive notes a sign of life of an end.
func (l *link) alive(side tcp.Side, at time.Time, keepAlive bool) {
	if l.speakers[side] == nil {
		l.speakers[side] = l.follower.speakers[l.owners[side]]
	}
	if s := l.speakers[side]; s != nil {
		l.follower.watch.Heard(s.pulse, at, keepAlive)
	}
}

// base takes a message in which an end speaks of itself. It counts with its
// answer, which is that of the last request of the other end.
func (l *link) base(side tcp.Side, at time.Time, b []byte, h diameter.Header) {
	peer, err := diameter.DecodePeerState(b)
	if err != nil {
		l.follower.counts.add(droppedMalformed)
		return
	}
	l.proven = true
	if h.Request {
		l.asked[side] = asked{h, peer, true}
		return
	}
	q := &l.asked[side.Other()]
	if !q.open || q.header.Command != h.Command || q.header.HopByHop != h.HopByHop || q.header.EndToEnd != h.EndToEnd {
		return
	}
	q.open = false
	if !peer.Success {
		return
	}
	how := watchdog
	if h.Opens() && !l.midway {
		how = opening
	}
	l.shows(side.Other(), &q.peer, how, at)
	l.shows(side, &peer, how, at)
}

// shows takes what an end shows of its own state.
func (l *link) shows(side tcp.Side, peer *diameter.PeerState, how proof, at time.Time) {
	if peer.OriginState == 0 {
		return
	}
	if nd := l.follower.node(l.owners[side], peer.Host); nd != nil {
		l.follower.shows(nd, l, peer.OriginState, how, at, false)
	}
}

func (l *link) request(side tcp.Side, at time.Time, b []byte, h diameter.Header) {
	f := l.follower
	key := exchange{l.id, side, h.HopByHop}
	known := f.open.Get(key)
	if known != nil && known.state != orphan && known.request.EndToEnd == h.EndToEnd {
		f.counts.add(repeated)
		return
	}
	r, err := diameter.Decode(b, diameter.Origin{
		Arrived: at, Owner: l.owners[side], Link: l.id, MSISDNStrip: f.options.MSISDNStrip,
	})
	if err != nil {
		f.counts.add(droppedMalformed)
		return
	}
	ev := &r.Event
	if len(ev.Node)+len(ev.Session)+len(ev.APN)+len(r.Realm)+len(r.ServingNetwork) > maxText {
		f.counts.add(droppedMalformed)
		return
	}
	l.proven, l.sessions = true, true
	f.counts.add(requests)
	var first *diameter.Answer
	if known != nil && known.state == orphan && at.Sub(known.at) <= early {
		first = &diameter.Answer{}
		*first = known.answer
	} else if known != nil && known.state == waiting {
		f.counts.add(superseded)
	}
	kept := f.open.Put(at, key, half{request: r, at: at})
	if first != nil && fits(&kept.request, first) {
		l.take(kept, first)
	}
}

func (l *link) answer(side tcp.Side, at time.Time, b []byte) {
	f := l.follower
	a, err := diameter.DecodeAnswer(b)
	if err != nil || len(a.Session) > maxText {
		f.counts.add(droppedMalformed)
		return
	}
	l.proven, l.sessions = true, true
	f.counts.add(answers)
	key := exchange{l.id, side.Other(), a.HopByHop}
	switch known := f.open.Get(key); {
	case known == nil || known.state == orphan:
		f.counts.add(unmatched)
		if a.Session != "" {
			f.open.Put(at, key, half{state: orphan, answer: a, at: at})
		}
	case known.state == answered:
		f.counts.add(repeated)
	case !fits(&known.request, &a):
		f.counts.add(mismatched)
	default:
		l.take(known, &a)
	}
}

// fits reports whether an answer is that of a request: what it repeats of it is
// equal.
func fits(r *diameter.Request, a *diameter.Answer) bool {
	return r.EndToEnd == a.EndToEnd && (a.Session == "" || a.Session == r.Event.Session) &&
		(a.Order == 0 || r.Event.Order == 0 || a.Order == r.Event.Order)
}

// take tells what a request says that was answered. Its node lives, whatever the
// answer is.
func (l *link) take(h *half, a *diameter.Answer) {
	f := l.follower
	h.state = answered
	r := h.request
	h.request = diameter.Request{EndToEnd: r.EndToEnd}
	ev := r.Event
	counts := a.Success() || ev.Kind == binding.SessionStop || len(ev.Gone) > 0
	if nd := f.node(ev.Owner, ev.Node); nd != nil {
		if counts {
			f.speaks(nd)
		}
		f.shows(nd, l, ev.OriginState, creditControl, ev.Arrived, counts)
	}
	if a.Success() {
		f.counts.add(paired)
	} else {
		f.counts.add(failed)
	}
	if !counts && len(ev.Addrs) == 0 {
		return
	}
	ev.Refused = !counts
	if r.Notes != 0 {
		f.counts.add(noted)
	}
	f.tell(ev)
}
