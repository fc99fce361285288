package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/cmd/simbindd/demo"
	"github.com/simbind/simbind/numverify/consumer"
)

// A nation is an operator with three sites on one NATS cluster, and a replica
// of all of them, which the central frontend asks. One site is a leaf node, whose
// link to the cluster can be cut.
type nation struct {
	t       *testing.T
	bus     *bus
	leaf    *link
	sites   []*place
	replica *place
}

const (
	nationLoss  = 4 * time.Second // loss_timeout
	nationBound = nationLoss + 6*time.Second
)

func newNation(t *testing.T) *nation {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	n := &nation{t: t, bus: newBus(t)}
	n.leaf = newLink(t, fmt.Sprintf("127.0.0.1:%d", n.bus.nodes[0].leafnode))
	n.bus.source(t, "west", "north", "south")
	for i, name := range []string{"north", "south", "west"} {
		feed := fmt.Sprintf("nats: {url: %q, service: true, stream: {replicas: 3}}", n.bus.urls())
		if name == "west" {
			feed = fmt.Sprintf("nats: {service: true, embedded: {leaf: {urls: [%q]}}}", "nats://"+n.leaf.ln.Addr().String())
		}
		p := n.place(name, feed, fmt.Sprintf("10.%d.0.0/16", i+1))
		p.first, p.random, p.truth = (i+1)<<16, rand.New(rand.NewPCG(seed, uint64(i))), &chronicle{history: map[netip.Addr][]tenure{}}
		n.sites = append(n.sites, p)
	}
	n.replica = n.place("centre", fmt.Sprintf("nats: {url: %q, stream: {replicas: 3}}\nfollow: \"*\"", n.bus.urls()), "10.0.0.0/8")
	return n
}

func (n *nation) place(name, feed, pool string) *place {
	n.t.Helper()
	p := &place{home: newHome(n.t), name: name}
	text := strings.Replace(p.yaml(), "site: test", "site: "+name+"\nloss_timeout: "+nationLoss.String(), 1)
	text = strings.Replace(text, `nats: {embedded: {listen: "127.0.0.1:0"}}`, feed, 1)
	p.configure(n.t, strings.Replace(text, "10.0.0.0/8", pool, 1))
	p.process = p.spawn(n.t)
	return p
}

// doubts asks the replica about random addresses until ctx ends: it may say
// match only for who held the address within the bound.
func (n *nation) doubts(ctx context.Context) {
	random := rand.New(rand.NewPCG(1, 2))
	asked, matched := 0, 0
	for ctx.Err() == nil {
		p := n.sites[random.IntN(len(n.sites))]
		addr, subscriber := testAddr(p.first+random.IntN(placeSize)), p.truth
		who := p.first + 1 + random.IntN(placeSize)
		if h := subscriber.holder(addr); h != 0 && random.IntN(2) == 0 {
			who = h
		}
		verdict, err := n.ask(ctx, n.replica, addr, who)
		if err != nil {
			continue // it was killed
		}
		asked++
		if verdict != "match bound" {
			continue
		}
		matched++
		if !p.truth.held(addr, who, nationBound) {
			n.t.Errorf("the replica matches %v with subscriber %d of %s, who has not had it for %v", addr, who, p.name, nationBound)
		}
	}
	n.t.Logf("asked %d times under load, %d matches", asked, matched)
	if matched == 0 {
		n.t.Error("the replica never matched")
	}
}

// ask is VERIFY at a process that may be away.
func (n *nation) ask(ctx context.Context, p *place, addr netip.Addr, subscriber int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := query.Dial(ctx, p.socket())
	if err != nil {
		return "", err
	}
	defer c.Close()
	got, err := c.Verify(ctx, addr.String(), testNumber(subscriber))
	return got.Verdict + " " + got.Reason, err
}

// settled waits until the site and the replica answer what is true for every
// address of the site.
func (n *nation) settled(p *place) {
	n.t.Helper()
	for _, at := range []*place{p, n.replica} {
		for i := range placeSize {
			addr := testAddr(p.first + i)
			who, want := p.truth.holder(addr), "match bound"
			if who == 0 {
				who, want = p.first+1, "unknown "
			}
			got := ""
			eventually(n.t, fmt.Sprintf("%s says %s of %v and subscriber %d", at.name, want, addr, who), func() bool {
				var err error
				got, err = n.ask(n.t.Context(), at, addr, who)
				return err == nil && strings.HasPrefix(got, want)
			})
		}
	}
}

// TestNation: servers, sites and the replica are killed, a link is cut; nobody
// is ever matched with what was true too long ago, no consumer misses, repeats
// or reorders an effect, and in the end everybody answers what is true.
func TestNation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two minutes")
	}
	n := newNation(t)
	reader := n.newReader()
	ctx, cancel := context.WithCancel(t.Context())
	var life sync.WaitGroup
	for _, p := range n.sites {
		life.Go(func() { p.run(ctx) })
	}
	life.Go(func() { n.doubts(ctx) })

	t.Log("all is well")
	n.pass(5 * time.Second)
	t.Log("a server of the cluster is killed")
	n.bus.nodes[1].kill()
	n.pass(5 * time.Second)
	n.bus.nodes[1].start(t)
	n.pass(5 * time.Second)
	t.Log("a site is killed")
	n.sites[0].kill(t)
	n.pass(5 * time.Second)
	n.sites[0].spawnAgain(t)
	n.pass(5 * time.Second)
	t.Log("the replica is killed")
	n.replica.kill(t)
	n.pass(5 * time.Second)
	n.replica.spawnAgain(t)
	n.pass(5 * time.Second)
	t.Log("a site is cut off for a minute")
	n.leaf.cut()
	n.pass(nationBound)
	n.lost(n.sites[2])
	n.pass(time.Minute - nationBound)
	n.lost(n.sites[2])
	n.leaf.mend()
	n.pass(25 * time.Second) // the servers take up to 20 to source the stream again
	cancel()
	life.Wait()

	for _, p := range n.sites {
		n.settled(p)
		reader.settled(p)
	}
	n.frontend()
}

// frontend has an app verify a number through a frontend that asks the replica,
// for a phone of each site.
func (n *nation) frontend() {
	n.t.Helper()
	var phone netip.Addr
	front, err := demo.NewFront(n.t.Context(), demo.Phone{
		Dir: n.t.TempDir(), Socket: n.replica.socket(), Addr: func() netip.Addr { return phone },
	}, io.Discard)
	if err != nil {
		n.t.Fatal(err)
	}
	defer front.Stop()
	for _, p := range n.sites {
		who := 0
		for i := 0; who == 0 && i < placeSize; i++ {
			phone = testAddr(p.first + i)
			who = p.truth.holder(phone)
		}
		for number, want := range map[string]bool{testNumber(who): true, testNumber(who + 1): false} {
			grant, _, err := front.Authorize(n.t.Context(), consumer.ScopeVerify)
			if err != nil {
				n.t.Fatalf("%s: %v", p.name, err)
			}
			if got, err := front.Operator.Verify(n.t.Context(), grant, number); err != nil || got != want {
				n.t.Errorf("%s, %s: %v, %v, want %v", p.name, number, got, err, want)
			}
		}
	}
}

// pass lets the load go on for so long.
func (n *nation) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.t.Context().Done():
	}
}

func (p *place) kill(t *testing.T) {
	t.Helper()
	p.process.signal(t, syscall.SIGKILL)
}

// lost: of a site that is cut off nothing is matched.
func (n *nation) lost(p *place) {
	n.t.Helper()
	stale := 0
	for i := range placeSize {
		addr := testAddr(p.first + i)
		for who := p.first + 1; who <= p.first+placeSize; who += placeSize / 4 {
			got, err := n.ask(n.t.Context(), n.replica, addr, who)
			if err != nil {
				n.t.Fatal(err)
			}
			if strings.HasPrefix(got, "match") || strings.HasPrefix(got, "mismatch") {
				n.t.Errorf("%s is cut off, and the replica says %s of %v", p.name, got, addr)
			}
			if got == "stale node-lost" {
				stale++
			}
		}
	}
	if stale == 0 {
		n.t.Errorf("%s is cut off, and nothing is stale", p.name)
	}
}

// A reader consumes the stream by the rule of docs/nats-feed.md and keeps what
// it says of each address.
type reader struct {
	n  *nation
	mu sync.Mutex
	at map[string]uint64 // by site and incarnation
	// holder is the number by address, "" where nobody is to be relied on.
	holder map[string]string
}

func (n *nation) newReader() *reader {
	n.t.Helper()
	js, err := jetstream.New(n.bus.dial(n.t))
	if err != nil {
		n.t.Fatal(err)
	}
	r := &reader{n: n, at: map[string]uint64{}, holder: map[string]string{}}
	var consumer jetstream.Consumer
	eventually(n.t, "a consumer", func() bool {
		consumer, err = js.OrderedConsumer(n.t.Context(), "SIMBIND", jetstream.OrderedConsumerConfig{})
		return err == nil
	})
	consuming, err := consumer.Consume(r.take)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(consuming.Stop)
	return r
}

func (r *reader) take(msg jetstream.Msg) {
	var c struct {
		Site, Incarnation, Kind, Addr, MSISDN, State string
		Seq                                          uint64
	}
	if err := json.Unmarshal(msg.Data(), &c); err != nil {
		r.n.t.Error(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := c.Site + " " + c.Incarnation
	switch last := r.at[key]; {
	case c.Seq <= last: // it had its effect
		return
	case c.Seq != last+1:
		r.n.t.Errorf("%s: after change %d comes %d", key, last, c.Seq)
	}
	r.at[key] = c.Seq
	r.holder[c.Addr] = c.MSISDN
	if c.Kind == "released" || c.Kind == "conflict" || c.State != "" && c.State != "bound" {
		r.holder[c.Addr] = ""
	}
}

// settled waits until the reader knows the truth about a site.
func (r *reader) settled(p *place) {
	r.n.t.Helper()
	for i := range placeSize {
		addr := testAddr(p.first + i)
		want := ""
		if who := p.truth.holder(addr); who != 0 {
			want = testNumber(who)
		}
		eventually(r.n.t, fmt.Sprintf("the stream says %q of %v", want, addr), func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.holder[addr.String()] == want
		})
	}
}
