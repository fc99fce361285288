package sender

import (
	"net/netip"
	"strings"
	"testing"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestASenderIsItsAddressUnlessItIsOfAGroup(t *testing.T) {
	groups := Groups{
		{"dra", prefixes("192.0.2.1/32", "192.0.2.2/32", "2001:db8::/64")},
		{"feg", prefixes("192.0.2.0/24")},
	}
	if err := groups.Check(); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"192.0.2.1": "dra", "192.0.2.2": "dra", "2001:db8::7": "dra", "192.0.2.3": "feg", "198.51.100.1": "198.51.100.1", "2001:db8:1::7": "2001:db8:1::7",
	} {
		if got := groups.Owner(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
}

func TestGroupsThatCannotBe(t *testing.T) {
	one := prefixes("192.0.2.1/32")
	for claim, c := range map[string]struct {
		groups Groups
		want   string
	}{
		"no name":                   {Groups{{"", one}}, "no name"},
		"no address":                {Groups{{"dra", nil}}, "no addresses"},
		"an address that is none":   {Groups{{"dra", make([]netip.Prefix, 1)}}, "is none"},
		"the name of a sender":      {Groups{{"192.0.2.9", one}}, "the name of another sender"},
		"a name with a space":       {Groups{{"a b", one}}, "without spaces"},
		"a name of absurd length":   {Groups{{strings.Repeat("x", 256), one}}, "printable"},
		"a name that is used twice": {Groups{{"dra", one}, {"dra", one}}, "twice"},
	} {
		if err := c.groups.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", claim, err)
		}
	}
}
