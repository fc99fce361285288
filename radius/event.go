package radius

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"
	"unicode"
	"unicode/utf8"

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
	// Arrived is when the request came.
	Arrived time.Time
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
	if err := r.decode(&f, &o, nodeName(&f, o.From)); err != nil {
		return Request{}, err
	}
	return r, nil
}

// decode builds the request of the node with that name.
func (r *Request) decode(f *fields, o *Origin, node string) error {
	*r = Request{Notes: f.notes}
	kind, err := f.kind()
	if err != nil {
		return err
	}
	ev := &r.Event
	ev.Kind, ev.Source, ev.Node, ev.Arrived = kind, binding.SourceRADIUS, node, o.Arrived
	r.time(f)
	if kind == 0 || kind == binding.NodeRestart {
		return nil
	}
	if ev.Session, err = f.sessionID(); err != nil {
		return err
	}
	r.identities(f, o)
	r.addresses(f)
	r.contexts(f)
	ev.APN = o.names.share(f.called)
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

const (
	secondsOf2000 = 946684800
	maxAhead      = 24 * time.Hour
	maxDelay      = 30 * 24 * 3600 // seconds
	maxInterim    = 30 * 24 * 3600 // seconds
)

// time sets Time, Slack and Age. RFC 2869 section 5.3 has Event-Timestamp be
// the event's own time, but many NAS stamp it when they send: with
// Acct-Delay-Time beside it, the event happened within that delay before it.
func (r *Request) time(f *fields) {
	ev := &r.Event
	var delay time.Duration
	if f.delay.value > maxDelay {
		r.Notes |= NoteBadDelay
	} else {
		delay = time.Duration(f.delay.value) * time.Second
	}
	stamp := time.Unix(int64(f.eventTime.value), 0).UTC()
	switch {
	case !f.eventTime.ok:
		ev.Time = ev.Arrived.Add(-delay)
	case f.eventTime.value < secondsOf2000 || stamp.After(ev.Arrived.Add(maxAhead)):
		r.Notes |= NoteBadTime
		ev.Time = ev.Arrived.Add(-delay)
	default:
		ev.Time, ev.Slack = stamp.Add(-delay), delay
	}
	// A session that claims to be older than the year 2000 has no known age.
	age, grown := int64(f.sessionTime.value), ev.Kind == binding.SessionUpdate || ev.Kind == binding.SessionStop
	if grown && age < ev.Time.Unix()-secondsOf2000 {
		ev.Age = time.Duration(age) * time.Second
	}
}

// lease is three times the interval at which the NAS promised to refresh.
func lease(interim number) time.Duration {
	if interim.value > maxInterim {
		return 0
	}
	return 3 * time.Duration(interim.value) * time.Second
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

// nodeName is NAS-Identifier, else NAS-IP-Address, else NAS-IPv6-Address, else
// the address that sent the request.
func nodeName(f *fields, from netip.Addr) string {
	if len(f.nasID) > 0 {
		return printable(f.nasID)
	}
	if addr, ok := f.nasAddr(); ok {
		return addr.String()
	}
	return from.String()
}

// nasAddr is the address that names the NAS.
func (f *fields) nasAddr() (netip.Addr, bool) {
	if addr, ok := nasAddress(f.nas4); ok {
		return addr, true
	}
	return nasAddress(f.nas6)
}

// nasAddress reads NAS-IP-Address or NAS-IPv6-Address. The unspecified address
// names nobody.
func nasAddress(value []byte) (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(value)
	return addr.Unmap(), ok && !addr.IsUnspecified()
}

// printable is text from the network as a string that may be shown: in
// hexadecimal unless it is printable UTF-8.
func printable(text []byte) string {
	for rest := text; len(rest) > 0; {
		c, n := utf8.DecodeRune(rest)
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return fmt.Sprintf("0x%x", text)
		}
		rest = rest[n:]
	}
	return string(text)
}
