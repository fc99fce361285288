package registry

import (
	"encoding/binary"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// remains are what is kept of sessions that had to be forgotten before their
// time, or found no room: the latest moments of all that fall together in one
// of so many slots. Only our clock goes in, so that a clock that is ahead cannot
// reach in; what is greater than the truth only adds doubt. Nothing about a
// whole node is ever refused.
type remains struct {
	*core
	tables  [6][remainsLen]remnant
	sims    int64 // the latest in the table by SIM
	horizon int64 // unix ms, our clock: no end of after it was forgotten in due time
}

const remainsLen = 1 << 16

// Tables.
const (
	remainsIDs      = iota // by session: its end, and the latest that a word of it can be of
	remainsBegun           // by node and address: a moment when a session had it
	remainsSources         // by source and address: the end of a session there, for other nodes
	remainsReleased        // by address: an operator's word that nobody holds it
	remainsHeard           // by node and address: a moment when a session had it that was over when it was heard of; by address alone: its end
	remainsSIMs            // by IMSI, and by number: the end of a session, or the last word of one that found no room
)

// remainsHorizon is no table: its one row is the horizon.
const remainsHorizon = 255

// A remnant is one slot.
type remnant struct {
	at int64  // unix ms, our clock
	of uint32 // a hash of the one session that it is of, or the one node; 0: of several
}

// remainsAt names a slot.
type remainsAt struct {
	table uint8
	slot  uint16
}

func (r *remains) put(table uint8, hash uint64, at int64, of uint32) {
	slot := uint16(hash)
	e := &r.tables[table][slot]
	switch {
	case e.at+r.limits.MaxDelay < at: // what was there decides about nothing any more
		e.of = of
	case e.of != of:
		e.of = 0
	}
	e.at = max(e.at, at)
	r.batch.remains = append(r.batch.remains, remainsAt{table, slot})
}

// sessionMark is the hash by which a slot knows the one session id that it is
// of.
func sessionMark(key [2]uint64) uint32 { return uint32(key[0]>>32) | 1 }

// slotOfID is the slot of a session id.
func slotOfID(key [2]uint64) uint16 { return uint16(key[0] >> 16) }

// keyHash is of an address, or of all that lies inside of one.
func keyHash(k index.Key, inside bool) uint64 {
	h := k.Lo ^ uint64(k.Meta)
	if inside {
		h ^= 1 << 40
	}
	return table.Mix(k.Hi ^ table.Mix(h))
}

func begunHash(root uint16, address uint64) uint64 { return table.Mix(address ^ uint64(root)<<1) }

func sourceHash(s binding.Source, address uint64) uint64 {
	return table.Mix(address ^ uint64(s)<<40 ^ 1)
}

// ended notes what is left of an ended session.
func (r *remains) ended(s *table.Session) {
	r.put(remainsIDs, uint64(slotOfID(s.Key)), max(s.After.Our, s.Last.Our), sessionMark(s.Key))
	r.ofSIM(s, r.m.Identity(s))
}

// inDueTime notes the end of a session that was forgotten when nothing could come
// any more that it decides about. The configuration may let it, later.
func (r *remains) inDueTime(end int64) {
	if end > r.horizon {
		r.horizon = end
		r.batch.remains = append(r.batch.remains, remainsAt{table: remainsHorizon})
	}
}

// said notes a word that no session took: it may be of the next one with its id.
func (r *remains) said(f *fact) { r.put(remainsIDs, slotOfWord(f.key), f.hi.Our, wordMark(f)) }

// slotOfWord is the slot of words with a session id that no session took.
func slotOfWord(key [2]uint64) uint64 { return uint64(slotOfID(key)) ^ 1<<15 }

// wordMark is the hash by which a slot knows what one word said.
func wordMark(f *fact) uint32 {
	h := table.Mix(table.Mix(f.key[0]^uint64(f.MSISDN)) ^ uint64(f.IMSI))
	for _, a := range f.Addrs {
		b := a.Prefix.Addr().As16()
		for _, half := range [2][]byte{b[:8], b[8:]} {
			h = table.Mix(h ^ binary.BigEndian.Uint64(half))
		}
		h = table.Mix(h ^ uint64(a.Prefix.Bits())<<32 ^ uint64(a.PortLow)<<16 ^ uint64(a.PortHigh))
	}
	return uint32(h>>32) | 1
}

// claim notes what is left of a session's claim on an address, ended or given
// up: at its own level, and at those by which a wider claim finds it.
func (r *remains) claim(s *table.Session, k index.Key, held table.Hold, end int64) {
	root, source, of := r.m.Root(s.Node), r.m.SourceOf(s.Node), sessionMark(s.Key)
	var few [6]uint64
	for _, at := range noted(k, few[:0]) {
		r.put(remainsBegun, begunHash(root, at), held.By.Our, of)
		if end != 0 {
			r.put(remainsSources, sourceHash(source, at), end, nodeMark(root))
		}
	}
}

// heard notes when a session held an address that was over when it was heard of,
// or found no room, and, for other nodes, its end.
func (r *remains) heard(s *table.Session, k index.Key, held table.Hold, ended bool) {
	var few [6]uint64
	root := r.m.Root(s.Node)
	for _, at := range noted(k, few[:0]) {
		r.put(remainsHeard, begunHash(root, at), held.By.Our, sessionMark(s.Key))
		if ended {
			r.put(remainsHeard, sourceHash(binding.SourceNone, at), s.After.Our, nodeMark(root))
		}
	}
}

// nodeMark is the mark of a slot that is of one node.
func nodeMark(root uint16) uint32 { return uint32(root)<<1 | 1 }

// ofSIM notes until when a session of a SIM has spoken, or when it ended.
func (r *remains) ofSIM(s *table.Session, who binding.Subscriber) {
	at := s.Last.Our
	if s.Ended() {
		at = max(at, s.After.Our)
	}
	r.sims = max(r.sims, at)
	if who.IMSI != 0 {
		r.put(remainsSIMs, simHash(who.IMSI), at, sessionMark(s.Key))
	}
	if who.MSISDN != 0 {
		r.put(remainsSIMs, numberHash(who.MSISDN), at, sessionMark(s.Key))
	}
}

func simHash(imsi binding.IMSI) uint64        { return table.Mix(uint64(imsi)) }
func numberHash(number binding.MSISDN) uint64 { return table.Mix(^uint64(number)) }

// simAfter is what a session of a SIM must have spoken after, zero if nothing of
// it was forgotten.
func (r *remains) simAfter(s *table.Session, who binding.Subscriber) (at int64) {
	if r.sims < s.HeldAt.Our {
		return 0
	}
	look := func(hash uint64) {
		if e := &r.tables[remainsSIMs][uint16(hash)]; e.of != sessionMark(s.Key) {
			at = max(at, e.at)
		}
	}
	if who.IMSI != 0 {
		look(simHash(who.IMSI))
	}
	if who.MSISDN != 0 {
		look(numberHash(who.MSISDN))
	}
	return at
}

// refused notes that a session found no room on an address when it said that it
// has it: whatever else speaks there, must speak after that.
func (r *remains) refused(key [2]uint64, k index.Key, at int64) {
	var few [6]uint64
	for _, h := range noted(k, few[:0]) {
		r.put(remainsSources, sourceHash(binding.SourceNone, h), at, sessionMark(key))
	}
}

// stopped has whoever asks not be told any more that a session found no room on
// addresses, now that it is over, if no other one was refused there since.
func (r *remains) stopped(key [2]uint64, keys []index.Key) {
	for _, k := range keys {
		at := uint16(sourceHash(binding.SourceNone, keyHash(k, false)))
		if r.tables[remainsSources][at].of == sessionMark(key) {
			r.m.Refuse(k, 0)
		}
	}
}

// released notes an operator's word on an address: what happened before it does
// not bind there.
func (r *remains) released(k index.Key, now int64) {
	var few [6]uint64
	for _, at := range noted(k, few[:0]) {
		r.put(remainsReleased, at, now, 1)
	}
}

// releasedAt is when an operator last released an address, or a part of it, as
// far as is known; zero if never.
func (r *remains) releasedAt(k index.Key) (at int64) {
	var few [6]uint64
	for _, h := range asked(k, few[:0]) {
		at = max(at, r.tables[remainsReleased][uint16(h)].at)
	}
	return at
}

// wider adds the levels above an address at which something may be noted: the
// whole address that it is a part of, the /24 or /48 around it, and the half of the
// domain that it lies in.
func wider(k index.Key, list []index.Key) []index.Key {
	if table.IsPart(k) {
		list = append(list, table.PartOf(k))
	}
	for _, bits := range [...]uint8{coarse(k), 1} {
		if k.Bits() > bits {
			list = append(list, index.NewKey(k.Domain(), k.Class(), bits, k.Hi, k.Lo))
		}
	}
	return list
}

// coarse is the length of the level around the whole addresses of a class.
func coarse(k index.Key) uint8 {
	if k.Class() == table.Class6 {
		return 48
	}
	return 24
}

// between reports that a key lies between two levels, where those that are within
// each other are not told apart from others: it notes and asks at the level above
// as if it were that.
func between(k index.Key) bool {
	return k.Bits() != table.LeafBits(k.Class()) && k.Bits() != coarse(k)
}

// noted adds the hashes under which something about an address is noted: it, and
// inside of each wider one.
func noted(k index.Key, list []uint64) []uint64 {
	var few [3]index.Key
	list = append(list, keyHash(k, false))
	for i, w := range wider(k, few[:0]) {
		list = append(list, keyHash(w, true))
		if i == 0 && between(k) { // what is in it asks at the level above
			list = append(list, keyHash(w, false))
		}
	}
	return list
}

// asked adds the hashes under which something that overlaps an address may be
// noted.
func asked(k index.Key, list []uint64) []uint64 {
	var few [3]index.Key
	list = append(list, keyHash(k, false), keyHash(k, true))
	for i, w := range wider(k, few[:0]) {
		list = append(list, keyHash(w, false))
		if i == 0 && between(k) {
			list = append(list, keyHash(w, true))
		}
	}
	return list
}

// ofID is what a session must have spoken after that an event begins: the end of
// one with its id that was forgotten, and another word that no session took; zero
// if there was neither.
func (r *remains) ofID(f *fact) (at int64) {
	if e := &r.tables[remainsIDs][slotOfID(f.key)]; e.of == 0 || e.of == sessionMark(f.key) {
		at = e.at
	}
	if e := &r.tables[remainsIDs][uint16(slotOfWord(f.key))]; e.of != wordMark(f) {
		at = max(at, e.at)
	}
	return at
}

// after is what a session must have spoken after to count on an address, zero
// if nothing was forgotten there, and what of the sort was only heard of when it
// was over. Its own remains do not hinder it.
func (r *remains) after(s *table.Session, k index.Key) (forgotten, heard int64) {
	root, of := r.m.Root(s.Node), sessionMark(s.Key)
	look := func(at *int64, e *remnant, own uint32) {
		if e.of != own {
			*at = max(*at, e.at)
		}
	}
	var few [6]uint64
	for _, h := range asked(k, few[:0]) {
		begun := uint16(begunHash(root, h))
		look(&heard, &r.tables[remainsHeard][begun], of)
		look(&heard, &r.tables[remainsHeard][uint16(sourceHash(binding.SourceNone, h))], nodeMark(root))
		look(&forgotten, &r.tables[remainsBegun][begun], of)
		look(&forgotten, &r.tables[remainsSources][uint16(sourceHash(binding.SourceNone, h))], of) // who was refused
		for source := binding.SourceNone + 1; source <= binding.SourceFeed; source++ {
			look(&forgotten, &r.tables[remainsSources][uint16(sourceHash(source, h))], nodeMark(root))
		}
	}
	return forgotten, heard
}

// rows makes the rows of what changed.
func (r *remains) rows(b *batch) {
	done := map[remainsAt]bool{}
	for _, at := range b.remains {
		if done[at] {
			continue
		}
		done[at] = true
		if at.table == remainsHorizon {
			b.Remains = append(b.Remains, binding.ForgottenRow{Table: at.table, At: r.horizon})
			continue
		}
		e := r.tables[at.table][at.slot]
		b.Remains = append(b.Remains, binding.ForgottenRow{Table: at.table, Slot: at.slot, At: e.at, Of: e.of})
	}
}

// load takes a stored slot in.
func (r *remains) load(row *binding.ForgottenRow) {
	switch {
	case row.Table == remainsHorizon:
		r.horizon = max(r.horizon, row.At)
	case int(row.Table) < len(r.tables):
		r.tables[row.Table][row.Slot] = remnant{row.At, row.Of}
		if row.Table == remainsSIMs {
			r.sims = max(r.sims, row.At)
		}
	}
}
