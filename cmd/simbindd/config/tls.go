package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// mutualTLS reads the keys cert_file, key_file and ca_file, which all are
// required, once: new certificates need a restart.
func mutualTLS(p place, certFile, keyFile, caFile string) *tls.Config {
	cert, key, ca := p.key("cert_file").required(certFile), p.key("key_file").required(keyFile), p.key("ca_file").required(caFile)
	if !cert || !key || !ca {
		return nil
	}
	p.key("key_file").secretFile(keyFile)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		p.key("cert_file").failf("%v", err)
	}
	pool := authorities(p.key("ca_file"), caFile)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// authorities reads certificates to trust.
func authorities(p place, file string) *x509.CertPool {
	pem, _, err := readBounded(file, maxFile)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = fmt.Errorf("%s has no PEM certificate", file)
	}
	p.check(err)
	return pool
}

// check reads the certificates, once: new ones need a restart. Nil: the
// system's authorities, and none of ours.
func (s *tlsClient) check(p place) *tls.Config {
	if s == nil {
		return nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		cfg.RootCAs = authorities(p.key("ca_file"), s.CAFile)
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		p.failf("needs both cert_file and key_file, or none")
		return cfg
	}
	if s.CertFile != "" {
		p.key("key_file").secretFile(s.KeyFile)
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		p.key("cert_file").check(err)
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}
