package numverify_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/numverify"
	"github.com/simbind/simbind/numverify/consumer/operatortest"
	"github.com/simbind/simbind/numverify/resource"
)

func TestRequestsThatAreRefusedByRedirect(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		change []string
		code   string
	}{
		{"another response type", []string{"response_type", "token"}, "unsupported_response_type"},
		{"no response type", []string{"response_type", ""}, "unsupported_response_type"},
		{"another response mode", []string{"response_mode", "fragment"}, "invalid_request"},
		{"no purpose", []string{"scope", "openid " + verify}, "invalid_scope"},
		{"two purposes", []string{"scope", "openid " + purpose + " dpv:ServiceProvision " + verify}, "invalid_scope"},
		{"one purpose twice", []string{"scope", "openid " + purpose + " " + purpose + " " + verify}, "invalid_scope"},
		{"a purpose that was not agreed", []string{"scope", "openid dpv:Marketing " + verify}, "invalid_scope"},
		{"no scope of the API", []string{"scope", "openid " + purpose}, "invalid_scope"},
		{"claims without openid", []string{"scope", "profile " + purpose + " " + verify}, "invalid_request"},
		{"somebody should be asked", []string{"prompt", "login"}, "invalid_request"},
		{"PKCE plain", []string{"code_challenge_method", "plain"}, "invalid_request"},
		{"PKCE without a method", []string{"code_challenge_method", ""}, "invalid_request"},
		{"a challenge that is no SHA-256", []string{"code_challenge", "short"}, "invalid_request"},
		{"neither PKCE nor state", []string{"code_challenge", "", "code_challenge_method", "", "state", ""}, "invalid_request"},
		{"neither PKCE nor nonce", []string{"code_challenge", "", "code_challenge_method", "", "nonce", ""}, "invalid_request"},
		{"a request by reference", []string{"request_uri", "https://bank.example/request"}, "request_uri_not_supported"},
		{"a request object that is none", []string{"request", "x.y.z"}, "invalid_request_object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := request(tt.change...)
			status, back := w.authorize(phone, q)
			if status != http.StatusFound || back.Get("error") != tt.code || back.Get("error_description") == "" || back.Has("code") {
				t.Errorf("%d %v, want %s", status, back, tt.code)
			}
			if back.Get("state") != q.Get("state") || back.Get("iss") != w.issuer {
				t.Errorf("state and iss do not come back: %v", back)
			}
		})
	}
}

func TestRequestsThatMustNotRedirect(t *testing.T) {
	w := newWorld(t)
	for name, q := range map[string]url.Values{
		"no client":                   request("client_id", ""),
		"an unknown client":           request("client_id", "nobody"),
		"a foreign redirect_uri":      request("redirect_uri", "https://evil.example/callback"),
		"a longer redirect_uri":       request("redirect_uri", callback+"/more"),
		"a redirect_uri with a query": request("redirect_uri", callback+"?x=y"),
		"no redirect_uri":             request("redirect_uri", ""),
		"an unknown pushed request":   request("request_uri", "urn:ietf:params:oauth:request_uri:none"),
	} {
		if status, _ := w.authorize(phone, q); status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, status)
		}
	}
	twice := request()
	twice.Add("redirect_uri", "https://evil.example/callback")
	if status, _ := w.authorize(phone, twice); status != http.StatusBadRequest {
		t.Errorf("a redirect_uri twice: status %d", status)
	}
}

func TestWhatIsIgnored(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string][]string{
		"acr_values":     {"acr_values", "4"},
		"login_hint":     {"login_hint", "tel:+447700900002"},
		"offline_access": {"scope", "openid offline_access " + purpose + " " + verify},
		"no prompt":      {"prompt", ""},
		"max_age":        {"max_age", "0"},
	} {
		if _, back := w.authorize(phone, request(change...)); back.Get("code") == "" {
			t.Errorf("%s: %v", name, back)
		}
	}
	// A login_hint changes nothing about who it is.
	code := w.code(phone, request("login_hint", "tel:+447700900002"))
	_, body := w.post("/token", w.exchange(code), "DPoP", "whatever")
	if body["token_type"] != "Bearer" || body["refresh_token"] != nil {
		t.Fatalf("%v", body)
	}
	if _, answer := w.verify(body["access_token"].(string), number); answer["devicePhoneNumberVerified"] != true {
		t.Errorf("%v", answer)
	}
}

func TestWhoIsRecognised(t *testing.T) {
	w := newWorld(t)
	if _, back := w.authorize(stranger, request()); back.Get("error") != "access_denied" {
		t.Errorf("an address that nobody holds: %v", back)
	}
	w.network.bind("10.45.0.50", "+447700900050", "001010000000050")
	w.network.submit(conflicting("10.45.0.50"))
	if _, back := w.authorize("10.45.0.50", request()); back.Get("error") != "access_denied" {
		t.Errorf("an address in conflict: %v", back)
	}
	w.network.stop()
	if _, back := w.authorize(phone, request()); back.Get("error") != "temporarily_unavailable" {
		t.Errorf("without the daemon: %v", back)
	}
	w.network.answer()
	if _, back := w.authorize(phone, request()); back.Get("code") == "" {
		t.Errorf("with the daemon again: %v", back)
	}
}

func TestNobodyElseIsBelievedAboutAddresses(t *testing.T) {
	w := newWorld(t)
	for name, headers := range map[string][]string{
		"Forwarded":       {"Forwarded", `for="` + phone + `:40000"`},
		"X-Forwarded-For": {"X-Forwarded-For", phone},
		"X-Real-IP":       {"X-Real-IP", phone},
		"X-MSISDN":        {"X-MSISDN", "447700900001"},
	} {
		if _, back := w.authorizeFrom("127.0.0.99", request(), headers...); back.Get("error") != "access_denied" {
			t.Errorf("%s of an unlisted peer: %v", name, back)
		}
	}
	if _, back := w.authorizeFrom(balancer, request(), "X-Forwarded-For", phone, "X-MSISDN", "447700900001"); back.Get("error") != "access_denied" {
		t.Errorf("another header than the configured one: %v", back)
	}
	if _, back := w.authorizeFrom(balancer, request(), "Forwarded", "for="+phone+", for="+stranger); back.Get("error") != "access_denied" {
		t.Errorf("what the device put in itself: %v", back)
	}
}

func TestContinuity(t *testing.T) {
	for _, mode := range []resource.Continuity{resource.ByToken, resource.Strict} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, func(c *numverify.Config) { c.Continuity = mode })
			nobody := func(status int, answer object) {
				t.Helper()
				wantError(t, status, answer, 403, "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK")
			}
			t.Log("the address went to another SIM")
			token := w.token(other, verify)
			w.network.bind(other, "+447700900003", "001010000000003")
			nobody(w.verify(token, "+447700900002"))
			t.Log("the address went to another SIM with the same number: a swap")
			token = w.token(other, verify)
			w.network.bind(other, "+447700900003", "001010000000033")
			nobody(w.verify(token, "+447700900003"))
			t.Log("the phone left the network, and the number is with another SIM elsewhere")
			token = w.token(phone, verify)
			w.network.unbind(1)
			w.network.bind("10.45.0.77", number, "001010000000077")
			nobody(w.verify(token, number))
			t.Log("the phone left the network")
			w.network.bind("10.45.0.60", "+447700900060", "001010000000060")
			last := w.network.sessions
			token = w.token("10.45.0.60", verify)
			w.network.unbind(last)
			status, answer := w.verify(token, "+447700900060")
			if mode == resource.Strict {
				nobody(status, answer)
			} else if answer["devicePhoneNumberVerified"] != true {
				t.Errorf("%d %v", status, answer)
			}
			if mode == resource.Strict {
				t.Log("its gateway restarted")
				w.network.bind("10.45.0.62", "+447700900062", "001010000000062")
				token = w.token("10.45.0.62", verify)
				w.network.submit(binding.Event{Kind: binding.NodeRestart})
				nobody(w.verify(token, "+447700900062"))
			}
			t.Log("the daemon is away")
			w.network.bind("10.45.0.61", "+447700900061", "001010000000061")
			token = w.token("10.45.0.61", verify)
			w.network.stop()
			status, answer = w.verify(token, "+447700900061")
			wantError(t, status, answer, 503, "UNAVAILABLE")
		})
	}
}

func TestSignedRequests(t *testing.T) {
	w := newWorld(t)
	object := func(client string, change map[string]any, key ...string) string {
		claims := map[string]any{}
		for name, values := range request("client_id", client) {
			claims[name] = values[0]
		}
		for k, v := range change {
			claims[k] = v
		}
		return w.jwt(w.key, client, w.issuer, claims)
	}
	plain := func(client, object string, change ...string) url.Values {
		q := request("client_id", client, "request", object, "state", "", "nonce", "", "code_challenge", "", "code_challenge_method", "", "prompt", "")
		return changed(q, change)
	}
	if _, back := w.authorize(phone, plain("signer", object("signer", nil))); back.Get("code") == "" || back.Get("state") != "st" {
		t.Errorf("a good one: %v", back)
	}
	if _, back := w.authorize(phone, request("client_id", "signer")); back.Get("error") != "invalid_request" {
		t.Errorf("a client that must sign did not: %v", back)
	}
	now := time.Now()
	edited := object("bank", nil)
	edited = edited[:len(edited)-6] + "AAAAAA"
	used := object("bank", nil)
	w.authorize(phone, plain("bank", used))
	for name, q := range map[string]url.Values{
		"edited":                          plain("bank", edited),
		"used before":                     plain("bank", used),
		"of another client":               plain("bank", object("signer", map[string]any{"client_id": "bank"})),
		"for another server":              plain("bank", object("bank", map[string]any{"aud": "https://else.example"})),
		"good for half an hour":           plain("bank", object("bank", map[string]any{"exp": now.Add(30 * time.Minute).Unix()})),
		"expired":                         plain("bank", object("bank", map[string]any{"exp": now.Add(-time.Second).Unix(), "iat": now.Add(-time.Minute).Unix()})),
		"of the future":                   plain("bank", object("bank", map[string]any{"iat": now.Add(time.Minute).Unix(), "exp": now.Add(2 * time.Minute).Unix()})),
		"without iat":                     plain("bank", object("bank", map[string]any{"iat": nil})),
		"without jti":                     plain("bank", object("bank", map[string]any{"jti": nil})),
		"with another scope in the query": plain("bank", object("bank", nil), "scope", "openid "+purpose+" "+share),
		"without redirect_uri inside":     plain("bank", object("bank", map[string]any{"redirect_uri": nil})),
	} {
		if _, back := w.authorize(phone, q); back.Get("error") != "invalid_request_object" {
			t.Errorf("%s: %v", name, back)
		}
	}
	// Parameters outside of the object do not count.
	q := plain("bank", object("bank", map[string]any{"code_challenge": nil, "code_challenge_method": nil}), "state", "evil", "nonce", "evil")
	if _, back := w.authorize(phone, q); back.Get("state") != "st" {
		t.Errorf("state from outside of the object: %v", back)
	}
}

func TestPushedRequests(t *testing.T) {
	w := newWorld(t)
	push := func(client string, params url.Values) (int, object) {
		params.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		params.Set("client_assertion", w.jwt(w.key, client, w.issuer+"/par", nil))
		return w.post("/par", params)
	}
	status, body := push("bank", request())
	uri, _ := body["request_uri"].(string)
	if status != http.StatusCreated || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || body["expires_in"] != float64(60) {
		t.Fatalf("%d %v", status, body)
	}
	short := url.Values{"client_id": {"bank"}, "request_uri": {uri}}
	if status, _ := w.authorize(phone, url.Values{"client_id": {"shop"}, "request_uri": {uri}}); status != http.StatusBadRequest {
		t.Errorf("of another client: %d", status)
	}
	if _, body = push("bank", request()); body["request_uri"] == nil {
		t.Fatal(body)
	}
	short.Set("request_uri", body["request_uri"].(string))
	if _, back := w.authorize(phone, short); back.Get("code") == "" || back.Get("state") != "st" {
		t.Errorf("%v", back)
	}
	if status, _ := w.authorize(phone, short); status != http.StatusBadRequest {
		t.Errorf("the second time: %d", status)
	}
	claims := map[string]any{}
	for name, values := range request("client_id", "signer") {
		claims[name] = values[0]
	}
	signed := request("client_id", "signer", "request", w.jwt(w.key, "signer", w.issuer, claims))
	if status, body = push("signer", signed); status != http.StatusCreated {
		t.Fatalf("a signed one: %d %v", status, body)
	}
	if _, back := w.authorize(phone, url.Values{"client_id": {"signer"}, "request_uri": {body["request_uri"].(string)}}); back.Get("code") == "" {
		t.Errorf("a signed one: %v", back)
	}
	if status, body = push("bank", request("scope", "openid")); status != 400 || body["error"] != "invalid_scope" {
		t.Errorf("a bad one: %d %v", status, body)
	}
	if status, body = push("bank", request("request_uri", "urn:x")); status != 400 || body["error"] != "invalid_request" {
		t.Errorf("a reference: %d %v", status, body)
	}
	if status, body = w.post("/par", request()); status != 401 || body["error"] != "invalid_client" {
		t.Errorf("of nobody: %d %v", status, body)
	}
}

func TestConsent(t *testing.T) {
	given := false
	hook := consentHook(t, &given)
	w := newWorld(t, func(c *numverify.Config) { c.ConsentURL = hook })
	ask := func(want string) {
		t.Helper()
		if _, back := w.authorize(phone, request("client_id", "careful")); back.Get("error") != want || (want == "") != back.Has("code") {
			t.Errorf("got %v, want %q", back, want)
		}
	}
	ask("consent_required")
	given = true
	ask("")
	without := newWorldOn(t, w.network)
	if _, back := without.authorize(phone, request("client_id", "careful")); back.Get("error") != "consent_required" {
		t.Errorf("where no consent is known: %v", back)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, func(c *numverify.Config) { c.PerAddress = 0.001 })
	w.authorize(phone, request())
	if status, _ := w.authorize(phone, request()); status != http.StatusTooManyRequests {
		t.Errorf("the second request of an address: %d", status)
	}
	if _, back := w.authorize(other, request()); back.Get("code") == "" {
		t.Errorf("another address: %v", back)
	}
}

func TestPROXYProtocolInFront(t *testing.T) {
	w := newWorld(t, func(c *numverify.Config) {
		c.PROXYProtocol, c.Origin.Header = true, ""
		c.Origin.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	// Nobody here is the balancer: a connection is what it is.
	if _, back := w.authorizeFrom(balancer, request()); back.Get("error") != "access_denied" {
		t.Errorf("%v", back)
	}
}

func TestAForeignKeySignsNothing(t *testing.T) {
	w := newWorld(t)
	foreign := operatortest.NewKey(t, "bank-1")
	status, body := w.post("/token", w.exchange(w.code(phone, request()), "client_assertion", w.jwt(foreign, "bank", w.issuer+"/token", nil)))
	if status != 401 || body["error"] != "invalid_client" {
		t.Errorf("%d %v", status, body)
	}
}
