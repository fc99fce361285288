package binding

import (
	"context"
	"fmt"
	"time"
)

// A loader rebuilds the memory from the journal's rows. What is loaded answers
// at once, except where a row alone does not tell: a shared address, or a
// prefix that a longer one may lie in (T12).
type loader struct {
	ctx     context.Context
	a       *arbiter
	domains []Domain
	ready   bool // the domains have their numbers
	alive   int64
	skipped int      // rows for which there is no room, domain or pool any more
	partial []uint32 // sessions some of whose holdings were skipped

	subs     []SubscriberRow // gathered, see ahead
	sessions []SessionRow
	touched  [ahead]uint32

	recall func(Source, []byte)
}

// Rows of sessions and subscribers are gathered and then taken in together, so
// that the processor waits for the memory of many rows at once: a row alone
// would wait some six times for words that no cache holds.
const ahead = 128

func (l *loader) Node(r *NodeRow) error {
	a := l.a
	names := *a.nodeNames.Load()
	for int(r.ID) >= len(names) {
		names = append(names, nodeKey{})
	}
	names[r.ID] = nodeKey{r.Source, r.Name}
	a.nodeIDs[names[r.ID]] = r.ID
	a.nodeNames.Store(&names)
	a.m.storeNode(r.ID, nodeEpoch, uint64(r.Epoch))
	what := uint64(r.Source)
	if r.Observed {
		what |= nodeObserved
	}
	a.m.storeNode(r.ID, nodeSource, what)
	a.m.storeNode(r.ID, nodeRestart, uint64(r.Restart))
	a.m.storeNode(r.ID, nodeTold, uint64(r.Restart))
	a.m.storeNode(r.ID, nodeDown, uint64(r.Down))
	a.m.storeNode(r.ID, nodeForgot, uint64(r.Forgot))
	if r.Source < sourceCount && r.Trust > a.m.loadTrust(r.Source) {
		a.m.setTrust(r.Source, r.Trust)
		a.savedTrust[r.Source] = r.Trust
	}
	// Sessions that outlived a restart were given the new epoch by the sweep;
	// of the others none is spared.
	a.m.storeNode(r.ID, nodeSpares, uint64(max(r.Restart, l.alive)))
	return nil
}

func (l *loader) APN(r *NameRow) error {
	names := *l.a.apnNames.Load()
	for int(r.ID) >= len(names) {
		names = append(names, "")
	}
	names[r.ID] = r.Name
	l.a.apnIDs[r.Name] = r.ID
	l.a.apnNames.Store(&names)
	return nil
}

func (l *loader) Domain(r *NameRow) error {
	l.a.domainIDs[r.Name] = r.ID
	return nil
}

func (l *loader) Subscriber(r *SubscriberRow) error {
	if l.subs = append(l.subs, *r); len(l.subs) == ahead {
		l.takeSubscribers()
	}
	return nil
}

func (l *loader) takeSubscribers() {
	m := l.a.m
	for i := range l.subs {
		m.byNumber.Touch(numberHash(l.subs[i].Subscriber))
		m.byIMSI.Touch(mix(uint64(l.subs[i].IMSI)))
	}
	for i := range l.subs {
		l.subscriber(&l.subs[i])
	}
	l.subs = l.subs[:0]
}

func (l *loader) subscriber(r *SubscriberRow) {
	id, ok := l.a.m.subs.Alloc()
	if !ok {
		l.skipped++
		return
	}
	l.a.insertSubscriber(id, &subscriber{
		Subscriber: r.Subscriber, simSince: uint32(r.SIMSince), deviceSince: uint32(r.DeviceSince),
	})
}

func (l *loader) Block(r *BlockRow) error {
	h := holding{state: holdBlocked, since: r.Since, deadline: uint32(r.Until / 1000)}
	for _, k := range keysOf(r.Domain, r.Addr) {
		l.a.m.addrs.Put(k, h.pack())
	}
	return nil
}

// number gives the configured domains their numbers, once the stored ones are
// known.
func (l *loader) number() {
	if !l.ready {
		l.a.setDomains(l.domains)
		l.ready = true
	}
}

func (l *loader) Session(r *SessionRow) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	var holds []HoldRow
	if n := len(l.sessions); n < cap(l.sessions) {
		holds = l.sessions[:n+1][n].Holds[:0]
	}
	l.sessions = append(l.sessions, *r)
	last := &l.sessions[len(l.sessions)-1]
	last.Holds = append(holds, r.Holds...)
	if len(l.sessions) < ahead {
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
	m := l.a.m
	for i := range l.sessions {
		r := &l.sessions[i]
		m.bySession.Touch(r.Key.words()[0])
		l.touched[i] = m.byNumber.Touch(numberHash(Subscriber{MSISDN: r.MSISDN, IMSI: r.IMSI}))
		for j := range r.Holds {
			for _, k := range keysOf(r.Holds[j].Domain, r.Holds[j].Addr) {
				m.addrs.Touch(k)
			}
		}
	}
	for i := range l.sessions {
		m.subscriber(l.touched[i])
	}
	for i := range l.sessions {
		if err := l.session(&l.sessions[i]); err != nil {
			return err
		}
	}
	l.sessions = l.sessions[:0]
	return nil
}

func (l *loader) session(r *SessionRow) error {
	a := l.a
	id, ok := a.m.sessions.Alloc()
	if !ok {
		return fmt.Errorf("the journal holds more sessions than capacity %d: raise capacity", a.m.sessions.Cap())
	}
	s := session{
		key: r.Key.words(), start: r.Start, last: r.Last, seen: r.Seen, node: r.Node, epoch: r.Epoch,
		apn: r.APN, rat: r.RAT, contexts: max(r.Contexts, r.Via), lease: r.Lease, flags: doubtFlags(r.Doubt),
	}
	if r.Directory {
		s.flags |= flagDirectory
	}
	a.m.putSession(id, &s)
	a.m.bySession.Insert(s.key[0], id)
	if r.Ended {
		a.entomb(id, r.Last, r.Seen)
		return nil
	}
	a.m.storeNode(r.Node, nodeSessions, a.m.loadNode(r.Node, nodeSessions)+1)
	a.m.storeNode(r.Node, nodeTold, max(a.m.loadNode(r.Node, nodeTold), uint64(r.Seen)))
	f := &fact{Event: &Event{}, now: r.Seen, t: r.Last, old: true}
	a.adopt(id, Subscriber{r.MSISDN, r.IMSI, r.IMEI}, f)
	for i := range r.Holds {
		l.restore(id, &r.Holds[i])
	}
	return nil
}

// restore claims an address again for a loaded session.
func (l *loader) restore(id uint32, r *HoldRow) {
	a := l.a
	d := a.domains.Load().byID(r.Domain)
	if d == nil || !d.has(r.Addr.Prefix) {
		l.skip(id)
		return
	}
	for _, k := range keysOf(r.Domain, r.Addr) {
		o := a.open(k)
		if o.existed && o.h.state == holdBlocked || !o.add(id) {
			l.skip(id)
			continue
		}
		deadline := o.h.deadline
		if r.Ending > 0 {
			deadline = max(deadline, uint32(r.Ending/1000))
		}
		owner, who, ok := o.holder()
		h := holding{
			state: holdBound, msisdn: who.MSISDN, claim: o.claims[0].id, owner: owner, deadline: deadline,
			since: r.Since, version: max(o.h.version, r.Version), told: r.Told,
			shared: len(o.claims) > 1 || r.Ending == HoldShared || o.h.shared,
		}
		if !ok {
			h.state, h.msisdn, h.owner = holdConflict, 0, o.claims[0].session
		}
		if !a.m.addrs.Put(k, h.pack()) {
			o.remove(id)
			a.m.freeClaim(o.garbage[0])
			l.skip(id)
		}
	}
}

// skip counts a holding that is not restored. The session's row will be
// written again without it: a later start, with more room, would believe it.
func (l *loader) skip(id uint32) {
	l.skipped++
	l.partial = append(l.partial, id)
}

func (k SessionKey) words() [2]uint64 {
	var w [2]uint64
	for i := range 8 {
		w[0], w[1] = w[0]<<8|uint64(k[i]), w[1]<<8|uint64(k[i+8])
	}
	return w
}

// load rebuilds the state and decides what an absence since alive means for it
// (T12). It takes seconds for millions of sessions; readers may ask meanwhile.
func (a *arbiter) load(ctx context.Context, j Journal, domains []Domain, now func() time.Time, recall func(Source, []byte)) (skipped int, err error) {
	meta := j.Meta()
	a.seq = meta.Seq
	l := &loader{ctx: ctx, a: a, domains: domains, alive: meta.Alive.UnixMilli(), recall: recall}
	if err := j.Load(l); err != nil {
		return l.skipped, fmt.Errorf("load the journal: %w", err)
	}
	if err := l.finish(); err != nil {
		return l.skipped, fmt.Errorf("load the journal: %w", err)
	}
	a.unload()
	for _, id := range l.partial {
		a.dirty(id)
	}
	if !meta.Alive.IsZero() {
		a.distrust(meta.Alive.UnixMilli(), now().UnixMilli())
		a.saveTrust()
	}
	return l.skipped, nil
}

// unload drops what loading marked as changed: it came from the journal. New
// names of domains stay.
func (a *arbiter) unload() {
	for _, id := range a.batch.dirty {
		if a.m.sessions.Load(id, 0) != 0 {
			a.update(id, func(s *session) { s.flags &^= flagDirty })
		}
	}
	domains, forgotten := a.batch.Domains, a.batch.forgotten
	a.batch.reset()
	a.batch.Domains, a.batch.forgotten = domains, forgotten
}

// distrust makes what was last confirmed before now stale, for the sources for
// which an absence of ours from since to now may have missed an end (T12).
func (a *arbiter) distrust(since, now int64) {
	gap := now - since
	for s := SourceGx; s < SourceFeed; s++ {
		// A clock that was set back tells nothing about the gap.
		if gap > a.times.trustGap || gap < -a.times.trustGap || gap != 0 && !s.Retransmits() {
			a.m.setTrust(s, max(since+1, now))
		}
	}
	// Nobody repeats to an observer, however short the absence was.
	a.m.storeObserved(observedTrust, max(since, now)+1)
}
