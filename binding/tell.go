package binding

import "github.com/simbind/simbind/binding/index"

// What is published about an address is its holder and whether that can be
// relied on. Some of the latter changes without an event: a lease runs out, a
// node is lost for too long, or is heard again. Readers see it at once; the
// sweep publishes it. So whoever applies all changes of a site knows what the
// site would answer, as of one round of the sweep ago.

// tell is the reason that a change of the address states: that of the verdict,
// but for a number that is not known, which is no doubt about the SIM.
func (a *arbiter) tell(k index.Key, h *holding, now int64) Reason {
	v := sighting{key: k, h: *h}
	a.m.appraise(&v, now, a.times, false, false)
	if v.reason == ReasonNoMSISDN {
		return ReasonBound
	}
	return v.reason
}

// tellState publishes the state of an address if it is another one than was
// told last. It returns how many changes that made.
func (a *arbiter) tellState(k index.Key, h *holding, now int64) int {
	if h.state == holdBlocked {
		return 0
	}
	told := a.tell(k, h, now)
	if told == h.told || told == ReasonEnded { // what has ended is about to be released
		return 0
	}
	o := a.open(k)
	_, who, _ := o.holder()
	o.h.told = told
	a.m.addrs.Put(k, o.h.pack())
	for _, c := range o.claims {
		a.dirty(c.session)
	}
	f := &fact{Event: &Event{}, now: now, t: now, why: "state"}
	a.emitAddress(Updated, &o, who, h.owner, f)
	return 1
}
