package gx

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/bpf/sctp"
	"github.com/simbind/simbind/bpf/tcp"
)

// A count is one thing that is counted.
type count uint8

const (
	messages count = iota
	requests
	answers
	others
	paired
	failed
	repeated
	superseded
	unanswered
	unmatched
	mismatched
	noted
	told
	newsLost
	restarts
	contradictions
	silences
	droppedMalformed
	droppedLong
	boundaryLost
	resynchronized
	octetsSkipped
	countCount
)

// counted gives each count its metric, and the value of that metric's label.
var counted = [countCount]struct{ metric, value string }{
	messages:         {"messages", "all"},
	requests:         {"messages", "request"},
	answers:          {"messages", "answer"},
	others:           {"messages", "other"},
	paired:           {"exchanges", "success"},
	failed:           {"exchanges", "failed"},
	repeated:         {"exchanges", "repeated"},
	superseded:       {"exchanges", "superseded"},
	unanswered:       {"exchanges", "unanswered"},
	unmatched:        {"exchanges", "unmatched-answer"},
	mismatched:       {"exchanges", "mismatched-answer"},
	noted:            {"exchanges", "noted"},
	told:             {"events", "told"},
	newsLost:         {"events", "news-lost"},
	restarts:         {"epochs", "restart"},
	contradictions:   {"epochs", "contradicted"},
	silences:         {"senders", "silent"},
	droppedMalformed: {"dropped", "malformed"},
	droppedLong:      {"dropped", "too-long"},
	boundaryLost:     {"streams", "boundary-lost"},
	resynchronized:   {"streams", "resynchronized"},
	octetsSkipped:    {"streams", "octets-skipped"},
}

var helps = map[string]string{
	"messages":  "Observed Diameter messages.",
	"exchanges": "Observed Credit-Control-Requests, by what became of them.",
	"events":    "Events of observed Gx, and how often messages were not captured.",
	"epochs":    "Restarts that observed Origin-State-Ids told of, and how often one was contradicted by what followed.",
	"senders":   "How often an observed sender of Gx fell silent.",
	"dropped":   "Observed Diameter messages that cannot be read.",
	"streams":   "Where a stream was not understood, and understood again.",
	"tcp":       "Observed TCP: what was followed, and what is missing of it.",
	"sctp":      "Observed SCTP: what was followed, and what is missing of it.",
}

type counts [countCount]atomic.Uint64

func (c *counts) add(n count) { c[n].Add(1) }

func (c *counts) addN(n count, by int) {
	if by > 0 {
		c[n].Add(uint64(by))
	}
}

// Collector offers the metrics, named simbindd_gx_….
func (f *Follower) Collector() prometheus.Collector { return collector{f} }

type collector struct{ f *Follower }

// Describe sends nothing: the metrics are not known beforehand.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for i := range c.f.counts {
		if v, as := c.f.counts[i].Load(), counted[i]; v > 0 {
			metric(ch, as.metric, as.value, v)
		}
	}
	collect(ch, "tcp", tcpCounts(&c.f.tcp.Counts))
	collect(ch, "sctp", sctpCounts(&c.f.sctp.Counts))
}

// A labelled count is one that another package keeps.
type labelled struct {
	value string
	n     *atomic.Uint64
}

func tcpCounts(t *tcp.Counts) []labelled {
	return []labelled{
		{"segment", &t.Segments}, {"malformed", &t.Malformed}, {"opened", &t.Opened}, {"midway", &t.Midway}, {"gap", &t.Gaps},
		{"evicted", &t.Evicted}, {"refused", &t.Refused},
	}
}

func sctpCounts(s *sctp.Counts) []labelled {
	return []labelled{
		{"packet", &s.Packets}, {"chunk", &s.Chunks}, {"malformed", &s.Malformed}, {"repeated", &s.Repeated}, {"other-payload", &s.OtherPayload},
		{"opened", &s.Opened}, {"midway", &s.Midway}, {"gap", &s.Gaps}, {"evicted", &s.Evicted}, {"refused", &s.Refused},
	}
}

func collect(ch chan<- prometheus.Metric, name string, list []labelled) {
	for _, l := range list {
		if v := l.n.Load(); v > 0 {
			metric(ch, name, l.value, v)
		}
	}
}

func metric(ch chan<- prometheus.Metric, name, value string, v uint64) {
	desc := prometheus.NewDesc("simbindd_gx_"+name+"_total", helps[name], []string{"what"}, nil)
	ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), value)
}
