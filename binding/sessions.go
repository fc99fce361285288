package binding

import (
	"fmt"

	"github.com/simbind/simbind/binding/index"
)

// maxSelection bounds the Limit of a Selection.
const maxSelection = 10000

// Sessions lists what sessions hold, by one attribute. By number or IMSI it is
// quick; by APN, node or domain it reads every session, from the cursor on
// until the limit. Any goroutine may call it; what changes meanwhile may be
// missed or seen twice.
func (r *Registry) Sessions(sel Selection) ([]Binding, uint64, error) {
	if sel.Limit < 1 || sel.Limit > maxSelection {
		return nil, 0, fmt.Errorf("limit %d is not within 1 to %d", sel.Limit, maxSelection)
	}
	switch sel.By {
	case "msisdn":
		m, err := ParseMSISDN(sel.Value)
		if err != nil {
			return nil, 0, err
		}
		id, ok := r.m.findSubscriber(Subscriber{MSISDN: m})
		return r.ofSubscriber(id, ok, sel.Limit, func(b *Binding) bool { return b.MSISDN == m }), 0, nil
	case "imsi":
		i, err := ParseIMSI(sel.Value)
		if err != nil {
			return nil, 0, err
		}
		return r.byIMSI(i, sel.Limit), 0, nil
	}
	want, err := r.filter(sel)
	if err != nil {
		return nil, 0, err
	}
	return r.scan(sel, want)
}

func (r *Registry) byIMSI(imsi IMSI, limit int) []Binding {
	var list []Binding
	r.eachOfIMSI(imsi, func(id uint32) {
		list = append(list, r.ofSubscriber(id, true, limit-len(list), func(b *Binding) bool { return b.IMSI == imsi })...)
	})
	return list
}

// ofSubscriber walks a subscriber's sessions. The list may change on the way;
// each binding is true by itself.
func (r *Registry) ofSubscriber(subID uint32, ok bool, limit int, want func(*Binding) bool) []Binding {
	list := []Binding{}
	if !ok {
		return list
	}
	id := r.m.subscriber(subID).head
	for range limit {
		if id == 0 || len(list) >= limit {
			break
		}
		s := r.m.session(id)
		if s.sub != subID {
			break
		}
		list = r.appendHolds(list, id, limit, want)
		id = s.next
	}
	return list
}

// appendHolds adds what a session holds and is wanted.
func (r *Registry) appendHolds(list []Binding, id uint32, limit int, want func(*Binding) bool) []Binding {
	now := r.cfg.Now().UnixMilli()
	c := uint32(r.m.sessions.Load(id, 6) >> 32)
	for range maxHolds {
		if c == 0 || len(list) >= limit {
			break
		}
		cl := r.m.claim(c)
		if cl.session != id {
			break
		}
		c = cl.nextOfSession
		if b, ok := r.bindingAt(cl.key, now); ok && want(&b) {
			list = append(list, b)
		}
	}
	return list
}

func (r *Registry) bindingAt(k index.Key, now int64) (Binding, bool) {
	var v sighting
	ok := r.m.read(k, func(h holding) {
		v = sighting{key: k, h: h}
		r.m.appraise(&v, now, r.times, r.warming.Load(), true)
	})
	if !ok {
		return Binding{}, false
	}
	return r.binding(&v), true
}

// read has fn look at what is held at a key, and again until what it saw was of
// one moment; false if nothing is held. Any goroutine may call it.
func (m *memory) read(k index.Key, fn func(holding)) bool {
	for {
		value, ref, ok := m.addrs.Get(k)
		if !ok {
			return false
		}
		fn(unpackHolding(value))
		if m.addrs.Valid(ref) {
			return true
		}
	}
}

func (r *Registry) filter(sel Selection) (func(*session) bool, error) {
	switch sel.By {
	case "":
		return func(*session) bool { return true }, nil
	case "apn":
		apn := canonicalAPN(sel.Value)
		return func(s *session) bool { return r.apnName(s.apn) == apn }, nil
	case "node":
		return func(s *session) bool {
			node, site := r.saidBy(s)
			return node == sel.Value || site == sel.Value
		}, nil
	case "domain":
		return func(s *session) bool {
			return s.claim != 0 && r.domains.Load().names[domainOf(r.m.claim(s.claim).key)] == sel.Value
		}, nil
	}
	return nil, fmt.Errorf("cannot select sessions by %q: use msisdn, imsi, apn, node or domain", sel.By)
}

func (r *Registry) scan(sel Selection, want func(*session) bool) ([]Binding, uint64, error) {
	list := []Binding{}
	limit := uint64(r.m.sessions.Limit())
	for id := sel.Cursor + 1; id <= limit; id++ {
		if r.m.sessions.Load(uint32(id), 0) == 0 {
			continue
		}
		s := r.m.session(uint32(id))
		if s.ended() || !want(&s) {
			continue
		}
		whole := r.appendHolds(list, uint32(id), len(list)+maxHolds, func(*Binding) bool { return true })
		switch {
		case len(whole) == sel.Limit:
			return whole, id, nil
		case len(whole) > sel.Limit && len(list) > 0:
			return list, id - 1, nil // the session goes onto the next page as a whole
		case len(whole) > sel.Limit:
			return whole[:sel.Limit], id, nil
		}
		list = whole
	}
	return list, 0, nil
}
