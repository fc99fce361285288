package authz

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/simbind/simbind/numverify/network"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/state"
)

// The scopes of the API. Each allows one endpoint.
const (
	ScopeVerify = "number-verification:verify"
	ScopeShare  = "number-verification:device-phone-number:read"
)

// Config of a Server. All fields but Consent and Allow are needed.
type Config struct {
	// Issuer is the server's name, an https URL without a trailing slash. The
	// endpoints are below it.
	Issuer string
	// SubjectKey keeps the names of subscribers, which differ from client to
	// client, from being computed by others; at least 32 bytes.
	SubjectKey []byte
	// CodeLife is at most 60 s, TokenLife at most 300 s.
	CodeLife, TokenLife time.Duration
	// Holder asks the network whose connection it is.
	Holder func(context.Context, origin.Client) (network.SIM, error)
	// Origin tells whose connection a request came over.
	Origin origin.Config
	// State keeps codes, tokens and ids.
	State *state.Store
	// Consent says whether consent is on file where the purpose needs it; nil if
	// no purpose does.
	Consent func(context.Context, ConsentQuestion) (bool, error)
	// Allow bounds the requests of a client and of an address; nil: it does not.
	Allow func(clientID string, from origin.Client) bool
	// Audit is told each decision; nil: nobody is.
	Audit func(Decision)
	// Now is the clock.
	Now func() time.Time
}

// A ConsentQuestion is about one subscriber and one purpose.
type ConsentQuestion struct {
	Client  string   `json:"client_id"`
	Purpose string   `json:"purpose"`
	Scope   []string `json:"scope"`
	MSISDN  string   `json:"phoneNumber"`
}

// A Decision is one answer of the server, for the audit log.
type Decision struct {
	Endpoint string // authorize, par, token
	Client   string // "" if it is not known
	Purpose  string
	Outcome  string // ok, or the error's code
	Detail   string
	SIM      network.SIM
	From     origin.Client
}

// An Access is what a token stands for. It is good for one call.
type Access struct {
	Client  string        `json:"client"`
	Scope   []string      `json:"scope"`
	Purpose string        `json:"purpose"`
	SIM     network.SIM   `json:"sim"`
	From    origin.Client `json:"from"`
	// AMR says how the subscriber was authenticated: "nba" is by the network.
	AMR []string `json:"amr"`
}

// A Server is an http.Handler for its endpoints.
type Server struct {
	cfg     Config
	log     *slog.Logger
	clients *Clients
	keys    *Keys
	mux     *http.ServeMux
}

// New makes a Server. It does no I/O.
func New(cfg Config, clients *Clients, keys *Keys, log *slog.Logger) *Server {
	if cfg.Allow == nil {
		cfg.Allow = func(string, origin.Client) bool { return true }
	}
	if cfg.Audit == nil {
		cfg.Audit = func(Decision) {}
	}
	s := &Server{cfg: cfg, log: log, clients: clients, keys: keys, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /authorize", s.authorize)
	s.mux.HandleFunc("POST /authorize", s.authorize)
	s.mux.HandleFunc("POST /par", s.push)
	s.mux.HandleFunc("POST /token", s.token)
	s.mux.HandleFunc("GET /jwks", s.jwks)
	s.mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	s.mux.HandleFunc("POST /bc-authorize", s.backchannel)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.mux.ServeHTTP(w, r)
}

// Take gives what a token stands for to exactly one call.
func (s *Server) Take(ctx context.Context, token string) (Access, error) {
	var a Access
	err := s.cfg.State.Take(ctx, state.Token, token, &a)
	return a, err
}
