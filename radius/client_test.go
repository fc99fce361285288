package radius

import (
	"net/netip"
	"testing"
)

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
		"a negative delay":     {{Name: "a", Prefix: p, Secret: []byte("x"), BlindDelay: -1}},
		"a delay too long":     {{Name: "a", Prefix: p, Secret: []byte("x"), BlindDelay: MaxBlindDelay + 1}},
		"an IPv4-mapped range": {{Name: "a", Prefix: netip.MustParsePrefix("::ffff:10.0.0.0/104"), Secret: []byte("x")}},
	} {
		t.Run(claim, func(t *testing.T) {
			if _, err := newClients(list, func(string) *clientCounts { return nil }); err == nil {
				t.Error("accepted")
			}
		})
	}
}
