package numverify

import (
	"context"
	"crypto/tls"
	_ "embed" // openapi.yaml
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/limit"
	"github.com/simbind/simbind/numverify/network"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/resource"
	"github.com/simbind/simbind/numverify/state"
)

// Config of a Service. It is checked by its reader; see docs/numverify.md for
// what each means.
type Config struct {
	Issuer         string
	Listen         []string
	CertFile       string // with KeyFile; without, plain HTTP behind a proxy
	KeyFile        string
	PROXYProtocol  bool
	Origin         origin.Config
	Socket         string // of simbindd
	Domain         string
	AskTimeout     time.Duration
	ClientsFile    string
	SigningFile    string
	SubjectKey     []byte
	AuditFile      string // "" for none
	AuditKey       []byte
	Continuity     resource.Continuity
	WorkInProgress bool // the API at /number-verification/vwip too
	CodeLife       time.Duration
	TokenLife      time.Duration
	ConsentURL     string
	NATS           NATS
	PerClient      float64 // requests a second
	PerAddress     float64
	MetricsListen  string // "" for none
	Drain          time.Duration
}

// NATS is where several processes share state; URL is empty for one process.
type NATS struct {
	URL, CredsFile, CAFile string
	Bucket                 string
	Replicas               int
}

// A Service is the frontend.
type Service struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	network *network.Network
	files   *files
	audit   *audit
	metrics *metrics
	ready   atomic.Bool
	started chan struct{}
	addrs   []net.Addr // set before started is closed
}

// New makes a Service. It does no I/O.
func New(cfg Config, log *slog.Logger) *Service {
	s := &Service{cfg: cfg, log: log, now: time.Now, started: make(chan struct{})}
	s.network = network.New(cfg.Socket, cfg.Domain, cfg.AskTimeout)
	s.metrics = newMetrics(s.network)
	s.audit = newAudit(cfg.AuditFile, cfg.AuditKey, s.now, log)
	s.files = newFiles(cfg, authz.NewClients(&http.Client{Timeout: 5 * time.Second}, s.now), log)
	return s
}

// Started is closed when the service listens.
func (s *Service) Started() <-chan struct{} { return s.started }

// Addrs are the addresses that it listens on, in the order of Config.Listen, once
// it has started.
func (s *Service) Addrs() []net.Addr { return s.addrs }

// Reload reads clients, signing keys and certificates again; what cannot be read
// stays as it is. The service does so by itself when a file changes.
func (s *Service) Reload() {
	s.files.reload()
	s.audit.reopen()
}

// Run serves until ctx ends, then lets requests finish, and returns nil.
func (s *Service) Run(ctx context.Context) error {
	if err := s.files.load(); err != nil {
		return err
	}
	if err := s.audit.open(); err != nil {
		return err
	}
	defer s.audit.close()
	defer s.network.Close()
	store, closeState, err := s.openState()
	if err != nil {
		return err
	}
	defer closeState()
	handler := s.handler(store)
	g, ctx := errgroup.WithContext(ctx)
	for _, address := range s.cfg.Listen {
		ln, err := s.listen(ctx, address)
		if err != nil {
			return err
		}
		s.addrs = append(s.addrs, ln.Addr())
		s.log.Info("listening", "address", ln.Addr().String(), "tls", s.cfg.CertFile != "")
		g.Go(func() error { return s.serve(ctx, ln, handler) })
	}
	if s.cfg.MetricsListen != "" {
		ln, err := net.Listen("tcp", s.cfg.MetricsListen)
		if err != nil {
			return fmt.Errorf("listen on metrics.listen: %w", err)
		}
		s.log.Info("serving /metrics, /healthz and /readyz", "address", ln.Addr().String())
		g.Go(func() error { return s.serve(ctx, ln, s.monitor()) })
	}
	g.Go(func() error { s.files.watch(ctx); return nil })
	s.ready.Store(true)
	close(s.started)
	s.log.Info("ready", "issuer", s.cfg.Issuer)
	context.AfterFunc(ctx, func() { s.ready.Store(false) })
	return g.Wait()
}

func (s *Service) handler(store *state.Store) http.Handler {
	perClient := limit.New(s.cfg.PerClient, int(2*s.cfg.PerClient), s.now)
	perAddress := limit.New(s.cfg.PerAddress, int(2*s.cfg.PerAddress), s.now)
	as := authz.New(authz.Config{
		Issuer: s.cfg.Issuer, SubjectKey: s.cfg.SubjectKey, CodeLife: s.cfg.CodeLife, TokenLife: s.cfg.TokenLife,
		Holder: s.network.Holder, Origin: s.cfg.Origin, State: store, Consent: s.consent(), Now: s.now,
		Allow: func(client string, from origin.Client) bool {
			return perClient.Allow(client) && (!from.Addr.IsValid() || perAddress.Allow(from.Addr.String()))
		},
		Audit: func(d authz.Decision) { s.metrics.decided(d); s.audit.decision(d) },
	}, s.files.clients, s.files.keys, s.log)
	api := resource.New(resource.Config{
		Continuity: s.cfg.Continuity, Take: as.Take, Holder: s.network.Holder, Moved: s.network.Moved, Allow: perClient.Allow,
		Audit: func(a resource.Answer) { s.metrics.answered(a); s.audit.answer(a) },
	}, s.log)
	mux := http.NewServeMux()
	mux.Handle("/", as)
	mux.Handle(basePath+"/", http.StripPrefix(basePath, api))
	if s.cfg.WorkInProgress {
		mux.Handle(wipPath+"/", http.StripPrefix(wipPath, api))
	}
	mux.HandleFunc("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		if _, err := w.Write(openAPI); err != nil {
			s.log.Debug("answer not written", "err", err)
		}
	})
	return http.MaxBytesHandler(stripped(mux), maxRequest)
}

//go:embed openapi.yaml
var openAPI []byte

const (
	basePath   = "/number-verification/v2"
	wipPath    = "/number-verification/vwip"
	maxRequest = 64 << 10
)

// stripped takes away what proxies of other designs put in to name a
// subscriber: nothing here may ever come to read it.
func stripped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Msisdn", "X-Up-Calling-Line-Id", "X-Wap-Msisdn", "X-Nokia-Msisdn", "Msisdn", "X-Imsi", "X-Real-Ip"} {
			r.Header.Del(name)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Service) listen(ctx context.Context, address string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if s.cfg.PROXYProtocol {
		ln = s.cfg.Origin.Listen(ln)
	}
	if s.cfg.CertFile != "" {
		ln = tls.NewListener(ln, &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.files.certificate.Load(), nil },
		})
	}
	return ln, nil
}

// serve answers until ctx ends; then requests under way may finish.
func (s *Service) serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	drained := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(drained)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Drain)
		defer cancel()
		if server.Shutdown(limit) != nil {
			server.Close()
		}
	})
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-drained
	return nil
}
