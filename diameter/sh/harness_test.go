package sh_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/diameter/sh/shtest"
)

const (
	patience = 20 * time.Second
	number   = "491700000001"
)

var theIMSI = mustIMSI("001010000000001")

func mustIMSI(digits string) binding.IMSI {
	imsi, err := binding.ParseIMSI(digits)
	if err != nil {
		panic(err)
	}
	return imsi
}

func mustMSISDN(digits string) binding.MSISDN {
	msisdn, err := binding.ParseMSISDN(digits)
	if err != nil {
		panic(err)
	}
	return msisdn
}

// startHSS serves until the end of the test.
func startHSS(t testing.TB, o shtest.Options) *shtest.HSS {
	t.Helper()
	h, err := shtest.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// serverOf is the HSS as a client is configured for it.
func serverOf(h *shtest.HSS, host string, priority int) diameter.Upstream {
	return diameter.Upstream{Address: h.Addr(), Host: host, Priority: priority}
}

// testConfig connects to those servers quickly.
func testConfig(servers ...diameter.Upstream) sh.Config {
	return sh.Config{
		OriginHost: "simbind.test", OriginRealm: "test", Servers: servers, Timeout: patience, Reconnect: 50 * time.Millisecond,
	}
}

// start runs a client until the end of the test, and waits until all its
// servers are connected.
func start(t testing.TB, cfg sh.Config) *sh.Client {
	t.Helper()
	c := sh.New(cfg, slog.New(slog.NewTextHandler(testWriter{t}, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	<-c.Ready()
	awaitOpen(t, c, len(cfg.Servers))
	return c
}

func awaitOpen(t testing.TB, c *sh.Client, n int) {
	t.Helper()
	eventually(t, "servers are connected", func() bool {
		open := 0
		for _, p := range c.Peers() {
			if p.Open {
				open++
			}
		}
		return open == n
	})
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// metricOf reads one sample.
func metricOf(t testing.TB, c *sh.Client, name, label string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "simbindd_sh_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// A testWriter logs where the test does.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b[:len(b)-1]))
	return len(b), nil
}

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
