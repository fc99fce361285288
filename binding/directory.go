package binding

// Numbers of SIMs whose signalling brings only the IMSI. They come from a
// directory (NumberKnown) or were learned from signalling that brought both. A
// number that the session's own signalling gives always takes their place, and
// one that belongs to another SIM by signalling is not believed.

// numberKnown applies what a directory says of a SIM: its sessions without a
// number of their own have this one now, or none.
func (a *arbiter) numberKnown(ev *Event, now int64) Outcome {
	if ev.IMSI == 0 || ev.MSISDN >= 1e15 {
		return RefusedMalformed
	}
	f := &fact{Event: ev, now: now, t: now, why: whyDirectory}
	if ev.Doubt == ReasonBound { // that nobody answers is no word
		a.directory.disputes.leave(ev.IMSI, ev.MSISDN)
	}
	outcome := Duplicate
	for _, id := range a.withoutNumber(ev.IMSI) {
		if a.number(id, ev.MSISDN, f) {
			outcome = Applied
		}
	}
	if outcome == Duplicate {
		return a.count(countDuplicate, Duplicate)
	}
	return outcome
}

const whyDirectory = "directory"

// withoutNumber lists our sessions of a SIM whose own signalling gave no number.
// Another site says itself what numbers its sessions have.
func (a *arbiter) withoutNumber(imsi IMSI) (list []uint32) {
	a.eachOfIMSI(imsi, func(subID uint32) {
		sub := a.m.subscriber(subID)
		for id := sub.head; id != 0; {
			s := a.m.session(id)
			if s.imsi == imsi && (sub.MSISDN == 0 || s.flags&flagDirectory != 0) && a.m.node(s.node).source != SourceFeed {
				list = append(list, id)
			}
			id = s.next
		}
	})
	return list
}

// eachOfIMSI calls fn with the records that a SIM was last seen with.
func (a *arbiter) eachOfIMSI(imsi IMSI, fn func(subID uint32)) {
	var ids []uint32
	a.m.byIMSI.Find(mix(uint64(imsi)), func(id uint32) bool {
		if IMSI(a.m.subs.Load(id, 1)) == imsi {
			ids = append(ids, id)
		}
		return len(ids) > maxSameIMSI
	})
	for _, id := range ids {
		fn(id)
	}
}

// number gives a session the directory's number, or takes it away. It reports
// whether that changed anything.
func (a *arbiter) number(id uint32, m MSISDN, f *fact) bool {
	s := a.m.session(id)
	was := a.m.identity(&s)
	if m != 0 && !a.believes(m, s.imsi, f) {
		a.counters.add(countContradicted, 1)
		m = 0
	}
	if was.MSISDN == m {
		return false
	}
	claimed := a.openAll(id)
	a.update(id, func(s *session) {
		s.flags &^= flagDirectory
		if m != 0 {
			s.flags |= flagDirectory
		}
	})
	a.adopt(id, Subscriber{MSISDN: m, IMSI: s.imsi, IMEI: was.IMEI}, f)
	a.dirty(id)
	for i := range claimed {
		claimed[i].changed = true
		a.settle(&claimed[i], f, claimed[i].h.deadline)
	}
	return true
}

// learned is the number that the SIM was last seen with in signalling, zero if
// there is none, or more than one.
func (a *arbiter) learned(imsi IMSI) (m MSISDN) {
	n := 0
	a.eachOfIMSI(imsi, func(subID uint32) {
		// Who is not the writer may find a record that is another SIM's by now.
		if sub := a.m.subscriber(subID); sub.IMSI == imsi && sub.MSISDN != 0 && sub.simSince != 0 {
			m = sub.MSISDN
			n++
		}
	})
	if n != 1 {
		return 0
	}
	return m
}

// seek looks for the number of a session that came without one. What was
// learned serves at once; the directory is asked in any case, whether it knows
// or contradicts.
func (a *arbiter) seek(id uint32, f *fact) {
	if !f.signalled() {
		return
	}
	s := a.m.session(id)
	var m MSISDN
	if a.directory.learn {
		if m = a.learned(s.imsi); m != 0 {
			a.number(id, m, f)
		}
	}
	if a.directory.resolve != nil {
		a.directory.resolve(s.imsi, m)
	}
}

// signalled reports that signalling said so, and to us: another site looks for
// its numbers itself, and the sweep sees to what was loaded.
func (f *fact) signalled() bool { return f.Source != SourceFeed && f.Source != SourceNone }

// teach gives what signalling said of number and SIM to the SIM's sessions that
// have none. Where it has said two numbers, sessions lose the one that is not
// of the latest, and the directory is asked.
func (a *arbiter) teach(who Subscriber, f *fact) {
	if !a.directory.learn || who.MSISDN == 0 || who.IMSI == 0 || !f.signalled() {
		return
	}
	list := a.withoutNumber(who.IMSI)
	if len(list) == 0 {
		return
	}
	m := a.learned(who.IMSI)
	for _, id := range list {
		s := a.m.session(id)
		if m != 0 || a.m.subscriber(s.sub).MSISDN != who.MSISDN {
			a.number(id, m, f)
		}
	}
	if m != 0 && a.directory.resolve != nil {
		a.directory.resolve(who.IMSI, m) // whether it contradicts
	}
}

// revoke takes the directory's number from sessions of other SIMs than the one
// that signalling has seen it with.
func (a *arbiter) revoke(subID uint32, imsi IMSI, f *fact) {
	var list []uint32
	for id := a.m.subscriber(subID).head; id != 0; {
		s := a.m.session(id)
		if s.flags&flagDirectory != 0 && s.imsi != imsi {
			list = append(list, id)
		}
		id = s.next
	}
	for _, id := range list {
		a.number(id, 0, f)
	}
}

// said is a session's identity by its own signalling alone.
func (a *arbiter) said(s *session) Subscriber {
	who := a.m.identity(s)
	if s.flags&flagDirectory != 0 {
		who.MSISDN = 0
	}
	return who
}

// NumberOf is the number that the SIM was last seen with in signalling, zero if
// there is none, or more than one. Any goroutine may call it.
func (r *Registry) NumberOf(imsi IMSI) MSISDN { return r.learned(imsi) }

// HasSession reports that a session of the SIM is known. Any goroutine may call
// it.
func (r *Registry) HasSession(imsi IMSI) (has bool) {
	r.eachOfIMSI(imsi, func(subID uint32) {
		sub := r.m.subscriber(subID)
		has = has || sub.IMSI == imsi && sub.head != 0
	})
	return has
}

// directory is how numbers are found that signalling does not bring.
type directory struct {
	resolve  func(IMSI, MSISDN)
	doubt    func(IMSI)
	learn    bool
	disputes disputes
}
