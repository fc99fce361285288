package registry

import (
	"sync/atomic"

	"github.com/simbind/simbind/binding"
)

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

func (c *counters) add(i int)                   { c.n[i].Add(1) }
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
