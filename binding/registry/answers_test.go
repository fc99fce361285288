package registry

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

func TestDomains(t *testing.T) {
	w := newTale(t, taleConfig)
	w.configure(func(c *Config) {
		c.Domains = []binding.Domain{
			{Name: "internet", APNs: []string{"internet", "*"}, Pools: prefixes("10.0.0.0/16", "2001:db8::/32")},
			{Name: "corp", APNs: []string{"corp.example"}, Pools: prefixes("10.0.0.0/24")},
		}
	})
	g := w.pgw("pgw")
	g.start("a", simA, ue1, of("Internet.mnc001.mcc001.gprs"))
	g.start("b", simB, ue1, of("corp.example"))
	g.start("c", simB, "10.0.9.9", of("other"))
	ask := func(addr, domain string) string {
		b, a := w.Lookup(binding.Query{Addr: netip.MustParseAddr(addr), Domain: domain})
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

func TestSessionsAndTrace(t *testing.T) {
	w := newTale(t, taleConfig)
	w.configure(func(c *Config) { c.Capacity, c.Addresses = 256, 512 })
	nas, other := w.newNAS("nas"), w.newNAS("other")
	for i := range 40 {
		nas.start(fmt.Sprint("s", i), binding.Subscriber{MSISDN: simA.MSISDN + binding.MSISDN(i%4)},
			fmt.Sprintf("10.0.1.%d", i+1), of("internet"))
	}
	ev := other.word(binding.SessionStart, "x", binding.Subscriber{MSISDN: 491700000101, IMSI: simC.IMSI},
		"10.0.2.1 2001:db8:5::/64", nil)
	w.on(ev)
	count := func(by, value string) int {
		n, cursor := 0, uint64(0)
		for {
			list, next, err := w.Sessions(binding.Selection{By: by, Value: value, Limit: 7, Cursor: cursor})
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
	}{{"", "", 42}, {"node", "nas", 40}, {"node", "other", 2}, {"apn", "internet", 40},
		{"imsi", simC.IMSI.String(), 2}, {"domain", "default", 42}} {
		if got := count(c.by, c.value); got != c.want {
			t.Errorf("SESSIONS %s %s lists %d, want %d", c.by, c.value, got, c.want)
		}
	}
	list, _, _ := w.Sessions(binding.Selection{By: "msisdn", Value: simA.MSISDN.String(), Limit: 100})
	if len(list) != 10 {
		t.Errorf("the number has %d bindings, want 10", len(list))
	}
	if _, _, err := w.Sessions(binding.Selection{By: "colour", Value: "red", Limit: 1}); err == nil {
		t.Error("an unknown attribute is taken")
	}
	if nodes := w.Nodes(); len(nodes) != 2 || nodes[0].Sessions != 40 || !nodes[1].Up || nodes[1].Owner != "client other" {
		t.Errorf("nodes %+v", nodes)
	}
	w.take(&ev)
	w.ring.add(w.batch.trace)
	if found, err := w.Trace("2001:db8:5::77", 5); err != nil || len(found) != 1 || found[0].Session != "x" {
		t.Errorf("trace by address: %v %v", found, err)
	}
	if found, err := w.Trace(simC.IMSI.String(), 5); err != nil || len(found) != 1 {
		t.Errorf("trace by IMSI: %v %v", found, err)
	}
}

func TestAnEndedSessionIsNotListed(t *testing.T) {
	w := newTale(t, taleConfig)
	n := w.nas("nas")
	n.start("a", simA, ue1)
	w.wait(5 * time.Second)
	n.stop("a")
	for _, by := range []string{"", "msisdn", "imsi"} {
		value := map[string]string{"msisdn": simA.MSISDN.String(), "imsi": simA.IMSI.String()}[by]
		list, _, err := w.Sessions(binding.Selection{By: by, Value: value, Limit: 10})
		if err != nil || len(list) != 0 {
			t.Errorf("by %q: %+v %v", by, list, err)
		}
	}
	if b, a := w.Lookup(query(ue1)); b.Addr.Prefix.IsValid() || a.Verdict != binding.Unknown {
		t.Errorf("LOOKUP: %+v %+v", b, a)
	}
}

// TestVerifyAllocatesNothing, and waits for nobody: the path of every question.
func TestVerifyAllocatesNothing(t *testing.T) {
	w := newTale(t, taleConfig)
	n, g := w.nas("nas"), w.pgw("pgw")
	n.start("a", simA, ue1+" 2001:db8:1::/64")
	g.start("g", simA, ue1)
	// With wider addresses around them, of others and shared, and parts inside.
	n.start("w", simB, "2001:db8:1::/56 "+ue2)
	w.nas("other").start("v", simB, "2001:db8:1::/56 "+ue2)
	n.start("p", simC, "198.51.100.7:1024-2047")
	n.stop("x", by(simC), has(ue3))
	for _, addr := range []string{ue1, ue2, ue3, "2001:db8:1::4", "198.51.100.7:1500", "198.51.100.7", "10.0.0.200",
		"192.0.2.1"} {
		q := query(addr)
		if n := testing.AllocsPerRun(100, func() { w.Verify(q, binding.Number{MSISDN: simA.MSISDN}) }); n != 0 {
			t.Errorf("VERIFY %s allocates %v times", addr, n)
		}
		if n := testing.AllocsPerRun(100, func() { w.Lookup(q) }); n != 0 {
			t.Errorf("LOOKUP %s allocates %v times", addr, n)
		}
	}
}

// TestReadersDuringWrites lets readers ask while addresses move, end and are
// reused: every match must be of a SIM that was given the address, and never of
// one that cannot have had it.
func TestReadersDuringWrites(t *testing.T) {
	const hosts, words = 32, 8000
	w := newTale(t, taleConfig)
	w.configure(func(c *Config) { c.Capacity, c.Addresses = 2*words, 2*words })
	nas, pgw := w.newNAS("nas"), w.pgw("pgw")
	nas.link = 100 // its words are in order
	addr := func(i int) string { return fmt.Sprintf("10.0.3.%d", i+1) }
	// The address is in the number.
	number := func(i, n int) binding.MSISDN { return binding.MSISDN(491700000000 + i*1000 + n) }
	var stopped atomic.Bool
	var asked, matched atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for !stopped.Load() {
				i := r.IntN(hosts)
				b, a := w.Lookup(binding.Query{Addr: netip.MustParseAddr(addr(i))})
				if a.Verdict == binding.Match {
					matched.Add(1)
					if (int(b.MSISDN)-491700000000)/1000 != i {
						t.Errorf("%s is said to be %v", addr(i), b.MSISDN)
						return
					}
				}
				w.Sessions(binding.Selection{By: "msisdn", Value: number(i, 1).String(), Limit: 10})
				asked.Add(1)
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 1))
	for n := range words {
		i := r.IntN(hosts)
		id, who := fmt.Sprint(i, "/", n%3), binding.Subscriber{MSISDN: number(i, n%5)}
		switch r.IntN(4) {
		case 0:
			w.on(nas.word(binding.SessionStop, id, noSIM, "", nil))
		case 1:
			w.on(pgw.word(binding.SessionStart, id, who, addr(i), nil))
		case 2:
			w.on(pgw.word(binding.SessionStop, id, noSIM, "", nil))
		default:
			w.on(nas.word(binding.SessionStart, id, who, addr(i), nil))
		}
		if n%64 == 0 {
			w.commit(t)
		}
	}
	stopped.Store(true)
	wg.Wait()
	w.fit()
	if matched.Load() == 0 {
		t.Errorf("%d questions, and no match", asked.Load())
	}
}

// TestEachOutcomeIsExplained looks where people look: in the page about the
// protocol and in the help of simbind.
func TestEachOutcomeIsExplained(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	outcomes := regexp.MustCompile(`(?m)^\t\w+ +Outcome = "([^"]+)"`).FindAllStringSubmatch(read("binding/registry/status.go"), -1)
	if len(outcomes) < 11 {
		t.Fatalf("found only %q", outcomes)
	}
	_, page, _ := strings.Cut(read("docs/query-protocol.md"), "\n### TRACE")
	page, _, _ = strings.Cut(page, "\n###")
	help := strings.Join(strings.Fields(read("cmd/simbind/testdata/help/simbind-trace.txt")), " ")
	for _, o := range append(outcomes, []string{"", strings.TrimSpace(namedNobody)}) {
		if !strings.Contains(page, "| `"+o[1]+"` |") {
			t.Errorf("docs/query-protocol.md has no line about the outcome %q", o[1])
		}
		if !strings.Contains(help, strings.TrimPrefix(o[1], "refused: ")) {
			t.Errorf("the help of simbind trace does not explain %q", o[1])
		}
	}
}
