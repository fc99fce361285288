package feed

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gather returns the metrics by name, with their labels in braces.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			got[name] = value(m)
		}
	}
	return got
}

func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

func TestMetricsCountWhatHappened(t *testing.T) {
	outbox := newFakeOutbox()
	outbox.fill(1, 20)
	cfg := embeddedConfig(t)
	cfg.Service = true
	f := start(t, cfg, outbox, newFakeAsker(t))
	f.awaitDelivered(20)
	nc := client(t, f.Addr())
	_, _ = ask(t, nc, "verify", `{"addr":"10.0.0.1","number":"+491700000001"}`)
	_, _ = ask(t, nc, "verify", `{}`)
	got := gather(t, f.Collector())
	for name, want := range map[string]float64{
		"simbindd_feed_changes_total":                                    20,
		"simbindd_feed_lost_changes_total":                               0,
		"simbindd_feed_connects_total":                                   1,
		"simbindd_feed_resumes_total":                                    1,
		"simbindd_feed_connected":                                        1,
		"simbindd_feed_ready":                                            1,
		"simbindd_feed_delivered_seq":                                    20,
		"simbindd_feed_behind_seconds":                                   0,
		"simbindd_feed_requests_total{endpoint=verify,outcome=answered}": 1,
		"simbindd_feed_requests_total{endpoint=verify,outcome=refused}":  1,
		"simbindd_feed_requests_total{endpoint=lookup,outcome=answered}": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
		}
	}
}

func TestMetricsBeforeRun(t *testing.T) {
	got := gather(t, New(embeddedConfig(t), newFakeOutbox(), nil, testDiscard).Collector())
	if got["simbindd_feed_ready"] != 0 || got["simbindd_feed_connected"] != 0 {
		t.Errorf("%v", got)
	}
}

func TestTheLogNamesNobody(t *testing.T) {
	var log syncBuffer
	outbox := newFakeOutbox()
	outbox.fill(1, 20)
	cfg := embeddedConfig(t)
	cfg.Service = true
	f := run(t, New(cfg, outbox, newFakeAsker(t), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	f.awaitDelivered(20)
	nc := client(t, f.Addr())
	_, _ = ask(t, nc, "lookup", `{"addr":"10.0.0.1"}`)
	_ = f.stop()
	text := log.String()
	for _, identity := range []string{"4917", "0010100000", "35349006"} {
		if strings.Contains(text, identity) {
			t.Errorf("%s is in the log: %s", identity, text)
		}
	}
	if !strings.Contains(text, "nats server: ") {
		t.Errorf("nothing of the server is in the log: %s", text)
	}
}

func TestAFloodOfComplaintsIsDamped(t *testing.T) {
	var log syncBuffer
	l := newServerLog(slog.New(slog.NewTextHandler(&log, nil)))
	for range 10000 {
		l.Errorf("authentication error from %s", "192.0.2.1")
	}
	if lines := strings.Count(log.String(), "\n"); lines < 10 || lines > 12 {
		t.Errorf("%d lines", lines)
	}
}

// A syncBuffer may be written and read at the same time.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
