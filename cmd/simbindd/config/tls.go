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
	pem, _, err := readBounded(caFile, maxFile)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = fmt.Errorf("%s has no PEM certificate", caFile)
	}
	p.key("ca_file").check(err)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, RootCAs: pool, MinVersion: tls.VersionTLS12}
}
