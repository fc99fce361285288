package numverify_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// TestADoubtIsNeverAYes: once simbindd is in doubt about an address, nobody is
// recognised there any more, and a token from before gets no answer about the
// number; a word of the session that surely came after brings it back.
func TestADoubtIsNeverAYes(t *testing.T) {
	const addr, theirs = "10.45.0.50", "+447700900050"
	who := binding.Subscriber{MSISDN: 447700900050, IMSI: must(binding.ParseIMSI("001010000000050"))}
	place := must(binding.IPv4(netip.MustParseAddr(addr)))
	session := func(kind binding.Kind, id string) binding.Event {
		return binding.Event{Kind: kind, Session: id, APN: "internet", MSISDN: who.MSISDN, IMSI: who.IMSI, Addrs: []binding.Address{place}}
	}
	for _, tt := range []struct {
		claim  string
		doubt  func(n *simNetwork)
		answer func(n *simNetwork) // ends it; nil: nothing that this SIM says does
	}{
		{"another gateway says that another SIM has it", func(n *simNetwork) { n.submit(conflicting(addr)) }, nil},
		{"an operator released it", func(n *simNetwork) {
			if err := n.registry.Release(t.Context(), binding.Query{Addr: place.Prefix.Addr()}, "a test", "somebody"); err != nil {
				t.Fatal(err)
			}
		}, func(n *simNetwork) { n.submit(session(binding.SessionUpdate, "doubted")) }},
		{"its SIM attached anew elsewhere", func(n *simNetwork) {
			e := session(binding.SessionStart, "anew")
			e.Addrs = []binding.Address{must(binding.IPv4(netip.MustParseAddr("10.45.0.51")))}
			n.submit(e)
		}, func(n *simNetwork) { n.submit(session(binding.SessionUpdate, "doubted")) }},
		{"another source ended its session", func(n *simNetwork) {
			e := session(binding.SessionStart, "overheard")
			e.Source, e.Node = binding.SourceGTPv2, "sgw.lab"
			n.submit(e)
			e.Kind = binding.SessionStop
			n.submit(e)
		}, nil},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			w := newWorld(t)
			w.network.submit(session(binding.SessionStart, "doubted"))
			token := w.token(addr, verify)
			tt.doubt(w.network)
			status, answer := w.verify(token, theirs)
			wantError(t, status, answer, 403, "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK")
			if _, back := w.authorize(addr, request()); back.Get("error") != "access_denied" || back.Get("code") != "" {
				t.Errorf("in doubt: %v", back)
			}
			if tt.answer == nil {
				return
			}
			// What is on its way for 300 ms may be of before the doubt.
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for deadline := time.After(20 * time.Second); ; {
				tt.answer(w.network)
				if _, back := w.authorize(addr, request()); back.Get("code") != "" {
					break
				}
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatal("its session speaks, and is not recognised")
				}
			}
			if _, answer := w.verify(w.token(addr, verify), theirs); answer["devicePhoneNumberVerified"] != true {
				t.Errorf("after its session's next word: %v", answer)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
