package diameter

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
)

// addresses sets Addrs, Gone and Complete. A request names every address that
// the PCEF knows of, unless it tells of one that was allocated or released (TS
// 29.212 clause 5.3.7, UE_IP_ADDRESS_ALLOCATE and UE_IP_ADDRESS_RELEASE): then
// it names that one only.
func (r *Request) addresses(f *fields, o *Origin) {
	if f.addressed == 0 {
		return
	}
	list := o.store.room(f.addressed)
	for _, a := range f.addresses[:f.addressed] {
		p, ok := prefix(a)
		if !ok {
			continue
		}
		addr, err := binding.NewAddress(p)
		if err != nil {
			r.Notes |= NoteBadAddress
		} else if !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	ev := &r.Event
	update := ev.Kind == binding.SessionUpdate
	switch {
	case len(list) == 0:
	case update && f.release:
		// With both triggers nothing says which of the two the address is: it
		// is nobody's then, until the next request.
		ev.Gone = list
		if f.allocate {
			r.Notes |= NoteAllocateRelease
		}
	default:
		ev.Addrs = list
		ev.Complete = ev.Kind != binding.SessionStop && !(update && f.allocate) && !r.Notes.Has(NoteTooManyAddresses)
	}
}

// prefix reads Framed-IP-Address, or a prefix in the form of RFC 3162 section
// 2.3: a reserved octet, the length, and as many octets of the prefix as the
// PCEF sent; bits beyond the length are masked later. Not ok: the AVP names no
// address, as 0.0.0.0 (not allocated yet), or 255.255.255.254 and
// 255.255.255.255 (RFC 2865 section 5.8).
func prefix(a addressField) (netip.Prefix, bool) {
	if a.code == avpFramedIP {
		switch binary.BigEndian.Uint32(a.value) {
		case 0, 0xFFFFFFFF, 0xFFFFFFFE:
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(a.value)), 32), true
	}
	var addr [16]byte
	copy(addr[:], a.value[2:])
	return netip.PrefixFrom(netip.AddrFrom16(addr), int(a.value[1])), true
}
