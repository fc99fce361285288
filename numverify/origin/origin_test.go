package origin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

func TestOf(t *testing.T) {
	ours := prefixes("192.0.2.0/24", "2001:db8:ffff::/48")
	for _, tt := range []struct {
		name, header, peer string
		lines              []string
		want               string // "" if it cannot be said
	}{
		{"a direct connection is its own origin", "", "10.45.0.7:40000", nil, "10.45.0.7:40000"},
		{"IPv4-mapped is IPv4", "", "[::ffff:10.45.0.7]:40000", nil, "10.45.0.7:40000"},
		{"NAT64 is the IPv4 behind it", "", "[64:ff9b::a2d:7]:40000", nil, "10.45.0.7:40000"},
		{"without a header configured nothing in it counts", "", "192.0.2.1:1", []string{"for=10.45.0.7"}, "192.0.2.1:1"},
		{"an unlisted peer is not believed", Forwarded, "10.45.0.9:5", []string{"for=10.45.0.7"}, "10.45.0.9:5"},
		{"an unlisted peer is not believed in the other header", XForwardedFor, "10.45.0.9:5", []string{"10.45.0.7"}, "10.45.0.9:5"},
		{"a listed proxy is", Forwarded, "192.0.2.1:1", []string{`for="10.45.0.7:40000";proto=https`}, "10.45.0.7:40000"},
		{"with IPv6 in brackets", Forwarded, "192.0.2.1:1", []string{`For="[2001:db8::7]:40000"`}, "[2001:db8::7]:40000"},
		{"with IPv6 without a port", Forwarded, "192.0.2.1:1", []string{`for="[2001:db8::7]"`}, "[2001:db8::7]:0"},
		{"what stands left of the proxy's own word is the client's invention", Forwarded, "192.0.2.1:1",
			[]string{"for=10.45.0.1, for=10.45.0.7"}, "10.45.0.7:0"},
		{"over several lines too", Forwarded, "192.0.2.1:1", []string{"for=10.45.0.1", "for=10.45.0.7"}, "10.45.0.7:0"},
		{"a chain of our own proxies is walked", Forwarded, "192.0.2.1:1",
			[]string{`for=10.45.0.1, for="10.45.0.7:9", for="[2001:db8:ffff::2]:8"`}, "10.45.0.7:9"},
		{"a comma in quotes separates nothing", Forwarded, "192.0.2.1:1", []string{`for=10.45.0.7;by="a,b"`}, "10.45.0.7:0"},
		{"a proxy that hides the client", Forwarded, "192.0.2.1:1", []string{"for=_hidden"}, ""},
		{"a proxy that does not know", Forwarded, "192.0.2.1:1", []string{"for=unknown"}, ""},
		{"a proxy that says nothing", Forwarded, "192.0.2.1:1", nil, ""},
		{"only our own proxies", Forwarded, "192.0.2.1:1", []string{"for=192.0.2.7"}, ""},
		{"two clients in one element", Forwarded, "192.0.2.1:1", []string{"for=10.45.0.1;for=10.45.0.7"}, ""},
		{"an element without a client", Forwarded, "192.0.2.1:1", []string{"for=10.45.0.1, proto=https"}, ""},
		{"a name", XForwardedFor, "192.0.2.1:1", []string{"phone.example"}, ""},
		{"X-Forwarded-For", XForwardedFor, "192.0.2.1:1", []string{"10.45.0.1, 10.45.0.7"}, "10.45.0.7:0"},
		{"X-Forwarded-For with a port", XForwardedFor, "192.0.2.1:1", []string{"10.45.0.7:40000"}, "10.45.0.7:40000"},
		{"a zone is no address", XForwardedFor, "192.0.2.1:1", []string{"fe80::1%eth0"}, ""},
		{"a header beyond all measure", XForwardedFor, "192.0.2.1:1", []string{strings.Repeat("10.45.0.1,", 1000) + "10.45.0.7"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/authorize", nil)
			r.RemoteAddr = tt.peer
			for _, header := range []string{Forwarded, XForwardedFor, "X-Msisdn"} {
				for _, line := range tt.lines {
					if header == tt.header || tt.header == "" {
						r.Header.Add(header, line)
					} else {
						r.Header.Add(header, "10.45.0.66")
					}
				}
			}
			c := Config{Proxies: ours, Header: tt.header, NAT64: prefixes("64:ff9b::/96")}
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			got, err := c.Of(r)
			if err != nil && tt.want == "" {
				return
			}
			if s := netip.AddrPortFrom(got.Addr, got.Port).String(); err != nil || s != tt.want {
				t.Errorf("got %s, %v, want %q", s, err, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]Config{
		"a header nobody may send":  {Header: Forwarded},
		"a header of another name":  {Header: "X-Real-IP", Proxies: prefixes("192.0.2.0/24")},
		"NAT64 with another length": {NAT64: prefixes("64:ff9b::/64")},
		"NAT64 that is not of IPv6": {NAT64: prefixes("10.0.0.0/8")},
	} {
		if c.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// served is what a server behind Listen answers to raw bytes: the origin it
// saw, or "closed".
func served(t *testing.T, c Config, raw string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, err := c.Of(r)
		fmt.Fprint(w, o.Addr, " ", o.Port, " ", err)
	})}
	go server.Serve(c.Listen(ln))
	t.Cleanup(func() { server.Close() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw+"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		return "closed"
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPROXYProtocol(t *testing.T) {
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + "\x0a\x2d\x00\x07" + "\x7f\x00\x00\x01" + "\x9c\x40" + "\x01\xbb"
	ours, others := Config{Proxies: prefixes("127.0.0.0/8")}, Config{Proxies: prefixes("192.0.2.0/24")}
	for _, tt := range []struct {
		name string
		c    Config
		raw  string
		want string
	}{
		{"version 2 of a listed proxy", ours, v2, "10.45.0.7 40000 <nil>"},
		{"version 1 of a listed proxy", ours, "PROXY TCP4 10.45.0.7 127.0.0.1 40000 443\r\n", "10.45.0.7 40000 <nil>"},
		{"a listed proxy that sends none", ours, "", "closed"},
		{"version 2 of somebody else", others, v2, "closed"},
	} {
		if got := served(t, tt.c, tt.raw); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := served(t, others, ""); !strings.HasPrefix(got, "127.0.0.1 ") {
		t.Errorf("somebody else without a header: %q", got)
	}
}

func FuzzForwarded(f *testing.F) {
	for _, s := range []string{`for="[2001:db8::7]:40000"`, "for=10.45.0.1, for=10.45.0.7;by=x", `for="`, ",;=", "10.45.0.7:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, header := range []string{Forwarded, XForwardedFor} {
			c := Config{Proxies: prefixes("192.0.2.0/24"), Header: header}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = "192.0.2.1:1"
			r.Header[header] = []string{s}
			got, err := c.Of(r)
			if (err == nil) != got.Addr.IsValid() {
				t.Errorf("%q: %v %v", s, got, err)
			}
			if err == nil && c.isProxy(got.Addr) {
				t.Errorf("%q: a proxy of ours is the origin", s)
			}
		}
	})
}
