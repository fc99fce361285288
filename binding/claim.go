package binding

import "github.com/simbind/simbind/binding/index"

// A claim is one session's hold on one address. It is in two lists: of its
// session and of its address.
type claim struct {
	session       uint32
	key           index.Key
	nextOfSession uint32
	nextOfAddress uint32
}

// claim reads a claim record: session and next of session, the high half of
// the key (or, beyond /64, the record that holds the low half behind it), meta
// and next of address.
func (m *memory) claim(id uint32) claim {
	if id == 0 || id > m.claims.Limit() {
		return claim{}
	}
	w0, w1, w2 := m.claims.Load(id, 0), m.claims.Load(id, 1), m.claims.Load(id, 2)
	c := claim{
		session: uint32(w0), nextOfSession: uint32(w0 >> 32),
		key: index.Key{Hi: w1, Meta: uint32(w2)}, nextOfAddress: uint32(w2 >> 32),
	}
	if w2&0xFF > 64 {
		c.key.Hi, c.key.Lo = m.wideOf(w1)
	}
	return c
}

// wideOf reads a key beyond /64: its claim keeps the record's id instead of
// the high half.
func (m *memory) wideOf(id uint64) (hi, lo uint64) {
	if id == 0 || id > uint64(m.wides.Limit()) {
		return 0, 0
	}
	return m.wides.Load(uint32(id), 0), m.wides.Load(uint32(id), 1)
}

func (m *memory) newClaim(c claim) (uint32, bool) {
	id, ok := m.claims.Alloc()
	if !ok {
		return 0, false
	}
	w1 := c.key.Hi
	if c.key.Meta&0xFF > 64 {
		wide, ok := m.wides.Alloc()
		if !ok {
			m.claims.Free(id)
			return 0, false
		}
		m.wides.Store(wide, 0, c.key.Hi)
		m.wides.Store(wide, 1, c.key.Lo)
		w1 = uint64(wide)
	}
	m.claims.Store(id, 1, w1)
	m.claims.Store(id, 2, uint64(c.key.Meta)|uint64(c.nextOfAddress)<<32)
	m.claims.Store(id, 0, uint64(c.session)|uint64(c.nextOfSession)<<32)
	return id, true
}

func (m *memory) setNextOfSession(id, next uint32) {
	m.claims.Store(id, 0, m.claims.Load(id, 0)&0xFFFFFFFF|uint64(next)<<32)
}

func (m *memory) setNextOfAddress(id, next uint32) {
	m.claims.Store(id, 2, m.claims.Load(id, 2)&0xFFFFFFFF|uint64(next)<<32)
}

func (m *memory) freeClaim(id uint32) {
	if m.claims.Load(id, 2)&0xFF > 64 {
		m.wides.Free(uint32(m.claims.Load(id, 1)))
	}
	m.claims.Free(id)
}

// A holding is the working copy of an address record's value.
type holding struct {
	msisdn  MSISDN
	state   holdState
	told    Reason // with which it was published last, see tell
	shared  bool   // more than one claim
	version uint64 // sequence number of the change that made the present holder
	since   int64  // unix ms, network's time
	claim   uint32 // first claim
	owner   uint32 // session; 0 when blocked
	// deadline of an ending or blocked holding, unix seconds; 0 otherwise.
	deadline uint32
}

type holdState uint8

const (
	holdBound    holdState = iota + 1 // all claims agree; with a deadline: ending (rule T6)
	holdConflict                      // claims disagree (rule T5)
	holdBlocked                       // its session was refused for lack of room (rule T14)
)

func (h *holding) pack() index.Value {
	w0 := uint64(h.msisdn)&(1<<50-1) | uint64(h.told)<<50 | uint64(h.state)<<60
	if h.shared {
		w0 |= 1 << 59
	}
	return index.Value{Aux: h.deadline, W: [4]uint64{w0, h.version, uint64(h.since), uint64(h.claim) | uint64(h.owner)<<32}}
}

func unpackHolding(v index.Value) holding {
	return holding{
		msisdn: MSISDN(v.W[0] & (1<<50 - 1)), told: Reason(v.W[0] >> 50 & 31), state: holdState(v.W[0] >> 60), shared: v.W[0]>>59&1 == 1,
		version: v.W[1], since: int64(v.W[2]), claim: uint32(v.W[3]), owner: uint32(v.W[3] >> 32), deadline: v.Aux,
	}
}

func (m *memory) holding(k index.Key) (holding, bool) {
	v, _, ok := m.addrs.Get(k)
	return unpackHolding(v), ok
}
