package feed

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/journal"
	"github.com/simbind/simbind/binding/registry"
)

// A station is a whole site without edges: a Registry, its journal and its
// Feed, which can be stopped and started again.
type station struct {
	t       testing.TB
	name    string
	dir     string
	url     string
	follows []string
	change  func(*Config) // before each start; may be nil

	*registry.Registry
	link    uint64                            // of its gateway, a new one with each start
	running atomic.Pointer[registry.Registry] // the same, for another goroutine
	feed    *Feed
	stop    func()
}

func newStation(t testing.TB, name, url string, follows ...string) *station {
	s := &station{t: t, name: name, dir: t.TempDir(), url: url, follows: follows}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// links numbers the connections of gateways.
var links atomic.Uint64

// stationLoss is the loss_timeout of stations.
const stationLoss = 2 * time.Second

func (s *station) start() {
	s.t.Helper()
	log := testLog(s.t).With("station", s.name)
	store, err := journal.Open(filepath.Join(s.dir, "journal"), journal.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	reg, err := registry.New(registry.Config{Site: s.name, Capacity: 1 << 17, LossTimeout: stationLoss, Domains: []binding.Domain{
		{Name: "internet", APNs: []string{"internet"}, Pools: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	}}, store, log)
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := Config{
		Site: s.name, Journal: store.Meta(), PublishMSISDN: Clear, URL: s.url, Service: true,
		Follow: Follow{Sites: s.follows, File: filepath.Join(s.dir, "follow.json"), Submit: reg.Submit},
	}
	s.Registry, s.link = reg, links.Add(1)
	s.running.Store(reg)
	if s.change != nil {
		s.change(&cfg)
	}
	s.feed = New(cfg, store, reg, log)
	s.feed.reconnectWait = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{"registry": reg.Run, "feed": s.feed.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				s.t.Errorf("%s %s: %v", s.name, name, err)
			}
		})
	}
	<-reg.Ready()
	s.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := store.Close(); err != nil {
			s.t.Errorf("%s: %v", s.name, err)
		}
	})
}

// heard is a site that the station hears, nil if it does not.
func (s *station) heard(site string) *binding.Site {
	for _, one := range s.feed.Sites() {
		if one.Name == site && !one.Heard.IsZero() {
			return &one
		}
	}
	return nil
}

// says submits an event of a gateway of the station.
func (s *station) says(kind binding.Kind, session, addr string, n int) {
	s.t.Helper()
	who := person(n)
	ev := binding.Event{
		Kind: kind, Source: binding.SourceGx, Node: "pgw." + s.name, Session: session, Arrived: time.Now(), Link: s.link,
		MSISDN: who.MSISDN, IMSI: who.IMSI, APN: "internet",
	}
	if addr != "" {
		a, err := binding.IPv4(netip.MustParseAddr(addr))
		if err != nil {
			s.t.Fatal(err)
		}
		ev.Addrs = []binding.Address{a}
	}
	if err := binding.SubmitFunc(s.Submit).Wait(s.t.Context(), ev); err != nil {
		s.t.Fatal(err)
	}
}

func person(n int) binding.Subscriber {
	imsi, err := binding.ParseIMSI(fmt.Sprintf("00101%010d", n))
	if err != nil {
		panic(err)
	}
	return binding.Subscriber{MSISDN: binding.MSISDN(491700000000 + n), IMSI: imsi}
}

// verdict is what the station answers, as "verdict/reason".
func (s *station) verdict(addr string, n int) string {
	a := s.Verify(binding.Query{Addr: netip.MustParseAddr(addr)}, binding.Number{MSISDN: person(n).MSISDN})
	return a.Verdict.String() + "/" + a.Reason.String()
}

func (s *station) awaits(addr string, n int, want string) {
	s.t.Helper()
	got := ""
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s says %s of %s; sites: %+v", s.name, got, addr, s.feed.Sites())
		}
	}()
	until(s.t, fmt.Sprintf("%s says %s of %s and %d", s.name, want, addr, n), func() bool { got = s.verdict(addr, n); return got == want })
}

// progress is how following a site goes.
func (s *station) progress(site string) binding.SiteProgress {
	for _, known := range s.feed.Sites() {
		if known.Name == site {
			return known.SiteProgress
		}
	}
	return binding.SiteProgress{}
}

// kept is the position that survives a restart.
func (s *station) kept(site string) uint64 {
	marks, err := openBookmarks(filepath.Join(s.dir, "follow.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	return marks.get(site).Seq
}

func TestAChangeThatIsSentAsAHeartbeatEndsNoFollowing(t *testing.T) {
	op := newOperator(t, nil)
	nc := client(t, op.url())
	cfg := clusterConfig(op.url()) // the site's journal of before
	cfg.Site, cfg.Journal.Incarnation = "north", "old"
	outbox := newFakeOutbox()
	outbox.fill(1, 3)
	old := start(t, cfg, outbox, newFakeAsker(t))
	old.awaitDelivered(3)
	old.stop()
	north := newStation(t, "north", op.url())
	centre := newStation(t, "centre", op.url(), All)
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre.awaits("10.1.0.1", 1, "match/bound")
	refused := func() uint64 {
		s := centre.feed.sites
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.refused
	}
	was := centre.progress("north").Snapshots
	for n := range uint64(3) {
		request(t, nc, "$JS.API.DIRECT.GET.SIMBIND", heartbeatSubject("north"), `{"seq":2}`)
		until(t, "the change has come", func() bool { return refused() > n || centre.progress("north").Snapshots > was })
	}
	last := centre.progress("north").Complete
	until(t, "a heartbeat counts", func() bool { return centre.progress("north").Complete.After(last) })
	if p := centre.progress("north"); p.Snapshots != was || p.State != stateCurrent {
		t.Errorf("it is followed anew: %+v", p)
	}
}

func TestAReplicaAnswersLikeItsSite(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre := newStation(t, "centre", op.url(), All)
	centre.awaits("10.1.0.1", 1, "match/bound") // from the snapshot
	north.says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre.awaits("10.1.0.2", 2, "match/bound") // from the stream
	north.says(binding.SessionStart, "3", "10.1.0.2", 3)
	centre.awaits("10.1.0.2", 3, "match/bound")
	centre.awaits("10.1.0.2", 2, "mismatch/other-number")
	north.says(binding.SessionStop, "3", "", 3)
	centre.awaits("10.1.0.2", 3, "unknown/no-binding")
	b, _ := centre.Lookup(binding.Query{Addr: netip.MustParseAddr("10.1.0.1")})
	if b.Site != "north" || b.Node != "pgw.north" || b.APN != "internet" || b.IMSI != person(1).IMSI || time.Since(b.Since) > time.Minute {
		t.Errorf("lookup: %+v", b)
	}
	if n := centre.Status().JournalSeq; n != 0 {
		t.Errorf("the replica published %d changes of its own", n)
	}
}

func TestAReplicaThatRestartsGoesOnWhereItStood(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	centre := newStation(t, "centre", op.url(), "north")
	for n := range 100 {
		north.says(binding.SessionStart, fmt.Sprint(n), fmt.Sprintf("10.1.0.%d", n+1), n)
	}
	centre.awaits("10.1.0.100", 99, "match/bound")
	until(t, "the position is kept", func() bool { return centre.kept("north") == 100 })
	centre.stop()
	north.says(binding.SessionStop, "0", "", 0)
	north.says(binding.SessionStart, "100", "10.1.0.101", 100)
	centre.start()
	if got := centre.verdict("10.1.0.1", 0); got == "match/bound" {
		t.Errorf("before it has caught up it says %s", got)
	}
	centre.awaits("10.1.0.101", 100, "match/bound")
	centre.awaits("10.1.0.1", 0, "unknown/no-binding")
	centre.awaits("10.1.0.50", 49, "match/bound")
	if p := centre.progress("north"); p.Snapshots != 0 {
		t.Errorf("it took a snapshot: %+v", p)
	}
}

func TestASiteThatIsLostTurnsStale(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	centre := newStation(t, "centre", op.url(), All)
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre.awaits("10.1.0.1", 1, "match/bound")
	north.stop()
	centre.awaits("10.1.0.1", 1, "stale/node-lost")
	north.start()
	centre.awaits("10.1.0.1", 1, "match/bound")
}

// TestWhoAnswersNobodyIsNotFollowed under "*", and a replica's pools are not
// announced.
func TestWhoAnswersNobodyIsNotFollowed(t *testing.T) {
	op := newOperator(t, nil)
	mute := &station{t: t, name: "mute", dir: t.TempDir(), url: op.url(), follows: []string{All}, change: func(c *Config) { c.Service = false }}
	mute.start()
	t.Cleanup(func() { mute.stop() })
	centre := newStation(t, "centre", op.url(), All)
	until(t, "each hears the other", func() bool {
		return centre.heard("mute") != nil && mute.progress("centre").Followed
	})
	if p := centre.progress("mute"); p.Followed {
		t.Errorf("%+v", p)
	}
	if pools := centre.heard("mute").Pools; len(pools) != 0 {
		t.Errorf("a replica that answers nobody announces %v", pools)
	}
}

func TestASiteThatIsBackWhenTheReplicaRestartsIsNotLost(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	centre := newStation(t, "centre", op.url(), All)
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre.awaits("10.1.0.1", 1, "match/bound")
	north.stop()
	centre.awaits("10.1.0.1", 1, "stale/node-lost")
	centre.stop()
	north.start()
	beats, err := client(t, op.url()).SubscribeSync(heartbeatSubject("north"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := beats.NextMsg(testDeadline); err != nil {
		t.Fatalf("north is not heard: %v", err)
	}
	centre.start()
	centre.awaits("10.1.0.1", 1, "match/bound")
	until(t, "that is shown", func() bool { return centre.progress("north").State == stateCurrent })
}

func TestAReplicaWithoutABusTurnsStale(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	centre := newStation(t, "centre", op.url(), All)
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre.awaits("10.1.0.1", 1, "match/bound")
	op.stop()
	centre.awaits("10.1.0.1", 1, "stale/node-lost")
	north.says(binding.SessionStart, "2", "10.1.0.1", 2) // nobody hears of it now
	op.start()
	centre.awaits("10.1.0.1", 2, "match/bound")
	centre.awaits("10.1.0.1", 1, "mismatch/other-number")
}

func TestASiteWithAnotherJournalIsToldAnew(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	centre := newStation(t, "centre", op.url(), All)
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	north.says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre.awaits("10.1.0.2", 2, "match/bound")
	north.stop()
	north.dir = t.TempDir()
	north.start()
	north.says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre.awaits("10.1.0.1", 1, "unknown/no-binding")
	centre.awaits("10.1.0.2", 2, "match/bound")
}

func TestChangesThatTheStreamLostAreToldAnew(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	centre := newStation(t, "centre", op.url(), All)
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre.awaits("10.1.0.1", 1, "match/bound")
	until(t, "the position is kept", func() bool { return centre.kept("north") == 1 })
	centre.stop()
	north.says(binding.SessionStop, "1", "", 1)
	north.says(binding.SessionStart, "2", "10.1.0.2", 2)
	js := jetStream(t, client(t, op.url()))
	until(t, "the changes are in the stream", func() bool { return north.feed.State().Delivered == 3 })
	stream, err := js.Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	centre.start()
	centre.awaits("10.1.0.2", 2, "match/bound")
	centre.awaits("10.1.0.1", 1, "unknown/no-binding")
	if p := centre.progress("north"); p.Snapshots != 1 || p.Gaps != 1 {
		t.Errorf("%+v", p)
	}
}

func TestASiteThatIsNotFollowedAnyMoreIsForgotten(t *testing.T) {
	op := newOperator(t, nil)
	north := newStation(t, "north", op.url())
	newStation(t, "south", op.url())
	centre := newStation(t, "centre", op.url(), "north", "south")
	north.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre.awaits("10.1.0.1", 1, "match/bound")
	centre.stop()
	centre.follows = []string{"south"}
	centre.start()
	centre.awaits("10.1.0.1", 1, "unknown/no-binding")
}

// TestRandomHistoriesAtThreeSites: while everything happens at once a replica
// matches nobody who did not hold the address a moment ago; when it is quiet it
// says what the sites say.
func TestRandomHistoriesAtThreeSites(t *testing.T) {
	op := newOperator(t, nil)
	names := []string{"north", "south", "west"}
	var all []*station
	for _, name := range names {
		all = append(all, newStation(t, name, op.url()))
	}
	centre := newStation(t, "centre", op.url(), All)
	const addrs, steps = 40, 1500
	var lives sync.WaitGroup
	for k, s := range all {
		lives.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(k)))
			holds := map[int]string{}
			for n := range steps {
				at := random.IntN(addrs)
				if session, taken := holds[at]; taken && random.IntN(2) == 0 {
					s.says(binding.SessionStop, session, "", 0)
					delete(holds, at)
					continue
				}
				holds[at] = fmt.Sprint(n)
				s.says(binding.SessionStart, holds[at], fmt.Sprintf("10.%d.0.%d", k+1, at+1), random.IntN(30))
			}
		})
	}
	lives.Wait()
	for k, s := range all {
		for at := range addrs {
			addr := fmt.Sprintf("10.%d.0.%d", k+1, at+1)
			// What was said last may still be on its way into the site itself.
			until(t, "centre says what "+s.name+" says of "+addr, func() bool {
				b, a := s.Lookup(binding.Query{Addr: netip.MustParseAddr(addr)})
				return centre.verdict(addr, max(int(b.MSISDN)-491700000000, 0)) == a.Verdict.String()+"/"+a.Reason.String()
			})
		}
	}
}
