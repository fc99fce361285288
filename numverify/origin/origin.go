package origin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// The header in which listed proxies name the client.
const (
	Forwarded     = "Forwarded"       // RFC 7239
	XForwardedFor = "X-Forwarded-For" // loses the port at most proxies
)

// Config says who is in front of us.
type Config struct {
	// Proxies are the addresses of our own proxies, and of nobody else.
	Proxies []netip.Prefix
	// Header is Forwarded, XForwardedFor, or "" if proxies send none (they speak
	// the PROXY protocol, or there are none).
	Header string
	// NAT64 are prefixes of 96 bits (RFC 6052) behind which the address is an
	// IPv4 one.
	NAT64 []netip.Prefix
}

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	if c.Header != "" && c.Header != Forwarded && c.Header != XForwardedFor {
		return fmt.Errorf("header %q: it is %s, %s or none", c.Header, Forwarded, XForwardedFor)
	}
	if c.Header != "" && len(c.Proxies) == 0 {
		return fmt.Errorf("header %s without a list of proxies: nobody is believed", c.Header)
	}
	for _, p := range c.NAT64 {
		if p.Bits() != 96 || p.Addr().Is4() {
			return fmt.Errorf("NAT64 prefix %v does not have 96 bits", p)
		}
	}
	return nil
}

// A Client is the far end of a connection. Port is 0 where a proxy did not say
// it.
type Client struct {
	Addr netip.Addr
	Port uint16
}

var errUnclear = errors.New("the proxies do not tell where the connection comes from")

// Of tells whose connection a request came over. An error means that it cannot
// be said: a listed proxy said nothing, or nothing that can be read.
func (c Config) Of(r *http.Request) (Client, error) {
	peer, err := parseNode(r.RemoteAddr)
	if err != nil {
		return Client{}, errUnclear
	}
	if c.Header == "" || !c.isProxy(peer.Addr) {
		return c.untranslated(peer), nil
	}
	hops, err := nodes(c.Header, r.Header.Values(c.Header))
	if err != nil {
		return Client{}, err
	}
	// The rightmost name was written by the proxy that we know; each further one
	// to the left counts only while the one beside it is ours too.
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseNode(hops[i])
		if err != nil {
			return Client{}, errUnclear
		}
		if !c.isProxy(hop.Addr) {
			return c.untranslated(hop), nil
		}
	}
	return Client{}, errUnclear
}

func (c Config) isProxy(a netip.Addr) bool {
	for _, p := range c.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// untranslated takes the IPv4 address out of a NAT64 one.
func (c Config) untranslated(n Client) Client {
	for _, p := range c.NAT64 {
		if p.Contains(n.Addr) {
			b := n.Addr.As16()
			n.Addr = netip.AddrFrom4([4]byte(b[12:]))
			break
		}
	}
	return n
}

// maxHeader bounds what is read of all lines of the header.
const maxHeader = 4 << 10

// nodes are the names in a header from left to right.
func nodes(header string, lines []string) ([]string, error) {
	text := strings.Join(lines, ",")
	if len(text) > maxHeader {
		return nil, errUnclear
	}
	var list []string
	for _, element := range splitQuoted(text, ',') {
		element = strings.TrimSpace(element)
		switch {
		case element == "":
		case header == XForwardedFor:
			list = append(list, element)
		default:
			node, ok := forOf(element)
			if !ok {
				return nil, errUnclear
			}
			list = append(list, node)
		}
	}
	return list, nil
}

// forOf is the for parameter of one forwarded-element (RFC 7239 section 4).
func forOf(element string) (node string, ok bool) {
	for _, pair := range splitQuoted(element, ';') {
		name, value, found := strings.Cut(pair, "=")
		if !found || !strings.EqualFold(strings.TrimSpace(name), "for") {
			continue
		}
		if ok {
			return "", false // it says two things
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		node, ok = value, true
	}
	return node, ok
}

// splitQuoted splits at a separator that is outside of quotes.
func splitQuoted(s string, separator byte) []string {
	var list []string
	quoted, from := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			list = append(list, s[from:i])
			from = i + 1
		}
	}
	return append(list, s[from:])
}

// parseNode reads an address with or without a port, IPv6 with or without
// brackets. Names and obfuscated identifiers are no addresses.
func parseNode(s string) (Client, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return checked(a.Addr(), a.Port())
	}
	bare := s
	if n := len(s); n >= 2 && s[0] == '[' && s[n-1] == ']' {
		bare = s[1 : n-1]
	}
	a, err := netip.ParseAddr(bare)
	if err != nil {
		return Client{}, errUnclear
	}
	return checked(a, 0)
}

func checked(a netip.Addr, port uint16) (Client, error) {
	if a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return Client{}, errUnclear
	}
	return Client{a.Unmap(), port}, nil
}
