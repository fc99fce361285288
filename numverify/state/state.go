package state

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Kind separates what is kept.
type Kind string

// The kinds.
const (
	Code    Kind = "code"    // authorization codes
	Token   Kind = "token"   // access tokens
	Pushed  Kind = "pushed"  // pushed authorization requests
	Replays Kind = "replays" // ids of assertions and request objects
)

var (
	// ErrGone: there is nothing under this secret (any more). Nobody else will
	// get it either.
	ErrGone = errors.New("unknown, expired or already used")
	// ErrFull: the store has no room; nothing old was dropped for it.
	ErrFull = errors.New("too much is kept already")
)

// A backend keeps sealed values under hashes. Every method may be called by any
// goroutine, may block on the network until ctx ends, and treats what has
// expired as not there.
type backend interface {
	// add keeps a value unless the key is taken; false if it is.
	add(ctx context.Context, k Kind, key string, value []byte, expires time.Time) (bool, error)
	// take gives the value to exactly one caller and forgets it; others get
	// ErrGone.
	take(ctx context.Context, k Kind, key string) ([]byte, error)
}

// A Store keeps values that are good once. Any goroutine may use it.
type Store struct {
	backend backend
	now     func() time.Time
}

// Put keeps v, which must be encodable as JSON, under a fresh secret of 256 bits
// for so long, and returns the secret.
func (s *Store) Put(ctx context.Context, k Kind, v any, life time.Duration) (secret string, err error) {
	secret = rand.Text() + rand.Text()
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", k, err)
	}
	sealed, err := seal(secret, text)
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", k, err)
	}
	ok, err := s.backend.add(ctx, k, keyOf(k, secret), sealed, s.now().Add(life))
	if err == nil && !ok {
		err = errors.New("the same secret twice")
	}
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", k, err)
	}
	return secret, nil
}

// Take gives what was kept under the secret to exactly one caller, into v. The
// others get ErrGone.
func (s *Store) Take(ctx context.Context, k Kind, secret string, v any) error {
	sealed, err := s.backend.take(ctx, k, keyOf(k, secret))
	if err != nil {
		return err
	}
	text, err := open(secret, sealed)
	if err != nil {
		return fmt.Errorf("take %s: %w", k, err)
	}
	return json.Unmarshal(text, v)
}

// First reports whether an id of somebody is seen for the first time within its
// life. Of many who ask at once one is first.
func (s *Store) First(ctx context.Context, who, id string, expires time.Time) (bool, error) {
	return s.backend.add(ctx, Replays, keyOf(Replays, who+"\x00"+id), nil, expires)
}

func keyOf(k Kind, secret string) string {
	sum := sha256.Sum256([]byte("simbind key " + string(k) + " " + secret))
	return hex.EncodeToString(sum[:])
}

// sealer is made from the secret alone. A secret seals one value, so the nonce
// can be fixed.
func sealer(secret string) (cipher.AEAD, error) {
	key := sha256.Sum256([]byte("simbind seal " + secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func seal(secret string, text []byte) ([]byte, error) {
	aead, err := sealer(secret)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, make([]byte, aead.NonceSize()), text, nil), nil
}

func open(secret string, sealed []byte) ([]byte, error) {
	aead, err := sealer(secret)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, make([]byte, aead.NonceSize()), sealed, nil)
}
