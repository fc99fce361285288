package binding

import "sync/atomic"

// What is only overheard, and what is missed of it: the part of rule T12 for
// nodes that do not repeat.

// Words of the memory about observed nodes.
const (
	observedTrust = iota // bindings seen before (unix ms) are unconfirmed
	observedLoss         // unix ms of the last loss, 0 if there was none
	observedWords
)

// overhear notes whether a node is only overheard. One that speaks to us as
// well repeats what we miss, and is not.
func (a *arbiter) overhear(f *fact) {
	was := a.m.loadNode(f.node, nodeSource)
	now := was
	switch {
	case !f.Observed:
		now = now&^nodeObserved | nodeDirect
	case was&(nodeObserved|nodeDirect) == 0:
		now = was&0xFFFF | nodeObserved | uint64(f.now)<<16
	}
	if now != was {
		a.m.storeNode(f.node, nodeSource, now)
		if (now^was)&nodeObserved != 0 {
			a.saveNode(f.node)
		}
	}
}

// missed notes that events of observed nodes were lost up to now: any of their
// sessions may have ended. It takes the trust from all of them in O(1); those
// that are heard again have it back.
func (a *arbiter) missed(now int64) Outcome {
	a.m.storeObserved(observedLoss, now)
	if !a.times.markOnly {
		a.m.storeObserved(observedTrust, now+1)
	}
	a.counters.add(countNewsLost, 1)
	return Applied
}

// degraded is since when (unix ms) news of a node is missing, 0 if none is. It
// ends when every session of before has either spoken again or run out.
func (m *memory) degraded(id uint16, now int64, t *times) int64 {
	what, loss := m.loadNode(id, nodeSource), m.loadObserved(observedLoss)
	since := int64(what >> 16)
	if what&nodeObserved == 0 || loss == 0 || loss < since || now > loss+t.lease+t.grace {
		return 0
	}
	return loss
}

func (m *memory) loadObserved(w int) int64 { return int64(atomic.LoadUint64(&m.observed[w])) }

func (m *memory) storeObserved(w int, ms int64) { atomic.StoreUint64(&m.observed[w], uint64(ms)) }
