package radius

import (
	"strings"

	"github.com/simbind/simbind/binding"
)

// Values of NAS-Port-Type (RFC 2865 section 5.41) whose Calling-Station-Id is
// a MAC address (RFC 3580 section 3.21), even where all its digits are decimal.
const (
	portEthernet = 15
	portWiFi     = 19
)

// maxNumber bounds what is looked at as a number: the longest prefix to strip
// and 15 digits fit.
const maxNumber = 32

// identities sets MSISDN, IMSI and IMEI. What does not parse is absent and
// noted; it is never guessed.
func (r *Request) identities(f *fields, o *Origin) {
	ev := &r.Event
	if len(f.calling) > 0 {
		wired := f.portType.ok && (f.portType.value == portEthernet || f.portType.value == portWiFi)
		msisdn, ok := parseMSISDN(f.calling, o.MSISDNStrip)
		if ok && !wired {
			ev.MSISDN = msisdn
		} else {
			r.Notes |= NoteBadMSISDN
		}
	}
	if len(f.imsi) > 0 {
		imsi, err := binding.ParseIMSI(string(f.imsi))
		if err != nil {
			r.Notes |= NoteBadIMSI
		}
		ev.IMSI = imsi
	}
	if len(f.imeisv) > 0 {
		imei, err := binding.ParseIMEI(string(f.imeisv))
		if err != nil {
			r.Notes |= NoteBadIMEI
		}
		ev.IMEI = imei
	}
	r.HomeNetwork, r.ServingNetwork = o.names.text(f.homeNetwork), o.names.text(f.servingNetwork)
	if ev.IMSI != 0 && len(f.homeNetwork) > 0 && !strings.HasPrefix(string(f.imsi), r.HomeNetwork) {
		r.Notes |= NoteOtherNetwork
	}
}

// parseMSISDN reads Calling-Station-Id: one of the prefixes may be taken off,
// what is left is an international number.
func parseMSISDN(text []byte, strip []string) (binding.MSISDN, bool) {
	if len(text) > maxNumber {
		return 0, false
	}
	if strip == nil {
		strip = defaultStrip
	}
	for _, prefix := range strip {
		if len(text) > len(prefix) && string(text[:len(prefix)]) == prefix {
			text = text[len(prefix):]
			break
		}
	}
	m, err := binding.ParseMSISDN(string(text))
	return m, err == nil
}

var defaultStrip = []string{"+", "00"}
