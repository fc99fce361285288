package diameter_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

// An authority signs certificates of hosts.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.sign(template, nil, nil)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// of is the configuration of a host.
func (a *authority) of(host string) *tls.Config {
	cert, key := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, a.key)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientCAs: a.pool, RootCAs: a.pool,
		ServerName: "simbind.lab",
	}
}

func dialTLS(t *testing.T, addr string, config *tls.Config) (*wire, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	// TLS 1.3 tells the client only with the first read that it is refused.
	return &wire{t: t, conn: conn, host: "pgw1.lab", next: 100}, nil
}

func TestOverTLSAPeerIsWhatItsCertificateSays(t *testing.T) {
	ours, foreign := newAuthority(t), newAuthority(t)
	reg := newFakeRegistry()
	s := start(t, diameter.Config{Listen: []string{}, TLS: &diameter.TLS{Listen: []string{"127.0.0.1:0"}, Config: ours.of("simbind.lab")}}, reg.submit)
	w, err := dialTLS(t, s.addr(), ours.of("pgw1.lab"))
	if err != nil {
		t.Fatal(err)
	}
	if code := result(t, w.ask(w.cer(0))); code != diam.Success {
		t.Errorf("with its own name: %d", code)
	}
	if code := result(t, w.ask(w.ccr("s;1", 1, 0, subscriber(7)...))); code != diam.Success {
		t.Errorf("a request: %d", code)
	}
	other, err := dialTLS(t, s.addr(), ours.of("pgw2.lab"))
	if err != nil {
		t.Fatal(err)
	}
	if code := result(t, other.ask(other.cer(0))); code != diam.UnknownPeer {
		t.Errorf("with the name of another: %d", code)
	}
	for claim, config := range map[string]*tls.Config{
		"no certificate":          {RootCAs: ours.pool, ServerName: "simbind.lab"},
		"a foreign authority's":   {Certificates: foreign.of("pgw1.lab").Certificates, RootCAs: ours.pool, ServerName: "simbind.lab"},
		"TLS of an older version": {Certificates: ours.of("pgw1.lab").Certificates, RootCAs: ours.pool, ServerName: "simbind.lab", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
	} {
		if w, err := dialTLS(t, s.addr(), config); err == nil {
			_, _ = w.cer(0).WriteTo(w.conn)
			w.conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := w.conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: admitted", claim)
			}
		}
	}
	plain := dial(t, s.addr())
	_, _ = plain.cer(0).WriteTo(plain.conn)
	plain.conn.SetReadDeadline(time.Now().Add(patience))
	for err = nil; err == nil; _, err = plain.conn.Read(make([]byte, 100)) { // an alert may come
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Error("a peer without TLS is not refused")
	}
}

func TestRelayDemandsTheCertificateOfItsUpstream(t *testing.T) {
	for _, c := range []struct {
		claim, certificate string
		up                 bool
	}{
		{"its own", "pcrf.lab", true},
		{"another's", "other.lab", false},
	} {
		t.Run(c.claim, func(t *testing.T) {
			ca := newAuthority(t)
			p := newPCRF(t, "pcrf.lab")
			up := p.upstream(0)
			up.TLS = true
			s := start(t, diameter.Config{
				Mode: diameter.Relay, Upstreams: []diameter.Upstream{up}, Reconnect: time.Hour,
				TLS: &diameter.TLS{Config: ca.of("simbind.lab")},
			}, func(binding.Event) error { return nil })
			raw, err := p.l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			config := ca.of(c.certificate)
			config.ClientAuth = tls.RequireAndVerifyClientCert
			conn := tls.Server(raw, config)
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			if err := conn.Handshake(); (err == nil) != c.up {
				t.Fatalf("handshake: %v", err)
			}
			if !c.up {
				return
			}
			w := &wire{t: t, conn: conn, host: "pcrf.lab", next: 5000}
			w.send(w.cea(w.read(), diam.Success))
			eventually(t, "the upstream is open", func() bool { return isOpen(s, "pcrf.lab") })
		})
	}
}

func TestTLSNeedsCertificatesAndAuthorities(t *testing.T) {
	ca := newAuthority(t)
	whole := ca.of("simbind.lab")
	for claim, config := range map[string]*tls.Config{
		"no configuration": nil, "no certificate": {ClientCAs: ca.pool, RootCAs: ca.pool},
		"no authority for clients": {Certificates: whole.Certificates, RootCAs: ca.pool}, "none for upstreams": {Certificates: whole.Certificates, ClientCAs: ca.pool},
	} {
		cfg := diameter.Config{OriginHost: "simbind.lab", OriginRealm: "lab", TLS: &diameter.TLS{Config: config}}
		if cfg.Check() == nil {
			t.Errorf("%s: accepted", claim)
		}
	}
}
