package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// Status is the Registry's account of itself. Any goroutine may call it.
func (r *Registry) Status() binding.Status {
	ended := int(r.sessions.ended.Load())
	st := binding.Status{
		Site: r.cfg.Site, Started: r.started, Warming: r.m.Warming.Load(), Problems: r.problems(),
		Sessions: r.m.Sessions.Len() - ended, SessionsCap: r.m.Sessions.Cap(),
		Addresses: r.m.Addrs.Len(), AddressCap: r.m.Addrs.Cap(), Tombstones: ended,
		Queue: len(r.queue), QueueCap: cap(r.queue), Nodes: r.nodeCount(),
		JournalSeq: r.committed.Load(), Commits: r.commits.Load(), CommitTime: time.Duration(r.commitTime.Load()),
		Counters: r.counters.byName(), Settled: r.settled.Load(), Ingesting: r.journalDown.Load() == 0,
	}
	st.Healthy = len(st.Problems) == 0 && !st.Warming
	return st
}

// nodeCount is how many nodes are known, each once by whatever names it goes.
func (r *Registry) nodeCount() (n int) {
	for i := range *r.m.NodeNames.Load() {
		if id := uint16(i); id != 0 && r.m.Root(id) == id {
			n++
		}
	}
	return n
}

// problems says what keeps the Registry from being healthy.
func (r *Registry) problems() []string {
	var list []string
	if since := r.journalDown.Load(); since != 0 {
		list = append(list, fmt.Sprintf("the journal cannot commit since %s: %v", table.Millis(since).Format(time.RFC3339), *r.journalErr.Load()))
	}
	if used, room := r.m.Sessions.Len()-int(r.sessions.ended.Load()), r.m.Sessions.Cap(); used >= room {
		list = append(list, fmt.Sprintf("capacity %d is reached: new sessions are refused; raise capacity", room))
	}
	if at := r.sessions.refusedAt.Load(); at != 0 && r.cfg.Now().UnixMilli()-at < refusedTold {
		list = append(list, fmt.Sprintf("no room for a session or address at %s: raise capacity or addresses", table.Millis(at).Format(time.RFC3339)))
	}
	if at := r.sessions.forgottenAt.Load(); at != 0 && r.cfg.Now().UnixMilli()-at < refusedTold {
		list = append(list, fmt.Sprintf("ended sessions are forgotten early, at %s: what is late about them is doubt; raise capacity", table.Millis(at).Format(time.RFC3339)))
	}
	if len(r.queue) == cap(r.queue) {
		list = append(list, "the event queue is full: peers are told to repeat")
	}
	return list
}

// refusedTold is how long (ms) a refusal for lack of room is a problem.
const refusedTold = 60_000

// refusals are the events for which there was no room, as the log tells them: the
// first at once, then how many there were. The writer's.
type refusals struct {
	since int   // the last that was told
	told  int64 // when that was
}

// refusalsTold is how long (ms) the log says nothing more of them.
const refusalsTold = 10_000

func (n *refusals) tell(log *slog.Logger, ev *binding.Event, o Outcome, now int64) {
	if n.since++; n.told != 0 && now-n.told < refusalsTold {
		return
	}
	log.Warn("an event was refused for lack of room", "outcome", string(o), "source", ev.Source, "node", ev.Node, "addrs", ev.Addrs,
		"msisdn", ev.MSISDN, "imsi", ev.IMSI, "refused", n.since)
	n.since, n.told = 0, now
}

// Release ends the binding of an address by an operator's word: no session that
// claims it counts until it says something that surely happened since. It still stands against others until then, so that nobody is matched in
// its place. by names the operator in the trace.
func (r *Registry) Release(ctx context.Context, q binding.Query, reason, by string) error {
	found := false
	err := r.onWriter(ctx, func() { found = r.release(q, reason, by) })
	if err == nil && !found {
		err = errors.New("nothing is bound to that address")
	}
	return err
}

func (r *Registry) release(q binding.Query, reason, by string) bool {
	k, who, held := r.At(q)
	f := own(r.cfg.Now().UnixMilli(), "operator")
	if !held {
		for _, d := range r.m.Domains.Load().List {
			if q.Domain == "" || q.Domain == d.Name {
				r.remains.released(table.KeyAt(d.ID, q.Addr, q.Port), f.now)
			}
		}
		return false
	}
	for at, ok := k, true; ok; { // whoever has it, or a wider one around it
		h, _ := r.m.Holding(at)
		for c := r.m.AllClaimants(&h); c.Next(); {
			if !c.Session.Ended() {
				r.places.touchAll(c.ID, f.why, false)
				r.places.doubt(c.ID, clock.Bound{Our: f.now}, binding.ReasonReleased)
			}
		}
		if ok = at.Bits() > 1; ok {
			at, _, _, ok = r.m.Addrs.Longest(at.Domain(), at.Class(), at.Hi, at.Lo, at.Bits()-1)
		}
	}
	r.remains.released(k, f.now)
	r.places.settle(f)
	r.counters.add(countOperator)
	r.batch.trace = append(r.batch.trace, binding.TraceEntry{
		At: table.Millis(f.now), Kind: "operator-release", Node: by, Subscriber: who,
		Addrs: []binding.Address{table.AddressOf(k)}, Domain: q.Domain, Time: table.Millis(f.now), Outcome: reason,
	})
	return true
}

// traceSize is how many recent events can be traced.
const traceSize = 1 << 16

// A traceRing keeps the last events and what became of them.
type traceRing struct {
	mu      sync.Mutex
	entries []binding.TraceEntry
	next    int
}

func (t *traceRing) add(entries []binding.TraceEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range entries {
		if len(t.entries) < traceSize {
			t.entries = append(t.entries, e)
			continue
		}
		t.entries[t.next] = e
		t.next = (t.next + 1) % traceSize
	}
}

// Trace returns recent events of one subscriber or address, newest first. The
// key is an address, a number with '+', or an IMSI.
func (r *Registry) Trace(key string, limit int) ([]binding.TraceEntry, error) {
	if limit < 1 || limit > table.MaxSelection {
		return nil, fmt.Errorf("limit %d is not within 1 to %d", limit, table.MaxSelection)
	}
	is, err := traceMatch(key)
	if err != nil {
		return nil, err
	}
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	found := []binding.TraceEntry{}
	n := len(r.ring.entries)
	for i := range n {
		e := &r.ring.entries[(r.ring.next+n-1-i)%n]
		if is(e) {
			if found = append(found, *e); len(found) == limit {
				break
			}
		}
	}
	return found, nil
}

func traceMatch(key string) (func(*binding.TraceEntry) bool, error) {
	if addr, err := binding.ParseAddr(key); err == nil {
		return func(e *binding.TraceEntry) bool {
			return slices.ContainsFunc(e.Addrs, func(a binding.Address) bool { return a.Prefix.Contains(addr) })
		}, nil
	}
	if strings.HasPrefix(key, "+") {
		m, err := binding.ParseMSISDN(key)
		return func(e *binding.TraceEntry) bool { return e.MSISDN == m }, err
	}
	imsi, err := binding.ParseIMSI(key)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address, a number with '+' or an IMSI", key)
	}
	return func(e *binding.TraceEntry) bool { return e.IMSI == imsi }, nil
}

// The Registry's counters.
const (
	countApplied = iota
	countLate
	countDuplicate
	countUnknownStop
	countRefusedPool
	countRefusedWide
	countRefusedDomain
	countRefusedCapacity
	countRefusedNode
	countRefusedMalformed
	countBusy
	countRestarts
	countContradictedState
	countSwept
	countReleasedLease
	countOperator
	countForgotten
	countPlaceholder
	countWatchersLagged
	countNewsLost
	countContradicted
	counterCount
)

var counterNames = [counterCount]string{
	"events_applied", "events_late", "events_duplicate", "stops_of_unknown_sessions", "refused_pool", "refused_wide", "refused_domain",
	"refused_capacity", "refused_node", "refused_malformed", "refused_busy", "node_restarts", "origin_state_contradicted", "sessions_swept",
	"released_lease", "released_operator", "forgotten_early", "placeholders", "watchers_lagged", "news_lost", "directory_contradicted",
}

// changeKinds is how many kinds of changes there are, and none.
const changeKinds = int(binding.SIMChange) + 1

type counters struct {
	n       [counterCount]atomic.Uint64
	changes [changeKinds]atomic.Uint64
}

func (c *counters) add(i int) { c.n[i].Add(1) }

func (c *counters) change(k binding.ChangeKind) { c.changes[k].Add(1) }

// outcome counts one and passes on what became of the event.
func (c *counters) outcome(i int, o Outcome) Outcome {
	c.add(i)
	return o
}

func (c *counters) byName() map[string]uint64 {
	m := make(map[string]uint64, counterCount+changeKinds)
	for i := range c.n {
		m[counterNames[i]] = c.n[i].Load()
	}
	for k := binding.Bound; int(k) < changeKinds; k++ {
		m["changes_"+k.String()] = c.changes[k].Load()
	}
	m["released_linger"] = 0 // of before: nothing is released for having lingered
	return m
}

// An Outcome is what became of an event, in words for a trace.
type Outcome string

// The outcomes.
const (
	Applied          Outcome = "applied"
	Late             Outcome = "late"
	Duplicate        Outcome = "duplicate"
	OneContext       Outcome = "one of several contexts ended"
	Unclear          Outcome = "may be of a former session with this id"
	RefusedPool      Outcome = "refused: address outside the pools"
	RefusedWide      Outcome = "refused: address wider than one session may hold"
	RefusedDomain    Outcome = "refused: no domain for the APN"
	RefusedCapacity  Outcome = "refused: capacity"
	RefusedNode      Outcome = "refused: too many nodes"
	RefusedMalformed Outcome = "refused: malformed event"
)

// namedNobody follows the outcome of an event of which a number or IMSI is one of
// Config.Placeholders.
const namedNobody = " (placeholder)"
