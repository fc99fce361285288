package main

import (
	"hash/maphash"
	"net/netip"
	"strconv"
	"sync/atomic"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/cache"
)

// nearGroups is how many counts of changes there are, a power of two: answers
// of one count become void together.
const nearGroups = 1 << 14

// A nearby keeps what other sites said, each answer under the very address that
// was asked about: within a /64 others may hold single addresses. A change voids
// the whole group of its address, an IPv4 address or an IPv6 /64: the key has the
// group's count of changes, so that nobody asks for an answer of before.
type nearby struct {
	*cache.Near[string, feed.Holder]
	seed    maphash.Seed
	changes [nearGroups]atomic.Uint64
}

func newNearby(entries int) (*nearby, error) {
	near, err := cache.New[string, feed.Holder](cache.Config{Entries: entries})
	if err != nil {
		return nil, err
	}
	return &nearby{Near: near, seed: maphash.MakeSeed()}, nil
}

// changed makes void what is near of an address and its group. Of a prefix wider
// than a group, and where the address is not known, it is everything.
func (n *nearby) changed(site string, addr binding.Address) {
	p := addr.Prefix
	if site == "" || !p.IsValid() || p.Addr().Is4() && p.Bits() < 32 || p.Addr().Is6() && p.Bits() < 64 {
		n.InvalidateAll()
		return
	}
	n.group(site, p.Addr()).Add(1)
}

// group is the count of changes of the address and its neighbours.
func (n *nearby) group(site string, addr netip.Addr) *atomic.Uint64 {
	if addr.Is6() {
		p, _ := addr.Prefix(64) // of an IPv6 address there is one
		addr = p.Addr()
	}
	type at struct {
		site string
		addr netip.Addr
	}
	return &n.changes[maphash.Comparable(n.seed, at{site, addr})%nearGroups]
}

// key names what is kept: the answer about an address, in an epoch of the site
// and after as many changes as there were.
func (n *nearby) key(site string, epoch uint64, addr netip.Addr) string {
	b := append(make([]byte, 0, 128), site...)
	b = addr.AppendTo(append(b, ' '))
	b = strconv.AppendUint(append(b, ' '), epoch, 10)
	return string(strconv.AppendUint(append(b, ' '), n.group(site, addr).Load(), 10))
}
