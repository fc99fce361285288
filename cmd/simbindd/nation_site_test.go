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

// account tells the site something until it is answered, like a NAS does, over
// any number of restarts of the site.
func (p *place) account(ctx context.Context, s radiustest.Session, status radiustest.Status) error {
	for ctx.Err() == nil {
		p.mu.Lock()
		addr := p.process.radius()
		p.mu.Unlock()
		if nas, err := radiustest.Dial(addr); err == nil {
			request, err := s.Request(status, []byte(testSecret))
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
// addresses go to others.
func (p *place) run(ctx context.Context) {
	sessions := map[netip.Addr]radiustest.Session{}
	for n := 0; ctx.Err() == nil; n++ {
		at := p.first + p.random.IntN(placeSize)
		addr := testAddr(at)
		// What has begun is finished, so that the truth stays known.
		whole := context.WithoutCancel(ctx)
		if s, taken := sessions[addr]; taken {
			p.truth.end(addr)
			if p.account(whole, s, radiustest.Stop) != nil {
				return
			}
			delete(sessions, addr)
			continue
		}
		subscriber := p.first + 1 + p.random.IntN(placeSize)
		s := testSession(subscriber)
		s.ID, s.NAS, s.IPv4, s.Time = fmt.Sprintf("%s-%d", p.name, n), p.name, addr, time.Now()
		p.truth.begin(addr, subscriber)
		if p.account(whole, s, radiustest.Start) != nil {
			return
		}
		sessions[addr] = s
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
