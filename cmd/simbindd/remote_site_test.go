package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/journal"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/radius/radiustest"
)

// newServer is a NATS server in this process.
func newServer(t *testing.T) (url string) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the nats server does not start")
	}
	t.Cleanup(srv.Shutdown)
	return "nats://" + srv.Addr().(*net.TCPAddr).String()
}

// newCentre is what of a daemon asks other sites: its Registry and its feed.
func newCentre(t *testing.T, url string) described {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := journal.Open(filepath.Join(t.TempDir(), "journal"), journal.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New(registry.Config{Site: "centre", Capacity: 1 << 10, Domains: []binding.Domain{
		{Name: "own", APNs: []string{"*"}, Pools: []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}}}}, store, log)
	if err != nil {
		t.Fatal(err)
	}
	far, err := newAbroad(&config.Remote{Timeout: time.Second, MaxAge: time.Hour, NegativeAge: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	f := newFeed(feed.Config{Site: "centre", Journal: store.Meta(), PublishMSISDN: feed.Clear, URL: url, Sites: true}, far, store, reg, log)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = reg.Run(ctx) })
	running.Go(func() { _ = f.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); store.Close(); far.near.Close() })
	return described{Registry: reg, feed: f, far: far}
}

// asked is what it answers about an address of others and subscriber n.
func (d described) asked(t *testing.T, addr string, n int) string {
	t.Helper()
	q := binding.Query{Addr: netip.MustParseAddr(addr)}
	if !d.Elsewhere(q) {
		return "unknown out-of-pool"
	}
	a := d.VerifyFar(t.Context(), q, binding.Number{MSISDN: binding.MSISDN(491700000000 + n)})
	return a.Verdict.String() + " " + a.Reason.String()
}

// near waits until the match of subscriber n is given from near.
func (d described) near(t *testing.T, addr string, n int) {
	t.Helper()
	before := d.far.near.Counts().Hits
	eventually(t, addr+" is near", func() bool {
		return d.asked(t, addr, n) == "match bound" && d.far.near.Counts().Hits > before
	})
}

// A spoken is a site of which only the messages are there.
type spoken struct {
	t                    *testing.T
	nc                   *nats.Conn
	name, domain, prefix string

	mu    sync.Mutex
	holds map[string]string // the holder's reply, by the address that is asked about
	beat  string            // what the heartbeat says, as the members of an object
	quiet bool
}

func newSpoken(t *testing.T, url, name, domain, prefix string) *spoken {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	s := &spoken{t: t, nc: nc, name: name, domain: domain, prefix: prefix, holds: map[string]string{}}
	s.beats(1, "")
	if _, err := nc.Subscribe("simbind.v1."+name+".svc.lookup", s.answer); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var speaking sync.WaitGroup
	speaking.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			s.pulse()
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); speaking.Wait() })
	return s
}

func (s *spoken) answer(m *nats.Msg) {
	var q struct{ Addr string }
	_ = json.Unmarshal(m.Data, &q)
	s.mu.Lock()
	reply, held := s.holds[q.Addr]
	s.mu.Unlock()
	if !held {
		reply = `{"state":"unknown","reason":"no-binding"}`
	}
	_ = m.Respond([]byte(reply))
}

// pulse sends a heartbeat, unless the site is silent.
func (s *spoken) pulse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.quiet {
		_ = s.nc.Publish("simbind.v1."+s.name+".heartbeat", []byte("{"+s.beat+"}"))
	}
}

// beats sets what the heartbeat says: the last change decided, and members
// beside those that it always has.
func (s *spoken) beats(seq int, more string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = fmt.Sprintf(`"v":1,"site":%q,"incarnation":"i","seq":%d,"healthy":true,"ingesting":true,"pools":[{"domain":%q,"prefixes":[%q]}]%s`,
		s.name, seq, s.domain, s.prefix, more)
}

// falls makes it silent or not.
func (s *spoken) falls(quiet bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = quiet
}

// binds makes subscriber n the holder of a prefix, for whoever asks about addr.
func (s *spoken) binds(addr, prefix string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds[addr] = fmt.Sprintf(`{"state":"bound","reason":"bound","domain":%q,"addr":%q,"msisdn":"+49170000000%d","imsi":"00101000000000%d","sources":["gx"],"seen":%q,"version":1}`,
		s.domain, prefix, n, n, time.Now().UTC().Format(time.RFC3339))
}

// publishes sends a message on the subject of changes.
func (s *spoken) publishes(body string) {
	s.t.Helper()
	if err := s.nc.Publish("simbind.v1."+s.name+".change.moved", []byte(body)); err != nil {
		s.t.Fatal(err)
	}
}

// tells publishes a change of an address.
func (s *spoken) tells(seq int, addr string) {
	s.t.Helper()
	s.publishes(fmt.Sprintf(`{"v":1,"site":%q,"incarnation":"i","seq":%d,"kind":"moved","domain":%q,"addr":%q}`, s.name, seq, s.domain, addr))
}

// TestNearOfIPv6IsKeptByAddress: one SIM has a /64, another an address in it.
func TestNearOfIPv6IsKeptByAddress(t *testing.T) {
	url := newServer(t)
	d, north := newCentre(t, url), newSpoken(t, url, "north", "internet", "2001:db8::/32")
	north.binds("2001:db8:0:1::1", "2001:db8:0:1::/64", 1)
	north.binds("2001:db8:0:1::5", "2001:db8:0:1::5", 2)
	d.near(t, "2001:db8:0:1::1", 1)
	if got := d.asked(t, "2001:db8:0:1::5", 1); got != "mismatch other-number" {
		t.Errorf("the SIM of the /64 with the address of the other: %s", got)
	}
	d.near(t, "2001:db8:0:1::5", 2)
	// The one that has the address in it goes; the /64 has it again.
	north.binds("2001:db8:0:1::5", "2001:db8:0:1::/64", 1)
	north.tells(2, "2001:db8:0:1::5")
	eventually(t, "the change is heard", func() bool { return d.asked(t, "2001:db8:0:1::5", 2) == "mismatch other-number" })
}

func TestRemoteLookupTakesNoAnswerAboutAnotherAddress(t *testing.T) {
	url := newServer(t)
	d, north := newCentre(t, url), newSpoken(t, url, "north", "internet", "10.0.0.0/8")
	north.binds("10.0.0.1", "10.0.0.1", 1)
	north.binds("10.0.0.2", "10.0.0.1", 1)
	d.near(t, "10.0.0.1", 1)
	if got := d.asked(t, "10.0.0.2", 1); got != "unknown site-unreachable" {
		t.Errorf("the site tells of another address than it was asked about: %s", got)
	}
}

// TestRemoteASilentSiteTakesNoDoubtAway: two sites announce one private pool in
// two domains.
func TestRemoteASilentSiteTakesNoDoubtAway(t *testing.T) {
	url := newServer(t)
	d := newCentre(t, url)
	north, south := newSpoken(t, url, "north", "internet", "10.0.0.0/8"), newSpoken(t, url, "south", "corp", "10.0.0.0/8")
	north.binds("10.0.0.1", "10.0.0.1", 1)
	south.binds("10.0.0.1", "10.0.0.1", 2)
	south.falls(true) // at first only one of them is heard
	eventually(t, "one is heard", func() bool { return d.asked(t, "10.0.0.1", 1) == "unknown site-unreachable" })
	south.falls(false)
	want := func(what string) func() bool {
		return func() bool {
			got := d.asked(t, "10.0.0.1", 1)
			if got == "match bound" {
				t.Fatalf("%s: %s", what, got)
			}
			return got == "ambiguous domain-needed"
		}
	}
	eventually(t, "both are heard", want("both are heard"))
	south.falls(true)
	heard := func() bool {
		for _, site := range d.Sites() {
			if site.Name == "south" {
				return time.Since(site.Heard) < 4*time.Second
			}
		}
		return false
	}
	still := want("one is silent")
	eventually(t, "one is silent", func() bool {
		if !still() {
			t.Fatal("the doubt is gone")
		}
		return !heard()
	})
}

func TestNearIsVoidAfterAChangeThatCannotBeRead(t *testing.T) {
	url := newServer(t)
	d, north := newCentre(t, url), newSpoken(t, url, "north", "internet", "10.0.0.0/8")
	north.binds("10.0.0.1", "10.0.0.1", 1)
	d.near(t, "10.0.0.1", 1)
	north.binds("10.0.0.1", "10.0.0.1", 2)
	north.publishes(`{"v":1,"site":"north",`)
	eventually(t, "the new holder", func() bool { return d.asked(t, "10.0.0.1", 2) == "match bound" })
}

// TestNearIsNotUsedWhileItMayBeOld: an address has gone to another SIM, and no
// change has told of it.
func TestNearIsNotUsedWhileItMayBeOld(t *testing.T) {
	for _, tt := range []struct {
		claim string
		seq   int
		more  string
		heard func(binding.Site) bool
	}{
		{"the heartbeat tells of a change that was not heard", 2, "", func(s binding.Site) bool { return s.Seq == 2 }},
		{"the site has another journal", 1, `,"incarnation":"j"`, func(s binding.Site) bool { return s.Incarnation == "j" }},
		{"the site is warming", 1, `,"warming":true`, func(s binding.Site) bool { return s.Warming }},
		{"the site takes nothing in", 1, `,"ingesting":false`, func(s binding.Site) bool { return !s.Ingesting }},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			t.Parallel()
			url := newServer(t)
			d, north := newCentre(t, url), newSpoken(t, url, "north", "internet", "10.0.0.0/8")
			north.binds("10.0.0.1", "10.0.0.1", 1)
			d.near(t, "10.0.0.1", 1)
			north.binds("10.0.0.1", "10.0.0.1", 2)
			north.beats(tt.seq, tt.more)
			eventually(t, "the heartbeat", func() bool { return tt.heard(d.Sites()[0]) })
			if got := d.asked(t, "10.0.0.1", 1); got != "mismatch other-number" {
				t.Errorf("the former holder: %s", got)
			}
		})
	}
}

// TestNearIsUsedWhileOtherAddressesChange asks a real site.
func TestNearIsUsedWhileOtherAddressesChange(t *testing.T) {
	_, owner := newOwner(t, "clear")
	owner.mustAccount(t, 1, radiustest.Start)
	d := newCentre(t, owner.log.find("nats server listens", "url"))
	q, number := binding.Query{Addr: testAddr(1)}, binding.Number{MSISDN: 447700000001}
	verify := func() bool { return d.VerifyFar(t.Context(), q, number).Verdict == binding.Match }
	eventually(t, "it is near", func() bool { return verify() && d.far.near.Counts().Hits > 0 })
	seq := d.Sites()[0].Seq
	for n := 2; n < 20; n++ {
		owner.mustAccount(t, n, radiustest.Start)
	}
	eventually(t, "the changes are heard", func() bool {
		_, abreast := d.feed.Abreast("north")
		return abreast && d.Sites()[0].Seq >= seq+18
	})
	before := d.far.near.Counts()
	if !verify() || d.far.near.Counts().Hits == before.Hits {
		t.Errorf("%+v, then %+v", before, d.far.near.Counts())
	}
}
