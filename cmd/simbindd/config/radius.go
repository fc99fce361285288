package config

import (
	"net/netip"

	"github.com/simbind/simbind/radius"
)

func (s *radiusSection) check(p place) *radius.Config {
	before := len(p.problems)
	check := func(list []radius.Client) error { return radius.Config{Clients: list}.Check() }
	cfg := &radius.Config{
		Clients:         clients(p.key("clients"), s.Clients, check),
		ReceiveBuffer:   int(p.key("receive_buffer").size(s.ReceiveBuffer)),
		DuplicateWindow: p.key("duplicate_window").duration(s.DuplicateWindow),
	}
	for i, listen := range s.Listen {
		cfg.Listen = append(cfg.Listen, p.key("listen").item(i).listener(listen))
	}
	if len(s.Listen) == 0 && s.RadSec == nil {
		p.failf("has neither listen nor radsec: leave the section out, or say where to listen")
	}
	if len(s.Clients) == 0 {
		p.key("clients").warnf("none: every request will be dropped")
	}
	if s.ProxyTo != nil {
		cfg.ProxyTo = s.ProxyTo.check(p.key("proxy_to"))
	}
	if s.RadSec != nil {
		cfg.RadSec = s.RadSec.check(p.key("radsec"))
	}
	if len(p.problems) == before {
		p.check(cfg.Check())
	}
	return cfg
}

// clients reads a list of clients. Each is checked with those before it, so that
// what is not unique has its line.
func clients(p place, written []radiusClient, check func([]radius.Client) error) []radius.Client {
	var list []radius.Client
	for i, c := range written {
		at, before := p.item(i), len(p.problems)
		client := c.check(at)
		if len(p.problems) > before {
			continue
		}
		list = append(list, client)
		if !at.check(check(list)) {
			break
		}
	}
	return list
}

func (c *radiusClient) check(p place) radius.Client {
	before := len(p.problems)
	client := radius.Client{
		Name:                        c.Name,
		Group:                       c.Group,
		Certificate:                 c.Certificate,
		Secret:                      secretOf(p, c.Secret, c.SecretFile),
		RequireMessageAuthenticator: c.RequireMessageAuthenticator,
		MSISDNStrip:                 c.MSISDNStrip,
		Nodes:                       c.Nodes,
		BlindDelay:                  p.key("blind_delay").durationUpTo(c.BlindDelay, radius.MaxBlindDelay),
		LossTimeout:                 p.key("loss_timeout").durationOrZero(c.LossTimeout),
	}
	if c.Prefix != "" {
		client.Prefix = p.key("prefix").prefix(c.Prefix)
		needSecret(p, before, client.Secret)
	}
	return client
}

// secretOf reads the keys secret and secret_file, of which one may be given.
func secretOf(p place, secret, file string) []byte {
	switch {
	case secret != "" && file != "":
		p.failf("has both secret and secret_file")
	case file != "":
		return p.key("secret_file").secret(file)
	}
	return []byte(secret)
}

// needSecret complains about a secret that is absent, unless it is said already
// what is wrong with it.
func needSecret(p place, before int, secret []byte) {
	if len(secret) == 0 && len(p.problems) == before {
		p.failf("no secret: set secret or secret_file")
	}
}

func (s *radiusProxy) check(p place) *radius.Proxy {
	before := len(p.problems)
	proxy := &radius.Proxy{
		Secret:  secretOf(p, s.Secret, s.SecretFile),
		Timeout: p.key("timeout").duration(s.Timeout),
		Pending: p.key("pending").count(s.Pending, 1<<18),
	}
	needSecret(p, before, proxy.Secret)
	at := p.key("server")
	if !at.required(s.Server) {
		return proxy
	}
	server, err := netip.ParseAddrPort(s.Server)
	if err != nil {
		at.failf("%q is not address:port; write it as 192.0.2.1:1813", s.Server)
		return proxy
	}
	proxy.Server = server
	if len(p.problems) == before {
		p.check(radius.Config{ProxyTo: proxy}.Check())
	}
	return proxy
}

func (s *radsecSection) check(p place) *radius.RadSec {
	cfg := &radius.RadSec{
		MaxConnections: p.key("max_connections").count(s.MaxConnections, 1<<16),
		IdleTimeout:    p.key("idle_timeout").duration(s.IdleTimeout),
	}
	for i, listen := range s.Listen {
		cfg.Listen = append(cfg.Listen, p.key("listen").item(i).listener(listen))
	}
	if len(s.Listen) == 0 {
		p.key("listen").failf("is required")
	}
	cfg.TLS = mutualTLS(p, s.CertFile, s.KeyFile, s.CAFile)
	return cfg
}
