package diameter

import (
	"net"
	"net/netip"
	"slices"
)

const (
	productName      = "Simbind"
	firmwareRevision = 1
	noInbandSecurity = 0 // RFC 6733 section 6.10
	maxApplications  = 64
)

// capabilities are what a CER or CEA says (RFC 6733 section 5.3).
type capabilities struct {
	host, realm, product string
	result               uint32 // of a CEA
	state                uint32 // Origin-State-Id
	applications         []uint32
	security             []uint32
}

// readCapabilities keeps nothing of the message. Its error is a *fault.
func readCapabilities(m frame) (capabilities, error) {
	var c capabilities
	var state, result number
	w := newWalk()
	var take func(a avp) error
	take = func(a avp) error {
		if a.vendor != 0 {
			return nil
		}
		var err error
		switch a.code {
		case avpOriginHost:
			c.host = printable(a.data)
		case avpOriginRealm:
			c.realm = printable(a.data)
		case avpProductName:
			c.product = printable(a.data[:min(len(a.data), maxFailed)])
		case avpOriginStateID:
			err = state.set(a)
		case avpResultCode:
			err = result.set(a)
		case avpAuthApplicationID, avpAcctApplicationID:
			c.applications, err = appendNumber(c.applications, a)
		case avpInbandSecurity:
			c.security, err = appendNumber(c.security, a)
		case avpVendorSpecificApp:
			err = w.each(a.data, 1, take)
		}
		return err
	}
	err := w.each(m.avps(), 0, take)
	c.state, c.result = state.value, result.value
	switch {
	case err != nil:
	case c.host == "" || len(c.host) > maxIdentity:
		err = faultMissing(avpOriginHost, 1)
	case c.realm == "" || len(c.realm) > maxIdentity:
		err = faultMissing(avpOriginRealm, 1)
	}
	return c, err
}

func appendNumber(list []uint32, a avp) ([]uint32, error) {
	v, err := a.uint32()
	if err != nil || len(list) == maxApplications {
		return list, err
	}
	return append(list, v), nil
}

// common reports whether the peer has one of our applications, or relays all.
func (c *capabilities) common(ours []uint32) bool {
	return slices.ContainsFunc(c.applications, func(app uint32) bool {
		return app == appRelay || slices.Contains(ours, app) || slices.Contains(ours, appRelay)
	})
}

// secure reports whether the peer can do without a security of its own kind
// inside the connection, which RFC 6733 no longer has.
func (c *capabilities) secure() bool {
	return len(c.security) == 0 || slices.Contains(c.security, noInbandSecurity)
}

// appendCapabilities appends what a CER and a CEA have in common. local is our
// address on the connection.
func (s *Server) appendCapabilities(b []byte, local net.Addr) []byte {
	b = append(b, s.identity...)
	if addr := addressOf(local); addr.IsValid() {
		b = appendAVP(b, avpHostIPAddress, addressData(addr))
	}
	b = appendUint32(b, avpVendorID, 0)
	b = appendOptional(b, avpProductName, productName)
	b = append(b, s.state...)
	for _, app := range s.applications {
		if app == appRelay {
			b = appendUint32(b, avpAuthApplicationID, app)
			continue
		}
		b = appendUint32(b, avpAuthApplicationID, app)
		vendorSpecific := appendUint32(appendUint32(nil, avpVendorID, vendor3GPP), avpAuthApplicationID, app)
		b = appendAVP(b, avpVendorSpecificApp, vendorSpecific)
	}
	b = appendUint32(b, avpInbandSecurity, noInbandSecurity)
	start := len(b)
	b = appendUint32(b, avpFirmwareRevision, firmwareRevision)
	b[start+4] = 0 // the M bit MUST NOT be set (RFC 6733 section 4.5)
	if !slices.Equal(s.applications, []uint32{appRelay}) {
		b = appendUint32(b, avpSupportedVendor, vendor3GPP)
	}
	return b
}

// addressData is an address as the type Address has it (RFC 6733 section
// 4.3.1).
func addressData(addr netip.Addr) []byte {
	family := byte(2)
	if addr.Is4() {
		family = 1
	}
	return append([]byte{0, family}, addr.AsSlice()...)
}

// addressOf is the IP address of one end of a connection, unmapped and without
// a zone.
func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
