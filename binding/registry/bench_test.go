package registry

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// BenchmarkApply measures one decision of the writer, without journal and
// publishing: a Start, two Interims and a Stop of each of many sessions, ten
// seconds apart.
func BenchmarkApply(b *testing.B) {
	const sessions = 100_000
	g := newRig(b, Config{Capacity: 2 * sessions})
	kinds := []binding.Kind{binding.SessionStart, binding.SessionUpdate, binding.SessionUpdate, binding.SessionStop}
	events := make([]binding.Event, len(kinds)*sessions)
	for i := range sessions {
		addr, _ := binding.IPv4(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		for n, kind := range kinds {
			events[n*sessions+i] = binding.Event{
				Kind: kind, Source: binding.SourceRADIUS, Owner: "client", Node: "nas", Session: fmt.Sprintf("%08x", i),
				APN:    "internet",
				MSISDN: simA.MSISDN + binding.MSISDN(i), IMSI: binding.IMSI(0x001010000000000F + i<<4),
				Addrs: []binding.Address{addr}, Complete: n < 3,
			}
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		switch {
		case i%len(events) == 0 && i > 0: // what ended is forgotten
			b.StopTimer()
			g.now = g.now.Add(10 * time.Minute)
			g.sweepAll()
			b.StartTimer()
		case i%sessions == 0:
			g.now = g.now.Add(10 * time.Second)
		}
		ev := &events[i%len(events)]
		ev.Time, ev.Arrived = g.now.Truncate(time.Second), g.now
		if got := g.rules.apply(ev, g.now.UnixMilli()); got != Applied {
			b.Fatalf("event %d is %q", i, got)
		}
		if i%1024 == 1023 {
			g.now = g.now.Add(time.Millisecond)
			g.sessions.seal(g.now.UnixMilli())
			g.batch.reset()
		}
	}
}

// BenchmarkVerify measures one answer, from query to verdict.
func BenchmarkVerify(b *testing.B) {
	const sessions = 100_000
	g := newRig(b, Config{Capacity: sessions})
	queries := make([]binding.Query, sessions)
	for i := range sessions {
		queries[i].Addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		addr, _ := binding.IPv4(queries[i].Addr)
		g.on(binding.Event{
			Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "nas", Session: fmt.Sprint(i), MSISDN: simA.MSISDN,
			Addrs: []binding.Address{addr}, Time: g.now, Arrived: g.now,
		})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if g.Verify(queries[i*7919%sessions], binding.Number{MSISDN: simA.MSISDN}).Verdict != binding.Match {
			b.Fatal("not bound")
		}
	}
}
