package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

func TestT12_AbsenceIsTrustedOrNot(t *testing.T) {
	for _, c := range []struct {
		claim  string
		source binding.Source
		gap    time.Duration
		want   string
	}{
		{"a short absence counts for a source that retransmits", binding.SourceRADIUS, 30 * time.Second, "match/bound"},
		{"a long absence does not", binding.SourceRADIUS, 2 * time.Minute, "stale/unconfirmed"},
		{"any absence is too long for the tap", binding.SourceGTPv2, time.Second, "stale/unconfirmed"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			g := newRig(t, Config{Capacity: 64})
			g.on(with(start("nas", "a", 0, sim1, ue1), func(e *binding.Event) { e.Source = c.source }))
			g.commit(t)
			g.now = g.now.Add(c.gap)
			g.boot(t, Config{Capacity: 64})
			if got := g.verify(ue1, sim1); got != c.want {
				t.Errorf("after %v: %s, want %s", c.gap, got, c.want)
			}
			s := int(g.now.Sub(rigEpoch) / time.Second)
			g.on(with(interim("nas", "a", s+1, sim1, ue1), func(e *binding.Event) { e.Source = c.source }))
			if got := g.verify(ue1, sim1); got != "match/bound" {
				t.Errorf("after a refresh: %s", got)
			}
		})
	}
}

func TestT12_NobodyRepeatsToAnObserver(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	g.on(overheard(start("seen", "a", 0, sim1, ue1)))
	g.on(start("known", "b", 0, sim2, ue2))
	g.commit(t)
	g.now = g.now.Add(time.Second)
	g.boot(t, Config{Capacity: 64, MarkOnLoss: true})
	if got := g.verify(ue1, sim1); got != "stale/unconfirmed" {
		t.Errorf("overheard before the restart: %s", got)
	}
	if got := g.verify(ue2, sim2); got != "match/bound" {
		t.Errorf("told before the restart: %s", got)
	}
	g.now = g.now.Add(time.Second)
	g.on(overheard(interim("seen", "a", 2, sim1, ue1)))
	if got := g.verify(ue1, sim1); got != "match/bound" {
		t.Errorf("overheard since: %s", got)
	}
}

func TestT12_TheNodesTellOfALoss(t *testing.T) {
	g := newRig(t, Config{Capacity: 64, Lease: time.Hour, LeaseGrace: time.Hour})
	degraded := func() (names string) {
		for _, n := range g.Nodes() {
			if !n.Degraded.IsZero() {
				names += n.Name
			}
		}
		return names
	}
	g.on(overheard(start("a", "1", 0, sim1, ue1)))
	g.on(start("b", "2", 0, sim2, ue2))
	if got := degraded(); got != "" {
		t.Errorf("before a loss: %q", got)
	}
	g.now = g.now.Add(time.Minute)
	g.on(binding.Event{Kind: binding.NewsLost})
	g.now = g.now.Add(time.Second)
	g.on(overheard(start("c", "3", 61, sim1, "10.0.0.3")))
	if got := degraded(); got != "a" {
		t.Errorf("after a loss: %q, want those that were overheard before", got)
	}
	g.now = g.now.Add(2 * time.Hour)
	if got := degraded(); got != "" {
		t.Errorf("when all sessions of before have run out: %q", got)
	}
}

func TestT12_WhileLoading(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	g.m.Warming.Store(true)
	g.on(start("nas", "a", 0, sim1, ue1))
	if got := g.verify(ue1, sim1); got != "match/bound" {
		t.Errorf("a loaded address: %s", got)
	}
	if got := g.verify(ue2, sim1); got != "unknown/warming" {
		t.Errorf("an address that is not loaded: %s", got)
	}
	g.on(start("nas2", "b", 1, sim1, ue1))
	if got := g.verify(ue1, sim1); got != "unknown/warming" {
		t.Errorf("an address that others claim too: %s", got)
	}
}

func TestT13_SIMAndDeviceChangesArePublished(t *testing.T) {
	imsiA, imsiB := mustIMSI("001010000000001"), mustIMSI("001010000000002")
	imeiA, imeiB := mustIMEI("3534900698733190"), mustIMEI("3534900698733201")
	g := newRig(t, Config{Capacity: 64})
	id := func(imsi binding.IMSI, imei binding.IMEI) func(*binding.Event) {
		return func(e *binding.Event) { e.IMSI, e.IMEI = imsi, imei }
	}
	g.on(with(start("nas", "a", 1, sim1, ue1), id(imsiA, imeiA)))
	g.on(stop("nas", "a", 2))
	g.on(with(start("nas", "b", 3, sim1, ue1), id(imsiA, imeiB)))
	g.on(stop("nas", "b", 4))
	g.on(with(start("nas", "c", 5, sim1, ue1), id(imsiB, imeiB)))
	g.on(with(start("nas2", "d", 4, sim1, ue2), id(imsiA, imeiB))) // late news of the old SIM
	g.commit(t)
	var why []string
	for _, c := range g.changes {
		if c.Kind == binding.SIMChange {
			why = append(why, fmt.Sprint(c.Why, " ", c.Was.IMSI, " ", c.Now.IMSI))
		}
	}
	want := []string{"device 001010000000001 001010000000001", "sim 001010000000001 001010000000002"}
	if fmt.Sprint(why) != fmt.Sprint(want) {
		t.Errorf("changes %v, want %v", why, want)
	}
	b, _ := g.Lookup(binding.Query{Addr: netip.MustParseAddr(ue1)})
	if b.IMSI != imsiB || b.IMEI != imeiB || b.MSISDN != sim1 {
		t.Errorf("the binding is of %v %v", b.IMSI, b.IMEI)
	}
}

func TestT13_ARestartIsNoSIMChange(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	for i, id := range []string{"a", "b", "c"} { // within one second: any of them may be the first that is loaded
		imsi := mustIMSI(fmt.Sprintf("00101000000001%d", i))
		g.on(with(start("nas", id, 1, sim1, []string{ue1, ue2, "10.0.0.9"}[i]), func(e *binding.Event) { e.IMSI = imsi }))
	}
	g.commit(t)
	before := len(g.changes)
	g.boot(t, Config{Capacity: 64})
	g.commit(t)
	g.on(stop("nas", "a", 2))
	g.commit(t) // what loading had numbered would be missing here
	if got := g.changes[before:]; len(got) != 1 || got[0].Kind != binding.Released {
		t.Errorf("changes after the restart: %+v", got)
	}
}

func TestT14_CapacityIsRefusedLoudly(t *testing.T) {
	g := newRig(t, Config{Capacity: 2, Addresses: 8})
	g.on(start("nas", "a", 1, sim1, ue1))
	g.on(start("nas", "b", 2, sim1, ue2))
	if got := g.on(start("nas", "c", 3, sim2, ue1)); got != RefusedCapacity {
		t.Fatalf("a third session is %q", got)
	}
	if got := g.verify(ue1, sim1); got != "unknown/capacity" {
		t.Errorf("what the refused session claimed: %s", got)
	}
	if p := g.problems(); len(p) != 1 || !strings.Contains(p[0], "capacity 2") {
		t.Errorf("problems %q", p)
	}
	g.commit(t)
	g.boot(t, Config{Capacity: 2, Addresses: 8})
	if got := g.verify(ue1, sim1); got != "unknown/capacity" {
		t.Errorf("after a restart: %s", got)
	}
	if got := g.on(interim("nas", "a", 9, sim1, ue1)); got != Late {
		t.Errorf("the former holder's refresh is %q", got)
	}
	g.on(stop("nas", "b", 10))
	if got := g.on(start("nas", "d", 11, sim2, ue1)); got != Applied {
		t.Fatalf("a session in place of a stopped one is %q", got)
	}
	if got := g.verify(ue1, sim2); got != "match/bound" {
		t.Errorf("once there is room: %s", got)
	}
}

func TestDomains(t *testing.T) {
	c := Config{Capacity: 64, Domains: []binding.Domain{
		{Name: "internet", APNs: []string{"internet", "*"}, Pools: prefixes("10.0.0.0/16", "2001:db8::/32")},
		{Name: "corp", APNs: []string{"corp.example"}, Pools: prefixes("10.0.0.0/24")},
	}}
	g := newRig(t, c)
	apn := func(s string) func(*binding.Event) { return func(e *binding.Event) { e.APN = s } }
	g.on(with(start("nas", "a", 1, sim1, ue1), apn("Internet.mnc001.mcc001.gprs")))
	g.on(with(start("nas", "b", 1, sim2, ue1), apn("corp.example")))
	g.on(with(start("nas", "c", 1, sim2, "10.0.9.9"), apn("other")))
	ask := func(addr, domain string) string {
		b, a := g.Lookup(binding.Query{Addr: netip.MustParseAddr(addr), Domain: domain})
		return fmt.Sprint(a.Verdict, "/", a.Reason, " ", b.MSISDN, " ", b.Domain)
	}
	for _, c := range []struct{ claim, addr, domain, want string }{
		{"the same address is another binding in another domain", ue1, "internet", "match/bound +491700000001 internet"},
		{"the same address is another binding in another domain", ue1, "corp", "match/bound +491700000002 corp"},
		{"where pools overlap the domain is needed", ue1, "", "ambiguous/domain-needed  "},
		{"where they do not it is not, and * takes any other APN", "10.0.9.9", "", "match/bound +491700000002 internet"},
		{"an unknown domain is said so", ue1, "nope", "unknown/no-domain  "},
		{"an address in no pool is said so", "192.0.2.9", "", "unknown/out-of-pool  "},
		{"in no pool of the domain that is named too", "10.0.9.9", "corp", "unknown/out-of-pool  "},
		{"in a pool of it and held by nobody is another thing", "10.0.0.200", "corp", "unknown/no-binding  "},
	} {
		if got := ask(c.addr, c.domain); got != c.want {
			t.Errorf("%s: LOOKUP %s %s is %q, want %q", c.claim, c.addr, c.domain, got, c.want)
		}
	}
}

func TestPortBlocks(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	block := func(low, high uint16) []binding.Address {
		a := addresses("198.51.100.7")
		a[0].PortLow, a[0].PortHigh = low, high
		return a
	}
	g.on(with(start("cgn", "a", 1, sim1), func(e *binding.Event) { e.Addrs = block(1024, 2031) }))
	g.on(with(start("cgn", "b", 1, sim2), func(e *binding.Event) { e.Addrs = block(2032, 3039) }))
	for port, want := range map[uint16]binding.MSISDN{1024: sim1, 1500: sim1, 2031: sim1, 2032: sim2, 3039: sim2, 3040: 0, 1023: 0, 0: 0} {
		b, _ := g.Lookup(binding.Query{Addr: netip.MustParseAddr("198.51.100.7"), Port: port})
		if b.MSISDN != want {
			t.Errorf("port %d is held by %v, want %v", port, b.MSISDN, want)
		}
	}
	g.on(interim("cgn", "b", 2, sim2, ue1)) // names no ports
	if b, _ := g.Lookup(binding.Query{Addr: netip.MustParseAddr("198.51.100.7"), Port: 2500}); b.MSISDN != sim2 {
		t.Errorf("an interim that names no ports took them: %v", b.MSISDN)
	}
	g.on(with(interim("cgn", "b", 3, sim2), func(e *binding.Event) { e.Gone = addresses("198.51.100.7") }))
	if b, _ := g.Lookup(binding.Query{Addr: netip.MustParseAddr("198.51.100.7"), Port: 2500}); b.MSISDN != 0 {
		t.Errorf("the address is given up with its ports, but held by %v", b.MSISDN)
	}
	g.on(stop("cgn", "a", 2))
	if b, _ := g.Lookup(binding.Query{Addr: netip.MustParseAddr("198.51.100.7"), Port: 1500}); b.MSISDN != 0 {
		t.Errorf("after its stop port 1500 is held by %v", b.MSISDN)
	}
}

func TestSessionsAndTrace(t *testing.T) {
	g := newRig(t, Config{Capacity: 256})
	imsi := mustIMSI("001010000000009")
	for i := range 40 {
		g.on(with(start("nas", fmt.Sprint("s", i), 1, sim1+binding.MSISDN(i%4), fmt.Sprintf("10.0.1.%d", i+1)), func(e *binding.Event) { e.APN = "internet" }))
	}
	ev := with(start("nas2", "x", 2, sim2+100, "10.0.2.1", "2001:db8:5::/64"), func(e *binding.Event) { e.IMSI = imsi })
	g.on(ev)
	count := func(by, value string) int {
		n, cursor := 0, uint64(0)
		for {
			list, next, err := g.Sessions(binding.Selection{By: by, Value: value, Limit: 7, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			n += len(list)
			if cursor = next; next == 0 {
				return n
			}
		}
	}
	for _, c := range []struct {
		by, value string
		want      int
	}{{"", "", 42}, {"node", "nas", 40}, {"node", "nas2", 2}, {"apn", "internet", 40}, {"imsi", imsi.String(), 2}, {"domain", "default", 42}} {
		if got := count(c.by, c.value); got != c.want {
			t.Errorf("SESSIONS %s %s lists %d, want %d", c.by, c.value, got, c.want)
		}
	}
	list, _, _ := g.Sessions(binding.Selection{By: "msisdn", Value: sim1.String(), Limit: 100})
	if len(list) != 10 {
		t.Errorf("the number has %d bindings, want 10", len(list))
	}
	if _, _, err := g.Sessions(binding.Selection{By: "colour", Value: "red", Limit: 1}); err == nil {
		t.Error("an unknown attribute is taken")
	}
	if nodes := g.Nodes(); len(nodes) != 2 || nodes[0].Sessions != 40 || !nodes[1].Up {
		t.Errorf("nodes %+v", nodes)
	}
	r := g.Registry
	r.take(&ev)
	r.ring.add(r.batch.trace)
	if found, err := r.Trace("2001:db8:5::77", 5); err != nil || len(found) != 1 || found[0].Outcome != string(Applied) {
		t.Errorf("trace by address: %v %v", found, err)
	}
	if found, err := r.Trace(imsi.String(), 5); err != nil || len(found) != 1 {
		t.Errorf("trace by IMSI: %v %v", found, err)
	}
}

func TestVerifyAllocatesNothing(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	g.on(start("nas", "a", 1, sim1, ue1, "2001:db8:1::/64"))
	g.on(gx(start("", "g", 1, sim1, ue1)))
	// With wider addresses around them, of others and shared.
	g.on(start("nas", "w", 2, sim2, "2001:db8:1::/56", ue2))
	g.on(start("nas2", "v", 2, sim2, "2001:db8:1::/56", ue2))
	for _, addr := range []string{ue1, ue2, "2001:db8:1::4"} {
		q := binding.Query{Addr: netip.MustParseAddr(addr)}
		if n := testing.AllocsPerRun(100, func() { g.Verify(q, binding.Number{MSISDN: sim1}) }); n != 0 {
			t.Errorf("VERIFY %s allocates %v times", addr, n)
		}
	}
}

// TestReadersDuringWrites lets readers ask while addresses move, end and are
// reused: every match must be of a SIM that was given the address, and never of
// one that cannot have had it.
func TestReadersDuringWrites(t *testing.T) {
	g := newRig(t, Config{Capacity: 512})
	const hosts = 32
	addr := func(i int) string { return fmt.Sprintf("10.0.3.%d", i+1) }
	number := func(i, n int) binding.MSISDN { return binding.MSISDN(491700000000 + i*1000 + n) } // the address is in the number
	var stopped atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for !stopped.Load() {
				i := r.IntN(hosts)
				b, a := g.Lookup(binding.Query{Addr: netip.MustParseAddr(addr(i))})
				if a.Verdict == binding.Match && (int(b.MSISDN)-491700000000)/1000 != i {
					t.Errorf("%s is said to be %v", addr(i), b.MSISDN)
					return
				}
				g.Sessions(binding.Selection{By: "msisdn", Value: number(i, 1).String(), Limit: 10})
				asked.Add(1)
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 20000 {
		i := r.IntN(hosts)
		id := fmt.Sprint(i, "/", n%3)
		switch r.IntN(4) {
		case 0:
			g.on(stop("nas", id, n))
		case 1:
			g.on(gx(start("", id, n, number(i, n%5), addr(i))))
		case 2:
			g.on(gx(stop("", id, n)))
		default:
			g.on(start("nas", id, n, number(i, n%5), addr(i)))
		}
		if n%64 == 0 {
			g.commit(t)
		}
	}
	stopped.Store(true)
	wg.Wait()
	if fault := g.audit(); fault != "" {
		t.Error(fault)
	}
	t.Logf("%d questions", asked.Load())
}

// acks collects what edges would hear.
type acks struct {
	mu   sync.Mutex
	errs map[uint64]error
}

func (a *acks) Acknowledge(token uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.errs[token] = err
}

func (a *acks) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.errs)
}

type lockedJournal struct {
	mu sync.Mutex
	*memJournal
}

func (j *lockedJournal) Commit(b *binding.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memJournal.Commit(b)
}

func (j *lockedJournal) rows() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.sessions)
}

func (j *lockedJournal) Touch(ms int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memJournal.Touch(ms)
}

func (j *lockedJournal) setFail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = err
}

func TestRun_PeersAreAnsweredAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &lockedJournal{memJournal: newMemJournal()}
		c := Config{Capacity: 4096}.withDefaults()
		m := table.New(c.sizes(), make([]uint64, table.Words(c.sizes())))
		r := newRegistry(c, m, j, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		heard := &acks{errs: map[uint64]error{}}
		submit := func(token uint64, addr string) {
			ev := binding.Event{Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "nas", Session: addr, MSISDN: sim1,
				Addrs: addresses(addr), Arrived: time.Now(), Ack: heard, Token: token}
			if err := r.Submit(ev); err != nil {
				t.Fatal(err)
			}
		}
		watch, _ := r.Watch(8)
		submit(1, ue1)
		synctest.Wait()
		if heard.len() != 1 || j.rows() != 1 {
			t.Errorf("%d answers, %d rows", heard.len(), j.rows())
		}
		if ch := <-watch; ch.Kind != binding.Bound || ch.Now.MSISDN != sim1 {
			t.Errorf("watched %+v", ch)
		}

		j.setFail(errors.New("no space left on device"))
		submit(2, ue2)
		time.Sleep(10 * time.Second) // the bubble's clock
		if heard.len() != 1 {
			t.Error("a peer was answered although the journal is down")
		}
		q := binding.Query{Addr: netip.MustParseAddr(ue2)}
		if a := r.Verify(q, binding.Number{MSISDN: sim1}); a.Verdict != binding.Match {
			t.Errorf("while the journal is down: %v", a)
		}
		if st := r.Status(); st.Healthy || len(st.Problems) != 1 {
			t.Errorf("status %+v", st)
		}
		time.Sleep(2 * time.Minute)
		if a := r.Verify(q, binding.Number{MSISDN: sim1}); a.Reason != binding.ReasonNotIngesting {
			t.Errorf("after the trust gap: %v %v", a.Verdict, a.Reason)
		}
		j.setFail(nil)
		time.Sleep(2 * time.Second)
		if heard.len() != 2 || j.rows() != 2 {
			t.Errorf("after recovery %d answers, %d rows", heard.len(), j.rows())
		}
		if a := r.Verify(q, binding.Number{MSISDN: sim1}); a.Reason != binding.ReasonUnconfirmed {
			t.Errorf("after recovery: %v %v", a.Verdict, a.Reason)
		}

		if err := r.Release(ctx, q, "stolen phone", "uid=0"); err != nil {
			t.Error(err)
		}
		if a := r.Verify(q, binding.Number{MSISDN: sim1}); a.Reason != binding.ReasonNoBinding {
			t.Errorf("after the release: %v", a)
		}
		submit(3, "10.0.0.3")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if heard.len() != 3 || heard.errs[3] != nil {
			t.Errorf("what was submitted before the end: %v", heard.errs)
		}
		if err := r.Submit(binding.Event{}); !errors.Is(err, binding.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		for open := true; open && len(watch) > 0; {
			_, open = <-watch
		}
		select {
		case _, open := <-watch:
			t.Errorf("a watcher that kept up is told that it lagged (open: %v)", open)
		default:
		}
	})
}

func TestSubmitNeverBlocks(t *testing.T) {
	g := newRig(t, Config{Capacity: 64, Queue: 2})
	for i := range 3 {
		err := g.Submit(start("nas", fmt.Sprint(i), 1, sim1, ue1))
		if want := i == 2; errors.Is(err, binding.ErrBusy) != want {
			t.Errorf("event %d: %v", i, err)
		}
	}
}

func TestWatchersThatLagLoseTheirChannel(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	slow, _ := g.Watch(1)
	quick, cancel := g.Watch(10)
	g.hub.publish(make([]binding.Change, 3), g.counters)
	if n := len(slow); n != 1 {
		t.Errorf("%d changes wait", n)
	}
	<-slow
	if _, open := <-slow; open {
		t.Error("the slow one's channel is still open")
	}
	if len(quick) != 3 {
		t.Errorf("the quick one has %d", len(quick))
	}
	cancel()
	cancel()
}

func mustIMSI(s string) binding.IMSI {
	i, err := binding.ParseIMSI(s)
	if err != nil {
		panic(err)
	}
	return i
}

func mustIMEI(s string) binding.IMEI {
	i, err := binding.ParseIMEI(s)
	if err != nil {
		panic(err)
	}
	return i
}
