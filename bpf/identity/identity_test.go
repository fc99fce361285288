package identity_test

import (
	"testing"

	"github.com/simbind/simbind/bpf/identity"
)

func TestDigitsAreReadOrRefused(t *testing.T) {
	for claim, c := range map[string]struct {
		in         []byte
		msisdn     string
		imsi, imei string
	}{
		"an even number of digits":         {[]byte{0x94, 0x71, 0x10, 0x32, 0x54, 0x76}, "+491701234567", "491701234567", ""},
		"an odd number, filled":            {[]byte{0x94, 0x71, 0x10, 0x32, 0x54, 0xf6}, "+49170123456", "49170123456", ""},
		"14 digits, filled to eight":       {[]byte{0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x10, 0xff}, "", "00101000000001", "00101000000001"},
		"a leading zero is an IMSI alone":  {[]byte{0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xf1}, "", "001010000000001", "001010000000001"},
		"a digit behind the filler":        {[]byte{0x94, 0xf1, 0x10, 0x32}, "", "", ""},
		"a filler in the low half, first":  {[]byte{0x4f, 0x71, 0x10, 0x32}, "", "", ""},
		"half an octet is no digit":        {[]byte{0x94, 0x7a, 0x10, 0x32}, "", "", ""},
		"nothing":                          {nil, "", "", ""},
		"nothing but fillers":              {[]byte{0xff, 0xff, 0xff}, "", "", ""},
		"more digits than any identity":    {[]byte{0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11}, "", "", ""},
		"more octets than any identity":    {make([]byte, 200), "", "", ""},
		"16 digits are an IMEISV and that": {[]byte{0x53, 0x96, 0x83, 0x30, 0x00, 0x00, 0x00, 0x00}, "", "", "3569380300000000"},
	} {
		if got := identity.MSISDN(c.in).String(); identity.MSISDN(c.in) != 0 && got != c.msisdn || identity.MSISDN(c.in) == 0 && c.msisdn != "" {
			t.Errorf("%s: MSISDN %q, want %q", claim, got, c.msisdn)
		}
		if got := identity.IMSI(c.in); got != 0 && got.String() != c.imsi || got == 0 && c.imsi != "" {
			t.Errorf("%s: IMSI %q, want %q", claim, got.String(), c.imsi)
		}
		if got := identity.IMEI(c.in); c.imei != "" && got.String() != c.imei {
			t.Errorf("%s: IMEI %q, want %q", claim, got.String(), c.imei)
		}
	}
}

func TestOnlyInternationalNumbersAreNumbers(t *testing.T) {
	digits := []byte{0x94, 0x71, 0x10, 0x32, 0x54, 0x76}
	for nature, want := range map[byte]string{0x91: "+491701234567", 0xa1: "", 0x81: "", 0x11: "", 0x94: ""} {
		got := identity.AddressString(append([]byte{nature}, digits...))
		if want == "" && got != 0 || want != "" && got.String() != want {
			t.Errorf("nature %#x: %v, want %q", nature, got, want)
		}
	}
	if identity.AddressString(nil) != 0 || identity.AddressString([]byte{0x91}) != 0 {
		t.Error("a number without digits")
	}
}

func TestAnAPNIsReadFromLabelsOrText(t *testing.T) {
	for claim, c := range map[string]struct{ in, want string }{
		"one label":                {"\x08internet", "internet"},
		"labels":                   {"\x03ims\x06mnc001\x06mcc001\x04gprs", "ims.mnc001.mcc001.gprs"},
		"with the root":            {"\x08internet\x00", "internet"},
		"plain text":               {"internet", "internet"},
		"a label that is too long": {"\x09internet", ""},
		"an empty label":           {"\x03ims\x00\x04gprs", ""},
		"a letter of no name":      {"\x05inter\x03n!t", ""},
		"nothing":                  {"", ""},
	} {
		if got := identity.APN([]byte(c.in)); got != c.want {
			t.Errorf("%s: %q, want %q", claim, got, c.want)
		}
	}
}
