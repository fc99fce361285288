package diameter

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/simbind/simbind/binding"
)

const (
	orderShards = 16
	orderWays   = 4
	orderSets   = 1 << 12 // of each shard
	// orderWindow is how long the place of a session's last request is known:
	// as long as its repetitions are to be expected (RFC 6733 section 3, of the
	// End-to-End Identifier).
	orderWindow = 4 * time.Minute
)

// An order gives requests of one session the time at which they belong,
// however they arrive. A request may come twice, when its sender lost the
// connection and sent it again with the T bit, and the first one may come
// after the second; CC-Request-Number tells (RFC 8506 section 8.2). Without
// it a late repetition of an initial request would revive a session that was
// terminated.
//
// It remembers the last request of each of some 260 000 recent sessions; of a
// session that it forgot, requests count as they arrive.
type order struct {
	seed   maphash.Seed
	shards [orderShards]orderShard
}

type orderShard struct {
	mu   sync.Mutex
	sets [][orderWays]place
}

// A place is the last request of a session.
type place struct {
	session uint64 // hash; zero is free
	rank    uint64
	at      int64 // unix ms, its time
	heard   int64 // unix ms, by our clock
}

func newOrder() *order { return &order{seed: maphash.MakeSeed()} }

// place sets the time of the request's event. state is the Origin-State-Id that
// its node is known by, restart (unix ms) when that grew last, or a time long
// past. A request with an older state was on its way when its node restarted;
// one with that state was made since, however early its stamp says.
func (o *order) place(r *Request, state uint32, restart int64) {
	ev := &r.Event
	switch {
	case r.OriginState == 0:
	case r.OriginState < state:
		ev.Time = earlier(ev, justBefore(restart))
	case r.OriginState == state && ev.Time.UnixMilli() < restart:
		ev.Time = time.UnixMilli(restart)
	}
	o.put(r, state)
}

// put keeps the order of a session's requests. Sessions of another state of
// their node are other sessions.
func (o *order) put(r *Request, state uint32) {
	if !r.Numbered {
		return
	}
	ev := &r.Event
	var h maphash.Hash
	h.SetSeed(o.seed)
	h.WriteString(ev.Node)
	h.WriteByte(0)
	h.WriteString(ev.Session)
	sum := h.Sum64() ^ uint64(state)<<32 | 1
	shard := &o.shards[sum>>60]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.sets == nil {
		shard.sets = make([][orderWays]place, orderSets)
	}
	p, known := find(&shard.sets[sum>>32%orderSets], sum, ev.Arrived)
	rank := uint64(r.Number)<<2 | uint64(ev.Kind)
	switch {
	case !known || rank > p.rank:
		*p = place{sum, rank, ev.Time.UnixMilli(), ev.Arrived.UnixMilli()}
	case rank == p.rank:
		ev.Time = earlier(ev, p.at)
	default:
		ev.Time = earlier(ev, justBefore(p.at))
	}
}

// find is the place of a session or, if it has none, the one to give it.
func find(set *[orderWays]place, sum uint64, now time.Time) (p *place, known bool) {
	oldest := &set[0]
	for i := range set {
		if set[i].session == sum {
			return &set[i], now.UnixMilli()-set[i].heard < orderWindow.Milliseconds()
		}
		if set[i].heard < oldest.heard {
			oldest = &set[i]
		}
	}
	return oldest, false
}

// justBefore is a moment that the Registry takes for earlier: one that looks
// like a clock of whole seconds would tie.
func justBefore(ms int64) int64 {
	if ms--; ms%1000 == 0 {
		ms--
	}
	return ms
}

func earlier(ev *binding.Event, ms int64) time.Time {
	if t := time.UnixMilli(ms); t.Before(ev.Time) {
		return t
	}
	return ev.Time
}
