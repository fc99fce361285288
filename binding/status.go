package binding

import (
	"context"
	"errors"
	"time"
)

// Status is the Registry's account of itself. Any goroutine may call it.
func (r *Registry) Status() Status {
	st := Status{
		Site: r.cfg.Site, Started: r.started, Warming: r.warming.Load(), Problems: r.problems(),
		Sessions: r.m.sessions.Len() - r.tombCount(), SessionsCap: r.m.sessions.Cap(),
		Addresses: r.m.addrs.Len(), AddressCap: r.m.addrs.Cap(), Tombstones: r.tombCount(),
		Queue: len(r.queue), QueueCap: cap(r.queue), Nodes: len(*r.nodeNames.Load()) - 1,
		JournalSeq: r.committed.Load(), Commits: r.commits.Load(), CommitTime: time.Duration(r.commitTime.Load()),
		Counters: r.counters.byName(), Settled: r.settled.Load(), Ingesting: r.journalDown.Load() == 0,
	}
	st.Healthy = len(st.Problems) == 0 && !st.Warming
	return st
}

// Nodes lists the owners of sessions that were ever heard of. Any goroutine
// may call it.
func (r *Registry) Nodes() []Node {
	now := r.cfg.Now().UnixMilli()
	list := []Node{}
	for id, k := range *r.nodeNames.Load() {
		if k.name == "" {
			continue
		}
		n := r.m.node(uint16(id))
		list = append(list, Node{
			Name: k.name, Source: k.source, Up: !n.lost(now, 0), Since: millis(n.down),
			Heard: millis(int64(r.m.loadNode(uint16(id), nodeHeard))), Restart: millis(n.restart), Restarts: uint64(n.epoch) - 1,
			Observed: n.observed, Degraded: millis(r.m.degraded(uint16(id), now, r.times)),
			Sessions: int(r.m.loadNode(uint16(id), nodeSessions)), Events: r.m.loadNode(uint16(id), nodeEvents),
		})
	}
	return list
}

// Release ends the binding of an address by an operator's word: every claim on
// it is dropped, whoever made it. by names the operator in the trace. The
// sessions live on: if one speaks of the address again, it claims it again.
func (r *Registry) Release(ctx context.Context, q Query, reason, by string) error {
	found := false
	err := r.onWriter(ctx, func() { found = r.release(q, reason, by) })
	if err == nil && !found {
		err = errors.New("nothing is bound to that address")
	}
	return err
}

func (r *Registry) release(q Query, reason, by string) bool {
	now := r.cfg.Now().UnixMilli()
	var v sighting
	r.see(q, now, true, &v)
	if v.h.state == 0 {
		return false
	}
	if v.h.state == holdBlocked {
		r.m.addrs.Delete(v.key)
		r.saveBlock(v.key, &v.h, true)
		return true
	}
	f := &fact{Event: &Event{}, now: now, t: now, why: endOperator.why}
	o := r.open(v.key)
	for _, c := range o.claims {
		o.remove(c.session)
		r.dirty(c.session)
	}
	r.settle(&o, f, 0)
	r.counters.add(countOperator, 1)
	r.batch.trace = append(r.batch.trace, TraceEntry{
		At: millis(now), Kind: "operator-release", Node: by, Subscriber: v.who,
		Addrs: []Address{addressOf(v.key)}, Domain: q.Domain, Time: millis(now), Outcome: reason,
	})
	return true
}

// Ready returns a channel that is closed when the journal is loaded.
func (r *Registry) Ready() <-chan struct{} { return r.loaded }
