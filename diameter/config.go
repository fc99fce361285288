package diameter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// A Mode is what the edge is to its peers.
type Mode uint8

// The modes.
const (
	// Terminate: requests are answered here.
	Terminate Mode = iota
	// Relay: requests are forwarded to an upstream, and read on the way.
	Relay
)

// Config of the Gx edge. Zero values mean the defaults.
type Config struct {
	Mode Mode
	// Listen are the TCP addresses, "host:port"; without a host, all of them.
	Listen []string
	// TLS, if not nil, is a second way in, and to upstreams that want it.
	TLS *TLS
	// SCTPListen are IP addresses with ports on which SCTP is spoken.
	SCTPListen []string
	// OriginHost and OriginRealm are our DiameterIdentity (RFC 6733 section
	// 4.3.1).
	OriginHost, OriginRealm string
	// Peers are who may connect; the first that fits decides.
	Peers []Peer
	// Upstreams are where a relay forwards to; none without one.
	Upstreams []Upstream
	// AnswerTimeout is how long a relay waits for an answer before it says
	// UNABLE_TO_DELIVER, 10 s by default.
	AnswerTimeout time.Duration
	// Reconnect is how long a lost upstream is left alone, Tc of RFC 6733
	// section 2.1; 5 s by default.
	Reconnect time.Duration
	// MaxMessage is the longest message that is read, in octets, MaxMessage by
	// default and at most.
	MaxMessage int
	// MaxConnections bounds the connections, 256 by default.
	MaxConnections int
	// InFlight bounds, for each connection, the requests that wait for their
	// commit, and those forwarded on it that wait for their answer; 4096 by default. Those above it are answered TOO_BUSY.
	InFlight int
	// CapabilitiesTimeout bounds the time from connecting to the end of the
	// capabilities exchange, 10 s by default.
	CapabilitiesTimeout time.Duration
	// Watchdog is Tw of RFC 3539 section 3.4.1, 30 s by default.
	Watchdog time.Duration
	// WriteTimeout ends a connection whose peer does not read, 10 s by default.
	WriteTimeout time.Duration
	// OriginState is our Origin-State-Id, larger with each start; the seconds
	// of the clock by default.
	OriginState uint32
	// Known are nodes of which the Registry has sessions from before; until they
	// are heard they count as down (rule T8). Nil: none.
	Known func() []NodeName
	// Now is the clock, time.Now by default.
	Now func() time.Time
}

// A Peer says who may connect, and what it may say. What is empty admits all.
type Peer struct {
	// Host is the peer's Origin-Host; "*" or nothing is any.
	Host string
	// Realm is the peer's Origin-Realm.
	Realm string
	// Group names peers that stand for each other, a pair of agents: what they
	// bring has one owner, so that a session may begin through one and end
	// through another. Without a group each peer is an owner of its own, by its
	// Origin-Host, and a host heard through two of them is two nodes.
	Group string
	// Addresses hold the address that the peer connects from.
	Addresses []netip.Prefix
	// Nodes are the Origin-Hosts of requests that the peer may send: itself
	// and, of an agent, those behind it.
	Nodes []string
	// MSISDNStrip are prefixes of which the first that fits is taken off an
	// END_USER_E164; nil means "+" and "00".
	MSISDNStrip []string
}

func (c Config) withDefaults() Config {
	number := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	duration := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	number(&c.MaxMessage, MaxMessage)
	number(&c.MaxConnections, 256)
	number(&c.InFlight, 4096)
	duration(&c.CapabilitiesTimeout, 10*time.Second)
	duration(&c.Watchdog, 30*time.Second)
	duration(&c.AnswerTimeout, 10*time.Second)
	duration(&c.Reconnect, 5*time.Second)
	duration(&c.WriteTimeout, 10*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// minMessage has room for what every peer sends.
const minMessage = 4096

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.MaxMessage < minMessage || c.MaxMessage > MaxMessage:
		return fmt.Errorf("diameter: max_message %d is not within %d to %d", c.MaxMessage, minMessage, MaxMessage)
	case c.MaxConnections < 1 || c.MaxConnections > 1<<16:
		return fmt.Errorf("diameter: max_connections %d is not within 1 to %d", c.MaxConnections, 1<<16)
	case c.InFlight < 1 || c.InFlight > 1<<slotBits:
		return fmt.Errorf("diameter: in_flight %d is not within 1 to %d", c.InFlight, 1<<slotBits)
	case c.CapabilitiesTimeout < 0 || c.Watchdog < 0 || c.WriteTimeout < 0 || c.AnswerTimeout < 0 || c.Reconnect < 0:
		return errors.New("diameter: a time limit is negative")
	}
	if err := checkIdentity("origin_host", c.OriginHost); err != nil {
		return err
	}
	if err := checkIdentity("origin_realm", c.OriginRealm); err != nil {
		return err
	}
	for _, p := range c.Peers {
		if err := errors.Join(p.Check(), p.CheckName(c.Peers)); err != nil {
			return err
		}
	}
	return errors.Join(c.checkUpstreams(), c.TLS.check())
}

func (c Config) checkUpstreams() error {
	if (c.Mode == Relay) != (len(c.Upstreams) > 0) {
		return errors.New("diameter: a relay has upstreams, and only a relay has")
	}
	known := map[string]bool{strings.ToLower(c.OriginHost): true}
	for _, u := range c.Upstreams {
		if err := checkIdentity("upstream host", u.Host); err != nil {
			return err
		}
		if _, _, err := net.SplitHostPort(u.Address); err != nil {
			return fmt.Errorf("diameter: upstream address %q is not host:port", u.Address)
		}
		if u.TLS && c.TLS == nil {
			return fmt.Errorf("diameter: upstream tls: %s wants it, and the section tls is missing", u.Host)
		}
		if known[strings.ToLower(u.Host)] {
			return fmt.Errorf("diameter: upstream host %s is named twice, or like us", u.Host)
		}
		known[strings.ToLower(u.Host)] = true
		if u.Weight < 0 || u.Weight > 1000 || u.Priority < 0 || u.Priority > 1000 {
			return fmt.Errorf("diameter: upstream %s: priority and weight are within 0 to 1000", u.Host)
		}
	}
	return nil
}

// maxIdentity is how long a domain name may be.
const maxIdentity = 255

// checkIdentity demands a DiameterIdentity: a domain name (RFC 6733 section
// 4.3.1).
func checkIdentity(key, name string) error {
	if name == "" {
		return fmt.Errorf("diameter: %s is empty", key)
	}
	if !isName(name) {
		return fmt.Errorf("diameter: %s %q is not a domain name", key, name)
	}
	return nil
}

// isName reports whether every character is one that a domain name may have, or
// nearly.
func isName(s string) bool {
	return len(s) <= maxIdentity && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '/' || c == ';' })
}

// Check reports what is wrong with the entry.
func (p Peer) Check() error {
	if !isName(p.Group) {
		return fmt.Errorf("diameter: group %q has a space in it, or another character that a domain name has not", p.Group)
	}
	return nil
}

// MayOwn reports whether peers of a list may bring what has an owner: a group of
// it, or a host without one.
func MayOwn(list []Peer, owner string) bool {
	for _, p := range list {
		if p.Group == owner {
			return true
		}
	}
	for _, p := range list {
		if p.Host != "" && p.Host != "*" && !strings.EqualFold(p.Host, owner) {
			continue
		}
		if p.Group == "" {
			return true
		}
		if p.Realm == "" && len(p.Addresses) == 0 {
			return false // it fits always, and the first decides
		}
	}
	return false
}

// CheckName reports that the entry's host is called like a group of one of all
// that it is not of: it could never connect, as it would be taken for the group.
func (p Peer) CheckName(all []Peer) error {
	for _, other := range all {
		if other.Group != "" && p.Group != other.Group && strings.EqualFold(p.Host, other.Group) {
			return fmt.Errorf("diameter: host %s is called like the group %s, which only its members may be: give it that group, or the group another name", p.Host, other.Group)
		}
	}
	return nil
}

// admits reports whether a peer that names itself so, from there, is meant.
func (p *Peer) admits(host, realm string, from netip.Addr) bool {
	if p.Host != "" && p.Host != "*" && !strings.EqualFold(p.Host, host) {
		return false
	}
	if p.Realm != "" && !strings.EqualFold(p.Realm, realm) {
		return false
	}
	if len(p.Addresses) == 0 {
		return true
	}
	for _, prefix := range p.Addresses {
		if prefix.Contains(from) {
			return true
		}
	}
	return false
}

// allows reports whether the peer may speak for a node.
func (p *Peer) allows(node string) bool {
	if len(p.Nodes) == 0 {
		return true
	}
	for _, name := range p.Nodes {
		if strings.EqualFold(name, node) {
			return true
		}
	}
	return false
}
