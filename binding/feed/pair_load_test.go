package feed

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A gateway says the same to every member, to each at its own pace. Like those
// of the field it rests addresses before it gives them out again, so that what
// became of each is certain also to a member that was away in between and hears
// it by another connection.
type gateway struct {
	t      testing.TB
	random *rand.Rand

	mu     sync.Mutex
	said   []binding.Event
	live   []stay
	used   map[netip.Addr]time.Time // when each address was last spoken of
	seen   map[int]time.Time        // and each person
	opened int
	over   bool
}

// A stay is one session.
type stay struct {
	session string
	addr    netip.Addr
	who     int
}

// rested is for how long a gateway says nothing more of an address or a person:
// longer than what it says may be on its way.
const rested = 500 * time.Millisecond

// run speaks until finish is called.
func (g *gateway) run() {
	for {
		g.mu.Lock()
		if g.over {
			g.mu.Unlock()
			return
		}
		for range 1 + g.random.IntN(4) {
			g.speak()
		}
		g.mu.Unlock()
		<-time.After(5 * time.Millisecond)
	}
}

func (g *gateway) speak() {
	now := time.Now()
	ev := binding.Event{Kind: binding.SessionStart, Source: binding.SourceGx, Node: "pgw.north", Arrived: now, APN: "internet"}
	var of stay
	if len(g.live) > 150 || len(g.live) > 0 && g.random.IntN(3) == 0 {
		i := g.random.IntN(len(g.live))
		if of = g.live[i]; !g.mayName(of, now) {
			return
		}
		ev.Kind, ev.Session = binding.SessionStop, of.session
		g.live = append(g.live[:i], g.live[i+1:]...)
	} else {
		n := g.random.IntN(1000)
		of = stay{fmt.Sprint(g.opened + 1), netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), g.random.IntN(2000)}
		there := func(other stay) bool { return other.who == of.who }
		if !g.mayName(of, now) || slices.ContainsFunc(g.live, there) {
			return
		}
		g.opened++
		addr, err := binding.IPv4(of.addr)
		if err != nil {
			g.t.Error(err)
		}
		who := person(of.who)
		if g.random.IntN(50) == 0 {
			who.IMSI = person(10000 + g.opened).IMSI // the number has got another card
		}
		ev.Session, ev.MSISDN, ev.IMSI, ev.Addrs = of.session, who.MSISDN, who.IMSI, []binding.Address{addr}
		g.live = append(g.live, of)
	}
	g.used[of.addr], g.seen[of.who] = now, now
	g.said = append(g.said, ev)
}

func (g *gateway) mayName(s stay, now time.Time) bool {
	return now.Sub(g.used[s.addr]) > rested && now.Sub(g.seen[s.who]) > rested
}

func (g *gateway) finish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}

func (g *gateway) after(n int) (some []binding.Event, over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.said[min(n, len(g.said)):], g.over
}

// A hearing is what brings the gateway's events to one member.
type hearing struct {
	g    *gateway
	s    *station
	at   atomic.Int64 // events heard
	kept atomic.Int64 // of them those that its journal has
	stop func()
	over <-chan struct{}
}

// Acknowledge implements binding.Acknowledger.
func (h *hearing) Acknowledge(token uint64, err error) {
	if err == nil {
		h.kept.Store(int64(token))
	}
}

func (h *hearing) start() {
	quit, done := make(chan struct{}), make(chan struct{})
	h.stop, h.over = sync.OnceFunc(func() { close(quit); <-done }), done
	go func() {
		defer close(done)
		for {
			some, over := h.g.after(int(h.at.Load()))
			for _, ev := range some {
				ev.Link, ev.Ack, ev.Token = h.s.link, h, uint64(h.at.Load()+1)
				if err := binding.SubmitFunc(h.s.Submit).Wait(h.g.t.Context(), ev); err != nil {
					return // the member is stopping: said again later
				}
				h.at.Add(1)
			}
			if over && len(some) == 0 {
				return
			}
			select {
			case <-quit:
				return
			case <-time.After(time.Duration(rand.N(20)) * time.Millisecond):
			}
		}
	}()
}

// A word is one that consumers were told.
type word struct {
	text     string
	seq      uint64
	takeover bool
}

// wordsOf reads the site's stream like a consumer: of one incarnation and
// without a gap.
func wordsOf(t *testing.T, url string) map[spot][]word {
	t.Helper()
	words, seq, incarnation := map[spot][]word{}, uint64(0), ""
	for _, m := range readAll(t, client(t, url)) {
		var c struct {
			toldChange
			Why string `json:"why"`
		}
		if err := json.Unmarshal(m.payload, &c); err != nil {
			t.Fatal(err)
		}
		if incarnation == "" {
			incarnation = c.Incarnation
		}
		if seq++; c.Seq != seq || c.Incarnation != incarnation {
			t.Fatalf("after change %d of %s comes %d of %s", seq-1, incarnation, c.Seq, c.Incarnation)
		}
		at, err := c.spot(c.Kind)
		if err != nil {
			t.Fatal(err)
		}
		words[at] = append(words[at], word{c.word(c.Kind), c.Seq, c.Why == "takeover"})
	}
	return words
}

// checkTold holds what consumers were told against what the active member knows
// and, if whole, against what they would have been told by one that never died:
// nothing else, nothing twice, nothing out of order.
func checkTold(t *testing.T, op *operator, active *station, whole map[spot][]word) {
	t.Helper()
	until(t, "all is published", active.published)
	present := &shadow{enc: encoder{site: "north", incarnation: "-", privacy: Clear}, told: active.Told}
	said, again := 0, 0
	for at, list := range wordsOf(t, op.url()) {
		if is, err := present.present(at); at.sim == "" && (err != nil || is != list[len(list)-1].text) {
			t.Errorf("of %v consumers know %q, the active member %q (%v)", at, list[len(list)-1].text, is, err)
		}
		rest, missing, restated := whole[at], 0, false
		for n, w := range list {
			said++
			if w.takeover {
				again, restated = again+1, true
				continue
			}
			i := slices.IndexFunc(rest, func(r word) bool { return r.text == w.text })
			if whole != nil && i < 0 {
				t.Fatalf("of %v consumers were told %v out of turn: after %v, instead of %v", at, w, list[max(n-8, 0):n], rest[:min(len(rest), 8)])
			}
			missing, rest = missing+max(i, 0), rest[min(i+1, len(rest)):]
		}
		if whole != nil && !restated && len(rest)+missing > 0 {
			n := 0
			for n < min(len(list), len(whole[at])) && list[n].text == whole[at][n].text {
				n++
			}
			t.Errorf("of %v consumers were not told %v, but %v", at, whole[at][n:min(n+8, len(whole[at]))], list[n:min(n+4, len(list))])
		}
	}
	t.Logf("%d changes, %d of them said again for takeovers", said, again)
}

// crash ends a member without a word.
func (s *station) crash() {
	s.feed.pair.stand()
	s.stop()
}

// A calm says whether the machine let the members keep up: steps are matched
// exactly while no member lags behind the other by seconds.
type calm struct {
	stalled atomic.Int64 // the longest that something took, in ns
	stop    func()
}

// stallMax is the longest stall that the exact checks allow.
const stallMax = 500 * time.Millisecond

func (c *calm) watch(members map[string]*station) {
	quit, done := make(chan struct{}), make(chan struct{})
	c.stop = sync.OnceFunc(func() { close(quit); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			took := time.Since(last)
			for _, s := range members {
				took = max(took, s.commits())
			}
			c.stalled.Store(max(c.stalled.Load(), int64(took)))
			last = time.Now()
		}
	}()
}

// commits is how long the last commit took.
func (s *station) commits() time.Duration {
	if r := s.running.Load(); r != nil {
		return r.Status().CommitTime
	}
	return 0
}

func TestWhoeverOfAPairDiesUnderLoadConsumersAreToldEachChangeOnce(t *testing.T) {
	t.Parallel()
	for _, missed := range []bool{false, true} {
		t.Run(fmt.Sprintf("missed=%v", missed), func(t *testing.T) {
			t.Parallel()
			testPairUnderLoad(t, missed)
		})
	}
}

func testPairUnderLoad(t *testing.T, missed bool) {
	op := newOperator(t, nil)
	both := newCouple(t, op.url())
	lone := newOperator(t, nil)
	one := newStation(t, "north", lone.url())
	g := &gateway{t: t, random: rand.New(rand.NewPCG(1, 2)), used: map[netip.Addr]time.Time{}, seen: map[int]time.Time{}}
	var speaking sync.WaitGroup
	speaking.Go(g.run)
	still := &calm{}
	still.watch(both.each)
	hears := map[string]*hearing{"": {g: g, s: one}}
	hears[""].start()
	for name, s := range both.each {
		hears[name] = &hearing{g: g, s: s}
		hears[name].start()
	}
	until(t, "something is said", func() bool { return one.feed.State().Delivered > 100 })
	active, other := "a", "b"
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		hears[active].stop()
		if round%2 == 0 {
			both.each[active].crash()
		} else {
			both.each[active].stop()
		}
		hears[active].at.Store(hears[active].kept.Load()) // the gateway repeats the rest
		until(t, "the other one is active", func() bool { return both.each[other].feed.State().Role == RoleActive })
		both.each[active].start()
		if missed {
			some, _ := g.after(0)
			hears[active].at.Store(int64(len(some)))
		}
		hears[active].start()
		until(t, "the first one stands by", func() bool { return both.each[active].feed.State().Standing })
		if !missed { // what it heard before is no news, see shadow.own
			stood, _ := g.after(0)
			until(t, "the first one has heard what was said meanwhile", func() bool { return int(hears[active].at.Load()) > len(stood)+100 })
			until(t, "the members agree", func() bool { return both.each[active].feed.State().Differ < 10 })
		}
		active, other = other, active
	}
	g.finish()
	speaking.Wait()
	for _, h := range hears {
		<-h.over
		until(t, "all that was heard is decided", func() bool { return h.kept.Load() == h.at.Load() })
	}
	var whole map[spot][]word
	still.stop()
	takeovers := uint64(0)
	for _, s := range both.each {
		takeovers += s.feed.health.count().takeovers
	}
	if stall := time.Duration(still.stalled.Load()); !missed && (stall > stallMax || takeovers > 1) {
		t.Logf("the machine stalled for %v: steps are not compared", stall)
	} else if !missed {
		until(t, "all is published", one.published)
		whole = wordsOf(t, lone.url())
	}
	checkTold(t, op, both.each[active], whole)
}
