package binding

import "fmt"

// A Source is the kind of signalling that told us.
type Source uint8

// The sources. Feed is another site's stream.
const (
	SourceNone Source = iota
	SourceGx
	SourceRADIUS
	SourceGTPv2
	SourceGTPv1
	SourcePFCP
	SourceFeed
	Sources // how many there are
)

var sourceNames = [Sources]string{"none", "gx", "radius", "gtpv2", "gtpv1", "pfcp", "feed"}

func (s Source) String() string {
	if s < Sources {
		return sourceNames[s]
	}
	return fmt.Sprintf("source%d", uint8(s))
}

// MarshalText is String, for logs and JSON.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSource is the inverse of String.
func ParseSource(s string) (Source, error) {
	for i, name := range sourceNames {
		if name == s && i != 0 {
			return Source(i), nil
		}
	}
	return SourceNone, fmt.Errorf("unknown source %q", s)
}

// Retransmits reports whether peers of this source repeat what we did not
// answer, so that a short absence of ours misses nothing (rule T12).
func (s Source) Retransmits() bool { return s == SourceGx || s == SourceRADIUS }

// A RAT is a radio access technology by its 3GPP-RAT-Type code (3GPP TS 29.061
// clause 16.4.7.2, TS 29.274 clause 8.17). Zero means unknown.
type RAT uint8

var ratNames = map[RAT]string{
	1: "utran", 2: "geran", 3: "wlan", 4: "gan", 5: "hspa", 6: "eutran", 7: "virtual",
	8: "nb-iot", 9: "lte-m", 10: "nr", 51: "nr", 52: "nr-u", 53: "trusted-wlan", 54: "trusted-n3ga",
	55: "wireline", 101: "802.16e", 102: "3gpp2-ehrpd", 103: "3gpp2-hrpd", 104: "3gpp2-1xrtt", 105: "3gpp2-umb",
}

// ParseRAT is the inverse of String; zero for a name that it does not give.
func ParseRAT(s string) RAT {
	var code uint8
	if _, err := fmt.Sscanf(s, "rat%d", &code); err == nil {
		return RAT(code)
	}
	for r, name := range ratNames {
		if name == s && (code == 0 || uint8(r) < code) {
			code = uint8(r)
		}
	}
	return RAT(code)
}

func (r RAT) String() string {
	if r == 0 {
		return ""
	}
	if name, ok := ratNames[r]; ok {
		return name
	}
	return fmt.Sprintf("rat%d", uint8(r))
}
