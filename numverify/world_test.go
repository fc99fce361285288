package numverify_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
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
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/journal"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/numverify"
	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/consumer/operatortest"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/resource"
)

const (
	phone    = "10.45.0.7" // holds number
	number   = "+447700900001"
	other    = "10.45.0.8" // holds another
	imsi     = "001010000000001"
	stranger = "10.45.0.99" // holds nothing
	balancer = "127.0.0.1"  // is believed
	callback = "https://bank.example/callback"
	purpose  = "dpv:FraudPreventionAndDetection"
	verify   = "number-verification:verify"
	share    = "number-verification:device-phone-number:read"
)

// A network is a Registry behind a real socket.
type simNetwork struct {
	t        *testing.T
	registry *registry.Registry
	socket   string
	stop     func() // of the socket
	sessions int
}

func newNetwork(t *testing.T) *simNetwork {
	dir, err := os.MkdirTemp("", "nv") // short, as the paths of sockets are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	quiet := slog.New(slog.DiscardHandler)
	store, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	registry, err := registry.New(registry.Config{Site: "lab", Capacity: 1000}, store, quiet)
	if err != nil {
		t.Fatal(err)
	}
	n := &simNetwork{t: t, registry: registry, socket: filepath.Join(dir, "s")}
	running(t, "registry", registry.Run)
	within(t, "the registry", registry.Ready())
	n.answer()
	n.bind(phone, number, imsi)
	n.bind(other, "+447700900002", "001010000000002")
	return n
}

// answer opens the socket.
func (n *simNetwork) answer() {
	server := query.NewServer(query.Config{Socket: n.socket}, n.registry, slog.New(slog.DiscardHandler))
	n.stop = running(n.t, "query", server.Run)
	within(n.t, "the socket", server.Ready())
}

// running starts a part and stops it at the end of the test, or before.
func running(t *testing.T, name string, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s is not there", what)
	}
}

type acked chan error

func (a acked) Acknowledge(_ uint64, err error) { a <- err }

func (n *simNetwork) submit(e binding.Event) {
	n.t.Helper()
	done := make(acked, 1)
	if e.Source == 0 {
		e.Source = binding.SourceGx
	}
	e.Link, e.Arrived, e.Ack = 1, time.Now(), done
	if e.Node == "" {
		e.Node = "pgw.lab"
	}
	if err := n.registry.Submit(e); err != nil {
		n.t.Fatal(err)
	}
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

// bind has a new session of the one node hold the address.
func (n *simNetwork) bind(addr, msisdn, imsi string) {
	n.t.Helper()
	n.sessions++
	a, err := binding.IPv4(netip.MustParseAddr(addr))
	if err != nil {
		n.t.Fatal(err)
	}
	m, err := binding.ParseMSISDN(strings.TrimPrefix(msisdn, "+"))
	if err != nil {
		n.t.Fatal(err)
	}
	i, err := binding.ParseIMSI(imsi)
	if err != nil {
		n.t.Fatal(err)
	}
	n.submit(binding.Event{Kind: binding.SessionStart, Session: fmt.Sprint(n.sessions), MSISDN: m, IMSI: i, Addrs: []binding.Address{a}})
}

// unbind ends the session that was bound as the nth, from one.
func (n *simNetwork) unbind(nth int) {
	n.t.Helper()
	n.submit(binding.Event{Kind: binding.SessionStop, Session: fmt.Sprint(nth)})
}

// A world is a service in front of a network, and a client that it knows.
type world struct {
	t       *testing.T
	network *simNetwork
	service *numverify.Service
	cfg     numverify.Config
	dir     string
	issuer  string
	key     jose.JSONWebKey
	subject []byte
}

func freePort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func clientJSON(t *testing.T, id string, key jose.JSONWebKey, more map[string]any) map[string]any {
	t.Helper()
	c := map[string]any{
		"client_id": id, "redirect_uris": []string{callback}, "jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}},
		"scopes": []string{verify, share}, "purposes": []string{purpose, "dpv:ServiceProvision"},
	}
	for k, v := range more {
		c[k] = v
	}
	return c
}

func (w *world) write(name string, v any) string {
	w.t.Helper()
	text, ok := v.([]byte)
	if !ok {
		var err error
		if text, err = json.Marshal(v); err != nil {
			w.t.Fatal(err)
		}
	}
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

func newWorld(t *testing.T, change ...func(*numverify.Config)) *world {
	t.Helper()
	return newWorldOn(t, newNetwork(t), change...)
}

func newWorldOn(t *testing.T, n *simNetwork, change ...func(*numverify.Config)) *world {
	t.Helper()
	w := &world{t: t, network: n, dir: t.TempDir(), key: operatortest.NewKey(t, "bank-1"), subject: bytes.Repeat([]byte("k"), 32)}
	address := freePort(t)
	w.issuer = "http://" + address
	signing, err := authz.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg := numverify.Config{
		Issuer: w.issuer, Listen: []string{address}, Socket: n.socket, AskTimeout: 10 * time.Second,
		ClientsFile: w.write("clients.json", map[string]any{"clients": []any{
			clientJSON(t, "bank", w.key, nil),
			clientJSON(t, "shop", w.key, map[string]any{"scopes": []string{verify}, "require_pkce": true, "sector_identifier": "shop.example"}),
			clientJSON(t, "careful", w.key, map[string]any{"require_consent": true}),
			clientJSON(t, "signer", w.key, map[string]any{"require_signed_request_object": true}),
		}}),
		SigningFile: w.write("signing.json", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{signing}}),
		SubjectKey:  w.subject, AuditFile: filepath.Join(w.dir, "audit.log"), AuditKey: []byte("audit"),
		Origin:     origin.Config{Proxies: []netip.Prefix{netip.MustParsePrefix(balancer + "/32")}, Header: origin.Forwarded},
		Continuity: resource.ByToken, WorkInProgress: true, CodeLife: time.Minute, TokenLife: 5 * time.Minute, Drain: 10 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	w.cfg = cfg
	w.service = numverify.New(cfg, slog.New(slog.DiscardHandler))
	running(t, "numverify", w.service.Run)
	within(t, "numverify", w.service.Started())
	return w
}

// from is an HTTP client whose connections come from an address, and that
// follows no redirect.
func from(addr string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

const verifier = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request is a good authorization request.
func request(change ...string) url.Values {
	q := url.Values{
		"client_id": {"bank"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid " + purpose + " " + verify},
		"state": {"st"}, "nonce": {"no"}, "prompt": {"none"}, "code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	return changed(q, change)
}

// changed sets pairs of name and value; an empty value removes.
func changed(q url.Values, change []string) url.Values {
	for i := 0; i+1 < len(change); i += 2 {
		if q.Set(change[i], change[i+1]); change[i+1] == "" {
			q.Del(change[i])
		}
	}
	return q
}

// authorize asks as a device at an address, through the balancer. It returns the status, and the parameters of
// the redirect if there is one.
func (w *world) authorize(addr string, q url.Values) (int, url.Values) {
	w.t.Helper()
	return w.authorizeFrom(balancer, q, "Forwarded", `for="`+addr+`:40000"`)
}

// authorizeFrom asks over a connection from an address of this machine.
func (w *world) authorizeFrom(addr string, q url.Values, headers ...string) (int, url.Values) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, w.issuer+"/authorize?"+q.Encode(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := from(addr).Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		return resp.StatusCode, nil
	}
	to, err := resp.Location()
	if err != nil {
		w.t.Fatal(err)
	}
	if base := to.Scheme + "://" + to.Host + to.Path; base != callback {
		w.t.Fatalf("redirected to %s", base)
	}
	return resp.StatusCode, to.Query()
}

func (w *world) code(addr string, q url.Values) string {
	w.t.Helper()
	status, back := w.authorize(addr, q)
	if back.Get("code") == "" {
		w.t.Fatalf("no code: %d %v", status, back)
	}
	return back.Get("code")
}

// jwt signs claims; good ones of an assertion for the endpoint are there
// already.
func (w *world) jwt(key jose.JSONWebKey, client, audience string, change map[string]any) string {
	w.t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": client, "sub": client, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for k, v := range change {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *world) assertion(client string) string { return w.jwt(w.key, client, w.issuer+"/token", nil) }

// exchange is a good token request for a code.
func (w *world) exchange(code string, change ...string) url.Values {
	return changed(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {w.assertion("bank")},
	}, change)
}

type object = map[string]any

func (w *world) do(r *http.Request) (int, http.Header, object) {
	w.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var body object
	if err := json.Unmarshal(text, &body); err != nil {
		w.t.Fatalf("%d %q: %v", resp.StatusCode, text, err)
	}
	return resp.StatusCode, resp.Header, body
}

func (w *world) post(path string, form url.Values, headers ...string) (int, object) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	status, _, body := w.do(r)
	return status, body
}

// token goes the whole way from an address to a token.
func (w *world) token(addr, scope string) string {
	w.t.Helper()
	code := w.code(addr, request("scope", "openid "+purpose+" "+scope))
	status, body := w.post("/token", w.exchange(code))
	token, _ := body["access_token"].(string)
	if status != 200 || token == "" {
		w.t.Fatalf("no token: %d %v", status, body)
	}
	return token
}

// call asks the resource API.
func (w *world) call(method, path, token, body string, headers ...string) (int, http.Header, object) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.issuer+"/number-verification/v2"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.do(r)
}

func (w *world) verify(token, claimed string) (int, object) {
	w.t.Helper()
	status, _, body := w.call(http.MethodPost, "/verify", token, `{"phoneNumber":"`+claimed+`"}`)
	return status, body
}
