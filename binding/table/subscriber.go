package table

import "github.com/simbind/simbind/binding"

// A Subscriber record joins the sessions of one number (or, where no number is
// known, of one IMSI), ended ones among them, and remembers the SIM and device
// it was last seen with (rule T13).
type Subscriber struct {
	binding.Subscriber
	SIMSince    uint32 // unix seconds; 0: a directory's word, which signalling has not seen
	DeviceSince uint32
	Head        uint32 // first session
}

// Subscriber reads a record. Any goroutine may call it.
func (m *Memory) Subscriber(id uint32) Subscriber {
	if id == 0 || id > m.Subs.Limit() {
		return Subscriber{}
	}
	w3, w4 := m.Subs.Load(id, 3), m.Subs.Load(id, 4)
	return Subscriber{
		Subscriber: binding.Subscriber{
			MSISDN: binding.MSISDN(m.Subs.Load(id, 0) &^ subLive),
			IMSI:   binding.IMSI(m.Subs.Load(id, 1)),
			IMEI:   binding.IMEI(m.Subs.Load(id, 2)),
		},
		SIMSince: uint32(w3), DeviceSince: uint32(w3 >> 32), Head: uint32(w4),
	}
}

// subLive marks a record in use, so that the first word is not zero where no
// number is known.
const subLive = 1 << 63

// PutSubscriber writes a record. Writer only.
func (m *Memory) PutSubscriber(id uint32, s *Subscriber) {
	words := [subscriberWords]uint64{
		uint64(s.MSISDN) | subLive, uint64(s.IMSI), uint64(s.IMEI),
		uint64(s.SIMSince) | uint64(s.DeviceSince)<<32, uint64(s.Head),
	}
	for i, w := range words {
		if m.Subs.Load(id, i) != w {
			m.Subs.Store(id, i, w)
		}
	}
}

// NumberHash is the hash by which a subscriber is found: of the number, else
// of the IMSI.
func NumberHash(who binding.Subscriber) uint64 {
	if who.MSISDN != 0 {
		return Mix(uint64(who.MSISDN))
	}
	return Mix(^uint64(who.IMSI))
}

// FindSubscriber finds the record of a number or, without one, of an IMSI. Any
// goroutine may call it.
func (m *Memory) FindSubscriber(who binding.Subscriber) (uint32, bool) {
	return m.ByNumber.Find(NumberHash(who), func(id uint32) bool {
		s := m.Subscriber(id)
		return s.MSISDN == who.MSISDN && (who.MSISDN != 0 || s.IMSI == who.IMSI)
	})
}

// MaxSameIMSI bounds how many numbers one IMSI is found by.
const MaxSameIMSI = 64

// EachOfIMSI calls fn with the records that a SIM was last seen with. Any
// goroutine may call it; a record that is not the writer's may be another SIM's
// by the time it is looked at.
func (m *Memory) EachOfIMSI(imsi binding.IMSI, fn func(subID uint32)) {
	var few [8]uint32
	for _, id := range m.SubscribersOf(imsi, few[:0]) {
		fn(id)
	}
}

// SubscribersOf adds those records to a list.
func (m *Memory) SubscribersOf(imsi binding.IMSI, list []uint32) []uint32 {
	n := 0
	m.ByIMSI.Find(Mix(uint64(imsi)), func(id uint32) bool {
		if binding.IMSI(m.Subs.Load(id, 1)) == imsi {
			list = append(list, id)
			n++
		}
		return n == MaxSameIMSI
	})
	return list
}

// MaxOfSIM bounds how many sessions of one SIM are found by it. Of more than
// that, ended ones give way.
const MaxOfSIM = 256

// SetSIM gives a session its SIM, by which it is found from then on. That its
// number may be another SIM's by now changes nothing of that. Writer only.
func (m *Memory) SetSIM(id uint32, imsi binding.IMSI) {
	was := m.Sessions.Load(id, 7)
	if was == uint64(imsi) {
		return
	}
	if was != 0 {
		m.BySIM.Remove(Mix(was), id)
	}
	m.Sessions.Store(id, 7, uint64(imsi))
	if imsi == 0 {
		return
	}
	n, over := 0, uint32(0)
	m.BySIM.Find(Mix(uint64(imsi)), func(other uint32) bool {
		if m.Sessions.Load(other, 7) == uint64(imsi) {
			n++
			if s := m.Session(other); s.Ended() {
				over = other
			}
		}
		return n == MaxOfSIM
	})
	if n == MaxOfSIM {
		if over == 0 {
			return
		}
		m.BySIM.Remove(Mix(uint64(imsi)), over)
	}
	m.BySIM.Insert(Mix(uint64(imsi)), id)
}

// SessionsOf adds the sessions of a SIM to a list, ended ones too. Any goroutine
// may call it; a record that is not the writer's may be another SIM's by the time
// it is looked at.
func (m *Memory) SessionsOf(imsi binding.IMSI, list []uint32) []uint32 {
	n := 0
	m.BySIM.Find(Mix(uint64(imsi)), func(id uint32) bool {
		if m.Sessions.Load(id, 7) == uint64(imsi) {
			list = append(list, id)
			n++
		}
		return n == MaxOfSIM
	})
	return list
}

// Identity is who a session belongs to. The device is the one that the SIM was
// last seen in.
func (m *Memory) Identity(s *Session) binding.Subscriber {
	if s.Sub == 0 {
		return binding.Subscriber{}
	}
	sub := m.Subscriber(s.Sub)
	who := binding.Subscriber{MSISDN: sub.MSISDN, IMSI: s.IMSI}
	if sub.IMSI == s.IMSI {
		who.IMEI = sub.IMEI
	}
	return who
}

// Nobody reports that neither number nor SIM is known.
func Nobody(x binding.Subscriber) bool { return x.MSISDN == 0 && x.IMSI == 0 }

// Agree reports whether two can be the same subscriber: what both know is
// equal, and they know something in common. Knowing nothing agrees with all.
func Agree(x, y binding.Subscriber) bool {
	if Nobody(x) || Nobody(y) {
		return true
	}
	numbers := x.MSISDN != 0 && y.MSISDN != 0
	sims := x.IMSI != 0 && y.IMSI != 0
	return (numbers || sims) && (!numbers || x.MSISDN == y.MSISDN) && (!sims || x.IMSI == y.IMSI)
}

// OneSIM reports that two sessions are surely of one SIM.
func (m *Memory) OneSIM(x, y *Session) bool {
	if x.Sub == 0 || y.Sub == 0 {
		return false
	}
	return x.Sub == y.Sub && x.IMSI == y.IMSI || Agree(m.Identity(x), m.Identity(y))
}
