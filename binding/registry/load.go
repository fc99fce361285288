package registry

import (
	"context"
	"fmt"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// A loader rebuilds the memory from the journal's rows. Nothing is answered until
// all are read, and what our absence means is decided (T12).
type loader struct {
	*Registry
	ctx     context.Context
	ready   bool // the domains have their numbers
	alive   int64
	skipped int      // rows for which there is no room, domain or pool any more
	partial []uint32 // sessions some of whose holdings were skipped
	blocked []binding.BlockRow

	subs    []binding.SubscriberRow // gathered, see ahead
	rows    []binding.SessionRow
	touched [ahead]uint32
}

// Rows of sessions and subscribers are gathered and then taken in together, so
// that the processor waits for the memory of many rows at once: a row alone
// would wait some six times for words that no cache holds.
const ahead = 128

// load rebuilds the state and decides what an absence since alive means for it
// (T12). It takes seconds for millions of sessions; readers may ask meanwhile.
func (r *Registry) load(ctx context.Context) (skipped int, err error) {
	meta := r.journal.Meta()
	r.seq = meta.Seq
	l := &loader{Registry: r, ctx: ctx, alive: meta.Alive.UnixMilli()}
	r.remains.horizon = l.alive - r.limits.MaxDelay - queued // of a journal that does not say it
	if err := r.journal.Load(l); err != nil {
		return l.skipped, fmt.Errorf("load the journal: %w", err)
	}
	if err := l.finish(); err != nil {
		return l.skipped, fmt.Errorf("load the journal: %w", err)
	}
	l.number()
	now := r.cfg.Now().UnixMilli()
	r.nodes.loaded(now)
	l.unload()
	for _, id := range l.partial {
		r.sessions.dirty(id)
	}
	l.unblock(now)
	if !meta.Alive.IsZero() {
		r.distrust(meta.Alive.UnixMilli(), now)
		r.nodes.saveTrust()
	}
	return l.skipped, nil
}

// Node takes a node in.
func (l *loader) Node(r *binding.NodeRow) error {
	if r.Former {
		// What it knew of restarts has no bounds: by when it was heard, the last one
		// had happened.
		r.RestartBy = clock.Bound{Our: min(r.Restart, l.alive)}.Pack()
	}
	return l.nodes.load(r)
}

// APN takes the name of an APN in.
func (l *loader) APN(r *binding.NameRow) error {
	names := append([]string(nil), *l.m.APNNames.Load()...)
	for int(r.ID) >= len(names) {
		names = append(names, "")
	}
	names[r.ID] = r.Name
	l.nodes.apns[r.Name] = r.ID
	l.m.APNNames.Store(&names)
	return nil
}

// Domain takes the name of a domain in.
func (l *loader) Domain(r *binding.NameRow) error {
	l.names.ids[r.Name] = r.ID
	return nil
}

// Subscriber takes a subscriber in.
func (l *loader) Subscriber(r *binding.SubscriberRow) error {
	if l.subs = append(l.subs, *r); len(l.subs) == ahead {
		l.takeSubscribers()
	}
	return nil
}

func (l *loader) takeSubscribers() {
	for i := range l.subs {
		l.m.ByNumber.Touch(table.NumberHash(l.subs[i].Subscriber))
		l.m.ByIMSI.Touch(table.Mix(uint64(l.subs[i].IMSI)))
	}
	for i := range l.subs {
		l.subscriber(&l.subs[i])
	}
	l.subs = l.subs[:0]
}

func (l *loader) subscriber(r *binding.SubscriberRow) {
	l.people.stripOf(&r.MSISDN, &r.IMSI)
	if r.MSISDN == 0 && r.IMSI == 0 {
		return // what it was means nothing any more
	}
	if r.MSISDN != 0 && r.IMSI == 0 && r.SIMSince == 0 { // see book.dispute; one SIM waits that is not known
		l.people.book.disputes.begin(r.MSISDN, 0, 0, l.cfg.Now().UnixMilli())
	}
	id, ok := l.m.Subs.Alloc()
	if !ok {
		l.skipped++
		return
	}
	l.people.insertSubscriber(id, &table.Subscriber{
		Subscriber: r.Subscriber, SIMSince: uint32(r.SIMSince), DeviceSince: uint32(r.DeviceSince),
	})
}

// Block takes an address in that was blocked before there were bounds: see
// unblock.
func (l *loader) Block(r *binding.BlockRow) error {
	l.blocked = append(l.blocked, *r)
	return nil
}

// Forgotten takes the remains of sessions in.
func (l *loader) Forgotten(r *binding.ForgottenRow) error {
	l.remains.load(r)
	return nil
}

// number gives the configured domains their numbers, once the stored ones are
// known.
func (l *loader) number() {
	if !l.ready {
		l.names.set(l.cfg.Domains)
		l.ready = true
	}
}

// Session takes a session in.
func (l *loader) Session(r *binding.SessionRow) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	var holds []binding.HoldRow
	if n := len(l.rows); n < cap(l.rows) {
		holds = l.rows[:n+1][n].Holds[:0]
	}
	l.rows = append(l.rows, *r)
	last := &l.rows[len(l.rows)-1]
	last.Holds = append(holds, r.Holds...)
	if r.Former != nil {
		former := *r.Former
		last.Former = &former
	}
	if len(l.rows) < ahead {
		return nil
	}
	return l.takeSessions()
}

// finish takes in what was gathered and not yet taken.
func (l *loader) finish() error {
	l.takeSubscribers()
	return l.takeSessions()
}

func (l *loader) takeSessions() error {
	l.takeSubscribers()
	l.number()
	for i := range l.rows {
		r := &l.rows[i]
		l.m.BySession.Touch(words(r.Key)[0])
		l.m.BySIM.Touch(table.Mix(uint64(r.IMSI)))
		l.touched[i] = l.m.ByNumber.Touch(table.NumberHash(binding.Subscriber{MSISDN: r.MSISDN, IMSI: r.IMSI}))
		for j := range r.Holds {
			for _, k := range table.Keys(r.Holds[j].Domain, r.Holds[j].Addr) {
				l.m.Addrs.Touch(k)
			}
		}
	}
	for i := range l.rows {
		l.m.Subscriber(l.touched[i])
	}
	for i := range l.rows {
		if err := l.session(&l.rows[i]); err != nil {
			return err
		}
	}
	l.rows = l.rows[:0]
	return nil
}

func (l *loader) session(r *binding.SessionRow) error {
	l.people.stripOf(&r.MSISDN, &r.IMSI)
	id, ok := l.m.Sessions.Alloc()
	if !ok {
		return fmt.Errorf("the journal holds more sessions than capacity %d: raise capacity", l.m.Sessions.Cap())
	}
	s := table.Session{
		Key: words(r.Key), Node: r.Node, Restarts: r.Restarts,
		BegunFrom: clock.Unpack(r.BegunFrom), BegunBy: clock.Unpack(r.BegunBy), HeldAt: clock.Unpack(r.HeldAt), Last: clock.Unpack(r.Last),
		After: clock.Unpack(r.After), Doubt: r.Doubt, EndedBy: r.EndedBy, Seen: r.Seen, Lease: r.Lease, Age: r.Age, Order: r.Order,
		APN: r.APN, RAT: r.RAT, Listed: r.Listed, Contexts: max(r.Contexts, r.Via),
	}
	if r.Former != nil {
		l.convert(&s, r)
	}
	for _, flag := range [...]struct {
		set  bool
		flag uint8
	}{{r.Directory && r.MSISDN != 0, table.Directory}, {r.Reused, table.Reused}, {r.Stopped, table.Stopped}, {r.Again, table.Again}} {
		if flag.set {
			s.Flags |= flag.flag
		}
	}
	if r.Ended {
		s.Flags |= table.Ended
	}
	l.m.PutSession(id, &s)
	l.m.BySession.Insert(s.Key[0], id)
	f := own(r.Seen, "")
	f.at, f.told = r.Seen, true
	l.people.adopt(id, binding.Subscriber{MSISDN: r.MSISDN, IMSI: r.IMSI, IMEI: r.IMEI}, f)
	l.people.queue = nil // what it came to is known
	if r.Ended {
		l.sessions.entomb(id, s.After, true, r.Seen)
	} else {
		l.sessions.count(r.Node, 1)
		l.m.SetNode(r.Node, table.NodeTold, max(l.m.Node(r.Node, table.NodeTold), uint64(r.Seen)))
	}
	for i := range r.Holds {
		l.restore(id, &r.Holds[i], r.Ended)
	}
	return nil
}

// convert bounds a session of a journal that kept no bounds: by when it was
// heard it had begun, and its last word was of no more than MaxDelay before.
func (l *loader) convert(s *table.Session, r *binding.SessionRow) {
	by := clock.Bound{Our: r.Seen}
	s.BegunBy, s.Last = by, by
	s.HeldAt = clock.Bound{Our: r.Seen - l.limits.MaxDelay}
	s.Restarts = uint16(r.Former.Epoch - 1)
	if r.Ended {
		s.After = by
		return
	}
	for i := range r.Holds {
		if r.Holds[i].Ending {
			s.Doubt, s.After = binding.ReasonEnding, by
		}
	}
}

// restore claims an address again for a loaded session.
func (l *loader) restore(id uint32, r *binding.HoldRow, ended bool) {
	d := l.m.Domains.Load().ByID(r.Domain)
	if d == nil || !d.Has(r.Addr.Prefix) {
		l.skip(id)
		return
	}
	for _, k := range table.Keys(r.Domain, r.Addr) {
		if !l.restoreAt(id, k, r, ended) {
			l.skip(id)
		}
	}
}

func (l *loader) restoreAt(id uint32, k index.Key, r *binding.HoldRow, ended bool) bool {
	h, _ := l.m.Holding(k)
	s := l.m.Session(id)
	held := table.Hold{By: clock.Unpack(r.HeldBy), At: clock.Unpack(r.HeldAt)}
	if r.HeldBy == 0 { // of before there were bounds
		held = table.Hold{By: s.BegunBy, At: s.HeldAt}
	}
	cid, ok := l.m.NewClaim(table.Claim{Session: id, Key: k, Hold: held, NextOfSession: s.Claim, NextOfAddress: h.Claim})
	if !ok {
		return false
	}
	l.m.SetGiven(cid, r.Given)
	n := 0
	for c := h.Claim; c != 0; n++ {
		c = l.m.Claim(c).NextOfAddress
	}
	h.Claim = cid
	if !ended {
		h.Since, h.Version, h.Told = r.Since, max(h.Version, r.Version), r.Told
	}
	st := l.places.standing(&h)
	h.Owner, h.MSISDN, h.Shared, h.State = st.owner, st.who.MSISDN, st.living > 0 && (st.living > 1 || r.Shared), st.state()
	if table.IsWide(k) || h.Inner != 0 || r.Contested {
		h.Contested = l.round // until the sweep has been around
	}
	if n >= table.MaxClaims || !l.m.Addrs.Put(k, h.Pack()) {
		l.m.FreeClaim(cid)
		return false
	}
	s.Claim = cid
	l.m.PutSession(id, &s)
	if table.IsPart(k) {
		whole, _ := l.m.Holding(table.PartOf(k))
		whole.Inner = l.round
		if whole.State != table.None {
			whole.Contested = l.round
		}
		l.m.Addrs.Put(table.PartOf(k), whole.Pack())
	}
	return true
}

// skip counts a holding that is not restored. The session's row will be
// written again without it: a later start, with more room, would believe it.
func (l *loader) skip(id uint32) {
	l.skipped++
	l.partial = append(l.partial, id)
}

// Memo gives a loaded memo to whoever recalls, if its session goes on.
func (l *loader) Memo(r *binding.MemoRow) error {
	if err := l.finish(); err != nil { // sessions are gathered
		return err
	}
	id, ok := l.m.FindSession(words(r.Key))
	if !ok {
		return nil
	}
	if s := l.m.Session(id); s.Ended() {
		return nil
	}
	l.m.SetFlags(id, l.m.Flags(id)|table.Memo)
	if l.recall != nil {
		l.recall(r.Source, r.Memo)
	}
	return nil
}

// words are a row's key as a record has it.
func words(k binding.SessionKey) [2]uint64 {
	var w [2]uint64
	for i := range 8 {
		w[0], w[1] = w[0]<<8|uint64(k[i]), w[1]<<8|uint64(k[i+8])
	}
	return w
}

// unload drops what loading marked as changed: it came from the journal. New
// names of domains stay.
func (l *loader) unload() {
	for _, id := range l.batch.dirty {
		if l.m.Sessions.Load(id, 0) != 0 {
			s := l.m.Session(id)
			s.Flags &^= table.Dirty
			l.m.PutSession(id, &s)
		}
	}
	domains, forgotten := l.batch.Domains, l.batch.forgotten
	l.batch.reset()
	l.batch.Domains, l.batch.forgotten = domains, forgotten
}

// unblock has those who are around an address that was blocked for lack of room
// speak again, or come to it by what they said before, and deletes the block.
func (l *loader) unblock(now int64) {
	f := own(now, "capacity")
	for _, r := range l.blocked {
		for _, k := range table.Keys(r.Domain, r.Addr) {
			l.m.Refuse(k, now)
			l.remains.refused([2]uint64{}, k, now)
			for o := l.places.overlapping(k); o.next(); {
				if !o.session.Ended() {
					l.places.doubt(o.id, clock.Bound{Our: now}, binding.ReasonCapacity)
				}
			}
		}
		l.batch.Blocks = append(l.batch.Blocks, binding.BlockRow{Domain: r.Domain, Addr: r.Addr, Gone: true})
	}
	l.places.settle(f)
}

// distrust makes what was last confirmed before now stale, for the sources for
// which an absence of ours from since to now may have missed an end (T12).
func (r *Registry) distrust(since, now int64) {
	gap := now - since
	for s := binding.SourceGx; s < binding.SourceFeed; s++ {
		// A clock that was set back tells nothing about the gap.
		if gap > r.t.TrustGap || gap < -r.t.TrustGap || gap != 0 && !s.Retransmits() {
			r.m.SetTrust(s, max(since+1, now))
		}
	}
	// Nobody repeats to an observer, however short the absence was.
	_, loss := r.m.Overheard()
	r.m.SetOverheard(max(since, now)+1, loss)
}

// whyTakeover is why a change says what was so before.
const whyTakeover = "takeover"

// restated bounds how many places one turn of the writer restates.
const restated = 512

// Told is what is known of a place to who has applied every change so far, as a
// change that says so: Bound, Conflict or Released, without number and times.
// What other sites say they tell themselves. Any goroutine may call it; it takes
// no lock and does not block.
func (r *Registry) Told(p binding.Place) binding.Change {
	c := binding.Change{Kind: binding.Released, Domain: p.Domain, Addr: p.Addr, Reason: binding.ReasonEnded}
	k, ok := r.m.KeyOf(p.Domain, p.Addr)
	if !ok {
		return c
	}
	told := c
	r.m.Read(k, func(h table.Holding) { told = r.told(c, &h) })
	return told
}

// told is c, or what was told of a holding.
func (r *Registry) told(c binding.Change, h *table.Holding) binding.Change {
	st := r.places.standing(h)
	if st.sources&^(1<<binding.SourceFeed) == 0 || h.State == table.None {
		return c
	}
	c.Kind, c.Sources = binding.Conflict, st.sources
	if st.agreed && h.State != table.Conflict {
		c.Kind, c.Now = binding.Bound, st.who
	}
	c.State, c.Reason = r.toldOf(h.Told, c.Now)
	r.places.nameOwner(&c, h.Owner)
	return c
}

// Restate publishes what Told says of the places as changes of their own, for
// who was told by somebody else so far. It returns when they are decided. Any
// goroutine may call it, once Run has started.
func (r *Registry) Restate(ctx context.Context, places []binding.Place) error {
	return r.sayAgain(ctx, places, func(binding.Place, *fact) {})
}

// Doubt is Restate for places of which others were told of another holder, by
// somebody who may have heard more. What is held there is unconfirmed until
// its sessions are heard of again.
func (r *Registry) Doubt(ctx context.Context, places []binding.Place) error {
	return r.sayAgain(ctx, places, r.doubtPlace)
}

// sayAgain publishes what Told says of the places after each was prepared.
func (r *Registry) sayAgain(ctx context.Context, places []binding.Place, prepare func(p binding.Place, f *fact)) error {
	for len(places) > 0 {
		some := places[:min(len(places), restated)]
		places = places[len(some):]
		err := r.onWriter(ctx, func() {
			f := own(r.cfg.Now().UnixMilli(), whyTakeover)
			for _, p := range some {
				prepare(p, f)
				c := r.Told(p)
				c.Why = whyTakeover
				r.emit(c, f, false)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// doubtPlace takes the trust from the sessions that claim a place. A followed
// site says itself what it doubts. Nothing is published: it is told in a moment.
func (r *Registry) doubtPlace(p binding.Place, f *fact) {
	k, ok := r.m.KeyOf(p.Domain, p.Addr)
	if !ok {
		return
	}
	h, held := r.m.Holding(k)
	if !held {
		return
	}
	for c := r.m.AllClaimants(&h); c.Next(); {
		if c.Session.Ended() || r.m.SourceOf(c.Session.Node) == binding.SourceFeed {
			continue
		}
		r.sessions.update(c.ID, func(s *table.Session) {
			s.After, s.EndedBy = clock.Upper(s.After, clock.Bound{Our: f.now}), 0
			if s.Doubt == binding.ReasonBound {
				s.Doubt = binding.ReasonUnconfirmed
			}
		})
	}
	h.Told = r.m.ToldOf(k, &h, f.now, r.t)
	r.m.Addrs.Put(k, h.Pack())
	r.places.compare(k, &h, f) // that moved it
	r.places.settle(f)
}
