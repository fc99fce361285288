package registry

import (
	"context"
	"errors"
	"fmt"
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
		Queue: len(r.queue), QueueCap: cap(r.queue), Nodes: len(*r.m.NodeNames.Load()) - 1,
		JournalSeq: r.committed.Load(), Commits: r.commits.Load(), CommitTime: time.Duration(r.commitTime.Load()),
		Counters: r.counters.byName(), Settled: r.settled.Load(), Ingesting: r.journalDown.Load() == 0,
	}
	st.Healthy = len(st.Problems) == 0 && !st.Warming
	return st
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
	if len(r.queue) == cap(r.queue) {
		list = append(list, "the event queue is full: peers are told to repeat")
	}
	return list
}

// refusedTold is how long (ms) a refusal for lack of room is a problem.
const refusedTold = 60_000

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
