package diameter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/diameter"
)

// peerSeries are the series about peers, "name{peer}=value", of those that tell
// who is silent.
func peerSeries(t *testing.T, s *diameter.Server) (list []string) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(s.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		name := strings.TrimPrefix(family.GetName(), "simbindd_diameter_")
		if name != "requests_total" && name != "peer_open" {
			continue
		}
		for _, m := range family.Metric {
			labels := map[string]string{}
			for _, label := range m.Label {
				labels[label.GetName()] = label.GetValue()
			}
			if kind, ok := labels["kind"]; ok && kind != "credit-control" {
				continue
			}
			value := "0"
			if m.GetCounter().GetValue()+m.GetGauge().GetValue() != 0 {
				value = "1"
			}
			list = append(list, name+"{"+labels["peer"]+"}="+value)
		}
	}
	slices.Sort(list)
	return list
}

func TestWhoIsExpectedHasSeriesFromTheStart(t *testing.T) {
	for _, c := range []struct {
		claim string
		peers []diameter.Peer
		host  string // that connects and says nothing, if any
		want  []string
	}{
		{"a host that is named", []diameter.Peer{{Host: "pgw1.lab"}}, "", []string{"peer_open{pgw1.lab}=0", "requests_total{pgw1.lab}=0"}},
		{"once, however often it is named", []diameter.Peer{{Host: "pgw1.lab", Realm: "a"}, {Host: "PGW1.lab"}}, "",
			[]string{"peer_open{pgw1.lab}=0", "requests_total{pgw1.lab}=0"}},
		{"whoever an entry lets in", []diameter.Peer{{Host: "*"}}, "", []string{"requests_total{*}=0"}},
		{"one that is connected and silent", []diameter.Peer{{Host: "pgw1.lab"}}, "pgw1.lab",
			[]string{"peer_open{pgw1.lab}=1", "requests_total{pgw1.lab}=0"}},
		{"nobody", nil, "", nil},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s := start(t, diameter.Config{Peers: c.peers}, newFakeRegistry().submit)
			if c.peers == nil {
				s.SetPeers(nil)
			}
			if c.host != "" {
				connect(t, s.addr(), c.host, 0)
			}
			if got := peerSeries(t, s.Server); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
