package authz

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The algorithms by which clients may sign. What a token says of itself counts
// only within this list and the key's own.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.RS256}

func allowed(alg jose.SignatureAlgorithm) bool { return slices.Contains(algorithms, alg) }

const (
	// maxAssertion is how long an assertion or request object may be good for,
	// and from now on.
	maxAssertion = 300 * time.Second
	// skew is how far ahead a client's clock may be.
	skew = 10 * time.Second
	// maxJWT bounds the text of one.
	maxJWT = 16 << 10
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticate finds the client of a backend's request by its assertion
// (private_key_jwt, OpenID Connect Core section 9).
func (s *Server) authenticate(r *http.Request, endpoint string) (*Client, error) {
	text := r.PostForm.Get("client_assertion")
	if r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") || text == "" ||
		r.PostForm.Get("client_assertion_type") != assertionType {
		return nil, faultf(invalidClient, "authenticate with client_assertion (private_key_jwt); nothing else is accepted")
	}
	var claims jwt.Claims
	c, err := s.verify(r.Context(), text, r.PostForm.Get("client_id"), &claims)
	if err != nil {
		return nil, &fault{invalidClient, "the assertion is not one of a known client: " + err.Error(), err}
	}
	if claims.Subject != c.ID {
		return nil, faultf(invalidClient, "iss and sub of the assertion must both be the client_id")
	}
	if err := s.timely(r.Context(), c, &claims, false, s.cfg.Issuer, s.cfg.Issuer+endpoint); err != nil {
		var f *fault
		if errors.As(err, &f) {
			return nil, err
		}
		return nil, &fault{invalidClient, err.Error(), err}
	}
	return c, nil
}

// verify checks the signature of a JWT that a client issued, and reads its
// claims into each of into after claims. The client is the one that it names
// itself, which must be expected unless that is empty.
func (s *Server) verify(ctx context.Context, text, expected string, claims *jwt.Claims, into ...any) (*Client, error) {
	if len(text) > maxJWT {
		return nil, errors.New("it is too large")
	}
	token, err := jwt.ParseSigned(text, algorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, errors.New("it is not a JWT signed with ES256, PS256 or RS256")
	}
	if err := token.UnsafeClaimsWithoutVerification(claims); err != nil {
		return nil, errors.New("its claims cannot be read")
	}
	c, ok := s.clients.get(claims.Issuer)
	if !ok || expected != "" && expected != c.ID {
		return nil, errors.New("its iss is no client, or another one than client_id")
	}
	header := token.Headers[0]
	keys, err := c.keys(ctx, header.KeyID)
	if err != nil {
		return nil, &fault{invalidClient, "the client's keys cannot be fetched", err}
	}
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		if token.Claims(k.Key, append([]any{claims}, into...)...) == nil {
			return c, nil
		}
	}
	return nil, errors.New("no key of the client fits its signature")
}

// timely checks times, audience and that the JWT was not seen before. With
// dated, iat is needed.
func (s *Server) timely(ctx context.Context, c *Client, claims *jwt.Claims, dated bool, audiences ...string) error {
	now := s.cfg.Now()
	switch {
	case claims.Expiry == nil || claims.ID == "" || len(claims.ID) > 256:
		return errors.New("exp and jti are needed")
	case !now.Before(claims.Expiry.Time()):
		return errors.New("it has expired")
	case claims.Expiry.Time().Sub(now) > maxAssertion:
		return errors.New("exp is more than 300 s ahead")
	case dated && claims.IssuedAt == nil:
		return errors.New("iat is needed")
	case claims.IssuedAt != nil && claims.IssuedAt.Time().Sub(now) > skew:
		return errors.New("iat is in the future")
	case claims.IssuedAt != nil && claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > maxAssertion:
		return errors.New("it is good for more than 300 s")
	case claims.NotBefore != nil && claims.NotBefore.Time().Sub(now) > skew:
		return errors.New("nbf is in the future")
	case !slices.ContainsFunc(audiences, claims.Audience.Contains):
		return errors.New("aud is not this server")
	}
	first, err := s.cfg.State.First(ctx, c.ID, claims.ID, claims.Expiry.Time().Add(skew))
	switch {
	case err != nil:
		return &fault{serverError, "the request could not be completed", err}
	case !first:
		return errors.New("its jti was used before")
	}
	return nil
}
