package diameter

import (
	"bytes"

	"github.com/simbind/simbind/binding"
)

// maxNumber is longer than any identity with a prefix; what is longer is not
// looked at.
const maxNumber = 32

// identities sets MSISDN, IMSI and IMEI. One that does not parse is none.
func (r *Request) identities(f *fields, o *Origin) {
	ev := &r.Event
	if len(f.e164) > 0 {
		msisdn, ok := parseMSISDN(f.e164, o.MSISDNStrip)
		if !ok {
			r.Notes |= NoteBadMSISDN
		}
		ev.MSISDN = msisdn
	}
	switch {
	case len(f.imsi) > 0:
		imsi, ok := parseIMSI(f.imsi)
		if !ok {
			r.Notes |= NoteBadIMSI
		}
		ev.IMSI = imsi
	case len(f.nai) > 0:
		ev.IMSI = imsiOfNAI(f.nai)
	}
	equipment := f.imei
	if len(equipment) == 0 {
		equipment = f.extended // the same device, perhaps with fewer digits
	}
	if len(equipment) > 0 {
		imei, ok := parseIMEI(equipment)
		if !ok {
			r.Notes |= NoteBadIMEI
		}
		ev.IMEI = imei
	}
}

// parseMSISDN reads END_USER_E164: one of the prefixes may be taken off, what
// is left is an international number.
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

func parseIMSI(digits []byte) (binding.IMSI, bool) {
	if len(digits) > maxNumber {
		return 0, false
	}
	imsi, err := binding.ParseIMSI(string(digits))
	return imsi, err == nil
}

// naiRealm ends the realm of an NAI that 3GPP defines.
var naiRealm = []byte(".3gppnetwork.org")

// imsiOfNAI reads the root NAI of TS 23.003 clause 19.3.2: "0" or "6" and the
// IMSI, "@", and a realm of 3GPP. Any other NAI holds no IMSI.
func imsiOfNAI(nai []byte) binding.IMSI {
	user, realm, found := bytes.Cut(nai, []byte("@"))
	if !found || len(user) < 7 || user[0] != '0' && user[0] != '6' || !bytes.HasSuffix(realm, naiRealm) {
		return 0
	}
	imsi, _ := parseIMSI(user[1:])
	return imsi
}

// parseIMEI reads an IMEI or IMEISV: digits or, as some gateways send it, 8
// octets of swapped nibbles like the IE of TS 29.274 clause 8.10.
func parseIMEI(value []byte) (binding.IMEI, bool) {
	var digits [16]byte
	text := value
	if len(value) == 8 {
		n := 0
		for _, octet := range value {
			for _, nibble := range [2]byte{octet & 0xF, octet >> 4} {
				if nibble != 0xF {
					digits[n] = '0' + nibble
					n++
				}
			}
		}
		text = digits[:n]
	}
	if len(text) > maxNumber {
		return 0, false
	}
	imei, err := binding.ParseIMEI(string(text))
	return imei, err == nil
}
