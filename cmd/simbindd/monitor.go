package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the monitoring listener.
const (
	monitorConns    = 32
	monitorRequests = 4 // of /metrics at the same time
	monitorTimeout  = 10 * time.Second
	monitorHeader   = 8 << 10
)

// A monitor serves /metrics, /healthz and /readyz.
type monitor struct {
	listen string
	server *http.Server
	log    *slog.Logger
	ready  chan struct{} // closed when it listens
}

func newMonitor(listen string, h *health, metrics *prometheus.Registry, log *slog.Logger) *monitor {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		MaxRequestsInFlight: monitorRequests, Timeout: monitorTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
	}))
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	return &monitor{listen: listen, log: log, ready: make(chan struct{}), server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: monitorTimeout,
		ReadTimeout:       monitorTimeout,
		WriteTimeout:      2 * monitorTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    monitorHeader,
		// What a scraper does wrong is not our trouble.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// Run serves until ctx ends.
func (m *monitor) Run(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", m.listen)
	if err != nil {
		return fmt.Errorf("listen on metrics.listen: %w", err)
	}
	m.log.Info("serving /metrics, /healthz and /readyz", "address", ln.Addr().String())
	close(m.ready)
	stop := context.AfterFunc(ctx, func() { m.server.Close() })
	defer stop()
	err = m.server.Serve(newBounded(ln, monitorConns))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
