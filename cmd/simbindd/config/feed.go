package config

import (
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/registry"
)

// A siteList is names of sites, or "*" for all.
type siteList []string

// UnmarshalYAML takes a list, or one name alone.
func (l *siteList) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = siteList{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

func (f *file) feed(p place) feed.Config {
	s, nats := f.NATS, p.key("nats")
	cfg := feed.Config{
		Site:      f.Site,
		URL:       s.URL,
		CredsFile: nats.key("creds_file").secretFile(s.CredsFile),
		NKeyFile:  nats.key("nkey_file").secretFile(s.NKeyFile),
		TokenFile: nats.key("token_file").secretFile(s.TokenFile),
		TLS: feed.TLS{
			CAFile:   nats.key("tls").key("ca_file").publicFile(s.TLS.CAFile),
			CertFile: nats.key("tls").key("cert_file").publicFile(s.TLS.CertFile),
			KeyFile:  nats.key("tls").key("key_file").secretFile(s.TLS.KeyFile),
		},
		Embedded:      s.Embedded.check(nats.key("embedded"), f.DataDir),
		Stream:        s.Stream.check(nats.key("stream")),
		Hold:          nats.key("hold").duration(s.Hold),
		PublishMSISDN: p.key("privacy").key("publish_msisdn").oneOf(f.Privacy.PublishMSISDN, feed.None, feed.Clear, feed.SHA256),
		Service:       s.Service != nil && *s.Service,
		Follow:        feed.Follow{Sites: f.Follow, File: filepath.Join(f.DataDir, "follow.json"), Submit: func(binding.Event) error { return binding.ErrClosed }},
		Pair:          feed.Pair{Member: f.Pair, File: filepath.Join(f.DataDir, "pair.json"), Registry: (*registry.Registry)(nil)},
	}
	f.askFeed(p, cfg)
	s.refuseIdle(nats)
	return cfg
}

// askFeed reports what the feed itself refuses, at the key that is to blame.
func (f *file) askFeed(p place, cfg feed.Config) {
	if !p.key("site").required(f.Site) {
		return
	}
	good := feed.Config{Site: "x", Journal: binding.JournalMeta{Incarnation: "x"}, URL: "nats://x", PublishMSISDN: feed.None}
	stream := p.key("nats").key("stream")
	for _, part := range []struct {
		at  place
		set func(*feed.Config)
	}{
		{p.key("site"), func(c *feed.Config) { c.Site = cfg.Site }},
		{stream.key("name"), func(c *feed.Config) { c.Stream.Name = cfg.Stream.Name }},
		{stream.key("max_age"), func(c *feed.Config) { c.Stream.MaxAge = cfg.Stream.MaxAge }},
		{stream.key("max_bytes"), func(c *feed.Config) { c.Stream.MaxBytes = cfg.Stream.MaxBytes }},
		{stream.key("replicas"), func(c *feed.Config) { c.Stream.Replicas = cfg.Stream.Replicas }},
		{p.key("follow"), func(c *feed.Config) { c.Site, c.Follow = cfg.Site, cfg.Follow }},
		{p.key("pair"), func(c *feed.Config) {
			c.Pair, c.URL, c.Service, c.Embedded.StoreDir = cfg.Pair, cfg.URL, cfg.Service, "x"
		}},
		{p.key("nats"), func(c *feed.Config) {
			*c = cfg
			c.Journal = good.Journal
			if c.Embedded.StoreDir == "" {
				c.Embedded.StoreDir = "x" // data_dir is missing, which is said elsewhere
			}
		}},
	} {
		c := good
		part.set(&c)
		if !part.at.check(c.Check()) {
			return
		}
	}
}

// refuseIdle refuses keys that the others make meaningless.
func (s *natsSection) refuseIdle(p place) {
	switch {
	case s.URL != "" && s.Embedded != embeddedSection{}:
		p.key("embedded").failf("has no effect with nats.url, which names the operator's servers")
	case s.URL == "" && (s.CredsFile+s.NKeyFile+s.TokenFile != "" || s.TLS != tlsClient{}):
		p.failf("creds_file, nkey_file, token_file and tls are for nats.url, which is empty")
	}
}

func (s *embeddedSection) check(p place, dataDir string) feed.Embedded {
	cfg := feed.Embedded{
		TokenFile: p.key("token_file").secretFile(s.TokenFile),
		CertFile:  p.key("cert_file").publicFile(s.CertFile),
		KeyFile:   p.key("key_file").secretFile(s.KeyFile),
		MaxBytes:  p.key("max_bytes").size(s.MaxBytes),
	}
	if s.Listen != "" {
		cfg.Listen = p.key("listen").listener(s.Listen)
	}
	if s.Leaf != nil {
		cfg.Leaf = s.Leaf.check(p.key("leaf"))
	}
	if dataDir != "" {
		cfg.StoreDir = filepath.Join(dataDir, "nats")
	}
	return cfg
}

func (s *leafSection) check(p place) feed.Leaf {
	if len(s.URLs) == 0 {
		p.key("urls").failf("is required: the leaf node listeners of the cluster")
	}
	return feed.Leaf{
		URLs: s.URLs, CredsFile: p.key("creds_file").secretFile(s.CredsFile), NKeyFile: p.key("nkey_file").secretFile(s.NKeyFile),
		TLS: feed.TLS{
			CAFile:   p.key("tls").key("ca_file").publicFile(s.TLS.CAFile),
			CertFile: p.key("tls").key("cert_file").publicFile(s.TLS.CertFile),
			KeyFile:  p.key("tls").key("key_file").secretFile(s.TLS.KeyFile),
		},
	}
}

func (s *streamSection) check(p place) feed.Stream {
	return feed.Stream{
		Name:     s.Name,
		MaxAge:   p.key("max_age").duration(s.MaxAge),
		MaxBytes: p.key("max_bytes").size(s.MaxBytes),
		Replicas: p.key("replicas").count(s.Replicas, 5),
	}
}
