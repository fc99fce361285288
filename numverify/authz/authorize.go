package authz

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/simbind/simbind/numverify/network"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/state"
)

// A grant is what a code stands for.
type grant struct {
	Access
	RedirectURI string    `json:"redirect_uri"`
	Challenge   string    `json:"challenge,omitempty"`
	Nonce       string    `json:"nonce,omitempty"`
	OpenID      bool      `json:"openid"`
	At          time.Time `json:"at"`
}

// authorize answers the device itself: whose connection is this one?
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.refusePage(w, http.StatusBadRequest, "the request cannot be read")
		return
	}
	q := r.URL.Query()
	if r.Method == http.MethodPost {
		q = r.PostForm
	}
	from, unclear := s.cfg.Origin.Of(r)
	if !s.cfg.Allow(q.Get("client_id"), from) {
		w.Header().Set("Retry-After", "1")
		s.refusePage(w, http.StatusTooManyRequests, "too many requests")
		return
	}
	req, err := s.read(r.Context(), q)
	if req == nil {
		f := asFault(err)
		s.audit("authorize", &request{client: &Client{}}, f, network.SIM{}, from)
		s.refusePage(w, http.StatusBadRequest, f.description)
		return
	}
	var sim network.SIM
	if err == nil && unclear != nil {
		err = &fault{accessDenied, "the network does not recognise the connection that this request came over", unclear}
	}
	if err == nil {
		sim, err = s.recognise(r.Context(), req, from)
	}
	var code string
	if err == nil {
		code, err = s.cfg.State.Put(r.Context(), state.Code, grant{
			Access:      Access{Client: req.client.ID, Scope: req.scope, Purpose: req.purpose, SIM: sim, From: from, AMR: []string{"nba"}},
			RedirectURI: req.redirectURI, Challenge: req.challenge, Nonce: req.nonce, OpenID: req.openID, At: s.cfg.Now(),
		}, s.cfg.CodeLife)
	}
	back := url.Values{"iss": {s.cfg.Issuer}} // RFC 9207
	if err != nil {
		f := asFault(err)
		s.audit("authorize", req, f, sim, from)
		back.Set("error", f.code)
		back.Set("error_description", f.description)
	} else {
		s.audit("authorize", req, nil, sim, from)
		back.Set("code", code)
	}
	s.redirect(w, r, req, back)
}

// recognise asks the network, and for consent where it is needed.
func (s *Server) recognise(ctx context.Context, req *request, from origin.Client) (network.SIM, error) {
	sim, err := s.cfg.Holder(ctx, from)
	if err != nil || !req.client.Consent {
		return sim, err
	}
	if s.cfg.Consent == nil {
		return sim, faultf(consentRequired, "consent is needed, and this server knows of none")
	}
	given, err := s.cfg.Consent(ctx, ConsentQuestion{Client: req.client.ID, Purpose: req.purpose, Scope: req.scope, MSISDN: sim.MSISDN})
	switch {
	case err != nil:
		return sim, &fault{notAvailable, "it cannot be said whether there is consent", err}
	case !given:
		return sim, faultf(consentRequired, "the subscriber has not consented to this purpose")
	}
	return sim, nil
}

func (s *Server) redirect(w http.ResponseWriter, r *http.Request, req *request, back url.Values) {
	if req.state != "" {
		back.Set("state", req.state)
	}
	u, err := url.Parse(req.redirectURI)
	if err != nil {
		s.refusePage(w, http.StatusBadRequest, "redirect_uri cannot be read")
		return
	}
	q := u.Query()
	for name, values := range back {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusFound)
}

// audit tells of a decision.
func (s *Server) audit(endpoint string, req *request, f *fault, sim network.SIM, from origin.Client) {
	d := Decision{Endpoint: endpoint, Client: req.client.ID, Purpose: req.purpose, Outcome: "ok", SIM: sim, From: from}
	if f != nil {
		d.Outcome, d.Detail = f.code, f.description
		if f.cause != nil {
			s.log.Debug("refused", "endpoint", endpoint, "client", req.client.ID, "code", f.code, "err", f.cause)
		}
	}
	s.cfg.Audit(d)
}

var page = template.Must(template.New("refused").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Not possible</title></head>
<body><main><h1>This request cannot be answered</h1><p>{{.}}.</p><p>It is a fault of the app or site that sent you here. Nothing was told to it.</p></main></body></html>
`))

// refusePage tells the person, since nobody who can be trusted is there to be
// redirected to.
func (s *Server) refusePage(w http.ResponseWriter, status int, why string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := page.Execute(w, why); err != nil {
		s.log.Debug("answer not written", "err", err)
	}
}
