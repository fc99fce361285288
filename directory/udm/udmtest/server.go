package udmtest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options of a Server. Zero values mean the defaults.
type Options struct {
	// TLS holds the certificate; nil: HTTP/2 in cleartext.
	TLS *tls.Config
	// Answer takes every request for a number in place of [Server.Answer].
	Answer func(s *Server, w http.ResponseWriter, r *http.Request)
	// Token must be shown, unless it is empty. The NRF gives "<Token>-<n>", n
	// counting up, of which only the latest is good.
	Token string
	// TokenLasts is expires_in of what the NRF gives, an hour by default.
	TokenLasts time.Duration
}

// A Server is a UDM with its NRF. Its methods are for any goroutine.
type Server struct {
	options  Options
	listener net.Listener
	server   *http.Server

	mu          sync.Mutex
	numbers     map[string]string // by IMSI; empty: a subscriber without one
	requests    []*http.Request
	tokens      int
	connections int
	served      sync.WaitGroup
}

// Listen serves on an address of TCP, such as 127.0.0.1:0, until Close. It
// takes nothing but HTTP/2.
func Listen(addr string, o Options) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, listener: l, numbers: map[string]string{}}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Handler: s, TLSConfig: o.TLS, Protocols: &protocols, ReadHeaderTimeout: 10 * time.Second, ConnState: s.connected}
	s.served.Go(func() {
		if o.TLS != nil {
			s.server.ServeTLS(l, "", "")
		} else {
			s.server.Serve(l)
		}
	})
	return s, nil
}

// URL is the apiRoot.
func (s *Server) URL() string {
	if s.options.TLS != nil {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// Close closes the listener and every connection.
func (s *Server) Close() {
	s.server.Close()
	s.served.Wait()
}

// Set gives a SIM its number, as digits; empty: it has none.
func (s *Server) Set(imsi, msisdn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers[imsi] = msisdn
}

// Requests are those for a number that came, in their order.
func (s *Server) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// Tokens is how many the NRF gave, Connections how many were made.
func (s *Server) Tokens() int { return s.read(&s.tokens) }

// Connections is how many were made.
func (s *Server) Connections() int { return s.read(&s.connections) }

// Revoke makes the latest token a bad one.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens++
}

func (s *Server) read(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *n
}

func (s *Server) connected(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.connections++
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 {
		Problem(w, http.StatusHTTPVersionNotSupported, "")
		return
	}
	if r.URL.Path == "/oauth2/token" {
		s.token(w, r)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	good := "Bearer " + s.latest()
	s.mu.Unlock()
	switch {
	case s.options.Token != "" && r.Header.Get("Authorization") != good:
		Problem(w, http.StatusUnauthorized, "")
	case s.options.Answer != nil:
		s.options.Answer(s, w, r)
	default:
		s.Answer(w, r)
	}
}

// latest is the good token; the caller holds the mutex.
func (s *Server) latest() string { return fmt.Sprintf("%s-%d", s.options.Token, s.tokens) }

// token is that of the NRF (TS 29.510 clause 6.3.5.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	for key, want := range map[string]string{"grant_type": "client_credentials", "targetNfType": "UDM", "scope": "nudm-sdm"} {
		if r.PostFormValue(key) != want {
			Problem(w, http.StatusBadRequest, "")
			return
		}
	}
	lasts := s.options.TokenLasts
	if lasts == 0 {
		lasts = time.Hour
	}
	s.mu.Lock()
	s.tokens++
	body := map[string]any{"access_token": s.latest(), "token_type": "Bearer", "expires_in": int(lasts.Seconds()), "scope": "nudm-sdm"}
	s.mu.Unlock()
	reply(w, http.StatusOK, "application/json", body)
}

// Answer answers with what the UDM knows.
func (s *Server) Answer(w http.ResponseWriter, r *http.Request) {
	const before, after = "/nudm-sdm/v2/imsi-", "/id-translation-result"
	imsi, ok := strings.CutPrefix(r.URL.Path, before)
	imsi, end := strings.CutSuffix(imsi, after)
	s.mu.Lock()
	number, known := s.numbers[imsi]
	s.mu.Unlock()
	switch {
	case !ok || !end || r.Method != http.MethodGet:
		Problem(w, http.StatusNotFound, "")
	case !known:
		Problem(w, http.StatusNotFound, "USER_NOT_FOUND")
	case number == "":
		reply(w, http.StatusOK, "application/json", map[string]any{"supi": "imsi-" + imsi})
	default:
		reply(w, http.StatusOK, "application/json", map[string]any{"supi": "imsi-" + imsi, "gpsi": "msisdn-" + number})
	}
}

// Problem answers with ProblemDetails (TS 29.571 clause 5.2.4.1).
func Problem(w http.ResponseWriter, status int, cause string) {
	body := map[string]any{"status": status}
	if cause != "" {
		body["cause"] = cause
	}
	reply(w, status, "application/problem+json", body)
}

func reply(w http.ResponseWriter, status int, kind string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // it is our own map
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(text)
}
