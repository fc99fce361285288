package authz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Client is an app that was onboarded. What is negotiated then is enforced on
// every request.
type Client struct {
	ID           string              `json:"client_id"`
	RedirectURIs []string            `json:"redirect_uris"`
	JWKS         *jose.JSONWebKeySet `json:"jwks,omitempty"`
	JWKSURI      string              `json:"jwks_uri,omitempty"`
	// Scopes and Purposes ("dpv:…") are those that the client may ask for.
	Scopes   []string `json:"scopes"`
	Purposes []string `json:"purposes"`
	// Sector groups clients that may know a subscriber by the same name; the host
	// of the first redirect URI if empty (OpenID Connect Core 8.1).
	Sector string `json:"sector_identifier,omitempty"`
	// SignedRequests and PKCE refuse requests without.
	SignedRequests bool `json:"require_signed_request_object,omitempty"`
	PKCE           bool `json:"require_pkce,omitempty"`
	// Consent: every purpose of this client needs consent on file.
	Consent bool `json:"require_consent,omitempty"`

	remote *remoteKeys // of JWKSURI
}

// ParseClients reads a list of clients, {"clients": […]}, as JSON.
func ParseClients(text []byte) ([]*Client, error) {
	var file struct {
		Clients []*Client `json:"clients"`
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	seen := map[string]bool{}
	for i, c := range file.Clients {
		if c == nil || c.ID == "" || seen[c.ID] {
			return nil, fmt.Errorf("clients: number %d has no client_id, or one that is used already", i+1)
		}
		seen[c.ID] = true
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("client %s: %w", c.ID, err)
		}
	}
	return file.Clients, nil
}

func (c *Client) check() error {
	if (c.JWKS == nil) == (c.JWKSURI == "") {
		return errors.New("give one of jwks and jwks_uri")
	}
	if c.JWKS != nil {
		for _, k := range c.JWKS.Keys {
			if !k.IsPublic() || !k.Valid() {
				return fmt.Errorf("key %q of jwks is not a public key", k.KeyID)
			}
		}
	}
	if c.JWKSURI != "" {
		if u, err := url.Parse(c.JWKSURI); err != nil || u.Scheme != "https" && !isLoopback(u) {
			return fmt.Errorf("jwks_uri %q is not https", c.JWKSURI)
		}
	}
	if len(c.RedirectURIs) == 0 {
		return errors.New("redirect_uris is empty")
	}
	for _, text := range c.RedirectURIs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && !isLoopback(u) {
			return fmt.Errorf("redirect URI %q is not an https URL without fragment", text)
		}
		if c.Sector == "" {
			c.Sector = u.Host
		}
	}
	for _, scope := range c.Scopes {
		if scope != ScopeVerify && scope != ScopeShare {
			return fmt.Errorf("scope %q: it is %s or %s", scope, ScopeVerify, ScopeShare)
		}
	}
	for _, p := range c.Purposes {
		if !strings.HasPrefix(p, "dpv:") || len(p) == len("dpv:") {
			return fmt.Errorf("purpose %q: it is like dpv:FraudPreventionAndDetection", p)
		}
	}
	if len(c.Scopes) == 0 || len(c.Purposes) == 0 {
		return errors.New("scopes and purposes are needed")
	}
	return nil
}

func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}

// Clients is the list in force. Any goroutine may use it.
type Clients struct {
	fetch *http.Client
	now   func() time.Time
	list  atomic.Pointer[map[string]*Client]
}

// NewClients makes an empty list. fetch gets the documents behind jwks_uri and
// should have a time limit.
func NewClients(fetch *http.Client, now func() time.Time) *Clients {
	c := &Clients{fetch: fetch, now: now}
	c.Set(nil)
	return c
}

// Set replaces the list.
func (c *Clients) Set(list []*Client) {
	m := make(map[string]*Client, len(list))
	for _, one := range list {
		if one.JWKSURI != "" {
			one.remote = &remoteKeys{uri: one.JWKSURI, fetch: c.fetch, now: c.now}
		}
		m[one.ID] = one
	}
	c.list.Store(&m)
}

func (c *Clients) get(id string) (*Client, bool) {
	one, ok := (*c.list.Load())[id]
	return one, ok
}

// keys are those that may have signed something with this key id. An id that is
// not known has a remote set fetched again.
func (c *Client) keys(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	set := c.JWKS
	if c.remote != nil {
		var err error
		if set, err = c.remote.get(ctx, id); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(set.Keys), func(k jose.JSONWebKey) bool {
		return id != "" && k.KeyID != id || k.Use == "enc"
	}), nil
}

// remoteKeys is the set behind a jwks_uri.
type remoteKeys struct {
	uri   string
	fetch *http.Client
	now   func() time.Time

	mu  sync.Mutex
	set *jose.JSONWebKeySet
	at  time.Time
}

// A set is good for keysLife; one that lacks a key is fetched again, but not
// within keysPause.
const (
	keysLife  = 10 * time.Minute
	keysPause = 10 * time.Second
	maxKeySet = 256 << 10
)

func (r *remoteKeys) get(ctx context.Context, id string) (*jose.JSONWebKeySet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	age := r.now().Sub(r.at)
	lacks := r.set == nil || id != "" && len(r.set.Key(id)) == 0
	if age < keysPause && r.set != nil || !lacks && age < keysLife {
		return r.set, nil
	}
	if age < keysPause {
		return nil, errors.New("the client's keys could not be fetched a moment ago")
	}
	r.at = r.now()
	set, err := fetchKeys(ctx, r.fetch, r.uri)
	if err != nil {
		if r.set != nil && age < 10*keysLife {
			return r.set, nil // its host is away
		}
		return nil, err
	}
	r.set = set
	return set, nil
}
