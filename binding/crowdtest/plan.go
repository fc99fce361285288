package crowdtest

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
)

// A Plan of a crowd. Zero values mean the defaults.
type Plan struct {
	// Subscribers attach, one after the other, at Rate a second; 100 at 50.
	Subscribers int
	Rate        float64
	// Refresh is how often an attached subscriber is refreshed; zero: never.
	Refresh time.Duration
	// Hold is how long a subscriber stays; zero: it is not detached.
	Hold time.Duration
	// Restart is after what time their node restarts, once; zero: never. Its
	// sessions are gone without a word, and who was attached attaches again.
	Restart time.Duration
	// Duration ends the run. A subscriber that left comes back until then. Zero:
	// the run ends when each came once (and left, with Hold).
	Duration time.Duration
	// Pool and Pool6 give each subscriber an IPv4 address and a /64;
	// 10.45.0.0/16 and none by default.
	Pool, Pool6 netip.Prefix
	APN         string // "internet"
	// FirstMSISDN is the first subscriber's number, +491700000001 by default;
	// FirstIMSI its IMSI, 001010000000001.
	FirstMSISDN binding.MSISDN
	FirstIMSI   uint64
}

// WithDefaults fills in what is zero.
func (p Plan) WithDefaults() Plan {
	p.Subscribers = cmp.Or(p.Subscribers, 100)
	p.Rate = cmp.Or(p.Rate, 50)
	p.Pool = cmp.Or(p.Pool, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 45, 0, 0}), 16))
	p.APN = cmp.Or(p.APN, "internet")
	p.FirstMSISDN = cmp.Or(p.FirstMSISDN, 491700000001)
	p.FirstIMSI = cmp.Or(p.FirstIMSI, 1010000000001)
	return p
}

// Check refuses a plan that cannot be carried out. The defaults are filled in
// before.
func (p Plan) Check() error {
	switch {
	case p.Subscribers < 1 || p.Rate <= 0:
		return errors.New("subscribers and rate must be positive")
	case p.Refresh < 0 || p.Hold < 0 || p.Restart < 0 || p.Duration < 0:
		return errors.New("a duration is negative")
	case !p.Pool.Addr().Is4() || Room(p.Pool, 32) < uint64(p.Subscribers)+1:
		return fmt.Errorf("the pool %v is too small for %d subscribers", p.Pool, p.Subscribers)
	case p.Pool6.IsValid() && Room(p.Pool6, 64) < uint64(p.Subscribers):
		return fmt.Errorf("the pool %v is too small for %d subscribers", p.Pool6, p.Subscribers)
	}
	return nil
}

// A Subscriber as the packet core knows it; the identities are digits.
type Subscriber struct {
	MSISDN, IMSI, IMEISV string
	IPv4                 netip.Addr
	IPv6                 netip.Prefix // invalid without Pool6
}

// Subscriber is the nth, counted from 0. The defaults are filled in before.
func (p Plan) Subscriber(n int) Subscriber {
	s := Subscriber{
		MSISDN: (p.FirstMSISDN + binding.MSISDN(n)).String()[1:],
		IMSI:   fmt.Sprintf("%015d", p.FirstIMSI+uint64(n)),
		IMEISV: fmt.Sprintf("%016d", 3569380300000000+uint64(n)*100),
		IPv4:   Addr(p.Pool, uint64(n)+1),
	}
	if p.Pool6.IsValid() {
		s.IPv6 = Slash64(p.Pool6, uint64(n))
	}
	return s
}
