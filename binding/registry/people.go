package registry

import (
	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// people is who sessions belong to: their numbers and SIMs, which of them were
// last seen together (rule T13), and which number several SIMs have. What that
// means for other sessions of theirs waits in a queue until the event itself is
// decided, so that nothing here calls itself.
type people struct {
	*core
	sessions *sessions
	places   *places
	book     *book
	numbers  map[binding.MSISDN]bool // that mean nothing
	// severalTold: what a number is worth that several SIMs have is not the same.
	severalTold bool
	sims        map[binding.IMSI]bool
	queue       []task
	evict       uint32 // where the search for an idle subscriber goes on
}

// A task is what a new word about a SIM or number still has to be compared with.
type task struct {
	do  func(p *people, t task, f *fact)
	id  uint32 // session
	key uint64 // the first word of its key: it may have been freed
	sub uint32 // subscriber
	who binding.Subscriber
}

// tasksMost bounds the tasks of one event; what is left goes on with the next.
const tasksMost = 4096

// settle does what waits.
func (p *people) settle(f *fact) {
	for n := 0; len(p.queue) > 0 && n < tasksMost; n++ {
		t := p.queue[0]
		p.queue = p.queue[1:]
		if t.id != 0 && p.m.Sessions.Load(t.id, 0) != t.key {
			continue
		}
		t.do(p, t, f)
	}
	if len(p.queue) == 0 {
		p.queue = nil
	}
}

func (p *people) later(t task) {
	if t.id != 0 {
		t.key = p.m.Sessions.Load(t.id, 0)
	}
	p.queue = append(p.queue, t)
}

// strip takes numbers and SIMs that mean nothing out of an event.
func (p *people) strip(ev *binding.Event) { p.stripOf(&ev.MSISDN, &ev.IMSI) }

func (p *people) stripOf(m *binding.MSISDN, imsi *binding.IMSI) {
	if *m != 0 && p.numbers[*m] {
		*m = 0
		p.counters.add(countPlaceholder)
	}
	if *imsi != 0 && p.sims[*imsi] {
		*imsi = 0
		p.counters.add(countPlaceholder)
	}
}

// said is a session's identity by its own signalling alone.
func (p *people) said(s *table.Session) binding.Subscriber {
	who := p.m.Identity(s)
	if s.Flags&table.Directory != 0 {
		who.MSISDN = 0
	}
	return who
}

// named takes whom a word names. Another number than before is the session's new
// one if the word is surely the later; if that cannot be told, neither is. Who was
// not named before is until the next word only if this one is surely the later, or
// else of no former session with the id. It reports whether anything that is published changed.
func (p *people) named(id uint32, f *fact, surely bool) bool {
	if !surely && p.contradicts(id, f) {
		return false
	}
	s := p.m.Session(id)
	was := p.m.Identity(&s)
	now, confirmed := was, false
	if f.MSISDN != 0 {
		now.MSISDN = f.MSISDN
		confirmed = s.Flags&table.Directory != 0 // or not, if it is another one
	}
	if f.IMSI != 0 {
		now.IMSI = f.IMSI
	}
	if f.IMEI != 0 {
		now.IMEI = f.IMEI
	}
	if now == was && !confirmed {
		return false
	}
	p.places.touchAll(id, f.why, false)
	if f.MSISDN != 0 {
		p.sessions.update(id, func(s *table.Session) { s.Flags &^= table.Directory })
	}
	last := s.Last
	p.adopt(id, now, f)
	if confirmed && was.MSISDN != f.MSISDN { // when the directory said another one is not kept
		p.places.doubt(id, clock.Bound{Our: f.now}, binding.ReasonNumber)
		return true
	}
	linked := f.MSISDN != 0 && f.MSISDN == was.MSISDN || f.IMSI != 0 && f.IMSI == was.IMSI
	if now.MSISDN == was.MSISDN && now.IMSI == was.IMSI || linked || surely ||
		f.known && s.Doubt == binding.ReasonBound && f.Kind != binding.SessionStart {
		return now != was
	}
	p.places.doubt(id, clock.Upper(last, f.hi), binding.ReasonNumber)
	return now != was
}

// contradicts reports that an event names another number or SIM than its session
// has, which is in doubt from then on.
func (p *people) contradicts(id uint32, f *fact) bool {
	if id == 0 {
		return false
	}
	s := p.m.Session(id)
	said := p.said(&s)
	if (f.MSISDN == 0 || said.MSISDN == 0 || f.MSISDN == said.MSISDN) && (f.IMSI == 0 || said.IMSI == 0 || f.IMSI == said.IMSI) {
		return false
	}
	if !s.Ended() {
		p.places.doubt(id, clock.Upper(s.Last, f.hi), binding.ReasonNumber)
	}
	p.meet(f.identity(), f)
	p.renumbered(0, f.identity(), f)
	return true
}

// meet notes that signalling has seen a number and a SIM together, of whichever
// session: what was learned of either may be void.
func (p *people) meet(who binding.Subscriber, f *fact) {
	if who.MSISDN == 0 || who.IMSI == 0 {
		return
	}
	if subID, known := p.m.FindSubscriber(who); known {
		p.compare(subID, who, f)
	} else if p.newSubscriber(who, f) == 0 {
		return
	}
	p.book.teach(p, who, f)
}

// adopt gives a session its identity and follows which SIM and device the
// number is seen with: rule T13.
func (p *people) adopt(id uint32, who binding.Subscriber, f *fact) {
	p.unlink(id)
	p.m.SetSIM(id, who.IMSI)
	p.sessions.dirty(id)
	if table.Nobody(who) {
		return
	}
	subID, known := p.m.FindSubscriber(who)
	if !known {
		if subID = p.newSubscriber(who, f); subID == 0 {
			return
		}
	}
	p.link(id, subID)
	s := p.m.Session(id)
	if !f.told && !s.Ended() {
		p.places.recallSIM(id, &s, who)
	}
	switch {
	case s.Ended():
		if s.Flags&table.Directory == 0 {
			p.renumbered(0, who, f)
		}
		return
	case s.Flags&table.Directory != 0:
		p.book.entrust(p, subID, who.IMSI, known)
		return
	case known:
		p.compare(subID, who, f)
	}
	if who.MSISDN == 0 {
		p.book.seek(p, id, f)
		return
	}
	p.renumbered(id, who, f)
	p.book.teach(p, who, f)
}

// renumbered: a SIM that signalling names with another number than before has
// that one from then on; its other sessions must say again which they have. id is
// the session that says so, zero if it is over or not kept.
func (p *people) renumbered(id uint32, who binding.Subscriber, f *fact) {
	if who.IMSI == 0 || who.MSISDN == 0 || !f.signalled() || f.told {
		return
	}
	var few [8]uint32
	for _, other := range p.m.SessionsOf(who.IMSI, few[:0]) {
		y := p.m.Session(other)
		switch m := p.m.Identity(&y).MSISDN; {
		case m == 0 || m == who.MSISDN || p.m.SourceOf(y.Node) == binding.SourceFeed:
			continue
		case y.Flags&table.Directory != 0: // its own signalling cannot say again which it has
			p.later(task{do: misdirected, id: other, who: who})
			continue
		}
		last, by := y.Last, f.hi
		if p.m.Root(y.Node) != f.root { // only our clock is both nodes'
			last.Epoch, by.Epoch = 0, 0
		}
		if id != 0 && !clock.Before(last, f.lo) {
			p.places.doubt(id, last, binding.ReasonNumber)
		}
		if !clock.Before(by, y.HeldAt) {
			p.places.doubt(other, by, binding.ReasonNumber)
		}
	}
}

// misdirected takes the directory's number from a session whose SIM signalling names
// with another one, and has the directory asked anew.
func misdirected(p *people, t task, f *fact) {
	if s := p.m.Session(t.id); s.Ended() || s.Flags&table.Directory == 0 || s.IMSI != t.who.IMSI {
		return
	}
	p.number(t.id, 0, f)
	if p.book.doubt != nil {
		p.book.doubt(t.who.IMSI)
	}
}

// link joins a session to its subscriber's list.
func (p *people) link(id, subID uint32) {
	s, sub := p.m.Session(id), p.m.Subscriber(subID)
	s.Sub, s.Next, s.Prev = subID, sub.Head, 0
	if sub.Head != 0 {
		p.m.SetPrev(sub.Head, id)
	}
	sub.Head = id
	p.m.PutSession(id, &s)
	p.m.PutSubscriber(subID, &sub)
	if sub.MSISDN != 0 && !s.Ended() {
		p.countSIMs(subID, &s)
	}
}

// unlink takes a session off its subscriber's list.
func (p *people) unlink(id uint32) {
	s := p.m.Session(id)
	if s.Sub == 0 {
		return
	}
	if s.Next != 0 {
		p.m.SetPrev(s.Next, s.Prev)
	}
	if s.Prev != 0 {
		p.m.SetNext(s.Prev, s.Next)
	} else {
		sub := p.m.Subscriber(s.Sub)
		sub.Head = s.Next
		p.m.PutSubscriber(s.Sub, &sub)
	}
	subID, multiple := s.Sub, s.Flags&table.MultiSIM != 0
	s.Sub, s.Next, s.Prev = 0, 0, 0
	s.Flags &^= table.MultiSIM
	p.m.PutSession(id, &s)
	if multiple {
		p.countSIMs(subID, nil)
	}
}

// simsMost bounds how many sessions of one number are compared; a number that
// has more is taken for several SIMs'.
const simsMost = 256

// countSIMs marks the sessions of a number that several SIMs have now, or have
// no more. added is one that has come.
func (p *people) countSIMs(subID uint32, added *table.Session) {
	if !p.severalTold {
		return
	}
	var sim binding.IMSI
	several, n := false, 0
	for id := p.m.Subscriber(subID).Head; id != 0; n++ {
		s := p.m.Session(id)
		if !s.Ended() && s.IMSI != 0 {
			switch {
			case sim == 0:
				sim = s.IMSI
			case sim != s.IMSI:
				several = true
			case added != nil && s.Flags&table.MultiSIM == 0 && added.IMSI == sim && n > 0:
				return // nothing has changed: they were one SIM's, and are
			}
		}
		if several = several || n >= simsMost; several {
			break
		}
		id = s.Next
	}
	n = 0
	for id := p.m.Subscriber(subID).Head; id != 0 && n < simsMost; n++ {
		s := p.m.Session(id)
		if marked := s.Flags&table.MultiSIM != 0; marked != several && !s.Ended() {
			s.Flags ^= table.MultiSIM // of which the row says nothing
			p.m.PutSession(id, &s)
		}
		id = s.Next
	}
}

// compare sets an identity against the one last seen for its number. What is
// older than the last change is not a change back.
func (p *people) compare(subID uint32, who binding.Subscriber, f *fact) {
	if f.told {
		return
	}
	sub := p.m.Subscriber(subID)
	was, at, seen := sub.Subscriber, uint32(f.at/1000), sub.SIMSince != 0
	change := binding.Change{Kind: binding.SIMChange, Now: who, Was: was, Node: f.Event.Node}
	switch {
	case who.IMSI != 0 && sub.IMSI != 0 && who.IMSI != sub.IMSI:
		if at < sub.SIMSince {
			return
		}
		p.setIMSI(subID, &sub, who.IMSI)
		sub.IMEI, sub.SIMSince, sub.DeviceSince = who.IMEI, at, at
		p.later(task{do: revoke, sub: subID, who: binding.Subscriber{MSISDN: sub.MSISDN, IMSI: who.IMSI}})
		change.Why = "sim"
		p.emit(change, f, f.Source == binding.SourceFeed)
	case who.IMEI != 0 && sub.IMEI != 0 && who.IMEI.Device() != sub.IMEI.Device() && who.IMSI == sub.IMSI:
		if at < sub.DeviceSince {
			return
		}
		sub.IMEI, sub.DeviceSince = who.IMEI, at
		change.Why = "device"
		p.emit(change, f, f.Source == binding.SourceFeed)
	default:
		if sub.IMSI == 0 && who.IMSI != 0 {
			p.setIMSI(subID, &sub, who.IMSI)
			sub.SIMSince = at
		}
		if sub.SIMSince == 0 && who.IMSI != 0 { // a directory's word is confirmed
			sub.SIMSince = at
		}
		if who.IMEI != 0 {
			sub.IMEI = who.IMEI
		}
	}
	p.m.PutSubscriber(subID, &sub)
	if sub.Subscriber != was || seen != (sub.SIMSince != 0) {
		p.saveSubscriber(&sub)
	}
}

func (p *people) setIMSI(subID uint32, sub *table.Subscriber, imsi binding.IMSI) {
	if sub.IMSI != 0 {
		p.m.ByIMSI.Remove(table.Mix(uint64(sub.IMSI)), subID)
	}
	sub.IMSI = imsi
	p.m.PutSubscriber(subID, sub)
	p.insertIMSI(subID, imsi)
}

func (p *people) insertIMSI(subID uint32, imsi binding.IMSI) {
	if imsi == 0 {
		return
	}
	same := 0
	p.m.EachOfIMSI(imsi, func(uint32) { same++ })
	if same < table.MaxSameIMSI {
		p.m.ByIMSI.Insert(table.Mix(uint64(imsi)), subID)
	}
}

// newSubscriber makes a subscriber's record; if there is none free, in place
// of one that has no session.
func (p *people) newSubscriber(who binding.Subscriber, f *fact) uint32 {
	id, ok := p.m.Subs.Alloc()
	if !ok {
		p.evictSubscriber()
		if id, ok = p.m.Subs.Alloc(); !ok {
			return 0
		}
	}
	at := uint32(f.at / 1000)
	sub := table.Subscriber{Subscriber: who, SIMSince: at, DeviceSince: at}
	p.insertSubscriber(id, &sub)
	p.saveSubscriber(&sub)
	return id
}

func (p *people) insertSubscriber(id uint32, sub *table.Subscriber) {
	p.m.PutSubscriber(id, sub)
	p.m.ByNumber.Insert(table.NumberHash(sub.Subscriber), id)
	p.insertIMSI(id, sub.IMSI)
}

// evictSubscriber forgets one subscriber without a session. There is always
// one: there are more records than sessions.
func (p *people) evictSubscriber() {
	for range p.m.Subs.Limit() {
		p.evict++
		if p.evict > p.m.Subs.Limit() {
			p.evict = 1
		}
		if p.m.Subs.Load(p.evict, 0) == 0 {
			continue
		}
		if sub := p.m.Subscriber(p.evict); sub.Head == 0 {
			p.m.ByNumber.Remove(table.NumberHash(sub.Subscriber), p.evict)
			p.m.ByIMSI.Remove(table.Mix(uint64(sub.IMSI)), p.evict)
			p.m.Subs.Free(p.evict)
			return
		}
	}
}

func (p *people) saveSubscriber(sub *table.Subscriber) {
	p.batch.Subscribers = append(p.batch.Subscribers, binding.SubscriberRow{
		Subscriber: sub.Subscriber, SIMSince: int64(sub.SIMSince), DeviceSince: int64(sub.DeviceSince),
	})
}

// numberKnown applies what a directory says of a SIM: its sessions without a
// number of their own have this one now, or none.
func (p *people) numberKnown(f *fact) Outcome {
	ev := f.Event
	p.strip(ev)
	if ev.IMSI == 0 || ev.MSISDN >= 1e15 {
		return RefusedMalformed
	}
	if ev.Doubt == binding.ReasonBound { // that nobody answers is no word
		p.book.disputes.leave(ev.IMSI, ev.MSISDN)
		p.unlearn(ev.IMSI, ev.MSISDN)
	}
	outcome := Duplicate
	for _, id := range p.withoutNumber(ev.IMSI) {
		if p.number(id, ev.MSISDN, f) {
			outcome = Applied
		}
	}
	if outcome == Duplicate {
		return p.counters.outcome(countDuplicate, Duplicate)
	}
	return outcome
}

// unlearn voids what signalling has taught of a SIM's number, if a directory says
// another one by now.
func (p *people) unlearn(imsi binding.IMSI, m binding.MSISDN) {
	learned := p.m.NumberOf(imsi)
	if learned == 0 || m == 0 || learned == m {
		return
	}
	if subID, known := p.m.FindSubscriber(binding.Subscriber{MSISDN: learned}); known {
		sub := p.m.Subscriber(subID)
		sub.SIMSince = 0
		p.m.PutSubscriber(subID, &sub)
		p.saveSubscriber(&sub)
	}
}

// withoutNumber lists our sessions of a SIM whose own signalling gave no number.
// Another site says itself what numbers its sessions have.
func (p *people) withoutNumber(imsi binding.IMSI) (list []uint32) {
	for _, id := range p.m.SessionsOf(imsi, nil) {
		if s := p.m.Session(id); !s.Ended() && p.said(&s).MSISDN == 0 && p.m.SourceOf(s.Node) != binding.SourceFeed {
			list = append(list, id)
		}
	}
	return list
}

// number gives a session the directory's number, or takes it away. It reports
// whether that changed anything.
func (p *people) number(id uint32, m binding.MSISDN, f *fact) bool {
	s := p.m.Session(id)
	was := p.m.Identity(&s)
	if m != 0 && !p.book.believes(p, m, s.IMSI, f) {
		p.counters.add(countContradicted)
		m = 0
	}
	if was.MSISDN == m {
		return false
	}
	p.places.touchAll(id, whyDirectory, false)
	p.sessions.update(id, func(s *table.Session) {
		s.Flags &^= table.Directory
		if m != 0 {
			s.Flags |= table.Directory
		}
	})
	p.adopt(id, binding.Subscriber{MSISDN: m, IMSI: s.IMSI, IMEI: was.IMEI}, f)
	p.places.stays.attached(id, f)
	return true
}
