package radiustest

import (
	"encoding/binary"
	"net/netip"
)

// nthAddr is an IPv4 address of a pool, counted from its first.
func nthAddr(pool netip.Prefix, n uint64) netip.Addr {
	a := pool.Masked().Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n))
	return netip.AddrFrom4(a)
}

// nthSlash64 is a /64 of a pool, counted from its first.
func nthSlash64(pool netip.Prefix, n uint64) netip.Prefix {
	a := pool.Masked().Addr().As16()
	binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])+n)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}
