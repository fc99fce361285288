package registry

import (
	"encoding/binary"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// nodes knows the owners of sessions: by which names each goes, what its clock
// says, and when it restarted. A node is what one owner names so: another owner
// that uses the name is another node.
type nodes struct {
	*core
	ids     map[table.NodeName]uint16 // without Plain
	plain   map[table.NodeName]uint16 // known before owners were, and not claimed by one yet
	states  map[uint16]*nodeState     // by root
	members map[uint16][]uint16       // other names of a root
	noName  map[uint16]bool           // names that came with several nodes
	apns    map[string]uint16
	trust   [binding.Sources]int64 // what the journal knows of SetTrust, see saveTrust
}

// A nodeState is what the writer alone knows of a node.
type nodeState struct {
	clock  clock.Clock
	origin uint32 // Origin-State-Id
	// contradicted is when (unix ms) the node last told a smaller
	// Origin-State-Id on the way by which it had told a greater one: two that use
	// one name. For a while none of them tells of a restart.
	contradicted int64
}

func newNodes(c *core) *nodes {
	return &nodes{
		core: c, ids: map[table.NodeName]uint16{}, plain: map[table.NodeName]uint16{}, states: map[uint16]*nodeState{},
		members: map[uint16][]uint16{}, noName: map[uint16]bool{}, apns: map[string]uint16{},
	}
}

// hear finds whose event it is, notes that it spoke, and bounds its moment; false
// when there are too many nodes.
func (n *nodes) hear(f *fact) bool {
	f.node = n.id(table.NodeName{Source: f.Source, Owner: f.Owner, Name: f.Node})
	if f.node == 0 {
		return false
	}
	if f.Also != "" && f.Also != f.Node {
		n.join(f)
	}
	f.root = n.m.Root(f.node)
	n.m.SetNode(f.root, table.NodeHeard, uint64(f.now))
	n.m.SetNode(f.root, table.NodeEvents, n.m.Node(f.root, table.NodeEvents)+1)
	n.overhear(f)
	// A followed site is heard by its heartbeat alone.
	if f.Source == binding.SourceFeed {
		return true
	}
	if f.Kind == binding.NodeDown || f.Kind == binding.NodeUp {
		return true
	}
	if n.m.Node(f.root, table.NodeDown) != 0 {
		n.m.SetNode(f.root, table.NodeDown, 0)
		n.save(f.root)
	}
	n.place(f)
	return true
}

// place bounds the event's moment, and notes what that taught of the clock.
func (n *nodes) place(f *fact) {
	st := n.state(f.root)
	f.place(&st.clock, n.limits)
	if e := f.hi.Epoch; e != 0 {
		n.setSlot(f.root, e, st.clock.SlotSince(e))
	}
	if st.clock.Changed() {
		n.save(f.root)
	}
	ms, known := st.clock.Offset()
	n.m.SetOffset(f.root, ms, known)
	what := n.m.Node(f.root, table.NodeWhat)
	now := what &^ table.NodeTimeless
	if st.clock.TellsNoTime() {
		now |= table.NodeTimeless
	}
	if now != what {
		n.m.SetNode(f.root, table.NodeWhat, now)
	}
}

// setSlot says since when a slot of the clock's epochs has its meaning, for all
// names of the node.
func (n *nodes) setSlot(root uint16, slot uint8, since int64) {
	n.m.SetSlotSince(root, slot, max(since, n.m.SlotSince(root, slot)))
	for _, id := range n.members[root] {
		n.m.SetSlotSince(id, slot, max(since, n.m.SlotSince(id, slot)))
	}
}

func (n *nodes) state(root uint16) *nodeState {
	st := n.states[root]
	if st == nil {
		st = &nodeState{}
		n.states[root] = st
	}
	return st
}

// id finds or makes the node; zero when there are too many.
func (n *nodes) id(name table.NodeName) uint16 {
	if id, ok := n.ids[name]; ok {
		return id
	}
	// A node that was known before owners were belongs to who brings it first.
	if id, ok := n.plain[table.NodeName{Source: name.Source, Name: name.Name}]; ok && name.Owner != "" {
		delete(n.plain, table.NodeName{Source: name.Source, Name: name.Name})
		names := append(table.NodeNames(nil), *n.m.NodeNames.Load()...)
		names[id].Owner, names[id].Plain = name.Owner, true
		n.ids[name] = id
		delete(n.ids, table.NodeName{Source: name.Source, Name: name.Name})
		n.m.NodeNames.Store(&names)
		n.save(id)
		return id
	}
	names := *n.m.NodeNames.Load()
	if id := names.Fold(name); id != 0 {
		if len(n.ids) < 2*table.MaxNodes {
			n.ids[name] = id
		}
		return id
	}
	if len(names) > table.MaxNodes {
		return 0
	}
	id := uint16(len(names))
	n.m.SetNode(id, table.NodeWhat, uint64(name.Source))
	grown := append(names[:len(names):len(names)], name)
	n.ids[name] = id
	n.m.NodeNames.Store(&grown)
	n.save(id)
	return id
}

// join takes a second name of the node in, which came in one message with the
// first. A name that comes with several nodes is none: a proxy's address, say.
func (n *nodes) join(f *fact) {
	also := n.id(table.NodeName{Source: f.Source, Owner: f.Owner, Name: f.Also})
	root := n.m.Root(f.node)
	if also == 0 || also == root || n.m.Root(also) == root || n.noName[also] {
		return
	}
	if n.m.Root(also) != also {
		n.part(also)
		return
	}
	if len(n.members[also]) > 0 {
		return // it goes by other names itself: it is a node of its own
	}
	n.alias(also, root, f.now+1)
	n.save(also)
	n.save(root)
}

// alias makes one node another name of root. Its sessions stay its own, with
// bounds by what was taken for a clock of its own, which say no more from now
// on; they count for the one node from now on.
func (n *nodes) alias(id, root uint16, since int64) {
	n.m.SetNode(id, table.NodeSame, uint64(root))
	n.members[root] = append(n.members[root], id)
	for slot := range uint8(clock.Slots) {
		n.m.SetSlotSince(id, slot, max(since, n.m.SlotSince(root, slot)))
	}
	if by, told := n.m.RestartBy(id); told {
		n.raise(root, n.m.RestartFrom(id), by, int64(n.m.Node(id, table.NodeRestart)))
	}
	delete(n.states, id)
}

// part gives up a name that came with several nodes. Its sessions go with it, with
// bounds by the clock that was taken for its own.
func (n *nodes) part(id uint16) {
	root := n.m.Root(id)
	list := n.members[root]
	for i := range list {
		if list[i] == id {
			n.members[root] = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	n.noName[id] = true
	n.m.SetNode(id, table.NodeSame, 0)
	if by, told := n.m.RestartBy(root); told {
		n.raise(id, clock.Bound{Our: n.m.RestartFrom(root).Our}, clock.Bound{Our: by.Our}, int64(n.m.Node(root, table.NodeRestart)))
	}
	n.m.SetNode(id, table.NodeRestarts, n.m.Node(root, table.NodeRestarts))
	// Of its own clock nothing is known, but that this is no first contact, and that no
	// slot is new.
	n.states[id] = &nodeState{clock: clock.Restore(clock.State{Used: 1<<(clock.Slots-1) - 1})}
	n.save(id)
}

// find finds the sessions that an event may be of, by every name of its node, and
// gives it the key that a new one would have: by the name that it gives, which may
// turn out to be none of this node's.
func (n *nodes) find(f *fact) incarnations {
	names := n.m.NodeNames.Load()
	look := func(node uint16) table.Incarnations {
		name := names.Of(node)
		key := table.NewSessionKey(&name, f.Session)
		if node == f.node {
			f.key = key
		}
		return n.m.FindIncarnations(key)
	}
	var in incarnations
	in.own = look(f.node)
	in.add(in.own)
	if f.root != f.node {
		in.add(look(f.root))
	}
	for _, node := range n.members[f.root] {
		if node != f.node {
			in.add(look(node))
		}
	}
	return in
}

// restart notes a restart of a node: rule T7, in O(1). What it ended the sweep
// frees and publishes.
func (n *nodes) restart(f *fact, from, by clock.Bound) {
	n.raise(f.root, from, by, f.at)
	n.m.SetNode(f.root, table.NodeRestarts, n.m.Node(f.root, table.NodeRestarts)+1)
	n.counters.add(countRestarts)
	n.save(f.root)
}

// raise moves the bounds of a node's last restart on.
func (n *nodes) raise(root uint16, from, by clock.Bound, at int64) {
	if old, told := n.m.RestartBy(root); told {
		by, from = clock.Upper(old, by), clock.Later(n.m.RestartFrom(root), from)
	}
	n.m.SetNode(root, table.NodeRestartFrom, from.Pack())
	n.m.SetNode(root, table.NodeRestartBy, by.Pack())
	n.m.SetUnswept(max(by.Our, n.m.Unswept()+1))
	n.m.SetNode(root, table.NodeRestart, max(n.m.Node(root, table.NodeRestart), uint64(at)))
}

// mistrust is how long a node's Origin-State-Ids say nothing after living
// traffic has contradicted them.
const mistrust = 3600 * 1000

// originState takes the Origin-State-Id of an event of a session: a greater one
// than before tells of a restart before it, a smaller one that it was on its way
// since before one (RFC 6733 section 8.16). Two senders that use one name tell
// greater and smaller ones in turn: then neither counts.
func (n *nodes) originState(f *fact) (stale bool) {
	st := n.state(f.root)
	switch {
	case f.OriginState == 0 || f.OriginState == st.origin:
		return false
	case st.contradicted != 0 && f.now-st.contradicted < mistrust:
		st.contradicted = f.now
		return false
	case f.OriginState < st.origin:
		if by, told := n.m.RestartBy(f.root); !told || clock.Before(by, f.lo) {
			st.contradicted = f.now
			n.counters.add(countContradictedState)
			return false
		}
		return true
	}
	known := st.origin != 0
	st.origin = f.OriginState
	if known {
		by := f.hi
		by.Our, by.Node = by.Our-1, by.Node-1 // before this very event
		n.restart(f, clock.Bound{}, by)
		return false
	}
	n.save(f.root)
	return false
}

// overhear notes whether a node is only overheard. One that speaks to us as
// well repeats what we miss, and is not.
func (n *nodes) overhear(f *fact) {
	was := n.m.Node(f.root, table.NodeWhat)
	now := was
	switch {
	case !f.Observed:
		now = now&^table.NodeObserved | table.NodeDirect
	case was&(table.NodeObserved|table.NodeDirect) == 0:
		now = was&0xFFFF | table.NodeObserved | uint64(f.now)<<16
	}
	if now == was {
		return
	}
	n.m.SetNode(f.root, table.NodeWhat, now)
	if (now^was)&table.NodeObserved != 0 {
		n.save(f.root)
	}
}

// save has the node's row written.
func (n *nodes) save(id uint16) {
	k := n.m.NodeNames.Load().Of(id)
	row := binding.NodeRow{
		ID: id, Source: k.Source, Owner: k.Owner, Name: k.Name, Restarts: n.m.Node(id, table.NodeRestarts),
		RestartFrom: n.m.Node(id, table.NodeRestartFrom), RestartBy: n.m.Node(id, table.NodeRestartBy),
		Restart: int64(n.m.Node(id, table.NodeRestart)), SameAs: uint16(n.m.Node(id, table.NodeSame)), NoName: n.noName[id],
		Plain: k.Plain, Observed: n.m.Node(id, table.NodeWhat)&table.NodeObserved != 0,
		Down: int64(n.m.Node(id, table.NodeDown)), Trust: n.m.Trust(k.Source),
	}
	if st := n.states[id]; st != nil {
		row.OriginState = st.origin
		row.Clock = appendClock(nil, st.clock.Keep())
	}
	n.batch.Nodes = append(n.batch.Nodes, row)
}

// load takes a stored node in. Clock and restart are as before the restart of
// ours.
func (n *nodes) load(r *binding.NodeRow) error {
	names := *n.m.NodeNames.Load()
	for int(r.ID) >= len(names) {
		names = append(names, table.NodeName{})
	}
	name := table.NodeName{Source: r.Source, Owner: r.Owner, Name: r.Name}
	n.ids[name] = r.ID
	if r.Former {
		n.plain[name] = r.ID
	}
	name.Plain = r.Plain
	names[r.ID] = name
	n.m.NodeNames.Store(&names)
	what := uint64(r.Source)
	if r.Observed {
		what |= table.NodeObserved
	}
	n.m.SetNode(r.ID, table.NodeWhat, what)
	n.m.SetNode(r.ID, table.NodeRestarts, r.Restarts)
	n.m.SetNode(r.ID, table.NodeRestartFrom, r.RestartFrom)
	n.m.SetNode(r.ID, table.NodeRestartBy, r.RestartBy)
	n.m.SetUnswept(max(n.m.Unswept(), clock.Unpack(r.RestartBy).Our)) // the sweep may not have been through
	n.m.SetNode(r.ID, table.NodeRestart, uint64(r.Restart))
	n.m.SetNode(r.ID, table.NodeTold, uint64(r.Restart))
	n.m.SetNode(r.ID, table.NodeDown, uint64(r.Down))
	if r.Source < binding.Sources && r.Trust > n.m.Trust(r.Source) {
		n.m.SetTrust(r.Source, r.Trust)
		n.trust[r.Source] = r.Trust
	}
	if r.NoName {
		n.noName[r.ID] = true
	}
	if len(r.Clock) > 0 {
		kept, err := decodeClock(r.Clock)
		if err != nil {
			return err
		}
		st := n.state(r.ID)
		st.clock, st.origin = clock.Restore(kept), r.OriginState
		for slot := range uint8(clock.Slots) {
			n.m.SetSlotSince(r.ID, slot, st.clock.SlotSince(slot))
		}
	}
	if r.SameAs != 0 {
		n.m.SetNode(r.ID, table.NodeSame, uint64(r.SameAs))
	}
	return nil
}

// loaded joins the names that belong together, once all are known.
func (n *nodes) loaded(now int64) {
	for i := range *n.m.NodeNames.Load() {
		id := uint16(i)
		if root := n.m.Root(id); root != id {
			n.members[root] = append(n.members[root], id)
			for slot := range uint8(clock.Slots) {
				// When they were joined is not kept: bounds of before say no more.
				n.m.SetSlotSince(id, slot, max(now, n.m.SlotSince(root, slot)))
			}
		}
	}
}

// saveTrust keeps since when which sources are trusted, where that has changed.
func (n *nodes) saveTrust() {
	for s := binding.SourceGx; s < binding.Sources; s++ {
		floor := n.m.Trust(s)
		if floor == n.trust[s] {
			continue
		}
		n.trust[s] = floor
		for id, k := range *n.m.NodeNames.Load() {
			if k.Source == s {
				n.save(uint16(id))
			}
		}
	}
}

// appendClock and decodeClock are how a node's row keeps its clock.
func appendClock(b []byte, s clock.State) []byte {
	b, err := binary.Append(b, binary.LittleEndian, s)
	if err != nil {
		panic("registry: clock.State is not of fixed size: " + err.Error())
	}
	return b
}

func decodeClock(b []byte) (s clock.State, err error) {
	_, err = binary.Decode(b, binary.LittleEndian, &s)
	return s, err
}

// apn finds or makes the number of an APN. Past the limit an APN has no name;
// its domain was chosen before.
func (n *nodes) apn(apn string) uint16 {
	if id, ok := n.apns[apn]; ok || apn == "" {
		return id
	}
	names := *n.m.APNNames.Load()
	if len(names) > table.MaxAPNs {
		return 0
	}
	id := uint16(len(names))
	grown := append(names[:len(names):len(names)], apn)
	n.apns[apn] = id
	n.m.APNNames.Store(&grown)
	n.batch.APNs = append(n.batch.APNs, binding.NameRow{ID: id, Name: apn})
	return id
}
