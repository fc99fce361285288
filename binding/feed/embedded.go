package feed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Limits of the embedded server. Its clients are the operator's own systems.
const (
	embeddedMaxConn    = 256
	embeddedMaxSubs    = 1024     // per connection
	embeddedMaxPending = 16 << 20 // bytes for a client that reads slowly
	embeddedMaxPayload = 1 << 20
	embeddedMemory     = 64 << 20 // memory streams
	embeddedSync       = 2 * time.Second
	embeddedStart      = 2 * time.Minute // reading a large store back
	embeddedStop       = 10 * time.Second
)

// An embedded is the running server and the secret of our own connection.
type embedded struct {
	srv    *server.Server
	secret string
}

// startEmbedded starts the server and returns when it serves.
func startEmbedded(ctx context.Context, cfg Config, log *slog.Logger) (*embedded, error) {
	gate, err := newGate(cfg)
	if err != nil {
		return nil, err
	}
	opts, err := embeddedOptions(cfg, gate)
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded nats server: %w", err)
	}
	bridge := newServerLog(log)
	srv.SetLoggerV2(bridge, false, false, false)
	e := &embedded{srv: srv, secret: gate.secret}
	if err := e.start(ctx, bridge.fatal); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

func (e *embedded) start(ctx context.Context, fatal <-chan string) error {
	ready := make(chan bool, 1)
	go func() {
		e.srv.Start()
		ready <- e.srv.ReadyForConnections(embeddedStart)
	}()
	select {
	case text := <-fatal:
		return fmt.Errorf("embedded nats server: %s", text)
	case ok := <-ready:
		if !ok {
			return errors.New("embedded nats server: not ready")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the server, which writes its state to disk.
func (e *embedded) stop() {
	e.srv.Shutdown()
	done := make(chan struct{})
	go func() { e.srv.WaitForShutdown(); close(done) }()
	select {
	case <-done:
	case <-time.After(embeddedStop):
	}
}

func embeddedOptions(cfg Config, gate *gate) (*server.Options, error) {
	opts := &server.Options{
		ServerName:                 "simbind-" + cfg.Site,
		DontListen:                 cfg.Embedded.Listen == "",
		NoSigs:                     true,
		JetStream:                  true,
		StoreDir:                   cfg.Embedded.StoreDir,
		JetStreamMaxStore:          cfg.Embedded.MaxBytes,
		JetStreamMaxMemory:         embeddedMemory,
		SyncInterval:               embeddedSync,
		DisableJetStreamBanner:     true,
		MaxConn:                    embeddedMaxConn,
		MaxSubs:                    embeddedMaxSubs,
		MaxPending:                 embeddedMaxPending,
		MaxPayload:                 embeddedMaxPayload,
		WriteDeadline:              5 * time.Second,
		CustomClientAuthentication: gate,
	}
	if err := cfg.Embedded.Leaf.join(opts, cfg.Site); err != nil {
		return nil, fmt.Errorf("embedded nats server: %w", err)
	}
	if opts.DontListen {
		return opts, nil
	}
	host, port, err := listenPort(cfg.Embedded.Listen)
	if err != nil {
		return nil, err
	}
	opts.Host, opts.Port = host, port
	if cfg.Embedded.CertFile == "" {
		return opts, nil
	}
	opts.TLSConfig, err = server.GenTLSConfig(&server.TLSConfigOpts{
		CertFile: cfg.Embedded.CertFile, KeyFile: cfg.Embedded.KeyFile,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded nats listener: %w", err)
	}
	opts.TLSTimeout = 5
	return opts, nil
}

// listenPort splits host:port; port 0 is any free one.
func listenPort(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("embedded listen %q: %w", listen, err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("embedded listen %q: port: %w", listen, err)
	}
	if n == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(n), nil
}

// readSecret reads a file that holds one secret and perhaps a line end.
func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return secret, nil
}

func newSecret() string { return rand.Text() }
