package consumer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// The scopes of the API: each token serves one call of the endpoint that its
// scope names.
const (
	ScopeVerify = "number-verification:verify"
	ScopeShare  = "number-verification:device-phone-number:read"
)

// Config of a Client.
type Config struct {
	// Issuer is the operator's authorization server.
	Issuer string
	// API is the base of the resource API; Issuer + "/number-verification/v2"
	// if empty.
	API string
	// ClientID, RedirectURL and the public half of Key are registered at the
	// operator. Key is a private EC or RSA key with its key id.
	ClientID    string
	RedirectURL string
	Key         jose.JSONWebKey
	// Purpose is what the number is processed for, a W3C DPV purpose as
	// "dpv:FraudPreventionAndDetection".
	Purpose string
	// HTTP is used for all calls; a client with a time limit of 10 s if nil.
	HTTP *http.Client
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// A Client speaks to one operator. Any number of goroutines may use it.
type Client struct {
	cfg Config
	api string

	mu       sync.Mutex
	provider *oidc.Provider // nil until the operator was reached once
}

// New makes a Client. It does no I/O.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	api := cfg.API
	if api == "" {
		api = strings.TrimSuffix(cfg.Issuer, "/") + "/number-verification/v2"
	}
	return &Client{cfg: cfg, api: api}
}

// An Attempt is one authorization that was begun. It belongs to the browser
// that is sent to URL and must be kept where only that browser's session
// reaches it.
type Attempt struct {
	URL      string
	Scope    string
	state    string
	nonce    string
	verifier string
}

// State is the value by which the redirect back is found again.
func (a Attempt) State() string { return a.state }

// A Grant is an access token that is good for one call.
type Grant struct {
	Scope string
	// Subject is the pairwise name of the subscriber. It is not the number.
	Subject string
	token   string
}

// Start begins an authorization for one scope. It asks for the operator's
// discovery document the first time.
func (c *Client) Start(ctx context.Context, scope string) (Attempt, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return Attempt{}, err
	}
	a := Attempt{Scope: scope, state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	a.URL = c.oauth(p, scope).AuthCodeURL(a.state,
		oauth2.S256ChallengeOption(a.verifier), oidc.Nonce(a.nonce), oauth2.SetAuthURLParam("prompt", "none"))
	return a, nil
}

// An AuthError is the operator's refusal to authorize: Code is that of RFC 6749
// section 4.1.2.1 or of OpenID Connect.
type AuthError struct{ Code, Description string }

func (e *AuthError) Error() string {
	if e.Description == "" {
		return "not authorized: " + e.Code
	}
	return "not authorized: " + e.Code + ": " + e.Description
}

// Finish takes what came back to RedirectURL and exchanges the code. A refusal
// of the operator is an *AuthError.
func (c *Client) Finish(ctx context.Context, a Attempt, back url.Values) (Grant, error) {
	if a.state == "" || subtle.ConstantTimeCompare([]byte(back.Get("state")), []byte(a.state)) != 1 {
		return Grant{}, errors.New("the redirect does not belong to this attempt")
	}
	if code := back.Get("error"); code != "" {
		return Grant{}, &AuthError{Code: code, Description: back.Get("error_description")}
	}
	p, err := c.discover(ctx)
	if err != nil {
		return Grant{}, err
	}
	assertion, err := c.assertion(p.Endpoint().TokenURL)
	if err != nil {
		return Grant{}, err
	}
	token, err := c.oauth(p, a.Scope).Exchange(c.with(ctx), back.Get("code"), oauth2.VerifierOption(a.verifier),
		oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
		oauth2.SetAuthURLParam("client_assertion", assertion))
	if err != nil {
		return Grant{}, fmt.Errorf("exchange the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: c.cfg.ClientID, Now: c.cfg.Now}).Verify(c.with(ctx), raw)
	if err != nil {
		return Grant{}, fmt.Errorf("id_token: %w", err)
	}
	if id.Nonce != a.nonce {
		return Grant{}, errors.New("id_token: it belongs to another attempt")
	}
	return Grant{Scope: a.Scope, Subject: id.Subject, token: token.AccessToken}, nil
}

func (c *Client) discover(ctx context.Context) (*oidc.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider != nil {
		return c.provider, nil
	}
	// The provider keeps its context for fetching keys later.
	p, err := oidc.NewProvider(c.with(context.WithoutCancel(ctx)), c.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	c.provider = p
	return p, nil
}

func (c *Client) with(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, c.cfg.HTTP)
}

func (c *Client) oauth(p *oidc.Provider, scope string) *oauth2.Config {
	endpoint := p.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams // the client has no secret to show
	return &oauth2.Config{
		ClientID: c.cfg.ClientID, Endpoint: endpoint, RedirectURL: c.cfg.RedirectURL,
		Scopes: []string{oidc.ScopeOpenID, c.cfg.Purpose, scope},
	}
}
