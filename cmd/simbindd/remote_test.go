package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/radius/radiustest"
)

// newOwner is a site whose server others connect to; privacy is its
// publish_msisdn.
func newOwner(t *testing.T, privacy string) (home, *daemon) {
	t.Helper()
	h := newHome(t)
	text := strings.Replace(h.yaml(), "site: test", "site: north", 1)
	text = strings.Replace(text, "nats: {embedded:", "nats: {service: true, embedded:", 1)
	h.configure(t, strings.Replace(text, "publish_msisdn: clear", "publish_msisdn: "+privacy, 1))
	d := h.start(t)
	d.await(t, "nats server listens")
	return h, d
}

// asker is a daemon without that site's addresses.
func newAsker(t *testing.T, owner *daemon, remote string) *daemon {
	t.Helper()
	h := newHome(t)
	text := strings.Replace(h.yaml(), "10.0.0.0/8", "172.16.0.0/12", 1)
	h.configure(t, strings.Replace(text, `nats: {embedded: {listen: "127.0.0.1:0"}}`, "nats: {url: \""+owner.log.find("nats server listens", "url")+"\"}\nremote: "+remote, 1))
	return h.start(t)
}

func TestRemoteLookup(t *testing.T) {
	for _, tt := range []struct{ claim, privacy, remote string }{
		{"with a near-cache", "clear", "on"},
		{"without one", "clear", "{cache: {max_age: 0s}}"},
		{"from a site that tells hashes", "sha256", "on"},
		{"from a site that tells no numbers", "none", "on"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			_, owner := newOwner(t, tt.privacy)
			owner.mustAccount(t, 1, radiustest.Start)
			d := newAsker(t, owner, tt.remote)
			addr := testAddr(1).String()
			verdict := func(n int) string { return d.verdict(t, addr, testNumber(n)) }
			eventually(t, "the site's word", func() bool { return verdict(1) == "match bound" })
			if got := verdict(2); got != "mismatch other-number" {
				t.Errorf("another number: %s", got)
			}
			b, err := d.client(t).Lookup(t.Context(), addr)
			if err != nil || b.Site != "north" || b.IMSI == "" || (b.MSISDN != "") != (tt.privacy == "clear") {
				t.Errorf("lookup: %+v, %v", b, err)
			}
			owner.mustAccount(t, 1, radiustest.Stop)
			eventually(t, "after the end", func() bool { return strings.HasPrefix(verdict(1), "unknown") })
			if got := d.verdict(t, "172.16.0.9", testNumber(1)); got != "unknown no-binding" {
				t.Errorf("an address of our own: %s", got)
			}
			if got := d.verdict(t, "192.0.2.1", testNumber(1)); got != "unknown out-of-pool" {
				t.Errorf("an address of nobody: %s", got)
			}
		})
	}
}

// TestASiteThatDoesNotAnswer: local answers do not wait for it, and there is no
// match from near once its heartbeat is missing.
func TestASiteThatDoesNotAnswer(t *testing.T) {
	_, owner := newOwner(t, "clear")
	owner.mustAccount(t, 1, radiustest.Start)
	d := newAsker(t, owner, "{timeout: 1s, cache: {max_age: 1h}}")
	addr := testAddr(1).String()
	eventually(t, "the site's word", func() bool { return d.verdict(t, addr, testNumber(1)) == "match bound" })
	if code := owner.stop(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	eventually(t, "it is not there", func() bool {
		return strings.HasPrefix(d.verdict(t, addr, testNumber(1)), "unknown ")
	})
	// Questions to it on one connection; answers of ours on another.
	far, near := d.client(t), d.client(t)
	for range 8 {
		go func() { _, _ = far.Verify(t.Context(), addr, testNumber(1)) }()
	}
	began := time.Now()
	for range 100 {
		if got, err := near.Verify(t.Context(), "172.16.0.9", testNumber(1)); err != nil || got.Reason != "no-binding" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if took := time.Since(began); took > patience {
		t.Errorf("100 answers took %v", took)
	}
}

// TestMGETAnywhere mixes addresses of ours and of another site.
func TestMGETAnywhere(t *testing.T) {
	_, owner := newOwner(t, "clear")
	owner.mustAccount(t, 1, radiustest.Start)
	d := newAsker(t, owner, "on")
	eventually(t, "the site's word", func() bool { return d.verdict(t, testAddr(1).String(), testNumber(1)) == "match bound" })
	conn, err := net.Dial("unix", d.socket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	// Commands behind it wait for it: replies come in order.
	fmt.Fprintf(conn, "MGET 172.16.0.9 %s 192.0.2.1\r\nPING\r\nGET %s\r\nQUIT\r\n", testAddr(1), testAddr(1))
	got, err := io.ReadAll(conn)
	number := fmt.Sprintf("$%d\r\n%s\r\n", len(testNumber(1)), testNumber(1))
	if want := "*3\r\n$-1\r\n" + number + "$-1\r\n+PONG\r\n" + number + "+OK\r\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v\nwant %q", got, err, want)
	}
}
