package diameter

import (
	"math/bits"
	"strings"
)

// Notes are what a decoder had to leave out or found odd in a request that is
// otherwise in order.
type Notes uint16

// The notes.
const (
	NoteNoIdentity       Notes = 1 << iota // an initial request or update that names neither MSISDN nor IMSI
	NoteBadMSISDN                          // an END_USER_E164 that is not a number
	NoteBadIMSI                            // an END_USER_IMSI that is not 6 to 15 digits
	NoteBadIMEI                            // an equipment identity that is not 14 to 16 digits
	NoteConflict                           // an identity is given twice, differently, and so counts as absent
	NoteBadAddress                         // an address that no session can hold
	NoteTooManyAddresses                   // more addresses than are taken from one request
	NoteAllocateRelease                    // one request tells of an address allocated and of one released, and not which is which
	noteCount            = iota
)

var noteNames = [noteCount]string{
	"no-identity", "bad-msisdn", "bad-imsi", "bad-imei", "conflicting-identity", "bad-address", "too-many-addresses",
	"allocate-and-release",
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
