// Package identity reads how GTP and PFCP write who and where: TBCD digits, APN
// labels.
//
// TBCD puts two digits into an octet, the first into the low half; 0xF in the
// last high half fills up an odd number (3GPP TS 29.002, TBCD-STRING). Whether
// digits are an identity is decided by package binding.
package identity

import "github.com/simbind/simbind/binding"

// maxDigits is more than any identity has.
const maxDigits = 20

// digits reads TBCD. It is false if a half octet is no digit, or if something
// follows the filler.
func digits(b []byte, into *[maxDigits]byte) (string, bool) {
	if len(b) > maxDigits/2 {
		return "", false
	}
	n, filled := 0, false
	for _, octet := range b {
		for _, d := range [2]byte{octet & 15, octet >> 4} {
			switch {
			case d == 15:
				filled = true
			case d > 9 || filled:
				return "", false
			default:
				into[n] = '0' + d
				n++
			}
		}
	}
	return string(into[:n]), true
}

// IMSI reads an IMSI of 6 to 15 digits; zero if it is none.
func IMSI(b []byte) binding.IMSI {
	var buf [maxDigits]byte
	if s, ok := digits(b, &buf); ok {
		if imsi, err := binding.ParseIMSI(s); err == nil {
			return imsi
		}
	}
	return 0
}

// MSISDN reads an international number without any octet in front of its
// digits; zero if it is none.
func MSISDN(b []byte) binding.MSISDN {
	var buf [maxDigits]byte
	if s, ok := digits(b, &buf); ok {
		if msisdn, err := binding.ParseMSISDN(s); err == nil {
			return msisdn
		}
	}
	return 0
}

// international is the octet that says: no extension, international number,
// numbering plan of E.164 (3GPP TS 29.002, AddressString).
const international = 0x91

// AddressString reads an MSISDN behind its octet of nature and plan. A number
// that is not said to be international is none: the country would be a guess.
func AddressString(b []byte) binding.MSISDN {
	if len(b) == 0 || b[0] != international {
		return 0
	}
	return MSISDN(b[1:])
}

// IMEI reads an IMEI or IMEISV; zero if it is none.
func IMEI(b []byte) binding.IMEI {
	var buf [maxDigits]byte
	if s, ok := digits(b, &buf); ok {
		if imei, err := binding.ParseIMEI(s); err == nil {
			return imei
		}
	}
	return 0
}

// maxAPN bounds an APN (3GPP TS 23.003 clause 9.1).
const maxAPN = 100

// APN reads labels that are each preceded by their length (3GPP TS 23.003
// clause 9.1), or plain text where a sender wrote that. Empty if it is neither.
func APN(b []byte) string {
	if len(b) == 0 || len(b) > maxAPN+1 {
		return ""
	}
	var buf [maxAPN + 1]byte
	text := buf[:0]
	for rest := b; len(rest) > 0; {
		n := int(rest[0])
		if n == 0 && len(rest) == 1 {
			break // the root label
		}
		if n == 0 || n >= len(rest) {
			return plain(b)
		}
		if len(text) > 0 {
			text = append(text, '.')
		}
		text = append(text, rest[1:1+n]...)
		rest = rest[1+n:]
	}
	return plain(text)
}

// plain is text of the letters that a name may have.
func plain(b []byte) string {
	if len(b) > maxAPN {
		return ""
	}
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		default:
			return ""
		}
	}
	return string(b)
}
