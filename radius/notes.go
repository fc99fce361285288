package radius

import (
	"math/bits"
	"strings"
)

// Notes are what a decoder had to leave out or found odd in a request that is
// otherwise in order.
type Notes uint16

// The notes.
const (
	NoteNoIdentity       Notes = 1 << iota // a start or update that names neither MSISDN nor IMSI
	NoteBadMSISDN                          // Calling-Station-Id is not a number, e.g. a MAC address
	NoteBadIMSI                            // 3GPP-IMSI is not 6 to 15 digits
	NoteBadIMEI                            // 3GPP-IMEISV is not 14 to 16 digits
	NoteConflict                           // an identity is given twice, differently, and so counts as absent
	NoteBadTime                            // Event-Timestamp before 2000
	NoteBadDelay                           // Acct-Delay-Time of more than 30 days
	NoteBadAge                             // Acct-Session-Time of more than ten years
	NoteBadAddress                         // an address that no session can hold
	NoteTooManyAddresses                   // more addresses than are taken from one request
	NotePortProtocol                       // a port range of one transport protocol only
	NoteBadVendor                          // a 3GPP Vendor-Specific attribute that does not parse
	NoteOtherNetwork                       // 3GPP-IMSI-MCC-MNC is not the start of the IMSI
	noteCount            = iota
)

var noteNames = [noteCount]string{
	"no-identity", "bad-msisdn", "bad-imsi", "bad-imei", "conflicting-identity",
	"bad-timestamp", "bad-delay", "bad-session-time",
	"bad-address", "too-many-addresses", "port-protocol", "bad-vendor-specific", "other-network",
}

// Has reports whether all of n are among the notes.
func (s Notes) Has(n Notes) bool { return s&n == n }

// String is the names of the notes, separated by commas.
func (s Notes) String() string {
	var names []string
	for ; s != 0; s &= s - 1 {
		names = append(names, noteNames[bits.TrailingZeros16(uint16(s))])
	}
	return strings.Join(names, ",")
}
