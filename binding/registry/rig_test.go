package registry

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// A rig is a Registry without goroutines, on plain memory and a hand-turned
// clock.
type rig struct {
	*Registry
	now     time.Time
	journal *memJournal
	changes []binding.Change

	recalled []string // memos that the last boot gave back
}

var rigEpoch = time.UnixMilli(1_700_000_000_000).UTC()

func newRig(t testing.TB, c Config) *rig {
	t.Helper()
	g := &rig{now: rigEpoch, journal: newMemJournal()}
	g.boot(t, c)
	return g
}

// boot starts a Registry on what the journal holds.
func (g *rig) boot(t testing.TB, c Config) {
	t.Helper()
	c.Now, g.recalled = func() time.Time { return g.now }, nil
	c = c.withDefaults()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	m := table.New(c.sizes(), make([]uint64, table.Words(c.sizes())))
	g.Registry = newRegistry(c, m, g.journal, slog.New(slog.DiscardHandler))
	g.Recall(func(source binding.Source, memo []byte) {
		g.recalled = append(g.recalled, source.String()+" "+string(memo))
	})
	if _, err := g.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.m.Warming.Store(false)
}

// commit does what the writer and the committer do after a group.
func (g *rig) commit(t testing.TB) {
	t.Helper()
	g.sessions.seal(g.now.UnixMilli())
	if err := g.journal.Commit(&g.batch.Batch); err != nil {
		t.Fatal(err)
	}
	g.changes = append(g.changes, g.batch.Changes...)
	g.batch.reset()
}

// sweepAll lets the sweep come around twice.
func (g *rig) sweepAll() {
	for range 2 {
		sw := g.sweeper
		sw.session, sw.address, sw.seeker, sw.seekFrom = 0, 0, 0, 0
		sw.sweep(1<<30, g.now.UnixMilli())
	}
}

// heartbeats are those of the followed sites that are not behind or lost.
func (g *rig) heartbeats() {
	for id, k := range *g.m.NodeNames.Load() {
		if k.Source == binding.SourceFeed && g.m.Node(uint16(id), table.NodeCurrent) == 1 &&
			g.m.Node(uint16(id), table.NodeDown) == 0 {
			g.on(binding.Event{Kind: binding.NodeUp, Source: binding.SourceFeed, Node: k.Name, Time: g.now})
		}
	}
}

func (g *rig) on(ev binding.Event) Outcome {
	return g.rules.apply(&ev, g.now.UnixMilli())
}

// audit looks for what does not fit together in the memory.
func (g *rig) audit() string {
	claims := 0
	for id := uint32(1); id <= g.m.Sessions.Limit(); id++ {
		if g.m.Sessions.Load(id, 0) == 0 {
			continue
		}
		s := g.m.Session(id)
		if found, ok := g.m.FindSession(s.Key); !ok || found != id {
			return fmt.Sprintf("session %d cannot be found", id)
		}
		for _, k := range g.sessions.keys(id) {
			claims++
			h, ok := g.m.Holding(k)
			if !ok {
				return fmt.Sprintf("session %d claims %v, of which there is no record", id, table.AddressOf(k))
			}
			n, living, mine := 0, 0, false
			for c := g.m.AllClaimants(&h); c.Next(); n++ {
				mine = mine || c.ID == id
				if !c.Session.Ended() {
					living++
				}
			}
			if !mine || h.Shared != (living > 1) || n > table.MaxClaims || living == 0 != (h.State == table.None) {
				return fmt.Sprintf("%v has %d claims, %d of the living, shared %v, state %v, and lists session %d: %v",
					table.AddressOf(k), n, living, h.Shared, h.State, id, mine)
			}
		}
	}
	if g.m.Claims.Len() != claims {
		return fmt.Sprintf("%d claims in use, %d in lists", g.m.Claims.Len(), claims)
	}
	ended := int64(0)
	for id := g.sessions.oldest; id != 0; ended++ {
		s := g.m.Session(id)
		if !s.Ended() {
			return fmt.Sprintf("session %d is among the ended ones, and lives", id)
		}
		id = s.Newer
	}
	if ended != g.sessions.ended.Load() {
		return fmt.Sprintf("%d ended sessions in the list, %d counted", ended, g.sessions.ended.Load())
	}
	return ""
}

func (g *rig) verify(addr string, m binding.MSISDN) string {
	return g.verifyAt(binding.Query{Addr: netip.MustParseAddr(addr)}, m)
}

func (g *rig) verifyAt(q binding.Query, m binding.MSISDN) string {
	a := g.Verify(q, binding.Number{MSISDN: m})
	return a.Verdict.String() + "/" + a.Reason.String()
}

func addresses(list ...string) []binding.Address {
	var out []binding.Address
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr := netip.MustParseAddr(s)
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		a, err := binding.NewAddress(p)
		if err != nil {
			panic(err)
		}
		out = append(out, a)
	}
	return out
}

// A memJournal keeps rows in maps.
type memJournal struct {
	sessions    map[binding.SessionKey]binding.SessionRow
	nodes       map[uint16]binding.NodeRow
	apns        map[uint16]binding.NameRow
	domains     map[uint16]binding.NameRow
	subscribers map[uint64]binding.SubscriberRow
	remains     map[[2]uint32]binding.ForgottenRow
	memos       map[binding.SessionKey]binding.MemoRow
	blocks      []binding.BlockRow // of before there were bounds
	meta        binding.JournalMeta
	fail        error
}

func newMemJournal() *memJournal {
	return &memJournal{
		sessions: map[binding.SessionKey]binding.SessionRow{}, nodes: map[uint16]binding.NodeRow{},
		apns: map[uint16]binding.NameRow{}, domains: map[uint16]binding.NameRow{},
		subscribers: map[uint64]binding.SubscriberRow{}, remains: map[[2]uint32]binding.ForgottenRow{},
		memos: map[binding.SessionKey]binding.MemoRow{}, meta: binding.JournalMeta{Incarnation: "test"},
	}
}

func (j *memJournal) Commit(b *binding.Batch) error {
	if j.fail != nil {
		return j.fail
	}
	for i, c := range b.Changes {
		if want := j.meta.Seq + 1 + uint64(i); c.Seq != want {
			return fmt.Errorf("change %d where %d is next", c.Seq, want)
		}
	}
	for _, r := range b.Sessions {
		r.Holds = append([]binding.HoldRow(nil), r.Holds...)
		j.sessions[r.Key] = r
	}
	for _, k := range b.Forgotten {
		delete(j.sessions, k)
	}
	for _, r := range b.Nodes {
		j.nodes[r.ID] = r
	}
	for _, r := range b.APNs {
		j.apns[r.ID] = r
	}
	for _, r := range b.Domains {
		j.domains[r.ID] = r
	}
	for _, r := range b.Subscribers {
		j.subscribers[table.NumberHash(r.Subscriber)] = r
	}
	for _, r := range b.Remains {
		j.remains[[2]uint32{uint32(r.Table), uint32(r.Slot)}] = r
	}
	for _, r := range b.Memos {
		if r.Gone {
			delete(j.memos, r.Key)
		} else {
			j.memos[r.Key] = r
		}
	}
	if n := len(b.Changes); n > 0 {
		j.meta.Seq = b.Changes[n-1].Seq
	}
	j.meta.Alive = time.UnixMilli(b.Alive)
	return nil
}

func (j *memJournal) Load(l binding.Loader) error {
	for _, r := range j.nodes {
		if err := l.Node(&r); err != nil {
			return err
		}
	}
	for _, r := range j.apns {
		if err := l.APN(&r); err != nil {
			return err
		}
	}
	for _, r := range j.domains {
		if err := l.Domain(&r); err != nil {
			return err
		}
	}
	for _, r := range j.blocks {
		if err := l.Block(&r); err != nil {
			return err
		}
	}
	for _, r := range j.remains {
		if err := l.Forgotten(&r); err != nil {
			return err
		}
	}
	for _, r := range j.subscribers {
		if err := l.Subscriber(&r); err != nil {
			return err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(j.sessions),
		func(x, y binding.SessionKey) int { return bytes.Compare(x[:], y[:]) }) {
		r := j.sessions[k]
		if err := l.Session(&r); err != nil {
			return err
		}
	}
	for _, r := range j.memos {
		if err := l.Memo(&r); err != nil {
			return err
		}
	}
	return nil
}

func (j *memJournal) Meta() binding.JournalMeta { return j.meta }

func (j *memJournal) Touch(alive int64) error {
	j.meta.Alive = time.UnixMilli(alive)
	return nil
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// live takes one step of a history.
func (g *rig) live(t testing.TB, c Config, s step) {
	t.Helper()
	switch {
	case s.release != 0:
		g.release(askable[s.release-1], "", "")
	case s.restart:
		g.commit(t)
		g.boot(t, c)
	default:
		g.on(s.ev)
	}
}

// say applies an event of this moment.
func (g *rig) say(kind binding.Kind, src binding.Source, node, session string, who binding.Subscriber,
	addrs ...string) Outcome {
	return g.on(binding.Event{Kind: kind, Source: src, Node: node, Session: session, MSISDN: who.MSISDN,
		IMSI: who.IMSI, Time: g.now, Addrs: addresses(addrs...)})
}

func (g *rig) pass(d time.Duration) { g.now = g.now.Add(d); g.heartbeats(); g.sweepAll() }
