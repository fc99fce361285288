package udm_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/directory"
	"github.com/simbind/simbind/directory/udm"
	"github.com/simbind/simbind/directory/udm/udmtest"
)

const (
	patience = 20 * time.Second
	imsi     = "001010000000001"
	number   = "491700000001"
)

var _ directory.Source = (*udm.Client)(nil)

func parse(t testing.TB, digits string) (binding.IMSI, binding.MSISDN) {
	t.Helper()
	i, err := binding.ParseIMSI(imsi)
	if err != nil {
		t.Fatal(err)
	}
	if digits == "" {
		return i, 0
	}
	m, err := binding.ParseMSISDN(digits)
	if err != nil {
		t.Fatal(err)
	}
	return i, m
}

// serve runs a UDM until the end of the test.
func serve(t testing.TB, o udmtest.Options) *udmtest.Server {
	t.Helper()
	s, err := udmtest.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// start runs a client until the end of the test.
func start(t testing.TB, cfg udm.Config) *udm.Client {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	c := udm.New(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	<-c.Ready()
	return c
}

// counted reads one sample of requests_total.
func counted(t testing.TB, c *udm.Client, result string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "simbindd_udm_requests_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// certificate makes one for 127.0.0.1, and the pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestTheNumberOfASIMIsAskedOfAUDM(t *testing.T) {
	cert, pool := certificate(t)
	for _, c := range []struct {
		claim          string
		server, client *tls.Config
	}{
		{"in cleartext with prior knowledge", nil, nil},
		{"over TLS", &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: pool}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			server := serve(t, udmtest.Options{TLS: c.server})
			server.Set(imsi, number)
			client := start(t, udm.Config{URL: server.URL(), TLS: c.client})
			who, want := parse(t, number)
			var asking sync.WaitGroup
			for range 20 {
				asking.Go(func() {
					if got, err := client.Resolve(t.Context(), who); err != nil || got != want {
						t.Errorf("%v, %v", got, err)
					}
				})
			}
			asking.Wait()
			for _, r := range server.Requests() {
				if r.ProtoMajor != 2 || r.URL.Path != "/nudm-sdm/v2/imsi-"+imsi+"/id-translation-result" || r.Header.Get("Authorization") != "" {
					t.Fatalf("%s %s %v", r.Proto, r.URL, r.Header)
				}
			}
			if n := len(server.Requests()); n != 20 {
				t.Errorf("%d requests, want 20", n)
			}
		})
	}
}

func TestRequestsShareAConnection(t *testing.T) {
	var waiting sync.WaitGroup
	server := serve(t, udmtest.Options{Answer: func(s *udmtest.Server, w http.ResponseWriter, r *http.Request) {
		waiting.Done()
		waiting.Wait() // until all are there
		s.Answer(w, r)
	}})
	server.Set(imsi, number)
	client := start(t, udm.Config{URL: server.URL()})
	who, _ := parse(t, "")
	waiting.Add(1)
	if _, err := client.Resolve(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	waiting.Add(10)
	var asking sync.WaitGroup
	for range 10 {
		asking.Go(func() {
			if _, err := client.Resolve(t.Context(), who); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if n := server.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestAUDMOfAnotherNameIsNotAsked(t *testing.T) {
	cert, _ := certificate(t)
	server := serve(t, udmtest.Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	_, others := certificate(t)
	client := start(t, udm.Config{URL: server.URL(), TLS: &tls.Config{RootCAs: others}})
	who, _ := parse(t, "")
	if _, err := client.Resolve(t.Context(), who); err == nil || errors.Is(err, directory.ErrUnknown) {
		t.Fatal(err)
	}
	if n := counted(t, client, "unreachable"); n != 1 {
		t.Errorf("%v counted as unreachable", n)
	}
}

func TestWhatAUDMAnswers(t *testing.T) {
	body := func(status int, text string) func(*udmtest.Server, http.ResponseWriter, *http.Request) {
		return func(_ *udmtest.Server, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	known := func(more string) func(*udmtest.Server, http.ResponseWriter, *http.Request) {
		return body(http.StatusOK, `{"supi":"imsi-`+imsi+`"`+more+`}`)
	}
	for _, c := range []struct {
		claim   string
		answer  func(*udmtest.Server, http.ResponseWriter, *http.Request)
		want    string
		unknown bool
		counted string
	}{
		{"a number", known(`,"gpsi":"msisdn-` + number + `"`), number, false, "number"},
		{"an external identifier beside a number", known(`,"gpsi":"extid-a@b","additionalGpsis":["msisdn-` + number + `"]`), number, false, "number"},
		{"the same number again", known(`,"gpsi":"msisdn-` + number + `","additionalGpsis":["msisdn-` + number + `"]`), number, false, "number"},
		{"members nobody knows", known(`,"gpsi":"msisdn-` + number + `","x":{"gpsi":"msisdn-491799999999"}`), number, false, "number"},
		{"two numbers are none", known(`,"gpsi":"msisdn-` + number + `","additionalGpsis":["msisdn-491700000002"]`), "", true, "several-numbers"},
		{"no number is none", known(``), "", true, "no-number"},
		{"an external identifier is no number", known(`,"gpsi":"extid-491700000001@b"`), "", true, "no-number"},
		{"a user not found is known for sure", body(404, `{"cause":"USER_NOT_FOUND"}`), "", true, "unknown-user"},
		{"data not found is no number", body(404, `{"status":404,"cause":"DATA_NOT_FOUND"}`), "", true, "no-number"},
		{"a resource that is not there says nothing of the user", body(404, `{"status":404}`), "", false, "refused"},
		{"a page not found says nothing of the user", body(404, `<html>USER_NOT_FOUND</html>`), "", false, "refused"},
		{"user not found under another status says nothing", body(403, `{"cause":"USER_NOT_FOUND"}`), "", false, "refused"},
		{"a failure is asked again", body(500, ``), "", false, "refused"},
		{"no content is no answer", body(204, ``), "", false, "refused"},
		{"another SUPI is malformed", body(200, `{"supi":"imsi-001010000000002","gpsi":"msisdn-`+number+`"}`), "", false, "malformed"},
		{"no SUPI is malformed", body(200, `{"gpsi":"msisdn-`+number+`"}`), "", false, "malformed"},
		{"a member that comes twice is malformed", known(`,"gpsi":"msisdn-` + number + `","gpsi":"msisdn-491700000002"`), "", false, "malformed"},
		{"a member in another case is none", known(`,"GPSI":"msisdn-` + number + `"`), "", true, "no-number"},
		{"a number of letters is malformed", known(`,"gpsi":"msisdn-49170000000l"`), "", false, "malformed"},
		{"a number as a number is malformed", known(`,"gpsi":491700000001`), "", false, "malformed"},
		{"half an object is malformed", body(200, `{"supi":"imsi-`+imsi+`","gpsi":"msisdn-`+number+`"`), "", false, "malformed"},
		{"more than an object is malformed", body(200, `{"supi":"imsi-`+imsi+`","gpsi":"msisdn-`+number+`"} {}`), "", false, "malformed"},
		{"an array is malformed", body(200, `[]`), "", false, "malformed"},
		{"deep nesting is malformed", body(200, `{"a":`+strings.Repeat("[", 60000)), "", false, "malformed"},
		{"a body without end is malformed", known(`,"x":"` + strings.Repeat("x", 1<<20) + `","gpsi":"msisdn-` + number + `"`), "", false, "malformed"},
		{"a redirection is not followed", func(_ *udmtest.Server, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/nudm-sdm/v2/imsi-"+imsi+"/id-translation-result?", http.StatusTemporaryRedirect)
		}, "", false, "refused"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			server := serve(t, udmtest.Options{Answer: c.answer})
			client := start(t, udm.Config{URL: server.URL()})
			who, want := parse(t, c.want)
			got, err := client.Resolve(t.Context(), who)
			if got != want || (err == nil) != (c.want != "") || errors.Is(err, directory.ErrUnknown) != c.unknown {
				t.Fatalf("%v, %v", got, err)
			}
			if err != nil && (strings.Contains(err.Error(), imsi) || strings.Contains(err.Error(), number)) {
				t.Errorf("an identity is in the error: %v", err)
			}
			if n := counted(t, client, c.counted); n != 1 {
				t.Errorf("%v counted as %s", n, c.counted)
			}
			if n := len(server.Requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestAUDMThatIsBusyIsLeftAlone(t *testing.T) {
	var clock struct {
		sync.Mutex
		now time.Time
	}
	started := time.Now()
	for _, c := range []struct {
		claim      string
		status     int
		retryAfter string
		want       time.Duration
	}{
		{"for the seconds that it says", 429, "7", 7 * time.Second},
		{"until the time that it says", 503, started.Add(30 * time.Second).UTC().Format(http.TimeFormat), 30 * time.Second},
		{"for a second if it does not say", 503, "", time.Second},
		{"not for hours", 429, "100000", 5 * time.Minute},
	} {
		t.Run(c.claim, func(t *testing.T) {
			clock.now = started
			busy := true
			server := serve(t, udmtest.Options{Answer: func(s *udmtest.Server, w http.ResponseWriter, r *http.Request) {
				if busy {
					w.Header().Set("Retry-After", c.retryAfter)
					udmtest.Problem(w, c.status, "NF_CONGESTION")
					busy = false
					return
				}
				s.Answer(w, r)
			}})
			server.Set(imsi, number)
			client := start(t, udm.Config{URL: server.URL(), Now: func() time.Time {
				clock.Lock()
				defer clock.Unlock()
				return clock.now
			}})
			who, want := parse(t, number)
			for range 2 {
				_, err := client.Resolve(t.Context(), who)
				throttled, ok := errors.AsType[*udm.Throttled](err)
				if !ok || throttled.RetryAfter() > c.want || throttled.RetryAfter() < c.want-time.Second {
					t.Fatalf("%v, want %v", err, c.want)
				}
			}
			if n := len(server.Requests()); n != 1 {
				t.Fatalf("%d requests while it is busy, want 1", n)
			}
			clock.Lock()
			clock.now = clock.now.Add(c.want)
			clock.Unlock()
			if got, err := client.Resolve(t.Context(), who); err != nil || got != want {
				t.Fatalf("%v, %v", got, err)
			}
		})
	}
}

func TestAnAnswerThatIsLateIsAnError(t *testing.T) {
	server := serve(t, udmtest.Options{Answer: func(_ *udmtest.Server, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	client := start(t, udm.Config{URL: server.URL(), Timeout: 50 * time.Millisecond, InFlight: 1})
	who, _ := parse(t, "")
	for range 2 { // the place is free again
		if _, err := client.Resolve(t.Context(), who); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if n := counted(t, client, "no-answer"); n != 2 {
		t.Errorf("%v counted as no-answer", n)
	}
}

func TestRequestsThatWaitAreBounded(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := serve(t, udmtest.Options{Answer: func(_ *udmtest.Server, _ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}})
	client := start(t, udm.Config{URL: server.URL(), InFlight: 1})
	who, _ := parse(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Resolve(ctx, who)
		ended <- err
	}()
	<-asked
	if _, err := client.Resolve(t.Context(), who); !errors.Is(err, binding.ErrBusy) {
		t.Error(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

const nfInstance = "0c0a5f5e-7d0c-4e0b-9f0e-2f6e1c0a9b11"

func TestATokenOfTheNRFIsKeptUntilItEnds(t *testing.T) {
	server := serve(t, udmtest.Options{Token: "secret", TokenLasts: time.Hour})
	server.Set(imsi, number)
	var skew time.Duration
	client := start(t, udm.Config{
		URL: server.URL(), Token: &udm.Token{URL: server.URL(), NFInstanceID: nfInstance}, Now: func() time.Time { return time.Now().Add(skew) },
	})
	who, want := parse(t, number)
	ask := func(tokens int) {
		t.Helper()
		if got, err := client.Resolve(t.Context(), who); err != nil || got != want {
			t.Fatalf("%v, %v", got, err)
		}
		if n := server.Tokens(); n != tokens {
			t.Fatalf("%d tokens, want %d", n, tokens)
		}
	}
	ask(1)
	ask(1)
	skew = 59*time.Minute + 55*time.Second
	ask(2)
	server.Revoke() // counts as one
	ask(4)
}

func TestATokenInAFileIsReadAgainWhenItIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := serve(t, udmtest.Options{Token: "secret"})
	server.Set(imsi, number)
	client := start(t, udm.Config{URL: server.URL(), TokenFile: file})
	who, want := parse(t, number)
	if _, err := client.Resolve(t.Context(), who); err == nil || counted(t, client, "no-token") != 1 {
		t.Fatal(err)
	}
	write("secret-0\n")
	if got, err := client.Resolve(t.Context(), who); err != nil || got != want {
		t.Fatalf("%v, %v", got, err)
	}
	server.Revoke()
	if _, err := client.Resolve(t.Context(), who); err == nil || counted(t, client, "refused") != 1 {
		t.Fatal(err)
	}
	write("secret-1")
	if got, err := client.Resolve(t.Context(), who); err != nil || got != want {
		t.Fatalf("%v, %v", got, err)
	}
	write("two words")
	server.Revoke()
	if _, err := client.Resolve(t.Context(), who); err == nil || counted(t, client, "no-token") != 2 {
		t.Fatal(err)
	}
}

func TestWhatCannotBeConfigured(t *testing.T) {
	token := &udm.Token{URL: "http://nrf.test", NFInstanceID: nfInstance}
	good := udm.Config{URL: "http://udm.test/prefix", Token: token}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim  string
		change func(*udm.Config)
	}{
		{"no URL", func(c *udm.Config) { c.URL = "" }},
		{"a URL without host", func(c *udm.Config) { c.URL = "http:///x" }},
		{"a URL of another scheme", func(c *udm.Config) { c.URL = "ftp://udm.test" }},
		{"a URL with a query", func(c *udm.Config) { c.URL = "http://udm.test?x=1" }},
		{"a URL with a password", func(c *udm.Config) { c.URL = "http://a:b@udm.test" }},
		{"two tokens", func(c *udm.Config) { c.TokenFile = "x" }},
		{"an NF instance that is no UUID", func(c *udm.Config) { c.Token = &udm.Token{URL: token.URL, NFInstanceID: "simbind"} }},
		{"an NRF without URL", func(c *udm.Config) { c.Token = &udm.Token{NFInstanceID: nfInstance} }},
		{"a negative time", func(c *udm.Config) { c.Timeout = -1 }},
		{"negative places", func(c *udm.Config) { c.InFlight = -1 }},
	} {
		t.Run(c.claim, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			if err := cfg.Check(); err == nil || !strings.HasPrefix(err.Error(), "udm: ") {
				t.Fatal(err)
			}
		})
	}
}
