package diameter

import (
	"math"
	"time"

	"github.com/simbind/simbind/binding"
)

// Values of CC-Request-Type (RFC 8506 section 8.3).
const (
	requestInitial     = 1
	requestUpdate      = 2
	requestTermination = 3
)

// An Origin is what a request does not say about itself.
type Origin struct {
	// Arrived is when the request was read.
	Arrived time.Time
	// Owner is who brought it, and Link the number of the connection that it came
	// by; see [binding.Event].
	Owner string
	Link  uint64
	// MSISDNStrip are prefixes of which the first that fits is taken off an
	// END_USER_E164; nil means "+" and "00".
	MSISDNStrip []string

	store *store // nil: nothing is shared
}

// A Request is what a Credit-Control-Request says.
type Request struct {
	// Event is ready to be submitted, but for Ack and Token.
	Event binding.Event
	// HopByHop pairs the request with its answer on one connection, EndToEnd
	// from end to end (RFC 6733 section 3).
	HopByHop, EndToEnd uint32
	// Realm is the Origin-Realm, ServingNetwork 3GPP-SGSN-MCC-MNC, or empty.
	Realm, ServingNetwork string
	// IPCAN is IP-CAN-Type (TS 29.212 clause 5.3.27), -1 if there was none.
	IPCAN int
	// Notes are what was left out.
	Notes Notes
}

// Decode reads a Credit-Control-Request of Gx; octets after the message are
// ignored. The Request keeps nothing of it. Errors wrap [ErrMalformed].
func Decode(message []byte, o Origin) (Request, error) {
	m, err := newFrame(message)
	if err != nil {
		return Request{}, err
	}
	if !m.request() || m.command() != cmdCreditControl || m.application() != appGx {
		return Request{}, errCommand
	}
	var f fields
	if err := f.collect(m); err != nil {
		return Request{}, err
	}
	var r Request
	if err := r.decode(m, &f, &o); err != nil {
		return Request{}, err
	}
	return r, nil
}

// decode builds the request of what was collected. Its error is a *fault.
func (r *Request) decode(m frame, f *fields, o *Origin) error {
	*r = Request{HopByHop: m.hopByHop(), EndToEnd: m.endToEnd(), IPCAN: -1, Notes: f.notes}
	if f.ipCAN.ok {
		r.IPCAN = int(f.ipCAN.value & 0xFFFF)
	}
	ev := &r.Event
	ev.Source, ev.Owner, ev.Link, ev.Arrived = binding.SourceGx, o.Owner, o.Link, o.Arrived
	if err := r.subject(f, o); err != nil {
		return err
	}
	ev.Repeated = m.flags()&flagRetransmit != 0
	ev.Order = f.requestNumber.order()
	ev.OriginState = f.originState.value
	ev.Time = f.eventTime.time()
	r.identities(f, o)
	r.addresses(f, o)
	ev.APN = o.store.share(f.called)
	ev.RAT = f.radioAccess()
	r.Realm, r.ServingNetwork = o.store.share(f.originRealm), o.store.share(f.network)
	if ev.Kind != binding.SessionStop && ev.MSISDN == 0 && ev.IMSI == 0 {
		r.Notes |= NoteNoIdentity
	}
	return nil
}

// subject sets what happened to which session of whom.
func (r *Request) subject(f *fields, o *Origin) error {
	ev := &r.Event
	switch {
	case len(f.session) == 0:
		return faultMissing(avpSessionID, 1)
	case len(f.originHost) == 0:
		return faultMissing(avpOriginHost, 1)
	case !f.requestType.ok:
		return faultMissing(avpRequestType, 4)
	}
	switch f.requestType.value {
	case requestInitial:
		ev.Kind = binding.SessionStart
	case requestUpdate:
		ev.Kind = binding.SessionUpdate
	case requestTermination:
		ev.Kind = binding.SessionStop
	default:
		return &fault{code: resultInvalidValue, failed: appendUint32(nil, avpRequestType, f.requestType.value), text: "CC-Request-Type is of no session"}
	}
	ev.Node, ev.Session = o.store.share(f.originHost), o.store.keep(f.session)
	return nil
}

// secondsTo1970 are between the epochs of Time (RFC 6733 section 4.3.1) and of
// Unix.
const secondsTo1970 = 2208988800

// time is Event-Timestamp as it was sent; Gx does not demand it.
func (n number) time() time.Time {
	if !n.ok {
		return time.Time{}
	}
	// A value with the high bit clear is of the era that begins in 2036 (RFC
	// 4330 section 3).
	seconds := int64(n.value)
	if seconds < 1<<31 {
		seconds += 1 << 32
	}
	return time.Unix(seconds-secondsTo1970, 0).UTC()
}

// order is CC-Request-Number as [binding.Event] has it: the first request is
// number zero, and without a number there is no order.
func (n number) order() uint32 {
	if !n.ok {
		return 0
	}
	return min(n.value, math.MaxUint32-1) + 1
}

// rats maps RAT-Type (TS 29.212 clause 5.3.31) to the code of 3GPP-RAT-Type.
var rats = map[uint32]binding.RAT{
	0: 3, 1: 7, 2: 54, 3: 55, 1000: 1, 1001: 2, 1002: 4, 1003: 5, 1004: 6, 1005: 8, 1006: 51, 1007: 9, 1008: 52,
	2000: 104, 2001: 103, 2002: 105, 2003: 102,
}

// radioAccess prefers RAT-Type, which is Gx's own.
func (f *fields) radioAccess() binding.RAT {
	if f.ratType.ok {
		return rats[f.ratType.value]
	}
	if len(f.rat) == 1 {
		return binding.RAT(f.rat[0])
	}
	return 0
}
