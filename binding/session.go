package binding

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"
)

// A session is the working copy of one session record.
type session struct {
	key      [2]uint64
	start    int64 // unix ms, network's time
	last     int64 // unix ms, network's time of the newest event
	seen     int64 // unix ms, our clock, at the newest event
	apn      uint16
	node     uint16
	rat      RAT
	flags    uint8
	lease    uint32 // seconds
	epoch    uint32 // of the node, when the session was made
	contexts uint16 // of a followed site: the number of its node's name
	sub      uint32 // subscriber record; 0 if no identity is known
	claim    uint32 // first claim
	next     uint32 // of the subscriber's sessions, or of the tombstones
	prev     uint32
	imsi     IMSI
}

const (
	flagEnded = 1 << iota // a tombstone
	flagDirty             // in the current batch
	flagMemo              // the journal keeps a memo beside it

	// Three bits: what a followed site doubts of its session (see doubts), or
	// that ours is not confirmed since others were told otherwise (see Doubt).
	doubtShift = 3
	doubtMask  = 7 << doubtShift

	flagDirectory = 1 << 7 // its number is the directory's word
)

const (
	mask48    = 1<<48 - 1
	epochMask = 1<<28 - 1
)

// newSessionKey names a session for good: collisions cannot be made.
func newSessionKey(source Source, node, id string) [2]uint64 {
	var buf [512]byte
	b := append(buf[:0], byte(source), byte(len(node)), byte(len(node)>>8))
	b = append(append(b, node...), id...)
	sum := sha256.Sum256(b)
	// The first word is never zero: zero marks a free record.
	return [2]uint64{binary.BigEndian.Uint64(sum[:]) | 1, binary.BigEndian.Uint64(sum[8:])}
}

func (s *session) rowKey() (k SessionKey) {
	binary.BigEndian.PutUint64(k[:], s.key[0])
	binary.BigEndian.PutUint64(k[8:], s.key[1])
	return k
}

func (s *session) ended() bool { return s.flags&flagEnded != 0 }

// session reads a record. The parts are of one moment only for the writer, or
// if the reader proves it afterwards.
func (m *memory) session(id uint32) session {
	if id == 0 || id > m.sessions.Limit() {
		return session{}
	}
	w := func(i int) uint64 { return m.sessions.Load(id, i) }
	s := session{key: [2]uint64{w(0), w(1)}}
	s.start, s.apn = int64(w(2)&mask48), uint16(w(2)>>48)
	s.last, s.node = int64(w(3)&mask48), uint16(w(3)>>48)
	s.seen, s.rat, s.flags = int64(w(4)&mask48), RAT(w(4)>>48), uint8(w(4)>>56)
	s.lease, s.epoch, s.contexts = uint32(w(5)&maxLease), uint32(w(5)>>20&epochMask), uint16(w(5)>>48)
	s.sub, s.claim = uint32(w(6)), uint32(w(6)>>32)
	s.next, s.prev = uint32(w(7)), uint32(w(7)>>32)
	s.imsi = IMSI(w(8))
	return s
}

// putSession writes the words of a record that differ. Writer only.
func (m *memory) putSession(id uint32, s *session) {
	words := [sessionWords]uint64{
		s.key[0], s.key[1],
		uint64(s.start)&mask48 | uint64(s.apn)<<48,
		uint64(s.last)&mask48 | uint64(s.node)<<48,
		uint64(s.seen)&mask48 | uint64(s.rat)<<48 | uint64(s.flags)<<56,
		uint64(s.lease) | uint64(s.epoch&epochMask)<<20 | uint64(s.contexts)<<48,
		uint64(s.sub) | uint64(s.claim)<<32,
		uint64(s.next) | uint64(s.prev)<<32,
		uint64(s.imsi),
	}
	for i, w := range words {
		if m.sessions.Load(id, i) != w {
			m.sessions.Store(id, i, w)
		}
	}
}

func (m *memory) findSession(key [2]uint64) (uint32, bool) {
	return m.bySession.Find(key[0], func(id uint32) bool {
		return m.sessions.Load(id, 0) == key[0] && m.sessions.Load(id, 1) == key[1]
	})
}

// A life is how alive a session is at some moment.
type life uint8

const (
	lifeFresh   life = iota // counts
	lifeStale               // may still hold, cannot be trusted
	lifeExpired             // its lease ran out: holds nothing against others
	lifeGone                // expired for longer than the grace
	lifeDead                // ended by its node's restart
)

// judge decides about one session at a moment (unix ms) from words alone: rules
// T7, T8, T9 and T12.
func (m *memory) judge(s *session, now int64, t *times) (life, Reason) {
	n := m.node(s.node)
	expires := s.seen + int64(s.lease)*1000
	switch {
	case m.deadByRestart(s):
		return lifeDead, ReasonEnded
	case n.source == SourceFeed:
		if why := m.judgeFollowed(s, &n, now, t); why != ReasonBound {
			return lifeStale, why
		}
	case now > expires+t.grace:
		return lifeGone, ReasonEnded
	case now > expires:
		return lifeExpired, ReasonLease
	case n.lost(now, t.loss):
		return lifeStale, ReasonNodeLost
	case s.doubt() != ReasonBound:
		return lifeStale, s.doubt()
	case s.seen < int64(atomic.LoadUint64(&m.trust[n.source])), n.observed && s.seen < m.loadObserved(observedTrust):
		return lifeStale, ReasonUnconfirmed
	}
	if since := int64(atomic.LoadUint64(&m.ingest[0])); since != 0 && now-since > t.trustGap {
		return lifeStale, ReasonNotIngesting
	}
	return lifeFresh, ReasonBound
}

// times are the configured durations in milliseconds.
type times struct {
	lease, grace, linger, loss, trustGap, tombstone int64

	silent   int64 // how long a followed site may be without a heartbeat that is whole
	markOnly bool  // see Config.MarkOnLoss
}

// heartbeatsMissed is how long a followed site may be silent at least, however
// short the loss timeout is.
const heartbeatsMissed = 3 * time.Second

func newTimes(c Config) *times {
	return &times{
		lease: c.Lease.Milliseconds(), grace: c.LeaseGrace.Milliseconds(), linger: c.Linger.Milliseconds(),
		loss: c.LossTimeout.Milliseconds(), trustGap: c.TrustGap.Milliseconds(), tombstone: c.TombstoneTTL.Milliseconds(),
		silent:   max(c.LossTimeout, heartbeatsMissed).Milliseconds(),
		markOnly: c.MarkOnLoss,
	}
}

// deadByRestart: rule T7, decided in O(1). A restart ends what was made before
// it was heard, unless the session started after the restart by the node's own
// clock (the two were reordered on the way). What a followed site knows ends if
// it was not told again when all was.
func (m *memory) deadByRestart(s *session) bool {
	n := m.node(s.node)
	if n.source == SourceFeed && s.seen < n.restart {
		return true // it was not told again
	}
	return s.epoch != n.epoch&epochMask && !before(n.spares, s.start)
}
