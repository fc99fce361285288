package binding

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// A rig is a Registry without goroutines, on plain memory and a hand-turned
// clock.
type rig struct {
	*Registry
	now     time.Time
	journal *memJournal
	changes []Change

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
	words, _ := memoryWords(c)
	g.Registry = newRegistry(c, newMemory(c, make([]uint64, words)), g.journal, slog.New(slog.DiscardHandler))
	if _, err := g.load(t.Context(), g.journal, c.Domains, c.Now, func(source Source, memo []byte) {
		g.recalled = append(g.recalled, source.String()+" "+string(memo))
	}); err != nil {
		t.Fatal(err)
	}
	g.warming.Store(false)
}

// commit does what the writer and the committer do after a group.
func (g *rig) commit(t testing.TB) {
	t.Helper()
	g.seal(g.now.UnixMilli())
	if err := g.journal.Commit(&g.batch.Batch); err != nil {
		t.Fatal(err)
	}
	g.changes = append(g.changes, g.batch.Changes...)
	g.batch.reset()
}

// sweepAll lets the sweep come around twice.
func (g *rig) sweepAll() {
	for range 2 {
		g.sweeper = sweeper{}
		g.sweep(&g.sweeper, 1<<30, g.now.UnixMilli())
	}
}

// heartbeats are those of the followed sites that are not behind or lost.
func (g *rig) heartbeats() {
	for id, k := range *g.nodeNames.Load() {
		if k.source == SourceFeed && g.m.loadNode(uint16(id), nodeCurrent) == 1 && g.m.loadNode(uint16(id), nodeDown) == 0 {
			g.on(Event{Kind: NodeUp, Source: SourceFeed, Node: k.name, Time: g.now})
		}
	}
}

func (g *rig) on(ev Event) Outcome {
	return g.apply(&ev, g.now.UnixMilli())
}

func (g *rig) verify(addr string, m MSISDN) string {
	return g.verifyAt(Query{Addr: netip.MustParseAddr(addr)}, m)
}

func (g *rig) verifyAt(q Query, m MSISDN) string {
	a := g.Verify(q, Number{MSISDN: m})
	return a.Verdict.String() + "/" + a.Reason.String()
}

func addresses(list ...string) []Address {
	var out []Address
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr := netip.MustParseAddr(s)
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		a, err := NewAddress(p)
		if err != nil {
			panic(err)
		}
		out = append(out, a)
	}
	return out
}

// A memJournal keeps rows in maps.
type memJournal struct {
	sessions    map[SessionKey]SessionRow
	nodes       map[uint16]NodeRow
	apns        map[uint16]NameRow
	domains     map[uint16]NameRow
	subscribers map[uint64]SubscriberRow
	blocks      map[blockKey]BlockRow
	memos       map[SessionKey]MemoRow
	meta        JournalMeta
	fail        error
}

func newMemJournal() *memJournal {
	return &memJournal{
		sessions: map[SessionKey]SessionRow{}, nodes: map[uint16]NodeRow{}, apns: map[uint16]NameRow{}, domains: map[uint16]NameRow{},
		subscribers: map[uint64]SubscriberRow{}, blocks: map[blockKey]BlockRow{}, memos: map[SessionKey]MemoRow{}, meta: JournalMeta{Incarnation: "test"},
	}
}

func (j *memJournal) Commit(b *Batch) error {
	if j.fail != nil {
		return j.fail
	}
	for i, c := range b.Changes {
		if want := j.meta.Seq + 1 + uint64(i); c.Seq != want {
			return fmt.Errorf("change %d where %d is next", c.Seq, want)
		}
	}
	for _, r := range b.Sessions {
		r.Holds = append([]HoldRow(nil), r.Holds...)
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
		j.subscribers[numberHash(r.Subscriber)] = r
	}
	for _, r := range b.Blocks {
		if r.Gone {
			delete(j.blocks, blockKey{r.Domain, r.Addr})
		} else {
			j.blocks[blockKey{r.Domain, r.Addr}] = r
		}
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

func (j *memJournal) Load(l Loader) error {
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
	for _, r := range j.subscribers {
		if err := l.Subscriber(&r); err != nil {
			return err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(j.sessions), func(x, y SessionKey) int { return bytes.Compare(x[:], y[:]) }) {
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

func (j *memJournal) Meta() JournalMeta { return j.meta }

func (j *memJournal) Touch(alive int64) error {
	j.meta.Alive = time.UnixMilli(alive)
	return nil
}

func cut(s string) (string, string, bool) { return strings.Cut(s, " ") }

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
