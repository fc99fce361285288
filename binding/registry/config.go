package registry

import (
	"errors"
	"fmt"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/table"
)

// Config of a Registry. Zero durations and sizes mean the default.
type Config struct {
	// Site is this sidecar's name.
	Site string
	// Capacity is how many sessions fit, those that ended and are remembered
	// among them, as long as there is room; Addresses how many addresses,
	// 2 × Capacity by default. Memory for both is reserved at start and touched as
	// it fills.
	Capacity, Addresses int
	// Lease is how long a session counts without a refresh, LeaseGrace how much
	// longer it is kept as stale (rule T9).
	Lease, LeaseGrace time.Duration
	// Linger is after how long a binding that another source has ended is no
	// longer "ending" but ended, unless it was confirmed (rule T6).
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
	// MaxDelay is how long after it happened an event may be heard, five minutes
	// by default; Blind the same for nodes that tell no time, half a minute.
	MaxDelay, Blind time.Duration
	// MultiSIM says what a number is worth that several SIMs hold addresses
	// with at once: a match that says so (MultiSIMFlag, the default), a plain
	// match, or nobody's.
	MultiSIM MultiSIM
	// Placeholders are numbers and IMSIs that mean nothing: a session that names
	// one names nobody thereby.
	Placeholders []string
	// Parallel says that SIMs have several sessions of one APN at once, so that a
	// new one does not put the former in doubt.
	Parallel bool
	// Resolve, if it is set, is told the SIM of each session that has no number
	// of its own signalling, and the directory's number that it has now, zero if
	// none; also again and again. It must not block; the answer is a NumberKnown.
	Resolve func(binding.IMSI, binding.MSISDN)
	// Doubt, if it is set, is told a SIM whose number the directory gave to
	// another SIM too: what is known of it is void. It must not block.
	Doubt func(binding.IMSI)
	// Learn gives such a session the number that its SIM was last seen with.
	Learn bool
	// Queue is how many submitted events may wait.
	Queue int
	// Domains are the address domains; none means one called "default" that
	// takes any address.
	Domains []binding.Domain
	// Sweep is how often a piece of the memory is swept, 20 ms by default.
	Sweep time.Duration
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// A MultiSIM says what a number that several SIMs have is worth.
type MultiSIM uint8

// The policies.
const (
	MultiSIMFlag MultiSIM = iota // a match with ReasonMultiSIM
	MultiSIMMatch
	MultiSIMAmbiguous
)

// MaxCapacity is the greatest Capacity and Addresses.
const MaxCapacity = table.MaxCapacity

// maxDelayMost bounds MaxDelay: what ended is remembered for as long.
const maxDelayMost = time.Hour

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	limits := clock.Defaults()
	def(&c.Lease, 24*time.Hour)
	def(&c.LeaseGrace, time.Hour)
	def(&c.Linger, 30*time.Second)
	def(&c.LossTimeout, 5*time.Minute)
	def(&c.TrustGap, time.Minute)
	def(&c.Sweep, 20*time.Millisecond)
	def(&c.MaxDelay, time.Duration(limits.MaxDelay)*time.Millisecond)
	def(&c.Blind, time.Duration(limits.Blind)*time.Millisecond)
	if c.Capacity == 0 {
		c.Capacity = 1_000_000
	}
	if c.Addresses == 0 {
		c.Addresses = min(2*c.Capacity, MaxCapacity)
	}
	if c.Queue == 0 {
		c.Queue = 16384
	}
	if len(c.Domains) == 0 {
		c.Domains = []binding.Domain{{Name: "default", APNs: []string{"*"}}}
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
	case c.Lease < time.Second || c.Lease > table.MaxLease*time.Second:
		return fmt.Errorf("lease %v is not within 1s to %v", c.Lease, table.MaxLease*time.Second)
	case c.Linger < 0 || c.LeaseGrace < 0 || c.LossTimeout < 0 || c.TrustGap < 0 || c.Sweep < 0:
		return errors.New("a duration is negative")
	case c.MaxDelay < time.Second || c.MaxDelay > maxDelayMost:
		return fmt.Errorf("max_delay %v is not within 1s to %v", c.MaxDelay, maxDelayMost)
	case c.Blind < time.Second || c.Blind > c.MaxDelay:
		return fmt.Errorf("blind_delay %v is not within 1s to max_delay %v", c.Blind, c.MaxDelay)
	case c.MultiSIM > MultiSIMAmbiguous:
		return fmt.Errorf("multi_sim %d is unknown", c.MultiSIM)
	}
	if _, _, err := c.placeholders(); err != nil {
		return err
	}
	return binding.CheckDomains(c.Domains)
}

// placeholders reads what Placeholders names: what starts with '+' is a number.
func (c Config) placeholders() (numbers map[binding.MSISDN]bool, sims map[binding.IMSI]bool, err error) {
	numbers, sims = map[binding.MSISDN]bool{}, map[binding.IMSI]bool{}
	for _, s := range c.Placeholders {
		if len(s) > 0 && s[0] == '+' {
			m, err := binding.ParseMSISDN(s)
			if err != nil {
				return nil, nil, fmt.Errorf("placeholder %q: %w", s, err)
			}
			numbers[m] = true
			continue
		}
		i, err := binding.ParseIMSI(s)
		if err == nil && len(s) < 14 {
			err = errors.New("an IMSI has 14 or 15 digits") // a number without its '+', rather
		}
		if err != nil {
			return nil, nil, fmt.Errorf("placeholder %q is neither a number with '+' nor an IMSI: %w", s, err)
		}
		sims[i] = true
	}
	return numbers, sims, nil
}

func (c Config) times() *table.Times {
	return &table.Times{
		Lease: c.Lease.Milliseconds(), Grace: c.LeaseGrace.Milliseconds(), Linger: c.Linger.Milliseconds(),
		Loss: c.LossTimeout.Milliseconds(), TrustGap: c.TrustGap.Milliseconds(),
		Silent: table.SilentAfter(c.LossTimeout), MarkOnly: c.MarkOnLoss, Ambiguous: c.MultiSIM == MultiSIMAmbiguous,
	}
}

func (c Config) limits() *clock.Limits {
	l := clock.Defaults()
	l.MaxDelay, l.Blind = c.MaxDelay.Milliseconds(), c.Blind.Milliseconds()
	return &l
}
