package consumer

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// assertionLife is well below the 300 s that the profile allows.
const assertionLife = time.Minute

// assertion proves who the client is to one endpoint (private_key_jwt, RFC 7523
// section 3). Each is good for one request.
func (c *Client) assertion(audience string) (string, error) {
	alg := jose.SignatureAlgorithm(c.cfg.Key.Algorithm)
	if alg == "" {
		alg = jose.ES256
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: c.cfg.Key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("client key: %w", err)
	}
	now := c.cfg.Now()
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: c.cfg.ClientID, Subject: c.cfg.ClientID, Audience: jwt.Audience{audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("client assertion: %w", err)
	}
	return text, nil
}
