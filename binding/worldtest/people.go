package worldtest

import (
	"fmt"
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// A sim is a subscriber's card.
type sim struct {
	id      int
	imsi    binding.IMSI
	numbers []binding.MSISDN // in their order; the last is the present one
	open    []*stay
	stays   []*stay // all of them, lies not
	lied    bool    // a liar named it
}

func newSIM(id int) *sim {
	imsi, err := binding.ParseIMSI(fmt.Sprintf("00101%010d", id+1))
	if err != nil {
		panic(err)
	}
	s := &sim{id: id, imsi: imsi}
	s.renumber()
	return s
}

// renumber gives the SIM a number that nobody ever had.
func (s *sim) renumber() {
	s.numbers = append(s.numbers, binding.MSISDN(491_700_000_000+uint64(s.id+1)*1000+uint64(len(s.numbers))))
}

func (s *sim) number() binding.MSISDN { return s.numbers[len(s.numbers)-1] }

// A stay is one stay of a SIM at a gateway, from its true begin to its true
// end: a session, whoever tells of it.
type stay struct {
	id         int
	sim        *sim
	gw         *gateway
	domain     *domain
	begin, end tick // end is forever while it lasts
	changed    tick // when its number or addresses last changed
	claims     []*claim
	legs       []*leg
	bearer     uint16 // its first bearer context
	handedOver bool   // its address is also held by another stay of the SIM
	replaced   *stay  // the next stay of the SIM there, which ended it silently
	liar       bool
}

func (s *stay) lasts() bool { return s.end == forever }

// A leg is a stay as one source tells of it.
type leg struct {
	id, index int // index is its place in the stay
	stay      *stay
	voice     *voice
	session   string
	order     uint32
	said      int  // words
	prev      *leg // that used the session's id before
	next      *leg // that used it after
	second    bool // a second bearer context is open
}

// A claim is an address of a stay from one true time to another.
type claim struct {
	id       int
	stay     *stay
	plot     *plot
	addr     binding.Address
	from, to tick
}

// A domain is an address domain.
type domain struct {
	id   int
	name string
	apn  string
}

// A shape says what is given out of a plot.
type shape uint8

const (
	single shape = iota // one IPv4 address
	shared              // one IPv4 address, mostly by blocks of ports
	routed              // an IPv4 network of 16 addresses and parts of it
	wide                // an IPv6 /56 and each /64 of it
	shapes
)

// A plot is a range of a domain that overlaps with no other one. What is given
// out of it may overlap.
type plot struct {
	id       int
	domain   *domain
	gw       *gateway // nil: any
	shape    shape
	base     netip.Prefix
	claims   []*claim
	liar     bool   // a liar claimed something of it
	released tick   // when an operator last released something of it
	voices   uint64 // that spoke of it, by id
}

// overlap reports whether two addresses have anything in common.
func overlap(a, b binding.Address) bool {
	if !a.Prefix.Overlaps(b.Prefix) {
		return false
	}
	if whole(a) || whole(b) {
		return true
	}
	return a.PortLow <= b.PortHigh && b.PortLow <= a.PortHigh
}

// whole reports whether an address has all ports.
func whole(a binding.Address) bool { return a.PortLow|a.PortHigh == 0 }

// covers reports whether an address has the one that is asked for, in part at
// least if no port is named.
func covers(a binding.Address, addr netip.Addr, port uint16) bool {
	return a.Prefix.Contains(addr) && (whole(a) || port == 0 || a.PortLow <= port && port <= a.PortHigh)
}

// A family is one that a complete list of addresses speaks for.
func family(a binding.Address) uint8 {
	switch {
	case !whole(a):
		return 2
	case a.Is4():
		return 1
	}
	return 4
}
