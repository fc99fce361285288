package binding

import (
	"sync/atomic"

	"github.com/simbind/simbind/binding/index"
)

// An arbiter applies events to the memory by the rules of truth (rules.go). It
// is the working half of the Registry: one goroutine, no I/O, no clock of its
// own.
type arbiter struct {
	m       *memory
	times   *times
	domains atomic.Pointer[domainSet]

	nodeIDs   map[nodeKey]uint16 // owned by the writer
	nodeNames atomic.Pointer[nodeNames]
	apnIDs    map[string]uint16
	apnNames  atomic.Pointer[[]string]
	domainIDs map[string]uint16

	seq        uint64 // of the last change
	batch      *pending
	directory  directory
	tombs      tombstones
	savedTrust [sourceCount]int64 // what the journal knows, see saveTrust
	evict      uint32             // where the search for an idle subscriber goes on
	counters   *counters
}

// A fact is an event with what the arbiter needs at hand.
type fact struct {
	*Event
	now  int64 // unix ms, our clock
	t    int64 // unix ms, the network's time
	late int64 // ms that the truth may be later than t
	kept int64 // ms that it is older than any reordering explains, zero if it is not
	node uint16
	key  [2]uint64
	why  string
	new  bool // the event made its session
	old  bool // it comes from the journal: what it changed is known
}

// An Outcome is what became of an event, in words for a trace.
type Outcome string

// The outcomes.
const (
	Applied          Outcome = "applied"
	Late             Outcome = "late"
	Duplicate        Outcome = "duplicate"
	OneContext       Outcome = "one of several contexts ended"
	RefusedPool      Outcome = "refused: address outside the pools"
	RefusedDomain    Outcome = "refused: no domain for the APN"
	RefusedCapacity  Outcome = "refused: capacity"
	RefusedNode      Outcome = "refused: too many nodes"
	RefusedMalformed Outcome = "refused: malformed event"
)

func newArbiter(c Config, m *memory, cs *counters) *arbiter {
	a := &arbiter{
		m: m, times: newTimes(c), counters: cs, batch: &pending{},
		nodeIDs: map[nodeKey]uint16{}, apnIDs: map[string]uint16{}, domainIDs: map[string]uint16{},
		tombs: tombstones{limit: c.Tombstones}, directory: directory{resolve: c.Resolve, doubt: c.Doubt, learn: c.Learn},
	}
	a.nodeNames.Store(&nodeNames{{}})
	a.apnNames.Store(&[]string{""})
	return a
}

// apply decides about one event. It is the only entry for what sources say.
func (a *arbiter) apply(ev *Event, now int64) Outcome {
	switch ev.Kind {
	case NewsLost:
		return a.missed(now)
	case NumberKnown:
		return a.numberKnown(ev, now)
	}
	f, ok := a.fact(ev, now)
	if !ok {
		return RefusedMalformed
	}
	if f.node = a.nodeID(ev.Source, ev.Node); f.node == 0 {
		return RefusedNode
	}
	a.hear(f)
	if ev.Source == SourceFeed {
		return a.follow(f)
	}
	switch ev.Kind {
	case SessionStart, SessionUpdate:
		return a.hold(f)
	case SessionStop:
		return a.stop(f)
	case NodeRestart:
		return a.restart(f)
	default:
		return a.transport(f)
	}
}

func (a *arbiter) fact(ev *Event, now int64) (*fact, bool) {
	f := &fact{Event: ev, now: now, t: now, late: ev.Slack.Milliseconds()}
	if !ev.Time.IsZero() {
		f.t = ev.Time.UnixMilli()
	} else if !ev.Arrived.IsZero() {
		f.t = ev.Arrived.UnixMilli()
	}
	ofSession := ev.Kind == SessionStart || ev.Kind == SessionUpdate || ev.Kind == SessionStop
	switch {
	case ev.Node == "" || ev.Source == SourceNone || ev.Source >= sourceCount:
		return nil, false
	case ev.Kind < SessionStart || ev.Kind > NodeUp && ev.Source != SourceFeed || ev.Kind > NodeBehind || ofSession && ev.Session == "":
		return nil, false
	case !ev.Doubt.IsDoubt():
		return nil, false
	case f.t <= 0 || f.t > mask48 || f.late < 0 || ev.Age < 0:
		return nil, false
	case len(ev.Addrs) > maxHolds || len(ev.Gone) > maxHolds:
		return nil, false
	}
	// What is older than any reordering was kept for long, or its node's clock
	// is behind: its order against what was heard since cannot be told (T2).
	if heard := f.heard(); heard-f.t > maxReorder.Milliseconds() {
		f.kept = heard - f.t
		f.late = max(f.late, f.kept)
	}
	if ofSession {
		f.key = newSessionKey(ev.Source, ev.Node, ev.Session)
	}
	f.why = whys[ev.Kind]
	return f, true
}

// heard is when the event arrived, by our clock.
func (f *fact) heard() int64 {
	if f.Arrived.IsZero() {
		return f.now
	}
	return f.Arrived.UnixMilli()
}

// whys are the words of Change.Why for what events cause.
var whys = [...]string{SessionStart: "start", SessionUpdate: "update", SessionStop: "stop", NodeRestart: "node-restart", NodeBehind: ""}

// nodeID finds or makes the node; zero when there are too many.
func (a *arbiter) nodeID(source Source, name string) uint16 {
	k := nodeKey{source, name}
	if id, ok := a.nodeIDs[k]; ok {
		return id
	}
	names := *a.nodeNames.Load()
	if len(names) > maxNodes {
		return 0
	}
	id := uint16(len(names))
	a.m.storeNode(id, nodeEpoch, 1)
	a.m.storeNode(id, nodeSource, uint64(source))
	grown := append(names[:len(names):len(names)], k)
	a.nodeIDs[k] = id
	a.nodeNames.Store(&grown)
	a.saveNode(id)
	return id
}

// apnID finds or makes the number of an APN. Past the limit an APN has no
// name; its domain was chosen before.
func (a *arbiter) apnID(apn string) uint16 {
	if id, ok := a.apnIDs[apn]; ok || apn == "" {
		return id
	}
	names := *a.apnNames.Load()
	if len(names) > maxAPNs {
		return 0
	}
	id := uint16(len(names))
	grown := append(names[:len(names):len(names)], apn)
	a.apnIDs[apn] = id
	a.apnNames.Store(&grown)
	a.batch.APNs = append(a.batch.APNs, NameRow{ID: id, Name: apn})
	return id
}

func (a *arbiter) apnName(id uint16) string {
	if names := *a.apnNames.Load(); int(id) < len(names) {
		return names[id]
	}
	return ""
}

// setDomains replaces the address domains. A domain keeps its number for as
// long as the journal lives.
func (a *arbiter) setDomains(domains []Domain) {
	idOf := func(name string) uint16 {
		id, ok := a.domainIDs[name]
		if !ok {
			id = uint16(len(a.domainIDs) + 1)
			a.domainIDs[name] = id
			a.batch.Domains = append(a.batch.Domains, NameRow{ID: id, Name: name})
		}
		return id
	}
	names := map[uint16]string{}
	set := newDomainSet(domains, idOf, names)
	for name, id := range a.domainIDs {
		names[id] = name
	}
	a.domains.Store(set)
}

// admit turns the addresses of an event into keys: rules T10 and T11. The
// second result says why, when addresses were refused.
func (a *arbiter) admit(f *fact, apn string, addrs []Address) ([]index.Key, Outcome) {
	if len(addrs) == 0 {
		return nil, Applied
	}
	d, ok := a.domains.Load().forEvent(f.Event, apn)
	if !ok {
		a.counters.add(countRefusedDomain, 1)
		return nil, RefusedDomain
	}
	var keys []index.Key
	refused := Applied
	for _, addr := range addrs {
		canonical, err := NewAddress(addr.Prefix)
		if err != nil || !d.has(canonical.Prefix) || len(keys) > maxHolds {
			a.counters.add(countRefusedPool, 1)
			refused = RefusedPool
			continue
		}
		canonical.PortLow, canonical.PortHigh = addr.PortLow, addr.PortHigh
		keys = append(keys, keysOf(d.id, canonical)...)
	}
	return keys, refused
}
