package main

import (
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/registry"
)

// newMetrics makes the registry of /metrics: the process, the Go runtime, the
// registry's account of itself, and the collectors of the parts.
func newMetrics(registry *registry.Registry, owners *owners, parts ...prometheus.Collector) *prometheus.Registry {
	m := prometheus.NewRegistry()
	m.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.CollectorFunc(buildInfo),
		prometheus.CollectorFunc(func(ch chan<- prometheus.Metric) { collectBinding(registry, owners, ch) }),
	)
	m.MustRegister(parts...)
	return m
}

func buildInfo(ch chan<- prometheus.Metric) {
	desc := prometheus.NewDesc("simbindd_build_info", "1; the labels say which build runs.", []string{"version", "go"}, nil)
	ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1, version(), runtime.Version())
}

// collectBinding shows Registry.Status.
func collectBinding(registry *registry.Registry, owners *owners, ch chan<- prometheus.Metric) {
	st := registry.Status()
	gauge := func(name, help string, v float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("simbindd_binding_"+name, help, nil, nil), prometheus.GaugeValue, v)
	}
	gauge("healthy", "1 while nothing keeps the registry from telling the truth.", truth(st.Healthy))
	gauge("warming", "1 while the journal is being loaded.", truth(st.Warming))
	gauge("sessions", "Sessions known.", float64(st.Sessions))
	gauge("sessions_capacity", "Sessions that fit, tombstones included.", float64(st.SessionsCap))
	gauge("addresses", "Addresses held or claimed.", float64(st.Addresses))
	gauge("addresses_capacity", "Addresses that fit.", float64(st.AddressCap))
	gauge("tombstones", "Ended sessions that are remembered.", float64(st.Tombstones))
	gauge("queue", "Events that wait.", float64(st.Queue))
	gauge("queue_capacity", "Events that may wait.", float64(st.QueueCap))
	gauge("change_seq", "Number of the last change that is durable.", float64(st.JournalSeq))
	collectCounters(st.Counters, ch)
	nodes := registry.Nodes()
	markShared(nodes, time.Now())
	owners.mark(nodes)
	collectNodes(nodes, ch)
}

// collectCounters makes labels of the families "changes_…" and "refused_…".
func collectCounters(counters map[string]uint64, ch chan<- prometheus.Metric) {
	changes := prometheus.NewDesc("simbindd_binding_changes_total", "Changes decided, by kind.", []string{"kind"}, nil)
	refused := prometheus.NewDesc("simbindd_binding_refused_total", "Events or addresses refused, by reason.", []string{"reason"}, nil)
	for name, n := range counters {
		if kind, ok := strings.CutPrefix(name, "changes_"); ok {
			ch <- prometheus.MustNewConstMetric(changes, prometheus.CounterValue, float64(n), kind)
		} else if reason, ok := strings.CutPrefix(name, "refused_"); ok {
			ch <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(n), reason)
		} else {
			desc := prometheus.NewDesc("simbindd_binding_"+name+"_total", "The registry's counter "+name+".", nil, nil)
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n))
		}
	}
}

// collectNodes counts nodes by source; each by name would be one series for
// every NAS that ever spoke.
func collectNodes(nodes []binding.Node, ch chan<- prometheus.Metric) {
	states := []struct {
		name string
		is   func(*binding.Node) bool
	}{
		{"up", func(n *binding.Node) bool { return n.Up }},
		{"lost", func(n *binding.Node) bool { return !n.Up }},
		{"degraded", func(n *binding.Node) bool { return !n.Degraded.IsZero() }},
		{"timeless", func(n *binding.Node) bool { return n.Timeless }},
		{"unsettled", unsettled},
		{"shared", func(n *binding.Node) bool { return n.Shared }},
		{"orphaned", func(n *binding.Node) bool { return n.Orphaned }},
	}
	known := map[binding.Source]int{}
	count := map[binding.Source]map[string]int{}
	for i := range nodes {
		n := &nodes[i]
		if known[n.Source]++; known[n.Source] == 1 {
			count[n.Source] = map[string]int{}
		}
		for _, state := range states {
			if state.is(n) {
				count[n.Source][state.name]++
			}
		}
	}
	desc := prometheus.NewDesc("simbindd_binding_nodes", "Owners of sessions by source. up or lost: not heard for longer than its timeout. Beside that degraded: news of it was missed; "+
		"timeless: it tells no time; unsettled: its clock is not known; shared: several owners use its name; orphaned: it has sessions, and the configuration not its owner.", []string{"source", "state"}, nil)
	for s := binding.SourceGx; s <= binding.SourceFeed; s++ {
		for _, state := range states {
			if known[s] > 0 {
				ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(count[s][state.name]), s.String(), state.name)
			}
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
