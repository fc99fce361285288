package main

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"time"

	"github.com/simbind/simbind/radius/radiustest"
)

// A template is a request that an independent implementation encoded, and where
// its varying values are. A packet of the traffic is a patched copy, signed
// anew: this costs the sender so little that the server is what is measured.
type template struct {
	wire                                              []byte
	status, session, msisdn, imsi, ipv4, time, octets int
}

// Attribute types (RFC 2865, 2866, 2869).
const (
	attrUserName       = 1
	attrFramedIP       = 8
	attrVendor         = 26
	attrCallingStation = 31
	attrStatus         = 40
	attrInputOctets    = 42
	attrOutputOctets   = 43
	attrSessionID      = 44
	attrAuthentic      = 45
	attrTimestamp      = 55
)

// newTemplate makes a request of the size and content that a gateway sends.
func newTemplate() (*template, error) {
	p, err := radiustest.Session{
		ID: "0000000000000000", NAS: nas, NASAddr: netip.AddrFrom4([4]byte{192, 0, 2, 1}), MSISDN: "000000000000",
		IMSI: "000000000000000", IMEISV: "3569380300000000", APN: apn,
		IPv4: netip.AddrFrom4([4]byte{10}), NSAPI: "5", RAT: 6, Time: time.Now(),
	}.Request(radiustest.Start, []byte(secret))
	if err != nil {
		return nil, err
	}
	p.Add(attrUserName, []byte("user@example.net"))
	p.Add(attrAuthentic, []byte{0, 0, 0, 1})
	p.Add(attrInputOctets, make([]byte, 4))
	p.Add(attrOutputOctets, make([]byte, 4))
	for _, err := range []error{
		radiustest.AddVendor(p, radiustest.ChargingID, []byte{0, 0, 0, 1}),
		radiustest.AddVendor(p, radiustest.GGSNAddress, []byte{192, 0, 2, 1}),
		radiustest.AddVendor(p, radiustest.IMSIMCCMNC, []byte("00101")),
		radiustest.AddVendor(p, radiustest.SGSNMCCMNC, []byte("00101")),
		radiustest.AddVendor(p, 5, []byte("99-23921F9396D2FE74")), // QoS profile
	} {
		if err != nil {
			return nil, err
		}
	}
	t := &template{}
	if t.wire, err = p.Encode(); err != nil {
		return nil, err
	}
	return t, t.find()
}

// find notes where the values are.
func (t *template) find() error {
	places := map[byte]*int{
		attrStatus: &t.status, attrSessionID: &t.session, attrCallingStation: &t.msisdn, attrFramedIP: &t.ipv4,
		attrTimestamp: &t.time, attrInputOctets: &t.octets,
	}
	for at := headerSize; at < len(t.wire); at += int(t.wire[at+1]) {
		typ := t.wire[at]
		if place, ok := places[typ]; ok {
			*place = at + 2
		}
		if typ == attrVendor && t.wire[at+6] == radiustest.IMSI {
			t.imsi = at + 8
		}
	}
	for typ, place := range places {
		if *place == 0 {
			return fmt.Errorf("the template has no attribute %d", typ)
		}
	}
	if t.imsi == 0 {
		return errors.New("the template has no IMSI")
	}
	return nil
}

const headerSize = 20

// patch makes the wire the request of session n of a population. No two
// requests with a different serial are alike.
func (t *template) patch(wire []byte, id byte, status radiustest.Status, p population, n, serial uint64, now time.Time) {
	wire[1] = id
	binary.BigEndian.PutUint32(wire[t.status:], uint32(status))
	binary.BigEndian.PutUint32(wire[t.time:], uint32(now.Unix()))
	binary.BigEndian.PutUint32(wire[t.octets:], uint32(serial))
	decimal(wire[t.session:t.session+16], p.id+n)
	decimal(wire[t.msisdn:t.msisdn+12], p.msisdn+n)
	decimal(wire[t.imsi:t.imsi+15], p.imsi+n)
	addr := p.addr4(n)
	copy(wire[t.ipv4:], addr[:])
}

// decimal writes v with leading zeros.
func decimal(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
}

// A signer signs requests and checks answers (RFC 2866 section 3). It is for
// one goroutine.
type signer struct {
	digest hash.Hash
	zero   [16]byte
	sum    [16]byte
}

func newSigner() *signer { return &signer{digest: md5.New()} }

func (s *signer) sign(wire []byte) {
	s.digest.Reset()
	s.digest.Write(wire[:4])
	s.digest.Write(s.zero[:])
	s.digest.Write(wire[headerSize:])
	s.digest.Write([]byte(secret))
	s.digest.Sum(wire[4:4])
}

// answers reports whether an answer is that to a request.
func (s *signer) answers(answer, request []byte) bool {
	if len(answer) < headerSize || answer[0] != 5 || answer[1] != request[1] {
		return false
	}
	s.digest.Reset()
	s.digest.Write(answer[:4])
	s.digest.Write(request[4:headerSize])
	s.digest.Write(answer[headerSize:])
	s.digest.Write([]byte(secret))
	return subtle.ConstantTimeCompare(s.digest.Sum(s.sum[:0]), answer[4:headerSize]) == 1
}
