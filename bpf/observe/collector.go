package observe

import (
	"reflect"
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector offers what the followers of GTP-C and PFCP counted, as
// simbindd_gtp_… and simbindd_pfcp_…. Those of the others have collectors of
// their own.
func (s *Standard) Collector() prometheus.Collector { return collector{s} }

type collector struct{ s *Standard }

// Describe sends nothing: the metrics follow from the fields of the counts.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. It waits for a packet that is being
// read.
func (c collector) Collect(out chan<- prometheus.Metric) {
	c.s.mu.Lock()
	gtp, pfcp := c.s.GTP.Counts(), c.s.PFCP.Counts()
	c.s.mu.Unlock()
	collect(out, "gtp", reflect.ValueOf(gtp))
	collect(out, "pfcp", reflect.ValueOf(pfcp))
}

// collect makes a counter of each uint64 field, told apart by a label, and a
// gauge of each int field.
func collect(out chan<- prometheus.Metric, protocol string, counts reflect.Value) {
	prefix := "simbindd_" + protocol + "_"
	messages := prometheus.NewDesc(prefix+"messages_total", "Observed messages, by what became of them.", []string{"outcome"}, nil)
	for i := range counts.NumField() {
		name, v := dashed(counts.Type().Field(i).Name), counts.Field(i)
		if v.CanUint() {
			out <- prometheus.MustNewConstMetric(messages, prometheus.CounterValue, float64(v.Uint()), name)
			continue
		}
		gauge := prometheus.NewDesc(prefix+name, "Observed "+name+", as of now.", nil, nil)
		out <- prometheus.MustNewConstMetric(gauge, prometheus.GaugeValue, float64(v.Int()))
	}
}

// dashed is NoAddress as no-address.
func dashed(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
