package sampleapp

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/simbind/simbind/numverify/consumer"
)

// Config of the app.
type Config struct {
	// Name is shown to people as who asks.
	Name string
	// Base is the URL under which browsers and phones reach the app; the
	// operator's redirects come to Base + "/callback".
	Base string
	// Operator is the app's way to the operator.
	Operator *consumer.Client
	// Issuer is the operator's origin: pages may send their forms on to it.
	Issuer string
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

//go:embed pages
var files embed.FS

// An App is an http.Handler.
type App struct {
	cfg   Config
	base  *url.URL
	log   *slog.Logger
	flows *flows
	pages *template.Template
	mux   http.Handler
}

// New makes the app. It does no I/O.
func New(cfg Config, log *slog.Logger) (*App, error) {
	base, err := url.Parse(cfg.Base)
	if err != nil || base.Host == "" || base.Path != "" {
		return nil, fmt.Errorf("base %q is not a URL like https://app.example", cfg.Base)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pages, err := template.ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, base: base, log: log, flows: newFlows(cfg.Now), pages: pages}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { a.show(w, http.StatusOK, "home.html", nil) })
	mux.HandleFunc("POST /start", a.start)
	mux.HandleFunc("GET /desktop", a.desktop)
	mux.HandleFunc("GET /desktop/events", a.events)
	mux.HandleFunc("GET /p/{link}", a.phone)
	mux.HandleFunc("POST /p/{link}", a.goOn)
	mux.HandleFunc("GET /callback", a.callback)
	for _, name := range []string{"style.css", "desktop.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "pages/"+name) })
	}
	a.mux = http.NewCrossOriginProtection().Handler(mux)
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; "+
		"frame-ancestors 'none'; form-action 'self' "+a.cfg.Issuer)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	a.mux.ServeHTTP(w, r)
}

// Serve answers on ln until ctx ends.
func (a *App) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: a, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the event streams
		ErrorLog:    slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(drain) != nil {
			server.Close()
		}
	})
	defer stop()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (a *App) show(w http.ResponseWriter, status int, page string, data map[string]any) {
	if data == nil {
		data = map[string]any{}
	}
	data["App"] = a.cfg.Name
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := a.pages.ExecuteTemplate(w, page, data); err != nil {
		a.log.Debug("page not written", "page", page, "err", err)
	}
}

func (a *App) fail(w http.ResponseWriter, status int, err error) {
	a.show(w, status, "result.html", map[string]any{"Outcome": outcome{Title: "That did not work", Text: err.Error()}})
}

// Names of cookies: of the browser that began a flow, and of the one that was
// sent to the operator.
const (
	browserCookie = "flow"
	phoneCookie   = "phone"
)

func (a *App) setCookie(w http.ResponseWriter, name, value string) {
	secure := a.base.Scheme == "https"
	http.SetCookie(w, &http.Cookie{
		Name: a.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
		MaxAge: int((2 * flowLife).Seconds()),
	})
}

// cookieName: a browser lets nobody but this very host set a __Host- cookie.
func (a *App) cookieName(name string) string {
	if a.base.Scheme == "https" {
		return "__Host-" + name
	}
	return name
}

func (a *App) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(a.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}
