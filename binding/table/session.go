package table

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
)

// A Session is the working copy of one session record: one incarnation of an id
// at a node. What ended is kept, with its claims, for as long as a message may
// still come that it decides about.
type Session struct {
	Key [2]uint64
	// BegunFrom and BegunBy bound its beginning. HeldAt is the greatest lower
	// bound of a word that says that it lives, Last is above every moment that a
	// word of it can be of.
	BegunFrom, BegunBy, HeldAt, Last clock.Bound
	// After is, of a session that goes on, what it must speak after (Doubt says
	// why); of one that ended, the upper bound of its end.
	After clock.Bound
	Doubt binding.Reason // ReasonBound: none
	// EndedBy are the sources whose sessions' ends alone make the doubt (ending);
	// none if there is anything else to it.
	EndedBy binding.SourceSet

	IMSI       binding.IMSI
	Sub        uint32 // subscriber record; 0 if no identity is known
	Next, Prev uint32 // of the subscriber's sessions
	Claim      uint32 // first claim
	Age        uint32 // seconds that it told of itself, plus one; 0: it told none. Of an ended one: 0
	Older      uint32 // of the ended ones, by when their end was heard
	Newer      uint32
	Order      uint32 // see binding.Event
	Seen       int64  // unix ms, our clock: when its newest word was sent, as far as is known
	Lease      uint32 // seconds; of one that has ended, zero if nobody said so: see Untold
	Node       uint16
	APN        uint16
	Contexts   uint16 // of a followed site: the number of its node's name
	Restarts   uint16 // of the node, when the session was last heard
	RAT        binding.RAT
	// Listed is the set of families (bit n: Family n) of which a word has named
	// all addresses that it holds: another one that an older word names may have
	// been given up.
	Listed uint8
	// Named: its latest word named its number. An older word that names another one
	// is of before it changed.
	Named bool
	Flags uint8
}

// Flags of a session.
const (
	Ended     = 1 << iota // it is over, and remembered
	Dirty                 // its row is to be written
	Memo                  // the journal keeps a memo beside it
	Directory             // its number is the directory's word
	Reused                // its id was another session's, whose end was not heard
	MultiSIM              // other SIMs have its number
	Stopped               // it ended by its own stop, or, while it goes on, may have
	Again                 // its id was another session's before
)

// Ended reports that the session is over by its own or its node's word. What a
// restart of its node ended may not be marked yet: see Judge.
func (s *Session) Ended() bool { return s.Flags&Ended != 0 }

// Untold reports that the session is over because nobody refreshed it: no source
// has said so.
func (s *Session) Untold() bool { return s.Ended() && s.Lease == 0 }

// Seen reaches to the year 2109.
const (
	seenBits = 42
	seenMask = 1<<seenBits - 1
)

// NewSessionKey names a session of a node for good: collisions cannot be made.
func NewSessionKey(node *NodeName, id string) [2]uint64 {
	var buf [512]byte
	n := len(node.Name)
	if node.Owner != "" && !node.Plain {
		n += len(node.Owner) + 1
	}
	b := append(buf[:0], byte(node.Source), byte(n), byte(n>>8))
	if n > len(node.Name) {
		b = append(append(b, node.Owner...), 0)
	}
	b = append(append(b, node.Name...), id...)
	sum := sha256.Sum256(b)
	// The first word is never zero: zero marks a free record.
	return [2]uint64{binary.BigEndian.Uint64(sum[:]) | 1, binary.BigEndian.Uint64(sum[8:])}
}

// RowKey is the key of the session's row.
func (s *Session) RowKey() (k binding.SessionKey) {
	binary.BigEndian.PutUint64(k[:], s.Key[0])
	binary.BigEndian.PutUint64(k[8:], s.Key[1])
	return k
}

// Session reads a record. The parts are of one moment only for the writer, or
// if the reader proves it afterwards. A record that is free reads as zero.
func (m *Memory) Session(id uint32) (s Session) {
	if id == 0 || id > m.Sessions.Limit() {
		return s
	}
	var w [sessionWords]uint64
	m.Sessions.LoadAll(id, w[:])
	s.Key[0], s.Key[1] = w[0], w[1]
	s.Order, s.Node, s.Flags, s.Doubt = uint32(w[13]), uint16(w[13]>>32), uint8(w[13]>>48), binding.Reason(w[13]>>56)
	s.BegunFrom, s.BegunBy = m.bound(s.Node, w[2]), m.bound(s.Node, w[3])
	s.HeldAt, s.Last, s.After = m.bound(s.Node, w[4]), m.bound(s.Node, w[5]), m.bound(s.Node, w[6])
	s.IMSI = binding.IMSI(w[7])
	s.Sub, s.Claim = uint32(w[8]), uint32(w[8]>>32)
	s.Next, s.Prev = uint32(w[9]), uint32(w[9]>>32)
	if s.Ended() {
		s.Older, s.Newer = uint32(w[10]), uint32(w[10]>>32)
	} else {
		s.Age = uint32(w[10])
	}
	s.Seen, s.EndedBy, s.APN = int64(w[11]&seenMask), binding.SourceSet(w[11]>>seenBits&0x3F), uint16(w[11]>>48)
	s.Lease, s.Restarts, s.Contexts = uint32(w[12]&MaxLease), uint16(w[12]>>20), uint16(w[12]>>36)
	s.RAT, s.Listed, s.Named = binding.RAT(w[12]>>52), uint8(w[12]>>60)&7, w[12]>>63 == 1
	return s
}

// bound unpacks a bound of a session of a node.
func (m *Memory) bound(node uint16, w uint64) clock.Bound {
	b := clock.Unpack(w)
	if b.Epoch == 0 {
		return b
	}
	return b.Since(m.SlotSince(node, b.Epoch))
}

// PutSession writes the words of a record that differ. Writer only.
func (m *Memory) PutSession(id uint32, s *Session) {
	w10 := uint64(s.Age)
	if s.Ended() {
		w10 = uint64(s.Older) | uint64(s.Newer)<<32
	}
	listed := uint64(s.Listed & 7)
	if s.Named {
		listed |= 8
	}
	words := [sessionWords]uint64{
		s.Key[0], s.Key[1],
		s.BegunFrom.Pack(), s.BegunBy.Pack(), s.HeldAt.Pack(), s.Last.Pack(), s.After.Pack(),
		uint64(s.IMSI),
		uint64(s.Sub) | uint64(s.Claim)<<32,
		uint64(s.Next) | uint64(s.Prev)<<32,
		w10,
		uint64(s.Seen)&seenMask | uint64(s.EndedBy&0x3F)<<seenBits | uint64(s.APN)<<48,
		uint64(s.Lease) | uint64(s.Restarts)<<20 | uint64(s.Contexts)<<36 | uint64(s.RAT)<<52 | listed<<60,
		uint64(s.Order) | uint64(s.Node)<<32 | uint64(s.Flags)<<48 | uint64(s.Doubt)<<56,
	}
	for i, w := range words {
		if m.Sessions.Load(id, i) != w {
			m.Sessions.Store(id, i, w)
		}
	}
}

// Flags are the flags of a record. Writer only.
func (m *Memory) Flags(id uint32) uint8 { return uint8(m.Sessions.Load(id, 13) >> 48) }

// SetFlags changes them. Writer only.
func (m *Memory) SetFlags(id uint32, flags uint8) {
	m.Sessions.Store(id, 13, m.Sessions.Load(id, 13)&^(0xFF<<48)|uint64(flags)<<48)
}

// SetNext changes the link to the next session of its subscriber. Writer only.
func (m *Memory) SetNext(id, next uint32) {
	m.Sessions.Store(id, 9, m.Sessions.Load(id, 9)&^(1<<32-1)|uint64(next))
}

// SetPrev changes the link to the session before it. Writer only.
func (m *Memory) SetPrev(id, prev uint32) {
	m.Sessions.Store(id, 9, m.Sessions.Load(id, 9)&(1<<32-1)|uint64(prev)<<32)
}

// SetOlder changes the link of one that has ended to the one before it. Writer only.
func (m *Memory) SetOlder(id, older uint32) {
	m.Sessions.Store(id, 10, m.Sessions.Load(id, 10)&^(1<<32-1)|uint64(older))
}

// SetNewer changes the link of one that has ended to the one after it. Writer only.
func (m *Memory) SetNewer(id, newer uint32) {
	m.Sessions.Store(id, 10, m.Sessions.Load(id, 10)&(1<<32-1)|uint64(newer)<<32)
}

// FindSession finds the record of a key. Any goroutine may call it.
func (m *Memory) FindSession(key [2]uint64) (uint32, bool) {
	return m.BySession.Find(key[0], func(id uint32) bool {
		return m.Sessions.Load(id, 0) == key[0] && m.Sessions.Load(id, 1) == key[1]
	})
}

// incarnations is how many sessions of one id can be told apart: a node uses ids
// again, and which of two has it now may not be known at once. All but the first
// have the key with their number in its last bits.
const incarnations = 4

// Incarnations are the sessions of one id, by number; 0 where there is none.
type Incarnations [incarnations]uint32

// sameID reports that two sessions of one node have one id.
func sameID(x, y *Session) bool {
	return x.Key[0] == y.Key[0] && x.Key[1]^y.Key[1] < incarnations
}

// FindIncarnations finds the records of an id's key. Writer only.
func (m *Memory) FindIncarnations(key [2]uint64) (list Incarnations) {
	m.BySession.Find(key[0], func(id uint32) bool {
		if n := m.Sessions.Load(id, 1) ^ key[1]; n < incarnations && m.Sessions.Load(id, 0) == key[0] {
			list[n] = id
		}
		return false
	})
	return list
}

// A Claim is one session's hold on one address. It is in two lists: of its
// session and of its address. What is over keeps its claims.
type Claim struct {
	Session uint32
	Key     index.Key
	// Given: it may have been given up. It does not count, and stands against
	// others.
	Given bool
	Hold
	NextOfSession uint32
	NextOfAddress uint32
}

// A Hold is when a session held an address, as far as words that name it say: By
// is the least upper bound of such a moment, At the greatest lower bound. That a
// session lives does not say that it has an address yet, or still.
type Hold struct{ By, At clock.Bound }

// Hear takes the bounds of one more word that names the address.
func (h Hold) Hear(lo, hi clock.Bound) Hold {
	return Hold{By: clock.Sooner(h.By, hi), At: clock.Later(h.At, lo)}
}

// Claim reads a claim record: session and next of session, the high half of
// the key (or, beyond /64, the record that holds both halves), meta and next of
// address, and the bounds, which are of the session's node.
func (m *Memory) Claim(id uint32) Claim {
	if id == 0 || id > m.Claims.Limit() {
		return Claim{}
	}
	w0, w1, w2 := m.Claims.Load(id, 0), m.Claims.Load(id, 1), m.Claims.Load(id, 2)
	c := Claim{
		Session: uint32(w0), NextOfSession: uint32(w0 >> 32),
		Key: index.Key{Hi: w1, Meta: uint32(w2) &^ claimGiven}, Given: w2&claimGiven != 0, NextOfAddress: uint32(w2 >> 32),
	}
	if w2&0xFF > 64 {
		c.Key.Hi, c.Key.Lo = m.wideOf(w1)
	}
	c.By, c.At = clock.Unpack(m.Claims.Load(id, 3)), clock.Unpack(m.Claims.Load(id, 4))
	return c
}

// SetHold moves the bounds of a claim on. Writer only.
func (m *Memory) SetHold(id uint32, h Hold) {
	m.Claims.Store(id, 3, h.By.Pack())
	m.Claims.Store(id, 4, h.At.Pack())
}

// HoldOf is a claim's Hold, of whose bounds those of former epochs say less.
func (m *Memory) HoldOf(c *Claim, node uint16) Hold {
	h := c.Hold
	if h.By.Epoch != 0 {
		h.By = h.By.Since(m.SlotSince(node, h.By.Epoch))
	}
	if h.At.Epoch != 0 {
		h.At = h.At.Since(m.SlotSince(node, h.At.Epoch))
	}
	return h
}

// ClaimOn is a session's claim on an address, zero if it has none. Writer only.
func (m *Memory) ClaimOn(s *Session, k index.Key) uint32 {
	for c := s.Claim; c != 0; {
		cl := m.Claim(c)
		if cl.Key == k {
			return c
		}
		c = cl.NextOfSession
	}
	return 0
}

// Has reports that a session claims an address. Writer only.
func (m *Memory) Has(s *Session, k index.Key) bool { return m.ClaimOn(s, k) != 0 }

// claimGiven is a bit of the key's class that no class has.
const claimGiven = 1 << 15

// SetGiven says whether a claim may have been given up. Writer only.
func (m *Memory) SetGiven(id uint32, given bool) {
	w := m.Claims.Load(id, 2) &^ claimGiven
	if given {
		w |= claimGiven
	}
	m.Claims.Store(id, 2, w)
}

// wideOf reads a key beyond /64: its claim keeps the record's id instead of
// the high half.
func (m *Memory) wideOf(id uint64) (hi, lo uint64) {
	if id == 0 || id > uint64(m.wides.Limit()) {
		return 0, 0
	}
	return m.wides.Load(uint32(id), 0), m.wides.Load(uint32(id), 1)
}

// NewClaim makes a claim; false if there is no room. Writer only.
func (m *Memory) NewClaim(c Claim) (uint32, bool) {
	id, ok := m.Claims.Alloc()
	if !ok {
		return 0, false
	}
	w1 := c.Key.Hi
	if c.Key.Meta&0xFF > 64 {
		wide, ok := m.wides.Alloc()
		if !ok {
			m.Claims.Free(id)
			return 0, false
		}
		m.wides.Store(wide, 0, c.Key.Hi)
		m.wides.Store(wide, 1, c.Key.Lo)
		w1 = uint64(wide)
	}
	m.Claims.Store(id, 1, w1)
	m.Claims.Store(id, 2, uint64(c.Key.Meta)|uint64(c.NextOfAddress)<<32)
	m.SetHold(id, c.Hold)
	m.Claims.Store(id, 0, uint64(c.Session)|uint64(c.NextOfSession)<<32)
	return id, true
}

// SetNextOfSession and SetNextOfAddress link claims. Writer only.
func (m *Memory) SetNextOfSession(id, next uint32) {
	m.Claims.Store(id, 0, m.Claims.Load(id, 0)&0xFFFFFFFF|uint64(next)<<32)
}

func (m *Memory) SetNextOfAddress(id, next uint32) {
	m.Claims.Store(id, 2, m.Claims.Load(id, 2)&0xFFFFFFFF|uint64(next)<<32)
}

// FreeClaim gives a claim's record back. Writer only.
func (m *Memory) FreeClaim(id uint32) {
	if m.Claims.Load(id, 2)&0xFF > 64 {
		m.wides.Free(uint32(m.Claims.Load(id, 1)))
	}
	m.Claims.Free(id)
}
