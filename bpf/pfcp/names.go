package pfcp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/identity"
)

// nodeID reads a Node ID (clause 8.2.38): an address, or a name in labels.
func nodeID(v []byte) string {
	if len(v) < 2 {
		return ""
	}
	switch v[0] & 15 {
	case 0, 1:
		if addr, ok := netip.AddrFromSlice(v[1:]); ok {
			return addr.Unmap().String()
		}
	case 2:
		return strings.ToLower(labels(v[1:]))
	}
	return ""
}

// labels reads a name of at most 255 octets.
func labels(b []byte) string {
	var parts []string
	for rest := b; len(rest) > 0 && rest[0] != 0; {
		n := int(rest[0])
		if n > 63 || n >= len(rest) {
			return ""
		}
		part := identity.APN(rest[:1+n])
		if part == "" {
			return ""
		}
		parts, rest = append(parts, part), rest[1+n:]
	}
	return strings.Join(parts, ".")
}

func newEndpoint(v []byte) (e endpoint) {
	if len(v) < 9 {
		return e
	}
	flags, seid := v[0], binary.BigEndian.Uint64(v[1:])
	v = v[9:]
	if flags&2 != 0 {
		if len(v) < 4 {
			return endpoint{}
		}
		e.v4, v = netip.AddrFrom4([4]byte(v)), v[4:]
	}
	if flags&1 != 0 {
		if len(v) < 16 {
			return endpoint{}
		}
		e.v6 = netip.AddrFrom16([16]byte(v)).Unmap()
	}
	e.seid = seid
	return e
}

// userID reads User ID (clause 8.2.101). What the 5G names say counts where
// the others are missing.
func (m *message) userID(v []byte) {
	if len(v) == 0 {
		return
	}
	flags := v[0]
	v = v[1:]
	for field := range 7 {
		if flags>>field&1 == 0 {
			continue
		}
		if len(v) == 0 || int(v[0]) > len(v)-1 {
			m.badDigits = true
			return
		}
		m.identity(field, v[1:1+int(v[0])])
		v = v[1+int(v[0]):]
	}
}

// identity reads one field of User ID, by its flag.
func (m *message) identity(field int, v []byte) {
	had := m.who
	switch field {
	case 0:
		m.who.IMSI = identity.IMSI(v)
	case 1:
		m.who.IMEI = identity.IMEI(v)
	case 2:
		m.who.MSISDN = identity.MSISDN(v)
	case 4:
		if text, ok := strings.CutPrefix(string(v), "imsi-"); ok && m.who.IMSI == 0 {
			m.who.IMSI, _ = binding.ParseIMSI(text)
		}
		return
	case 5:
		if text, ok := strings.CutPrefix(string(v), "msisdn-"); ok && m.who.MSISDN == 0 {
			m.who.MSISDN, _ = binding.ParseMSISDN(text)
		}
		return
	case 6:
		text, ok := strings.CutPrefix(string(v), "imei-")
		if !ok {
			text, ok = strings.CutPrefix(string(v), "imeisv-")
		}
		if ok && m.who.IMEI == 0 {
			m.who.IMEI, _ = binding.ParseIMEI(text)
		}
		return
	default:
		return
	}
	m.badDigits = m.badDigits || m.who == had && len(v) > 0
}

// appendSets adds the connection sets of an FQ-CSID (clause 8.2.45), or a Group
// Id (clause 8.2.210), hashed.
func appendSets(sets []uint64, kind uint16, b []byte) []uint64 {
	if kind == ieGroupID && len(b) > 0 && len(sets) < maxSets {
		return append(sets, hash(b))
	}
	if len(b) == 0 {
		return sets
	}
	size := [4]int{4, 16, 4, 0}[b[0]>>4&3]
	count := int(b[0] & 15)
	if size == 0 || b[0]>>4 > 2 || len(b) < 1+size+2*count {
		return sets
	}
	for i := range count {
		id := hash(b[1:1+size], b[1+size+2*i:3+size+2*i])
		if len(sets) < maxSets && !slices.Contains(sets, id) {
			sets = append(sets, id)
		}
	}
	return sets
}

// hash is FNV-1a over the parts.
func hash(parts ...[]byte) uint64 {
	h := uint64(14695981039346656037)
	for _, part := range parts {
		for _, c := range part {
			h = (h ^ uint64(c)) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return h
}
