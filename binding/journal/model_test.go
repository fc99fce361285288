package journal

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// A model is what a journal must hold after the batches that it has been
// given: the plain twin that the tests compare with.
type model struct {
	sessions    map[binding.SessionKey]binding.SessionRow
	nodes       map[uint16]binding.NodeRow
	apns        map[uint16]binding.NameRow
	domains     map[uint16]binding.NameRow
	subscribers map[string]binding.SubscriberRow
	remains     map[string]binding.ForgottenRow
	memos       map[binding.SessionKey]binding.MemoRow
	changes     []binding.Change
	alive       int64
}

func newModel() *model {
	return &model{
		sessions: map[binding.SessionKey]binding.SessionRow{}, nodes: map[uint16]binding.NodeRow{},
		apns: map[uint16]binding.NameRow{}, domains: map[uint16]binding.NameRow{},
		subscribers: map[string]binding.SubscriberRow{}, remains: map[string]binding.ForgottenRow{},
		memos: map[binding.SessionKey]binding.MemoRow{},
	}
}

func subscriberName(s binding.Subscriber) string {
	if s.MSISDN != 0 {
		return s.MSISDN.String()
	}
	return s.IMSI.String()
}

func slotName(r binding.ForgottenRow) string { return fmt.Sprint(r.Table, r.Slot) }

func (m *model) apply(b *binding.Batch) {
	for _, r := range b.Sessions {
		r.Holds = slices.Clone(r.Holds)
		m.sessions[r.Key] = r
	}
	for _, k := range b.Forgotten {
		delete(m.sessions, k)
	}
	for _, r := range b.Nodes {
		m.nodes[r.ID] = r
	}
	for _, r := range b.APNs {
		m.apns[r.ID] = r
	}
	for _, r := range b.Domains {
		m.domains[r.ID] = r
	}
	for _, r := range b.Subscribers {
		m.subscribers[subscriberName(r.Subscriber)] = r
	}
	for _, r := range b.Remains {
		if r.At == 0 {
			delete(m.remains, slotName(r))
			continue
		}
		m.remains[slotName(r)] = r
	}
	for _, r := range b.Memos {
		if r.Gone {
			delete(m.memos, r.Key)
			continue
		}
		m.memos[r.Key] = r
	}
	m.changes = append(m.changes, b.Changes...)
	m.alive = b.Alive
}

func (m *model) seq() uint64 { return uint64(len(m.changes)) }

func (m *model) clone() *model {
	return &model{
		maps.Clone(m.sessions), maps.Clone(m.nodes), maps.Clone(m.apns), maps.Clone(m.domains),
		maps.Clone(m.subscribers), maps.Clone(m.remains), maps.Clone(m.memos), slices.Clone(m.changes), m.alive,
	}
}

// diff tells how a journal differs from the model, or nothing.
func (m *model) diff(j *Journal) string {
	got := newModel()
	l := &modelLoader{m: got}
	if err := j.Load(l); err != nil {
		return err.Error()
	}
	if l.wrong != "" {
		return l.wrong
	}
	for after := j.trimmed.Load(); ; after = got.changes[len(got.changes)-1].Seq {
		list, err := j.ReadOutbox(after, 100)
		if err != nil {
			return err.Error()
		}
		if len(list) == 0 {
			break
		}
		got.changes = append(got.changes, list...)
	}
	want := *m
	want.changes = want.changes[min(j.trimmed.Load(), m.seq()):]
	got.alive = j.Meta().Alive.UnixMilli()
	if j.Meta().Alive.IsZero() {
		got.alive = 0
	}
	return differences(got, &want)
}

func differences(got, want *model) string {
	var all []string
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		name := g.Type().Field(i).Name
		a, b := g.Field(i), w.Field(i)
		if a.Kind() != reflect.Int64 && a.Len() == 0 && b.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(exported(got, name), exported(want, name)) {
			all = append(all, fmt.Sprintf("%s: got %v, want %v", name, summary(a), summary(b)))
		}
	}
	return strings.Join(all, "; ")
}

func exported(m *model, name string) any {
	switch name {
	case "sessions":
		return m.sessions
	case "nodes":
		return m.nodes
	case "apns":
		return m.apns
	case "domains":
		return m.domains
	case "subscribers":
		return m.subscribers
	case "remains":
		return m.remains
	case "memos":
		return m.memos
	case "changes":
		return m.changes
	}
	return m.alive
}

func summary(v reflect.Value) string {
	if v.Kind() == reflect.Int64 {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%d entries", v.Len())
}

// A modelLoader collects what Load hands over and checks the order.
type modelLoader struct {
	m     *model
	stage int
	wrong string
}

func (l *modelLoader) at(stage int, what string) {
	if stage < l.stage {
		l.wrong = what + " out of order"
	}
	l.stage = stage
}

func (l *modelLoader) Node(r *binding.NodeRow) error {
	l.at(0, "node")
	l.m.nodes[r.ID] = *r
	*r = binding.NodeRow{}
	return nil
}

func (l *modelLoader) APN(r *binding.NameRow) error {
	l.at(1, "APN")
	l.m.apns[r.ID] = *r
	return nil
}

func (l *modelLoader) Domain(r *binding.NameRow) error {
	l.at(2, "domain")
	l.m.domains[r.ID] = *r
	return nil
}

func (l *modelLoader) Subscriber(r *binding.SubscriberRow) error {
	l.at(3, "subscriber")
	l.m.subscribers[subscriberName(r.Subscriber)] = *r
	return nil
}

func (l *modelLoader) Block(r *binding.BlockRow) error {
	l.wrong = "a block, which is not written any more"
	return nil
}

func (l *modelLoader) Forgotten(r *binding.ForgottenRow) error {
	l.at(4, "remains")
	l.m.remains[slotName(*r)] = *r
	return nil
}

func (l *modelLoader) Session(r *binding.SessionRow) error {
	l.at(5, "session")
	row := *r
	row.Holds = slices.Clone(r.Holds)
	if len(row.Holds) == 0 {
		row.Holds = nil
	}
	l.m.sessions[r.Key] = row
	clear(r.Holds) // the journal may not rely on what it handed out
	return nil
}

func (l *modelLoader) Memo(r *binding.MemoRow) error {
	l.at(6, "memo")
	row := *r
	row.Memo = slices.Clone(r.Memo)
	l.m.memos[r.Key] = row
	return nil
}

// A history makes random batches, small enough worlds that rows overwrite and
// delete each other.
type history struct {
	*rand.Rand
	alive int64
}

func newHistory(seed uint64) *history {
	return &history{Rand: rand.New(rand.NewPCG(seed, seed^0xABCDEF)), alive: 1_790_000_000_000}
}

func (h *history) millis() int64 { return 1_790_000_000_000 + h.Int64N(1<<40) - 1<<39 }

func (h *history) time() time.Time { return time.UnixMilli(h.millis()).UTC() }

func (h *history) word(words ...string) string { return words[h.IntN(len(words))] }

func (h *history) address() binding.Address {
	var a binding.Address
	if h.IntN(2) == 0 {
		ip := netip.AddrFrom4([4]byte{10, byte(h.IntN(4)), byte(h.IntN(256)), byte(h.IntN(256))})
		a.Prefix = netip.PrefixFrom(ip, 32)
		if h.IntN(4) == 0 {
			a.PortLow, a.PortHigh = 1024, 1024+uint16(h.IntN(9999))
		}
		if h.IntN(4) == 0 {
			a.Prefix, _ = ip.Prefix(8 + h.IntN(24))
		}
		return a
	}
	raw := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	for i := 4; i < 16; i++ {
		raw[i] = byte(h.Uint32())
	}
	a.Prefix, _ = netip.AddrFrom16(raw).Prefix(44 + h.IntN(85))
	return a
}

func (h *history) subscriber() binding.Subscriber {
	var s binding.Subscriber
	n := uint64(h.IntN(500))
	if h.IntN(5) != 0 {
		s.MSISDN = binding.MSISDN(34_600_000_000 + n)
	}
	if h.IntN(10) != 0 || s.MSISDN == 0 {
		s.IMSI, _ = binding.ParseIMSI(fmt.Sprintf("00101%010d", n))
	}
	if h.IntN(3) != 0 {
		s.IMEI, _ = binding.ParseIMEI(fmt.Sprintf("3569380356438%d", h.IntN(10)))
	}
	return s
}

// bound is a packed bound: none, one near the others, or any.
func (h *history) bound() uint64 {
	switch h.IntN(8) {
	case 0:
		return 0
	case 1:
		return h.Uint64()
	}
	return uint64(h.millis())<<24 | h.Uint64N(1<<24)
}

func (h *history) session() binding.SessionRow {
	var r binding.SessionRow
	r.Key = h.sessionKey()
	r.Node, r.Restarts = uint16(h.IntN(1<<16)), uint16(h.Uint32()>>uint(16+h.IntN(16)))
	r.BegunFrom, r.BegunBy, r.HeldAt, r.Last = h.bound(), h.bound(), h.bound(), h.bound()
	if h.IntN(3) == 0 {
		r.After, r.Doubt = h.bound(), binding.Reason(h.IntN(int(binding.ReasonMultiSIM)+1))
		if r.Doubt != binding.ReasonBound {
			r.EndedBy = binding.SourceSet(h.IntN(128))
		}
	}
	r.Seen = h.millis()
	r.Lease = h.Uint32() >> uint(h.IntN(32))
	r.Age, r.Order = h.Uint32()>>uint(h.IntN(32)), h.Uint32()>>uint(h.IntN(32))
	if h.IntN(2) == 0 {
		r.Contexts = uint16(h.IntN(1 << 16))
	}
	if h.IntN(4) == 0 {
		r.Via = uint16(h.IntN(1 << 16))
	}
	r.Ended, r.Stopped, r.Reused, r.Again = h.IntN(4) == 0, h.IntN(4) == 0, h.IntN(4) == 0, h.IntN(4) == 0
	r.Directory, r.Listed = h.IntN(4) == 0, uint8(h.IntN(8))
	h.describe(&r)
	for range h.IntN(4) {
		hold := binding.HoldRow{
			Domain: uint16(h.IntN(300)), Addr: h.address(), Since: h.millis(), Version: h.Uint64() >> uint(h.IntN(64)),
			HeldBy: h.bound(), HeldAt: h.bound(),
		}
		if h.IntN(3) == 0 {
			hold.Told, hold.Shared, hold.Given = binding.Reason(h.IntN(int(binding.ReasonMultiSIM)+1)), h.IntN(2) == 0, h.IntN(2) == 0
		}
		r.Holds = append(r.Holds, hold)
	}
	return r
}

// describe says whose session it is, and of what.
func (h *history) describe(r *binding.SessionRow) {
	s := h.subscriber()
	r.MSISDN, r.IMSI, r.IMEI = s.MSISDN, s.IMSI, s.IMEI
	r.APN, r.RAT = uint16(h.IntN(300)), binding.RAT(h.IntN(256))
}

func (h *history) node(id uint16) binding.NodeRow {
	r := binding.NodeRow{
		ID: id, Source: binding.Source(1 + h.IntN(5)), Name: fmt.Sprintf("node%d.example", id), Owner: h.word("", "gateways", "192.0.2.7"),
		Restarts: h.Uint64N(100), OriginState: h.Uint32() >> uint(h.IntN(32)), SameAs: uint16(h.IntN(3)),
		NoName: h.IntN(4) == 0, Plain: h.IntN(4) == 0, Former: h.IntN(4) == 0, Observed: h.IntN(2) == 0,
		Down: int64(h.IntN(3)) * h.millis(), Trust: int64(h.IntN(3)) * h.millis(),
	}
	if h.IntN(2) == 0 {
		r.RestartFrom, r.RestartBy, r.Restart = h.bound(), h.bound(), h.millis()
	}
	for range h.IntN(3) {
		r.Clock = append(r.Clock, byte(h.Uint32()))
	}
	return r
}

func (h *history) forgotten() binding.ForgottenRow {
	return binding.ForgottenRow{Table: uint8(h.IntN(3)), Slot: uint16(h.IntN(200)), At: h.millis(), Of: h.Uint32() >> uint(h.IntN(32))}
}

func (h *history) sessionKey() (k binding.SessionKey) {
	binary.BigEndian.PutUint64(k[:], uint64(h.IntN(400))*0x9E3779B97F4A7C15)
	return k
}

func (h *history) change(seq uint64) binding.Change {
	c := binding.Change{
		Seq: seq, Kind: binding.ChangeKind(1 + h.IntN(6)), At: h.time(), EventTime: h.time(),
		Domain: h.word("internet", "ims", ""), Addr: h.address(), Now: h.subscriber(),
		APN: h.word("internet", "ims.mnc001", ""), RAT: binding.RAT(h.IntN(256)),
		Node: h.word("pgw1.example", "pgw2.example"), Sources: binding.SourceSet(h.IntN(128)),
		Why: h.word("start", "update", "lease"),
	}
	c.State, c.Reason = usual(c.Kind)
	if h.IntN(2) == 0 {
		c.Was = h.subscriber()
	}
	if h.IntN(6) == 0 {
		c.Addr = binding.Address{}
	}
	if h.IntN(50) == 0 {
		c.EventTime = time.Time{}
	}
	return c
}

// batch makes a batch whose changes continue from seq, with at most one row
// per key.
func (h *history) batch(seq uint64) *binding.Batch {
	h.alive += h.Int64N(1000)
	b := &binding.Batch{Alive: h.alive}
	h.extend(b, seq)
	return b
}

// extend adds more to a batch, as the Registry does when Commit failed: newer
// rows replace older ones of the same key.
func (h *history) extend(b *binding.Batch, seq uint64) {
	for range h.IntN(30) {
		r := h.session()
		same := func(o binding.SessionRow) bool { return o.Key == r.Key }
		b.Sessions = append(slices.DeleteFunc(b.Sessions, same), r)
		b.Forgotten = slices.DeleteFunc(b.Forgotten, func(k binding.SessionKey) bool { return k == r.Key })
	}
	for range h.IntN(5) {
		k := h.sessionKey()
		b.Sessions = slices.DeleteFunc(b.Sessions, func(o binding.SessionRow) bool { return o.Key == k })
		b.Forgotten = append(slices.DeleteFunc(b.Forgotten, func(o binding.SessionKey) bool { return o == k }), k)
	}
	if h.IntN(3) == 0 {
		h.extendNames(b)
	}
	for range h.IntN(5) {
		r := binding.SubscriberRow{Subscriber: h.subscriber(), SIMSince: h.Int64N(1 << 31), DeviceSince: h.Int64N(1 << 31)}
		b.Subscribers = slices.DeleteFunc(b.Subscribers, func(o binding.SubscriberRow) bool {
			return subscriberName(o.Subscriber) == subscriberName(r.Subscriber)
		})
		b.Subscribers = append(b.Subscribers, r)
	}
	for range h.IntN(3) {
		r := h.forgotten()
		if h.IntN(3) == 0 {
			r.At, r.Of = 0, 0
		}
		b.Remains = append(slices.DeleteFunc(b.Remains, func(o binding.ForgottenRow) bool { return slotName(o) == slotName(r) }), r)
	}
	for range h.IntN(4) {
		r := h.memo(h.sessionKey())
		if h.IntN(3) == 0 {
			r.Memo, r.Gone = nil, true
		}
		b.Memos = append(slices.DeleteFunc(b.Memos, func(o binding.MemoRow) bool { return o.Key == r.Key }), r)
	}
	more := h.IntN(40)
	if h.IntN(10) == 0 {
		more = h.IntN(3 * groupMax)
	}
	for range more {
		b.Changes = append(b.Changes, h.change(seq+uint64(len(b.Changes))+1))
	}
}

func (h *history) memo(key binding.SessionKey) binding.MemoRow {
	r := binding.MemoRow{Key: key, Source: binding.Source(1 + h.IntN(5)), Memo: make([]byte, 1+h.IntN(40))}
	for i := range r.Memo {
		r.Memo[i] = byte(h.Uint32())
	}
	return r
}

func (h *history) extendNames(b *binding.Batch) {
	id := uint16(1 + h.IntN(300))
	b.Nodes = append(slices.DeleteFunc(b.Nodes, func(o binding.NodeRow) bool { return o.ID == id }), h.node(id))
	b.APNs = append(slices.DeleteFunc(b.APNs, func(o binding.NameRow) bool { return o.ID == id }), binding.NameRow{ID: id, Name: fmt.Sprintf("apn%d", h.IntN(99))})
	b.Domains = append(slices.DeleteFunc(b.Domains, func(o binding.NameRow) bool { return o.ID == id }), binding.NameRow{ID: id, Name: ""})
}
