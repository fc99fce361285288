package directory

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
)

// State is the directory's account of itself.
func (d *Directory) State() binding.DirectoryState {
	s := binding.DirectoryState{
		Near: d.near.Load(), Found: d.answered.Load(), None: d.none.Load(), Dropped: d.queue.dropped.Load(), Waiting: d.queue.waiting(),
		Last: time.Duration(d.taken.Load()),
	}
	if c := &d.learned; d.cfg.Learned != nil {
		s.Sources = append(s.Sources, binding.DirectorySource{Name: learnedName, Found: c.found.Load(), Unknown: c.unknown.Load()})
	}
	for i, source := range d.cfg.Sources {
		c := &d.counts[i]
		one := binding.DirectorySource{Name: source.Name(), Found: c.found.Load(), Unknown: c.unknown.Load(), Failed: c.failed.Load()}
		if p := c.problem.Load(); p != nil {
			one.Problem = *p
		}
		if f, ok := source.(*File); ok {
			one.Rows, one.Contradictory = f.Rows()
			one.Read, one.Problem = f.Read(), f.Problem()
		}
		s.Sources = append(s.Sources, one)
	}
	return s
}

// Collector gives the counters as metrics.
func (d *Directory) Collector() prometheus.Collector { return collector{d} }

type collector struct{ d *Directory }

var (
	descQuestions = prometheus.NewDesc("simbindd_directory_questions_total", "SIMs that the directory was asked for, by what became of it.", []string{"outcome"}, nil)
	descSource    = prometheus.NewDesc("simbindd_directory_source_answers_total", "Answers of one source.", []string{"source", "outcome"}, nil)
	descWaiting   = prometheus.NewDesc("simbindd_directory_waiting", "Questions that wait.", nil, nil)
	descRows      = prometheus.NewDesc("simbindd_directory_file_rows", "SIMs in the export.", nil, nil)
	descRead      = prometheus.NewDesc("simbindd_directory_file_read_timestamp_seconds", "When the export was taken.", nil, nil)
	descBad       = prometheus.NewDesc("simbindd_directory_file_bad", "1 if the export was not taken the last time.", nil, nil)
)

// Describe sends nothing: the series depend on the sources.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.d.State()
	count := func(desc *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(desc *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v)
	}
	count(descQuestions, s.Near, "near")
	count(descQuestions, s.Found, "found")
	count(descQuestions, s.None, "none")
	count(descQuestions, s.Dropped, "dropped")
	gauge(descWaiting, float64(s.Waiting))
	for _, one := range s.Sources {
		count(descSource, one.Found, one.Name, "found")
		count(descSource, one.Unknown, one.Name, "unknown")
		count(descSource, one.Failed, one.Name, "failed")
		if one.Name != "file" {
			continue
		}
		gauge(descRows, float64(one.Rows))
		if !one.Read.IsZero() {
			gauge(descRead, float64(one.Read.Unix()))
		}
		bad := 0.0
		if one.Problem != "" {
			bad = 1
		}
		gauge(descBad, bad)
	}
}
