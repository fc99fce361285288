package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/numverify"
	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/consumer"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/resource"
	"github.com/simbind/simbind/numverify/sampleapp"
)

const (
	phone      = 3 // the subscriber whose phone uses the app
	purpose    = "dpv:FraudPreventionAndDetection"
	drainFront = 2 * time.Second
)

// A Front is a Number Verification frontend on the socket of a simbindd, a
// balancer before it that stands for the mobile network, and an app that uses
// it.
type Front struct {
	Operator *consumer.Client
	App      string       // URL of the sample app
	Stop     func() error // ends it and returns what failed
}

// A Phone is what a Front needs.
type Phone struct {
	Dir    string            // for its files
	Socket string            // of simbindd
	Addr   func() netip.Addr // of the phone that every request comes from
}

// NewFront starts one on free ports of the loopback interface.
func NewFront(ctx context.Context, p Phone, log io.Writer) (*Front, error) {
	var listeners [2]net.Listener
	for i := range listeners {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners[i] = ln
	}
	issuer, app := "http://"+listeners[0].Addr().String(), "http://"+listeners[1].Addr().String()
	cfg, key, err := frontFiles(p, issuer, app+"/callback")
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	service := numverify.New(cfg, logger)
	f := &Front{App: app, Operator: consumer.New(consumer.Config{
		Issuer: issuer, ClientID: "demo-app", RedirectURL: app + "/callback", Key: key, Purpose: purpose,
	})}
	handler, err := sampleapp.New(sampleapp.Config{Name: "Demo Bank", Base: app, Issuer: issuer, Operator: f.Operator}, logger)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g, life := errgroup.WithContext(life)
	f.Stop = func() error { cancel(); return g.Wait() }
	g.Go(func() error { return service.Run(life) })
	g.Go(func() error { return handler.Serve(life, listeners[1]) })
	select {
	case <-service.Started():
	case <-life.Done():
		return nil, f.Stop()
	}
	g.Go(func() error { return balance(life, listeners[0], service.Addrs()[0].String(), p.Addr) })
	return f, nil
}

// frontFiles writes the files of the frontend and returns the app's key.
func frontFiles(p Phone, issuer, callback string) (numverify.Config, jose.JSONWebKey, error) {
	cfg := numverify.Config{
		Issuer: issuer, Listen: []string{"127.0.0.1:0"}, Socket: p.Socket, AskTimeout: time.Second,
		ClientsFile: filepath.Join(p.Dir, "clients.json"), SigningFile: filepath.Join(p.Dir, "signing-keys.json"),
		AuditFile: filepath.Join(p.Dir, "numverify-audit.log"), AuditKey: []byte(secret), SubjectKey: []byte(secret),
		Origin:     origin.Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Header: origin.Forwarded},
		Continuity: resource.ByToken, CodeLife: time.Minute, TokenLife: 5 * time.Minute, Drain: drainFront,
	}
	signing, err := authz.NewKey()
	if err != nil {
		return cfg, jose.JSONWebKey{}, err
	}
	app, err := authz.NewKey()
	if err != nil {
		return cfg, jose.JSONWebKey{}, err
	}
	clients := map[string]any{"clients": []any{map[string]any{
		"client_id": "demo-app", "redirect_uris": []string{callback}, "jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{app.Public()}},
		"scopes": []string{authz.ScopeVerify, authz.ScopeShare}, "purposes": []string{purpose},
	}}}
	for name, v := range map[string]any{cfg.ClientsFile: clients, cfg.SigningFile: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{signing}}} {
		text, err := json.Marshal(v)
		if err != nil {
			return cfg, app, err
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return cfg, app, err
		}
	}
	return cfg, app, nil
}

// balance is the balancer: it tells numverify the address of the phone.
func balance(ctx context.Context, ln net.Listener, backend string, phone func() netip.Addr) error {
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: backend})
		r.Out.Header.Set("Forwarded", fmt.Sprintf(`for="%s:40000"`, phone()))
	}}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// verifyForApp is the whole way of an app: the phone at /authorize, the backend
// at /token, and one call.
func (d *demo) verifyForApp(ctx context.Context) error {
	var err error
	p := Phone{Dir: d.site.dir, Socket: d.site.socket(), Addr: func() netip.Addr { return address(phone) }}
	if d.front, err = NewFront(ctx, p, d.log); err != nil {
		return err
	}
	for _, claimed := range []int{phone, phone + 1} {
		grant, took, err := d.front.Authorize(ctx, consumer.ScopeVerify)
		if err != nil {
			return err
		}
		yes, err := d.front.Operator.Verify(ctx, grant, "+"+msisdn(claimed))
		if err != nil {
			return err
		}
		d.line("POST /verify", "+%s: %v (authorized in %v)", msisdn(claimed), yes, took.Round(100*time.Microsecond))
		if yes != (claimed == phone) {
			return fmt.Errorf("the answer must be %v", !yes)
		}
	}
	grant, _, err := d.front.Authorize(ctx, consumer.ScopeShare)
	if err != nil {
		return err
	}
	number, err := d.front.Operator.PhoneNumber(ctx, grant)
	if err != nil {
		return err
	}
	d.line("GET /device-phone-number", "%s", number)
	if number != "+"+msisdn(phone) {
		return fmt.Errorf("it must be +%s", msisdn(phone))
	}
	return nil
}

// Authorize sends the phone to the operator and exchanges the code that it comes
// back with. It tells how long that took.
func (f *Front) Authorize(ctx context.Context, scope string) (consumer.Grant, time.Duration, error) {
	began := time.Now()
	attempt, err := f.Operator.Start(ctx, scope)
	if err != nil {
		return consumer.Grant{}, 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, attempt.URL, nil)
	if err != nil {
		return consumer.Grant{}, 0, err
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Do(r)
	if err != nil {
		return consumer.Grant{}, 0, err
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		return consumer.Grant{}, 0, fmt.Errorf("/authorize answered %s: %w", resp.Status, err)
	}
	grant, err := f.Operator.Finish(ctx, attempt, back.Query())
	return grant, time.Since(began), err
}
