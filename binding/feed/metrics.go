package feed

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector offers the counters for /metrics.
func (f *Feed) Collector() prometheus.Collector { return collector{f} }

type collector struct{ feed *Feed }

var (
	descChanges   = prometheus.NewDesc("simbindd_feed_changes_total", "Changes that the stream stored.", nil, nil)
	descBatches   = prometheus.NewDesc("simbindd_feed_batches_total", "Batches that the stream stored.", nil, nil)
	descLost      = prometheus.NewDesc("simbindd_feed_lost_changes_total", "Changes that are neither in the stream nor in the outbox.", nil, nil)
	descNoise     = prometheus.NewDesc("simbindd_feed_noise_total", "Messages on the subjects of the site's changes that no publisher sent, as far as one was in the way.", nil, nil)
	descErrors    = prometheus.NewDesc("simbindd_feed_errors_total", "Interruptions of publishing.", nil, nil)
	descResumes   = prometheus.NewDesc("simbindd_feed_resumes_total", "Times that publishing took up after the stream's last change.", nil, nil)
	descConnects  = prometheus.NewDesc("simbindd_feed_connects_total", "Connections made to a NATS server.", nil, nil)
	descConnected = prometheus.NewDesc("simbindd_feed_connected", "1 while connected to a NATS server.", nil, nil)
	descReady     = prometheus.NewDesc("simbindd_feed_ready", "1 while changes are being delivered.", nil, nil)
	descDelivered = prometheus.NewDesc("simbindd_feed_delivered_seq", "Number of the last change that the stream stored.", nil, nil)
	descBehind    = prometheus.NewDesc("simbindd_feed_behind_seconds", "Age of the oldest change that is known to wait, 0 if none is.", nil, nil)
	descActive    = prometheus.NewDesc("simbindd_feed_pair_active", "1 while this member of a pair publishes, 0 while it stands by.", nil, nil)
	descStanding  = prometheus.NewDesc("simbindd_feed_pair_standing", "1 while this member could go on where the active one stops.", nil, nil)
	descDiffer    = prometheus.NewDesc("simbindd_feed_pair_differ", "Places of which this member, standing by, knows something else than the active one told.", nil, nil)
	descTakeovers = prometheus.NewDesc("simbindd_feed_pair_takeovers_total", "Times that this member became the active one.", nil, nil)
	descAsked     = prometheus.NewDesc("simbindd_feed_requests_total", "Requests to the micro service.", []string{"endpoint", "outcome"}, nil)
)

// Describe sends nothing: an unchecked collector.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	state, n := c.feed.health.get(), c.feed.health.count()
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	counter(descChanges, n.changes)
	counter(descBatches, n.batches)
	counter(descLost, n.lost)
	counter(descNoise, n.noise)
	counter(descErrors, n.errors)
	counter(descResumes, n.resumes)
	counter(descConnects, n.connects)
	gauge(descConnected, truth(state.Connected))
	gauge(descReady, truth(state.Problem == ""))
	gauge(descDelivered, float64(state.Delivered))
	gauge(descBehind, behind(state.Behind))
	if state.Role != "" {
		gauge(descActive, truth(state.Role == RoleActive))
		gauge(descStanding, truth(state.Standing))
		gauge(descDiffer, float64(state.Differ))
		counter(descTakeovers, n.takeovers)
	}
	collectSites(c.feed.sites, ch)
	if c.feed.service == nil {
		return
	}
	for _, e := range c.feed.service.endpoints {
		counter(descAsked, e.answered.Load(), e.name, "answered")
		counter(descAsked, e.refused.Load(), e.name, "refused")
	}
}

func behind(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, time.Since(since).Seconds())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
