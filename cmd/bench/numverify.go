package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/numverify"
	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/consumer"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/resource"
)

const (
	appWorkers  = 8
	appFlows    = 500 // each a code, a token and a call
	appRedirect = "http://127.0.0.1/back"
)

// runNumverify goes through the whole flow of number verification, and then
// uses all tokens at once; beside it, the same client calls a handler that
// returns a constant. Client, service and handler share this process.
func runNumverify(ctx context.Context, s *stage) ([]result, error) {
	t, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	f, err := newFrontend(s, t.socket)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- f.service.Run(ctx) }()
	list, err := f.measure(ctx, s, ended)
	stop()
	if failed := <-ended; err == nil {
		err = failed
	}
	return list, err
}

// A frontend is the service with one client.
type frontend struct {
	service *numverify.Service
	http    *http.Client
	app     *consumer.Client
}

func newFrontend(s *stage, socket string) (*frontend, error) {
	address, err := freeTCP()
	if err != nil {
		return nil, err
	}
	app, err1 := authz.NewKey()
	signing, err2 := authz.NewKey()
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("keys: %v, %v", err1, err2)
	}
	cfg := numverify.Config{
		Issuer: "http://" + address, Listen: []string{address}, Socket: socket, AskTimeout: time.Second,
		Origin:     origin.Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Header: origin.XForwardedFor},
		SubjectKey: []byte(rand.Text() + rand.Text()), Continuity: resource.ByToken,
		CodeLife: time.Minute, TokenLife: 5 * time.Minute, Drain: time.Second,
		ClientsFile: filepath.Join(s.dir, "clients.json"), SigningFile: filepath.Join(s.dir, "signing.json"),
	}
	clients := map[string]any{"clients": []any{map[string]any{
		"client_id": "bench", "redirect_uris": []string{appRedirect}, "jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{app.Public()}},
		"scopes": []string{consumer.ScopeVerify}, "purposes": []string{"dpv:FraudPreventionAndDetection"},
	}}}
	for name, v := range map[string]any{cfg.ClientsFile: clients, cfg.SigningFile: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{signing}}} {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(name, text, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	f := &frontend{service: numverify.New(cfg, slog.New(slog.DiscardHandler)), http: &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * appWorkers},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	f.app = consumer.New(consumer.Config{
		Issuer: cfg.Issuer, ClientID: "bench", RedirectURL: appRedirect, Key: app, Purpose: "dpv:FraudPreventionAndDetection", HTTP: f.http,
	})
	return f, nil
}

func (f *frontend) measure(ctx context.Context, s *stage, ended <-chan error) ([]result, error) {
	select {
	case <-f.service.Started():
	case err := <-ended:
		return nil, fmt.Errorf("numverify ended: %w", err)
	}
	constant, stop, err := serveConstant()
	if err != nil {
		return nil, err
	}
	defer stop()
	n := s.scale(appFlows)
	var rates, peers, tails, whole []float64
	for range s.rounds {
		grants := make([]consumer.Grant, n)
		flows, err := inParallel(ctx, n, func(i int) (err error) { grants[i], err = f.authorize(ctx, i%s.sessions); return err })
		if err != nil {
			return nil, err
		}
		calls, err := inParallel(ctx, n, func(i int) error { return f.verify(ctx, grants[i], i%s.sessions) })
		if err != nil {
			return nil, err
		}
		plain, err := inParallel(ctx, n, func(int) error { return f.post(ctx, constant) })
		if err != nil {
			return nil, err
		}
		rates, peers = append(rates, calls.rate(n)), append(peers, plain.rate(n))
		tails, whole = append(tails, calls.quantile(0.99)), append(whole, flows.quantile(0.5)+calls.quantile(0.5))
	}
	return []result{
		versus("POST /verify, 8 clients, each with a fresh token", "/s", rates, "net/http constant", peers, nil),
		figure("POST /verify, 8 clients, p99", "s", tails, nil),
		figure("code, token and /verify, 8 clients, p50 with the client's own work", "s", whole, nil),
	}, nil
}

// authorize is a subscriber's phone and the app's backend up to the token.
func (f *frontend) authorize(ctx context.Context, n int) (consumer.Grant, error) {
	attempt, err := f.app.Start(ctx, consumer.ScopeVerify)
	if err != nil {
		return consumer.Grant{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, attempt.URL, nil)
	if err != nil {
		return consumer.Grant{}, err
	}
	r.Header.Set("X-Forwarded-For", residents().addr(uint64(n)).String())
	resp, err := f.http.Do(r)
	if err != nil {
		return consumer.Grant{}, err
	}
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return consumer.Grant{}, err
	}
	return f.app.Finish(ctx, attempt, back.Query())
}

func (f *frontend) verify(ctx context.Context, g consumer.Grant, n int) error {
	yes, err := f.app.Verify(ctx, g, residents().number(uint64(n)))
	if err == nil && !yes {
		err = fmt.Errorf("subscriber %d is not recognised", n)
	}
	return err
}

func (f *frontend) post(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"phoneNumber":"+491700000001"}`))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := f.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func serveConstant() (address string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"devicePhoneNumberVerified":true}`) // who is gone needs no answer
	})}
	go func() { _ = server.Serve(ln) }() // it ends with stop
	return "http://" + ln.Addr().String() + "/", func() { server.Close() }, nil
}

// A lapse is how long all took together, and each.
type lapse struct {
	histogram
	all time.Duration
}

func (l *lapse) rate(n int) float64 { return float64(n) / l.all.Seconds() }

// inParallel does n things, so many at a time as there are workers.
func inParallel(ctx context.Context, n int, do func(i int) error) (*lapse, error) {
	tasks, ctx := errgroup.WithContext(ctx)
	parts, began := make([]histogram, appWorkers), time.Now()
	for worker := range appWorkers {
		tasks.Go(func() error {
			for i := worker; i < n && ctx.Err() == nil; i += appWorkers {
				start := time.Now()
				if err := do(i); err != nil {
					return err
				}
				parts[worker].add(time.Since(start))
			}
			return nil
		})
	}
	err := tasks.Wait()
	l := &lapse{all: time.Since(began)}
	for i := range parts {
		l.merge(&parts[i])
	}
	return l, err
}
