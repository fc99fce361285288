package binding

import "time"

// disputeTime is how long a number is nobody's after a directory gave it to two
// SIMs in turn; maxDisputes bounds how many disputes are remembered.
const (
	disputeTime = 10 * time.Minute
	maxDisputes = 65536
)

// disputes are about numbers that a directory gave to two SIMs or more. They are
// not stored: after a restart of ours the directory is asked anew.
type disputes struct {
	open    map[MSISDN]dispute
	parties map[IMSI]party // by SIM: the number that it was given and did not get
	count   uint64
	tidied  int64 // unix ms, when those that are over were looked for
}

type dispute struct {
	id      uint64
	until   int64 // unix ms
	last    IMSI  // to which SIM it was given last
	parties int
}

type party struct {
	number  MSISDN
	dispute uint64
}

// believes reports that the directory may be right to give the SIM this number.
// It is not believed where signalling has seen the number with another SIM. Nor
// where the directory itself gave it to another one whose session goes on: one
// of its answers is old, nobody knows which, and both SIMs go without, for as
// long as it says so of both.
func (a *arbiter) believes(m MSISDN, imsi IMSI, f *fact) bool {
	d := &a.directory.disputes
	if id, ok := a.m.findSubscriber(Subscriber{MSISDN: m}); ok {
		switch sub := a.m.subscriber(id); {
		case sub.simSince != 0 && sub.IMSI == imsi:
			delete(d.open, m)
			return true
		case sub.simSince != 0 && sub.IMSI != 0:
			return false
		case a.given(&sub, imsi):
			a.dispute(id, &sub, imsi, f)
			return false
		}
	}
	one, disputed := d.open[m]
	if !disputed || f.now >= one.until || one.parties == 1 && d.parties[imsi] == (party{m, one.id}) {
		delete(d.open, m) // it is given to this SIM alone
		return true
	}
	if one.last != imsi {
		one.last, one.until = imsi, f.now+disputeTime.Milliseconds()
	}
	d.join(&one, m, imsi)
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
	first := sub.IMSI
	a.directory.disputes.begin(sub.MSISDN, first, imsi, f.now)
	a.revoke(subID, 0, f)
	if doubt := a.directory.doubt; doubt != nil {
		doubt(first)
		doubt(imsi)
	}
}

// begin remembers a dispute, if there is room.
func (d *disputes) begin(m MSISDN, first, second IMSI, now int64) {
	d.tidy(now)
	if len(d.open) >= maxDisputes {
		return
	}
	if d.open == nil {
		d.open, d.parties = map[MSISDN]dispute{}, map[IMSI]party{}
	}
	d.count++
	one := dispute{id: d.count, until: now + disputeTime.Milliseconds(), last: second}
	d.join(&one, m, first)
	d.join(&one, m, second)
}

// join makes a SIM one of those that the number was given to.
func (d *disputes) join(one *dispute, m MSISDN, imsi IMSI) {
	if d.parties[imsi] != (party{m, one.id}) {
		d.parties[imsi] = party{m, one.id}
		one.parties++
	}
	d.open[m] = *one
}

// leave takes the directory's new word on a SIM. The number that it gave to it
// before is still disputed until the others are told again.
func (d *disputes) leave(imsi IMSI, m MSISDN) {
	was, has := d.parties[imsi]
	if !has || was.number == m {
		return
	}
	delete(d.parties, imsi)
	one, open := d.open[was.number]
	if !open || one.id != was.dispute {
		return
	}
	if one.parties--; one.parties == 0 {
		delete(d.open, was.number)
		return
	}
	d.open[was.number] = one
}

// tidy makes room, once a minute at most.
func (d *disputes) tidy(now int64) {
	if len(d.open) < maxDisputes && len(d.parties) < 2*maxDisputes || now < d.tidied+time.Minute.Milliseconds() {
		return
	}
	d.tidied = now
	for m, one := range d.open {
		if now >= one.until {
			delete(d.open, m)
		}
	}
	for imsi, p := range d.parties {
		if d.open[p.number].id != p.dispute {
			delete(d.parties, imsi)
		}
	}
}
