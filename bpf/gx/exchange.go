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
	id       uint64
	framers  [2]framer // of TCP
	proven   bool      // it is Diameter
	sessions bool      // it carries Gx
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
func (l *link) Midway(side tcp.Side) { l.framers[side].gap() }

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
func (l *link) Close() {}

// message takes one message that an end sent.
func (l *link) message(side tcp.Side, at time.Time, b []byte) {
	f := l.follower
	h, err := diameter.DecodeHeader(b)
	if err != nil {
		f.counts.add(droppedMalformed)
		return
	}
	f.counts.add(messages)
	f.open.Expire(at)
	switch {
	case h.TellsState():
		if name, state, err := diameter.PeerState(b); err == nil {
			l.proven = true
			if h.Opens() {
				f.setBack(name, state, at)
			}
			f.hear(name, state, at)
		}
	case !h.CreditControl():
		f.counts.add(others)
	case h.Request:
		l.request(side, at, b, h)
	default:
		l.answer(side, at, b)
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
	r, err := diameter.Decode(b, diameter.Origin{Arrived: at, MSISDNStrip: f.options.MSISDNStrip})
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
	f.hear(ev.Node, r.OriginState, at)
	var first *diameter.Answer
	if known != nil && known.state == orphan && at.Sub(known.at) <= early {
		first = &diameter.Answer{}
		*first = known.answer
	} else if known != nil && known.state == waiting {
		f.counts.add(superseded)
	}
	kept := f.open.Put(at, key, half{request: r, at: at})
	if first != nil && fits(&kept.request, first) {
		f.take(kept, first)
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
		f.take(known, &a)
	}
}

// fits reports whether an answer is that of a request: what it repeats of it is
// equal.
func fits(r *diameter.Request, a *diameter.Answer) bool {
	return r.EndToEnd == a.EndToEnd && (a.Session == "" || a.Session == r.Event.Session) &&
		(!a.Numbered || !r.Numbered || a.Number == r.Number)
}

// take tells what a request says that was answered.
func (f *Follower) take(h *half, a *diameter.Answer) {
	h.state = answered
	r := h.request
	h.request = diameter.Request{EndToEnd: r.EndToEnd}
	ev := r.Event
	if !a.Success() {
		f.counts.add(failed)
		if ev.Kind != binding.SessionStop && len(ev.Gone) == 0 {
			return
		}
	} else {
		f.counts.add(paired)
	}
	if r.Notes != 0 {
		f.counts.add(noted)
	}
	nd := f.nodes[ev.Node]
	f.sequence.Place(&r, nd.state, nd.restart)
	f.tell(r.Event)
}
