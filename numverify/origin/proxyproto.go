package origin

import (
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// headerTime bounds the wait for a proxy's header.
const headerTime = 3 * time.Second

// Listen has connections from the listed proxies begin with a PROXY header
// (version 1 or 2), which is then the connection's address and port; without
// one they are closed. Anybody else who sends one is closed too.
func (c Config) Listen(ln net.Listener) net.Listener {
	return &proxyproto.Listener{
		Listener: ln, ReadHeaderTimeout: headerTime,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			from, err := netip.ParseAddrPort(o.Upstream.String())
			if err == nil && c.isProxy(from.Addr().Unmap()) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.REJECT, nil
		},
	}
}
