package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/simbind/simbind/diameter/diametertest"
)

// A gxTemplate is a Credit-Control-Request of one type that an independent
// implementation encoded, and where its varying values are. A request of the
// traffic is a patched copy, which costs the sender so little that the server
// is what is measured.
type gxTemplate struct {
	wire                              []byte
	session, msisdn, imsi, ipv4, time int // zero: it has none
}

// The digits that a template is found by, and patched at.
const (
	gxSessionDigits = "9000000000000009"
	gxMSISDNDigits  = "900000000009"
	gxIMSIDigits    = "900000000000009"
)

var gxAddr = netip.AddrFrom4([4]byte{233, 252, 0, 99}) // of MCAST-TEST-NET: nothing else looks like it

// newGxTemplate makes a request of the size and content that a PGW sends.
func newGxTemplate(typ diametertest.RequestType, from diametertest.Node) (*gxTemplate, error) {
	m := diametertest.Session{
		ID: from.Host + ";" + gxSessionDigits, MSISDN: gxMSISDNDigits, IMSI: gxIMSIDigits, IMEISV: imei, APN: apn, IPv4: gxAddr,
		IPCAN: 5, RAT: 1004, Network: "00101", Gateway: netip.AddrFrom4([4]byte{192, 0, 2, 1}), ChargingID: 1, Time: time.Now(),
	}.Request(typ, uint32(typ)-1, from, diametertest.Node{Realm: "bench"})
	wire, err := m.Serialize()
	if err != nil {
		return nil, err
	}
	t := &gxTemplate{wire: wire}
	return t, t.find(typ)
}

// AVP codes (RFC 7155, RFC 6733).
const (
	avpFramedIP  = 8
	avpTimestamp = 55
	avpSession   = 263
	avpResult    = 268
)

// find notes where the values are.
func (t *gxTemplate) find(typ diametertest.RequestType) error {
	t.session = bytes.Index(t.wire, []byte(gxSessionDigits))
	t.msisdn = bytes.Index(t.wire, []byte(gxMSISDNDigits))
	t.imsi = bytes.LastIndex(t.wire, []byte(gxIMSIDigits))
	if t.session < 0 || t.msisdn < 0 || t.imsi < 0 {
		return errors.New("the template lacks an identity")
	}
	t.ipv4, t.time = valueAt(t.wire, avpFramedIP), valueAt(t.wire, avpTimestamp)
	if t.time == 0 || (t.ipv4 == 0) != (typ == diametertest.Termination) {
		return fmt.Errorf("the template of type %d has no address or time", typ)
	}
	return nil
}

const gxHeader = 20

// valueAt is where the value of the first AVP of the IETF with that code is, or
// zero.
func valueAt(wire []byte, code uint32) int {
	for at := gxHeader; at+8 <= len(wire); {
		length := int(binary.BigEndian.Uint32(wire[at+4:]) & 0xFFFFFF)
		if length < 8 {
			return 0
		}
		if binary.BigEndian.Uint32(wire[at:]) == code {
			return at + 8
		}
		at += length + -length&3
	}
	return 0
}

// append appends the request of session n of a population.
func (t *gxTemplate) append(b []byte, id uint32, p population, n uint64, now time.Time) []byte {
	start := len(b)
	b = append(b, t.wire...)
	wire := b[start:]
	binary.BigEndian.PutUint32(wire[12:], id)
	binary.BigEndian.PutUint32(wire[16:], id)
	decimal(wire[t.session:t.session+len(gxSessionDigits)], p.id+n)
	decimal(wire[t.msisdn:t.msisdn+len(gxMSISDNDigits)], p.msisdn+n)
	decimal(wire[t.imsi:t.imsi+len(gxIMSIDigits)], p.imsi+n)
	if t.ipv4 != 0 {
		addr := p.addr4(n)
		copy(wire[t.ipv4:], addr[:])
	}
	const secondsTo1970 = 2208988800 // of Time (RFC 6733 section 4.3.1)
	binary.BigEndian.PutUint32(wire[t.time:], uint32(now.Unix()+secondsTo1970))
	return b
}
