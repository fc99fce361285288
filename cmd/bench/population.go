package main

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// A population is a numbered set of sessions; each has one IPv4 address.
type population struct {
	pool   netip.Prefix
	msisdn uint64 // of session 0, 12 digits
	imsi   uint64 // of session 0, leading zeros aside
	id     uint64 // Acct-Session-Id of session 0, 16 digits
}

// The secret, the APN and the NAS-Identifier of all traffic.
const (
	secret = "testing123"
	apn    = "internet"
	nas    = "bench"
	client = "bench" // that brings nas
)

// residents are the sessions that stay bound.
func residents() population {
	return population{pool: netip.MustParsePrefix("10.0.0.0/8"), msisdn: 491700000001, imsi: 1010000000001}
}

// guests come and go beside them.
func guests() population {
	return population{pool: netip.MustParsePrefix("100.64.0.0/10"), msisdn: 492700000001, imsi: 1020000000001, id: 1 << 40}
}

// addr4 is the address of session n. A pool that is too small is used again
// from its start.
func (p population) addr4(n uint64) [4]byte {
	size := uint64(1) << (32 - p.pool.Bits())
	a := p.pool.Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n%(size-1)+1))
	return a
}

func (p population) addr(n uint64) netip.Addr { return netip.AddrFrom4(p.addr4(n)) }

// number is the MSISDN of session n in E.164.
func (p population) number(n uint64) string { return "+" + strconv.FormatUint(p.msisdn+n, 10) }
