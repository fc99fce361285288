package udm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding"
)

const (
	// maxBody bounds an answer, in octets, and maxHeader its header.
	maxBody   = 64 << 10
	maxHeader = 64 << 10
	// pingAfter is how long a connection may be silent before it is asked for a
	// sign of life; without one for as long again it is given up.
	pingAfter = 10 * time.Second
	// idleTime is how long a connection without requests is kept.
	idleTime = 90 * time.Second
)

// A Client asks a UDM. Its methods may be called by anyone.
type Client struct {
	cfg    Config
	log    *slog.Logger
	root   string
	http   *http.Client
	places chan struct{} // one for each request that waits
	tokens tokens
	quiet  atomic.Int64 // unix ns: until then the UDM wants to be left alone
	counts counts
	ready  chan struct{}
}

// New makes a client. It does no I/O; Run reports a bad configuration.
func New(cfg Config, log *slog.Logger) *Client {
	cfg = cfg.withDefaults()
	c := &Client{
		cfg: cfg, log: log.With("source", "udm"), root: strings.TrimRight(cfg.URL, "/"), http: newHTTP(cfg),
		places: make(chan struct{}, max(cfg.InFlight, 1)), ready: make(chan struct{}),
	}
	c.tokens = newTokens(cfg, c.http)
	return c
}

// newHTTP speaks HTTP/2 alone: with prior knowledge where there is no TLS, else
// as ALPN agrees (TS 29.500 clause 5.2.2). It follows no redirection: a token
// is shown to nobody else.
func newHTTP(cfg Config) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		Protocols: &protocols, TLSClientConfig: cfg.TLS.Clone(), DisableCompression: true, MaxResponseHeaderBytes: maxHeader, IdleConnTimeout: idleTime,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Ready is closed when Run has begun: a UDM that is away holds nobody up.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// Run waits until ctx ends and closes the connections. An error means that the
// configuration is bad.
func (c *Client) Run(ctx context.Context) error {
	if err := c.cfg.Check(); err != nil {
		return err
	}
	close(c.ready)
	<-ctx.Done()
	c.http.CloseIdleConnections()
	return nil
}

// Name is "udm".
func (c *Client) Name() string { return "udm" }

// Resolve asks for the number of a SIM, and waits for the answer for the
// configured time. [directory.ErrUnknown] means that the UDM has no such
// subscriber, or one without a number, or with several: it would say so again.
// A [*Throttled] says when to ask again.
func (c *Client) Resolve(ctx context.Context, imsi binding.IMSI) (binding.MSISDN, error) {
	msisdn, what, err := c.resolve(ctx, imsi)
	c.counts.outcomes[what].Add(1)
	if err != nil {
		err = fmt.Errorf("udm: %w", err)
		c.log.Debug("no number", "imsi", imsi, "err", err)
	}
	return msisdn, err
}

func (c *Client) resolve(ctx context.Context, imsi binding.IMSI) (binding.MSISDN, outcome, error) {
	if wait := time.Unix(0, c.quiet.Load()).Sub(c.cfg.Now()); wait > 0 {
		return 0, outcomeThrottled, &Throttled{After: wait}
	}
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	default:
		return 0, outcomeBusy, fmt.Errorf("%d requests wait: %w", cap(c.places), binding.ErrBusy)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	a, err := c.get(ctx, imsi)
	if err != nil {
		return 0, outcomeOf(err), err
	}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		return 0, outcomeThrottled, c.throttle(a)
	}
	return a.decode(imsi)
}

// get sends the request, and once more if its token is refused and there is
// another.
func (c *Client) get(ctx context.Context, imsi binding.IMSI) (answer, error) {
	where := c.root + "/nudm-sdm/v2/imsi-" + imsi.String() + "/id-translation-result"
	token, err := c.tokens.get(ctx, "")
	if err != nil {
		return answer{}, &tokenError{err}
	}
	a, err := c.send(ctx, where, token)
	if err != nil || a.status != http.StatusUnauthorized || token == "" {
		return a, err
	}
	again, err := c.tokens.get(ctx, token)
	if err != nil {
		return answer{}, &tokenError{err}
	}
	if again == token {
		return a, nil
	}
	return c.send(ctx, where, again)
}

func (c *Client) send(ctx context.Context, where, token string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return answer{}, withoutURL(err)
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	request.Header.Set("User-Agent", "AF-simbind") // TS 29.500 clause 5.2.2.2: the NF type first
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return exchange(c.http, request)
}

// exchange sends a request and reads its answer, within bounds.
func exchange(client *http.Client, request *http.Request) (answer, error) {
	response, err := client.Do(request)
	if err != nil {
		return answer{}, withoutURL(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return answer{}, withoutURL(err)
	}
	if len(body) > maxBody {
		return answer{}, fmt.Errorf("%w: more than %d octets", ErrMalformed, maxBody)
	}
	return answer{status: response.StatusCode, retryAfter: response.Header.Get("Retry-After"), body: body}, nil
}

// withoutURL takes the URL out of an error: the IMSI is in it.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
