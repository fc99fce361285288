package diameter

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
)

// What is appended is what go-diameter writes, and reads the same.
func TestAVPsAreWrittenAsGoDiameterDoes(t *testing.T) {
	b := appendHeader(nil, 0, 306, 16777217, 1, 2)
	b = AppendUint32(b, 0, avpResultCode, 2001)
	b = AppendAVP(b, Vendor3GPP, 702, "<Sh-Data/>")
	b = AppendUint32(b, Vendor3GPP, 703, 17)
	b = endMessage(b, 0)
	var theirs []byte
	for _, a := range []*diam.AVP{
		diam.NewAVP(avpResultCode, avpMandatory, 0, datatype.Unsigned32(2001)),
		diam.NewAVP(702, avpMandatory|avpVendor, Vendor3GPP, datatype.OctetString("<Sh-Data/>")),
		diam.NewAVP(703, avpMandatory|avpVendor, Vendor3GPP, datatype.Enumerated(17)),
	} {
		wire, err := a.Serialize()
		if err != nil {
			t.Fatal(err)
		}
		theirs = append(theirs, wire...)
	}
	if !bytes.Equal(b[headerLen:], theirs) {
		t.Fatalf("%x, want %x", b[headerLen:], theirs)
	}
	m, err := ParseMessage(append(b, "and more"...))
	if err != nil || m.Command() != 306 || m.Application() != 16777217 || m.Request() {
		t.Fatalf("%+v, %v", m, err)
	}
	var codes []uint32
	if err := m.Each(func(a AVP) error { codes = append(codes, a.Vendor, a.Code); return nil }); err != nil || len(codes) != 6 || codes[3] != 702 {
		t.Fatalf("%v, %v", codes, err)
	}
}

func TestAResultIsOfItsVendor(t *testing.T) {
	experimental := func(members ...[]byte) []byte {
		return AppendAVP(nil, 0, avpExperimentalResult, bytes.Join(members, nil))
	}
	vendor, code := AppendUint32(nil, 0, avpVendorID, Vendor3GPP), AppendUint32(nil, 0, avpExperimentalCode, 5001)
	for _, c := range []struct {
		claim     string
		avps      []byte
		want      Result
		malformed bool
	}{
		{"none", nil, Result{}, false},
		{"Result-Code has no vendor", AppendUint32(nil, 0, avpResultCode, 5001), Result{Code: 5001}, false},
		{"Experimental-Result has one", experimental(vendor, code), Result{Vendor3GPP, 5001}, false},
		{"the same twice", bytes.Repeat(experimental(vendor, code), 2), Result{Vendor3GPP, 5001}, false},
		{"a result of a vendor's own AVP is none", AppendUint32(nil, Vendor3GPP, avpResultCode, 2001), Result{}, false},
		{"without its vendor it is malformed", experimental(code), Result{}, true},
		{"without its code it is malformed", experimental(vendor), Result{}, true},
		{"two that differ are malformed", append(AppendUint32(nil, 0, avpResultCode, 2001), experimental(vendor, code)...), Result{}, true},
		{"one of three octets is malformed", AppendAVP(nil, 0, avpResultCode, "\x00\x07\xd1"), Result{}, true},
	} {
		t.Run(c.claim, func(t *testing.T) {
			m, err := ParseMessage(endMessage(append(appendHeader(nil, 0, 306, 16777217, 1, 2), c.avps...), 0))
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Result()
			if errors.Is(err, ErrMalformed) != c.malformed || err == nil && got != c.want {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	}
}

func TestGroupsOfAMessageAreBoundedTogether(t *testing.T) {
	var into func(a AVP) error
	into = func(a AVP) error { return a.Each(into) }
	deep := AppendUint32(nil, 0, 1, 1)
	for range maxDepth + 2 {
		deep = AppendAVP(nil, 0, avpFailedAVP, deep)
	}
	many := AppendAVP(nil, 0, avpFailedAVP, bytes.Repeat(AppendAVP(nil, 0, 1, ""), maxAVPs))
	for name, avps := range map[string][]byte{"deep": deep, "many": many} {
		m, err := ParseMessage(endMessage(append(appendHeader(nil, 0, 306, 16777217, 1, 2), avps...), 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Each(into); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Message{}).Each(into); err != nil {
		t.Errorf("the zero Message: %v", err)
	}
}
