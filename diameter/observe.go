package diameter

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
// Capabilities-Exchange, Device-Watchdog or Disconnect-Peer, request or answer.
func (h Header) TellsState() bool {
	return h.Opens() || h.KeepsAlive() || h.Application == appBase && h.Command == cmdDisconnect
}

// Opens reports a message of the exchange that opens a connection between peers.
func (h Header) Opens() bool { return h.Application == appBase && h.Command == cmdCapabilities }

// KeepsAlive reports a Device-Watchdog, request or answer.
func (h Header) KeepsAlive() bool { return h.Application == appBase && h.Command == cmdWatchdog }

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

// A PeerState is what a peer says of itself in a message of the base protocol.
type PeerState struct {
	Host string
	// OriginState is its Origin-State-Id, zero if it tells none (RFC 6733 section
	// 8.16).
	OriginState uint32
	// Success says of an answer that the request was carried out.
	Success bool
}

// DecodePeerState reads a message for which [Header.TellsState] holds. Errors
// wrap [ErrMalformed].
func DecodePeerState(message []byte) (PeerState, error) {
	m, err := newFrame(message)
	if err != nil {
		return PeerState{}, err
	}
	var name []byte
	var state, result number
	w := newWalk()
	err = w.each(m.avps(), 0, func(a avp) error {
		switch {
		case a.is(0, avpOriginHost):
			return bounded(&name, a, maxIdentity)
		case a.is(0, avpOriginStateID):
			return state.set(a)
		case a.is(0, avpResultCode):
			return result.set(a)
		}
		return nil
	})
	if err != nil || len(name) == 0 {
		return PeerState{}, ErrMalformed
	}
	return PeerState{Host: printable(name), OriginState: state.value, Success: result.value/1000 == 2}, nil
}
