package query

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
)

const (
	verdictCount = int(binding.Stale) + 1
	reasonCount  = int(binding.ReasonMultiSIM) + 1
	// sampleEvery is how many fast commands share one measurement of their time.
	sampleEvery = 128
)

func (s *Server) countAnswer(a binding.Answer) { s.answers[a.Verdict][a.Reason].Add(1) }

func (s *Server) countRefusal(w *reply) {
	if w.refused != refusedNot {
		s.refused[w.refused].Add(1)
		w.refused = refusedNot
	}
}

// answer runs a fast command and measures the time of some.
func (s *Server) answer(cmd *command, c *conn, w *reply, args [][]byte) {
	cmd.calls.Add(1)
	if s.sample++; s.sample%sampleEvery != 0 {
		cmd.fast(s, c, w, args)
		return
	}
	start := time.Now()
	cmd.fast(s, c, w, args)
	cmd.took.observe(time.Since(start))
}

// A histogram counts durations by powers of four from 256 ns to 1 s.
type histogram struct {
	counts [buckets + 1]atomic.Uint64
	nanos  atomic.Int64
}

const (
	buckets     = 12
	firstBucket = 256 * time.Nanosecond
)

func (h *histogram) observe(d time.Duration) {
	i, limit := 0, firstBucket
	for i < buckets && d > limit {
		i, limit = i+1, limit*4
	}
	h.counts[i].Add(1)
	h.nanos.Add(int64(d))
}

// metric is nil if nothing was observed.
func (h *histogram) metric(desc *prometheus.Desc, label string) prometheus.Metric {
	cumulative := make(map[float64]uint64, buckets)
	var n uint64
	limit := firstBucket
	for i := range buckets {
		n += h.counts[i].Load()
		cumulative[limit.Seconds()] = n
		limit *= 4
	}
	if n += h.counts[buckets].Load(); n == 0 {
		return nil
	}
	return prometheus.MustNewConstHistogram(desc, n, time.Duration(h.nanos.Load()).Seconds(), cumulative, label)
}

// Collector offers the server's counters.
func (s *Server) Collector() prometheus.Collector { return prometheus.CollectorFunc(s.collect) }

func (s *Server) collect(ch chan<- prometheus.Metric) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("simbindd_query_"+name, help, labels, nil)
	}
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	requests := desc("requests_total", "Requests by command.", "command")
	took := desc("request_seconds", "Time to make a reply: one of 128 of the commands answered on the loop, each of the others.", "command")
	for _, cmd := range s.table {
		send(requests, prometheus.CounterValue, float64(cmd.calls.Load()), cmd.lower)
		if m := cmd.took.metric(took, cmd.lower); m != nil {
			ch <- m
		}
	}
	send(requests, prometheus.CounterValue, float64(s.unknown.Load()), "unknown")

	answers := desc("answers_total", "Answers about one address, by verdict and reason; for LOOKUP, GET and MGET match means a sure holder.", "verdict", "reason")
	for v := range verdictCount {
		for r := range reasonCount {
			if n := s.answers[v][r].Load(); n > 0 {
				send(answers, prometheus.CounterValue, float64(n), binding.Verdict(v).String(), binding.Reason(r).String())
			}
		}
	}
	refused := desc("refused_total", "Error replies by code.", "code")
	for r := refusedERR; r < refusals; r++ {
		send(refused, prometheus.CounterValue, float64(s.refused[r].Load()), r.String())
	}
	closed := desc("connections_closed_total", "Connections closed, by reason.", "reason")
	for r := range closings {
		send(closed, prometheus.CounterValue, float64(s.closed[r].Load()), r.String())
	}
	send(desc("connections_accepted_total", "Connections accepted."), prometheus.CounterValue, float64(s.accepted.Load()))
	send(desc("connections", "Open connections."), prometheus.GaugeValue, float64(s.open.Load()))
	send(desc("watchers", "Connections that watch."), prometheus.GaugeValue, float64(s.watching.Load()))
	send(desc("priority_high", "1 if the loop's thread has a higher priority."), prometheus.GaugeValue, float64(digit(s.high.Load())))
}
