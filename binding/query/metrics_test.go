package query

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
)

// gathered are the metrics by name and labels.
func gathered(t *testing.T, s *Server) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(s.Collector())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "simbindd_query_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch {
			case m.Counter != nil:
				got[name] = m.Counter.GetValue()
			case m.Gauge != nil:
				got[name] = m.Gauge.GetValue()
			default:
				got[name] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return got
}

func TestEveryRequestCounts(t *testing.T) {
	s, c, _ := offline(t, doubtful())
	for _, line := range []string{
		"VERIFY 10.45.0.7 +491700000007", "VERIFY 10.45.0.7 +491700000008", "VERIFY 10.99.0.1 +491700000008", "GET 10.45.0.8",
		"VERIFY 10.45.0.7 0170", "VERIFY x +491700000007", "FLUSHALL", "VERIFY", "HELLO 9",
	} {
		exchange(t, s, c, []byte(line+"\r\n"))
	}
	c.roles, c.allowed = s.roles.Load(), roleVerify
	exchange(t, s, c, []byte("GET 10.45.0.8\r\n"))
	got := gathered(t, s)
	for name, want := range map[string]float64{
		"requests_total verify": 6, "requests_total get": 2, "requests_total unknown": 1, "requests_total quit": 0,
		"answers_total match bound": 2, // VERIFY and GET
		// the labels are in the order of their names: reason, verdict
		"refused_total ERR": 3, "refused_total NOPERM": 1, "refused_total BADADDR": 1, "refused_total BADNUM": 1, "refused_total LOADING": 0,
	} {
		if strings.HasPrefix(name, "answers_total") {
			name = "answers_total bound match"
		}
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["answers_total other-number mismatch"] != 1 || got["answers_total warming unknown"] != 1 {
		t.Errorf("answers: %v", got)
	}
}

func TestConnectionsAndTimesAreMeasured(t *testing.T) {
	s, path := start(t, newFake(10))
	c := dialRaw(t, path)
	for range 3 * sampleEvery {
		c.ask("GET 10.45.0.7")
	}
	c.ask("NODES")
	got := gathered(t, s)
	if got["connections"] != 1 || got["connections_accepted_total"] != 1 || got["request_seconds get"] != 3 || got["request_seconds nodes"] != 1 {
		t.Errorf("got %v", got)
	}
	c.Close()
	waitFor(t, func() bool { return gathered(t, s)["connections_closed_total peer"] == 1 })
}

func TestHistogramBounds(t *testing.T) {
	var h histogram
	for d := time.Nanosecond; d < time.Minute; d *= 3 {
		h.observe(d)
	}
	last := uint64(0)
	m := h.metric(prometheus.NewDesc("x", "x", []string{"command"}, nil), "get")
	if m == nil {
		t.Fatal("no metric")
	}
	for i := range h.counts {
		last += h.counts[i].Load()
	}
	if h.counts[0].Load() != 6 || h.counts[buckets].Load() == 0 { // 1, 3, 9, 27, 81, 243 ns
		t.Errorf("counts %v", fmt.Sprint(h.counts[0].Load(), h.counts[buckets].Load(), last))
	}
}

func TestEveryReasonHasAPlace(t *testing.T) {
	if binding.Reason(reasonCount).Valid() || !binding.Reason(reasonCount-1).Valid() {
		t.Errorf("%d reasons have one", reasonCount)
	}
}
