package registry

import (
	"slices"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// incarnations are the sessions of one id at one node: more than one while it is
// not known which of them goes on.
type incarnations struct {
	few  [4]uint32
	more []uint32 // all, if there are more than few; a node may have several names
	n    int
	own  table.Incarnations // by number, of the name that the event gives
}

func (in *incarnations) add(list table.Incarnations) {
	for _, id := range list {
		switch {
		case id == 0:
			continue
		case in.n < len(in.few):
			in.few[in.n] = id
		default:
			in.more = append(append([]uint32(nil), in.list()...), id)
		}
		in.n++
	}
}

func (in *incarnations) list() []uint32 {
	if in.more != nil {
		return in.more
	}
	return in.few[:in.n]
}

// drop takes a session out that was forgotten.
func (in *incarnations) drop(id uint32) {
	for i := range in.own {
		if in.own[i] == id {
			in.own[i] = 0
		}
	}
	i := slices.Index(in.list(), id)
	if i < 0 {
		return
	}
	in.n--
	if in.more != nil {
		in.more = slices.Delete(in.more, i, i+1)
		return
	}
	in.few[i] = in.few[in.n]
}

// find finds the sessions that an event may be of, and makes room for what it may
// bring.
func (r *rules) find(f *fact) incarnations {
	in := r.nodes.find(f)
	sessions := 1
	for _, id := range in.list() {
		s := r.m.Session(id)
		if f.Kind != binding.SessionStart && !s.Ended() {
			sessions = 0
		}
		if f.Order != 0 && f.Order <= s.Order { // a repetition, or overtaken: when that happened nobody says
			f.lo = clock.Bound{Our: f.arr - r.limits.MaxDelay}
			f.begin()
		}
	}
	pieces := r.keys[:0] // whether it may have them is asked when its APN is known
	for _, a := range f.Addrs {
		if canonical, err := binding.NewAddress(a.Prefix); err == nil {
			canonical.PortLow, canonical.PortHigh = a.PortLow, a.PortHigh
			pieces = table.AppendKeys(pieces, 0, canonical)
		}
	}
	if r.keys = pieces[:0]; r.sessions.makeWay(sessions, len(pieces), f.now) {
		return r.nodes.find(f) // one of them may have given way
	}
	return in
}

// beginLater makes a session that began after those that had its id or, if that
// is not sure, may be one of them.
func (r *rules) beginLater(in *incarnations, surely bool, f *fact) Outcome {
	if f.Order != 0 {
		for _, id := range in.list() {
			f.earlier = append(f.earlier, r.sessions.claims(id)...)
		}
	}
	last, inOrder := r.said(in, f)
	flags, after := r.supersede(in, surely, f)
	r.take(in, f)
	if after != (clock.Bound{}) {
		flags |= table.Stopped
	}
	if !inOrder {
		flags |= table.Again
	}
	outcome := r.begin(f, flags)
	if id, ok := r.m.FindSession(f.key); ok {
		if after != (clock.Bound{}) {
			r.places.doubt(id, after, binding.ReasonEnding)
		}
		if !inOrder {
			r.places.doubt(id, last, binding.ReasonOrder)
		}
	}
	return outcome
}

// said is the latest that any word with an id can be of, and whether an event is
// surely of after all of them that say something else: they may be of the session
// that it begins.
func (r *rules) said(in *incarnations, f *fact) (last clock.Bound, inOrder bool) {
	inOrder = true
	for _, id := range in.list() {
		s := r.m.Session(id)
		if s.Flags&table.Stopped != 0 && clock.Upper(s.After, s.Last) == s.After {
			continue // its stop was the last
		}
		last = clock.Upper(last, s.Last)
		inOrder = inOrder && (clock.Before(s.Last, f.lo) || r.repeats(&s, f))
	}
	return last, inOrder
}

// mayHaveSaid notes a word that may be of any session with its id, or of the next
// one: with those that have said the same, or with all.
func (r *rules) mayHaveSaid(in *incarnations, f *fact) {
	known := false
	for _, id := range in.list() {
		if s := r.m.Session(id); !s.Ended() && r.repeats(&s, f) {
			r.sessions.update(id, func(s *table.Session) { s.Last = clock.Upper(s.Last, f.hi) })
			known = true
		}
	}
	if known {
		return
	}
	for _, id := range in.list() {
		r.sessions.update(id, func(s *table.Session) { s.Last = clock.Upper(s.Last, f.hi) })
		r.places.doubt(id, f.hi, binding.ReasonOrder)
	}
}

// repeats reports that an event says nothing else of a session than that has said.
func (r *rules) repeats(s *table.Session, f *fact) bool {
	who := r.m.Identity(s)
	if f.MSISDN != 0 && f.MSISDN != who.MSISDN || f.IMSI != 0 && f.IMSI != who.IMSI || len(f.Gone) > 0 {
		return false
	}
	keys, all, n := r.admit(f, r.apnOf(s, f)).keys, listed(f), 0
	for c := s.Claim; c != 0; {
		cl := r.m.Claim(c)
		switch named := slices.Contains(keys, cl.Key); {
		case named && !cl.Given:
			n++
		case !named && !cl.Given && all>>table.FamilyOf(cl.Key)&1 != 0:
			return false
		}
		c = cl.NextOfSession
	}
	return n == len(keys)
}

// beginAnew makes a session of which it is not known whether it is the one that
// has its id already: it has what the word says, and may have what that had.
func (r *rules) beginAnew(in *incarnations, f *fact) Outcome {
	var had []table.Claim
	for _, id := range in.list() {
		if s := r.m.Session(id); !s.Ended() && !contradict(r.m.Identity(&s), f.identity()) {
			had = append(had, r.sessions.claims(id)...)
		}
	}
	outcome := r.beginLater(in, false, f)
	if id, ok := r.m.FindSession(f.key); ok {
		r.places.mayHave(id, had, f)
		r.places.relate(id, f)
	}
	return outcome
}

// supersede ends what has the id of a session that began after it. What ended is
// remembered beside the new one, unless that may be it. It returns what the new
// one must know of its id, and what it must speak after, as a stop that was heard
// may be its own.
func (r *rules) supersede(in *incarnations, surely bool, f *fact) (flags uint8, after clock.Bound) {
	flags = table.Again
	stopped := func(at clock.Bound) {
		if after == (clock.Bound{}) {
			after = at
		}
		after = clock.Upper(after, at)
	}
	for _, id := range slices.Clone(in.list()) {
		s := r.m.Session(id)
		if s.Flags&(table.Stopped|table.Ended) == table.Stopped && !clock.Before(s.After, f.lo) {
			stopped(s.After) // that may have been its own stop
		}
		switch {
		case !s.Ended() && !surely && !contradict(r.m.Identity(&s), f.identity()):
			flags |= table.Reused
			r.places.end(id, f.begunBy, endReplaced, f)
			r.sessions.forgetQuietly(id)
			in.drop(id)
		case !s.Ended(): // its end was not heard
			flags |= table.Reused
			r.sessions.update(id, func(s *table.Session) { s.Flags &^= table.Stopped })
			r.places.end(id, f.begunBy, endSuperseded, f)
		case in.n == 1 && s.Flags&table.Stopped == 0 && f.begins && f.Kind == binding.SessionUpdate && alike(&s, f):
			// It was taken for over, and goes on.
			r.sessions.forget(id, f.now)
			in.drop(id)
			return 0, clock.Bound{}
		case s.Flags&table.Stopped == 0:
		case clock.Before(s.After, f.lo):
			if !f.begins {
				f.begunFrom = clock.Later(f.begunFrom, s.HeldAt) // it began after the former had lived
			}
		default:
			stopped(s.After)
		}
	}
	return flags, after
}

// take gives an event a key that no session has.
func (r *rules) take(in *incarnations, f *fact) {
	if !slices.Contains(in.own[:], 0) {
		r.forgetOldest(in, f)
	}
	f.key[1] ^= uint64(slices.Index(in.own[:], 0))
}

// forgetOldest makes room for another session with an id: of so many at most one
// goes on, and hardly that which was heard of first.
func (r *rules) forgetOldest(in *incarnations, f *fact) {
	oldest := uint32(0)
	var when int64
	for _, ended := range []bool{true, false} {
		for _, id := range in.own {
			if s := r.m.Session(id); s.Ended() == ended && (oldest == 0 || s.Last.Our < when) {
				oldest, when = id, s.Last.Our
			}
		}
		if oldest != 0 {
			break
		}
	}
	r.places.end(oldest, f.hi, endSuperseded, f)
	r.sessions.forget(oldest, f.now)
	in.drop(oldest)
}

// amongOthers has a session that has spoken speak after all that the others with
// its id have said.
func (r *rules) amongOthers(id uint32, in *incarnations) {
	for _, other := range in.list() {
		if s := r.m.Session(other); other != id && !s.Ended() {
			r.places.doubt(id, s.Last, binding.ReasonOrder)
		}
	}
}

// A turn says which session with one id an event is of.
type turn uint8

const (
	same    turn = iota // the known one, as far as can be told
	later               // surely one that began after it
	anew                // it or one that began after it, and surely of after all that it said
	earlier             // surely one from before it
	other               // one of before or after it
	unclear             // it, or one of before or after it
)

// incarnation: a node uses ids again. An event is of a later session if its
// beginning surely follows that of the known one, or its end, or if its SIM is
// another and it surely follows all that was heard; of an earlier one if its
// beginning surely precedes.
func (r *rules) incarnation(s *table.Session, f *fact) turn {
	switch {
	case clock.Before(f.begunBy, s.BegunFrom):
		return earlier
	case f.begins && clock.Before(s.BegunBy, f.begunFrom):
		return later
	case s.Ended() && clock.Before(s.After, f.lo):
		if terminated(s) {
			return same
		}
		return later
	case contradict(r.m.Identity(s), f.identity()):
		if clock.Before(s.Last, f.lo) {
			return later
		}
		return other
	case f.Kind == binding.SessionStart && !s.Ended() && f.Link == 0 && r.another(s, f):
		return other
	case r.mayBeNext(s, f) && clock.Before(r.endOf(s), f.lo) && !table.Nobody(f.identity()):
		return anew
	case s.Flags&table.Again != 0 && !s.Ended() && !clock.Before(s.BegunBy, f.lo) && !(f.begins && alike(s, f)), r.mayBeNext(s, f):
		return unclear
	}
	return same
}

// terminated reports that a session of Gx told its end: it does not come back, and
// none has its id after it (RFC 6733 section 8.8).
func terminated(s *table.Session) bool {
	return s.Ended() && s.Order != 0 && s.Flags&table.Stopped != 0
}

// mayBeNext reports that a word may be of a session that has the id since the
// known one ended: a stop or restart that may have ended it was heard, or another
// session with its id that may have followed it. The two may be of one SIM.
func (r *rules) mayBeNext(s *table.Session, f *fact) bool {
	if s.Ended() || s.Flags&table.Again != 0 && s.Doubt == binding.ReasonOrder {
		return !s.Ended()
	}
	return (s.Flags&table.Stopped != 0 || r.m.MayHaveRestarted(s)) && !(f.begins && alike(s, f))
}

// endOf is by when a session was over, if what may have ended it did.
func (r *rules) endOf(s *table.Session) clock.Bound {
	end := s.After
	if by, _ := r.m.RestartBy(r.m.Root(s.Node)); r.m.MayHaveRestarted(s) {
		end = clock.Upper(end, by)
	}
	return end
}

// whose tells which of the sessions with its id an event is of. Where there are
// several, a word that names a SIM and is surely of after all that they said is
// taken for that of a new one: of the one that goes on it says the same, and
// nothing else of that is known for sure. Any other is of the only one that it can
// be of, or that it names: by its SIM, or, of sessions of one SIM, by an address.
// That another SIM's had the address says nothing: it may have been given out
// again, with the id.
func (r *rules) whose(in *incarnations, f *fact) (id uint32, turn turn) {
	if id := r.latest(in); id != 0 {
		s := r.m.Session(id)
		return id, r.incarnation(&s, f)
	}
	var seen [unclear + 1]int
	var possible, named, placed uint32
	var one table.Session
	names, places, oneSIM, afterAll, next := 0, 0, true, true, false
	for _, id := range in.list() {
		s := r.m.Session(id)
		t := r.incarnation(&s, f)
		if t == same && terminated(&s) {
			return id, same
		}
		seen[t]++
		afterAll = afterAll && (clock.Before(s.Last, f.lo) || !s.Ended() && r.repeats(&s, f) && clock.Before(s.After, f.lo))
		if t != same && t != unclear && t != anew {
			continue
		}
		next = next || t == unclear && r.mayBeNext(&s, f) // of none of them, then
		if possible == 0 {
			one = s
		}
		possible = id
		oneSIM = oneSIM && (s.Key == one.Key || r.m.OneSIM(&s, &one))
		if f.IMSI != 0 && s.IMSI == f.IMSI || s.IMSI == 0 && f.MSISDN != 0 && r.m.Identity(&s).MSISDN == f.MSISDN {
			named = id
			names++
		}
		if r.holdsOne(&s, f) {
			placed = id
			places++
		}
	}
	switch n := seen[same] + seen[unclear] + seen[anew]; {
	case n > 0 && afterAll && !table.Nobody(f.identity()):
		return 0, anew
	case n > 0 && next:
		return 0, unclear
	case n == 1 && seen[anew] == 0:
		return possible, same
	case names == 1 && seen[anew] == 0:
		return named, same
	case n > 1 && oneSIM && places == 1 && seen[anew] == 0:
		return placed, same
	case n > 0:
		return 0, unclear
	case seen[other] > 0 || seen[later] > 0 && seen[earlier] > 0:
		return 0, other
	case seen[later] > 0:
		return 0, later
	}
	return 0, earlier
}

// latest is the only session with an id, or the one that goes on if it surely
// began after all that have ended; zero if that cannot be told.
func (r *rules) latest(in *incarnations) uint32 {
	if in.n == 1 {
		return in.list()[0]
	}
	living := uint32(0)
	for _, id := range in.list() {
		if s := r.m.Session(id); !s.Ended() {
			if living != 0 {
				return 0
			}
			living = id
		}
	}
	if living == 0 {
		return 0
	}
	l := r.m.Session(living)
	for _, id := range in.list() {
		if s := r.m.Session(id); id != living && !clock.Before(s.BegunBy, l.BegunFrom) {
			return 0
		}
	}
	return living
}

// holdsOne reports that a session claims one of the addresses that an event names.
func (r *rules) holdsOne(s *table.Session, f *fact) bool {
	for _, k := range r.admit(f, r.apnOf(s, f)).keys {
		if r.m.Has(s, k) {
			return true
		}
	}
	return false
}

// second applies a word of a session that is not the known one, of before or
// after it: it is kept beside it. All are in doubt, and stand against others.
func (r *rules) second(in *incarnations, f *fact) Outcome {
	after := r.doubtAll(in, f)
	r.take(in, f)
	outcome := r.begin(f, table.Again)
	if id, ok := r.m.FindSession(f.key); ok {
		r.places.doubt(id, after, binding.ReasonOrder)
	}
	return outcome
}

// former applies what is of a session that is over: one that had the id before,
// or that its node's restart has ended. It claims nothing, but for others it is as
// if it had been known: it had the address, and ended by a moment.
func (r *rules) former(in *incarnations, end clock.Bound, f *fact) Outcome {
	r.places.unkept(in.list(), &end, r.admit(f, binding.CanonicalAPN(f.APN)).keys, f)
	return r.mayBeFormer(in, end, f)
}

// mayBeFormer applies what may be of such a session: who had its addresses before
// does not have them any more (T4), and other sources must confirm theirs.
func (r *rules) mayBeFormer(in *incarnations, end clock.Bound, f *fact) Outcome {
	r.places.past(in.list(), end, r.admit(f, binding.CanonicalAPN(f.APN)).keys, f)
	return r.counters.outcome(countLate, Late)
}

// replaced is by when a session was over whose id those have that are known.
func (r *rules) replaced(in *incarnations, f *fact) clock.Bound {
	end := f.hi
	for _, id := range in.list() {
		s := r.m.Session(id)
		end = clock.Upper(end, s.BegunBy)
	}
	return end
}

// doubtAll has all sessions of an id speak after an event of another one that has
// it, and says after what.
func (r *rules) doubtAll(in *incarnations, f *fact) clock.Bound {
	after := f.hi
	for _, id := range in.list() {
		s := r.m.Session(id)
		after = clock.Upper(after, s.Last)
		r.people.contradicts(id, f)
	}
	for _, id := range in.list() {
		if s := r.m.Session(id); !s.Ended() {
			r.sessions.update(id, func(s *table.Session) { s.Flags |= table.Again })
			r.places.mayHaveEnded(id, f)
			r.places.doubt(id, after, binding.ReasonOrder)
		}
	}
	return after
}

// another reports that a start on a session that lives may be that of another
// one, as what it says is not what the known one has said.
func (r *rules) another(s *table.Session, f *fact) bool {
	who := r.m.Identity(s)
	said := who.MSISDN == f.MSISDN || s.Flags&table.Directory != 0
	if !(said && who.IMSI == f.IMSI) && !(table.Nobody(who) && alike(s, f)) {
		return true
	}
	if clock.Before(f.hi, s.HeldAt) {
		return false // it is of before what the known one said: its own, or a former one's
	}
	keys := r.admit(f, r.apnOf(s, f)).keys
	n := 0
	for c := s.Claim; c != 0; {
		cl := r.m.Claim(c)
		c = cl.NextOfSession
		switch {
		case slices.Contains(keys, cl.Key):
			n++
		case !cl.Given:
			return true
		}
	}
	return n < len(keys)
}

// contradict reports whether two identities cannot be one SIM's.
func contradict(x, y binding.Subscriber) bool {
	if x.IMSI != 0 && y.IMSI != 0 {
		return x.IMSI != y.IMSI
	}
	return false
}
