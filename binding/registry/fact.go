package registry

import (
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
	"github.com/simbind/simbind/binding/table"
)

// A core is what all parts of the writer share.
type core struct {
	m        *table.Memory
	t        *table.Times
	limits   *clock.Limits
	batch    *batch
	counters *counters
	seq      uint64 // of the last change
	round    uint16 // of the sweep over all addresses, never zero
	parallel bool   // SIMs have several sessions of one APN
}

// A fact is an event with what the writer knows of it.
type fact struct {
	*binding.Event
	now int64 // unix ms, our clock, when it is decided about
	arr int64 // unix ms, our clock, when it was heard
	at  int64 // unix ms, our clock: when it happened, as well as can be told
	// sent is when its node sent it: a lease runs from then.
	sent int64

	lo, hi clock.Bound // of the moment that it happened
	// begunFrom and begunBy bound the beginning of its session. begins: the event
	// tells of it; else it is no more than that the session had begun.
	begunFrom, begunBy clock.Bound
	begins             bool
	known              bool // see knows

	node uint16 // that the event names
	root uint16 // that it is another name of, or itself
	key  [2]uint64
	why  string // of changes that it makes
	told bool   // it comes from the journal: what it changed is known

	noRoom bool // the index had none for an address of it

	// earlier are the claims of the same session of before it was taken for over: of
	// Gx, where an id is not used again.
	earlier []table.Claim

	// What Addrs come to in the domain of an APN, see rules.admit.
	apn string
	got admitted
}

// read takes an event in; false if it is none that can be.
func (f *fact) read(ev *binding.Event, now int64) bool {
	*f = fact{Event: ev, now: now, arr: now}
	if !ev.Arrived.IsZero() {
		f.arr = min(ev.Arrived.UnixMilli(), now)
	}
	f.at, f.sent = f.arr, f.arr
	ofSession := ev.Kind == binding.SessionStart || ev.Kind == binding.SessionUpdate || ev.Kind == binding.SessionStop
	feed := ev.Source == binding.SourceFeed
	switch {
	case ev.Node == "" || ev.Source == binding.SourceNone || ev.Source >= binding.Sources:
		return false
	case ev.Kind < binding.SessionStart || ev.Kind > binding.NodeUp && !feed || ev.Kind > binding.NodeBehind || ofSession && ev.Session == "":
		return false
	case !ev.Doubt.IsDoubt():
		return false
	case ev.Delay < 0 || ev.Age < 0 || ev.Blind < 0:
		return false
	case !ev.Time.IsZero() && (ev.Time.UnixMilli() <= 0 || ev.Time.UnixMilli() > maxTime):
		return false
	case len(ev.Addrs) > table.MaxHolds || len(ev.Gone) > table.MaxHolds:
		return false
	}
	f.why = whys[ev.Kind]
	return true
}

// maxTime bounds the times that events may tell (unix ms).
const maxTime = 1<<48 - 1

// whys are the words of Change.Why for what events cause.
var whys = [...]string{
	binding.SessionStart: "start", binding.SessionUpdate: "update", binding.SessionStop: "stop", binding.NodeRestart: "node-restart",
	binding.NodeBehind: "",
}

// place bounds the moment of the event by the clock of its node.
func (f *fact) place(c *clock.Clock, l *clock.Limits) {
	w := clock.Word{
		Arrived: f.arr, Delay: f.Delay.Milliseconds(), Delayed: f.Delayed, Link: f.Link, Repeated: f.Repeated,
		Blind: f.Blind.Milliseconds(),
	}
	if !f.Time.IsZero() {
		w.Stamp, w.Stamped = f.Time.UnixMilli(), true
	}
	var late int64
	f.lo, f.hi, late = c.Hear(w, l)
	f.sent = f.arr - late
	f.at = f.sent - f.Delay.Milliseconds()
	f.begin()
}

// begin bounds the beginning of the event's session: it is the event itself, or
// as long ago as the session says that it is old (RFC 2866 section 5.7, whole
// seconds), or, if nothing tells, before the event.
func (f *fact) begin() {
	f.begunBy = f.hi
	switch {
	case f.Kind == binding.SessionStart:
		f.begins, f.begunFrom = true, f.lo
	case f.Aged:
		age := f.Age.Milliseconds()
		f.begins = true
		f.begunFrom, f.begunBy = f.lo, f.hi
		if f.Link != 0 {
			f.begunFrom.Epoch, f.begunBy.Epoch = 0, 0 // a link knows no time before it
		}
		f.begunFrom.Our -= age + time.Second.Milliseconds() + ageDrift(age)
		f.begunFrom.Node -= age + time.Second.Milliseconds() + ageDrift(age)
		f.begunBy.Our -= age - ageDrift(age)
		f.begunBy.Node -= age - ageDrift(age)
	}
}

// ageDrift is by how much a session's age may be wrong: its node counts seconds to
// 200 in a million.
func ageDrift(age int64) int64 { return age / 5000 }

// knows notes whether the event is surely of after the beginning of a session: it
// is of no former one with the id.
func (f *fact) knows(s *table.Session) {
	f.known = f.Order != 0 && s.Order != 0 || clock.Before(s.BegunBy, f.lo)
}

// hold is when its session held the addresses that the event names.
func (f *fact) hold() table.Hold { return table.Hold{By: f.hi, At: f.lo} }

// holdOf is hold of one of them, which the session may have had before.
func (f *fact) holdOf(k index.Key) table.Hold {
	h := f.hold()
	for i := range f.earlier {
		if f.earlier[i].Key == k {
			h.By = clock.Sooner(h.By, f.earlier[i].By)
		}
	}
	return h
}

// identity is whom the event names.
func (f *fact) identity() binding.Subscriber {
	return binding.Subscriber{MSISDN: f.MSISDN, IMSI: f.IMSI, IMEI: f.IMEI}
}

// signalled reports that signalling said so, and to us: another site looks for
// its numbers itself, and the sweep sees to what was loaded.
func (f *fact) signalled() bool {
	return f.Source != binding.SourceFeed && f.Source != binding.SourceNone
}

// own is a fact of ours: what the sweep, an operator or the directory causes.
func own(now int64, why string) *fact {
	return &fact{Event: &binding.Event{}, now: now, arr: now, at: now, sent: now, why: why}
}

// admitted are the keys of addresses that a session may hold. refused says why,
// if some were refused.
type admitted struct {
	keys    []index.Key
	refused Outcome
}

// admit turns the addresses that an event names into keys, which hold until it is
// asked for another APN.
func (r *rules) admit(f *fact, apn string) admitted {
	if f.got.refused == "" || f.apn != apn {
		f.apn, f.got = apn, r.admitted(f, apn, f.Addrs, r.keys[:0])
		r.keys = f.got.keys[:0:cap(f.got.keys)]
	}
	return f.got
}

// admitted adds to a list the keys of addresses: rules T10 and T11, and no more
// than one session may hold.
func (r *rules) admitted(f *fact, apn string, addrs []binding.Address, keys []index.Key) admitted {
	if len(addrs) == 0 {
		return admitted{refused: Applied}
	}
	set, got := r.m.Domains.Load(), admitted{keys: keys, refused: Applied}
	for _, addr := range addrs {
		canonical, err := binding.NewAddress(addr.Prefix)
		d, others := set.Of(apn, canonical.Prefix)
		if f.Source == binding.SourceFeed {
			d, others = set.Named(f.Domain), nil
		}
		switch {
		case d == nil:
			for _, other := range others {
				r.places.inSome(nil, table.AppendKeys(nil, other, canonical), f)
			}
			if got.refused != RefusedDomain {
				got.refused = r.counters.outcome(countRefusedDomain, RefusedDomain)
			}
			continue
		case err != nil || !d.Has(canonical.Prefix) || len(got.keys) > table.MaxHolds:
			got.refused = r.counters.outcome(countRefusedPool, RefusedPool)
			continue
		case f.Source != binding.SourceFeed && d.TooWide(canonical.Prefix):
			got.refused = r.counters.outcome(countRefusedWide, RefusedWide)
			continue
		}
		canonical.PortLow, canonical.PortHigh = addr.PortLow, addr.PortHigh
		got.keys = table.AppendKeys(got.keys, d.ID, canonical)
	}
	return got
}
