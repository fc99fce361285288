package binding

import "time"

// disputeTime is how long a number is nobody's that a directory gave to two SIMs,
// if the directory does not take it from the first before that; maxDisputes
// bounds how many are remembered.
const (
	disputeTime = 10 * time.Minute
	maxDisputes = 65536
)

// believes reports that the directory may be right to give the SIM this number.
// It is not believed where signalling has seen the number with another SIM. Nor
// where the directory itself gave it to another one whose session goes on: one
// of its answers is old, nobody knows which, and both SIMs go without.
func (a *arbiter) believes(m MSISDN, imsi IMSI, f *fact) bool {
	id, ok := a.m.findSubscriber(Subscriber{MSISDN: m})
	if !ok {
		return true
	}
	switch sub := a.m.subscriber(id); {
	case sub.IMSI != 0 && sub.IMSI != imsi && sub.simSince != 0:
		return false
	case sub.IMSI != 0 && sub.IMSI != imsi && sub.head != 0:
		a.dispute(id, &sub, f)
		return false
	}
	return f.now >= a.directory.disputes[m]
}

// dispute takes a number from the SIM that the directory gave it to first, and
// has the directory asked for that SIM anew.
func (a *arbiter) dispute(subID uint32, sub *subscriber, f *fact) {
	d := &a.directory
	for m, until := range d.disputes {
		if len(d.disputes) < maxDisputes {
			break
		}
		if f.now >= until {
			delete(d.disputes, m)
		}
	}
	if d.disputes == nil {
		d.disputes = map[MSISDN]int64{}
	}
	if len(d.disputes) < maxDisputes {
		d.disputes[sub.MSISDN] = f.now + disputeTime.Milliseconds()
	}
	a.revoke(subID, 0, f)
	if d.doubt != nil {
		d.doubt(sub.IMSI)
	}
}

// endDisputes takes the directory's new word on a SIM: what it does not say any
// more is disputed no longer.
func (a *arbiter) endDisputes(ev *Event) {
	if len(a.directory.disputes) == 0 {
		return
	}
	a.eachOfIMSI(ev.IMSI, func(subID uint32) {
		if sub := a.m.subscriber(subID); sub.MSISDN != ev.MSISDN && sub.simSince == 0 {
			delete(a.directory.disputes, sub.MSISDN)
		}
	})
}
