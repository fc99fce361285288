package diameter

import "time"

// What helps to follow a stream of messages that others exchange.

// A Header is the fixed part of a message (RFC 6733 section 3).
type Header struct {
	Length             int
	Request            bool
	Command            uint32
	Application        uint32
	HopByHop, EndToEnd uint32
}

// DecodeHeader reads the header of a message that is complete. Errors wrap
// [ErrMalformed].
func DecodeHeader(message []byte) (Header, error) {
	m, err := newFrame(message)
	if err != nil {
		return Header{}, err
	}
	return m.header(), nil
}

func (f frame) header() Header {
	return Header{
		Length: len(f), Request: f.request(), Command: f.command(), Application: f.application(),
		HopByHop: f.hopByHop(), EndToEnd: f.endToEnd(),
	}
}

// CreditControl reports a Credit-Control-Request or -Answer of Gx.
func (h Header) CreditControl() bool {
	return h.Command == cmdCreditControl && h.Application == appGx
}

// TellsState reports a message in which a peer speaks of itself: a
// Capabilities-Exchange or Device-Watchdog, request or answer.
func (h Header) TellsState() bool {
	return h.Application == appBase && (h.Command == cmdCapabilities || h.Command == cmdWatchdog)
}

// Opens reports the request that opens a connection between peers.
func (h Header) Opens() bool {
	return h.Application == appBase && h.Command == cmdCapabilities && h.Request
}

// HeaderLength is the length of a header.
const HeaderLength = headerLen

// Plausible reports whether a message that matters here, or that comes again
// and again between peers, may begin with head, which has at least
// [HeaderLength] octets: for a stream of which the beginning of no message is
// known.
func Plausible(head []byte) bool {
	if _, err := FrameLength(head); err != nil {
		return false
	}
	f := frame(head)
	if f.flags()&maskReservedBits != 0 || f.flags()&(flagRequest|flagError) == flagRequest|flagError {
		return false
	}
	switch f.command() {
	case cmdCreditControl, cmdReAuth:
		return f.application() == appGx
	case cmdCapabilities, cmdWatchdog, cmdDisconnect:
		return f.application() == appBase
	}
	return false
}

// reservedAVPBits must be zero (RFC 6733 section 4.1).
const reservedAVPBits = 0x1F

// Whole reports whether a message is one to its last AVP, with nothing in it
// that a sender must not write: for a message that was found by [Plausible]. A
// part of one that looks like another does not pass: it would have to be made
// for that.
func Whole(message []byte) bool {
	m, err := newFrame(message)
	if err != nil || len(m) == headerLen {
		return false
	}
	first, w := true, newWalk()
	for rest := m.avps(); len(rest) > 0; {
		a, after, err := w.next(rest)
		if err != nil || a.raw[4]&reservedAVPBits != 0 || len(a.raw)+-len(a.raw)&3 > len(rest) {
			return false
		}
		// RFC 6733 section 3.2: Session-Id has a fixed place, where there is one.
		if first && m.application() != appBase && !a.is(0, avpSessionID) {
			return false
		}
		first, rest = false, after
	}
	return true
}

// PeerState reads who sent a message, and its Origin-State-Id or zero (RFC 6733
// section 8.16). Errors wrap [ErrMalformed].
func PeerState(message []byte) (host string, state uint32, err error) {
	m, err := newFrame(message)
	if err != nil {
		return "", 0, err
	}
	var name []byte
	var id number
	w := newWalk()
	err = w.each(m.avps(), 0, func(a avp) error {
		switch {
		case a.is(0, avpOriginHost):
			return once(&name, a)
		case a.is(0, avpOriginStateID):
			return id.set(a)
		}
		return nil
	})
	if err != nil || len(name) == 0 {
		return "", 0, ErrMalformed
	}
	return printable(name), id.value, nil
}

// A Sequence gives observed requests the time at which they belong among those
// of their session, as a [Server] does with its own. It grows to about 8 MiB.
type Sequence struct{ order *order }

// NewSequence makes a Sequence that knows no session.
func NewSequence() *Sequence { return &Sequence{newOrder()} }

// Place sets the time of the request's event. state is the Origin-State-Id that
// its node is known by, and restart when that grew last, zero if it did not:
// what was on its way then belongs before it, and what is of that state does
// not.
func (s *Sequence) Place(r *Request, state uint32, restart time.Time) {
	s.order.place(r, state, restart.UnixMilli())
}
