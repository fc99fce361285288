package sh

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

// An outcome is what came of a User-Data-Request.
type outcome uint8

const (
	outcomeNumber outcome = iota
	outcomeUnknown
	outcomeNoNumber
	outcomeSeveral
	outcomeRefused
	outcomeMalformed
	outcomeNoAnswer
	outcomeUnreachable
	outcomeBusy
	outcomeCanceled
	outcomeCount
)

var outcomeNames = [outcomeCount]string{
	"number", "unknown-user", "no-number", "several-numbers", "refused", "malformed", "no-answer", "unreachable", "busy", "canceled",
}

// counts are what was counted. All atomic.
type counts struct {
	outcomes                 [outcomeCount]atomic.Uint64
	subscribed, unsubscribed atomic.Uint64
	notified, void, rejected atomic.Uint64
}

// failed counts a request that was not answered.
func (c *counts) failed(err error) {
	what := outcomeCanceled
	switch {
	case errors.Is(err, diameter.ErrNoAnswer):
		what = outcomeNoAnswer
	case errors.Is(err, diameter.ErrUnreachable):
		what = outcomeUnreachable
	case errors.Is(err, binding.ErrBusy):
		what = outcomeBusy
	}
	c.outcomes[what].Add(1)
}

// Collector offers the metrics, named simbindd_sh_….
func (c *Client) Collector() prometheus.Collector { return collector{c} }

type collector struct{ c *Client }

// Describe sends nothing: the metrics are not known beforehand.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	n := &c.c.counts
	for i := range n.outcomes {
		metric(ch, "requests_total", "User-Data-Requests by what came of them.", prometheus.CounterValue, float64(n.outcomes[i].Load()), "result", outcomeNames[i])
	}
	for what, v := range map[string]*atomic.Uint64{"taken": &n.subscribed, "refused": &n.unsubscribed} {
		metric(ch, "subscriptions_total", "Subscriptions to changes, by what the HSS made of them.", prometheus.CounterValue, float64(v.Load()), "what", what)
	}
	for what, v := range map[string]*atomic.Uint64{"taken": &n.notified, "rejected": &n.rejected} {
		metric(ch, "notifications_total", "Requests of an HSS, by how they were answered.", prometheus.CounterValue, float64(v.Load()), "what", what)
	}
	metric(ch, "notifications_void_total", "Notifications that told no number, or not clearly.", prometheus.CounterValue, float64(n.void.Load()))
	peers := c.c.peers.Counts()
	metric(ch, "peers_open", "Servers that are connected.", prometheus.GaugeValue, float64(peers.Connected))
	metric(ch, "pending_requests", "Requests that wait for their answer.", prometheus.GaugeValue, float64(peers.Waiting))
	metric(ch, "moved_total", "Requests sent again to another server.", prometheus.CounterValue, float64(peers.Moved))
	metric(ch, "unexpected_answers_total", "Answers dropped because they fit no request that waits.", prometheus.CounterValue, float64(peers.Unexpected))
}

// metric sends one sample; labels are names and values in turn.
func metric(ch chan<- prometheus.Metric, name, help string, kind prometheus.ValueType, value float64, labels ...string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc("simbindd_sh_"+name, help, names, nil)
	ch <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}
