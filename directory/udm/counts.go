package udm

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// An outcome is what came of a request.
type outcome uint8

const (
	outcomeNumber outcome = iota
	outcomeUnknown
	outcomeNoNumber
	outcomeSeveral
	outcomeRefused
	outcomeMalformed
	outcomeThrottled
	outcomeNoToken
	outcomeNoAnswer
	outcomeCanceled
	outcomeUnreachable
	outcomeBusy
	outcomeCount
)

var outcomeNames = [outcomeCount]string{
	"number", "unknown-user", "no-number", "several-numbers", "refused", "malformed", "throttled", "no-token", "no-answer", "canceled",
	"unreachable", "busy",
}

// counts are what was counted. All atomic.
type counts struct{ outcomes [outcomeCount]atomic.Uint64 }

// outcomeOf is what an error of a request was.
func outcomeOf(err error) outcome {
	switch {
	case isTokenError(err):
		return outcomeNoToken
	case errors.Is(err, ErrMalformed):
		return outcomeMalformed
	case errors.Is(err, context.DeadlineExceeded):
		return outcomeNoAnswer
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	}
	return outcomeUnreachable
}

// Collector offers the metrics, named simbindd_udm_….
func (c *Client) Collector() prometheus.Collector { return collector{c} }

type collector struct{ c *Client }

// Describe sends nothing: the metrics are not known beforehand.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for i := range c.c.counts.outcomes {
		metric(ch, "requests_total", "Requests for a number, by what came of them.", prometheus.CounterValue, float64(c.c.counts.outcomes[i].Load()), "result", outcomeNames[i])
	}
	metric(ch, "pending_requests", "Requests that wait for their answer.", prometheus.GaugeValue, float64(len(c.c.places)))
}

// metric sends one sample; labels are names and values in turn.
func metric(ch chan<- prometheus.Metric, name, help string, kind prometheus.ValueType, value float64, labels ...string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc("simbindd_udm_"+name, help, names, nil)
	ch <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}
