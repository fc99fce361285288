package sh_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/diameter/sh/shtest"
)

// certify makes a certificate with that name, which signs itself.
func certify(t testing.TB, name string) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, leaf
}

func TestAnHSSProvesItsNameOverTLS(t *testing.T) {
	ours, ourLeaf := certify(t, "simbind.test")
	theirs, theirLeaf := certify(t, "hss.test")
	clients, servers := x509.NewCertPool(), x509.NewCertPool()
	clients.AddCert(ourLeaf)
	servers.AddCert(theirLeaf)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{theirs}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	if err != nil {
		t.Fatal(err)
	}
	hss, err := shtest.Serve(l, shtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hss.Close)
	hss.Set(theIMSI.String(), number)

	cfg := testConfig(diameter.Upstream{Address: hss.Addr(), Host: "hss.test", TLS: true})
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{ours}, RootCAs: servers}
	resolve(t, start(t, cfg))

	cfg.Servers = []diameter.Upstream{{Address: hss.Addr(), Host: "other.test", TLS: true}}
	client := sh.New(cfg, discard())
	ctx, stop := contextWithStop(t)
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	<-client.Ready()
	if _, err := client.Resolve(ctx, theIMSI); !errors.Is(err, diameter.ErrUnreachable) {
		t.Errorf("an HSS of another name: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// An HSS that is connected under another name than its own is not asked.
func TestAnHSSOfAnotherNameIsNotAsked(t *testing.T) {
	hss := startHSS(t, shtest.Options{})
	cfg := testConfig(serverOf(hss, "other.test", 0))
	client := sh.New(cfg, discard())
	ctx, stop := contextWithStop(t)
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	peer, err := hss.Await(t.Context(), "simbind.test")
	if err != nil {
		t.Fatal(err)
	}
	<-peer.Done()
	if _, err := client.Resolve(ctx, theIMSI); !errors.Is(err, diameter.ErrUnreachable) {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
