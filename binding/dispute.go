package binding

import "time"

// disputeTime is how long a number is nobody's that a directory gave to two SIMs,
// if the directory does not take it from the first before that; maxDisputes
// bounds how many are remembered.
const (
	disputeTime = 10 * time.Minute
	maxDisputes = 65536
)

// A dispute is about a number that the directory gave to two SIMs: when it is
// over, and to whom it was given last.
type dispute struct {
	until int64 // unix ms
	last  IMSI
}

// believes reports that the directory may be right to give the SIM this number.
// It is not believed where signalling has seen the number with another SIM. Nor
// where the directory itself gave it to another one whose session goes on: one
// of its answers is old, nobody knows which, and both SIMs go without, for as
// long as it says so of both.
func (a *arbiter) believes(m MSISDN, imsi IMSI, f *fact) bool {
	if id, ok := a.m.findSubscriber(Subscriber{MSISDN: m}); ok {
		switch sub := a.m.subscriber(id); {
		case sub.simSince != 0 && sub.IMSI == imsi:
			delete(a.directory.disputes, m)
			return true
		case sub.simSince != 0 && sub.IMSI != 0:
			return false
		case a.given(&sub, imsi):
			a.dispute(id, &sub, imsi, f)
			return false
		}
	}
	d, disputed := a.directory.disputes[m]
	if !disputed || f.now >= d.until {
		return true
	}
	if d.last != imsi {
		a.directory.disputes[m] = dispute{f.now + disputeTime.Milliseconds(), imsi}
	}
	return false
}

// given reports that the directory's number is that of a session of another SIM.
func (a *arbiter) given(sub *subscriber, imsi IMSI) bool {
	for id := sub.head; id != 0; {
		s := a.m.session(id)
		if s.flags&flagDirectory != 0 && s.imsi != imsi {
			return true
		}
		id = s.next
	}
	return false
}

// dispute takes a number from the SIM that the directory gave it to first, and
// has the directory asked for both SIMs anew.
func (a *arbiter) dispute(subID uint32, sub *subscriber, imsi IMSI, f *fact) {
	d := &a.directory
	if len(d.disputes) >= maxDisputes && f.now >= d.tidied+time.Minute.Milliseconds() {
		d.tidied = f.now
		for m, one := range d.disputes {
			if f.now >= one.until {
				delete(d.disputes, m)
			}
		}
	}
	if d.disputes == nil {
		d.disputes = map[MSISDN]dispute{}
	}
	if len(d.disputes) < maxDisputes {
		d.disputes[sub.MSISDN] = dispute{f.now + disputeTime.Milliseconds(), imsi}
	}
	a.revoke(subID, 0, f)
	if d.doubt != nil {
		d.doubt(sub.IMSI)
		d.doubt(imsi)
	}
}

// endDisputes takes the directory's new word on a SIM: what it does not say any
// more is disputed no longer. That nobody answers is no word.
func (a *arbiter) endDisputes(ev *Event) {
	if len(a.directory.disputes) == 0 || ev.Doubt != ReasonBound {
		return
	}
	a.eachOfIMSI(ev.IMSI, func(subID uint32) {
		if sub := a.m.subscriber(subID); sub.MSISDN != ev.MSISDN && sub.simSince == 0 {
			delete(a.directory.disputes, sub.MSISDN)
		}
	})
}
