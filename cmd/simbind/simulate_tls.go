package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/spf13/cobra"
)

// A security is how a simulated node proves who it is, and whom it believes.
type security struct{ ca, cert, key, name string }

func (s *security) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.ca, "tls-ca", "", "connect over TLS to a server whose certificate is signed by this authority (PEM)")
	flags.StringVar(&s.cert, "tls-cert", "", "our certificate (PEM), of the Origin-Host; needs --tls-ca")
	flags.StringVar(&s.key, "tls-key", "", "its key (PEM)")
	flags.StringVar(&s.name, "tls-name", "", "the server's name in its certificate (default the host of --server)")
}

// read makes a configuration of it; nil: no TLS.
func (s *security) read() (*tls.Config, error) {
	switch {
	case s.ca == "" && s.cert+s.key+s.name == "":
		return nil, nil
	case s.ca == "" || s.cert == "" || s.key == "":
		return nil, usagef("--tls-ca, --tls-cert and --tls-key belong together")
	}
	text, err := os.ReadFile(s.ca)
	if err != nil {
		return nil, usagef("--tls-ca: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("--tls-ca: %s has no certificate", s.ca)
	}
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return nil, usagef("--tls-cert: %v", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: s.name, MinVersion: tls.VersionTLS12}, nil
}
