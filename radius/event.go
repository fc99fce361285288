package radius

import (
	"cmp"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
)

// Values of Acct-Status-Type (RFC 2866 section 5.1).
const (
	statusStart  = 1
	statusStop   = 2
	statusUpdate = 3
	statusOn     = 7
	statusOff    = 8
)

// An Origin is what a request does not say about itself.
type Origin struct {
	// From is the UDP source address, unmapped; it names the node of a request
	// that names no NAS.
	From netip.Addr
	// Owner is who brought it: the group of the client whose secret or
	// certificate it came under.
	Owner string
	// Arrived is when the request came, before any queue.
	Arrived time.Time
	// BlindDelay is how late it may have come, if its NAS tells no time at all;
	// zero means the Registry's.
	BlindDelay time.Duration
	// Held is for how long its transport may have held it, which its NAS does not
	// know: as long as TCP tries. Zero: it came as a datagram.
	Held time.Duration
	// MSISDNStrip are prefixes of which the first that fits is taken off
	// Calling-Station-Id; nil means "+" and "00".
	MSISDNStrip []string

	names *names // nil: strings are not shared
}

// A Request is what an Accounting-Request says.
type Request struct {
	// Event is ready to be submitted, but for Ack and Token. Its Kind is zero
	// for a status that is no event here (RFC 2867 tunnels, Failed).
	Event binding.Event
	// HomeNetwork and ServingNetwork are 3GPP-IMSI-MCC-MNC and
	// 3GPP-SGSN-MCC-MNC, or empty.
	HomeNetwork, ServingNetwork string
	// Notes are what was left out.
	Notes Notes
}

// Decode reads an Accounting-Request, which may be followed by padding. It
// checks no authenticator, so it serves packets that were only observed. The
// Request keeps nothing of the packet. Errors wrap [ErrMalformed].
func Decode(datagram []byte, o Origin) (Request, error) {
	p, err := newPacket(datagram)
	if err != nil {
		return Request{}, err
	}
	if p.code() != codeAccountingRequest {
		return Request{}, errCode
	}
	var f fields
	if err := f.collect(p); err != nil {
		return Request{}, err
	}
	var r Request
	if err := r.decode(&f, &o, o.names.nas(&f, o.From)); err != nil {
		return Request{}, err
	}
	return r, nil
}

// decode builds the request of a NAS.
func (r *Request) decode(f *fields, o *Origin, who nas) error {
	*r = Request{Notes: f.notes}
	kind, err := f.kind()
	if err != nil {
		return err
	}
	ev := &r.Event
	ev.Kind, ev.Source, ev.Owner, ev.Node, ev.Also = kind, binding.SourceRADIUS, o.Owner, who.node, who.also
	ev.Arrived, ev.Blind = o.Arrived, o.BlindDelay
	r.time(f)
	r.held(o.Held)
	if kind == 0 || kind == binding.NodeRestart {
		return nil
	}
	if ev.Session, err = f.sessionID(); err != nil {
		return err
	}
	r.age(f)
	r.identities(f, o)
	r.addresses(f)
	r.contexts(f)
	ev.APN = o.names.text(f.called)
	if len(f.rat) == 1 {
		ev.RAT = binding.RAT(f.rat[0])
	}
	if kind != binding.SessionStop {
		ev.Lease = lease(f.interim)
		if ev.MSISDN == 0 && ev.IMSI == 0 {
			r.Notes |= NoteNoIdentity
		}
	}
	return nil
}

func (f *fields) kind() (binding.Kind, error) {
	if !f.status.ok {
		return 0, errNoStatus
	}
	switch f.status.value {
	case statusStart:
		return binding.SessionStart, nil
	case statusStop:
		return binding.SessionStop, nil
	case statusUpdate:
		return binding.SessionUpdate, nil
	case statusOn, statusOff:
		return binding.NodeRestart, nil
	}
	return 0, nil
}

// sessionID is Acct-Session-Id as it is. Without one it is what TS 29.061
// clause 16.4.3 makes it of: the gateway's address and the charging id, in
// hexadecimal.
func (f *fields) sessionID() (string, error) {
	if len(f.session) > 0 {
		return string(f.session), nil
	}
	gateway := f.ggsn4
	if len(gateway) == 0 {
		gateway = f.ggsn6
	}
	if len(gateway) == 0 || len(f.chargingID) == 0 {
		return "", errNoSession
	}
	var buf [40]byte
	return string(hex.AppendEncode(hex.AppendEncode(buf[:0], gateway), f.chargingID)), nil
}

// What is beyond these is no time but a clock that was never set, a counter
// that ran over, or a value of all ones.
const (
	secondsOf2000 = 946684800
	maxDelay      = 30 * 24 * time.Hour
	maxAge        = 10 * 365 * 24 * time.Hour
	maxInterim    = 30 * 24 * time.Hour
)

// seconds is the number as a time, if it is there and not beyond the limit.
func (n *number) seconds(limit time.Duration) (d time.Duration, ok bool) {
	d = time.Duration(n.value) * time.Second
	if !n.ok || d > limit {
		return 0, false
	}
	return d, true
}

// time sets Time and Delay to what the NAS says. What follows from them, and
// whether its clock can be believed, is the Registry's to decide.
func (r *Request) time(f *fields) {
	ev := &r.Event
	switch {
	case !f.eventTime.ok:
	case f.eventTime.value < secondsOf2000:
		r.Notes |= NoteBadTime
	default:
		ev.Time = time.Unix(int64(f.eventTime.value), 0).UTC()
	}
	if ev.Delay, ev.Delayed = f.delay.seconds(maxDelay); f.delay.ok && !ev.Delayed {
		r.Notes |= NoteBadDelay
	}
}

// held has a request that its transport may have held be as late as that allows,
// unless a stamp tells: its Acct-Delay-Time is that of when it was handed to the
// transport, which repeats nothing that could tell a greater one (RFC 6613
// section 2.6.1).
func (r *Request) held(most time.Duration) {
	ev := &r.Event
	if most == 0 || !ev.Time.IsZero() {
		return
	}
	ev.Blind = cmp.Or(ev.Blind, most) + ev.Delay
	ev.Delay, ev.Delayed = 0, false
}

// age sets Age. RFC 2866 section 5.7 gives a Start none, so that zero says
// nothing there.
func (r *Request) age(f *fields) {
	ev := &r.Event
	if ev.Kind == binding.SessionStart && f.sessionTime.value == 0 {
		return
	}
	if ev.Age, ev.Aged = f.sessionTime.seconds(maxAge); f.sessionTime.ok && !ev.Aged {
		r.Notes |= NoteBadAge
	}
}

// lease is three times the interval at which the NAS promised to refresh.
func lease(interim number) time.Duration {
	interval, _ := interim.seconds(maxInterim)
	return 3 * interval
}

// contexts sets Contexts from 3GPP-NSAPI, one hexadecimal digit in UTF-8 (or,
// from some gateways, the bare number), and Last from
// 3GPP-Session-Stop-Indicator (TS 29.061 clause 16.4.7.2).
func (r *Request) contexts(f *fields) {
	if len(f.nsapi) == 1 {
		if n, ok := nsapi(f.nsapi[0]); ok {
			r.Event.Contexts = 1 << n
		} else {
			r.Notes |= NoteBadVendor
		}
	}
	r.Event.Last = r.Event.Kind == binding.SessionStop && len(f.stopIndicator) == 1 && f.stopIndicator[0] != 0
}

func nsapi(c byte) (uint8, bool) {
	switch {
	case c <= 15:
		return c, true
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
