package registry

import (
	"slices"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// sites is what other sites say. A followed site is a node of SourceFeed, and
// each address that it knows is a session of that node. The site has decided
// already, in one order: T1 to T4 do not ask again, its last word counts. That
// it disagrees with others is T5, that it is lost T8; leases are its own (T9).
type sites struct {
	*core
	nodes    *nodes
	sessions *sessions
	places   *places
	people   *people
	rules    *rules
}

// decide applies an event of a followed site.
func (s *sites) decide(f *fact) Outcome {
	// When it happened the site tells by its clock, which is taken for ours.
	if !f.Time.IsZero() {
		f.at = f.Time.UnixMilli()
	}
	f.lo, f.hi = clock.Bound{Our: min(f.at, f.now)}, clock.Bound{Our: f.now}
	switch f.Kind {
	case binding.SessionStart, binding.SessionUpdate:
		return s.mirror(f)
	case binding.SessionStop:
		id, lives := s.find(f)
		if !lives {
			return s.counters.outcome(countUnknownStop, Late)
		}
		s.places.end(id, f.hi, endStop, f)
		return Applied
	case binding.NodeRestart:
		return s.endUntold(f)
	case binding.NodeUp:
		s.heardWhole(f)
	case binding.NodeCurrent:
		s.heardWhole(f)
		s.m.SetNode(f.root, table.NodeCurrent, 1)
		s.m.SetNode(f.root, table.NodeAnew, 0)
		return Applied
	case binding.NodeBehind:
		s.m.SetNode(f.root, table.NodeCurrent, 0)
		s.m.SetNode(f.root, table.NodeAnew, uint64(s.toldAt(f, 1)))
		return Applied
	}
	return s.rules.transport(f)
}

// heardWhole notes a heartbeat. Readers hold their own clock against it, so that
// a site is lost also while nobody looks whether it is: the program may be
// suspended, or busy.
func (s *sites) heardWhole(f *fact) {
	if !f.Time.IsZero() {
		s.m.SetNode(f.root, table.NodeWhole, uint64(f.at))
	}
}

// endUntold ends what the site has not told since it was behind or, if it was
// not, all that it has told: rule T7, in O(1).
func (s *sites) endUntold(f *fact) Outcome {
	since := s.m.Node(f.root, table.NodeAnew)
	if since == 0 {
		since = uint64(s.toldAt(f, 1))
	}
	s.m.SetNode(f.root, table.NodeRestart, since)
	s.nodes.save(f.root)
	return Applied
}

// toldAt is the moment (unix ms, our clock) at which a site tells something, so
// long after what it told before at least. A clock that is set back does not
// make the new the older.
func (s *sites) toldAt(f *fact, after int64) int64 {
	at := max(f.now, int64(s.m.Node(f.root, table.NodeTold))+after)
	s.m.SetNode(f.root, table.NodeTold, uint64(at))
	return at
}

// mirror makes a session what its site says.
func (s *sites) mirror(f *fact) Outcome {
	s.people.strip(f.Event)
	id, known := s.find(f)
	if f.Kind == binding.SessionStart {
		f.begins = true
		begun := clock.Bound{Our: max(f.at-f.Age.Milliseconds(), 1)}
		f.begunFrom, f.begunBy = begun, begun
	}
	got := s.rules.admit(f, "")
	if len(got.keys) == 0 && (known || got.refused != Applied) { // our pools have changed
		if known {
			s.places.end(id, f.hi, endStop, f)
		}
		return got.refused
	}
	if !known {
		s.sessions.makeWay(1, len(got.keys), f.now)
		if id, _ = s.find(f); id != 0 {
			s.sessions.forgetQuietly(id) // it ended, and the site says since who is there
		}
		var ok bool
		if id, ok = s.sessions.create(f); !ok {
			s.places.refuse(f, got.keys)
			return s.counters.outcome(countRefusedCapacity, RefusedCapacity)
		}
	}
	changed := s.restate(id, f)
	for _, k := range s.sessions.keys(id) {
		if !slices.Contains(got.keys, k) {
			s.places.unclaim(id, k, false)
		}
	}
	s.places.touchAll(id, f.why, known && changed)
	outcome := s.rules.claimAll(id, got.keys, true, f, got.refused)
	s.places.relate(id, f) // it speaks after what others have ended there
	return outcome
}

// restate writes what the site says into the session's record. It reports
// whether an attribute changed that is published.
func (s *sites) restate(id uint32, f *fact) bool {
	was := s.m.Session(id)
	now := was
	if f.begins { // only a start says since when
		now.BegunFrom, now.BegunBy = f.begunFrom, f.begunBy
	}
	now.Last = clock.Upper(was.Last, f.hi)
	who, said := s.m.Identity(&was), f.identity()
	switch { // what it says may be of long before, and an update says nothing of its holder
	case who != said:
		now.HeldAt = f.lo
	case f.begins:
		now.HeldAt = clock.Later(was.HeldAt, f.lo)
	}
	now.Seen = s.toldAt(f, 0)
	now.APN, now.RAT, now.Contexts = s.nodes.apn(binding.CanonicalAPN(f.APN)), f.RAT, s.nodes.apn(f.Via)
	now.Flags &^= table.Directory
	switch {
	case f.Doubt != binding.ReasonBound:
		now.Doubt = f.Doubt
	case was.After.Our == 0 || clock.Before(was.After, now.HeldAt):
		now.Doubt, now.After, now.EndedBy = binding.ReasonBound, clock.Bound{}, 0
	case was.Doubt != binding.ReasonReleased:
		now.Doubt = binding.ReasonEnding // what another source has ended since it spoke
	}
	s.m.PutSession(id, &now)
	if who != said {
		s.places.touchAll(id, f.why, false)
		s.people.adopt(id, said, f)
	}
	s.sessions.dirty(id)
	return who != said || now.APN != was.APN || now.RAT != was.RAT || now.Contexts != was.Contexts
}

// find finds the session of one address of a site, and whether it lives.
func (s *sites) find(f *fact) (id uint32, lives bool) {
	in := s.nodes.find(f)
	if in.n == 0 {
		return 0, false
	}
	id = in.list()[0]
	x := s.m.Session(id)
	return id, !x.Ended()
}
