package radiustest

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4818"
)

// A Status is an Acct-Status-Type (RFC 2866 section 5.1).
type Status uint32

// The statuses.
const (
	Start   = Status(rfc2866.AcctStatusType_Value_Start)
	Stop    = Status(rfc2866.AcctStatusType_Value_Stop)
	Interim = Status(rfc2866.AcctStatusType_Value_InterimUpdate)
	On      = Status(rfc2866.AcctStatusType_Value_AccountingOn)
	Off     = Status(rfc2866.AcctStatusType_Value_AccountingOff)
)

// Sub-attributes of 3GPP (TS 29.061 clause 16.4.7).
const (
	Vendor3GPP           = 10415
	IMSI                 = 1
	ChargingID           = 2
	GGSNAddress          = 7
	IMSIMCCMNC           = 8
	NSAPI                = 10
	SessionStopIndicator = 11
	GGSNIPv6Address      = 16
	SGSNMCCMNC           = 18
	IMEISV               = 20
	RATType              = 21
)

// A Session is one session as its NAS accounts it. Zero fields are left out.
type Session struct {
	ID        string
	NAS       string     // NAS-Identifier
	NASAddr   netip.Addr // NAS-IP-Address or NAS-IPv6-Address
	MSISDN    string     // Calling-Station-Id
	IMSI      string
	IMEISV    string
	APN       string
	IPv4      netip.Addr
	IPv6      netip.Prefix
	Delegated netip.Prefix
	NSAPI     string // one hexadecimal digit
	RAT       byte
	Last      bool // Session-Stop-Indicator
	// Time is Event-Timestamp, Delay Acct-Delay-Time and Age
	// Acct-Session-Time, both in whole seconds.
	Time       time.Time
	Delay, Age time.Duration
	// Interval is Acct-Interim-Interval.
	Interval time.Duration
}

// Request makes the Accounting-Request of a status. The caller may add
// attributes before it is encoded.
func (s Session) Request(status Status, secret []byte) (*layeh.Packet, error) {
	b := &builder{p: layeh.New(layeh.CodeAccountingRequest, secret)}
	b.do(rfc2866.AcctStatusType_Set(b.p, rfc2866.AcctStatusType(status)))
	b.text(rfc2866.AcctSessionID_SetString, s.ID)
	b.nas(s.NAS, s.NASAddr)
	b.text(rfc2865.CallingStationID_SetString, s.MSISDN)
	b.text(rfc2865.CalledStationID_SetString, s.APN)
	b.times(s)
	if s.IPv4.IsValid() {
		b.do(rfc2865.FramedIPAddress_Set(b.p, s.IPv4.AsSlice()))
	}
	if s.IPv6.IsValid() {
		b.do(rfc3162.FramedIPv6Prefix_Set(b.p, ipNet(s.IPv6)))
	}
	if s.Delegated.IsValid() {
		b.do(rfc4818.DelegatedIPv6Prefix_Set(b.p, ipNet(s.Delegated)))
	}
	b.vendor(IMSI, []byte(s.IMSI))
	b.vendor(IMEISV, []byte(s.IMEISV))
	b.vendor(NSAPI, []byte(s.NSAPI))
	if s.RAT != 0 {
		b.vendor(RATType, []byte{s.RAT})
	}
	if s.Last {
		b.vendor(SessionStopIndicator, []byte{0xFF})
	}
	return b.p, b.err
}

// NodeRequest makes Accounting-On or Accounting-Off of a NAS. Either name may
// be left out, and so may the time.
func NodeRequest(status Status, nas string, addr netip.Addr, at time.Time, secret []byte) (*layeh.Packet, error) {
	b := &builder{p: layeh.New(layeh.CodeAccountingRequest, secret)}
	b.do(rfc2866.AcctStatusType_Set(b.p, rfc2866.AcctStatusType(status)))
	b.nas(nas, addr)
	b.times(Session{Time: at})
	return b.p, b.err
}

// AddVendor adds a 3GPP sub-attribute in a Vendor-Specific of its own.
func AddVendor(p *layeh.Packet, typ byte, value []byte) error {
	sub, err := layeh.NewTLV(typ, value)
	if err != nil {
		return fmt.Errorf("3GPP sub-attribute %d: %w", typ, err)
	}
	attr, err := layeh.NewVendorSpecific(Vendor3GPP, sub)
	if err != nil {
		return fmt.Errorf("3GPP sub-attribute %d: %w", typ, err)
	}
	p.Add(rfc2865.VendorSpecific_Type, attr)
	return nil
}

// A builder keeps the first error.
type builder struct {
	p   *layeh.Packet
	err error
}

func (b *builder) do(err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("build a packet: %w", err)
	}
}

func (b *builder) text(set func(*layeh.Packet, string) error, value string) {
	if value != "" {
		b.do(set(b.p, value))
	}
}

func (b *builder) vendor(typ byte, value []byte) {
	if len(value) > 0 {
		b.do(AddVendor(b.p, typ, value))
	}
}

func (b *builder) nas(name string, addr netip.Addr) {
	b.text(rfc2865.NASIdentifier_SetString, name)
	switch {
	case addr.Is4():
		b.do(rfc2865.NASIPAddress_Set(b.p, addr.AsSlice()))
	case addr.Is6():
		b.do(rfc3162.NASIPv6Address_Set(b.p, addr.AsSlice()))
	}
}

func (b *builder) times(s Session) {
	if !s.Time.IsZero() {
		b.do(rfc2869.EventTimestamp_Set(b.p, s.Time))
	}
	if s.Delay > 0 {
		b.do(rfc2866.AcctDelayTime_Set(b.p, rfc2866.AcctDelayTime(s.Delay/time.Second)))
	}
	if s.Age > 0 {
		b.do(rfc2866.AcctSessionTime_Set(b.p, rfc2866.AcctSessionTime(s.Age/time.Second)))
	}
	if s.Interval > 0 {
		b.do(rfc2869.AcctInterimInterval_Set(b.p, rfc2869.AcctInterimInterval(s.Interval/time.Second)))
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
