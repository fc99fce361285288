package resource

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/network"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/state"
)

// Continuity says how much must still hold when a token is used.
type Continuity string

const (
	// ByToken: the address must not be known to have gone to another SIM or
	// number since. A phone that left the network meanwhile still counts, as the
	// token stands for the subscriber (CAMARA).
	ByToken Continuity = "token"
	// Strict: the very same binding must still stand, without any doubt.
	Strict Continuity = "strict"
)

// Config of an API. All fields but Allow and Audit are needed.
type Config struct {
	Continuity Continuity
	// Take gives what a token stands for to one call.
	Take func(ctx context.Context, token string) (authz.Access, error)
	// Holder asks the network who holds an address now.
	Holder func(context.Context, origin.Client) (network.SIM, error)
	// Moved says whether a SIM's number is with another SIM now.
	Moved func(context.Context, network.SIM) (bool, error)
	// Allow bounds the calls of a client; nil: it does not.
	Allow func(clientID string) bool
	// Audit is told each answer; nil: nobody is.
	Audit func(Answer)
}

// An Answer is for the audit log.
type Answer struct {
	Endpoint   string // verify, device-phone-number
	Access     authz.Access
	Outcome    string // true, false, shared, or the error's code
	Correlator string
}

// An API is an http.Handler for the paths below its base, without it.
type API struct {
	cfg Config
	log *slog.Logger
	mux *http.ServeMux
}

// New makes an API. It does no I/O.
func New(cfg Config, log *slog.Logger) *API {
	if cfg.Allow == nil {
		cfg.Allow = func(string) bool { return true }
	}
	if cfg.Audit == nil {
		cfg.Audit = func(Answer) {}
	}
	a := &API{cfg: cfg, log: log, mux: http.NewServeMux()}
	a.mux.HandleFunc("POST /verify", a.verify)
	a.mux.HandleFunc("GET /device-phone-number", a.share)
	a.mux.HandleFunc("/verify", a.onlyMethod(http.MethodPost))
	a.mux.HandleFunc("/device-phone-number", a.onlyMethod(http.MethodGet))
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		a.fail(w, &fault{http.StatusNotFound, "NOT_FOUND", "There is nothing at this path."})
	})
	return a
}

var correlatorForm = regexp.MustCompile(`^[a-zA-Z0-9-_:;.\/<>{}]{0,256}$`)

const correlatorHeader = "X-Correlator"

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if values := r.Header.Values(correlatorHeader); len(values) > 0 {
		if len(values) > 1 || !correlatorForm.MatchString(values[0]) {
			a.fail(w, &fault{http.StatusBadRequest, invalidArgument, "x-correlator does not have the form that the API defines."})
			return
		}
		if values[0] != "" {
			w.Header().Set(correlatorHeader, values[0])
		}
	}
	a.mux.ServeHTTP(w, r)
}

func (a *API) onlyMethod(method string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", method)
		a.fail(w, &fault{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "Use " + method + "."})
	}
}

func (a *API) verify(w http.ResponseWriter, r *http.Request) {
	access, f := a.admit(r, authz.ScopeVerify)
	var claimed claim
	if f == nil {
		claimed, f = readClaim(w, r)
	}
	var same bool
	if f == nil {
		if same, f = a.compare(r.Context(), access, claimed); f == nil {
			a.answer(w, "verify", access, map[string]bool{"devicePhoneNumberVerified": same}, map[bool]string{true: "true", false: "false"}[same])
			return
		}
	}
	a.refuse(w, "verify", access, f)
}

func (a *API) share(w http.ResponseWriter, r *http.Request) {
	access, f := a.admit(r, authz.ScopeShare)
	if f == nil {
		f = a.stillStands(r.Context(), access)
	}
	if f != nil {
		a.refuse(w, "device-phone-number", access, f)
		return
	}
	a.answer(w, "device-phone-number", access, map[string]string{"devicePhoneNumber": access.SIM.MSISDN}, "shared")
}

// admit takes the token of a call. Whatever is wrong with the call then, the
// token is used up: it was good for this one.
func (a *API) admit(r *http.Request, scope string) (authz.Access, *fault) {
	token, ok := bearer(r)
	if !ok {
		return authz.Access{}, unauthenticated
	}
	access, err := a.cfg.Take(r.Context(), token)
	switch {
	case errors.Is(err, state.ErrGone):
		return authz.Access{}, unauthenticated
	case err != nil:
		a.log.Warn("token not taken", "err", err)
		return authz.Access{}, unavailable
	case !a.cfg.Allow(access.Client):
		return access, &fault{http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "Too many calls: slow down."}
	case !slices.Contains(access.Scope, scope):
		return access, &fault{http.StatusForbidden, "PERMISSION_DENIED", "The token does not have the scope that this call needs."}
	case !slices.Contains(access.AMR, "nba"):
		return access, notByNetwork
	}
	return access, nil
}

// bearer is the token of the Authorization header (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= 512
}

// stillStands checks that the SIM that was recognised has not lost the address
// to another since, as far as Continuity asks.
func (a *API) stillStands(ctx context.Context, access authz.Access) *fault {
	now, err := a.cfg.Holder(ctx, access.From)
	switch {
	case errors.Is(err, network.ErrNobody) && a.cfg.Continuity == ByToken:
		moved, err := a.cfg.Moved(ctx, access.SIM)
		if err != nil {
			a.log.Info("continuity not checked", "err", err)
			return unavailable
		}
		if moved {
			return notByNetwork
		}
		return nil
	case errors.Is(err, network.ErrNotNow):
		a.log.Info("continuity not checked", "err", err)
		return unavailable
	case err != nil || !now.Same(access.SIM) || a.cfg.Continuity == Strict && now.Version != access.SIM.Version:
		return notByNetwork
	}
	return nil
}

func (a *API) compare(ctx context.Context, access authz.Access, c claim) (bool, *fault) {
	if f := a.stillStands(ctx, access); f != nil {
		return false, f
	}
	return c.is(access.SIM.MSISDN), nil
}

func (a *API) answer(w http.ResponseWriter, endpoint string, access authz.Access, body any, outcome string) {
	a.cfg.Audit(Answer{endpoint, access, outcome, w.Header().Get(correlatorHeader)})
	a.json(w, http.StatusOK, body)
}

func (a *API) refuse(w http.ResponseWriter, endpoint string, access authz.Access, f *fault) {
	a.cfg.Audit(Answer{endpoint, access, f.Code, w.Header().Get(correlatorHeader)})
	a.fail(w, f)
}

func (a *API) json(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.log.Debug("answer not written", "err", err)
	}
}
