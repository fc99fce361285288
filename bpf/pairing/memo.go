package pairing

import (
	"encoding/binary"
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// A Memo is what a follower asks the journal to keep beside a session, so that
// it knows the session's handles after a restart of the program. It is written
// and read field by field.
type Memo struct {
	b   []byte
	bad bool
}

// memoVersion is the first octet of every memo.
const memoVersion = 1

// NewMemo begins a memo.
func NewMemo() *Memo { return &Memo{b: []byte{memoVersion}} }

// ReadMemo begins to read one.
func ReadMemo(b []byte) *Memo {
	if len(b) == 0 || b[0] != memoVersion || len(b) > binding.MaxMemo {
		return &Memo{bad: true}
	}
	return &Memo{b: b[1:]}
}

// Bytes is the memo, nil if it is larger than the journal takes.
func (m *Memo) Bytes() []byte {
	if len(m.b) > binding.MaxMemo {
		return nil
	}
	return m.b
}

// Read reports whether all was read, and that it was as it was written.
func (m *Memo) Read() bool { return !m.bad && len(m.b) == 0 }

// More reports whether there is more to read.
func (m *Memo) More() bool { return !m.bad && len(m.b) > 0 }

// PutUint writes a number.
func (m *Memo) PutUint(v uint64) { m.b = binary.AppendUvarint(m.b, v) }

// Uint reads a number.
func (m *Memo) Uint() uint64 {
	v, n := binary.Uvarint(m.b)
	if n <= 0 {
		m.b, m.bad = nil, true
		return 0
	}
	m.b = m.b[n:]
	return v
}

// Count reads a number of things, at most most.
func (m *Memo) Count(most int) int {
	n := m.Uint()
	if n > uint64(most) {
		m.b, m.bad = nil, true
		return 0
	}
	return int(n)
}

// PutBytes writes octets.
func (m *Memo) PutBytes(v []byte) {
	m.PutUint(uint64(len(v)))
	m.b = append(m.b, v...)
}

// Bytes that were written by PutBytes are copied.
func (m *Memo) bytes() []byte {
	n := m.Count(len(m.b))
	if n > len(m.b) {
		m.b, m.bad = nil, true
		return nil
	}
	v := append([]byte(nil), m.b[:n]...)
	m.b = m.b[n:]
	return v
}

// PutString writes text.
func (m *Memo) PutString(v string) { m.PutBytes([]byte(v)) }

// String reads text.
func (m *Memo) String() string { return string(m.bytes()) }

// PutAddr writes an address, which may be invalid.
func (m *Memo) PutAddr(a netip.Addr) { m.PutBytes(a.AsSlice()) }

// Addr reads an address.
func (m *Memo) Addr() netip.Addr {
	b := m.bytes()
	a, ok := netip.AddrFromSlice(b)
	if !ok && len(b) > 0 {
		m.bad = true
	}
	return a
}

// PutAddress writes what a session holds.
func (m *Memo) PutAddress(a binding.Address) {
	m.PutAddr(a.Prefix.Addr())
	m.PutUint(uint64(a.Prefix.Bits()))
}

// Address reads what a session holds.
func (m *Memo) Address() binding.Address {
	addr, bits := m.Addr(), m.Count(128)
	a, err := binding.NewAddress(netip.PrefixFrom(addr, bits))
	if err != nil {
		m.bad = true
	}
	return a
}

// PutHandles writes the handles of a session.
func (ss *Sessions[T]) PutHandles(m *Memo, list []Handle) {
	m.PutUint(uint64(len(list)))
	for _, h := range list {
		m.PutAddr(ss.Addr(h))
		m.PutUint(h.ID)
		m.PutUint(uint64(h.Sub))
	}
}

// GetHandles reads handles, at most most.
func (ss *Sessions[T]) GetHandles(m *Memo, most int) (list []Handle) {
	for range m.Count(most) {
		addr, id, sub := m.Addr(), m.Uint(), uint8(m.Count(255))
		h, ok := ss.Handle(addr, id, sub)
		if !ok || m.bad {
			m.bad = true
			return nil
		}
		list = append(list, h)
	}
	return list
}
