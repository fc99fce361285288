package numverify_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/numverify"
)

// certificate is a self-signed one with its key, as PEM.
func certificate(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// beside starts another service of the same world; changed is its configuration.
func (w *world) beside(change func(*numverify.Config)) (s *numverify.Service, address string, stop func()) {
	w.t.Helper()
	cfg := w.cfg
	cfg.Listen = []string{"127.0.0.1:0"}
	change(&cfg)
	s = numverify.New(cfg, slog.New(slog.DiscardHandler))
	stop = running(w.t, "numverify", s.Run)
	within(w.t, "numverify", s.Started())
	return s, s.Addrs()[0].String(), stop
}

func TestANewCertificateIsServedAndABrokenOneIsNot(t *testing.T) {
	w := newWorld(t)
	cert, key := certificate(t, 1)
	s, address, _ := w.beside(func(c *numverify.Config) {
		c.CertFile, c.KeyFile = w.write("cert.pem", cert), w.write("key.pem", key)
	})
	served := func() int64 {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := served(); got != 1 {
		t.Errorf("certificate %d is served", got)
	}
	cert, key = certificate(t, 2)
	w.write("cert.pem", cert)
	s.Reload() // half of the new pair
	if got := served(); got != 1 {
		t.Errorf("with the key of another, certificate %d is served", got)
	}
	w.write("key.pem", key)
	s.Reload()
	if got := served(); got != 2 {
		t.Errorf("after the new pair, certificate %d is served", got)
	}
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", address, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestARequestUnderWayIsAnsweredAtAStop(t *testing.T) {
	_, address, stop := newWorld(t).beside(func(*numverify.Config) {})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	const body = "grant_type=authorization_code"
	fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := answers.ReadString('\n'); err != nil { // the empty line
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	refused(t, address)
	io.WriteString(conn, body)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the answer is %d", resp.StatusCode)
	}
	within(t, "the end", stopped)
}

// refused waits until nobody listens any more.
func refused(t *testing.T, address string) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-deadline:
			t.Fatal("it still listens")
		case <-tick.C:
		}
	}
}

func TestItIsReadyOnlyWhileSimbinddAnswers(t *testing.T) {
	w := newWorld(t)
	monitor := freePort(t)
	w.beside(func(c *numverify.Config) { c.MetricsListen, c.AuditFile = monitor, filepath.Join(w.dir, "second.log") })
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get("http://" + monitor + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	for _, tt := range []struct {
		claim string
		do    func()
		ready int
		gauge string
	}{
		{"while it answers", func() {}, 200, "numverify_simbindd_reachable 1"},
		{"while it is away", w.network.stop, 503, "numverify_simbindd_reachable 0"},
		{"after it came back", w.network.answer, 200, "numverify_simbindd_reachable 1"},
	} {
		tt.do()
		if status, text := get("/readyz"); status != tt.ready {
			t.Errorf("%s: /readyz is %d %s", tt.claim, status, text)
		}
		if status, _ := get("/healthz"); status != 200 {
			t.Errorf("%s: /healthz is %d", tt.claim, status)
		}
		if _, text := get("/metrics"); !strings.Contains(text, tt.gauge+"\n") {
			t.Errorf("%s: /metrics does not have %s", tt.claim, tt.gauge)
		}
	}
}
