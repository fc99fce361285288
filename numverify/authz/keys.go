package authz

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
)

// Keys are the keys that sign ID tokens: the first signs, all are published, so
// that what an earlier one signed can still be checked. Any goroutine may use
// it.
type Keys struct {
	set atomic.Pointer[jose.JSONWebKeySet]
}

// NewKey makes a key for a set: ES256, its id from its thumbprint.
func NewKey() (jose.JSONWebKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	return jose.JSONWebKey{Key: private, KeyID: rand.Text()[:12], Algorithm: string(jose.ES256), Use: "sig"}, nil
}

// Set reads a JWK set of private keys and puts it in force.
func (k *Keys) Set(text []byte) error {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	if len(set.Keys) == 0 {
		return errors.New("signing keys: there is none")
	}
	for _, key := range set.Keys {
		_, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
		if err != nil || key.IsPublic() || key.KeyID == "" || !allowed(jose.SignatureAlgorithm(key.Algorithm)) {
			return fmt.Errorf("signing key %q is not a private key with kid and alg ES256, PS256 or RS256", key.KeyID)
		}
	}
	k.set.Store(&set)
	return nil
}

func (k *Keys) signing() jose.JSONWebKey { return k.set.Load().Keys[0] }

func (k *Keys) public() jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, key := range k.set.Load().Keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	s.json(w, http.StatusOK, s.keys.public())
}

func fetchKeys(ctx context.Context, c *http.Client, uri string) (*jose.JSONWebKeySet, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", uri, resp.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("%s: %w", uri, err)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() {
			return nil, fmt.Errorf("%s: key %q is not public", uri, k.KeyID)
		}
	}
	return &set, nil
}
