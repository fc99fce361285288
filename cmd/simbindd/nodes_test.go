package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf"
	overheard "github.com/simbind/simbind/bpf/accounting"
	"github.com/simbind/simbind/bpf/sender"
	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/radius"
)

func TestNamesOfSeveralOwnersAreMarked(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	nas := func(owner, name string, ago time.Duration, also ...string) binding.Node {
		return binding.Node{Source: binding.SourceRADIUS, Owner: owner, Name: name, Also: also, Heard: now.Add(-ago)}
	}
	gx := nas("c", "nas1", 0)
	gx.Source = binding.SourceGx
	for _, tt := range []struct {
		claim string
		nodes []binding.Node
		want  string // by node, whether it is marked
	}{
		{"one owner", []binding.Node{nas("a", "nas1", 0), nas("a", "nas2", 0)}, "[false false]"},
		{"two owners of one name", []binding.Node{nas("a", "nas1", 0), nas("b", "nas1", 0), nas("b", "nas2", 0)}, "[true true false]"},
		{"in another case", []binding.Node{nas("a", "NAS1", 0), nas("b", "nas1", 0)}, "[true true]"},
		{"one name is the other's second", []binding.Node{nas("a", "nas1", 0, "10.0.0.1"), nas("b", "10.0.0.1", 0)}, "[true true]"},
		{"a node that says its name twice", []binding.Node{nas("a", "nas1", 0, "NAS1")}, "[false]"},
		{"of another source", []binding.Node{nas("a", "nas1", 0), gx}, "[false false]"},
		{"one was not heard for long", []binding.Node{nas("a", "nas1", 61*time.Minute), nas("b", "nas1", 0)}, "[false false]"},
	} {
		markShared(tt.nodes, now)
		var got []bool
		for _, n := range tt.nodes {
			got = append(got, n.Shared)
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, want %s", tt.claim, got, tt.want)
		}
	}
}

func TestSessionsWithoutTheirOwnerAreMarked(t *testing.T) {
	node := func(source binding.Source, owner string, sessions int) binding.Node {
		return binding.Node{Source: source, Owner: owner, Name: "pgw1", Sessions: sessions}
	}
	radiusOf := func(clients ...radius.Client) config.Config {
		return config.Config{RADIUS: &radius.Config{Clients: clients}}
	}
	gxOf := func(peers ...diameter.Peer) config.Config {
		return config.Config{Diameter: &diameter.Config{Peers: peers}}
	}
	tapped := config.Config{Tap: &bpf.Config{
		Groups: sender.Groups{{Name: "smfs"}}, Accounting: overheard.Options{Clients: []radius.Client{{Name: "nas"}}},
	}}
	nas, gx, pfcp := binding.SourceRADIUS, binding.SourceGx, binding.SourcePFCP
	for _, tt := range []struct {
		claim string
		cfg   config.Config
		node  binding.Node
		want  bool
	}{
		{"a client", radiusOf(radius.Client{Name: "a"}), node(nas, "a", 1), false},
		{"a client's group", radiusOf(radius.Client{Name: "a", Group: "pair"}), node(nas, "pair", 1), false},
		{"a client that has a group now", radiusOf(radius.Client{Name: "a", Group: "pair"}), node(nas, "a", 1), true},
		{"a group that has another name", radiusOf(radius.Client{Name: "a", Group: "new"}), node(nas, "pair", 1), true},
		{"one without sessions", radiusOf(radius.Client{Name: "a", Group: "new"}), node(nas, "pair", 0), false},
		{"a section that is off", config.Config{}, node(nas, "a", 1), true},
		{"a peer", gxOf(diameter.Peer{Host: "PGW1.lab"}), node(gx, "pgw1.lab", 1), false},
		{"whoever connects", gxOf(diameter.Peer{Host: "*"}), node(gx, "pgw1.lab", 1), false},
		{"a peers' group", gxOf(diameter.Peer{Host: "dra1.lab", Group: "dra"}), node(gx, "dra", 1), false},
		{"a peers' group that has another name", gxOf(diameter.Peer{Host: "dra1.lab", Group: "new"}), node(gx, "dra", 1), true},
		{"a peer that has a group now", gxOf(diameter.Peer{Host: "pgw1.lab", Group: "new"}, diameter.Peer{Host: "*"}), node(gx, "pgw1.lab", 1), true},
		{"one that may come in by another entry", gxOf(diameter.Peer{Host: "pgw1.lab", Group: "new", Realm: "lab"}, diameter.Peer{Host: "*"}),
			node(gx, "pgw1.lab", 1), false},
		{"a peer that was taken out", gxOf(diameter.Peer{Host: "pgw2.lab"}), node(gx, "pgw1.lab", 1), true},
		{"a group of senders", tapped, node(pfcp, "smfs", 1), false},
		{"a sender", tapped, node(pfcp, "192.0.2.1", 1), false},
		{"a client of the tap", tapped, node(nas, "nas", 1), false},
		{"a group of senders that is gone", tapped, node(gx, "dras", 1), true},
		{"senders where there is no tap any more", radiusOf(), node(pfcp, "192.0.2.1", 1), true},
		{"a site says itself who is there", config.Config{}, node(binding.SourceFeed, "north", 1), false},
	} {
		nodes := []binding.Node{tt.node}
		newOwners(tt.cfg).mark(nodes)
		if nodes[0].Orphaned != tt.want {
			t.Errorf("%s: %v, want %v", tt.claim, nodes[0].Orphaned, tt.want)
		}
	}
}

// TestNodesThatNeedALookAreCounted in the status and in the metrics.
func TestNodesThatNeedALookAreCounted(t *testing.T) {
	nodes := []binding.Node{
		{Source: binding.SourceRADIUS, Name: "well", Up: true, OffsetKnown: true, Events: 100},
		{Source: binding.SourceRADIUS, Name: "timeless", Up: true, Timeless: true, Events: 100},
		{Source: binding.SourceRADIUS, Name: "set", Events: 100},
		{Source: binding.SourceRADIUS, Name: "new", Events: 15},
		{Source: binding.SourceGx, Name: "pgw", Shared: true, Events: 100},
		{Source: binding.SourceGx, Name: "pgw", Shared: true, Events: 100},
		{Source: binding.SourceGx, Name: "left", Sessions: 7, Orphaned: true},
	}
	if got := describeNodes(nodes); got != "1 tell no time, 1 with a clock that is not known, 2 share a name with another owner's, 7 sessions of owners that the configuration does not have" {
		t.Errorf("status says %q", got)
	}
	if got := describeNodes(nodes[:1]); got != "" {
		t.Errorf("of what is well it says %q", got)
	}
	metrics := make(chan prometheus.Metric, 100)
	collectNodes(nodes, metrics)
	close(metrics)
	var got []string
	for m := range metrics {
		var out dto.Metric
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		if v := out.GetGauge().GetValue(); v != 0 {
			got = append(got, fmt.Sprint(out.Label[0].GetValue(), " ", out.Label[1].GetValue(), " ", v))
		}
	}
	slices.Sort(got)
	const want = "gx lost 3, gx orphaned 1, gx shared 2, radius lost 2, radius timeless 1, radius unsettled 1, radius up 2"
	if strings.Join(got, ", ") != want {
		t.Errorf("metrics say %s, want %s", strings.Join(got, ", "), want)
	}
}
