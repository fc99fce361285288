package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/diameter/diametertest"
)

// certify writes a certificate of a name that signs itself, and its key.
func certify(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestSimulateGxOverTLS(t *testing.T) {
	cert, key := certify(t, "pcrf.lab")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert})
	server := diametertest.ServePCRF(l, diametertest.PCRFOptions{})
	t.Cleanup(server.Close)
	line := []string{"simulate", "gx", "-o", "json", "--server", server.Addr(), "--subscribers", "5", "--rate", "1000", "--hold", "20ms",
		"--tls-ca", cert, "--tls-cert", cert, "--tls-key", key}
	s := newSession(append(line, "--tls-name", "pcrf.lab")...)
	if code := s.run(); code != exitYes {
		t.Fatalf("exit %d: %s", code, &s.err)
	}
	var got reported
	if err := json.Unmarshal(s.out.Bytes(), &got); err != nil || got.Answered != 10 {
		t.Errorf("5 subscribers came and went: %+v, %v", got, err)
	}
	s = newSession(append(line, "--tls-name", "another.lab")...)
	if code := s.run(); code != exitNo || !strings.Contains(s.err.String(), "another.lab") {
		t.Errorf("a server of another name: exit %d, %s", code, &s.err)
	}
}
