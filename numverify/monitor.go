package numverify

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/network"
	"github.com/simbind/simbind/numverify/resource"
)

// metrics counts outcomes. Labels are codes and endpoints, never identities.
type metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	answers   *prometheus.CounterVec
}

func newMetrics(n *network.Network) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "numverify_authorization_decisions_total", Help: "Answers of the authorization server by endpoint and outcome.",
		}, []string{"endpoint", "outcome"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "numverify_api_answers_total", Help: "Answers of the resource API by endpoint and outcome.",
		}, []string{"endpoint", "outcome"}),
	}
	reachable := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "numverify_simbindd_reachable", Help: "1 if simbindd answers on its socket.",
	}, func() float64 {
		if n.Ping(context.Background()) != nil {
			return 0
		}
		return 1
	})
	m.registry.MustRegister(m.decisions, m.answers, reachable, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) decided(d authz.Decision)   { m.decisions.WithLabelValues(d.Endpoint, d.Outcome).Inc() }
func (m *metrics) answered(a resource.Answer) { m.answers.WithLabelValues(a.Endpoint, a.Outcome).Inc() }

// monitor serves /metrics, /healthz and /readyz.
func (s *Service) monitor() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"ok":true}`) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		switch err := s.network.Ping(r.Context()); {
		case !s.ready.Load():
			http.Error(w, `{"ok":false,"problem":"stopping"}`, http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, `{"ok":false,"problem":"simbindd does not answer"}`, http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, `{"ok":true}`)
		}
	})
	return mux
}
