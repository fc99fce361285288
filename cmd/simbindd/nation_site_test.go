package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/simbind/simbind/radius/radiustest"
)

// A place is one site of the nation: a daemon in a process of its own, the NAS
// before it, and what is true there.
type place struct {
	home
	name   string
	first  int // of its addresses, as of testAddr
	random *rand.Rand
	truth  *chronicle

	mu      sync.Mutex
	process *process
}

const placeSize = 200 // addresses of a site; as many subscribers share them

// A tenure is the time for which a subscriber held an address.
type tenure struct {
	subscriber int
	from, to   time.Time // to is zero while it goes on
}

// A chronicle is the truth: who held which address when: it knows what the NAS has done.
type chronicle struct {
	mu      sync.Mutex
	history map[netip.Addr][]tenure
}

// begin and end say what is about to be true, and what is not any more.
func (tr *chronicle) begin(addr netip.Addr, subscriber int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.history[addr] = append(tr.history[addr], tenure{subscriber: subscriber, from: time.Now()})
}

func (tr *chronicle) end(addr netip.Addr) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if list := tr.history[addr]; len(list) > 0 && list[len(list)-1].to.IsZero() {
		list[len(list)-1].to = time.Now()
	}
}

// holder is who holds the address at last; zero for nobody.
func (tr *chronicle) holder(addr netip.Addr) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if list := tr.history[addr]; len(list) > 0 && list[len(list)-1].to.IsZero() {
		return list[len(list)-1].subscriber
	}
	return 0
}

// held reports whether the subscriber held the address at some moment of the
// last so long.
func (tr *chronicle) held(addr netip.Addr, subscriber int, bound time.Duration) bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, h := range tr.history[addr] {
		if h.subscriber == subscriber && (h.to.IsZero() || time.Since(h.to) < bound) {
			return true
		}
	}
	return false
}

// A gateway is the NAS before a site, whose sessions it knows. Like those of the
// field it stamps what it says in whole seconds, refreshes its sessions, and rests
// addresses before it gives them out again: what follows sooner has no order.
type gateway struct {
	name     string
	first    int
	random   *rand.Rand
	truth    *chronicle
	sessions map[netip.Addr]stay
	rested   map[netip.Addr]time.Time // since when
	away     map[int]time.Time        // subscribers, since when; zero while they are there
	n        int
}

// A stay is a session of one of the subscribers.
type stay struct {
	radiustest.Session
	subscriber int
}

// rest is for how long addresses rest, and subscribers stay away and attached.
const rest = 3 * time.Second

func newGateway(name string, first int, random *rand.Rand, truth *chronicle) *gateway {
	return &gateway{
		name: name, first: first, random: random, truth: truth,
		sessions: map[netip.Addr]stay{}, rested: map[netip.Addr]time.Time{}, away: map[int]time.Time{},
	}
}

// next is what the gateway has to tell next, if there is anything.
func (g *gateway) next() (record, bool) {
	for range 20 {
		addr := testAddr(g.first + g.random.IntN(placeSize))
		if time.Since(g.rested[addr]) < rest {
			continue
		}
		s, taken := g.sessions[addr]
		switch subscriber := g.first + 1 + g.random.IntN(placeSize); {
		case taken && g.random.IntN(3) == 0:
			return g.say(s.Session, radiustest.Interim), true
		case taken:
			g.truth.end(addr)
			delete(g.sessions, addr)
			g.rested[addr], g.away[s.subscriber] = time.Now(), time.Now()
			return g.say(s.Session, radiustest.Stop), true
		case g.mayCome(subscriber):
			g.truth.begin(addr, subscriber)
			g.n++
			s := stay{testSession(subscriber), subscriber}
			s.ID, s.NAS, s.IPv4 = fmt.Sprintf("%s-%d", g.name, g.n), g.name, addr
			g.sessions[addr] = s
			g.rested[addr], g.away[subscriber] = time.Now(), time.Time{}
			return g.say(s.Session, radiustest.Start), true
		}
	}
	return record{}, false
}

func (g *gateway) mayCome(subscriber int) bool {
	left, known := g.away[subscriber]
	return !known || !left.IsZero() && time.Since(left) > rest
}

func (g *gateway) say(s radiustest.Session, status radiustest.Status) record {
	s.Age = time.Since(s.Time).Truncate(time.Second)
	s.Time = time.Now()
	return record{s, status}
}

// refreshes are a last word of each session that goes on.
func (g *gateway) refreshes() (list []record) {
	for _, s := range g.sessions {
		list = append(list, g.say(s.Session, radiustest.Interim))
	}
	return list
}

// account tells the site something until it is answered, like a NAS does, over
// any number of restarts of the site.
func (p *place) account(ctx context.Context, r record) error {
	for ctx.Err() == nil {
		p.mu.Lock()
		addr := p.process.radius()
		p.mu.Unlock()
		if nas, err := radiustest.Dial(addr); err == nil {
			request, err := r.session.Request(r.status, []byte(testSecret))
			if err != nil {
				return err
			}
			once, cancel := context.WithTimeout(ctx, time.Second)
			_, err = nas.Exchange(once, request)
			cancel()
			nas.Close()
			if err == nil {
				return nil
			}
		}
	}
	return context.Cause(ctx)
}

// run is the life at a site until ctx ends: subscribers come, and their
// addresses go to others. In the end each session that goes on speaks again.
func (p *place) run(ctx context.Context) {
	g := newGateway(p.name, p.first, p.random, p.truth)
	idle := time.NewTicker(10 * time.Millisecond)
	defer idle.Stop()
	// What has begun is finished, so that the truth stays known.
	whole := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		r, ok := g.next()
		if !ok {
			<-idle.C
			continue
		}
		if p.account(whole, r) != nil {
			return
		}
	}
	<-time.After(rest)
	for _, r := range g.refreshes() {
		if p.account(whole, r) != nil {
			return
		}
	}
}

// spawnAgain starts the site after it was killed.
func (p *place) spawnAgain(t *testing.T) {
	t.Helper()
	next := p.spawn(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = next
}
