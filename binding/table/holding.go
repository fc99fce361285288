package table

import (
	"net/netip"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/index"
)

// A State is what the claims of an address come to.
type State uint8

// The states.
const (
	None      State = iota // nobody holds it; it may be remembered who did
	Bound                  // all living claims agree
	Conflict               // they do not (rule T5)
	Withdrawn              // an operator ended it, or its session may have given it up, and nobody has spoken since
)

// A Holding is the working copy of an address record's value. That of an IPv4
// address or /64 of which sessions hold parts (blocks of ports, longer
// prefixes) is there even if nobody holds the whole.
type Holding struct {
	MSISDN  binding.MSISDN
	State   State
	Told    binding.Reason // with which it was published last
	Shared  bool           // more than one living claim
	Version uint64         // sequence number of the change that made the present holder
	Since   int64          // unix ms
	Claim   uint32         // first claim
	Owner   uint32         // session
	// Contested is the round of the sweep in which another SIM's claim inside of
	// the address was seen last, Inner that in which parts of it were. Zero: none.
	Contested, Inner uint16
}

// Pack is the value of the record.
func (h *Holding) Pack() index.Value {
	w0 := uint64(h.MSISDN)&(1<<50-1) | uint64(h.Told)<<50 | uint64(h.State)<<60
	if h.Shared {
		w0 |= 1 << 59
	}
	return index.Value{
		Aux: uint32(h.Contested) | uint32(h.Inner)<<16,
		W:   [4]uint64{w0, h.Version, uint64(h.Since), uint64(h.Claim) | uint64(h.Owner)<<32},
	}
}

// UnpackHolding is its inverse.
func UnpackHolding(v index.Value) Holding {
	return Holding{
		MSISDN: binding.MSISDN(v.W[0] & (1<<50 - 1)), Told: binding.Reason(v.W[0] >> 50 & 31), State: State(v.W[0] >> 60), Shared: v.W[0]>>59&1 == 1,
		Version: v.W[1], Since: int64(v.W[2]), Claim: uint32(v.W[3]), Owner: uint32(v.W[3] >> 32),
		Contested: uint16(v.Aux), Inner: uint16(v.Aux >> 16),
	}
}

// Holding reads the record of an address.
func (m *Memory) Holding(k index.Key) (Holding, bool) {
	v, _, ok := m.Addrs.Get(k)
	return UnpackHolding(v), ok
}

// Address classes of the index. IPv4 keys are address and port, 48 bits.
const (
	Class4 = 0
	Class6 = 1
)

// A Family is a kind of address that an event can name completely.
type Family uint8

// The families.
const (
	Family4 Family = iota
	FamilyPorts
	Family6
)

// FamilyOf is the family of a key.
func FamilyOf(k index.Key) Family {
	switch {
	case k.Class() == Class6:
		return Family6
	case k.Bits() > 32:
		return FamilyPorts
	}
	return Family4
}

// FamilyOfAddress is the family of an address.
func FamilyOfAddress(a binding.Address) Family {
	switch {
	case !a.Prefix.Addr().Unmap().Is4():
		return Family6
	case a.PortLow|a.PortHigh != 0:
		return FamilyPorts
	}
	return Family4
}

// LeafBits is the length of a whole address of a subscriber in a class: what is
// longer is a part of one, what is shorter spans several.
func LeafBits(class uint8) uint8 {
	if class == Class4 {
		return 32
	}
	return 64
}

// IsPart reports that a key is a part of a whole address: a block of ports, or
// a prefix longer than /64. PartOf is that address.
func IsPart(k index.Key) bool { return k.Bits() > LeafBits(k.Class()) }

// PartOf is the whole address that a part is of.
func PartOf(k index.Key) index.Key {
	return index.NewKey(k.Domain(), k.Class(), LeafBits(k.Class()), k.Hi, k.Lo)
}

// IsWide reports that a key spans several whole addresses.
func IsWide(k index.Key) bool { return k.Bits() < LeafBits(k.Class()) }

// Within reports that a key lies in another one, or is it.
func Within(k, wide index.Key) bool {
	return k.Meta>>8 == wide.Meta>>8 && k.Bits() >= wide.Bits() &&
		index.NewKey(k.Domain(), k.Class(), wide.Bits(), k.Hi, k.Lo) == wide
}

// KeyAt is the key of one address, or of one port of an IPv4 address.
func KeyAt(dom uint16, addr netip.Addr, port uint16) index.Key {
	if !addr.Is4() {
		hi, lo := words128(addr)
		return index.NewKey(dom, Class6, 128, hi, lo)
	}
	if port == 0 {
		return index.NewKey(dom, Class4, 32, word32(addr), 0)
	}
	return index.NewKey(dom, Class4, 48, word32(addr)|uint64(port)<<16, 0)
}

// Keys gives the index keys of an address: one, or for a block of ports the
// aligned pieces that make it up, as for a prefix list.
func Keys(dom uint16, a binding.Address) []index.Key { return AppendKeys(nil, dom, a) }

// AppendKeys adds the keys of an address to a list.
func AppendKeys(keys []index.Key, dom uint16, a binding.Address) []index.Key {
	if !a.Is4() {
		hi, lo := words128(a.Prefix.Addr())
		return append(keys, index.NewKey(dom, Class6, uint8(a.Prefix.Bits()), hi, lo))
	}
	base := word32(a.Prefix.Addr())
	if a.PortLow|a.PortHigh == 0 {
		return append(keys, index.NewKey(dom, Class4, uint8(a.Prefix.Bits()), base, 0))
	}
	for low, high := uint32(a.PortLow), uint32(a.PortHigh); low <= high; {
		size, bits := uint32(1), uint8(48)
		for low%(2*size) == 0 && low+2*size-1 <= high && bits > 33 {
			size, bits = 2*size, bits-1
		}
		keys = append(keys, index.NewKey(dom, Class4, bits, base|uint64(low)<<16, 0))
		low += size
	}
	return keys
}

// AddressOf is the address that a key stands for; of a block of ports, one
// aligned piece.
func AddressOf(k index.Key) binding.Address {
	bits := int(k.Bits())
	if k.Class() == Class6 {
		return binding.Address{Prefix: netip.PrefixFrom(netip.AddrFrom16(bytes128(k.Hi, k.Lo)), bits)}
	}
	var b [4]byte
	for i := range b {
		b[i] = byte(k.Hi >> (56 - 8*i))
	}
	addr := netip.AddrFrom4(b)
	if bits <= 32 {
		return binding.Address{Prefix: netip.PrefixFrom(addr, bits)}
	}
	low := uint16(k.Hi >> 16)
	return binding.Address{Prefix: netip.PrefixFrom(addr, 32), PortLow: low, PortHigh: low + 1<<(48-bits) - 1}
}

func word32(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40 | uint64(b[3])<<32
}

func words128(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	for i := range 8 {
		hi, lo = hi<<8|uint64(b[i]), lo<<8|uint64(b[i+8])
	}
	return hi, lo
}

func bytes128(hi, lo uint64) (b [16]byte) {
	for i := range 8 {
		b[i], b[i+8] = byte(hi>>(56-8*i)), byte(lo>>(56-8*i))
	}
	return b
}
