package radius

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A nodeRig hears requests that say only who the NAS is.
type nodeRig struct {
	*nodes
	events []string
	refuse bool
	now    time.Time
}

func newNodeRig() *nodeRig {
	r := &nodeRig{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.nodes = newNodes(func(ev binding.Event) error {
		if r.refuse {
			return binding.ErrBusy
		}
		r.events = append(r.events, ev.Kind.String()+" "+ev.Node)
		return nil
	})
	return r
}

// nasFields reads "id", "address", "id@address" or "".
func nasFields(who string) *fields {
	f := &fields{}
	id, address, both := strings.Cut(who, "@")
	addr, err := netip.ParseAddr(id)
	switch {
	case both:
		f.nasID, addr = []byte(id), netip.MustParseAddr(address)
	case err != nil:
		f.nasID = []byte(id)
		return f
	}
	if addr.Is4() {
		f.nas4 = addr.AsSlice()
	} else {
		f.nas6 = addr.AsSlice()
	}
	return f
}

func (r *nodeRig) hear(who string, c *client) string {
	name, _ := r.heard(nasFields(who), netip.MustParseAddr("192.0.2.99"), c, r.now)
	return name
}

func (r *nodeRig) restart(who string) []string {
	f := nasFields(who)
	list := r.family(f, netip.MustParseAddr("192.0.2.99"), r.hear(who, &client{}), nil)
	slices.Sort(list)
	return list
}

func TestARestartEndsEveryNameOfTheNAS(t *testing.T) {
	for _, c := range []struct {
		claim   string
		heard   []string
		restart string
		want    []string
	}{
		{"an unknown NAS by its own name", nil, "pgw1", []string{"pgw1"}},
		{"by the address, whose identifiers came with it", []string{"pgw1@10.0.0.1"}, "10.0.0.1", []string{"10.0.0.1", "pgw1"}},
		{"two contexts of one address", []string{"a@10.0.0.1", "b@10.0.0.1"}, "10.0.0.1", []string{"10.0.0.1", "a", "b"}},
		{"one context does not end the other", []string{"a@10.0.0.1", "b@10.0.0.1"}, "a", []string{"a"}},
		{"nor when it names the address, too", []string{"a@10.0.0.1", "b@10.0.0.1"}, "a@10.0.0.1", []string{"a"}},
		{"an address under which sessions came", []string{"10.0.0.1", "pgw1@10.0.0.1"}, "pgw1", []string{"10.0.0.1", "pgw1"}},
		{"an IPv6 address", []string{"pgw1@2001:db8::1"}, "2001:db8::1", []string{"2001:db8::1", "pgw1"}},
		{"another NAS stays", []string{"pgw1@10.0.0.1", "pgw2@10.0.0.2"}, "10.0.0.2", []string{"10.0.0.2", "pgw2"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := newNodeRig()
			for _, who := range c.heard {
				r.hear(who, &client{})
			}
			if got := r.restart(c.restart); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestASilentNodeIsDownUntilItIsHeard(t *testing.T) {
	r := newNodeRig()
	patient, impatient := &client{}, &client{Client: Client{LossTimeout: time.Minute}}
	r.hear("quiet", patient)
	r.hear("pgw1@10.0.0.1", impatient)
	r.now = r.now.Add(59 * time.Second)
	r.sweep(r.now)
	if len(r.events) != 0 {
		t.Fatal(r.events)
	}
	r.now = r.now.Add(time.Second)
	r.refuse = true
	r.sweep(r.now)
	r.refuse = false
	r.sweep(r.now)
	r.sweep(r.now)
	r.hear("pgw1", impatient)
	r.hear("pgw1", impatient)
	if want := []string{"node-down pgw1", "node-up pgw1"}; !slices.Equal(r.events, want) {
		t.Errorf("got %v, want %v", r.events, want)
	}
}

func TestAStatusServerKeepsANodeUpAndMakesNone(t *testing.T) {
	r := newNodeRig()
	r.hear("pgw1@10.0.0.1", &client{Client: Client{LossTimeout: time.Minute}})
	for range 3 {
		r.now = r.now.Add(50 * time.Second)
		r.alive(nasFields("10.0.0.1"), netip.MustParseAddr("10.0.0.1"), r.now)
		r.alive(nasFields("a proxy"), netip.MustParseAddr("10.0.0.9"), r.now)
		r.sweep(r.now)
	}
	if len(r.events) != 0 || r.byName["a proxy"] != nil {
		t.Error(r.events, r.byName)
	}
	r.now = r.now.Add(time.Hour)
	r.sweep(r.now)
	r.alive(nasFields("pgw1"), netip.MustParseAddr("10.0.0.1"), r.now)
	if want := []string{"node-down pgw1", "node-up pgw1"}; !slices.Equal(r.events, want) {
		t.Errorf("got %v, want %v", r.events, want)
	}
}

func TestNodesAreBounded(t *testing.T) {
	r := newNodeRig()
	for i := range 2 * maxNodes {
		name := "nas" + string(rune('a'+i%26)) + time.Duration(i).String()
		if got := r.hear(name+"@10.0.0.1", &client{}); got != name {
			t.Fatalf("%q is called %q", name, got)
		}
	}
	if n := len(r.byName) + len(r.byAddr); n > maxNodes {
		t.Errorf("%d names are kept", n)
	}
	if n := len(r.byAddr[netip.MustParseAddr("10.0.0.1")].links); n > maxLinks {
		t.Errorf("%d names of one address are kept", n)
	}
}

func TestTheLongestPrefixIsTheClient(t *testing.T) {
	def := func(name, prefix string) Client {
		return Client{Name: name, Prefix: netip.MustParsePrefix(prefix), Secret: []byte("x")}
	}
	table, err := newClients([]Client{
		def("all", "0.0.0.0/0"), def("ten", "10.0.0.0/8"), def("one", "10.0.0.1/32"), def("six", "2001:db8::/32"), def("deep", "2001:db8:1::/48"),
	}, func(string) *clientCounts { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"192.0.2.1": "all", "10.9.9.9": "ten", "10.0.0.1": "one", "2001:db8:2::1": "six", "2001:db8:1::1": "deep", "2001:db9::1": "",
	} {
		got := ""
		if c := table.lookup(netip.MustParseAddr(addr)); c != nil {
			got = c.Name
		}
		if got != want {
			t.Errorf("%s is of %q, want %q", addr, got, want)
		}
	}
}

func TestClientsAreChecked(t *testing.T) {
	p := netip.MustParsePrefix("10.0.0.0/8")
	good := Client{Name: "a", Prefix: p, Secret: []byte("x")}
	for claim, list := range map[string][]Client{
		"no name":              {{Prefix: p, Secret: []byte("x")}},
		"a name twice":         {good, {Name: "a", Prefix: netip.MustParsePrefix("10.0.0.0/9"), Secret: []byte("x")}},
		"a prefix twice":       {good, {Name: "b", Prefix: p, Secret: []byte("x")}},
		"no secret":            {{Name: "a", Prefix: p}},
		"host bits":            {{Name: "a", Prefix: netip.MustParsePrefix("10.0.0.1/8"), Secret: []byte("x")}},
		"neither way in":       {{Name: "a", Secret: []byte("x")}},
		"a certificate twice":  {{Name: "a", Certificate: "x"}, {Name: "b", Certificate: "x"}},
		"a negative timeout":   {{Name: "a", Prefix: p, Secret: []byte("x"), LossTimeout: -1}},
		"an IPv4-mapped range": {{Name: "a", Prefix: netip.MustParsePrefix("::ffff:10.0.0.0/104"), Secret: []byte("x")}},
	} {
		t.Run(claim, func(t *testing.T) {
			if _, err := newClients(list, func(string) *clientCounts { return nil }); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestOutcomesOfErrors(t *testing.T) {
	for err, want := range map[error]outcome{
		nil: outcomeDurable, binding.ErrBusy: outcomeBusy, binding.ErrClosed: outcomeClosed, binding.ErrCapacity: outcomeCapacity,
		binding.ErrJournal: outcomeJournal, errors.New("x"): outcomeOther,
	} {
		if got := outcomeOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, outcomeNames[got], outcomeNames[want])
		}
	}
}
