package accounting

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// A count is one thing that is counted.
type count uint8

const (
	requests count = iota
	paired
	repeated
	superseded
	unanswered
	unmatched
	noted
	told
	droppedMalformed
	droppedCode
	droppedClient
	droppedAuthenticator
	droppedResponse
	droppedNode
	countCount
)

// counted gives each count its metric, and the value of that metric's label.
var counted = [countCount]struct{ metric, value string }{
	requests:             {"packets", "request"},
	paired:               {"packets", "answered"},
	repeated:             {"packets", "repeated"},
	superseded:           {"packets", "superseded"},
	unanswered:           {"packets", "unanswered"},
	unmatched:            {"packets", "unmatched-response"},
	noted:                {"packets", "noted"},
	told:                 {"packets", "event"},
	droppedMalformed:     {"dropped", "malformed"},
	droppedCode:          {"dropped", "code"},
	droppedClient:        {"dropped", "unknown-client"},
	droppedAuthenticator: {"dropped", "authenticator"},
	droppedResponse:      {"dropped", "response-authenticator"},
	droppedNode:          {"dropped", "node-not-allowed"},
}

var helps = map[string]string{
	"packets": "Observed accounting packets, by what became of them.",
	"dropped": "Observed accounting packets that do not count.",
}

type counts [countCount]atomic.Uint64

func (c *counts) add(n count) { c[n].Add(1) }

// Collector offers the metrics, named simbindd_accounting_….
func (f *Follower) Collector() prometheus.Collector { return collector{&f.counts} }

type collector struct{ counts *counts }

// Describe sends nothing: the metrics are not known beforehand.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for i := range c.counts {
		v, as := c.counts[i].Load(), counted[i]
		if v == 0 {
			continue
		}
		desc := prometheus.NewDesc("simbindd_accounting_"+as.metric+"_total", helps[as.metric], []string{"what"}, nil)
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), as.value)
	}
}
