package observe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
)

func TestWhatFollowersCountIsExported(t *testing.T) {
	s := NewStandard(func(binding.Event) error { return nil }, Settings{})
	for _, port := range []uint16{2123, 8805} {
		s.Packet(&wire.Packet{
			Time: time.Unix(1, 0), Proto: wire.ProtoUDP, Payload: []byte{0xFF},
			Src: netip.MustParseAddrPort("192.0.2.1:40000"), Dst: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), port),
		})
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			read[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for _, want := range []string{"simbindd_gtp_sessions", "simbindd_pfcp_waiting", "simbindd_gtp_messages_total unresolved", "simbindd_pfcp_messages_total no-address"} {
		if _, ok := read[want]; !ok {
			t.Errorf("there is no %s in %v", want, read)
		}
	}
	seen := 0.0
	for _, kind := range []string{"messages", "malformed", "other", "cut"} {
		seen += read["simbindd_gtp_messages_total "+kind]
	}
	if seen == 0 {
		t.Errorf("a datagram of one octet is not counted: %v", read)
	}
}
