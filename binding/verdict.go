package binding

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A Verdict answers "is this the number of the SIM behind this address?".
type Verdict uint8

// The verdicts. Only Match and Mismatch say something; the others say why not.
const (
	Unknown Verdict = iota
	Match
	Mismatch
	Ambiguous
	Stale
	verdicts
)

var verdictNames = [verdicts]string{"unknown", "match", "mismatch", "ambiguous", "stale"}

func (v Verdict) String() string { return verdictNames[v] }

// A Reason says why the verdict is what it is.
type Reason uint8

// The reasons, grouped by the verdict they come with.
const (
	ReasonBound           Reason = iota // match
	ReasonOtherNumber                   // mismatch: another number holds the address
	ReasonNoBinding                     // unknown: nobody is known to hold the address
	ReasonEnded                         // unknown: its session is over
	ReasonWarming                       // unknown: the journal is still being loaded
	ReasonNoMSISDN                      // unknown: the holder's number is not known
	ReasonCapacity                      // unknown: its session was refused for lack of room
	ReasonOutOfPool                     // unknown: the address is in no pool of the domain
	ReasonNoDomain                      // unknown: no such address domain
	ReasonPortNeeded                    // unknown: the address is shared, the port decides
	ReasonConflict                      // ambiguous: nodes or sources disagree
	ReasonEnding                        // ambiguous: one source ended it, another has not yet
	ReasonDomainNeeded                  // ambiguous: several domains have this address
	ReasonLease                         // stale: no refresh within the lease
	ReasonNodeLost                      // stale: its node has not been heard for too long
	ReasonUnconfirmed                   // stale: not confirmed since a gap in what we heard
	ReasonNotIngesting                  // stale: the journal is down, news is being refused
	ReasonSiteUnreachable               // unknown: the address is another site's, which does not answer
	ReasonOrder                         // ambiguous: whether its session or another SIM's held the address last
	ReasonNumber                        // ambiguous: which of two numbers of its session is the later one
	ReasonRestarted                     // unknown: its node restarted, and its session may be from before
	ReasonReleased                      // unknown: an operator ended it, and it has not spoken since
	ReasonMultiSIM                      // match, or ambiguous by configuration: other SIMs have the number too
	reasons
)

var reasonNames = [reasons]string{
	"bound", "other-number", "no-binding", "ended", "warming", "no-msisdn", "capacity", "out-of-pool",
	"no-domain", "port-needed", "conflict", "ending", "domain-needed", "lease", "node-lost", "unconfirmed", "not-ingesting",
	"site-unreachable", "order", "number", "restarted", "released", "multi-sim",
}

func (r Reason) String() string { return reasonNames[r] }

// Valid reports whether r is one of the reasons.
func (r Reason) Valid() bool { return r < reasons }

// ParseReason is the inverse of String.
func ParseReason(s string) (Reason, error) {
	for i, name := range reasonNames {
		if name == s {
			return Reason(i), nil
		}
	}
	return 0, fmt.Errorf("unknown reason %q", s)
}

// Verdict is the one that the reason comes with; ReasonMultiSIM may come with
// Ambiguous as well.
func (r Reason) Verdict() Verdict {
	switch r {
	case ReasonBound, ReasonMultiSIM:
		return Match
	case ReasonOtherNumber:
		return Mismatch
	case ReasonConflict, ReasonEnding, ReasonDomainNeeded, ReasonOrder, ReasonNumber:
		return Ambiguous
	case ReasonLease, ReasonNodeLost, ReasonUnconfirmed, ReasonNotIngesting:
		return Stale
	}
	return Unknown
}

// Fits reports whether the reason may come with a verdict.
func (r Reason) Fits(v Verdict) bool {
	return v == r.Verdict() || r == ReasonMultiSIM && v == Ambiguous
}

// doubts are the doubts that a site can have of its own binding.
var doubts = [...]Reason{
	ReasonBound, ReasonConflict, ReasonEnding, ReasonLease, ReasonNodeLost, ReasonUnconfirmed, ReasonNotIngesting, ReasonEnded,
	ReasonOrder, ReasonNumber, ReasonRestarted, ReasonReleased, ReasonCapacity,
}

// IsDoubt reports whether a site may have it of its own binding (Event.Doubt).
func (r Reason) IsDoubt() bool { return slices.Contains(doubts[:], r) }

// A Query names an address at this moment.
type Query struct {
	Addr netip.Addr // unmapped
	// Port is the source port seen from outside, for shared addresses; zero if
	// not known.
	Port uint16
	// Domain is the address domain; empty if the asker does not know it, which
	// is enough where pools do not overlap.
	Domain string
}

// An Answer to a question about an address.
type Answer struct {
	Verdict Verdict
	Reason  Reason
	// Age is the time since a source last confirmed the binding; zero without
	// one.
	Age time.Duration
	// Version changes whenever the holder of the address does; zero without a
	// binding.
	Version uint64
}

// ParseAnswer reads a verdict with its reason. What do not belong together are
// refused, so that a reader of another version cannot take a doubt for a yes.
func ParseAnswer(verdict, reason string) (a Answer, err error) {
	if a.Reason, err = ParseReason(reason); err != nil {
		return Answer{}, err
	}
	i := slices.Index(verdictNames[:], verdict)
	if i < 0 || !a.Reason.Fits(Verdict(i)) {
		return Answer{}, fmt.Errorf("verdict %q with the reason %q", verdict, reason)
	}
	a.Verdict = Verdict(i)
	return a, nil
}

// A Number is what an asker claims: an MSISDN, or the SHA-256 of its E.164
// form with '+' (the CAMARA hashedPhoneNumber).
type Number struct {
	MSISDN MSISDN
	Hash   [sha256.Size]byte
	Hashed bool
}

// ParseNumber reads "+E164" (the '+' is required: a national number must not
// pass for an international one) or 64 hexadecimal digits of either case.
func ParseNumber(s string) (Number, error) {
	if len(s) == 2*sha256.Size {
		n := Number{Hashed: true}
		if _, err := hex.Decode(n.Hash[:], []byte(s)); err != nil {
			return Number{}, fmt.Errorf("64 characters that are not hexadecimal: %w", ErrIdentity)
		}
		return n, nil
	}
	if len(s) == 0 || s[0] != '+' {
		return Number{}, fmt.Errorf("a number starts with '+' and its country code, or is 64 hexadecimal digits: %w", ErrIdentity)
	}
	m, err := ParseMSISDN(s)
	return Number{MSISDN: m}, err
}

// Is reports whether m is the claimed number. The zero MSISDN never is.
func (n Number) Is(m MSISDN) bool {
	if m == 0 {
		return false
	}
	if !n.Hashed {
		return n.MSISDN == m
	}
	var buf [16]byte
	sum := sha256.Sum256(m.AppendE164(buf[:0]))
	return subtle.ConstantTimeCompare(sum[:], n.Hash[:]) == 1
}
