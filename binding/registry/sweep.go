package registry

import (
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// A sweeper walks over all sessions and addresses, a piece at a time, and frees
// what is over: sessions of before a restart (T7), expired leases (T9), ended
// ones that decide about nothing any more. It publishes what changed without an
// event, and compares sessions on narrower addresses with those around them.
// Readers do not wait for it: they see from the same words that these are over.
type sweeper struct {
	*core
	nodes    *nodes
	sessions *sessions
	places   *places
	people   *people

	session, address uint32
	unswept          int64  // the last restart that was heard of when the present round over all sessions began
	told             int    // changes of state published by the present piece
	rounds           int    // over all addresses
	began            int64  // unix ms, the present one
	seeker           uint32 // session behind which numbers are asked for next
	seekFrom         int64  // unix ms, when the next round of asking may begin
	sought           int    // numbers that the present piece asked for
}

const (
	// toldMax bounds the changes of state that one piece of the sweep publishes,
	// so that a node that is lost with a million sessions does not drown the feed.
	toldMax = 512
	// expiredMax bounds the expired sessions that are known by name.
	expiredMax = 4096
	// sought is how many numbers one piece of the sweep asks the directory for;
	// seekEvery is how long a round over all sessions takes at least.
	sought    = 128
	seekEvery = 5 * time.Second
)

// sweep visits up to n sessions and n addresses. It reports whether it came
// around.
func (sw *sweeper) sweep(n int, now int64) bool {
	around, f := true, own(now, "")
	for range n {
		if sw.session++; sw.session > sw.m.Sessions.Limit() {
			sw.session = 0
			if sw.m.Unswept() == sw.unswept {
				sw.m.SetUnswept(0)
			}
			sw.unswept = sw.m.Unswept()
			break
		}
		sw.visit(sw.session, f)
		around = false
	}
	sw.seekSome(n, now)
	if sw.address == 0 {
		sw.began = now
	}
	for sw.told = 0; n > 0 && sw.told < toldMax; n-- {
		if sw.address++; sw.address > sw.m.Addrs.Limit() {
			sw.address = 0
			sw.rounds++
			sw.sessions.swept = sw.began
			if sw.round++; sw.round == 0 {
				sw.round = 1
			}
			break
		}
		sw.told += sw.visitAddress(sw.address, f)
		around = false
	}
	return around || sw.session == 0 && sw.address == 0
}

func (sw *sweeper) visit(id uint32, f *fact) {
	now := f.now
	if sw.m.Sessions.Load(id, 0) == 0 {
		return
	}
	s := sw.m.Session(id)
	if s.Ended() {
		root := sw.m.Root(s.Node)
		if n := uint16(sw.m.Node(root, table.NodeRestarts)); s.Restarts != n && (s.Untold() || clock.Upper(s.After, s.Last) != s.After) {
			by, _ := sw.m.RestartBy(root)
			sw.sessions.update(id, func(s *table.Session) { s.Restarts = n })
			sw.places.stays.overBy(id, by, f) // it was taken for over, or may have the id since, and is now
			sw.places.settle(f)
		}
		if sw.sessions.due(&s, now) {
			f.why = ""
			sw.sessions.forget(id, now)
			sw.places.settle(f)
		}
		return
	}
	l, _ := sw.m.Judge(&s, now, sw.t)
	switch l {
	case table.Over, table.Gone:
	case table.Expired:
		sw.sessions.expired = lastSeen(sw.sessions.expired, id)
		if sw.contested(id, &s, now) { // T5: against a live claim it holds nothing
			sw.end(id, &s, table.Gone, now)
		}
		return
	default:
		if sw.m.Lingers(&s, now, sw.t) {
			sw.sessions.lingering = lastSeen(sw.sessions.lingering, id)
		}
		if n := uint16(sw.m.Node(sw.m.Root(s.Node), table.NodeRestarts)); s.Restarts != n && sw.m.SourceOf(s.Node) != binding.SourceFeed {
			s.Restarts = n // it has spoken since the restart
			sw.m.PutSession(id, &s)
			sw.sessions.dirty(id)
		}
		return
	}
	sw.end(id, &s, l, now)
}

// lastSeen adds to the list of those that were seen last, of which it forgets the
// older half when there are too many.
func lastSeen(list []uint32, id uint32) []uint32 {
	if len(list) == expiredMax {
		list = append(list[:0], list[expiredMax/2:]...)
	}
	return append(list, id)
}

// end ends a session that is over by its node's restart or by its lease.
func (sw *sweeper) end(id uint32, s *table.Session, l table.Life, now int64) {
	e, count, bound := endLease, countReleasedLease, s.Last
	if l == table.Over {
		e, count = endRestart, countSwept
		bound, _ = sw.m.EndOf(s)
	} else {
		sw.note(s, now)
	}
	f := own(now, e.why)
	f.Event.Node = sw.m.NodeNames.Load().Of(s.Node).Name
	if e == endRestart {
		f.at = int64(sw.m.Node(sw.m.Root(s.Node), table.NodeRestart))
	}
	sw.counters.add(count)
	sw.places.end(id, bound, e, f)
	sw.places.settle(f)
}

// contested reports whether a session that is not expired claims an address of
// s too.
func (sw *sweeper) contested(id uint32, s *table.Session, now int64) bool {
	for c := s.Claim; c != 0; {
		cl := sw.m.Claim(c)
		c = cl.NextOfSession
		h, _ := sw.m.Holding(cl.Key)
		if !h.Shared {
			continue
		}
		for o := sw.m.AllClaimants(&h); o.Next(); {
			if l, _ := sw.m.Judge(&o.Session, now, sw.t); o.ID != id && l < table.Expired {
				return true
			}
		}
	}
	return false
}

// visitAddress returns how many changes of state it published.
func (sw *sweeper) visitAddress(pos uint32, f *fact) int {
	k, v, _, ok := sw.m.Addrs.At(pos)
	if !ok {
		return 0
	}
	h := table.UnpackHolding(v)
	f.why = "state"
	if sw.stale(h.Contested) || sw.stale(h.Inner) {
		t := sw.places.touch(k, "state")
		if sw.stale(t.h.Contested) {
			t.h.Contested = 0
		}
		if sw.stale(t.h.Inner) {
			t.h.Inner = 0
		}
		t.changed = true
		sw.places.settle(f)
		if h, ok = sw.m.Holding(k); !ok {
			return 0
		}
	}
	n := sw.places.around(k, &h, f)
	if h, ok = sw.m.Holding(k); !ok {
		return n
	}
	return n + sw.places.tell(k, &h, f)
}

// stale reports that a mark was not renewed in the whole round before this one.
func (sw *sweeper) stale(mark uint16) bool {
	return mark != 0 && sw.round-mark >= 2 && mark-sw.round >= 2
}

// note adds the end of a lease to the trace.
func (sw *sweeper) note(s *table.Session, now int64) {
	k := sw.m.NodeNames.Load().Of(s.Node)
	who := sw.m.Identity(s)
	var addrs []binding.Address
	for c := s.Claim; c != 0; {
		cl := sw.m.Claim(c)
		addrs = append(addrs, table.AddressOf(cl.Key))
		c = cl.NextOfSession
	}
	sw.batch.trace = append(sw.batch.trace, binding.TraceEntry{
		At: table.Millis(now), Time: table.Millis(now), Kind: "lease", Source: k.Source, Node: k.Name, Subscriber: who, Addrs: addrs,
		Outcome: string(Applied),
	})
}

// seekSome goes on to the sessions behind those that the last piece visited.
func (sw *sweeper) seekSome(n int, now int64) {
	if sw.people.book.resolve == nil || sw.seeker == 0 && now < sw.seekFrom && sw.seekFrom-now <= seekEvery.Milliseconds() {
		return
	}
	if sw.seeker == 0 {
		sw.seekFrom = now + seekEvery.Milliseconds()
	}
	sw.sought = 0
	for ; n > 0 && sw.sought < sought; n-- {
		if sw.seeker++; sw.seeker > sw.m.Sessions.Limit() {
			sw.seeker = 0
			return
		}
		if sw.m.Sessions.Load(sw.seeker, 0) == 0 {
			continue
		}
		s := sw.m.Session(sw.seeker)
		if l, _ := sw.m.Judge(&s, now, sw.t); l < table.Expired {
			sw.seekAgain(&s)
		}
	}
}

// seekAgain asks for the number of a session that has none, and whether that
// which the directory gave it is still right.
func (sw *sweeper) seekAgain(s *table.Session) {
	if s.IMSI == 0 || sw.m.SourceOf(s.Node) == binding.SourceFeed {
		return
	}
	if m := sw.m.Subscriber(s.Sub).MSISDN; m == 0 || s.Flags&table.Directory != 0 {
		sw.sought++
		sw.people.book.resolve(s.IMSI, m)
	}
}
