package binding

// A subscriber record joins the sessions of one number (or, where no number is
// known, of one IMSI) and remembers the SIM and device it was last seen with
// (rule T13).
type subscriber struct {
	Subscriber
	simSince    uint32 // unix seconds
	deviceSince uint32
	head        uint32 // first session
}

func (m *memory) subscriber(id uint32) subscriber {
	if id == 0 || id > m.subs.Limit() {
		return subscriber{}
	}
	w3, w4 := m.subs.Load(id, 3), m.subs.Load(id, 4)
	return subscriber{
		Subscriber: Subscriber{
			MSISDN: MSISDN(m.subs.Load(id, 0) &^ subLive),
			IMSI:   IMSI(m.subs.Load(id, 1)),
			IMEI:   IMEI(m.subs.Load(id, 2)),
		},
		simSince: uint32(w3), deviceSince: uint32(w3 >> 32), head: uint32(w4),
	}
}

// subLive marks a record in use, so that the first word is not zero where no
// number is known.
const subLive = 1 << 63

func (m *memory) putSubscriber(id uint32, s *subscriber) {
	words := [subscriberWords]uint64{
		uint64(s.MSISDN) | subLive, uint64(s.IMSI), uint64(s.IMEI),
		uint64(s.simSince) | uint64(s.deviceSince)<<32, uint64(s.head),
	}
	for i, w := range words {
		if m.subs.Load(id, i) != w {
			m.subs.Store(id, i, w)
		}
	}
}

// numberHash is the hash by which a subscriber is found: of the number, else
// of the IMSI.
func numberHash(who Subscriber) uint64 {
	if who.MSISDN != 0 {
		return mix(uint64(who.MSISDN))
	}
	return mix(^uint64(who.IMSI))
}

func (m *memory) findSubscriber(who Subscriber) (uint32, bool) {
	return m.byNumber.Find(numberHash(who), func(id uint32) bool {
		s := m.subscriber(id)
		return s.MSISDN == who.MSISDN && (who.MSISDN != 0 || s.IMSI == who.IMSI)
	})
}

// identity is who a session belongs to. The device is the one that the SIM was
// last seen in.
func (m *memory) identity(s *session) Subscriber {
	if s.sub == 0 {
		return Subscriber{}
	}
	sub := m.subscriber(s.sub)
	who := Subscriber{MSISDN: sub.MSISDN, IMSI: s.imsi}
	if sub.IMSI == s.imsi {
		who.IMEI = sub.IMEI
	}
	return who
}

// link joins a session to its subscriber's list. Writer only.
func (m *memory) link(id uint32, s *session, subID uint32) {
	sub := m.subscriber(subID)
	s.sub, s.next, s.prev = subID, sub.head, 0
	if sub.head != 0 {
		head := m.session(sub.head)
		head.prev = id
		m.putSession(sub.head, &head)
	}
	sub.head = id
	m.putSession(id, s)
	m.putSubscriber(subID, &sub)
}

// unlink takes a session off its subscriber's list. Writer only.
func (m *memory) unlink(id uint32, s *session) {
	if s.sub == 0 {
		return
	}
	if s.next != 0 {
		next := m.session(s.next)
		next.prev = s.prev
		m.putSession(s.next, &next)
	}
	if s.prev != 0 {
		prev := m.session(s.prev)
		prev.next = s.next
		m.putSession(s.prev, &prev)
	} else {
		sub := m.subscriber(s.sub)
		sub.head = s.next
		m.putSubscriber(s.sub, &sub)
	}
	s.sub, s.next, s.prev = 0, 0, 0
	m.putSession(id, s)
}
