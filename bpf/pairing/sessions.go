package pairing

import (
	"net/netip"
	"slices"
)

// A Handle is what messages call a session: a tunnel or session endpoint
// identifier at the address of the node that gave it.
type Handle struct {
	ID   uint64 // TEID or SEID
	addr uint32
	Sub  uint8 // tells sessions of one ID apart (EBI, NSAPI); zero if it is unique
}

// A Session is what is remembered of one session.
type Session[T any] struct {
	// Node and ID name it in events.
	Node, ID string
	Data     T

	handles    []Handle
	next, prev *Session[T] // by when they were heard of
	listed     bool
}

// Live reports whether the session is still remembered.
func (s *Session[T]) Live() bool { return s.listed }

// Sessions are the sessions that one protocol made.
type Sessions[T any] struct {
	limit    int
	evicted  func(*Session[T])
	byHandle map[Handle]*Session[T]
	ring     Session[T] // next is the longest unheard of
	count    int
	full     uint64

	addrIDs map[netip.Addr]uint32
	addrs   []netip.Addr
}

// maxAddrs bounds the addresses of nodes.
const maxAddrs = 1 << 16

// NewSessions makes room for limit sessions. One that is given up for a newer
// one is shown to evicted, after it was forgotten.
func NewSessions[T any](limit int, evicted func(*Session[T])) *Sessions[T] {
	ss := &Sessions[T]{limit: limit, evicted: evicted, byHandle: map[Handle]*Session[T]{}, addrIDs: map[netip.Addr]uint32{}}
	ss.ring.next, ss.ring.prev = &ss.ring, &ss.ring
	return ss
}

// Handle makes a handle. It is false when there are more nodes than can be
// told apart.
func (ss *Sessions[T]) Handle(addr netip.Addr, id uint64, sub uint8) (Handle, bool) {
	n, ok := ss.addrIDs[addr]
	if !ok {
		if len(ss.addrs) >= maxAddrs || !addr.IsValid() {
			return Handle{}, false
		}
		n = uint32(len(ss.addrs))
		ss.addrs = append(ss.addrs, addr)
		ss.addrIDs[addr] = n
	}
	return Handle{ID: id, addr: n, Sub: sub}, true
}

// Addr is the address of a handle.
func (ss *Sessions[T]) Addr(h Handle) netip.Addr { return ss.addrs[h.addr] }

// Find finds the session that is called so, nil if none is.
func (ss *Sessions[T]) Find(addr netip.Addr, id uint64, sub uint8) *Session[T] {
	n, ok := ss.addrIDs[addr]
	if !ok {
		return nil
	}
	return ss.byHandle[Handle{ID: id, addr: n, Sub: sub}]
}

// Add remembers a session. It has no handles yet.
func (ss *Sessions[T]) Add(s *Session[T]) {
	for ss.count >= ss.limit {
		oldest := ss.ring.next
		ss.full++
		ss.Remove(oldest)
		ss.evicted(oldest)
	}
	ss.count++
	ss.enlist(s)
}

// Call lets a session be called by a handle. Another session that was called
// so is not any more.
func (ss *Sessions[T]) Call(s *Session[T], h Handle) {
	if had := ss.byHandle[h]; had == s {
		return
	} else if had != nil {
		had.handles = slices.DeleteFunc(had.handles, func(g Handle) bool { return g == h })
	}
	ss.byHandle[h] = s
	s.handles = append(s.handles, h)
}

// Uncall takes a handle away from the session that has it.
func (ss *Sessions[T]) Uncall(s *Session[T], h Handle) {
	if ss.byHandle[h] == s {
		delete(ss.byHandle, h)
		s.handles = slices.DeleteFunc(s.handles, func(g Handle) bool { return g == h })
	}
}

// Touch notes that a session was heard of.
func (ss *Sessions[T]) Touch(s *Session[T]) {
	if s.listed {
		ss.delist(s)
		ss.enlist(s)
	}
}

// Remove forgets a session.
func (ss *Sessions[T]) Remove(s *Session[T]) {
	if !s.listed {
		return
	}
	for _, h := range s.handles {
		delete(ss.byHandle, h)
	}
	s.handles = nil
	ss.delist(s)
	ss.count--
}

// All shows every session to fn, the longest unheard of first. fn may remove
// the session that it is shown.
func (ss *Sessions[T]) All(fn func(*Session[T])) {
	for s := ss.ring.next; s != &ss.ring; {
		next := s.next
		fn(s)
		s = next
	}
}

// Handles are the names of a session. They may not be changed.
func (s *Session[T]) Handles() []Handle { return s.handles }

// Len is how many sessions are remembered.
func (ss *Sessions[T]) Len() int { return ss.count }

// Full is how many were given up for room.
func (ss *Sessions[T]) Full() uint64 { return ss.full }

func (ss *Sessions[T]) enlist(s *Session[T]) {
	s.prev, s.next = ss.ring.prev, &ss.ring
	s.prev.next, ss.ring.prev = s, s
	s.listed = true
}

func (ss *Sessions[T]) delist(s *Session[T]) {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next, s.listed = nil, nil, false
}
