package registry

import (
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// whyDirectory is why a change says what a directory knows.
const whyDirectory = "directory"

// A book is how numbers are found of SIMs whose signalling brings only the
// IMSI. They come from a directory (NumberKnown) or were learned from
// signalling that brought both. A number that the session's own signalling gives
// always takes their place, and one that belongs to another SIM by signalling
// is not believed.
type book struct {
	resolve  func(binding.IMSI, binding.MSISDN)
	doubt    func(binding.IMSI)
	learn    bool
	disputes disputes
}

// seek looks for the number of a session that came without one. What was
// learned serves at once; the directory is asked in any case, whether it knows
// or contradicts.
func (b *book) seek(p *people, id uint32, f *fact) {
	if f.signalled() && (b.learn || b.resolve != nil) {
		p.later(task{do: seek, id: id})
	}
}

func seek(p *people, t task, f *fact) {
	s := p.m.Session(t.id)
	if s.Ended() || s.IMSI == 0 {
		return
	}
	var m binding.MSISDN
	if p.book.learn {
		if m = p.m.NumberOf(s.IMSI); m != 0 {
			p.number(t.id, m, f)
		}
	}
	if p.book.resolve != nil {
		p.book.resolve(s.IMSI, m)
	}
}

// teach gives what signalling said of number and SIM to the SIM's sessions that
// have none. Where it has said two numbers, sessions lose the one that is not
// of the latest, and the directory is asked.
func (b *book) teach(p *people, who binding.Subscriber, f *fact) {
	if b.learn && who.MSISDN != 0 && who.IMSI != 0 && f.signalled() {
		p.later(task{do: teach, who: who})
	}
}

func teach(p *people, t task, f *fact) {
	list := p.withoutNumber(t.who.IMSI)
	if len(list) == 0 {
		return
	}
	m := p.m.NumberOf(t.who.IMSI)
	for _, id := range list {
		s := p.m.Session(id)
		if m != 0 || p.m.Subscriber(s.Sub).MSISDN != t.who.MSISDN {
			p.number(id, m, f)
		}
	}
	if m != 0 && p.book.resolve != nil {
		p.book.resolve(t.who.IMSI, m) // whether it contradicts
	}
}

// revoke takes the directory's number from sessions of other SIMs than the one
// that signalling has seen it with, or from all if there is none.
func revoke(p *people, t task, f *fact) {
	sub := p.m.Subscriber(t.sub)
	if sub.MSISDN != t.who.MSISDN {
		return // its record was used again
	}
	var list []uint32
	for id := sub.Head; id != 0; {
		s := p.m.Session(id)
		if s.Flags&table.Directory != 0 && s.IMSI != t.who.IMSI && !s.Ended() {
			list = append(list, id)
		}
		id = s.Next
	}
	for _, id := range list {
		p.number(id, 0, f)
	}
}

// entrust notes that a directory gave the number to the SIM, which signalling
// has not seen together.
func (b *book) entrust(p *people, subID uint32, imsi binding.IMSI, known bool) {
	sub := p.m.Subscriber(subID)
	if known && sub.SIMSince != 0 && sub.IMSI == imsi {
		return
	}
	if sub.IMSI != imsi {
		p.setIMSI(subID, &sub, imsi)
	}
	sub.SIMSince = 0
	p.m.PutSubscriber(subID, &sub)
	p.saveSubscriber(&sub)
}

// believes reports that the directory may be right to give the SIM this number.
// It is not believed where signalling has seen the number with another SIM. Nor
// where the directory itself gave it to another one whose session goes on: one
// of its answers is old, nobody knows which, and both SIMs go without, for as
// long as it says so of both.
func (b *book) believes(p *people, m binding.MSISDN, imsi binding.IMSI, f *fact) bool {
	d := &b.disputes
	if id, ok := p.m.FindSubscriber(binding.Subscriber{MSISDN: m}); ok {
		switch sub := p.m.Subscriber(id); {
		case sub.SIMSince != 0 && sub.IMSI == imsi:
			delete(d.open, m)
			return true
		case sub.SIMSince != 0 && sub.IMSI != 0:
			return false
		case b.given(p, &sub, imsi):
			b.dispute(p, id, &sub, imsi, f)
			return false
		}
	}
	return d.mine(m, imsi, f.now)
}

// given reports that the directory's number is that of a session of another SIM.
func (b *book) given(p *people, sub *table.Subscriber, imsi binding.IMSI) bool {
	for id := sub.Head; id != 0; {
		s := p.m.Session(id)
		if s.Flags&table.Directory != 0 && s.IMSI != imsi && !s.Ended() {
			return true
		}
		id = s.Next
	}
	return false
}

// dispute takes a number from the SIM that the directory gave it to first, and
// has the directory asked for both SIMs anew.
func (b *book) dispute(p *people, subID uint32, sub *table.Subscriber, imsi binding.IMSI, f *fact) {
	first := sub.IMSI
	p.setIMSI(subID, sub, 0) // which is how a disputed number is known again after a restart
	sub.SIMSince = 0
	p.m.PutSubscriber(subID, sub)
	p.saveSubscriber(sub)
	b.disputes.begin(sub.MSISDN, first, imsi, f.now)
	p.later(task{do: revoke, sub: subID, who: binding.Subscriber{MSISDN: sub.MSISDN}})
	if b.doubt != nil {
		b.doubt(first)
		b.doubt(imsi)
	}
}

// disputeTime is how long a number is nobody's after a directory gave it to two
// SIMs in turn; maxDisputes bounds how many disputes are remembered.
const (
	disputeTime = 10 * time.Minute
	maxDisputes = 65536
)

// disputes are about numbers that a directory gave to two SIMs or more. After a
// restart of ours it is known that a number was disputed, but not by whom: it is
// nobody's for as long as if that had begun then.
type disputes struct {
	open    map[binding.MSISDN]dispute
	parties map[binding.IMSI]party // by SIM: the number that it was given and did not get
	count   uint64
	tidied  int64 // unix ms, when those that are over were looked for
}

type dispute struct {
	id      uint64
	until   int64        // unix ms
	last    binding.IMSI // to which SIM it was given last
	parties int
}

type party struct {
	number  binding.MSISDN
	dispute uint64
}

// mine reports that a number is given to this SIM, and to no other that waits for
// it.
func (d *disputes) mine(m binding.MSISDN, imsi binding.IMSI, now int64) bool {
	one, disputed := d.open[m]
	if !disputed || now >= one.until || one.parties == 1 && d.parties[imsi] == (party{m, one.id}) {
		delete(d.open, m)
		return true
	}
	if one.last != imsi {
		one.last, one.until = imsi, now+disputeTime.Milliseconds()
	}
	d.join(&one, m, imsi)
	return false
}

// begin remembers a dispute, if there is room.
func (d *disputes) begin(m binding.MSISDN, first, second binding.IMSI, now int64) {
	d.tidy(now)
	if len(d.open) >= maxDisputes {
		return
	}
	if d.open == nil {
		d.open, d.parties = map[binding.MSISDN]dispute{}, map[binding.IMSI]party{}
	}
	d.count++
	one := dispute{id: d.count, until: now + disputeTime.Milliseconds(), last: second}
	d.join(&one, m, first)
	d.join(&one, m, second)
}

// join makes a SIM one of those that the number was given to.
func (d *disputes) join(one *dispute, m binding.MSISDN, imsi binding.IMSI) {
	if d.parties[imsi] != (party{m, one.id}) {
		d.parties[imsi] = party{m, one.id}
		one.parties++
	}
	d.open[m] = *one
}

// leave takes the directory's new word on a SIM. The number that it gave to it
// before is still disputed until the others are told again.
func (d *disputes) leave(imsi binding.IMSI, m binding.MSISDN) {
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
