package crowdtest

import (
	"encoding/binary"
	"net/netip"
)

// Room is how many prefixes of that length a pool has.
func Room(pool netip.Prefix, bits int) uint64 {
	if pool.Bits() > bits {
		return 0
	}
	return 1 << min(bits-pool.Bits(), 63)
}

// Addr is an IPv4 address of a pool, counted from its first.
func Addr(pool netip.Prefix, n uint64) netip.Addr {
	a := pool.Masked().Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n))
	return netip.AddrFrom4(a)
}

// Slash64 is a /64 of a pool, counted from its first.
func Slash64(pool netip.Prefix, n uint64) netip.Prefix {
	a := pool.Masked().Addr().As16()
	binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])+n)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}
