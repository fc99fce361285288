package authz

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/simbind/simbind/numverify/network"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/state"
)

// pushLife is how long a pushed request waits for its /authorize (RFC 9126
// section 2.2).
const pushLife = time.Minute

// backend reads a request of a client's backend and who it is from.
func (s *Server) backend(w http.ResponseWriter, r *http.Request, endpoint string) (*Client, bool) {
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
		s.fail(w, faultf(invalidRequest, "send a form in the body, and nothing in the query"))
		return nil, false
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			s.fail(w, faultf(invalidRequest, "%q is given more than once", name))
			return nil, false
		}
	}
	c, err := s.authenticate(r, endpoint)
	if err != nil {
		f := asFault(err)
		s.audit(endpoint[1:], &request{client: &Client{ID: known(s.clients, r.PostForm.Get("client_id"))}}, f, network.SIM{}, origin.Client{})
		s.fail(w, f)
		return nil, false
	}
	if !s.cfg.Allow(c.ID, origin.Client{}) {
		w.Header().Set("Retry-After", "1")
		s.json(w, http.StatusTooManyRequests, map[string]string{"error": notAvailable, "error_description": "too many requests"})
		return nil, false
	}
	return c, true
}

// known is an id that may go into a log.
func known(list *Clients, id string) string {
	if _, ok := list.get(id); ok {
		return id
	}
	return ""
}

// push takes a request from the backend (RFC 9126). It is checked now, so that
// the backend learns what is wrong, and again at /authorize.
func (s *Server) push(w http.ResponseWriter, r *http.Request) {
	c, ok := s.backend(w, r, "/par")
	if !ok {
		return
	}
	params := url.Values{}
	for name, values := range r.PostForm {
		if name != "client_assertion" && name != "client_assertion_type" {
			params[name] = values
		}
	}
	params.Set("client_id", c.ID)
	var err error
	signed := params.Has("request")
	switch {
	case params.Has("request_uri"):
		err = faultf(invalidRequest, "a pushed request holds no request_uri")
	case signed: // its jti is used up here, so what it says is kept in its place
		params, err = s.unsign(r.Context(), c, params)
	}
	var req *request
	if err == nil {
		req, err = s.understand(r.Context(), c, params, signed)
	}
	var secret string
	if err == nil {
		secret, err = s.cfg.State.Put(r.Context(), state.Pushed, pushed{c.ID, params, signed}, pushLife)
	}
	if err != nil {
		f := asFault(err)
		s.audit("par", &request{client: c}, f, network.SIM{}, origin.Client{})
		s.fail(w, f)
		return
	}
	s.audit("par", req, nil, network.SIM{}, origin.Client{})
	s.json(w, http.StatusCreated, map[string]any{"request_uri": requestURIPrefix + secret, "expires_in": int(pushLife.Seconds())})
}

var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// token exchanges a code.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	c, ok := s.backend(w, r, "/token")
	if !ok {
		return
	}
	g, err := s.redeem(r, c)
	var answer map[string]any
	if err == nil {
		answer, err = s.issue(r, c, g)
	}
	req := &request{client: c, purpose: g.Purpose}
	if err != nil {
		f := asFault(err)
		s.audit("token", req, f, g.SIM, g.From)
		s.fail(w, f)
		return
	}
	s.audit("token", req, nil, g.SIM, g.From)
	s.json(w, http.StatusOK, answer)
}

// refusedGrants explains what is not offered.
var refusedGrants = map[string]string{
	"urn:openid:params:grant-type:ciba":            "CIBA is begun by a backend: the device's own connection is the proof here, so the device must come to /authorize itself",
	"client_credentials":                           "a backend alone proves nothing about a connection: the device must come to /authorize itself",
	"urn:ietf:params:oauth:grant-type:jwt-bearer":  "a backend alone proves nothing about a connection: the device must come to /authorize itself",
	"urn:ietf:params:oauth:grant-type:device_code": "another device's connection would be proven: the device must come to /authorize itself",
	"refresh_token":                                "there are no refresh tokens: each call needs a fresh proof",
	"password":                                     "a password proves nothing about a connection",
}

// redeem takes the code, which nobody can take again whatever comes of it.
func (s *Server) redeem(r *http.Request, c *Client) (grant, error) {
	form := r.PostForm
	if kind := form.Get("grant_type"); kind != "authorization_code" {
		why, ok := refusedGrants[kind]
		if !ok {
			why = "grant_type is authorization_code"
		}
		return grant{}, faultf(unsupportedGrant, "%s", why)
	}
	if form.Get("code") == "" {
		return grant{}, faultf(invalidRequest, "code is needed")
	}
	var g grant
	if err := s.cfg.State.Take(r.Context(), state.Code, form.Get("code"), &g); err != nil {
		if errors.Is(err, state.ErrGone) {
			return grant{}, faultf(invalidGrant, "the code is unknown, expired or was used")
		}
		return grant{}, err
	}
	switch {
	case g.Client != c.ID:
		return g, faultf(invalidGrant, "the code was given to another client")
	case g.RedirectURI != form.Get("redirect_uri"):
		return g, faultf(invalidGrant, "redirect_uri is not that of the authorization request")
	case g.Challenge == "" && form.Has("code_verifier"):
		return g, faultf(invalidGrant, "code_verifier, but the authorization request had no code_challenge")
	case g.Challenge != "" && !fits(form.Get("code_verifier"), g.Challenge):
		return g, faultf(invalidGrant, "code_verifier does not fit code_challenge")
	}
	return g, nil
}

func fits(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return verifierForm.MatchString(verifier) &&
		subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// issue makes the token, and an ID token if one was asked for.
func (s *Server) issue(r *http.Request, c *Client, g grant) (map[string]any, error) {
	token, err := s.cfg.State.Put(r.Context(), state.Token, g.Access, s.cfg.TokenLife)
	if err != nil {
		return nil, err
	}
	scope := append([]string{}, g.Scope...)
	scope = append(scope, g.Purpose)
	if g.OpenID {
		scope = append([]string{"openid"}, scope...)
	}
	answer := map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": int(s.cfg.TokenLife.Seconds()), "scope": strings.Join(scope, " "),
	}
	if g.OpenID {
		if answer["id_token"], err = s.idToken(c, &g, token); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (s *Server) idToken(c *Client, g *grant, token string) (string, error) {
	key := s.keys.signing()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	now, half := s.cfg.Now(), sha256.Sum256([]byte(token))
	own := map[string]any{
		"amr": g.AMR, "auth_time": g.At.Unix(), "at_hash": base64.RawURLEncoding.EncodeToString(half[:16]),
	}
	if g.Nonce != "" {
		own["nonce"] = g.Nonce
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: s.cfg.Issuer, Subject: s.subject(c, g.SIM), Audience: jwt.Audience{c.ID},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(s.cfg.TokenLife)),
	}).Claims(own).Serialize()
}

// subject names a subscriber to the clients of one sector: pairwise (OpenID
// Connect Core 8.1), and by a key that only we have, as numbers are few enough
// to be tried.
func (s *Server) subject(c *Client, sim network.SIM) string {
	mac := hmac.New(sha256.New, s.cfg.SubjectKey)
	mac.Write([]byte(c.Sector + "\x00" + sim.MSISDN))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// backchannel refuses CIBA at the address where clients look for it.
func (s *Server) backchannel(w http.ResponseWriter, _ *http.Request) {
	s.fail(w, faultf(unauthorizedClient, "%s", refusedGrants["urn:openid:params:grant-type:ciba"]))
}
