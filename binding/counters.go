package binding

import "sync/atomic"

// The Registry's counters.
const (
	countApplied = iota
	countLate
	countDuplicate
	countUnknownStop
	countRefusedPool
	countRefusedDomain
	countRefusedCapacity
	countRefusedNode
	countRefusedMalformed
	countBusy
	countRestarts
	countSwept
	countReleasedLease
	countReleasedLinger
	countOperator
	countWatchersLagged
	countNewsLost
	countContradicted
	counterCount
)

var counterNames = [counterCount]string{
	"events_applied", "events_late", "events_duplicate", "stops_of_unknown_sessions", "refused_pool", "refused_domain",
	"refused_capacity", "refused_node", "refused_malformed", "refused_busy", "node_restarts", "sessions_swept",
	"released_lease", "released_linger", "released_operator", "watchers_lagged", "news_lost", "directory_contradicted",
}

type counters struct {
	n       [counterCount]atomic.Uint64
	changes [changeKinds]atomic.Uint64
}

func (c *counters) add(i int, n uint64) { c.n[i].Add(n) }
func (c *counters) change(k ChangeKind) { c.changes[k].Add(1) }
func (a *arbiter) count(i int, o Outcome) Outcome {
	a.counters.add(i, 1)
	return o
}

func (c *counters) byName() map[string]uint64 {
	m := make(map[string]uint64, counterCount+changeKinds)
	for i := range c.n {
		m[counterNames[i]] = c.n[i].Load()
	}
	for k := Bound; k < changeKinds; k++ {
		m["changes_"+k.String()] = c.changes[k].Load()
	}
	return m
}
