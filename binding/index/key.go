package index

import "math/bits"

const (
	maxBits    = 128
	maxClasses = 4
)

// A Key is a prefix of up to 128 bits within a domain and a class. Keys of
// different domain, class or length never equal each other. The zero Key is no
// key.
type Key struct {
	// Hi and Lo are the prefix, left-aligned; bits beyond its length are zero.
	Hi, Lo uint64
	// Meta is domain<<16 | class<<8 | length in bits.
	Meta uint32
}

// NewKey makes the key of a prefix of n bits (1 to 128) and a class (0 to 3);
// further bits of hi and lo are dropped. It panics on a length or class out of
// range.
func NewKey(domain uint16, class, n uint8, hi, lo uint64) Key {
	if n < 1 || n > maxBits || class >= maxClasses {
		panic("index: key with a length or class out of range")
	}
	return makeKey(uint32(domain)<<16|uint32(class)<<8, uint(n), hi, lo)
}

// makeKey is NewKey for arguments that are known to be in range; scope is the
// meta word without the length.
func makeKey(scope uint32, n uint, hi, lo uint64) Key {
	// A shift by 64 or more gives zero.
	hiMask := ^uint64(0) << (64 - min(n, 64))
	loMask := ^uint64(0) << (128 - max(n, 64))
	return Key{Hi: hi & hiMask, Lo: lo & loMask, Meta: scope | uint32(n)}
}

// Domain is the domain of the key.
func (k Key) Domain() uint16 { return uint16(k.Meta >> 16) }

// Class is the class of the key.
func (k Key) Class() uint8 { return uint8(k.Meta >> 8) }

// Bits is the length of the prefix.
func (k Key) Bits() uint8 { return uint8(k.Meta) }

// hash spreads a key over 64 bits: high bits choose the line, low bits are the
// tag. It is no secret: who could choose many keys freely could crowd a line,
// which costs time, not truth.
func (k Key) hash() uint64 {
	x := fold(k.Lo^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	x = fold(x^k.Hi, 0x8ebc6af09c88c6e3)
	return fold(x^uint64(k.Meta), 0x589965cc75374cc3)
}

// fold multiplies to 128 bits and adds the halves without carry.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
