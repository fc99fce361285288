// Package operatortest is an operator for tests of an app: an authorization
// server that recognises every connection as one number, and the resource API
// behind it. It checks what an app must get right, and nothing else.
package operatortest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// An Operator runs until the test ends.
type Operator struct {
	URL string
	// Number (+E164) is that of every connection.
	Number string

	t   testing.TB
	key jose.JSONWebKey
	app crypto.PublicKey

	mu     sync.Mutex
	refuse string
	codes  map[string]url.Values
	tokens map[string]string // scope
}

// Start runs an operator that knows one app by the public half of its key.
func Start(t testing.TB, number string, app jose.JSONWebKey) *Operator {
	o := &Operator{Number: number, t: t, key: NewKey(t, "op"), app: app.Public().Key, codes: map[string]url.Values{}, tokens: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", o.discovery)
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, r *http.Request) {
		o.json(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{o.key.Public()}})
	})
	mux.HandleFunc("GET /authorize", o.authorize)
	mux.HandleFunc("POST /token", o.token)
	mux.HandleFunc("POST /number-verification/v2/verify", o.verify)
	mux.HandleFunc("GET /number-verification/v2/device-phone-number", o.share)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	o.URL = server.URL
	return o
}

// NewKey makes a private ES256 key.
func NewKey(t testing.TB, id string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

// Refuse has every later authorization end with this error; "" for none.
func (o *Operator) Refuse(code string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuse = code
}

func (o *Operator) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		o.t.Error(err)
	}
}

func (o *Operator) discovery(w http.ResponseWriter, _ *http.Request) {
	o.json(w, map[string]any{
		"issuer": o.URL, "authorization_endpoint": o.URL + "/authorize", "token_endpoint": o.URL + "/token", "jwks_uri": o.URL + "/jwks",
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (o *Operator) authorize(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := r.URL.Query()
	back := url.Values{"state": {q.Get("state")}}
	if o.refuse != "" {
		back.Set("error", o.refuse)
	} else {
		code := rand.Text()
		o.codes[code] = q
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (o *Operator) token(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.codes[r.PostFormValue("code")]
	delete(o.codes, r.PostFormValue("code"))
	if problem := o.problem(r, asked); problem != "" {
		o.t.Errorf("the app's token request: %s", problem)
		http.Error(w, `{"error":"invalid_request"}`, http.StatusBadRequest)
		return
	}
	now := time.Now()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: o.key}, nil)
	if err != nil {
		o.t.Error(err)
		return
	}
	id, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: o.URL, Subject: "pairwise", Audience: jwt.Audience{asked.Get("client_id")},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute)),
	}).Claims(map[string]any{"nonce": asked.Get("nonce"), "amr": []string{"nba"}}).Serialize()
	if err != nil {
		o.t.Error(err)
		return
	}
	token := rand.Text()
	o.tokens[token] = asked.Get("scope")
	o.json(w, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 300, "id_token": id})
}

func (o *Operator) problem(r *http.Request, asked url.Values) string {
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	assertion, err := jwt.ParseSigned(r.PostFormValue("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
	var claims jwt.Claims
	switch {
	case asked == nil:
		return "unknown code"
	case asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]):
		return "the verifier does not fit the challenge"
	case asked.Get("redirect_uri") != r.PostFormValue("redirect_uri"):
		return "another redirect_uri"
	case strings.Count(asked.Get("scope"), "dpv:") != 1:
		return "not one purpose in " + asked.Get("scope")
	case r.PostFormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || err != nil:
		return "no client assertion"
	case assertion.Claims(o.app, &claims) != nil:
		return "the assertion is signed by somebody else"
	case claims.ID == "" || claims.IssuedAt == nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > 300*time.Second:
		return "the assertion has no id or is good for too long"
	case claims.Subject != asked.Get("client_id") || !claims.Audience.Contains(o.URL+"/token"):
		return "the assertion is of another client or for another server"
	}
	return ""
}

// take uses a token up; false if it does not have the scope.
func (o *Operator) take(w http.ResponseWriter, r *http.Request, scope string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	has := o.tokens[token]
	delete(o.tokens, token)
	if strings.Contains(" "+has+" ", " "+scope+" ") {
		return true
	}
	w.WriteHeader(http.StatusUnauthorized)
	o.json(w, map[string]any{"status": 401, "code": "UNAUTHENTICATED", "message": "a token is good for one call"})
	return false
}

func (o *Operator) verify(w http.ResponseWriter, r *http.Request) {
	if !o.take(w, r, "number-verification:verify") {
		return
	}
	var body struct{ PhoneNumber string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		o.t.Error(err)
	}
	o.json(w, map[string]bool{"devicePhoneNumberVerified": body.PhoneNumber == o.Number})
}

func (o *Operator) share(w http.ResponseWriter, r *http.Request) {
	if o.take(w, r, "number-verification:device-phone-number:read") {
		o.json(w, map[string]string{"devicePhoneNumber": o.Number})
	}
}
