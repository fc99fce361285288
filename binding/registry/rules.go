package registry

import (
	"slices"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// rules are what an event means for its own session and node: the rules of
// truth, T1 to T14, in the order in which an event meets them. What it means
// for all others follows in places.go.
type rules struct {
	*core
	nodes    *nodes
	sessions *sessions
	places   *places
	people   *people
	stays    *stays
	sites    *sites
	fact     fact        // of the event that is decided about
	keys     []index.Key // of its addresses
}

// apply decides about one event. It is the only entry for what sources say.
func (r *rules) apply(ev *binding.Event, now int64) Outcome {
	switch ev.Kind {
	case binding.NewsLost:
		return r.missed(now)
	case binding.NumberKnown:
		f := own(now, whyDirectory)
		f.Event = ev
		return r.done(f, r.people.numberKnown(f))
	}
	f := &r.fact
	if !f.read(ev, now) {
		return RefusedMalformed
	}
	if !r.nodes.hear(f) {
		return r.counters.outcome(countRefusedNode, RefusedNode)
	}
	return r.done(f, r.decide(f))
}

// done settles what the event has touched.
func (r *rules) done(f *fact, o Outcome) Outcome {
	r.people.settle(f)
	r.places.settle(f)
	if f.noRoom {
		return RefusedCapacity
	}
	return o
}

func (r *rules) decide(f *fact) Outcome {
	if f.Source == binding.SourceFeed {
		return r.sites.decide(f)
	}
	switch f.Kind {
	case binding.SessionStart, binding.SessionUpdate:
		if f.Refused {
			return r.notGranted(f)
		}
		return r.word(f)
	case binding.SessionStop:
		return r.stop(f)
	case binding.NodeRestart:
		return r.restart(f)
	}
	return r.transport(f)
}

// notGranted applies a word of a session that was refused, or not answered: it
// binds nothing, but who else has its addresses at its node must speak again.
func (r *rules) notGranted(f *fact) Outcome {
	in := r.nodes.find(f)
	r.places.inSome(in.list(), r.admit(f, binding.CanonicalAPN(f.APN)).keys, f)
	return r.counters.outcome(countLate, Late)
}

// word applies a start or an update.
func (r *rules) word(f *fact) Outcome {
	r.people.strip(f.Event)
	stale := r.nodes.originState(f)
	in := r.find(f)
	r.lapse(&in, f)
	if stale || r.beforeRestart(f) {
		// It happened before its node's last restart: nothing goes on, but it says
		// who had the address.
		by, _ := r.m.RestartBy(f.root)
		if in.n == 0 {
			return r.over(&in, by, endRestart, f)
		}
		return r.former(&in, by, f)
	}
	if in.n == 0 {
		return r.begin(f, 0)
	}
	id, turn := r.whose(&in, f)
	outcome := r.inTurn(id, turn, &in, f)
	if turn == same {
		r.amongOthers(id, &in)
	}
	return outcome
}

// mayBeOf applies a word that may be of any session with its id: what it says
// against each is a doubt.
func (r *rules) mayBeOf(in *incarnations, f *fact) Outcome {
	r.mayHaveSaid(in, f)
	for _, id := range in.list() {
		s := r.m.Session(id)
		if !s.Ended() && table.Nobody(r.people.said(&s)) && !table.Nobody(f.identity()) { // nobody else's, at least
			r.people.named(id, f, false)
			r.stays.attached(id, f)
		}
		r.people.contradicts(id, f)
		if apn := r.apnOf(&s, f); !s.Ended() {
			r.dropGone(id, f, unsure, apn)
			r.dropOthers(id, f, unsure, r.admit(f, apn).keys)
			r.mayHold(id, r.admit(f, apn).keys, f)
			r.stays.mayHaveAttached(id, f)
		}
	}
	return r.mayBeFormer(in, r.replaced(in, f), f)
}

// mayHold has a session stand against others on addresses that it may have: they must
// speak after the event, and none is over.
func (r *rules) mayHold(id uint32, keys []index.Key, f *fact) {
	for _, k := range keys {
		if s := r.m.Session(id); contradict(r.m.Identity(&s), f.identity()) || r.m.Has(&s, k) {
			continue
		}
		if r.places.claim(id, k, false, f) {
			r.places.setHold(id, k, table.Hold{By: f.hi})
			r.places.mayLack(id, k, f)
		}
	}
	r.places.relate(id, f)
}

// inTurn applies a word to the session that it is of.
func (r *rules) inTurn(id uint32, turn turn, in *incarnations, f *fact) Outcome {
	switch turn {
	case later:
		return r.beginLater(in, true, f)
	case anew:
		return r.beginAnew(in, f)
	case other:
		return r.second(in, f)
	case unclear:
		return r.mayBeOf(in, f)
	case earlier:
		return r.former(in, r.replaced(in, f), f)
	}
	s := r.m.Session(id)
	f.knows(&s)
	if s.Ended() {
		return r.afterEnd(id, &s, f)
	}
	return r.goOn(id, &s, f)
}

// lapse marks sessions that their node's restart has ended, or that were not
// refreshed for too long, as over.
func (r *rules) lapse(in *incarnations, f *fact) {
	for _, id := range in.list() {
		s := r.m.Session(id)
		if s.Ended() {
			continue
		}
		switch l, _ := r.m.Judge(&s, f.now, r.t); l {
		case table.Over:
			end, _ := r.m.EndOf(&s)
			r.places.end(id, end, endRestart, f)
		case table.Gone:
			r.places.end(id, s.Last, endLease, f)
		}
	}
}

// beforeRestart reports that the event surely happened before its node's last
// restart.
func (r *rules) beforeRestart(f *fact) bool {
	_, told := r.m.RestartBy(f.root)
	return told && clock.Before(f.hi, r.m.RestartFrom(f.root))
}

// afterEnd applies a word that is not surely of after the end of its session:
// nothing revives (T3), but it widens what is known of the session, and all that
// follows for others.
func (r *rules) afterEnd(id uint32, s *table.Session, f *fact) Outcome {
	keys := r.admit(f, r.apnOf(s, f)).keys
	if f.begins {
		s.BegunFrom = clock.Later(s.BegunFrom, f.begunFrom)
	}
	s.BegunBy = clock.Sooner(s.BegunBy, f.begunBy)
	s.HeldAt, s.Last, s.Order = clock.Later(s.HeldAt, f.lo), clock.Upper(s.Last, f.hi), max(s.Order, f.Order)
	r.m.PutSession(id, s)
	r.sessions.dirty(id)
	r.people.named(id, f, false)
	for _, k := range keys {
		r.places.claim(id, k, false, f)
	}
	r.places.relate(id, f)
	r.stays.attached(id, f)
	if f.Order == 0 && !(f.begins && alike(s, f)) { // it may be of one that has the id since
		r.places.had([]uint32{id}, f, keys)
		r.stays.mayHaveAttached(id, f)
	}
	return r.counters.outcome(countLate, Late)
}

// begin makes a session: by its start or, where that was lost, by an update
// (T3). reused are the flags of an id that another session had.
func (r *rules) begin(f *fact, reused uint8) Outcome {
	got := r.admit(f, binding.CanonicalAPN(f.APN))
	if len(got.keys) == 0 && got.refused != Applied {
		r.places.unkept(nil, nil, nil, f)
		r.sessions.remains.said(f)
		return got.refused
	}
	if r.sessions.beyond(f) {
		r.sessions.remains.said(f)
		r.places.had(nil, f, got.keys)
		r.places.unkept(nil, nil, got.keys, f)
		return r.counters.outcome(countLate, Late)
	}
	id, ok := r.sessions.create(f)
	if !ok {
		r.sessions.remains.said(f)
		// T14: refused loudly, and nothing old is kept alive on what it claims.
		r.places.refuse(f, got.keys)
		r.places.unkept(nil, nil, got.keys, f)
		return r.counters.outcome(countRefusedCapacity, RefusedCapacity)
	}
	if reused != 0 {
		r.sessions.update(id, func(s *table.Session) { s.Flags |= reused })
	}
	r.sessions.remember(id, f)
	outcome := r.claimAll(id, got.keys, true, f, got.refused)
	r.dropGone(id, f, newer, binding.CanonicalAPN(f.APN))
	r.places.relate(id, f)
	r.stays.attached(id, f)
	return outcome
}

// goOn applies a word to a session that lives.
func (r *rules) goOn(id uint32, s *table.Session, f *fact) Outcome {
	when := r.order(s, f)
	apn := r.apnOf(s, f)
	got := r.admit(f, apn)
	if when == older {
		// A repetition, or overtaken: it says no more than who had the address, and
		// who its session is of if that was not known.
		named := false
		if who := r.people.said(s); !s.Named || f.MSISDN == 0 || f.MSISDN == who.MSISDN {
			named = r.people.named(id, f, false)
		}
		r.hadBefore(id, s, f, apn, got.keys)
		if named {
			r.stays.attached(id, f)
		}
		if f.Order != 0 {
			return r.counters.outcome(countDuplicate, Duplicate)
		}
		return r.counters.outcome(countLate, Late)
	}
	doubted := s.Doubt == binding.ReasonEnding
	changed, settled := r.sessions.refresh(id, f, when, apn)
	changed = r.people.named(id, f, when == newer || settled && s.Doubt == binding.ReasonNumber) || changed
	r.dropGone(id, f, when, apn)
	r.dropOthers(id, f, when, got.keys)
	// Who had an address after a word that is so old may be forgotten by now.
	late := r.sessions.beyond(f)
	f.known = f.known && !late
	outcome := r.claimAll(id, got.keys, when == newer && !late, f, got.refused)
	r.sessions.list(id, f)
	if doubted && settled && len(got.keys) > 0 {
		r.confirmNamed(id, got.keys, f)
	}
	r.places.relate(id, f)
	if changed {
		r.places.touchAll(id, f.why, true)
	}
	if settled && s.Doubt == binding.ReasonNumber {
		now := r.m.Session(id)
		r.people.renumbered(id, r.people.said(&now), f) // which it has again, its SIM's others may not have
	}
	if changed || r.m.Session(id).Claim != s.Claim {
		r.stays.attached(id, f) // it is said whose it is, or has another address
	}
	return outcome
}

// hadBefore applies what a word that is not the latest of its session says of
// its addresses: it may have given up since those that it names, if it has told
// which it has, and those that it does not name, if it has not named them since.
func (r *rules) hadBefore(id uint32, s *table.Session, f *fact, apn string, keys []index.Key) {
	for i, k := range keys {
		held := r.places.heldBy(id, k)
		if now := held.Hear(f.lo, f.hi); !r.m.Has(s, k) || now.At != held.At || now.By.Our != held.By.Our {
			r.places.had([]uint32{id}, f, keys[i:i+1]) // else it only repeats
		}
	}
	for _, k := range r.places.fitting(id, keys, f) {
		if s.Listed>>table.FamilyOf(k)&1 == 0 {
			r.places.claim(id, k, false, f)
		}
	}
	r.dropGone(id, f, older, apn)
	r.dropOthers(id, f, older, keys)
	r.sessions.list(id, f)
	r.places.relate(id, f)
}

// confirmNamed has a session that shows that it did not end, by a word that names
// addresses, have those for sure which it names.
func (r *rules) confirmNamed(id uint32, keys []index.Key, f *fact) {
	for _, c := range r.sessions.claims(id) {
		if !slices.Contains(keys, c.Key) {
			r.places.mayLack(id, c.Key, f)
		}
	}
}

// apnOf is the APN of a session that an event may name.
func (r *rules) apnOf(s *table.Session, f *fact) string {
	if apn := binding.CanonicalAPN(f.APN); apn != "" {
		return apn
	}
	return r.m.APN(s.APN)
}

// A when says how an event stands to what was heard of its session before.
type when uint8

const (
	unsure when = iota
	newer
	older
)

// ageTolerance is how far apart (ms) two messages may place the beginning of one
// session for their ages to be comparable.
const ageTolerance = 2000

// order compares an event with all that its session has said: by the session's
// own count (CC-Request-Number), the bounds of their moments or, where these do
// not tell, its own clock (Acct-Session-Time, if it is surely the same session's).
func (r *rules) order(s *table.Session, f *fact) when {
	if f.Order != 0 && s.Order != 0 {
		if f.Order > s.Order {
			return newer
		}
		return older
	}
	switch {
	case clock.Before(s.Last, f.lo):
		return newer
	case clock.Before(f.hi, s.HeldAt):
		return older
	case f.Aged && f.Kind != binding.SessionStart && s.Age != 0 && clock.Before(s.BegunBy, f.lo) && clock.Before(f.begunBy, s.HeldAt):
		// Its session lived when this one had begun, and had begun when this one lived.
		switch age := sessionAge(f); {
		case age > s.Age:
			return newer
		case age < s.Age:
			return older
		}
	}
	return unsure
}

// sessionAge is an age as a session's record keeps it.
func sessionAge(f *fact) uint32 {
	if !f.Aged {
		return 0
	}
	return uint32(min(f.Age.Milliseconds()/1000, 1<<31)) + 1
}

// alike reports that an event surely places the beginning of its session where
// the known one has it: of another session with the id it would be elsewhere.
func alike(s *table.Session, f *fact) bool {
	const within = 2 * ageTolerance // both must place it so well
	tolerance := ageTolerance + 2*ageDrift(f.Age.Milliseconds())
	near := func(a, b int64) bool { return a-b <= tolerance && b-a <= tolerance }
	one := func(from, by, ofFrom, ofBy int64) bool {
		return near(from, ofFrom) && near(by, ofBy) && by-from <= within && ofBy-ofFrom <= within
	}
	from, by := &s.BegunFrom, &s.BegunBy
	return one(from.Our, by.Our, f.begunFrom.Our, f.begunBy.Our) ||
		from.Epoch != 0 && from.Epoch == by.Epoch && from.Epoch == f.begunFrom.Epoch && from.Epoch == f.begunBy.Epoch &&
			one(from.Node, by.Node, f.begunFrom.Node, f.begunBy.Node)
}

// claimAll lets a session claim addresses. The outcome is that of the least
// fortunate.
func (r *rules) claimAll(id uint32, keys []index.Key, newest bool, f *fact, outcome Outcome) Outcome {
	fitting := r.places.fitting(id, keys, f)
	if len(fitting) < len(keys) {
		outcome = r.counters.outcome(countRefusedWide, RefusedWide)
	}
	for _, k := range fitting {
		if !r.places.claim(id, k, newest, f) {
			r.places.refuse(f, []index.Key{k})
			outcome = r.counters.outcome(countRefusedCapacity, RefusedCapacity)
		}
	}
	return outcome
}

// dropOthers takes away the claims of a session on addresses of the families
// that the event names completely that it does not name. An address that was
// refused is named too: the session does not have its former one any more. If
// the event may be the older, the session must speak again.
func (r *rules) dropOthers(id uint32, f *fact, when when, keys []index.Key) {
	if !f.Complete {
		return
	}
	for _, k := range r.sessions.keys(id) {
		named := false
		for _, a := range f.Addrs {
			named = named || table.FamilyOfAddress(a) == table.FamilyOf(k)
		}
		for _, kept := range keys {
			named = named && kept != k
		}
		if named {
			r.give(id, k, f, when)
		}
	}
}

// dropGone takes away what a session gave up. An IPv4 address without ports
// stands for all its blocks of ports too. That it had an address which it was not
// known to have concerns other sources.
func (r *rules) dropGone(id uint32, f *fact, when when, apn string) {
	if len(f.Gone) == 0 {
		return
	}
	had := r.sessions.keys(id)
	for _, g := range r.admitted(f, apn, f.Gone, nil).keys {
		r.give(id, g, f, when)
		for _, k := range had {
			if k != g && table.FamilyOf(g) == table.Family4 && table.FamilyOf(k) == table.FamilyPorts && table.PartOf(k) == g {
				r.give(id, k, f, when)
			}
		}
	}
}

// give takes one address of a session away that the event says it does not have,
// if that is surely its latest word on it; unless it has surely named it since,
// the claim is in doubt.
func (r *rules) give(id uint32, k index.Key, f *fact, when when) {
	if when == newer {
		r.places.drop(id, k, f)
		return
	}
	if clock.Before(f.hi, r.places.heldBy(id, k).At) {
		return
	}
	r.places.give(id, k, f)
}

// stop applies a stop: rule T1. It acts on its own session only, and may carry
// no address.
func (r *rules) stop(f *fact) Outcome {
	r.people.strip(f.Event)
	stale := r.nodes.originState(f)
	in := r.find(f)
	r.lapse(&in, f)
	if in.n == 0 {
		return r.stopUnknown(&in, f)
	}
	if stale || r.beforeRestart(f) {
		return r.former(&in, f.hi, f)
	}
	id, turn := r.whose(&in, f)
	switch {
	case turn == earlier:
		return r.former(&in, f.hi, f)
	case turn == other:
		r.doubtAll(&in, f)
		return r.stopUnknown(&in, f)
	case turn == later:
		// It began after the known one, which was not heard of since.
		r.supersede(&in, true, f)
		for _, id := range in.list() {
			if s := r.m.Session(id); s.Flags&table.Stopped == 0 && !contradict(r.m.Identity(&s), f.identity()) && !(f.begins && clock.Before(s.BegunBy, f.begunFrom)) {
				r.stopOfEnded(id, f) // or it was taken for over, and was not
			}
		}
		return r.stopUnknown(&in, f)
	case turn == anew: // whichever it is of, all are over
		for _, id := range in.list() {
			if s := r.m.Session(id); !s.Ended() {
				r.sessions.spoke(id, f)
				r.places.end(id, f.hi, endStop, f)
			}
		}
		return r.stopUnknown(&in, f)
	case id == 0:
		for _, id := range in.list() {
			if s := r.m.Session(id); !s.Ended() {
				r.mayHaveStopped(id, f)
			}
		}
		return r.mayBeFormer(&in, f.hi, f)
	}
	return r.stopOf(id, &in, f)
}

// stopOf applies the stop of a known session.
func (r *rules) stopOf(id uint32, in *incarnations, f *fact) Outcome {
	s := r.m.Session(id)
	f.knows(&s)
	sure := f.known || f.begins && alike(&s, f) || r.order(&s, f) == newer
	switch {
	case s.Ended():
		r.people.named(id, f, false)
		keys := r.admit(f, r.apnOf(&s, f)).keys
		for i, k := range keys {
			if !r.m.Has(&s, k) { // it may be of another session
				r.places.past(in.list(), f.hi, keys[i:i+1], f)
			}
		}
		r.stopOfEnded(id, f)
		return r.counters.outcome(countDuplicate, Duplicate)
	case s.Flags&(table.Reused|table.Again) != 0 && !sure:
		r.mayHaveStopped(id, f)
		r.mayBeFormer(in, f.hi, f)
		return Unclear
	case f.Contexts != 0 && !f.Last && s.Contexts&^f.Contexts != 0:
		// Secondary contexts may go on; or the one that there is got another
		// number, at a handover say. Its next word tells.
		r.sessions.update(id, func(s *table.Session) { s.Contexts &^= f.Contexts })
		r.places.mayHaveEnded(id, f)
		r.places.had(in.list(), f, r.admit(f, r.apnOf(&s, f)).keys)
		return OneContext
	}
	if f.Last {
		r.endSiblings(id, f)
	}
	keys := r.admit(f, r.apnOf(&s, f)).keys
	r.places.remains.stopped(f.key, keys)
	for _, k := range keys {
		r.places.claim(id, k, false, f) // it says that it had it
	}
	r.people.named(id, f, sure)
	r.sessions.spoke(id, f)
	r.places.end(id, f.hi, endStop, f)
	r.places.relate(id, f)
	return Applied
}

// stopOfEnded applies a stop that may be that of a session which is over already: if
// it was only taken for over, it may have lived until then.
func (r *rules) stopOfEnded(id uint32, f *fact) {
	r.sessions.update(id, func(s *table.Session) {
		s.Last, s.Flags = clock.Upper(s.Last, f.hi), s.Flags|table.Stopped
	})
	r.stays.overBy(id, f.hi, f)
}

// mayHaveStopped has a session show that a stop was not its own.
func (r *rules) mayHaveStopped(id uint32, f *fact) {
	r.sessions.update(id, func(s *table.Session) { s.Flags |= table.Stopped })
	r.places.mayHaveEnded(id, f)
}

// stopUnknown remembers the end of a session that was never heard of: its start
// may still be on its way, and it says who had the address.
func (r *rules) stopUnknown(in *incarnations, f *fact) Outcome {
	r.counters.add(countUnknownStop)
	outcome := r.over(in, f.hi, endStop, f)
	r.places.remains.stopped(f.key, r.admit(f, binding.CanonicalAPN(f.APN)).keys)
	return outcome
}

// over remembers a session that was over when it was heard of first: for others it
// is as if it had been known.
func (r *rules) over(in *incarnations, end clock.Bound, e ending, f *fact) Outcome {
	keys := r.admit(f, binding.CanonicalAPN(f.APN)).keys
	r.take(in, f)
	if id, ok := r.sessions.create(f); ok {
		for _, k := range keys {
			r.places.claim(id, k, true, f)
		}
		if f.Kind == binding.SessionStop {
			r.sessions.spoke(id, f)
		}
		r.places.end(id, end, e, f)
		r.places.relate(id, f)
	} else {
		r.sessions.remains.ended(&table.Session{Key: f.key, After: end})
		r.places.refuse(f, keys)
		r.places.unkept(in.list(), &end, keys, f)
	}
	return Late
}

// endSiblings has the other contexts of a session speak of which the last
// stopped (3GPP TS 29.061 clause 16.4.7.2, Session-Stop-Indicator): they are
// over, if they are contexts of this session, and not a new one of the SIM.
func (r *rules) endSiblings(id uint32, f *fact) {
	s := r.m.Session(id)
	for _, k := range r.sessions.keys(id) {
		h, _ := r.places.holding(k)
		for c := r.m.AllClaimants(&h); c.Next(); {
			if o := &c.Session; c.ID != id && !o.Ended() && r.m.Root(o.Node) == f.root && o.Contexts != 0 && o.Contexts&s.Contexts == 0 && r.m.OneSIM(o, &s) {
				r.places.mayHaveEnded(c.ID, f)
			}
		}
	}
}

// restart applies a node's restart: rule T7, in O(1). A repetition tells by its
// delay when it was; what is of about then speaks again.
func (r *rules) restart(f *fact) Outcome {
	st := r.nodes.state(f.root)
	if f.OriginState != 0 {
		switch {
		case f.OriginState == st.origin:
			return r.counters.outcome(countDuplicate, Duplicate)
		case st.origin == 0:
			st.origin = f.OriginState // it was not known before
			r.nodes.save(f.root)
			return Applied
		}
		st.origin, st.contradicted = f.OriginState, 0
	}
	by := f.hi
	if f.OriginState != 0 {
		by.Our, by.Node = by.Our-1, by.Node-1 // what comes on this way next is of after it
	}
	r.nodes.restart(f, f.lo, by)
	return Applied
}

// transport notes that a node is lost or heard again: rule T8. It ends
// nothing.
func (r *rules) transport(f *fact) Outcome {
	down := r.m.Node(f.root, table.NodeDown)
	switch {
	case f.Kind == binding.NodeDown && down == 0:
		since := f.now
		if f.Source == binding.SourceFeed {
			since = min(f.at, f.now) // its last heartbeat
		}
		r.m.SetNode(f.root, table.NodeDown, uint64(since))
	case f.Kind == binding.NodeUp && down != 0:
		r.m.SetNode(f.root, table.NodeDown, 0)
	default:
		return Duplicate
	}
	r.nodes.save(f.root)
	return Applied
}

// missed notes that events of observed nodes were lost up to now: any of their
// sessions may have ended. It takes the trust from all of them in O(1); those
// that are heard again have it back.
func (r *rules) missed(now int64) Outcome {
	trust, _ := r.m.Overheard()
	if !r.t.MarkOnly {
		trust = now + 1
	}
	r.m.SetOverheard(trust, now)
	r.counters.add(countNewsLost)
	return Applied
}
