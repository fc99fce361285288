package binding

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config of the Registry. Zero durations and sizes mean the default.
type Config struct {
	// Site is this sidecar's name.
	Site string
	// Capacity is how many sessions fit (tombstones included); Addresses how
	// many addresses, 2 × Capacity by default. Memory for both is reserved at
	// start and touched as it fills.
	Capacity, Addresses int
	// Tombstones bounds the ended sessions that are remembered (rule T3);
	// TombstoneTTL for how long.
	Tombstones   int
	TombstoneTTL time.Duration
	// Lease is how long a session counts without a refresh, LeaseGrace how much
	// longer it is kept as stale (rule T9).
	Lease, LeaseGrace time.Duration
	// Linger bounds how long a binding stays "ending" (rule T6).
	Linger time.Duration
	// LossTimeout is how long a node may be lost before its bindings are stale
	// (rule T8).
	LossTimeout time.Duration
	// TrustGap is the longest absence of ours that retransmitting sources
	// bridge (rule T12).
	TrustGap time.Duration
	// MarkOnLoss has a loss of overheard news only mark the nodes; else what
	// they bound before is stale until it is heard again (rule T12).
	MarkOnLoss bool
	// Resolve, if it is set, is told the SIM of each session that has no number
	// of its own signalling, and the directory's number that it has now, zero if
	// none; also again and again. It must not block; the answer is a NumberKnown.
	Resolve func(IMSI, MSISDN)
	// Doubt, if it is set, is told a SIM whose number the directory gave to
	// another SIM too: what is known of it is void. It must not block.
	Doubt func(IMSI)
	// Learn gives such a session the number that its SIM was last seen with.
	Learn bool
	// Queue is how many submitted events may wait.
	Queue int
	// Domains are the address domains; none means one called "default" that
	// takes any address.
	Domains []Domain
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// A Domain is an address domain (3GPP IP-Domain-Id): addresses are unique
// within it.
type Domain struct {
	Name string
	// APNs choose the domain; "*" is any APN that no domain names.
	APNs []string
	// Pools are the prefixes that sessions of the domain may hold (rule T10);
	// none means any.
	Pools []netip.Prefix
}

// Limits that the record layout sets.
const (
	MaxCapacity = 1<<27 - 2
	maxDomains  = 1 << 15
	maxNodes    = 1<<16 - 1
	maxAPNs     = 1<<16 - 1
	maxLease    = 1<<20 - 1 // seconds
	// maxHolds bounds the addresses of one session, maxClaims the sessions
	// that claim one address.
	maxHolds  = 64
	maxClaims = 16
	// maxReorder is how much older than its arrival an event may be for its
	// time to be believed.
	maxReorder = 5 * time.Minute
	// maxOvertaken is how much later than its successors a restart may arrive
	// and still spare sessions that started after it.
	maxOvertaken = 15 * time.Second
)

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.Lease, 24*time.Hour)
	def(&c.LeaseGrace, time.Hour)
	def(&c.Linger, 30*time.Second)
	def(&c.LossTimeout, 5*time.Minute)
	def(&c.TrustGap, time.Minute)
	def(&c.TombstoneTTL, 10*time.Minute)
	if c.Capacity == 0 {
		c.Capacity = 1_000_000
	}
	if c.Addresses == 0 {
		c.Addresses = min(2*c.Capacity, MaxCapacity)
	}
	if c.Tombstones == 0 {
		c.Tombstones = max(c.Capacity/10, 1024)
	}
	if c.Queue == 0 {
		c.Queue = 16384
	}
	if len(c.Domains) == 0 {
		c.Domains = []Domain{{Name: "default", APNs: []string{"*"}}}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.Capacity < 1 || c.Capacity > MaxCapacity:
		return fmt.Errorf("capacity %d is not within 1 to %d", c.Capacity, MaxCapacity)
	case c.Addresses < 1 || c.Addresses > MaxCapacity:
		return fmt.Errorf("addresses %d is not within 1 to %d", c.Addresses, MaxCapacity)
	case c.Lease < time.Second || c.Lease > maxLease*time.Second:
		return fmt.Errorf("lease %v is not within 1s to %v", c.Lease, maxLease*time.Second)
	case c.Linger < 0 || c.LeaseGrace < 0 || c.LossTimeout < 0 || c.TrustGap < 0 || c.TombstoneTTL < 0:
		return errors.New("a duration is negative")
	}
	return checkDomains(c.Domains)
}

func checkDomains(domains []Domain) error {
	if len(domains) > maxDomains {
		return fmt.Errorf("more than %d domains", maxDomains)
	}
	names, apns := map[string]bool{}, map[string]string{}
	for _, d := range domains {
		if d.Name == "" || names[d.Name] {
			return fmt.Errorf("domain name %q is empty or not unique", d.Name)
		}
		names[d.Name] = true
		for _, apn := range d.APNs {
			apn = canonicalAPN(apn)
			if other, ok := apns[apn]; ok {
				return fmt.Errorf("APN %q is in domain %q and in domain %q", apn, other, d.Name)
			}
			apns[apn] = d.Name
		}
		for _, p := range d.Pools {
			if !p.IsValid() || p != p.Masked() {
				return fmt.Errorf("domain %q: pool %v is not a prefix with its host bits clear", d.Name, p)
			}
		}
	}
	return nil
}
