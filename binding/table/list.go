package table

import (
	"fmt"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/index"
)

// MaxSelection bounds the Limit of a Selection.
const MaxSelection = 10000

// Sessions lists what sessions hold, by one attribute. By number or IMSI it is
// quick; by APN, node or domain it reads every session, from the cursor on
// until the limit. What changes meanwhile may be missed or seen twice.
func (r *Reader) Sessions(sel binding.Selection) ([]binding.Binding, uint64, error) {
	if sel.Limit < 1 || sel.Limit > MaxSelection {
		return nil, 0, fmt.Errorf("limit %d is not within 1 to %d", sel.Limit, MaxSelection)
	}
	switch sel.By {
	case "msisdn":
		m, err := binding.ParseMSISDN(sel.Value)
		if err != nil {
			return nil, 0, err
		}
		id, ok := r.m.FindSubscriber(binding.Subscriber{MSISDN: m})
		return r.ofSubscriber(id, ok, sel.Limit, func(b *binding.Binding) bool { return b.MSISDN == m }), 0, nil
	case "imsi":
		i, err := binding.ParseIMSI(sel.Value)
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

func (r *Reader) byIMSI(imsi binding.IMSI, limit int) []binding.Binding {
	var list []binding.Binding
	r.m.EachOfIMSI(imsi, func(id uint32) {
		list = append(list, r.ofSubscriber(id, true, limit-len(list), func(b *binding.Binding) bool { return b.IMSI == imsi })...)
	})
	return list
}

// ofSubscriber walks a subscriber's sessions. The list may change on the way;
// each binding is true by itself.
func (r *Reader) ofSubscriber(subID uint32, ok bool, limit int, want func(*binding.Binding) bool) []binding.Binding {
	list := []binding.Binding{}
	if !ok {
		return list
	}
	id := r.m.Subscriber(subID).Head
	for range r.m.Sessions.Cap() {
		if id == 0 || len(list) >= limit {
			break
		}
		s := r.m.Session(id)
		if s.Sub != subID {
			break
		}
		if !s.Ended() {
			list = r.appendHolds(list, id, &s, limit, want)
		}
		id = s.Next
	}
	return list
}

// appendHolds adds what a session holds and is wanted.
func (r *Reader) appendHolds(list []binding.Binding, id uint32, s *Session, limit int, want func(*binding.Binding) bool) []binding.Binding {
	now := r.now().UnixMilli()
	c := s.Claim
	for range MaxHolds {
		if c == 0 || len(list) >= limit {
			break
		}
		cl := r.m.Claim(c)
		if cl.Session != id {
			break
		}
		c = cl.NextOfSession
		if b, ok := r.bindingAt(cl.Key, now); ok && want(&b) {
			list = append(list, b)
		}
	}
	return list
}

func (r *Reader) bindingAt(k index.Key, now int64) (binding.Binding, bool) {
	var v sighting
	ok := r.m.Read(k, func(h Holding) {
		v = sighting{key: k, h: h}
		if h.State != None {
			r.m.appraise(&v, now, r.times, true)
		}
	})
	if !ok || v.h.State == None {
		return binding.Binding{}, false
	}
	return r.binding(&v), true
}

// Read has fn look at what is held at a key, and again until what it saw was of
// one moment; false if nothing is held. Any goroutine may call it.
func (m *Memory) Read(k index.Key, fn func(Holding)) bool {
	for {
		value, ref, ok := m.Addrs.Get(k)
		if !ok {
			return false
		}
		fn(UnpackHolding(value))
		if m.Addrs.Valid(ref) {
			return true
		}
	}
}

func (r *Reader) filter(sel binding.Selection) (func(*Session) bool, error) {
	switch sel.By {
	case "":
		return func(*Session) bool { return true }, nil
	case "apn":
		apn := binding.CanonicalAPN(sel.Value)
		return func(s *Session) bool { return r.m.APN(s.APN) == apn }, nil
	case "node":
		return func(s *Session) bool {
			node, site := r.m.SaidBy(s)
			return node == sel.Value || site == sel.Value
		}, nil
	case "domain":
		return func(s *Session) bool {
			return s.Claim != 0 && r.m.Domains.Load().Names[r.m.Claim(s.Claim).Key.Domain()] == sel.Value
		}, nil
	}
	return nil, fmt.Errorf("cannot select sessions by %q: use msisdn, imsi, apn, node or domain", sel.By)
}

func (r *Reader) scan(sel binding.Selection, want func(*Session) bool) ([]binding.Binding, uint64, error) {
	list := []binding.Binding{}
	limit := uint64(r.m.Sessions.Limit())
	for id := sel.Cursor + 1; id <= limit; id++ {
		if r.m.Sessions.Load(uint32(id), 0) == 0 {
			continue
		}
		s := r.m.Session(uint32(id))
		if s.Ended() || !want(&s) {
			continue
		}
		whole := r.appendHolds(list, uint32(id), &s, len(list)+MaxHolds, func(*binding.Binding) bool { return true })
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

// binding describes a sighting for people.
func (r *Reader) binding(v *sighting) binding.Binding {
	b := binding.Binding{
		Subscriber: v.who, Addr: AddressOf(v.key), Domain: r.m.Domains.Load().Names[v.key.Domain()],
		APN: r.m.APN(v.owner.APN), RAT: v.owner.RAT,
		Sources: v.sources, Reason: v.reason, Version: v.h.Version,
		State: StateOf(v.verdict), Since: Millis(v.h.Since),
	}
	b.Node, b.Site = r.m.SaidBy(&v.owner)
	b.MSISDN = v.h.MSISDN
	if v.h.State == Conflict {
		b.Subscriber = binding.Subscriber{} // two say who it is: nobody knows
	}
	if v.seen != 0 {
		b.Seen = Millis(v.seen)
	}
	if v.seen != 0 && b.Site == "" {
		b.Expires = Millis(v.owner.Seen + int64(v.owner.Lease)*1000)
	}
	return b
}

// StateOf is the state that goes with a verdict on what is held.
func StateOf(v binding.Verdict) binding.State {
	switch v {
	case binding.Match:
		return binding.StateBound
	case binding.Ambiguous:
		return binding.StateAmbiguous
	case binding.Stale:
		return binding.StateStale
	}
	return binding.StateUnknown
}

// Millis is the time of a count of milliseconds; zero stays zero.
func Millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// APN is the name of an APN by its number.
func (m *Memory) APN(id uint16) string {
	if names := *m.APNNames.Load(); int(id) < len(names) {
		return names[id]
	}
	return ""
}

// SaidBy names the node that a session is of and, if another site told us, that
// site.
func (m *Memory) SaidBy(s *Session) (node, site string) {
	k := m.NodeNames.Load().Of(m.Root(s.Node))
	if k.Source != binding.SourceFeed {
		return k.Name, ""
	}
	return m.APN(s.Contexts), k.Name
}

// Nodes lists the owners of sessions that were ever heard of. What is another
// name of a node is listed with it.
func (r *Reader) Nodes() []binding.Node {
	m, now := r.m, r.now().UnixMilli()
	list := []binding.Node{}
	at := map[uint16]int{}
	names := *m.NodeNames.Load()
	for i, k := range names {
		id := uint16(i)
		if k.Name == "" || m.Root(id) != id {
			continue
		}
		at[id] = len(list)
		what := m.Node(id, NodeWhat)
		n := binding.Node{
			Name: k.Name, Owner: k.Owner, Source: k.Source, Up: !m.lost(id, now, 0), Since: Millis(int64(m.Node(id, NodeDown))),
			Heard: Millis(int64(m.Node(id, NodeHeard))), Restart: Millis(int64(m.Node(id, NodeRestart))), Restarts: m.Node(id, NodeRestarts),
			Observed: what&NodeObserved != 0, Degraded: Millis(m.Degraded(id, now, r.times)), Timeless: what&NodeTimeless != 0,
			Sessions: int(m.Node(id, NodeSessions)), Events: m.Node(id, NodeEvents),
		}
		if offset := m.Node(id, NodeOffset); offset != 0 {
			n.Offset, n.OffsetKnown = time.Duration(int64(offset)-offsetBase)*time.Millisecond, true
		}
		list = append(list, n)
	}
	for i, k := range names {
		if at, ok := at[m.Root(uint16(i))]; ok && k.Name != "" && m.Root(uint16(i)) != uint16(i) {
			n := &list[at]
			n.Also = append(n.Also, k.Name)
			n.Sessions += int(m.Node(uint16(i), NodeSessions))
		}
	}
	return list
}

// offsetBase keeps an offset apart from none.
const offsetBase = 1 << 62

// SetOffset notes how far a node's clock is ahead of ours (ms). Writer only.
func (m *Memory) SetOffset(id uint16, ms int64, known bool) {
	w := uint64(0)
	if known {
		w = uint64(ms + offsetBase)
	}
	m.SetNode(id, NodeOffset, w)
}

// NumberOf is the number that the SIM was last seen with in signalling, zero if
// there is none, or more than one. Any goroutine may call it.
func (m *Memory) NumberOf(imsi binding.IMSI) (number binding.MSISDN) {
	n := 0
	m.EachOfIMSI(imsi, func(subID uint32) {
		// Who is not the writer may find a record that is another SIM's by now.
		if sub := m.Subscriber(subID); sub.IMSI == imsi && sub.MSISDN != 0 && sub.SIMSince != 0 {
			number = sub.MSISDN
			n++
		}
	})
	if n != 1 {
		return 0
	}
	return number
}

// HasSession reports that a session of the SIM goes on. Any goroutine may call
// it.
func (m *Memory) HasSession(imsi binding.IMSI) (has bool) {
	var few [8]uint32
	for _, id := range m.SessionsOf(imsi, few[:0]) {
		s := m.Session(id)
		has = has || s.IMSI == imsi && !s.Ended()
	}
	return has
}
