package binding

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func TestMSISDN(t *testing.T) {
	for _, c := range []struct {
		claim, in, want string
	}{
		{"five digits are the fewest", "12345", "+12345"},
		{"an odd number of digits", "4917012345678", "+4917012345678"},
		{"an even number of digits", "491701234567", "+491701234567"},
		{"fifteen digits are the most", "+123456789012345", "+123456789012345"},
		{"a national number is refused", "01701234567", ""},
		{"sixteen digits are refused", "1234567890123456", ""},
		{"four digits are refused", "1234", ""},
		{"a letter is refused", "49170x234567", ""},
		{"two plus signs are refused", "++491701234567", ""},
		{"nothing is refused", "", ""},
	} {
		if m, err := ParseMSISDN(c.in); m.String() != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q gives %q, %v", c.claim, c.in, m.String(), err)
		}
	}
}

func TestIMSIAndIMEIKeepTheirDigits(t *testing.T) {
	for _, s := range []string{"001010000000001", "00101000000001", "310150123456789", "000000", "99999999999999"} {
		if i, err := ParseIMSI(s); err != nil || i.String() != s || i == 0 {
			t.Errorf("IMSI %s becomes %s, %v", s, i, err)
		}
	}
	for _, s := range []string{"35349006987331", "353490069873319", "3534900698733190", "01234567890123"} {
		if i, err := ParseIMEI(s); err != nil || i.String() != s {
			t.Errorf("IMEI %s becomes %s, %v", s, i, err)
		}
	}
	for _, s := range []string{"", "12345", "1234567890123456", "00101000000000a"} {
		if i, err := ParseIMSI(s); err == nil || i != 0 {
			t.Errorf("IMSI %q is taken", s)
		}
	}
	a, b := mustIMEI(t, "353490069873319"), mustIMEI(t, "3534900698733101")
	if a.Device() != b.Device() {
		t.Error("check digit and software version tell devices apart")
	}
}

func mustIMSI(t *testing.T, s string) IMSI {
	t.Helper()
	i, err := ParseIMSI(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func mustIMEI(t *testing.T, s string) IMEI {
	t.Helper()
	i, err := ParseIMEI(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestLogsNeverCarryAnIdentity(t *testing.T) {
	var out bytes.Buffer
	m, i, e := MSISDN(491701234567), mustIMSI(t, "001010000000001"), mustIMEI(t, "3534900698733190")
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "msisdn", m, "imsi", i, "imei", e)
	for _, secret := range []string{"1234567", "0000000001", "8733190"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s shows %s", out.String(), secret)
		}
	}
	if !strings.Contains(out.String(), "+49170*****67") {
		t.Errorf("%s has no masked number", out.String())
	}
}

func TestNumbersAndTheirHashes(t *testing.T) {
	sum := sha256.Sum256([]byte("+491701234567"))
	for _, h := range []string{hex.EncodeToString(sum[:]), strings.ToUpper(hex.EncodeToString(sum[:]))} {
		n, err := ParseNumber(h)
		if err != nil || !n.Is(491701234567) || n.Is(491701234568) || n.Is(0) {
			t.Errorf("hash %s: %v", h, err)
		}
	}
	// The hash of "+123456789" as CAMARA states it.
	known := sha256.Sum256(MSISDN(123456789).AppendE164(nil))
	if h := hex.EncodeToString(known[:]); !strings.HasPrefix(h, "b49f9168") || !strings.HasSuffix(h, "fa4f0") {
		t.Errorf("the hash of +123456789 is %s", h)
	}
	for _, s := range []string{"491701234567", "", "+", "+0123456", strings.Repeat("g", 64)} {
		if _, err := ParseNumber(s); err == nil {
			t.Errorf("%q is taken for a number", s)
		}
	}
}

func TestAddressesHaveOneForm(t *testing.T) {
	for _, c := range []struct{ claim, in, want string }{
		{"IPv4-mapped is unmapped", "::ffff:10.1.2.3/128", "10.1.2.3"},
		{"interface id bits are masked", "2001:db8:0:1:aaaa::5/64", "2001:db8:0:1::/64"},
		{"a framed route is its prefix", "10.9.8.7/24", "10.9.8.0/24"},
		{"0.0.0.0 is not an address", "0.0.0.0/32", ""},
		{"nor is everything", "0.0.0.0/0", ""},
		{"nor loopback", "127.0.0.1/32", ""},
		{"nor link-local", "fe80::1/64", ""},
		{"nor multicast", "ff02::1/128", ""},
	} {
		a, err := NewAddress(netip.MustParsePrefix(c.in))
		if got := fmt.Sprint(a); err == nil && got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %s gives %s, %v", c.claim, c.in, got, err)
		}
	}
}

// FuzzParse holds that what parses prints as it was read.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"+491701234567", "001010000000001", "3534900698733190", "10.0.0.1", "::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := ParseMSISDN(s); err == nil && m.String() != "+"+strings.TrimPrefix(s, "+") {
			t.Errorf("MSISDN %q prints as %q", s, m)
		}
		if i, err := ParseIMSI(s); err == nil && i.String() != s {
			t.Errorf("IMSI %q prints as %q", s, i)
		}
		if i, err := ParseIMEI(s); err == nil && i != 0 && i.String() != s {
			t.Errorf("IMEI %q prints as %q", s, i)
		}
		if a, err := ParseAddr(s); err == nil && (a.Zone() != "" || a.Is4In6()) {
			t.Errorf("address %q is %v", s, a)
		}
		ParseNumber(s)
	})
}
