package feed

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// leafReconnect is how long a lost link is left alone.
const leafReconnect = time.Second

// A Leaf joins the embedded server to the operator's cluster as a leaf node. The
// site's stream stays here, in a JetStream domain with the site's name, and the
// cluster's stream sources it: a link that is cut for hours loses nothing.
type Leaf struct {
	// URLs are those of the cluster's leaf node listeners; none: no leaf.
	URLs []string
	// At most one of a .creds file and the seed of an nkey.
	CredsFile, NKeyFile string
	TLS                 TLS
}

func (l Leaf) check() error {
	for _, text := range l.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("leaf url: %w", err)
		}
		if u.Host == "" {
			return fmt.Errorf("leaf url %q has no host: write it as tls://nats.example.net:7422", text)
		}
	}
	switch {
	case len(l.URLs) == 0 && (l.CredsFile+l.NKeyFile != "" || l.TLS != TLS{}):
		return errors.New("the leaf has no urls")
	case l.CredsFile != "" && l.NKeyFile != "":
		return errors.New("leaf: more than one of creds_file and nkey_file")
	case (l.TLS.CertFile == "") != (l.TLS.KeyFile == ""):
		return errors.New("leaf: tls needs both cert_file and key_file, or none")
	}
	return nil
}

// join adds the leaf to the server's options.
func (l Leaf) join(opts *server.Options, site string) error {
	if len(l.URLs) == 0 {
		return nil
	}
	remote := &server.RemoteLeafOpts{
		Credentials: l.CredsFile, Nkey: l.NKeyFile,
		// Changes of others are theirs to store, and nobody there may make ours.
		DenyImports: []string{streamSubjects},
	}
	for _, text := range l.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("leaf url: %w", err)
		}
		remote.URLs = append(remote.URLs, u)
		remote.TLS = remote.TLS || u.Scheme == "tls"
	}
	if l.TLS != (TLS{}) {
		var err error
		if remote.TLSConfig, err = l.TLS.config(); err != nil {
			return fmt.Errorf("leaf: %w", err)
		}
		remote.TLS = true
	}
	opts.JetStreamDomain = site
	opts.LeafNode.Remotes = []*server.RemoteLeafOpts{remote}
	opts.LeafNode.ReconnectInterval = leafReconnect
	return nil
}

// config reads the files.
func (t TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
