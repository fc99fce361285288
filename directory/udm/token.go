package udm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	// maxToken bounds an access token, in octets.
	maxToken = 8 << 10
	// fileAge is how long the token of a file is used before it is read again.
	fileAge = time.Minute
	// shownBefore is how long before its end a token is no longer shown.
	shownBefore = 10 * time.Second
)

// tokens has the access token. One caller at a time gets a new one; the others
// wait for it.
type tokens struct {
	cfg   Config
	http  *http.Client
	turn  chan struct{} // holds one: whose turn it is may change the rest
	token string
	until time.Time
}

func newTokens(cfg Config, client *http.Client) tokens {
	return tokens{cfg: cfg, http: client, turn: make(chan struct{}, 1)}
}

// get is the token to show, or none if none is configured; one that was
// refused is not given again unless there is no other.
func (t *tokens) get(ctx context.Context, refused string) (string, error) {
	if t.cfg.TokenFile == "" && t.cfg.Token == nil {
		return "", nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	now := t.cfg.Now()
	if t.token != "" && t.token != refused && now.Before(t.until) {
		return t.token, nil
	}
	token, lasts, err := t.renew(ctx)
	if err != nil {
		return "", err
	}
	t.token, t.until = token, now.Add(lasts)
	return token, nil
}

func (t *tokens) renew(ctx context.Context) (token string, lasts time.Duration, err error) {
	if t.cfg.Token == nil {
		token, err = readToken(t.cfg.TokenFile)
		return token, fileAge, err
	}
	return t.request(ctx)
}

func readToken(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if !isToken(token) {
		return "", fmt.Errorf("%s holds no access token", file)
	}
	return token, nil
}

// isToken reports whether text is a token as RFC 6750 section 2.1 has it.
func isToken(text string) bool {
	return text != "" && len(text) <= maxToken && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

// request asks the NRF (TS 29.510 clauses 5.4.2.2 and 6.3.5.2).
func (t *tokens) request(ctx context.Context) (token string, lasts time.Duration, err error) {
	form := url.Values{
		"grant_type": {"client_credentials"}, "nfInstanceId": {t.cfg.Token.NFInstanceID}, "nfType": {t.cfg.Token.NFType},
		"targetNfType": {"UDM"}, "scope": {"nudm-sdm"},
	}
	where := strings.TrimRight(t.cfg.Token.URL, "/") + "/oauth2/token"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	a, err := exchange(t.http, request)
	switch {
	case err != nil:
		return "", 0, err
	case a.status != http.StatusOK:
		return "", 0, fmt.Errorf("the NRF answers with status %d", a.status)
	}
	return decodeToken(a.body)
}

// decodeToken reads an AccessTokenRsp. Without expires_in a token is shown
// once.
func decodeToken(body []byte) (token string, lasts time.Duration, err error) {
	var kind string
	var seconds uint32
	err = eachMember(body, func(name string, value json.RawMessage) error {
		switch name {
		case "access_token":
			return json.Unmarshal(value, &token)
		case "token_type":
			return json.Unmarshal(value, &kind)
		case "expires_in":
			return json.Unmarshal(value, &seconds)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", 0, err
	case !isToken(token) || !strings.EqualFold(kind, "Bearer"):
		return "", 0, fmt.Errorf("%w: it is no bearer token", ErrMalformed)
	}
	lasts = time.Duration(seconds) * time.Second
	return token, lasts - min(shownBefore, lasts/2), nil
}

// A tokenError is about the token, not the UDM.
type tokenError struct{ error }

func (t *tokenError) Error() string { return "no access token: " + t.error.Error() }

func (t *tokenError) Unwrap() error { return t.error }

func isTokenError(err error) bool {
	_, ok := errors.AsType[*tokenError](err)
	return ok
}
