package sh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/directory"
)

const (
	imsiDigits = "001010000000001"
	good       = `<?xml version="1.0" encoding="UTF-8"?><Sh-Data><PublicIdentifiers><MSISDN>491700000001</MSISDN></PublicIdentifiers></Sh-Data>`
)

func parseIMSI(t testing.TB) binding.IMSI {
	t.Helper()
	imsi, err := binding.ParseIMSI(imsiDigits)
	if err != nil {
		t.Fatal(err)
	}
	return imsi
}

func TestWhatUserDataTells(t *testing.T) {
	in := func(xml string) string {
		return "<Sh-Data><PublicIdentifiers>" + xml + "</PublicIdentifiers></Sh-Data>"
	}
	const number = binding.MSISDN(491700000001)
	for _, c := range []struct {
		claim, document string
		want            shData
		malformed       bool
	}{
		{"nothing tells nothing", "", shData{}, false},
		{"a number", good, shData{msisdn: number}, false},
		{"a number between spaces", in("<MSISDN>\n  +491700000001\t</MSISDN>"), shData{msisdn: number}, false},
		{"a number in a namespace", `<a:Sh-Data xmlns:a="x"><a:PublicIdentifiers><a:MSISDN>491700000001</a:MSISDN></a:PublicIdentifiers></a:Sh-Data>`, shData{msisdn: number}, false},
		{"a number in which a comment stands", in("<MSISDN>4917<!-- -->00000001</MSISDN>"), shData{msisdn: number}, false},
		{"a number as CDATA", in("<MSISDN><![CDATA[491700000001]]></MSISDN>"), shData{msisdn: number}, false},
		{"the number of a service is not the subscriber's", "<Sh-Data><RepositoryData><ServiceData><MSISDN>491700000001</MSISDN></ServiceData></RepositoryData></Sh-Data>", shData{}, false},
		{"a number deeper is not the subscriber's", in("<Extension><MSISDN>491700000001</MSISDN></Extension>"), shData{}, false},
		{"a SIP URI is no number", in("<IMSPublicIdentity>sip:+491700000001@example.com</IMSPublicIdentity>"), shData{}, false},
		{"an empty element tells nothing", in("<MSISDN/>"), shData{}, false},
		{"numbers that differ", in("<MSISDN>491700000001</MSISDN><MSISDN>491700000002</MSISDN>"), shData{several: true}, false},
		{"the IMSI in an extension", "<Sh-Data><Extension><Extension><IMSI>" + imsiDigits + "</IMSI></Extension></Extension></Sh-Data>", shData{imsi: parseIMSI(t)}, false},

		{"an element within a number", in("<MSISDN>49170<x/>0000001</MSISDN>"), shData{}, true},
		{"a number after more spaces than are kept", in("<MSISDN>" + strings.Repeat(" ", maxText-8) + "491700000001</MSISDN>"), shData{}, true},
		{"two numbers in one", in("<MSISDN>491700000001 491700000002</MSISDN>"), shData{}, true},
		{"digits of another script", in("<MSISDN>٤٩١٧٠٠٠٠٠٠٠١</MSISDN>"), shData{}, true},
		{"an entity", `<!DOCTYPE a [<!ENTITY n "491700000001">]>` + in("<MSISDN>&n;</MSISDN>"), shData{}, true},
		{"an entity that nobody declared", in("<MSISDN>&n;</MSISDN>"), shData{}, true},
		{"another charset", `<?xml version="1.0" encoding="UTF-16"?>` + in("<MSISDN>491700000001</MSISDN>"), shData{}, true},
		{"another document", "<Data>" + in("<MSISDN>491700000001</MSISDN>") + "</Data>", shData{}, true},
		{"two documents", good + in("<MSISDN>491700000002</MSISDN>"), shData{}, true},
		{"half a document", strings.TrimSuffix(good, "</Sh-Data>"), shData{}, true},
		{"no XML", "491700000001", shData{}, true},
		{"elements without end", strings.Repeat("<Sh-Data>", 1000), shData{}, true},
		{"elements without number", "<Sh-Data>" + strings.Repeat("<a/>", maxTokens) + "</Sh-Data>", shData{}, true},
		{"two IMSIs", "<Sh-Data><Extension><IMSI>001010000000001</IMSI><IMSI>001010000000002</IMSI></Extension></Sh-Data>", shData{}, true},
	} {
		t.Run(c.claim, func(t *testing.T) {
			got, err := readData([]byte(c.document))
			if got != c.want || errors.Is(err, ErrMalformed) != c.malformed || (err != nil) != c.malformed {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	}
}

// message makes one of Sh with these AVPs.
func message(flags byte, command uint32, avps ...[]byte) []byte {
	b := []byte{1, 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(flags)<<24|command)
	b = binary.BigEndian.AppendUint32(b, application)
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 2)
	for _, avp := range avps {
		b = append(b, avp...)
	}
	b[1], b[2], b[3] = byte(len(b)>>16), byte(len(b)>>8), byte(len(b))
	return b
}

func hostile() [][]byte {
	success := diameter.AppendUint32(nil, 0, 268, 2001)
	data := diameter.AppendAVP(nil, vendor, avpUserData, good)
	experimental := func(members ...[]byte) []byte {
		var group []byte
		for _, m := range members {
			group = append(group, m...)
		}
		return diameter.AppendAVP(nil, 0, 297, group)
	}
	short := message(0, cmdUserData, success, data)
	binary.BigEndian.PutUint32(short[20+4:], 0x40000003) // an AVP shorter than its header
	long := message(0, cmdUserData, success, data)
	binary.BigEndian.PutUint32(long[20+12+4:], 0xC0FFFFFF) // an AVP longer than the message
	deep := diameter.AppendAVP(nil, 0, 297, "")
	for range 1000 {
		deep = diameter.AppendAVP(nil, 0, 297, deep)
	}
	return [][]byte{
		short, long, message(0, cmdUserData, deep), message(0, cmdUserData), message(0, cmdUserData, data),
		message(0, cmdUserData, success, data, diameter.AppendAVP(nil, vendor, avpUserData, strings.Replace(good, "1<", "2<", 1))),
		message(0, cmdUserData, success, diameter.AppendUint32(nil, 0, 268, 5012), data),
		message(0, cmdUserData, success, experimental(diameter.AppendUint32(nil, 0, 266, vendor), diameter.AppendUint32(nil, 0, 298, 5001)), data),
		message(0, cmdUserData, experimental(diameter.AppendUint32(nil, 0, 298, 5001)), data),
		message(0, cmdUserData, diameter.AppendAVP(nil, 0, 268, "\x00\x07\xd1"), data),
	}
}

func TestAHostileAnswerIsMalformed(t *testing.T) {
	for i, octets := range hostile() {
		m, err := diameter.ParseMessage(octets)
		if err != nil {
			t.Fatal(err)
		}
		if msisdn, what, err := decodeUserData(m, parseIMSI(t)); msisdn != 0 || what != outcomeMalformed || !errors.Is(err, ErrMalformed) {
			t.Errorf("%d: %v, %s, %v", i, msisdn, outcomeNames[what], err)
		}
	}
}

// An answer or a notification is a number or an error, of a kind that is
// counted, and keeps nothing of the message.
func FuzzDecode(f *testing.F) {
	identity := diameter.AppendAVP(nil, vendor, avpUserIdentity, diameter.AppendAVP(nil, vendor, avpPublicIdentity, "sip:"+imsiDigits+"@ims.mnc001.mcc001.3gppnetwork.org"))
	for _, data := range []string{good, "<Sh-Data/>", "", "<Sh-Data><Extension><IMSI>" + imsiDigits + "</IMSI></Extension></Sh-Data>"} {
		user := diameter.AppendAVP(nil, vendor, avpUserData, data)
		f.Add(message(0, cmdUserData, diameter.AppendUint32(nil, 0, 268, 2001), user))
		f.Add(message(0x80, cmdNotify, diameter.AppendAVP(nil, 0, avpUserName, imsiDigits), identity, user))
	}
	for _, octets := range hostile() {
		f.Add(octets)
	}
	imsi := parseIMSI(f)
	f.Fuzz(func(t *testing.T, octets []byte) {
		m, err := diameter.ParseMessage(octets)
		if err != nil {
			return
		}
		msisdn, what, err := decodeUserData(m, imsi)
		if (err == nil) != (msisdn != 0) || (err == nil) != (what == outcomeNumber) {
			t.Fatalf("%v, %s, %v", msisdn, outcomeNames[what], err)
		}
		if unknown := what == outcomeUnknown || what == outcomeNoNumber || what == outcomeSeveral; unknown != errors.Is(err, directory.ErrUnknown) {
			t.Fatalf("%s, %v", outcomeNames[what], err)
		}
		change, changeErr := decodeNotification(m)
		if changeErr != nil && change.MSISDN != 0 {
			t.Fatalf("a number with error %v", changeErr)
		}
		before := fmt.Sprint(msisdn, err, change, changeErr)
		for i := range octets {
			octets[i] = ^octets[i]
		}
		if after := fmt.Sprint(msisdn, err, change, changeErr); after != before {
			t.Fatalf("%s changed to %s with the buffer", before, after)
		}
	})
}

func TestWhatCannotBeConfigured(t *testing.T) {
	ok := Config{OriginHost: "simbind.test", OriginRealm: "test", Servers: []diameter.Upstream{{Address: "127.0.0.1:3868", Host: "hss.test"}}}
	if err := ok.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim  string
		change func(*Config)
	}{
		{"no origin", func(c *Config) { c.OriginHost = "" }},
		{"no servers", func(c *Config) { c.Servers = nil }},
		{"TLS without a certificate", func(c *Config) {
			c.Servers = []diameter.Upstream{{Address: "127.0.0.1:3868", Host: "hss.test", TLS: true}}
		}},
		{"a realm with a space", func(c *Config) { c.DestinationRealm = "a b" }},
		{"an MNC of four digits", func(c *Config) { c.MNCDigits = 4 }},
		{"a form that is none", func(c *Config) { c.Identity = 9 }},
		{"a subscription to what tells no number", func(c *Config) { c.Subscribe = 11 }},
		{"a negative time", func(c *Config) { c.Timeout = -1 }},
	} {
		t.Run(c.claim, func(t *testing.T) {
			cfg := ok
			c.change(&cfg)
			if err := cfg.Check(); err == nil || !strings.HasPrefix(err.Error(), "sh: ") {
				t.Fatal(err)
			}
		})
	}
	for name, want := range map[string]Form{"public": FormPublic, "private": FormPrivate, "imsi": FormIMSI} {
		if got, err := ParseForm(name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := ParseForm("msisdn"); err == nil {
		t.Error("msisdn is a form")
	}
}
