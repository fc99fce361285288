package authz

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/simbind/simbind/numverify/state"
)

// A request is an authorization request that may be answered by a redirect.
type request struct {
	client      *Client
	redirectURI string
	state       string
	nonce       string
	challenge   string
	scope       []string // of the API
	purpose     string
	openID      bool
}

// A pushed request waits for its /authorize.
type pushed struct {
	Client string     `json:"client"`
	Params url.Values `json:"params"`
	Signed bool       `json:"signed"` // they came out of a request object
}

const requestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// parameters whose repetition is an error (RFC 6749 section 3.1).
var single = []string{
	"client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "prompt", "code_challenge",
	"code_challenge_method", "request", "request_uri",
}

// read understands an authorization request. Without a request the error must
// not be told by a redirect: client or redirect URI are not to be trusted.
func (s *Server) read(ctx context.Context, q url.Values) (*request, error) {
	for _, name := range single {
		if len(q[name]) > 1 {
			return nil, faultf(invalidRequest, "%s is given more than once", name)
		}
	}
	c, ok := s.clients.get(q.Get("client_id"))
	if !ok {
		return nil, faultf(invalidRequest, "client_id is not that of a client")
	}
	q, signed, err := s.unpush(ctx, c, q)
	if err != nil {
		return nil, err
	}
	return s.understand(ctx, c, q, signed)
}

// understand reads the parameters of a client's request. With signed they came
// out of a request object already.
func (s *Server) understand(ctx context.Context, c *Client, q url.Values, signed bool) (*request, error) {
	r := &request{client: c, redirectURI: q.Get("redirect_uri"), state: q.Get("state")}
	if !slices.Contains(c.RedirectURIs, r.redirectURI) {
		return nil, faultf(invalidRequest, "redirect_uri is not one of the client's")
	}
	switch {
	case signed:
	case q.Has("request_uri"):
		return r, faultf(noRequestURI, "push the request to /par, or send it as request")
	case q.Has("request"):
		var err error
		if q, err = s.unsign(ctx, c, q); err != nil {
			return r, err
		}
		r.state = q.Get("state")
	case c.SignedRequests:
		return r, faultf(invalidRequest, "this client's requests must be signed")
	}
	return r, r.fill(q)
}

// unpush replaces a reference to a pushed request by that request, once.
func (s *Server) unpush(ctx context.Context, c *Client, q url.Values) (params url.Values, signed bool, err error) {
	secret, ok := strings.CutPrefix(q.Get("request_uri"), requestURIPrefix)
	if !ok {
		return q, false, nil
	}
	var p pushed
	if err := s.cfg.State.Take(ctx, state.Pushed, secret, &p); err != nil {
		if errors.Is(err, state.ErrGone) {
			return nil, false, faultf(invalidRequest, "request_uri is unknown, expired or was used")
		}
		return nil, false, err
	}
	if p.Client != c.ID {
		return nil, false, faultf(invalidRequest, "request_uri is of another client")
	}
	return p.Params, p.Signed, nil
}

// unsign takes the parameters out of a request object, and only from there (RFC
// 9101). Those that OAuth needs in the query must be the same there.
func (s *Server) unsign(ctx context.Context, c *Client, q url.Values) (url.Values, error) {
	var claims jwt.Claims
	var all map[string]any
	if _, err := s.verify(ctx, q.Get("request"), c.ID, &claims, &all); err != nil {
		return nil, &fault{invalidRequestObject, "the request object: " + err.Error(), err}
	}
	if err := s.timely(ctx, c, &claims, true, s.cfg.Issuer, s.cfg.Issuer+"/authorize"); err != nil {
		var f *fault
		if errors.As(err, &f) {
			return nil, err
		}
		return nil, &fault{invalidRequestObject, "the request object: " + err.Error(), err}
	}
	signed := url.Values{}
	for name, v := range all {
		switch v := v.(type) {
		case string:
			signed.Set(name, v)
		case float64, bool, map[string]any, []any:
			text, err := json.Marshal(v)
			if err != nil {
				return nil, &fault{invalidRequestObject, "the request object cannot be read", err}
			}
			signed.Set(name, string(text))
		}
	}
	for _, name := range []string{"scope", "response_type", "client_id", "redirect_uri"} {
		if !q.Has(name) || q.Get(name) != signed.Get(name) {
			return nil, faultf(invalidRequestObject, "%s must be in the request and in the request object, and the same", name)
		}
	}
	if signed.Has("request") || signed.Has("request_uri") {
		return nil, faultf(invalidRequestObject, "a request object holds no other request")
	}
	return signed, nil
}

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// fill checks everything that is told by a redirect.
func (r *request) fill(q url.Values) error {
	r.nonce, r.challenge = q.Get("nonce"), q.Get("code_challenge")
	switch {
	case q.Get("response_type") != "code":
		return faultf(unsupportedResponse, "response_type is code")
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return faultf(invalidRequest, "response_mode is query")
	case q.Get("prompt") != "" && q.Get("prompt") != "none":
		return faultf(invalidRequest, "prompt is none: nobody is asked anything here")
	case len(r.state) > 1024 || len(r.nonce) > 1024:
		return faultf(invalidRequest, "state or nonce is longer than 1024 bytes")
	}
	if err := r.fillScope(q); err != nil {
		return err
	}
	switch method := q.Get("code_challenge_method"); {
	case r.challenge == "" && method != "":
		return faultf(invalidRequest, "code_challenge_method without code_challenge")
	case r.challenge == "" && r.client.PKCE:
		return faultf(invalidRequest, "this client must use PKCE with S256")
	case r.challenge == "" && (r.state == "" || r.openID && r.nonce == ""):
		return faultf(invalidRequest, "without PKCE, state is needed, and nonce with openid")
	case r.challenge != "" && (method != "S256" || !challengeForm.MatchString(r.challenge)):
		return faultf(invalidRequest, "PKCE is accepted with code_challenge_method S256 only")
	}
	return nil
}

// claimScopes are scopes of OpenID Connect that mean claims of an ID token.
var claimScopes = []string{"profile", "email", "address", "phone"}

func (r *request) fillScope(q url.Values) error {
	claims := false
	for _, scope := range strings.Fields(q.Get("scope")) {
		switch {
		case scope == "openid":
			r.openID = true
		case strings.HasPrefix(scope, "dpv:"):
			if r.purpose != "" {
				return faultf(invalidScope, "there must be one purpose, not several")
			}
			r.purpose = scope
		case scope == ScopeVerify || scope == ScopeShare:
			if !slices.Contains(r.client.Scopes, scope) {
				return faultf(invalidScope, "%s was not agreed for this client", scope)
			}
			r.scope = append(r.scope, scope)
		case slices.Contains(claimScopes, scope):
			claims = true
		}
	}
	slices.Sort(r.scope)
	r.scope = slices.Compact(r.scope)
	switch {
	case claims && !r.openID:
		return faultf(invalidRequest, "claims are asked for without openid")
	case r.purpose == "":
		return faultf(invalidScope, "a purpose is needed, as dpv:FraudPreventionAndDetection")
	case !slices.Contains(r.client.Purposes, r.purpose):
		return faultf(invalidScope, "%s was not agreed for this client", r.purpose)
	case len(r.scope) == 0:
		return faultf(invalidScope, "ask for %s or %s", ScopeVerify, ScopeShare)
	}
	return nil
}
