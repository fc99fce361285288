package diameter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// TLS has peers and us prove who they are (RFC 6733 section 13.1).
type TLS struct {
	// Listen are the TCP addresses, "host:port"; none: we only connect.
	Listen []string
	// Config holds our certificate; ClientCAs signs those of who connects,
	// RootCAs those of upstreams. A certificate is always demanded, and TLS 1.2
	// at least.
	Config *tls.Config
}

func (t *TLS) check() error {
	switch {
	case t == nil:
		return nil
	case t.Config == nil || len(t.Config.Certificates) == 0 && t.Config.GetCertificate == nil:
		return errors.New("diameter tls: no certificate")
	case t.Config.ClientCAs == nil || t.Config.RootCAs == nil:
		return errors.New("diameter tls: no authority for the certificates of peers")
	}
	return nil
}

// A secureListener accepts over TLS. The handshake is the connection's own
// business, so that a slow one holds nobody up.
type secureListener struct {
	net.Listener
	config *tls.Config
}

func newSecureListener(l net.Listener, config *tls.Config) secureListener {
	config = config.Clone()
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.GetConfigForClient = nil
	return secureListener{l, config}
}

// Accept implements net.Listener.
func (l secureListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(raw, l.config), nil
}

// dialSecure connects to an upstream, whose certificate has to be of its
// Origin-Host.
func (s *Server) dialSecure(raw net.Conn, host string) net.Conn {
	config := s.cfg.TLS.Config.Clone()
	config.ServerName = host
	config.InsecureSkipVerify = false
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return tls.Client(raw, config)
}

// secure does the handshake of a connection over TLS. It returns the names in
// the peer's certificate, nil without TLS.
func (c *conn) secure(ctx context.Context) (names []string, err error) {
	conn, ok := c.raw.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	ctx, cancel := context.WithDeadline(ctx, time.Now().Add(c.server.cfg.CapabilitiesTimeout))
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return certificateNames(conn.ConnectionState().PeerCertificates[0]), nil
}

// certificateNames are the DNS names of a certificate or, if it has none, its
// common name.
func certificateNames(cert *x509.Certificate) []string {
	if len(cert.DNSNames) > 0 {
		return cert.DNSNames
	}
	return []string{cert.Subject.CommonName}
}

// certified reports whether a peer may name itself so: over TLS, as its
// certificate does.
func (c *conn) certified(host string) bool {
	return c.names == nil || slices.ContainsFunc(c.names, func(name string) bool { return strings.EqualFold(name, host) })
}
