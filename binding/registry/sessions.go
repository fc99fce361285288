package registry

import (
	"sync/atomic"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// sessions are the records of sessions: how they come, what a word changes in
// them, and how those that ended are remembered and forgotten.
type sessions struct {
	*core
	nodes   *nodes
	people  *people
	remains *remains
	places  *places
	// The ended ones, by when their end was heard.
	oldest, newest uint32
	ended          atomic.Int64 // how many; any goroutine may read it
	refusedAt      atomic.Int64 // unix ms of the last refusal for lack of room, 0 if there was none
	forgottenAt    atomic.Int64 // likewise, of the last one that was forgotten for another
	swept          int64        // likewise: since then the sweep has been around all addresses
	// expired are sessions that the sweep has seen expired, lingering those that
	// another one's end or beginning left in doubt and nobody confirmed, for when
	// room is needed; some may have spoken since.
	expired, lingering []uint32
}

// create makes the session of an event; false if there is no room (T14).
func (ss *sessions) create(f *fact) (uint32, bool) {
	id, ok := ss.m.Sessions.Alloc()
	if !ok {
		return 0, false
	}
	s := table.Session{
		Key: f.key, Node: f.node, BegunFrom: f.begunFrom, BegunBy: f.begunBy, HeldAt: f.lo, Last: f.hi,
		Restarts: uint16(ss.m.Node(f.root, table.NodeRestarts)), Seen: f.sent, Lease: ss.leaseOf(f), Order: f.Order,
		APN: ss.nodes.apn(binding.CanonicalAPN(f.APN)), RAT: f.RAT, Contexts: f.Contexts, Age: sessionAge(f), Listed: listed(f), Named: f.MSISDN != 0,
	}
	if at := ss.remains.ofID(f); at != 0 && at >= s.HeldAt.Our && f.Source != binding.SourceFeed {
		// A session with this id was forgotten, or another word of it: this may be of before.
		s.Doubt, s.After = binding.ReasonCapacity, clock.Bound{Our: at}
	}
	ss.m.PutSession(id, &s)
	ss.m.BySession.Insert(s.Key[0], id)
	ss.count(f.node, 1)
	ss.dirty(id)
	ss.people.adopt(id, f.identity(), f)
	return id, true
}

// count notes how many living sessions a node has.
func (ss *sessions) count(node uint16, delta int64) {
	ss.m.SetNode(node, table.NodeSessions, uint64(int64(ss.m.Node(node, table.NodeSessions))+delta))
}

// makeWay makes room for so many sessions and addresses, before an event is decided
// about: what is given back meanwhile cannot be used yet. It reports whether
// something had to give way.
func (ss *sessions) makeWay(sessions, addrs int, now int64) bool {
	m := ss.m
	if m.Sessions.Len()+sessions <= m.Sessions.Cap() && m.Claims.Len()+addrs <= m.Claims.Cap() && m.Addrs.Len()+addrs <= m.Addrs.Cap() {
		return false
	}
	f := own(now, endLease.why)
	if !ss.makeRoom(f) {
		return false
	}
	ss.places.settle(f)
	ss.makeWay(sessions, addrs, now)
	return true
}

// makeRoom forgets one session that gives way: expired ones first, then ended
// ones, oldest first, then those that nobody confirms; false if there is none.
func (ss *sessions) makeRoom(f *fact) bool {
	gone := func(s *table.Session) bool {
		l, _ := ss.m.Judge(s, f.now, ss.t)
		return l == table.Expired || l == table.Gone
	}
	switch {
	case ss.giveWay(&ss.expired, gone, f):
	case ss.oldest != 0:
		ss.forget(ss.oldest, f.now)
	default:
		return ss.giveWay(&ss.lingering, func(s *table.Session) bool { return ss.m.Lingers(s, f.now, ss.t) }, f)
	}
	return true
}

// giveWay ends and forgets the last session of a list of which it is still true.
func (ss *sessions) giveWay(list *[]uint32, still func(*table.Session) bool, f *fact) bool {
	for n := len(*list); n > 0; n = len(*list) {
		id := (*list)[n-1]
		*list = (*list)[:n-1]
		s := ss.m.Session(id)
		if s.Key[0] != 0 && !s.Ended() && still(&s) {
			ss.places.end(id, s.Last, endLease, f)
			ss.forget(id, f.now)
			return true
		}
	}
	return false
}

func (ss *sessions) leaseOf(f *fact) uint32 {
	ms := ss.t.Lease
	if f.Lease > 0 {
		ms = f.Lease.Milliseconds()
	}
	return uint32(min(max(ms/1000, 1), table.MaxLease))
}

// refresh notes a word of a session that lives. It reports whether anything
// that is published about it changed, and whether a doubt about it is settled.
func (ss *sessions) refresh(id uint32, f *fact, when when, apn string) (changed, settled bool) {
	s := ss.m.Session(id)
	before := s
	ss.hear(&s, f, when)
	if f.RAT != 0 && when != older {
		s.RAT = f.RAT
	}
	if f.Contexts != 0 {
		if when == newer {
			s.Contexts = f.Contexts
		} else {
			s.Contexts |= f.Contexts
		}
	}
	if when == newer { // else it may be a former session's APN
		s.APN = ss.nodes.apn(apn)
	}
	s.Named = when == newer && f.MSISDN != 0
	ss.m.PutSession(id, &s)
	if s.Doubt != before.Doubt {
		ss.places.touchAll(id, f.why, false)
	}
	ss.dirty(id)
	ss.remember(id, f)
	return s.RAT != before.RAT || s.APN != before.APN, s.Doubt != before.Doubt
}

// list notes of which families a session has told all addresses that it holds.
func (ss *sessions) list(id uint32, f *fact) {
	if l := listed(f); l&^ss.m.Session(id).Listed != 0 {
		ss.update(id, func(s *table.Session) { s.Listed |= l })
	}
}

// listed are the families of which an event tells all, or that some is gone.
func listed(f *fact) (set uint8) {
	for _, a := range f.Addrs {
		if f.Complete {
			set |= 1 << table.FamilyOfAddress(a)
		}
	}
	for _, a := range f.Gone {
		set |= 1 << table.FamilyOfAddress(a)
	}
	return set
}

// hear takes the bounds of a word of a session that lives, and ends the doubt
// that it answers.
func (ss *sessions) hear(s *table.Session, f *fact, when when) {
	if f.begins {
		s.BegunFrom = clock.Later(s.BegunFrom, f.begunFrom)
	}
	s.BegunBy = clock.Sooner(s.BegunBy, f.begunBy)
	s.HeldAt, s.Last = clock.Later(s.HeldAt, f.lo), clock.Upper(s.Last, f.hi)
	s.Seen = max(s.Seen, f.sent)
	s.Restarts = uint16(ss.m.Node(ss.m.Root(s.Node), table.NodeRestarts))
	s.Order, s.Age = max(s.Order, f.Order), max(s.Age, sessionAge(f))
	if f.Lease > 0 {
		s.Lease = ss.leaseOf(f)
	}
	if s.Doubt == binding.ReasonBound && clock.Before(s.After, f.lo) {
		s.After = clock.Bound{} // an address that it may lack is its own again if it names it
	}
	if ss.answers(s, f) {
		s.Doubt, s.EndedBy, s.After = binding.ReasonBound, 0, clock.Bound{}
		s.Flags &^= table.Stopped
	}
}

// answers reports that a word ends the doubt about its session: it is surely of
// after what the session must speak after. A number in doubt is settled by a
// number only, a SIM without one by its IMSI.
func (ss *sessions) answers(s *table.Session, f *fact) bool {
	switch s.Doubt {
	case binding.ReasonBound:
		return false
	case binding.ReasonNumber:
		if f.MSISDN == 0 && (f.IMSI == 0 || ss.people.said(s).MSISDN != 0) {
			return false
		}
	}
	return clock.Before(s.After, f.lo)
}

// spoke takes the bounds of a session's last word.
func (ss *sessions) spoke(id uint32, f *fact) {
	s := ss.m.Session(id)
	if f.begins {
		s.BegunFrom = clock.Later(s.BegunFrom, f.begunFrom)
	}
	s.BegunBy = clock.Sooner(s.BegunBy, f.begunBy)
	s.HeldAt, s.Last = clock.Later(s.HeldAt, f.lo), clock.Upper(s.Last, f.hi)
	s.Order, s.Flags = max(s.Order, f.Order), s.Flags|table.Stopped
	ss.m.PutSession(id, &s)
}

// entomb marks a session as ended, and puts it among those that are remembered.
func (ss *sessions) entomb(id uint32, end clock.Bound, said bool, heard int64) {
	ss.forgetMemo(id)
	s := ss.m.Session(id)
	s.Flags |= table.Ended
	s.After, s.Doubt, s.EndedBy, s.Age = end, binding.ReasonBound, 0, 0
	if !said {
		s.Lease = 0
	}
	s.Seen = max(s.Seen, heard)
	s.Older, s.Newer = ss.newest, 0
	ss.m.PutSession(id, &s)
	if ss.newest != 0 {
		ss.m.SetNewer(ss.newest, id)
	} else {
		ss.oldest = id
	}
	ss.newest = id
	ss.ended.Add(1)
	ss.dirty(id)
}

// queued is how long (ms) an event may have waited for us when it is decided about.
const queued = 30_000

// due reports that an ended session decides about nothing any more: what may
// still come is surely of after its end, or says itself that it is not (see
// beyond), and the sweep has since compared it with those on narrower addresses.
func (ss *sessions) due(s *table.Session, now int64) bool {
	heard := max(s.Seen, s.After.Our)
	return now > heard+ss.limits.MaxDelay+queued && heard < ss.swept
}

// beyond reports that an event may be of before the end of its session, which was
// forgotten in due time.
func (ss *sessions) beyond(f *fact) bool { return f.lo.Our <= ss.remains.horizon }

// forget frees the record of an ended session. If messages may still come that
// it would decide about, its bounds go into the coarse memory.
func (ss *sessions) forget(id uint32, now int64) {
	s := ss.m.Session(id)
	if ss.due(&s, now) {
		ss.remains.inDueTime(s.After.Our)
	} else {
		ss.remains.ended(&s)
		ss.counters.add(countForgotten)
		ss.forgottenAt.Store(now)
		for _, k := range ss.keys(id) {
			ss.places.unclaim(id, k, true)
		}
	}
	ss.forgetQuietly(id)
}

// forgetQuietly frees the record of an ended session in whose place another one is.
func (ss *sessions) forgetQuietly(id uint32) {
	s := ss.m.Session(id)
	var few [4]table.Claim
	for _, c := range ss.appendClaims(few[:0], id) {
		ss.places.unclaim(id, c.Key, false)
	}
	ss.unlinkEnded(&s)
	ss.people.unlink(id)
	ss.m.BySIM.Remove(table.Mix(uint64(s.IMSI)), id)
	ss.forgetMemo(id)
	ss.m.BySession.Remove(s.Key[0], id)
	ss.batch.forgotten = append(ss.batch.forgotten, s.Key)
	ss.places.free(id)
}

// unlinkEnded takes an ended session off the list.
func (ss *sessions) unlinkEnded(s *table.Session) {
	if s.Older != 0 {
		ss.m.SetNewer(s.Older, s.Newer)
	} else {
		ss.oldest = s.Newer
	}
	if s.Newer != 0 {
		ss.m.SetOlder(s.Newer, s.Older)
	} else {
		ss.newest = s.Older
	}
	ss.ended.Add(-1)
}

// keys lists the addresses that a session claims.
func (ss *sessions) keys(id uint32) []index.Key {
	var keys []index.Key
	for c := ss.m.Session(id).Claim; c != 0; {
		cl := ss.m.Claim(c)
		keys = append(keys, cl.Key)
		c = cl.NextOfSession
	}
	return keys
}

// claims lists the claims of a session.
func (ss *sessions) claims(id uint32) []table.Claim { return ss.appendClaims(nil, id) }

// appendClaims adds the claims of a session to a list.
func (ss *sessions) appendClaims(list []table.Claim, id uint32) []table.Claim {
	s := ss.m.Session(id)
	for c := s.Claim; c != 0; {
		cl := ss.m.Claim(c)
		cl.Hold = ss.m.HoldOf(&cl, s.Node)
		list = append(list, cl)
		c = cl.NextOfSession
	}
	return list
}

// update changes a session's record, and has its row written.
func (ss *sessions) update(id uint32, change func(*table.Session)) {
	s := ss.m.Session(id)
	change(&s)
	ss.m.PutSession(id, &s)
	ss.dirty(id)
}

// dirty has the session's row written with the batch.
func (ss *sessions) dirty(id uint32) {
	flags := ss.m.Flags(id)
	if flags&table.Dirty != 0 {
		return
	}
	ss.m.SetFlags(id, flags|table.Dirty)
	ss.batch.dirty = append(ss.batch.dirty, id)
}

// remember keeps the memo of an event beside its session.
func (ss *sessions) remember(id uint32, f *fact) {
	if len(f.Memo) == 0 || len(f.Memo) > binding.MaxMemo {
		return
	}
	ss.m.SetFlags(id, ss.m.Flags(id)|table.Memo)
	s := ss.m.Session(id)
	ss.batch.Memos = append(ss.batch.Memos, binding.MemoRow{Key: s.RowKey(), Source: f.Source, Memo: f.Memo})
}

// forgetMemo deletes the memo of a session that ends.
func (ss *sessions) forgetMemo(id uint32) {
	flags := ss.m.Flags(id)
	if flags&table.Memo == 0 {
		return
	}
	ss.m.SetFlags(id, flags&^table.Memo)
	s := ss.m.Session(id)
	ss.batch.Memos = append(ss.batch.Memos, binding.MemoRow{Key: s.RowKey(), Gone: true})
}

// seal makes the rows of everything marked, as it stands now.
func (ss *sessions) seal(now int64) {
	ss.nodes.saveTrust()
	b := ss.batch
	b.Alive = now
	for _, id := range b.dirty {
		if ss.m.Sessions.Load(id, 0) == 0 {
			continue // freed since
		}
		s := ss.m.Session(id)
		if s.Flags&table.Dirty == 0 {
			continue // made again since, or marked twice
		}
		ss.m.SetFlags(id, s.Flags&^table.Dirty)
		b.Sessions = append(b.Sessions, ss.row(&s))
	}
	for _, key := range b.forgotten {
		if _, again := ss.m.FindSession(key); !again {
			b.Forgotten = append(b.Forgotten, (&table.Session{Key: key}).RowKey())
		}
	}
	ss.remains.rows(b)
	b.Subscribers = lastOfEach(b.Subscribers, func(r *binding.SubscriberRow) uint64 { return table.NumberHash(r.Subscriber) })
	b.Nodes = lastOfEach(b.Nodes, func(r *binding.NodeRow) uint16 { return r.ID })
	b.Memos = lastOfEach(b.Memos, func(r *binding.MemoRow) binding.SessionKey { return r.Key })
}

func (ss *sessions) row(s *table.Session) binding.SessionRow {
	who := ss.m.Identity(s)
	row := binding.SessionRow{
		Key: s.RowKey(), Node: s.Node, Restarts: s.Restarts,
		BegunFrom: s.BegunFrom.Pack(), BegunBy: s.BegunBy.Pack(), HeldAt: s.HeldAt.Pack(), Last: s.Last.Pack(), After: s.After.Pack(),
		Doubt: s.Doubt, EndedBy: s.EndedBy, Seen: s.Seen, Lease: s.Lease, Age: s.Age, Order: s.Order, Contexts: s.Contexts,
		Ended: s.Ended(), Stopped: s.Flags&table.Stopped != 0, Reused: s.Flags&table.Reused != 0, Again: s.Flags&table.Again != 0,
		MSISDN: who.MSISDN, IMSI: who.IMSI, IMEI: who.IMEI, APN: s.APN, RAT: s.RAT, Listed: s.Listed, Directory: s.Flags&table.Directory != 0,
	}
	if ss.m.SourceOf(s.Node) == binding.SourceFeed {
		row.Contexts, row.Via = 0, s.Contexts
	}
	b := ss.batch
	first := len(b.holds)
	for c := s.Claim; c != 0; {
		cl := ss.m.Claim(c)
		h, _ := ss.m.Holding(cl.Key)
		b.holds = append(b.holds, binding.HoldRow{
			Domain: cl.Key.Domain(), Addr: table.AddressOf(cl.Key), Since: h.Since, Version: h.Version, Told: h.Told, Shared: h.Shared, Given: cl.Given, Contested: h.Contested != 0,
			HeldBy: cl.By.Pack(), HeldAt: cl.At.Pack(),
		})
		c = cl.NextOfSession
	}
	row.Holds = b.holds[first:len(b.holds):len(b.holds)]
	return row
}
