package journal_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/journal"
	"github.com/simbind/simbind/binding/registry"
)

// TestWhatAJournalOfBeforeTheBoundsCannotSayIsDoubt starts a Registry on the
// journal in testdata/former, half a minute after its program was stopped: twice,
// as the first start writes some of it anew.
func TestWhatAJournalOfBeforeTheBoundsCannotSayIsDoubt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	if err := os.CopyFS(dir, os.DirFS("testdata/former")); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{"first", "second"} {
		t.Run(start+" start", func(t *testing.T) {
			j, err := journal.Open(dir, journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = j.Close() })
			now := j.Meta().Alive.Add(30 * time.Second)
			r := runRegistry(t, j, now)
			for _, c := range []struct {
				claim, addr string
				port        uint16
				number      binding.MSISDN
				want        string
			}{
				{"a session that has spoken twice", "10.45.0.1", 0, 34600000001, "match/bound"},
				{"a prefix", "2001:db8:0:1::1", 0, 34600000002, "match/bound"},
				{"a delegated prefix", "2001:db8:0:2ff::1", 0, 34600000002, "match/bound"},
				{"a session that was stopped", "10.45.0.3", 0, 34600000003, "unknown/"},
				{"a session that another source ended", "10.45.0.4", 0, 34600000004, "unknown/ended"},
				{"two nodes' sessions", "10.45.0.5", 0, 34600000005, "ambiguous/conflict"},
				{"another site's session", "10.45.0.6", 0, 34600000006, "stale/unconfirmed"},
				{"a block of ports", "10.45.0.7", 1024, 34600000070, "match/bound"},
				{"the next block of ports", "10.45.0.7", 2048, 34600000071, "match/bound"},
				{"an overheard session", "10.45.0.8", 0, 34600000008, "stale/unconfirmed"},
				{"a session of before its node's restart", "10.45.0.10", 0, 34600000010, "unknown/"},
				{"a session that may be of before its node's restart", "10.45.0.11", 0, 34600000011, "unknown/restarted"},
				{"a session with a directory's number", "10.45.0.12", 0, 34600000012, "match/bound"},
				{"the later of two sessions", "10.45.0.13", 0, 34600000014, "match/bound"},
				{"the earlier of two sessions", "10.45.0.13", 0, 34600000013, "mismatch/other-number"},
				{"an address that was refused for lack of room", "10.45.1.4", 0, 34600000103, "unknown/"},
			} {
				a := r.Verify(binding.Query{Addr: netip.MustParseAddr(c.addr), Port: c.port}, binding.Number{MSISDN: c.number})
				if got := a.Verdict.String() + "/" + a.Reason.String(); !strings.HasPrefix(got, c.want) {
					t.Errorf("%s: %s, want %s", c.claim, got, c.want)
				}
			}
		})
	}
}

// runRegistry runs a Registry on a journal, at a moment that stands still, until
// the test ends.
func runRegistry(t *testing.T, j binding.Journal, now time.Time) *registry.Registry {
	t.Helper()
	r, err := registry.New(registry.Config{
		Site: "lab", Capacity: 100, Now: func() time.Time { return now },
		Domains: []binding.Domain{
			{Name: "internet", APNs: []string{"internet"}, Pools: []netip.Prefix{netip.MustParsePrefix("10.45.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}},
			{Name: "ims", APNs: []string{"ims"}, Pools: []netip.Prefix{netip.MustParsePrefix("10.46.0.0/16")}},
		},
	}, j, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-r.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("the journal is not loaded")
	}
	wide := binding.Query{Addr: netip.MustParseAddr("2001:db8:0:2ff::1")}
	deadline := time.After(20 * time.Second)
	for turn := time.NewTicker(time.Millisecond); r.Verify(wide, binding.Number{MSISDN: 34600000002}).Verdict != binding.Match; {
		select { // until the sweep has seen that nobody else is inside of it
		case <-turn.C:
		case <-deadline:
			t.Fatal("the sweep does not come around")
		}
	}
	return r
}
