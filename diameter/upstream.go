package diameter

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"net"
	"slices"
	"strings"
)

// An Upstream is a PCRF, or an agent before it, to which a relay forwards.
type Upstream struct {
	// Address is where it listens, "host:port".
	Address string
	// Host is its Origin-Host, unique among the upstreams.
	Host string
	// Priority: a lower one is preferred as long as one of it answers.
	Priority int
	// Weight is the share among those of one priority, 1 by default.
	Weight int
	// TLS: the connection is secured from its start.
	TLS bool
}

// An upstream is an Upstream as it is used.
type upstream struct {
	Upstream
	peer *peer
	salt uint64
}

// upstreams are all of them, the preferred first. The list is read-only.
type upstreams struct {
	list []*upstream
	seed maphash.Seed
}

func newUpstreams(cfg []Upstream, peers *peers) *upstreams {
	u := &upstreams{seed: maphash.MakeSeed()}
	for _, one := range cfg {
		one.Weight = max(one.Weight, 1)
		u.list = append(u.list, &upstream{Upstream: one, peer: peers.get(one.Host), salt: maphash.String(u.seed, one.Host)})
	}
	slices.SortStableFunc(u.list, func(a, b *upstream) int { return a.Priority - b.Priority })
	return u
}

// choose picks the upstream of a session among those that are usable: of the
// best priority that has one, by weight, and the same for all requests of a
// session as long as it lasts. One whose watchdog is in doubt is better than
// none.
func (u *upstreams) choose(session []byte, usable func(*conn) bool) *conn {
	if to := u.pick(session, func(c *conn) bool { return usable(c) && !c.troubled.Load() }); to != nil {
		return to
	}
	return u.pick(session, usable)
}

func (u *upstreams) pick(session []byte, usable func(*conn) bool) (best *conn) {
	hash := maphash.Bytes(u.seed, session)
	var top float64
	var priority int
	for _, one := range u.list {
		c := one.peer.conn.Load()
		if !usable(c) {
			continue
		}
		if best != nil && one.Priority != priority {
			return best
		}
		// Weighted rendezvous: each upstream draws a number for the session.
		draw := (float64(mix(hash^one.salt)>>11) + 1) / (1 << 53)
		if score := -float64(one.Weight) / math.Log(draw); best == nil || score > top {
			best, top, priority = c, score, one.Priority
		}
	}
	return best
}

// mix spreads the bits of a hash (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (s *Server) isUpstream(p *peer) bool {
	return slices.ContainsFunc(s.upstreams.list, func(u *upstream) bool { return u.peer == p })
}

// keep connects to an upstream whenever it is not connected, until ctx ends.
func (s *Server) keep(ctx context.Context, u *upstream) error {
	failed := false
	for {
		if !u.peer.isOpen() {
			wait, err := s.connect(ctx, u)
			if err != nil && !failed && ctx.Err() == nil {
				s.log.Warn("upstream not reached", "host", u.Host, "address", u.Address, "err", err)
			}
			failed = err != nil
			if wait && !pause(ctx, jittered(20*s.cfg.Reconnect)) {
				return nil
			}
		}
		if !pause(ctx, jittered(s.cfg.Reconnect)) {
			return nil
		}
	}
}

// connect serves one connection to its end. The error says why there was none;
// unwanted, that the peer wants no other soon.
func (s *Server) connect(ctx context.Context, u *upstream) (unwanted bool, err error) {
	dialer := net.Dialer{Timeout: s.cfg.CapabilitiesTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", u.Address)
	if err != nil {
		return false, err
	}
	if u.TLS {
		raw = s.dialSecure(raw, u.Host)
	}
	s.counts.connections.Add(1)
	defer s.counts.connections.Add(-1)
	c := newConn(s, raw, true)
	c.wanted = u.Host
	c.serve(ctx)
	s.closed(ctx, c)
	if !c.ready() {
		return false, c.cause
	}
	return c.unwanted.Load(), nil
}

// requestCapabilities sends our Capabilities-Exchange-Request.
func (c *conn) requestCapabilities() {
	s := c.server
	buf, ok := c.out.lock()
	if ok {
		start := len(buf)
		buf = appendHeader(buf, flagRequest, cmdCapabilities, appBase, c.nextHopByHop(), s.nextEndToEnd())
		buf = s.appendCapabilities(buf, c.raw.LocalAddr())
		buf = endMessage(buf, start)
	}
	c.out.unlock(buf)
	c.out.flush()
}

var errNotCEA = errors.New("the first message is not a Capabilities-Exchange-Answer")

// confirm takes the answer to it.
func (c *conn) confirm(m frame) error {
	if m.command() != cmdCapabilities || m.request() {
		return errNotCEA
	}
	said, err := readCapabilities(m)
	switch {
	case err != nil:
		return err
	case resultCode(said.result) != resultSuccess:
		return fmt.Errorf("%s refuses us with result %d", said.host, said.result)
	case !strings.EqualFold(said.host, c.wanted), !c.certified(said.host):
		return fmt.Errorf("its Origin-Host is %q, not %q", said.host, c.wanted)
	case !said.common(c.server.applications):
		return errors.New("it has none of our applications")
	}
	c.rule.Store(&Peer{Host: said.host})
	if result, why := c.take(&said); result != resultSuccess {
		return errors.New(why)
	}
	return nil
}
