package binding

// adopt gives a session its identity and follows which SIM and device the
// number is seen with: rule T13. Writer only.
func (a *arbiter) adopt(id uint32, who Subscriber, f *fact) {
	s := a.m.session(id)
	a.m.unlink(id, &s)
	s.imsi = who.IMSI
	a.m.putSession(id, &s)
	if who.nobody() {
		return
	}
	subID, known := a.m.findSubscriber(who)
	if !known {
		if subID = a.newSubscriber(who, f); subID == 0 {
			return
		}
	}
	a.m.link(id, &s, subID)
	if s.flags&flagDirectory != 0 {
		a.entrust(subID, who.IMSI, known)
		return
	}
	if known {
		a.compare(subID, who, f)
	}
	if who.MSISDN == 0 {
		a.seek(id, f)
		return
	}
	a.teach(who, f)
}

// entrust notes that a directory gave the number to the SIM, which signalling
// has not seen together.
func (a *arbiter) entrust(subID uint32, imsi IMSI, known bool) {
	sub := a.m.subscriber(subID)
	if known && sub.simSince != 0 && sub.IMSI == imsi {
		return
	}
	if sub.IMSI != imsi {
		a.setIMSI(subID, &sub, imsi)
	}
	sub.simSince = 0
	a.m.putSubscriber(subID, &sub)
	a.saveSubscriber(&sub)
}

// compare sets an identity against the one last seen for its number. What is
// older than the last change is not a change back.
func (a *arbiter) compare(subID uint32, who Subscriber, f *fact) {
	sub := a.m.subscriber(subID)
	was, at, seen := sub.Subscriber, uint32(f.t/1000), sub.simSince != 0
	switch {
	case who.IMSI != 0 && sub.IMSI != 0 && who.IMSI != sub.IMSI:
		if at < sub.simSince || f.old {
			return
		}
		a.setIMSI(subID, &sub, who.IMSI)
		sub.IMEI, sub.simSince, sub.deviceSince = who.IMEI, at, at
		defer a.revoke(subID, who.IMSI, f)
		a.emit(Change{Kind: SIMChange, Now: who, Was: was, Why: "sim", Node: f.Event.Node}, f, f.Source == SourceFeed)
	case who.IMEI != 0 && sub.IMEI != 0 && who.IMEI.Device() != sub.IMEI.Device() && (who.IMSI == sub.IMSI):
		if at < sub.deviceSince || f.old {
			return
		}
		sub.IMEI, sub.deviceSince = who.IMEI, at
		a.emit(Change{Kind: SIMChange, Now: who, Was: was, Why: "device", Node: f.Event.Node}, f, f.Source == SourceFeed)
	default:
		if sub.IMSI == 0 && who.IMSI != 0 {
			a.setIMSI(subID, &sub, who.IMSI)
			sub.simSince = at
		}
		if sub.simSince == 0 && who.IMSI != 0 { // a directory's word is confirmed
			sub.simSince = at
		}
		if who.IMEI != 0 {
			sub.IMEI = who.IMEI
		}
	}
	a.m.putSubscriber(subID, &sub)
	if sub.Subscriber != was || seen != (sub.simSince != 0) {
		a.saveSubscriber(&sub)
	}
}

func (a *arbiter) setIMSI(subID uint32, sub *subscriber, imsi IMSI) {
	if sub.IMSI != 0 {
		a.m.byIMSI.Remove(mix(uint64(sub.IMSI)), subID)
	}
	sub.IMSI = imsi
	a.m.subs.Store(subID, 1, uint64(imsi))
	a.m.insertIMSI(subID, imsi)
}

// maxSameIMSI bounds how many numbers one IMSI is found by.
const maxSameIMSI = 64

func (m *memory) insertIMSI(subID uint32, imsi IMSI) {
	if imsi == 0 {
		return
	}
	same := 0
	m.byIMSI.Find(mix(uint64(imsi)), func(id uint32) bool {
		if IMSI(m.subs.Load(id, 1)) == imsi {
			same++
		}
		return same >= maxSameIMSI
	})
	if same < maxSameIMSI {
		m.byIMSI.Insert(mix(uint64(imsi)), subID)
	}
}

// newSubscriber makes a subscriber's record; if there is none free, in place
// of one that has no session.
func (a *arbiter) newSubscriber(who Subscriber, f *fact) uint32 {
	id, ok := a.m.subs.Alloc()
	if !ok {
		a.evictSubscriber()
		if id, ok = a.m.subs.Alloc(); !ok {
			return 0
		}
	}
	at := uint32(f.t / 1000)
	sub := subscriber{Subscriber: who, simSince: at, deviceSince: at}
	a.insertSubscriber(id, &sub)
	a.saveSubscriber(&sub)
	return id
}

func (a *arbiter) insertSubscriber(id uint32, sub *subscriber) {
	a.m.putSubscriber(id, sub)
	a.m.byNumber.Insert(numberHash(sub.Subscriber), id)
	a.m.insertIMSI(id, sub.IMSI)
}

// evictSubscriber forgets one subscriber without a session. There is always
// one: there are more records than sessions.
func (a *arbiter) evictSubscriber() {
	for range a.m.subs.Limit() {
		a.evict++
		if a.evict > a.m.subs.Limit() {
			a.evict = 1
		}
		if a.m.subs.Load(a.evict, 0) == 0 {
			continue
		}
		if sub := a.m.subscriber(a.evict); sub.head == 0 {
			a.m.byNumber.Remove(numberHash(sub.Subscriber), a.evict)
			a.m.byIMSI.Remove(mix(uint64(sub.IMSI)), a.evict)
			a.m.subs.Free(a.evict)
			return
		}
	}
}
