package registry

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// BenchmarkApply measures one decision of the writer, without journal and
// publishing: a Start, two Interims and a Stop of each of many sessions.
func BenchmarkApply(b *testing.B) {
	const sessions = 100_000
	g := newRig(b, Config{Capacity: 2 * sessions})
	events := make([]binding.Event, 4*sessions)
	for i := range sessions {
		ev := binding.Event{Source: binding.SourceRADIUS, Node: "nas", Session: fmt.Sprintf("%08x", i), MSISDN: simA.MSISDN + binding.MSISDN(i), IMSI: binding.IMSI(0x001010000000000F + i<<4), APN: "internet", Complete: true}
		addr, _ := binding.IPv4(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		for n, kind := range []binding.Kind{binding.SessionStart, binding.SessionUpdate, binding.SessionUpdate, binding.SessionStop} {
			ev.Kind, ev.Addrs, ev.Time = kind, []binding.Address{addr}, rigEpoch
			events[n*sessions+i] = ev
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ev := &events[i%len(events)]
		ev.Time = g.now
		g.rules.apply(ev, g.now.UnixMilli())
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
		g.rules.apply(&binding.Event{Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "nas", Session: fmt.Sprint(i), MSISDN: simA.MSISDN, Addrs: []binding.Address{addr}, Time: rigEpoch}, g.now.UnixMilli())
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if g.Verify(queries[i*7919%sessions], binding.Number{MSISDN: simA.MSISDN}).Verdict == binding.Unknown {
			b.Fatal("not bound")
		}
	}
}
