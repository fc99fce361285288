package config

import (
	"net/netip"

	"github.com/simbind/simbind/diameter"
)

func (s *diameterSection) check(p place) *diameter.Config {
	before := len(p.problems)
	mode := p.key("mode").oneOf(s.Mode, "terminate", "relay")
	cfg := &diameter.Config{
		OriginHost: s.OriginHost, OriginRealm: s.OriginRealm,
		Peers:          s.peers(p.key("peers")),
		Upstreams:      s.upstreams(p.key("upstreams")),
		AnswerTimeout:  p.key("answer_timeout").duration(s.AnswerTimeout),
		Reconnect:      p.key("reconnect").duration(s.Reconnect),
		MaxMessage:     int(p.key("max_message").size(s.MaxMessage)),
		MaxConnections: p.key("max_connections").count(s.MaxConnections, 1<<16),
		InFlight:       p.key("in_flight").count(s.InFlight, 1<<20),
		Watchdog:       p.key("watchdog").duration(s.Watchdog),
	}
	if mode == "relay" {
		cfg.Mode = diameter.Relay
	}
	p.key("origin_host").required(s.OriginHost)
	p.key("origin_realm").required(s.OriginRealm)
	for i, listen := range s.Listen {
		cfg.Listen = append(cfg.Listen, p.key("listen").item(i).listener(listen))
	}
	for i, listen := range s.SCTPListen {
		cfg.SCTPListen = append(cfg.SCTPListen, p.key("sctp_listen").item(i).addressPort(listen))
	}
	if s.TLS != nil {
		cfg.TLS = s.TLS.check(p.key("tls"))
	}
	if len(s.Listen)+len(s.SCTPListen) == 0 && (s.TLS == nil || len(s.TLS.Listen) == 0) {
		p.key("listen").failf("is required: leave the section out, or say where to listen")
	}
	if len(s.Peers) == 0 {
		p.key("peers").warnf("none: nobody will be admitted")
	}
	switch {
	case mode == "relay" && len(s.Upstreams) == 0:
		p.key("upstreams").failf("is required by mode: relay, at least one")
	case mode != "relay" && len(s.Upstreams) > 0:
		p.key("upstreams").failf("only a relay has them: set mode: relay, or remove them")
	}
	if len(p.problems) == before {
		checkServers(p, p.key("upstreams"), cfg.Upstreams, func(list []diameter.Upstream) error {
			c := *cfg
			c.Upstreams = list
			return c.Check()
		})
	}
	return cfg
}

// checkServers checks a section without the servers at list, then each of them with
// those before it, so that what is wrong with one has its line.
func checkServers(section, list place, servers []diameter.Upstream, check func([]diameter.Upstream) error) {
	var any []diameter.Upstream
	if len(servers) > 0 {
		any = []diameter.Upstream{{Host: "any.invalid", Address: "192.0.2.1:3868"}}
	}
	ok := section.check(check(any))
	for i := 0; ok && i < len(servers); i++ {
		ok = list.item(i).check(check(servers[:i+1]))
	}
}

func (s *diameterTLS) check(p place) *diameter.TLS {
	cfg := &diameter.TLS{Config: mutualTLS(p, s.CertFile, s.KeyFile, s.CAFile)}
	for i, listen := range s.Listen {
		cfg.Listen = append(cfg.Listen, p.key("listen").item(i).listener(listen))
	}
	return cfg
}

// addressPort reads an IP address and a port, which a socket of SCTP needs.
func (p place) addressPort(s string) string {
	if _, err := netip.ParseAddrPort(s); err != nil {
		p.failf("%q is not address:port; write it as 192.0.2.1:3868 or [::]:3868", s)
	}
	return s
}

func (s *diameterSection) upstreams(p place) []diameter.Upstream {
	var list []diameter.Upstream
	for i, one := range s.Upstreams {
		at := p.item(i)
		upstream := diameter.Upstream{
			Address: one.Address, Host: one.Host,
			Priority: at.key("priority").count(one.Priority, 1000), Weight: at.key("weight").count(one.Weight, 1000),
			TLS: one.TLS,
		}
		at.key("address").required(one.Address)
		at.key("host").required(one.Host)
		list = append(list, upstream)
	}
	return list
}

func (s *diameterSection) peers(p place) []diameter.Peer {
	var list []diameter.Peer
	for i, one := range s.Peers {
		at := p.item(i)
		peer := diameter.Peer{
			Host: one.Host, Realm: one.Realm, Group: one.Group, Nodes: one.Nodes, MSISDNStrip: one.MSISDNStrip,
		}
		at.key("host").required(one.Host)
		at.key("group").check(peer.Check())
		for j, address := range one.Addresses {
			peer.Addresses = append(peer.Addresses, at.key("addresses").item(j).prefix(address))
		}
		if one.Host == "*" && len(one.Addresses) == 0 {
			at.warnf("admits whoever can reach the listener: name the host, or its addresses")
		}
		list = append(list, peer)
	}
	for i, peer := range list {
		p.item(i).key("host").check(peer.CheckName(list))
	}
	return list
}
