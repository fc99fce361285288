package numverify_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/numverify"
)

// conflicting is a start of another node on an address.
func conflicting(addr string) binding.Event {
	a, err := binding.IPv4(netip.MustParseAddr(addr))
	if err != nil {
		panic(err)
	}
	imsi, err := binding.ParseIMSI("001010000000666")
	if err != nil {
		panic(err)
	}
	return binding.Event{Kind: binding.SessionStart, Node: "other.lab", Session: "conflict", IMSI: imsi, MSISDN: 447700900666, Addrs: []binding.Address{a}}
}

func consentHook(t *testing.T, given *bool) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q map[string]any
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q["client_id"] != "careful" || q["purpose"] != purpose || q["phoneNumber"] != number {
			t.Errorf("asked %v, %v", q, err)
		}
		if err := json.NewEncoder(w).Encode(map[string]bool{"consent": *given}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestTokenRequestsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	assert := func(change map[string]any) []string {
		return []string{"client_assertion", w.jwt(w.key, "bank", w.issuer+"/token", change)}
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"bank","sub":"bank","jti":"1","aud":"`+w.issuer+`","exp":9999999999}`)) + "."
	for _, tt := range []struct {
		name   string
		change []string
		status int
		code   string
	}{
		{"another code", []string{"code", "x"}, 400, "invalid_grant"},
		{"no code", []string{"code", ""}, 400, "invalid_request"},
		{"another redirect_uri", []string{"redirect_uri", "https://bank.example/other"}, 400, "invalid_grant"},
		{"no verifier: a downgrade of PKCE", []string{"code_verifier", ""}, 400, "invalid_grant"},
		{"another verifier", []string{"code_verifier", strings.Repeat("a", 43)}, 400, "invalid_grant"},
		{"no assertion", []string{"client_assertion", ""}, 401, "invalid_client"},
		{"another kind of assertion", []string{"client_assertion_type", "x"}, 401, "invalid_client"},
		{"a secret", []string{"client_secret", "x"}, 401, "invalid_client"},
		{"an assertion of another client", []string{"client_id", "bank", "client_assertion", w.jwt(w.key, "shop", w.issuer+"/token", nil)}, 401, "invalid_client"},
		{"alg none", []string{"client_assertion", none}, 401, "invalid_client"},
		{"an assertion for another server", assert(map[string]any{"aud": "https://else.example/token"}), 401, "invalid_client"},
		{"an assertion that is good for half an hour", assert(map[string]any{"exp": now.Add(30 * time.Minute).Unix()}), 401, "invalid_client"},
		{"one of half an hour, made some time ago", assert(map[string]any{"iat": now.Add(-29 * time.Minute).Unix(), "exp": now.Add(time.Minute).Unix()}), 401, "invalid_client"},
		{"an expired assertion", assert(map[string]any{"exp": now.Add(-time.Second).Unix(), "iat": nil}), 401, "invalid_client"},
		{"an assertion of the future", assert(map[string]any{"iat": now.Add(time.Minute).Unix(), "exp": now.Add(2 * time.Minute).Unix()}), 401, "invalid_client"},
		{"an assertion without jti", assert(map[string]any{"jti": nil}), 401, "invalid_client"},
		{"an assertion without exp", assert(map[string]any{"exp": nil}), 401, "invalid_client"},
		{"another sub", assert(map[string]any{"sub": "shop"}), 401, "invalid_client"},
		{"client_credentials", []string{"grant_type", "client_credentials"}, 400, "unsupported_grant_type"},
		{"refresh_token", []string{"grant_type", "refresh_token"}, 400, "unsupported_grant_type"},
		{"CIBA", []string{"grant_type", "urn:openid:params:grant-type:ciba"}, 400, "unsupported_grant_type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := w.post("/token", w.exchange(w.code(phone, request()), tt.change...))
			if status != tt.status || body["error"] != tt.code || body["error_description"] == "" {
				t.Errorf("%d %v, want %d %s", status, body, tt.status, tt.code)
			}
		})
	}
	if _, body := w.post("/token", w.exchange("x", "grant_type", "urn:openid:params:grant-type:ciba")); !strings.Contains(body["error_description"].(string), "/authorize") {
		t.Errorf("CIBA is not explained: %v", body)
	}
	if status, body := w.post("/bc-authorize", url.Values{}); status != 400 || body["error"] != "unauthorized_client" {
		t.Errorf("/bc-authorize: %d %v", status, body)
	}
	if status, body := w.post("/token", w.exchange("x"), "Authorization", "Basic eDp5"); status != 401 || body["error"] != "invalid_client" {
		t.Errorf("HTTP Basic: %d %v", status, body)
	}
}

func TestAnAssertionIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	assertion := w.assertion("bank")
	if status, body := w.post("/token", w.exchange(w.code(phone, request()), "client_assertion", assertion)); status != 200 {
		t.Fatal(body)
	}
	status, body := w.post("/token", w.exchange(w.code(phone, request()), "client_assertion", assertion))
	if status != 401 || body["error"] != "invalid_client" {
		t.Errorf("the second time: %d %v", status, body)
	}
	byIssuer := w.jwt(w.key, "bank", w.issuer, nil)
	if status, body = w.post("/token", w.exchange(w.code(phone, request()), "client_assertion", byIssuer)); status != 200 {
		t.Errorf("with the issuer as audience: %d %v", status, body)
	}
}

func TestACodeIsGoodOnceAndForItsClient(t *testing.T) {
	w := newWorld(t)
	code := w.code(phone, request())
	if status, _ := w.post("/token", w.exchange(code)); status != 200 {
		t.Fatal(status)
	}
	if status, body := w.post("/token", w.exchange(code)); status != 400 || body["error"] != "invalid_grant" {
		t.Errorf("the second time: %d %v", status, body)
	}
	code = w.code(phone, request())
	status, body := w.post("/token", w.exchange(code, "client_assertion", w.assertion("shop")))
	if status != 400 || body["error"] != "invalid_grant" {
		t.Errorf("for another client: %d %v", status, body)
	}
	expired := newWorldOn(t, w.network, func(c *numverify.Config) { c.CodeLife = 1 })
	if status, body = expired.post("/token", expired.exchange(expired.code(phone, request()))); status != 400 || body["error"] != "invalid_grant" {
		t.Errorf("after its life: %d %v", status, body)
	}
}

func TestPKCEIsNotNeededButNotDroppedEither(t *testing.T) {
	w := newWorld(t)
	q := request("code_challenge", "", "code_challenge_method", "")
	if status, body := w.post("/token", w.exchange(w.code(phone, q), "code_verifier", "")); status != 200 {
		t.Errorf("without PKCE: %d %v", status, body)
	}
	if status, body := w.post("/token", w.exchange(w.code(phone, q))); status != 400 {
		t.Errorf("a verifier without a challenge: %d %v", status, body)
	}
	if _, back := w.authorize(phone, changed(q, []string{"client_id", "shop"})); back.Get("error") != "invalid_request" {
		t.Errorf("a client that must use it: %v", back)
	}
}

func claimsOf(t *testing.T, token any) object {
	t.Helper()
	parts := strings.Split(token.(string), ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims object
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestTheSubjectIsPairwiseAndNoNumber(t *testing.T) {
	w := newWorld(t)
	subject := func(client, addr string) string {
		t.Helper()
		status, body := w.post("/token", w.exchange(w.code(addr, request("client_id", client)), "client_assertion", w.assertion(client)))
		if status != 200 {
			t.Fatal(body)
		}
		claims := claimsOf(t, body["id_token"])
		amr, _ := claims["amr"].([]any)
		if claims["nonce"] != "no" || claims["aud"] != client || claims["iss"] != w.issuer || len(amr) != 1 || amr[0] != "nba" {
			t.Errorf("claims %v", claims)
		}
		return claims["sub"].(string)
	}
	bank := subject("bank", phone)
	if again := subject("bank", phone); again != bank {
		t.Error("another subject the second time")
	}
	if subject("shop", phone) == bank {
		t.Error("two sectors know a subscriber by the same name")
	}
	if subject("bank", other) == bank {
		t.Error("two subscribers have the same name")
	}
	if strings.Contains(bank, "7700900001") || bank == hashOf(number) {
		t.Error("the subject tells the number")
	}
	_, body := w.post("/token", w.exchange(w.code(phone, request("scope", purpose+" "+verify))))
	if body["access_token"] == nil || body["id_token"] != nil {
		t.Errorf("without openid: %v", body)
	}
}

// TestOfTwoHundredAtOnceOneSucceeds redeems one code, and one token, two hundred
// times at once: in one process, and in two that share NATS.
func TestOfTwoHundredAtOnceOneSucceeds(t *testing.T) {
	for _, mode := range []string{"memory", "nats"} {
		t.Run(mode, func(t *testing.T) {
			first := newWorld(t, shared(t, mode))
			worlds := []*world{first}
			if mode == "nats" {
				second := newWorldOn(t, first.network, first.twin())
				second.key, second.issuer = first.key, first.issuer
				worlds = append(worlds, second)
			}
			code := first.code(phone, request())
			var tokens sync.Map
			race(200, func(i int) bool {
				w := worlds[i%len(worlds)]
				status, body := w.postTo(w.address(), "/token", w.exchange(code))
				if status == 200 {
					tokens.Store("token", body["access_token"])
				}
				return status == 200
			}).one(t, "code")
			token, _ := tokens.Load("token")
			race(200, func(i int) bool {
				w := worlds[i%len(worlds)]
				r, err := http.NewRequest(http.MethodPost, w.address()+"/number-verification/v2/verify", strings.NewReader(`{"phoneNumber":"`+number+`"}`))
				if err != nil {
					panic(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+token.(string))
				status, _, _ := w.do(r)
				return status == 200
			}).one(t, "token")
		})
	}
}

type tally int64

func race(n int, try func(i int) bool) tally {
	var won atomic.Int64
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if try(i) {
				won.Add(1)
			}
		})
	}
	all.Wait()
	return tally(won.Load())
}

func (n tally) one(t *testing.T, what string) {
	t.Helper()
	if n != 1 {
		t.Errorf("%d of 200 got the %s", n, what)
	}
}

// address is where this process listens, whatever the issuer is.
func (w *world) address() string { return "http://" + w.service.Addrs()[0].String() }

func (w *world) postTo(base, path string, form url.Values) (int, object) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Error(err)
		return 0, nil
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body := w.do(r)
	return status, body
}

// shared has a process keep its state in NATS, if asked to.
func shared(t *testing.T, mode string) func(*numverify.Config) {
	if mode != "nats" {
		return func(*numverify.Config) {}
	}
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(ns.Shutdown)
	if !ns.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	url := ns.ClientURL()
	return func(c *numverify.Config) { c.NATS = numverify.NATS{URL: url, Bucket: "nv", Replicas: 1} }
}

// twin makes another process of the same service: same issuer, files and state.
func (w *world) twin() func(*numverify.Config) {
	mine := w.cfg
	return func(c *numverify.Config) {
		c.Issuer, c.ClientsFile, c.SigningFile, c.NATS = mine.Issuer, mine.ClientsFile, mine.SigningFile, mine.NATS
	}
}

func TestTheAuditFileTellsWhoAskedAndNoNumber(t *testing.T) {
	w := newWorld(t)
	w.verify(w.token(phone, verify), number)
	w.verify(w.token(phone, verify), "+447700900002")
	w.authorize(stranger, request())
	text, err := os.ReadFile(filepath.Join(w.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "7700900001") || strings.Contains(string(text), phone) {
		t.Error("the file has a number or an address")
	}
	var outcomes []string
	for line := range strings.Lines(string(text)) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l["client"] != "bank" || l["purpose"] != purpose {
			t.Errorf("line %v", l)
		}
		outcomes = append(outcomes, l["endpoint"].(string)+" "+l["outcome"].(string))
	}
	want := "authorize ok,token ok,verify true,authorize ok,token ok,verify false,authorize access_denied"
	if got := strings.Join(outcomes, ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestClientsAndKeysAreReadAgain(t *testing.T) {
	w := newWorld(t)
	if status, _ := w.authorize(phone, request("client_id", "new")); status != http.StatusBadRequest {
		t.Fatal(status)
	}
	w.write("clients.json", map[string]any{"clients": []any{clientJSON(t, "new", w.key, nil)}})
	w.service.Reload()
	if _, back := w.authorize(phone, request("client_id", "new")); back.Get("code") == "" {
		t.Errorf("%v", back)
	}
	w.write("clients.json", []byte(`{"clients":[{"client_id":"broken"}]}`))
	w.service.Reload()
	if _, back := w.authorize(phone, request("client_id", "new")); back.Get("code") == "" {
		t.Errorf("a file that cannot be read changed something: %v", back)
	}
}
