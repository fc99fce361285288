package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/radius/radiustest"
)

// A duet is an HA pair in two processes, and the NAS that tells both.
type duet struct {
	*nation
	members []*place
	truth   *chronicle

	mu   sync.Mutex
	said []record
	over bool
}

// A record is what the NAS has to tell.
type record struct {
	session radiustest.Session
	status  radiustest.Status
}

func newDuet(t *testing.T) *duet {
	t.Helper()
	n := &nation{t: t, bus: newBus(t)}
	d := &duet{nation: n, truth: &chronicle{history: map[netip.Addr][]tenure{}}}
	for _, name := range []string{"a", "b"} {
		p := n.place("north", fmt.Sprintf("pair: %s\nnats: {url: %q, service: true, stream: {replicas: 3}}", name, n.bus.urls()), "10.1.0.0/16")
		p.first, p.truth = 1<<16, d.truth
		d.members = append(d.members, p)
	}
	n.sites = d.members[:1] // whose addresses are asked about
	n.replica = n.place("centre", fmt.Sprintf("nats: {url: %q, stream: {replicas: 3}}\nfollow: [north]", n.bus.urls()), "10.0.0.0/8")
	return d
}

// live is the life at the NAS until ctx ends.
func (d *duet) live(ctx context.Context) {
	g := newGateway("north", d.members[0].first, rand.New(rand.NewPCG(rand.Uint64(), 0)), d.truth)
	say := func(list ...record) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.said = append(d.said, list...)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if r, ok := g.next(); ok {
			say(r)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	<-time.After(rest)
	say(g.refreshes()...)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
}

// tell tells a member everything, in order, each until it is answered.
func (d *duet) tell(p *place) {
	for at := 0; ; {
		d.mu.Lock()
		some, over := slices.Clone(d.said[at:]), d.over
		d.mu.Unlock()
		if over && len(some) == 0 {
			return
		}
		for _, r := range some {
			if p.account(d.t.Context(), r) != nil {
				return
			}
		}
		at += len(some)
	}
}

// roles are what the members say of their part, as far as they answer.
func (d *duet) roles() (active, standing *place) {
	for _, p := range d.members {
		switch role := d.role(p); {
		case role == "active":
			active = p
		case strings.Contains(role, "differs at"):
			standing = p
		}
	}
	return active, standing
}

func (d *duet) role(p *place) string {
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Second)
	defer cancel()
	c, err := query.Dial(ctx, p.socket())
	if err != nil {
		return ""
	}
	defer c.Close()
	status, _ := c.Status(ctx)
	return status.Edges["pair"]
}

// ready waits until one is active and the other could go on in its place.
func (d *duet) ready() (active *place) {
	d.t.Helper()
	eventually(d.t, "one is active, the other stands by", func() bool {
		a, s := d.roles()
		active = a
		return a != nil && s != nil
	})
	return active
}

// TestAPairIsOneSite: whichever member is killed or suspended, consumers see
// one site that goes on, without a gap, an effect twice or a snapshot.
func TestAPairIsOneSite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	d := newDuet(t)
	d.ready()
	reader := d.newReader()
	ctx, cancel := context.WithCancel(t.Context())
	var life sync.WaitGroup
	life.Go(func() { d.live(ctx) })
	life.Go(func() { d.doubts(ctx) })
	for _, p := range d.members {
		life.Go(func() { d.tell(p) })
	}
	d.pass(3 * time.Second)
	t.Log("the active member is killed")
	d.replace(d.ready(), func(p *place) { p.kill(t) }, func(p *place) { p.spawnAgain(t) })
	d.pass(3 * time.Second)
	t.Log("the active member is suspended")
	d.replace(d.ready(), func(p *place) { p.process.cmd.Process.Signal(syscall.SIGSTOP) }, func(p *place) { p.process.cmd.Process.Signal(syscall.SIGCONT) })
	d.pass(3 * time.Second)
	t.Log("a server of the cluster is killed, then the active member stopped")
	d.ready()
	d.bus.nodes[1].kill()
	d.pass(3 * time.Second)
	d.bus.nodes[1].start(t)
	d.pass(3 * time.Second)
	active := d.ready()
	d.replace(active, func(p *place) { p.process.signal(t, syscall.SIGTERM) }, func(p *place) { p.spawnAgain(t) })
	d.pass(3 * time.Second)
	d.ready()
	cancel()
	life.Wait()

	for _, p := range d.members {
		d.settled(p)
		reader.settled(p)
	}
	if len(reader.at) != 1 {
		t.Errorf("consumers saw more than one site: %v", reader.at)
	}
	d.unnoticed()
}

// replace takes the active member away until the other one is active, and gives
// it back.
func (d *duet) replace(active *place, away, back func(*place)) {
	d.t.Helper()
	away(active)
	other := d.members[0]
	if other == active {
		other = d.members[1]
	}
	began := time.Now()
	eventually(d.t, "the other member is active", func() bool { return d.role(other) == "active" })
	d.t.Logf("taken over after %v", time.Since(began).Round(10*time.Millisecond))
	back(active)
}

// unnoticed: the replica took one snapshot, when it began.
func (d *duet) unnoticed() {
	d.t.Helper()
	c, err := query.Dial(d.t.Context(), d.replica.socket())
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	sites, err := c.Sites(d.t.Context())
	if err != nil || len(sites) != 1 || sites[0].Snapshots != 1 || sites[0].Gaps != 0 {
		d.t.Errorf("the replica noticed the takeovers: %+v, %v", sites, err)
	}
}
