package table

import (
	"net/netip"
	"testing"

	"github.com/simbind/simbind/binding"
)

// FuzzKeys holds that the keys of an address stand for just that address.
func FuzzKeys(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1}, 32, uint16(1024), uint16(2047))
	f.Add([]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, 64, uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, raw []byte, bits int, low, high uint16) {
		ip, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		a, err := binding.NewAddress(netip.PrefixFrom(ip, bits))
		if err != nil {
			return
		}
		if a.Is4() && a.Prefix.IsSingleIP() && low <= high {
			a.PortLow, a.PortHigh = low, high
		}
		next := uint32(a.PortLow)
		for _, k := range Keys(7, a) {
			part := AddressOf(k)
			if part.Prefix != a.Prefix || k.Domain() != 7 {
				t.Fatalf("a key of %v stands for %v", a, part)
			}
			if a.PortLow|a.PortHigh != 0 {
				if uint32(part.PortLow) != next {
					t.Fatalf("the pieces of %v leave a gap at %d: %v", a, next, part)
				}
				next = uint32(part.PortHigh) + 1
			}
		}
		if a.PortLow|a.PortHigh != 0 && next != uint32(a.PortHigh)+1 {
			t.Fatalf("the pieces of %v end at %d", a, next-1)
		}
	})
}
