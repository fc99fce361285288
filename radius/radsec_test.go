package radius_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert, key, pool}
}

// issue signs a certificate for a common name and DNS names.
func (a *authority) issue(t testing.TB, name string, dns ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: dns,
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// startRadSec runs a server whose client has a certificate for "nas1".
func startRadSec(t testing.TB, change func(*radius.RadSec)) (*radius.Server, *fakeRegistry, *authority) {
	t.Helper()
	ca := newAuthority(t)
	cfg := &radius.RadSec{
		Listen: []string{"127.0.0.1:0"},
		TLS:    &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", "server.example")}, ClientCAs: ca.pool},
	}
	if change != nil {
		change(cfg)
	}
	r := newFakeRegistry()
	clients := []radius.Client{{Name: "a", Group: "pair", Certificate: "nas1.example"}}
	s := start(t, radius.Config{RadSec: cfg, Clients: clients}, r.submit)
	return s, r, ca
}

// connect does the handshake and reads one octet if the server closes at once.
func connect(t testing.TB, s *radius.Server, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	cfg.ServerName = "server.example"
	conn, err := tls.Dial("tcp", s.RadSecAddrs()[0].String(), cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn, nil
}

// mustConnect is the admitted client.
func mustConnect(t testing.TB, s *radius.Server, ca *authority) *tls.Conn {
	t.Helper()
	conn, err := connect(t, s, &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(t, "x", "nas1.example")}})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func radsecRequest(t testing.TB, id string) (*layeh.Packet, []byte) {
	t.Helper()
	p, err := aSession(id).Request(radiustest.Start, []byte("radsec"))
	if err != nil {
		t.Fatal(err)
	}
	return p, encode(t, p)
}

// readPacket reads one packet by its Length.
func readPacket(conn io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	packet := append(head, make([]byte, binary.BigEndian.Uint16(head[2:])-4)...)
	_, err := io.ReadFull(conn, packet[4:])
	return packet, err
}

func TestRadSecAnswersAnAdmittedClient(t *testing.T) {
	for claim, name := range map[string][]string{"by its DNS name": {"x", "other.example", "nas1.example"}, "by its common name": {"nas1.example"}} {
		t.Run(claim, func(t *testing.T) {
			s, r, ca := startRadSec(t, nil)
			conn, err := connect(t, s, &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(t, name[0], name[1:]...)}})
			if err != nil {
				t.Fatal(err)
			}
			_, wire := radsecRequest(t, "a")
			// TCP may cut a packet anywhere.
			for _, part := range [][]byte{wire[:1], wire[1:7], wire[7:]} {
				if _, err := conn.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			answer, err := readPacket(conn)
			if err != nil || !layeh.IsAuthenticResponse(answer, wire, []byte("radsec")) {
				t.Fatalf("%x, %v", answer, err)
			}
			if ev := r.wait(t, 1)[0]; ev.Session != "a" || ev.Node != "pgw1" || ev.Owner != "pair" {
				t.Errorf("%+v", ev)
			}
			expectMetric(t, s, "radsec_connections{}", 1)
			conn.Close()
			expectMetric(t, s, "radsec_connections{}", 0)
			expectMetric(t, s, "radsec_connections_total{what=accepted}", 1)
		})
	}
}

func TestRadSecAdmitsNobodyElse(t *testing.T) {
	other := newAuthority(t)
	for _, c := range []struct {
		claim string
		cfg   func(*authority) *tls.Config
	}{
		{"without a certificate", func(*authority) *tls.Config { return &tls.Config{} }},
		{"with a certificate of another authority", func(*authority) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{other.issue(t, "x", "nas1.example")}}
		}},
		{"with a name that no client has", func(ca *authority) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "x", "nas2.example")}}
		}},
		{"by a common name beside a DNS name", func(ca *authority) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "nas1.example", "nas2.example")}}
		}},
		{"with TLS 1.1", func(ca *authority) *tls.Config {
			return &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, Certificates: []tls.Certificate{ca.issue(t, "x", "nas1.example")}}
		}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s, r, ca := startRadSec(t, nil)
			cfg := c.cfg(ca)
			cfg.RootCAs = ca.pool
			conn, err := connect(t, s, cfg)
			if err == nil {
				_, wire := radsecRequest(t, "a")
				conn.Write(wire)
				_, err = readPacket(conn)
			}
			if err == nil {
				t.Error("answered")
			}
			expectMetric(t, s, "radsec_connections_total{what=not-admitted}", 1)
			if n := r.count(); n != 0 {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestRadSecEndsAConnectionThatItCannotTrust(t *testing.T) {
	for _, c := range []struct {
		claim string
		wire  func(testing.TB) []byte
	}{
		{"a Length below the header", func(testing.TB) []byte { return []byte{4, 1, 0, 19} }},
		{"a Length above 4096", func(testing.TB) []byte { return []byte{4, 1, 0x10, 1} }},
		{"another secret", func(t testing.TB) []byte { return encode(t, request(t, aSession("a"), radiustest.Start)) }},
		{"an attribute that does not fit", func(t testing.TB) []byte {
			p, _ := radsecRequest(t, "a")
			p.Add(8, layeh.Attribute("abc"))
			return encode(t, p)
		}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s, r, ca := startRadSec(t, nil)
			conn := mustConnect(t, s, ca)
			if _, err := conn.Write(c.wire(t)); err != nil {
				t.Fatal(err)
			}
			if _, err := readPacket(conn); !closedByPeer(err) {
				t.Errorf("not closed: %v", err)
			}
			expectMetric(t, s, "radsec_connections_total{what=broken}", 1)
			if n := r.count(); n != 0 {
				t.Errorf("%d events", n)
			}
		})
	}
}

// closedByPeer reports whether a read ended because of the peer.
func closedByPeer(err error) bool {
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

func TestRadSecKeepsARequestWithoutASessionFromEndingTheConnection(t *testing.T) {
	s, _, ca := startRadSec(t, nil)
	conn := mustConnect(t, s, ca)
	p, _ := radsecRequest(t, "a")
	p.Del(rfc2866.AcctSessionID_Type)
	_, good := radsecRequest(t, "b")
	if _, err := conn.Write(append(encode(t, p), good...)); err != nil {
		t.Fatal(err)
	}
	answer, err := readPacket(conn)
	if err != nil || !layeh.IsAuthenticResponse(answer, good, []byte("radsec")) {
		t.Errorf("%x, %v", answer, err)
	}
	expectMetric(t, s, "dropped_total{client=a,reason=malformed}", 1)
}

func TestRadSecAnswersAllInTheirOrderAsTheyCome(t *testing.T) {
	s, r, ca := startRadSec(t, nil)
	conn := mustConnect(t, s, ca)
	const n = 2000
	var wires [n][]byte
	for i := range wires {
		p, _ := radsecRequest(t, fmt.Sprint(i))
		p.Identifier = byte(i)
		wires[i] = encode(t, p)
	}
	go func() {
		out := bufio.NewWriter(conn)
		for _, wire := range wires {
			out.Write(wire)
		}
		out.Flush()
	}()
	in := bufio.NewReader(conn)
	for i := range n {
		answer, err := readPacket(in)
		if err != nil || !layeh.IsAuthenticResponse(answer, wires[i], []byte("radsec")) {
			t.Fatalf("answer %d: %x, %v", i, answer, err)
		}
	}
	for i, ev := range r.wait(t, n) {
		if ev.Session != fmt.Sprint(i) {
			t.Fatalf("event %d is of session %s", i, ev.Session)
		}
	}
}

func TestRadSecReadsNoMoreThanMayBeOpen(t *testing.T) {
	s, r, ca := startRadSec(t, nil)
	r.set(func(r *fakeRegistry) { r.hold = true })
	conn := mustConnect(t, s, ca)
	go func() {
		for i := range 300 {
			_, wire := radsecRequest(t, fmt.Sprint(i))
			conn.Write(wire)
		}
	}()
	events := r.wait(t, 256)
	if _, err := readWithin(conn, 100*time.Millisecond); err == nil {
		t.Error("answered before any commit")
	}
	if n := r.count(); n != 256 {
		t.Errorf("%d are open", n)
	}
	for _, ev := range events {
		ev.Ack.Acknowledge(ev.Token, nil)
	}
	r.wait(t, 300)
}

func readWithin(conn *tls.Conn, d time.Duration) (byte, error) {
	conn.SetReadDeadline(time.Now().Add(d))
	var b [1]byte
	_, err := conn.Read(b[:])
	return b[0], err
}

func TestRadSecRepeatsWhatAFullQueueRefused(t *testing.T) {
	s, r, ca := startRadSec(t, nil)
	r.set(func(r *fakeRegistry) { r.refuse = binding.ErrBusy })
	conn := mustConnect(t, s, ca)
	_, wire := radsecRequest(t, "a")
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	r.wait(t, 3)
	r.set(func(r *fakeRegistry) { r.refuse = nil })
	if answer, err := readPacket(conn); err != nil || !layeh.IsAuthenticResponse(answer, wire, []byte("radsec")) {
		t.Errorf("%x, %v", answer, err)
	}
}

func TestRadSecMayHaveHeldARequest(t *testing.T) {
	for claim, c := range map[string]struct{ configured, want time.Duration }{
		"for five minutes by default": {0, 5 * time.Minute},
		"for as long as configured":   {time.Minute, time.Minute},
	} {
		t.Run(claim, func(t *testing.T) {
			s, r, ca := startRadSec(t, func(cfg *radius.RadSec) { cfg.MaxDelay = c.configured })
			conn := mustConnect(t, s, ca)
			p, _ := radsecRequest(t, "a")
			p.Del(rfc2869.EventTimestamp_Type)
			p.Set(rfc2866.AcctDelayTime_Type, layeh.NewInteger(3))
			for _, status := range []rfc2866.AcctStatusType{1, 7} {
				p.Set(rfc2866.AcctStatusType_Type, layeh.NewInteger(uint32(status)))
				if _, err := conn.Write(encode(t, p)); err != nil {
					t.Fatal(err)
				}
			}
			for _, ev := range r.wait(t, 2) {
				if ev.Blind != c.want+3*time.Second || ev.Delayed || ev.Delay != 0 || !ev.Time.IsZero() {
					t.Errorf("%v: %v, %v, %v, at %v", ev.Kind, ev.Blind, ev.Delayed, ev.Delay, ev.Time)
				}
			}
		})
	}
}

func TestRadSecConnectionsAreBounded(t *testing.T) {
	t.Run("in number", func(t *testing.T) {
		s, _, ca := startRadSec(t, func(c *radius.RadSec) { c.MaxConnections = 1 })
		mustConnect(t, s, ca)
		expectMetric(t, s, "radsec_connections_total{what=accepted}", 1)
		if _, err := connect(t, s, &tls.Config{RootCAs: ca.pool}); err == nil {
			t.Error("a second one is admitted")
		}
		expectMetric(t, s, "radsec_connections_total{what=over-limit}", 1)
	})
	t.Run("in idle time", func(t *testing.T) {
		s, _, ca := startRadSec(t, func(c *radius.RadSec) { c.IdleTimeout = 50 * time.Millisecond })
		conn := mustConnect(t, s, ca)
		if _, err := readPacket(conn); !closedByPeer(err) {
			t.Errorf("not closed: %v", err)
		}
	})
	t.Run("by a peer that does not read", func(t *testing.T) {
		s, _, ca := startRadSec(t, func(c *radius.RadSec) { c.WriteTimeout = 100 * time.Millisecond })
		conn := mustConnect(t, s, ca)
		tcp := conn.NetConn().(*net.TCPConn)
		if err := tcp.SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		// Answers as long as they get: all Proxy-States come back.
		p, _ := radsecRequest(t, "a")
		for range 15 {
			addProxyState(p, string(make([]byte, 253)))
		}
		for i := 0; ; i++ {
			p.Set(rfc2866.AcctSessionTime_Type, layeh.NewInteger(uint32(i)))
			p.Identifier = byte(i)
			if _, err := conn.Write(encode(t, p)); err != nil {
				break
			}
			if i == 100_000 {
				t.Fatal("it takes all without an end")
			}
		}
		expectMetric(t, s, "radsec_connections{}", 0)
	})
	t.Run("by the client's removal", func(t *testing.T) {
		s, _, ca := startRadSec(t, nil)
		conn := mustConnect(t, s, ca)
		_, wire := radsecRequest(t, "a")
		if _, err := conn.Write(wire); err != nil {
			t.Fatal(err)
		}
		if _, err := readPacket(conn); err != nil {
			t.Fatal(err)
		}
		if err := s.SetClients(loopback()); err != nil {
			t.Fatal(err)
		}
		conn.Write(wire)
		if _, err := readPacket(conn); err == nil {
			t.Error("still served")
		}
	})
}
