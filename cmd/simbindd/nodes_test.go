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

// TestNodesThatNeedALookAreCounted in the status and in the metrics.
func TestNodesThatNeedALookAreCounted(t *testing.T) {
	nodes := []binding.Node{
		{Source: binding.SourceRADIUS, Name: "well", Up: true, OffsetKnown: true, Events: 100},
		{Source: binding.SourceRADIUS, Name: "timeless", Up: true, Timeless: true, Events: 100},
		{Source: binding.SourceRADIUS, Name: "set", Events: 100},
		{Source: binding.SourceRADIUS, Name: "new", Events: 15},
		{Source: binding.SourceGx, Name: "pgw", Shared: true, Events: 100},
		{Source: binding.SourceGx, Name: "pgw", Shared: true, Events: 100},
	}
	if got := describeNodes(nodes); got != "1 tell no time, 1 with a clock that is not known, 2 share a name with another owner's" {
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
	const want = "gx lost 2, gx shared 2, radius lost 2, radius timeless 1, radius unsettled 1, radius up 2"
	if strings.Join(got, ", ") != want {
		t.Errorf("metrics say %s, want %s", strings.Join(got, ", "), want)
	}
}
