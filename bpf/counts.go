package bpf

import (
	"github.com/prometheus/client_golang/prometheus"
)

// kernelCounts are the outcomes of all packets that the hooks saw.
type kernelCounts [tapOutcomeOUTCOMES]uint64

// lost are the selected packets that did not reach the ring buffer.
func (c *kernelCounts) lost() uint64 { return c[tapOutcomeLOST_FULL] + c[tapOutcomeLOST_COPY] }

// ignored names the outcomes of packets that were not selected.
var ignored = map[tapOutcome]string{
	tapOutcomeOTHER_LINK:      "not-ip",
	tapOutcomeMALFORMED:       "malformed",
	tapOutcomeOTHER_TRANSPORT: "transport",
	tapOutcomeOTHER_PORT:      "port",
	tapOutcomeOTHER_FRAGMENT:  "fragment",
	tapOutcomeUSER_PLANE:      "user-plane",
	tapOutcomeOTHER_MESSAGE:   "message",
	tapOutcomeEMPTY:           "empty",
}

// Collector offers the metrics, named simbindd_tap_….
func (t *Tap) Collector() prometheus.Collector { return prometheus.CollectorFunc(t.collect) }

func (t *Tap) collect(ch chan<- prometheus.Metric) {
	t.mu.Lock()
	c, names, up := t.countsLocked(), t.hooked(), t.kernel != nil
	mode := ""
	if up {
		mode = t.kernel.mode
	}
	t.mu.Unlock()
	counter := func(name, help string, v uint64, labels ...string) {
		metric(ch, name, help, prometheus.CounterValue, float64(v), labels...)
	}
	counter("matched_total", "Packets that the kernel selected; the sum of delivered and lost.", c[tapOutcomeMATCHED])
	counter("delivered_total", "Selected packets that reached the ring buffer.", c[tapOutcomeDELIVERED])
	counter("lost_total", "Selected packets that were lost, by reason.", c[tapOutcomeLOST_FULL], "reason", "ring-full")
	counter("lost_total", "Selected packets that were lost, by reason.", c[tapOutcomeLOST_COPY], "reason", "copy")
	counter("truncated_total", "Delivered packets that are longer than the snap length.", c[tapOutcomeTRUNCATED])
	for outcome, reason := range ignored {
		counter("ignored_total", "Packets that were not selected, by reason.", c[outcome], "reason", reason)
	}
	counter("news_lost_total", "How often the registry was told that news is missing.", t.notified.Load())
	for _, name := range names {
		metric(ch, "interface", "1 for each interface that is watched.", prometheus.GaugeValue, 1, "interface", name, "mode", mode)
	}
	watching := 0.0
	if up && len(names) > 0 {
		watching = 1
	}
	metric(ch, "up", "1 while an interface is watched.", prometheus.GaugeValue, watching)
	t.collectObserver(counter, ch)
}

func (t *Tap) collectObserver(counter func(name, help string, v uint64, labels ...string), ch chan<- prometheus.Metric) {
	o := t.observer.Counts()
	counter("packets_total", "Packets on a port of a protocol.", o.Packets)
	counter("strange_total", "Packets on no port of a protocol.", o.Strange)
	counter("malformed_total", "Packets with headers that contradict themselves.", o.Wire.Malformed)
	counter("fragments_lost_total", "Fragments whose datagram never became whole.", o.Wire.FragmentsLost)
	counter("events_total", "Events that the registry took.", o.Events)
	counter("events_lost_total", "Events for which there was no room.", o.EventsLost)
	metric(ch, "events_waiting", "Events that wait for the registry.", prometheus.GaugeValue, float64(o.Waiting))
}

// metric sends one sample; labels are names and values in turn.
func metric(ch chan<- prometheus.Metric, name, help string, kind prometheus.ValueType, value float64, labels ...string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc("simbindd_tap_"+name, help, names, nil)
	ch <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}
