package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// How the text of one value becomes what it means. Each complains at its place
// and then returns zero; absent values are zero without a complaint.

// duration reads a duration above zero: zero would silently mean the default.
func (p place) duration(s string) time.Duration {
	before := len(p.problems)
	d := p.durationOrZero(s)
	if s != "" && d == 0 && len(p.problems) == before {
		p.failf("%q: a duration must be above zero", s)
	}
	return d
}

// durationUpTo reads a duration above zero that is not beyond a limit.
func (p place) durationUpTo(s string, limit time.Duration) time.Duration {
	d := p.duration(s)
	if d > limit {
		p.failf("%q: a duration of at most %v", s, limit)
		return 0
	}
	return d
}

// durationOrZero reads a duration of which zero has a meaning of its own.
func (p place) durationOrZero(s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		p.failf("%q is not a duration; write it as 24h, 90s or 1h30m", s)
		return 0
	}
	if d < 0 {
		p.failf("%q: a duration must not be negative", s)
		return 0
	}
	return d
}

// count reads a number from 1 to limit.
func (p place) count(n *int, limit int) int {
	switch {
	case n == nil:
		return 0
	case *n < 1 || *n > limit:
		p.failf("%d is not within 1 to %d", *n, limit)
		return 0
	}
	return *n
}

var sizeUnits = []struct {
	suffix string
	shift  int
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"", 0}}

// size reads a number of bytes, plain or in KiB, MiB, GiB or TiB.
func (p place) size(s string) int64 {
	if s == "" {
		return 0
	}
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 1 || n > 1<<62>>u.shift {
			break
		}
		return n << u.shift
	}
	p.failf("%q is not a size; write it as 512MiB or 4GiB", s)
	return 0
}

// prefix reads an IP prefix; a single address is a prefix of its own. Bits
// beyond the prefix are refused: they are a typo more often than not.
func (p place) prefix(s string) netip.Prefix {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen())
	}
	q, err := netip.ParsePrefix(s)
	switch {
	case err != nil || q.Addr().Is4In6():
		p.failf("%q is not a prefix; write it as 10.45.0.0/16 or 2001:db8::/32", s)
		return netip.Prefix{}
	case q != q.Masked():
		p.failf("%q has bits set beyond its length; write %v", s, q.Masked())
		return netip.Prefix{}
	}
	return q
}

// listener reads "host:port" to listen on. The host is an address, so that
// nothing depends on a resolver at start; an empty one means all addresses.
func (p place) listener(s string) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		p.failf("%q is not host:port; write it as 127.0.0.1:1813 or [::]:1813", s)
		return ""
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		p.failf("%q: %q is not an IP address", s, host)
		return ""
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		p.failf("%q: port %q is not within 0 to 65535", s, port)
		return ""
	}
	return s
}

// isLoopback reports whether only this host can reach the listener.
func isLoopback(listen string) bool {
	host, _, _ := net.SplitHostPort(listen)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// oneOf reads a word out of few; absent means the first.
func (p place) oneOf(s string, words ...string) string {
	if s == "" {
		return words[0]
	}
	for _, w := range words {
		if s == w {
			return s
		}
	}
	p.failf("%q: choose %s", s, strings.Join(words, ", "))
	return words[0]
}

// required complains about an absent value.
func (p place) required(s string) bool {
	if s == "" {
		p.failf("is required")
	}
	return s != ""
}
